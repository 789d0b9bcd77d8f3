--- ftrun wandb status, ftrun wandb sync
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local places = require "ftrun.wandb.places"
local settings = require "ftrun.wandb.settings"
local wrap = require "ftrun.text.wrap"

local command = {}

local RUNS_TOLD = 10

local MEANS = {
  WANDB_ENABLED = "true: chats are logged too; false: nothing is",
  WANDB_MODE = "online with a key (the default), offline, or disabled",
  WANDB_API_KEY = "the key of your account; without one runs are logged offline",
  WANDB_PROJECT = "the project; a recipe's wandb.project goes first; default uncategorized",
  WANDB_ENTITY = "team or user; default: that of the key",
  WANDB_BASE_URL = "a server of your own; default https://api.wandb.ai",
  WANDB_DIR = "where runs of calls and of jobs elsewhere lie; default .ftrun; those of runs lie in their folder",
}

local function rows_of(status)
  local rows = {}
  for _, s in ipairs(status.settings) do
    rows[#rows + 1] = ("%-15s %s"):format(s.name, s.origin and ("%s (%s)"):format(s.value, s.origin)
      or "not set: " .. s.means)
  end
  rows[#rows + 1] = ("%-15s %s"):format("key", status.key and "found (" .. status.key .. ")"
    or ("none in WANDB_API_KEY, nor for %s in netrc: `wandb login` stores one"):format(status.machine))
  rows[#rows + 1] = ""
  rows[#rows + 1] = not status.logs and "W&B not initialised: " .. status.why .. "."
    or status.online and ("Runs are logged online, to %s: %s."):format(status.base_url, status.why)
    or ("Runs are logged offline (%s): %s."):format(status.offline_why, status.why)
  rows[#rows + 1] = "A recipe can ask for it itself with wandb = { project = ... }."
  for _, f in ipairs(status.files) do rows[#rows + 1] = f.path .. (f.found and ": read" or ": not there") end
  local waiting = 0
  for _, r in ipairs(status.runs) do if not r.synced then waiting = waiting + 1 end end
  if waiting > 0 then rows[#rows + 1] = "Not sent yet (ftrun wandb sync RUN, or --all for all of them):" end
  local told = 0
  for _, r in ipairs(status.runs) do
    if not r.synced and told < RUNS_TOLD then told, rows[#rows + 1] = told + 1, "  " .. r.run end
  end
  if waiting > told then
    rows[#rows + 1] = ("  and %d more (--json lists all, with their folders)"):format(waiting - told)
  end
  if #status.runs > waiting then rows[#rows + 1] = ("sent: %d"):format(#status.runs - waiting) end
  return rows
end

local function status()
  local set = settings.of()
  local list = {}
  for _, name in ipairs(settings.names) do
    local value, origin = settings.show(name)
    list[#list + 1] = { name = name, value = value, origin = origin, means = MEANS[name] }
  end
  local here, files = {}, {}
  for i, p in ipairs(places.list()) do here[i] = { run = p.id, dir = p.dir, synced = p.synced } end
  for i, path in ipairs(settings.files()) do files[i] = { path = path, found = fs.stat(path) ~= nil } end
  local key, machine = settings.key_origin(set.base_url)
  return { logs = set.wanted, why = set.why, online = set.online == true, offline_why = set.offline_why,
    project = set.project, entity = set.entity, base_url = set.base_url,
    key = key, machine = machine, settings = json.array(list), files = json.array(files),
    runs = json.array(here) }
end

---@return integer exit_code
function command.main(args)
  if args.action == "sync" then return require("ftrun.wandb.sync").main(args) end
  if #(args.job or {}) > 0 then err.raise("usage", "status takes no runs") end
  local now = status()
  if args.json then
    json.print(now)
  else
    for _, row in ipairs(rows_of(now)) do wrap.print(row, row:find "^%u*_?%u*_?%u* *not set: " and 16 or nil) end
  end
  return 0
end

return command
