--- Where W&B runs lie that belong to no run of ftrun, and all that lie here.
local cursor = require "ftrun.wandb.cursor"
local fs = require "ft.fs"
local runs = require "ftrun.run.runs"
local settings = require "ftrun.wandb.settings"

local places = {}

--- WANDB_DIR as the SDK takes it: `wandb` below it, or `.wandb` where that is there already. Without it: below .ftrun.
---@return string
function places.root()
  local dir = settings.get "WANDB_DIR"
  if not dir then return runs.root() .. "/wandb" end
  return fs.stat(dir .. "/.wandb") and dir .. "/.wandb" or dir .. "/wandb"
end

--- The folder of a run, by the SDK's scheme.
---@param root string
---@param started number  seconds since 1970
---@param id string
---@return string
function places.folder(root, started, id)
  return ("%s/offline-run-%s-%s"):format(root, os.date("%Y%m%d_%H%M%S", math.floor(started)), id)
end

---@class ftrun.wandb.Place
---@field id string      of the run
---@field dir string
---@field log string     its run log
---@field synced boolean  all of it is at a server

-- the runs of a folder
local function look(root, list, wanted)
  for _, name in ipairs(fs.list(root) or {}) do
    local id = name:match "^offline%-run%-%d+_%d+%-(.+)$" or name:match "^run%-%d+_%d+%-(.+)$"
    local path = id and ("%s/%s/run-%s.wandb"):format(root, name, id)
    if path and (not wanted or id == wanted) and fs.stat(path) then
      list[#list + 1] = { id = id, dir = root .. "/" .. name, log = path, synced = cursor.state(path) == "all" }
    end
  end
end

--- Every W&B run that is here, those of ftrun's runs first.
---@param id string?  only this one
---@return ftrun.wandb.Place[]
function places.list(id)
  local list = {}
  for _, summary in ipairs(runs.list()) do look(runs.dir(summary.id) .. "/wandb", list, id) end
  look(places.root(), list, id)
  return list
end

return places
