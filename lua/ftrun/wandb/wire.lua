--- What W&B's API is told of a run's records: lines of JSON for file_stream, the configuration for UpsertBucket. Values
--- are JSON text already in the records, and stay as they are there.
local json = require "ftrun.json"
local time = require "ft.time"

local wire = {}

--- What longer lines the server refuses.
wire.LINE_MAX = 10383360

-- characters of a console line that W&B's SDK keeps
local CONSOLE_MAX = 4096

local quoted = {}
local function quote(name)
  local text = quoted[name]
  if not text then
    text = json.encode(name)
    quoted[name] = text
  end
  return text
end

-- ---- trees: name -> JSON text or tree ----

--- Puts a record's changes into a tree.
---@param tree table
---@param changes { update: table[]?, remove: table[]? }
function wire.change(tree, changes)
  local function place(item)
    local path = item.nested_key and #item.nested_key > 0 and item.nested_key or { item.key }
    local at = tree
    for i = 1, #path - 1 do
      if type(at[path[i]]) ~= "table" then at[path[i]] = {} end
      at = at[path[i]]
    end
    return at, path[#path]
  end
  for _, item in ipairs(changes.update or {}) do
    local at, name = place(item)
    at[name] = item.value_json
  end
  for _, item in ipairs(changes.remove or {}) do
    local at, name = place(item)
    at[name] = nil
  end
end

local function text_of(value)
  return type(value) == "table" and wire.text(value) or value
end

--- A tree as the text of a JSON object, names in order.
---@param tree table
---@return string
function wire.text(tree)
  local names, parts = {}, {}
  for name in pairs(tree) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    parts[i] = quote(name) .. ":" .. text_of(tree[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- ---- lines ----

--- A history record as a line.
---@return string
function wire.history(record)
  local parts = {}
  for i, item in ipairs(record.item or {}) do
    if not item.key then -- a path: the slow way
      local tree = {}
      wire.change(tree, { update = record.item })
      return wire.text(tree)
    end
    parts[i] = quote(item.key) .. ":" .. item.value_json
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The lines of a console record.
---@return string[]
function wire.console(record)
  local at = record.timestamp or {}
  local seconds = at.seconds or 0
  local stamp = ("%s.%06d "):format(time.iso8601(seconds):sub(1, 19), (at.nanos or 0) // 1000)
  local lines = {}
  for line in (record.line or ""):gsub("\n$", ""):gmatch "[^\n]*" do
    local cut = utf8.offset(line, CONSOLE_MAX + 1)
    if cut and cut <= #line then line = line:sub(1, cut - 1) end
    lines[#lines + 1] = (record.output_type == 1 and "" or "ERROR ") .. stamp .. line
  end
  return lines
end

-- ---- the configuration ----

local FLAGS = { { "step_sync", "hidden", "defined" },
  { "min", "max", "mean", "best", "last", "none", "copy", "first" } }

local function flags(set, names)
  local list = json.array {}
  for i, name in ipairs(names) do if set and set[name] then list[#list + 1] = i end end
  return #list > 0 and list or nil
end

--- Metrics' definitions as the configuration tells them: numbers of fields are names, a metric's step is its place in
--- the list.
local function definitions(metrics)
  local place, list = {}, json.array {}
  for i, m in ipairs(metrics) do if m.name then place[m.name] = i end end
  for i, m in ipairs(metrics) do
    list[i] = { ["1"] = m.name, ["2"] = m.glob_name, ["5"] = place[m.step_metric], ["6"] = flags(m.options, FLAGS[1]),
      ["7"] = flags(m.summary, FLAGS[2]), ["8"] = m.goal ~= 0 and m.goal or nil }
  end
  return list
end

--- The configuration as UpsertBucket takes it. `_wandb.t` says that the run has begun, to whoever resumes it.
---@param config table     a tree
---@param metrics table[]  metric records
---@param writer string
---@return string
function wire.config(config, metrics, writer)
  local parts = {}
  for name, value in pairs(config) do
    if name ~= "_wandb" then
      parts[#parts + 1] = ('%s:{"value":%s}'):format(quote(name), text_of(value))
    end
  end
  table.sort(parts)
  parts[#parts + 1] = '"_wandb":{"value":' .. json.encode { t = { ["12"] = writer }, m = definitions(metrics) } .. "}"
  return "{" .. table.concat(parts, ",") .. "}"
end

--- The same as the file config.yaml: JSON is YAML too.
---@return string
function wire.config_file(config)
  local parts = {}
  for name, value in pairs(config) do
    parts[#parts + 1] = ("%s:\n    value: %s\n"):format(quote(name), text_of(value))
  end
  table.sort(parts)
  return table.concat(parts)
end

return wire
