--- What W&B's settings say, read as its SDK reads them: the environment, then its settings files, and netrc for the
--- key, whose value is never seen here. One place decides whether a run is logged, and says why not.
local fs = require "ft.fs"
local http = require "ft.http"
local secrets = require "ft.secrets"

local settings = {}

local DEFAULT_URL = "https://api.wandb.ai"
local DEFAULT_PROJECT = "uncategorized"
local PROJECT_MAX, TAG_MAX = 128, 64

local FALSE = { ["false"] = true, ["0"] = true, no = true, off = true, n = true, f = true }
local OFFLINE = { offline = true, dryrun = true }
local MODES = { online = true, run = true, shared = true, offline = true, dryrun = true, disabled = true }
local TRUE = { ["true"] = true, ["1"] = true, yes = true, on = true, y = true, t = true }

--- The names that count, in the order in which they are told.
settings.names = { "WANDB_ENABLED", "WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_BASE_URL",
  "WANDB_DIR" }

-- nil for what is not set, and for what is a secret by its value
local function get(name)
  local ok, value = pcall(secrets.setting, name)
  return ok and value or nil
end

--- The value of a setting of the environment that is no secret.
settings.get = get

-- what the SDK's settings files may hold besides the key, which stays outside of Lua
local IN_FILES = { WANDB_PROJECT = "project", WANDB_ENTITY = "entity", WANDB_BASE_URL = "base_url",
  WANDB_MODE = "mode" }

--- The SDK's settings files, the one that counts more first: that of the folder (`wandb init`), that of the user.
---@return string[]
function settings.files()
  local list, dir = {}, get "WANDB_DIR" or "."
  local near = fs.stat(dir .. "/.wandb") and ".wandb" or "wandb"
  list[1] = (dir == "." and "" or dir .. "/") .. near .. "/settings"
  local config = get "WANDB_CONFIG_DIR" or get "HOME" and get "HOME" .. "/.config/wandb"
  if config then list[2] = config .. "/settings" end
  return list
end

-- a setting, and where it is from: the environment (or .env) goes before the files
local function lookup(name)
  local value = get(name)
  if value then return value, secrets.origin(name) end
  for _, path in ipairs(IN_FILES[name] and settings.files() or {}) do
    local found, text = pcall(secrets.read_setting, path, IN_FILES[name])
    if found and text and text ~= "" then return text, path end
  end
end

--- The first netrc file that is there, by the SDK's order.
local function netrc_file()
  local home = get "HOME"
  if get "NETRC" then return get "NETRC" end
  local path = home and home .. "/.netrc"
  return path and not fs.stat(path) and fs.stat(home .. "/_netrc") and home .. "/_netrc" or path
end

--- Where the key comes from: "environment", a file's name, or nil. As the SDK: the environment, settings files, netrc.
---@param base_url string
---@return string? origin
---@return string machine  whose entry in netrc counts
---@return string? secret  the key's name for http's auth
function settings.key_origin(base_url)
  local machine = base_url:match "^%a+://([^/]+)" or base_url
  local origin = secrets.origin "WANDB_API_KEY"
  if origin then return origin, machine, "WANDB_API_KEY" end
  for _, file in ipairs(settings.files()) do
    if secrets.adopt(file, "api_key", "api_key of " .. file) then return file, machine, "api_key of " .. file end
  end
  local path = netrc_file()
  local secret = path and secrets.netrc(path, machine)
  if secret then return path, machine, secret end
  return nil, machine
end

--- The project's name without what W&B refuses in one.
local function project_name(name)
  name = name:gsub("[/\\#?%%:]", "-")
  return name:sub(1, (utf8.offset(name, PROJECT_MAX + 1) or #name + 1) - 1)
end

--- Tags as W&B takes them: 1 to 64 characters.
---@param tags string[]?
---@return string[]
function settings.tags(tags)
  local list = {}
  for _, tag in ipairs(tags or {}) do
    local stop = utf8.len(tag) and utf8.offset(tag, TAG_MAX + 1) or math.min(#tag, TAG_MAX) + 1
    if tag ~= "" then list[#list + 1] = tag:sub(1, (stop or #tag + 1) - 1) end
  end
  return list
end

---@class ftrun.wandb.Settings
---@field wanted boolean
---@field why string         why it is not logged, or what asked for it
---@field silent boolean?    nobody asked for W&B: nothing to say
---@field mode string        as set: online when nothing is said
---@field project string
---@field entity string?
---@field base_url string
---@field enabled boolean     WANDB_ENABLED says so itself
---@field online boolean?     the run is sent while it goes on
---@field offline_why string? why it is not
---@field interval_s number?  seconds between two posts

--- Whether a run that is wanted is sent while it goes on: with a key, unless the mode says offline.
local function decide_online(s)
  if OFFLINE[s.mode] then
    s.offline_why = "WANDB_MODE is " .. s.mode
    return
  end
  local origin, machine = settings.key_origin(s.base_url)
  if origin then
    s.online = true
  else
    s.offline_why = "no key in WANDB_API_KEY or netrc" .. (s.base_url == DEFAULT_URL and "" or " for " .. machine)
  end
end

--- Where people look at what an API has.
---@param base_url string
---@return string
function settings.app_url(base_url)
  local app = get "WANDB_APP_URL"
  if not app then
    app = base_url:match "^https://api%.wandb%." and base_url:gsub("//api%.", "//", 1)
      or base_url:gsub("//api%.", "//app.", 1)
  end
  return (app:gsub("/+$", ""))
end

--- A run's page.
---@param s ftrun.wandb.Settings
---@param run { entity: string, project: string, id: string }
---@return string url
function settings.run_url(s, run)
  return ("%s/%s/%s/runs/%s"):format(settings.app_url(s.base_url), http.escape(run.entity), http.escape(run.project),
    http.escape(run.id))
end

--- What holds for a recipe; without one, for recipes that do not mention W&B.
---@param recipe table?
---@return ftrun.wandb.Settings
function settings.of(recipe)
  local asked = recipe and recipe.wandb
  local enabled, mode = get "WANDB_ENABLED", (lookup "WANDB_MODE" or "online"):lower()
  local disabled = get "WANDB_DISABLED"
  local project = asked and asked.project or lookup "WANDB_PROJECT"
  local s = { mode = mode, project = project_name(project or DEFAULT_PROJECT),
    entity = asked and asked.entity or lookup "WANDB_ENTITY",
    base_url = (lookup "WANDB_BASE_URL" or DEFAULT_URL):gsub("/+$", ""),
    -- the SDK's name for it
    interval_s = tonumber(get "WANDB__FILE_STREAM_TRANSMIT_INTERVAL") }
  local by = asked and "the recipe has wandb = { ... }" or get "WANDB_PROJECT" and "WANDB_PROJECT is set"
    or secrets.origin "WANDB_API_KEY" and "WANDB_API_KEY is set"
    or enabled and TRUE[enabled:lower()] and "WANDB_ENABLED is " .. enabled
  s.enabled = enabled ~= nil and TRUE[enabled:lower()] == true
  s.wanted = false
  if not by then
    s.why = "nothing asks for it: no wandb = { ... } in the recipe, WANDB_ENABLED, WANDB_PROJECT and WANDB_API_KEY "
      .. "are not set"
    -- who says how, but not that, may expect it
    s.silent = not get "WANDB_ENTITY" and (not get "WANDB_MODE" or mode == "online" or mode == "disabled")
  elseif enabled and FALSE[enabled:lower()] then
    s.why = "WANDB_ENABLED is " .. enabled
  elseif enabled and not TRUE[enabled:lower()] then
    s.why = ("WANDB_ENABLED is %s, which is neither true nor false"):format(enabled)
  elseif not MODES[mode] then
    s.why = ("WANDB_MODE is %s; there are online, offline and disabled"):format(mode)
  elseif mode == "disabled" then
    s.why = "WANDB_MODE is disabled"
  elseif disabled and TRUE[disabled:lower()] then
    s.why = "WANDB_DISABLED is " .. disabled
  else
    s.wanted, s.why = true, by
    decide_online(s)
  end
  return s
end

--- A setting's value for people: never a secret's.
---@return string? value
---@return string? origin
function settings.show(name)
  local value, origin = lookup(name)
  if value then return value, origin end
  origin = secrets.origin(name)
  return origin and "(set)", origin
end

return settings
