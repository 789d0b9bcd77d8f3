--- Run logs of W&B that the program has left, for tests.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ftrun.wandb.log"
local program = require "program"

local logs = {}

--- A recipe that asks for W&B.
logs.WANTED = program.RECIPE:gsub("}\n$", '  wandb = { project = "laws", tags = { "uk", ("x"):rep(70) } },\n}\n')

--- Values of a list of items by key (nested keys joined by dots).
function logs.values(list)
  local v = {}
  for _, item in ipairs(list) do
    local text = item.value_json
    v[item.key or table.concat(item.nested_key, ".")] = json.decode(text) == nil and text or json.decode(text)
  end
  return v
end

--- The only run log below dir, and its records; nil when there is none.
function logs.log_of(dir)
  local p <close> = assert(io.popen(("ls %s/.ftrun/runs/*/wandb/*/*.wandb 2>/dev/null"):format(dir)))
  local path = p:read "l"
  t.eq(p:read "l", nil)
  if not path then return nil end
  local list, message = log.read(path)
  t.eq(message, nil)
  return list, path
end

function logs.all(list, kind)
  local found = {}
  for _, record in ipairs(list) do found[#found + 1] = record[kind] end
  return found
end

--- The W&B runs below a folder, by their ids: records.
function logs.runs_of(root)
  local found = {}
  for _, name in ipairs(fs.list(root) or {}) do
    local id = name:match "^offline%-run%-%d+_%d+%-(.*)$"
    if id then
      local list, message = log.read(("%s/%s/run-%s.wandb"):format(root, name, id))
      t.eq(message, nil)
      found[id] = list
    end
  end
  return found
end

return logs
