--- W&B tables: one is a file of the run, an artifact that other runs can refer to, and a value in the history.
local artifact = require "ftrun.wandb.artifact"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local records = require "ftrun.wandb.records"

local M = {}

--- Rows beyond these W&B does not show.
M.ROWS_MAX = 10000

local NONE = { wb_type = "none" }
local TYPES = { string = "string", number = "number", boolean = "boolean" }

-- a cell as W&B's tables have it: lists and objects as their JSON text
local function cell(value)
  if value == nil or value == json.null then return json.null end
  if type(value) == "table" then return records.text(json.encode(value)) end
  if type(value) == "string" then return records.text(value) end
  if type(value) == "number" and (value ~= value or value == math.huge or value == -math.huge) then return json.null end
  return value
end

local function column_type(data, i)
  local found
  for _, row in ipairs(data) do
    local kind = TYPES[type(row[i])]
    if kind and found and found ~= kind then return { wb_type = "any" } end
    found = found or kind
  end
  if not found then return NONE end
  local both = { NONE, { wb_type = found } }
  if found < "none" then both = { both[2], NONE } end -- by name, as W&B sorts them
  return { wb_type = "union", params = { allowed_types = json.array(both) } }
end

-- CRC-32's place in W&B's own scheme is taken by a digest: all that counts is that two names stay two
local function artifact_name(run_id, key)
  local name = ("run-%s-%s"):format(run_id, key)
  local clean = name:gsub("[^%w_.-]", "")
  return clean == name and name or ("%s-%s"):format(clean:sub(1, 100), digest.sha256(name):sub(1, 8))
end

-- A key as a path below media/table: never out of it.
local function path_of(key)
  return (key:gsub("[^%w_./ -]", "_"):gsub("^/+", ""):gsub("%.%.+", "_"))
end

--- Writes a table's files below the run's folder. The value belongs into the history and the summary under the key.
---@param at ftrun.wandb.artifact.Place
---@param o { key: string, columns: string[], rows: any[][], step: integer }
---@return table[] records  to add before the history
---@return table value
function M.make(at, o)
  local columns, data = json.array {}, json.array {}
  for i, name in ipairs(o.columns) do columns[i] = records.text(name) end
  for i = 1, math.min(#o.rows, M.ROWS_MAX) do
    local row = json.array {}
    for k = 1, #columns do row[k] = cell(o.rows[i][k]) end
    data[i] = row
  end
  local types = {}
  for i, name in ipairs(columns) do types[name] = column_type(data, i) end
  local media = json.encode { columns = columns, data = data }
  local whole = json.encode { _type = "table", columns = columns, data = data, ncols = #columns, nrows = #data,
    log_mode = "IMMUTABLE", column_types = { wb_type = "typedDict", params = { type_map = types } } }
  local key, sha256 = path_of(o.key), digest.sha256(media)
  local path = ("media/table/%s_%d_%s.table.json"):format(key, o.step, sha256:sub(1, 20))
  local file = at.folder .. "/files/" .. path
  err.check("system", fs.mkdir(file:match "^(.*)/"))
  err.check("system", fs.write(file, media))
  local entry = key .. ".table.json"
  local record, ids = artifact.make(at, { name = artifact_name(at.run_id, o.key), type = "run_table",
    files = { { path = entry, bytes = whole } } })
  local value = { _type = "table-file", path = path, sha256 = sha256, size = #media, ncols = #columns, nrows = #data,
    log_mode = "IMMUTABLE", artifact_path = ("wandb-client-artifact://%s/%s"):format(ids.client_id, entry),
    _latest_artifact_path = ("wandb-client-artifact://%s:latest/%s"):format(ids.sequence_client_id, entry) }
  return { record, records.files({ path }, true) }, value
end

return M
