--- What a recipe says for the log (ft.log, ft.summary, ft.define_metric, ft.table, ft.artifact), out of its box and
--- into the run's stream of events: { type = "said", hook, step?, items }, all that one hook said in one event. It
--- comes from other people's code: whatever has not the form that ft gives it is left out, and files are taken only
--- from where a recipe may read, as copies in the run's folder.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local reach = require "ftrun.recipe.reach"
local time = require "ft.time"

local said = {}

-- of one run, as JSON; and of the files of one artifact
local RUN_MAX = 64 << 20
local FILES_MAX = 1 << 30

local function text(v) return type(v) == "string" and v or nil end

local function is_scalar(v)
  local kind = type(v)
  return kind == "string" or kind == "number" or kind == "boolean"
end

local function scalars(t)
  local result = {}
  for k, v in pairs(type(t) == "table" and t or {}) do
    if type(k) == "string" and not k:find "^_" and is_scalar(v) then result[k] = v end
  end
  return result
end

local function texts(t)
  local result = json.array {}
  for i, v in ipairs(type(t) == "table" and t or {}) do result[i] = tostring(v) end
  return result
end

-- ---- files of artifacts ----

-- Files that hold texts of examples, by their real path: they go only where `log_datasets` lets them.
local function private(c)
  local list = {}
  local function add(path)
    local real = path and fs.realpath(path)
    if real then list[real] = true end
  end
  if (c.recipe.wandb or {}).log_datasets then return list end
  local d = c.recipe.dataset or {}
  for _, path in ipairs { d.path or false, d.train or false, d.validation or false, table.unpack(d.paths or {}) } do
    if path then add(path:find "^/" and path or (c.recipe.dir or ".") .. "/" .. path) end
  end
  for _, name in ipairs { "train.jsonl", "validation.jsonl", "evaluation.jsonl" } do add(c.dir .. "/" .. name) end
  for _, side in ipairs { "train", "validation" } do add(c.prepare and c.prepare[side] and c.prepare[side].path) end
  return list
end

-- A file as an artifact names it: below the recipe's folder, or else below the run's.
local function find(c, path)
  for _, root in ipairs { c.recipe.dir or ".", c.dir } do
    local real = not path:find "^/" and reach.within(root .. "/" .. path, { root })
    local info = real and fs.stat(real)
    if info and info.type == "file" then return real, info end
  end
  return nil, ("%s: there is no such file below the recipe's folder or the run's, or a recipe may not read it")
    :format(path)
end

local function artifact(c, item)
  local hidden, files, bytes, hash = private(c), json.array {}, 0, {}
  for i, path in ipairs(texts(item.files)) do
    local real, info = find(c, path)
    if not real then return nil, info end
    if hidden[real] then
      return nil, path .. " holds texts of examples, which go along only with wandb = { log_datasets = true }"
    end
    bytes = bytes + info.bytes
    if bytes > FILES_MAX then return nil, "its files are larger than 1 GiB together" end
    files[i] = { path = path, from = real, bytes = info.bytes, sha256 = err.check("system", digest.sha256_file(real)) }
    hash[i] = path .. " " .. files[i].sha256
  end
  local name = item.name:gsub("[^%w_.-]", "_"):gsub("^%.", "_")
  local folder = ("artifacts/%s-%s"):format(name, digest.sha256(table.concat(hash, "\n")):sub(1, 12))
  for _, file in ipairs(files) do
    local to = ("%s/%s/%s"):format(c.dir, folder, file.path)
    err.check("system", fs.mkdir(to:match "^(.*)/"))
    local kept = fs.stat(to)
    if not kept or kept.bytes ~= file.bytes then
      fs.remove(to)
      local target <close> = err.check("system", fs.append(to))
      err.check("system", target:copy(file.from))
    end
    file.from = nil
  end
  return { say = "artifact", name = item.name, type = text(item.type) or "artifact", folder = folder, files = files,
    metadata = next(scalars(item.metadata)) and scalars(item.metadata) or nil, aliases = texts(item.aliases),
    description = text(item.description) }
end

-- ---- what is said ----

local read = {}

function read.log(_, item) return { say = "log", values = scalars(item.values) } end

function read.summary(_, item) return { say = "summary", values = scalars(item.values) } end

function read.define_metric(_, item)
  return text(item.name) and { say = "define_metric", name = item.name, step_metric = text(item.step_metric),
    summary = text(item.summary), hidden = item.hidden == true or nil }
end

read["table"] = function(_, item)
  if not text(item.name) or type(item.rows) ~= "table" then return nil end
  local columns, rows = texts(item.columns), json.array {}
  for i, row in ipairs(item.rows) do
    local cells = {}
    for _, column in ipairs(columns) do
      local v = type(row) == "table" and row[column]
      if is_scalar(v) then cells[column] = v end
    end
    rows[i] = cells
  end
  return { say = "table", name = item.name, columns = columns, rows = rows }
end

function read.artifact(c, item)
  if not text(item.name) then return nil end
  return artifact(c, item)
end

--- What was said, as an event; nil when it was nothing. What cannot be taken is told by `warn`.
---@param c ftrun.run.Context
---@param list table[]    of Recipe:listen
---@param hook string     "recipe" for what the recipe said while it was loaded
---@param step integer?   to which it belongs
---@param warn fun(text: string)
---@return table? event
function said.event(c, list, hook, step, warn)
  local items = json.array {}
  for _, item in ipairs(list) do
    local reader = type(item) == "table" and read[item.say]
    local ok, value, why = true, nil, nil
    if reader then ok, value, why = pcall(reader, c, item) end
    if ok and value then
      items[#items + 1] = value
    elseif not ok or why then
      warn(("ft.%s %q: %s"):format(item.say, tostring(item.name), tostring(ok and why or value)))
    end
  end
  if #items == 0 then return nil end
  local event = { type = "said", hook = hook, step = step, created_at = time.now(), items = items }
  local ok, encoded = pcall(json.encode, event)
  if not ok then return nil, warn("what the recipe logs is no UTF-8 text; it is left out") end
  c.said_bytes = (c.said_bytes or 0) + #encoded
  if c.said_bytes > RUN_MAX then return nil, warn "the recipe has logged 64 MiB; nothing more is taken" end
  return event
end

return said
