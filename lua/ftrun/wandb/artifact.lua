--- W&B artifacts: named sets of files with versions. What goes into one is copied into the run's own folder first,
--- because `wandb sync` removes the files of an artifact once it has tried to upload them.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local records = require "ftrun.wandb.records"

local artifact = {}

local NAME_MAX = 128
local COPY_STEP = 1 << 20

--- A name that W&B takes.
---@param name string
---@return string
function artifact.name(name)
  return (name:gsub("[^%w_.-]", "_"):sub(1, NAME_MAX))
end

--- Copies a file piece by piece; the folder is made.
---@param from string
---@param to string
function artifact.copy(from, to)
  local source, message = io.open(from, "rb")
  if not source then err.raise("system", message) end
  local _ <close> = source
  err.check("system", fs.mkdir(to:match "^(.*)/"))
  fs.remove(to)
  local target <close> = err.check("system", fs.append(to))
  for piece in function() return source:read(COPY_STEP) end do err.check("system", target:write(piece)) end
end

---@class ftrun.wandb.Artifact
---@field name string
---@field type string
---@field description string?
---@field metadata table?
---@field aliases string[]?      besides `latest`
---@field input boolean?         the run has used it; else the run has made it
---@field files { path: string, from: string?, bytes: string? }[]  name in the artifact, and a file or the bytes

---@class ftrun.wandb.artifact.Place
---@field folder string    of the W&B run
---@field run_id string
---@field project string?
---@field entity string?

-- Two names of 128 characters for server and tables to refer to: the same artifact of the same run has the same ones,
-- however often its log is made anew.
local function client_id(...)
  local text = table.concat({ ... }, "\n")
  return digest.sha256("1 " .. text) .. digest.sha256("2 " .. text)
end

--- A digest in hexadecimal as W&B tells it of files.
---@param hex string
---@return string base64
function artifact.base64(hex)
  return digest.base64((hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)))
end

local function entries(files)
  local list = {}
  for i, file in ipairs(files) do
    local md5 = file.bytes and digest.md5(file.bytes) or err.check("system", digest.md5_file(file.from))
    list[i] = { path = records.text(file.path), digest = artifact.base64(md5), file = file,
      size = file.bytes and #file.bytes or err.check("system", fs.stat(file.from)).bytes }
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list
end

-- A copy of an earlier start is good: its name tells its content.
local function stage(file, e)
  local there = fs.stat(e.local_path)
  if there and there.bytes == e.size then return end
  if file.bytes then
    err.check("system", fs.mkdir(e.local_path:match "^(.*)/"))
    err.check("system", fs.write(e.local_path, file.bytes))
  else
    artifact.copy(file.from, e.local_path)
  end
end

--- Copies the files below the run's folder and gives the artifact's record.
---@param at ftrun.wandb.artifact.Place
---@param o ftrun.wandb.Artifact
---@return table record
---@return { client_id: string, sequence_client_id: string } ids
function artifact.make(at, o)
  local name, contents = artifact.name(o.name), entries(o.files)
  local lines = { "wandb-artifact-manifest-v1" }
  for i, e in ipairs(contents) do lines[i + 1] = e.path .. ":" .. e.digest end
  local whole = digest.md5(table.concat(lines, "\n") .. "\n")
  local ids = { client_id = client_id(at.run_id, name, whole), sequence_client_id = client_id(at.run_id, name) }
  local root = err.check("system", fs.realpath(at.folder)) .. "/artifacts"
  for i, e in ipairs(contents) do
    local file = e.file
    e.file, e.skip_cache, e.local_path = nil, true, ("%s/%s-%d"):format(root, ids.client_id:sub(1, 16), i)
    stage(file, e)
    if e.size == 0 then e.size = nil end
  end
  local aliases = { "latest" }
  for _, alias in ipairs(o.aliases or {}) do
    if alias ~= "latest" then aliases[#aliases + 1] = (records.text(alias):gsub("[/:]", "-")) end
  end
  return records.artifact { run_id = at.run_id, project = at.project, entity = at.entity, type = o.type, name = name,
    digest = whole, description = o.description and records.text(o.description),
    metadata = o.metadata and json.encode(o.metadata), user_created = o.input or nil, use_after_commit = o.input or nil,
    aliases = aliases, finalize = true, client_id = ids.client_id, sequence_client_id = ids.sequence_client_id,
    manifest = { version = 1, storage_policy = "wandb-storage-policy-v1", contents = contents,
      storage_policy_config = { { key = "storageLayout", value_json = '"V2"' } } } }, ids
end

return artifact
