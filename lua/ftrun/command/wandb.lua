--- ftrun wandb status
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local runs = require "ftrun.runs"
local settings = require "ftrun.wandb.settings"

local command = {}

local MEANS = {
  WANDB_ENABLED = "false: no run is logged",
  WANDB_MODE = "online with a key (the default), offline, or disabled",
  WANDB_API_KEY = "the key of your account; without one runs are logged offline",
  WANDB_PROJECT = "the project; a recipe's wandb.project goes first; default uncategorized",
  WANDB_ENTITY = "team or user; default: that of the key",
  WANDB_BASE_URL = "a server of your own; default https://api.wandb.ai",
  WANDB_DIR = "not used by ftrun: W&B runs lie in the folder of their run",
}

--- Offline runs that are here, and whether they were uploaded.
local function offline_runs()
  local list = {}
  for _, summary in ipairs(runs.list()) do
    local root = runs.dir(summary.id) .. "/wandb"
    for _, name in ipairs(fs.list(root) or {}) do
      local folder = root .. "/" .. name
      local file = ("%s/run-%s.wandb"):format(folder, summary.id)
      if fs.stat(file) then
        list[#list + 1] = { run = summary.id, dir = folder, synced = fs.stat(file .. ".synced") ~= nil }
      end
    end
  end
  return list
end

local function rows_of(status)
  local rows = {}
  for _, s in ipairs(status.settings) do
    rows[#rows + 1] = ("%-15s %s"):format(s.name, s.origin and ("%s (%s)"):format(s.value, s.origin)
      or "not set: " .. s.means)
  end
  rows[#rows + 1] = ("%-15s %s"):format("key", status.key and "found (" .. status.key .. ")"
    or ("none, neither in WANDB_API_KEY nor for %s in netrc: `wandb login` stores one"):format(status.machine))
  rows[#rows + 1] = ""
  rows[#rows + 1] = not status.logs and "W&B not initialised: " .. status.why .. "."
    or status.online and ("Runs are logged online, to %s: %s."):format(status.base_url, status.why)
    or ("Runs are logged offline (%s): %s."):format(status.offline_why, status.why)
  rows[#rows + 1] = "A recipe can ask for it itself with wandb = { project = ... }."
  for _, r in ipairs(status.runs) do
    rows[#rows + 1] = r.synced and ("uploaded: %s"):format(r.run) or ("wandb sync %s"):format(r.dir)
  end
  return rows
end

local function status()
  local set = settings.of()
  local list = {}
  for _, name in ipairs(settings.names) do
    local value, origin = settings.show(name)
    list[#list + 1] = { name = name, value = value, origin = origin, means = MEANS[name] }
  end
  local key, machine = settings.key_origin(set.base_url)
  return { logs = set.wanted, why = set.why, online = set.online == true, offline_why = set.offline_why,
    project = set.project, entity = set.entity, base_url = set.base_url,
    key = key, machine = machine, settings = json.array(list), runs = json.array(offline_runs()) }
end

---@return integer exit_code
function command.main(args)
  local now = status()
  log.out((args.json and json.encode(now) or table.concat(rows_of(now), "\n")) .. "\n")
  return 0
end

return command
