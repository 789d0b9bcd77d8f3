--- Opens a provider by name. All of them speak the OpenAI wire; what differs between them is a row of one table.
local secrets = require "ft.secrets"
local err = require "ftrun.err"
local Provider = require "ftrun.providers.openai"
local Wire = require "ftrun.providers.wire"

local providers = {}

---@class ftrun.Dialect
---@field title string              name in messages
---@field base_url string?          default address
---@field base_url_setting string?  setting that replaces it
---@field secret string|false       name of the key's setting; false: no key
---@field auth { header: string, prefix: string }?  default: Authorization, Bearer
---@field admin_secret string?      name of the setting with a key for what concerns the whole organization
---@field headers table<string, string>?  header -> name of the setting that it carries, when it is set
---@field suffix_characters integer  longest suffix of a tuned model's name
---@field file_bytes integer         largest file in one request
---@field upload_bytes integer       largest file in parts
---@field part_bytes integer         largest part
---@field batch_requests integer     most requests of a batch
---@field batch_bytes integer        largest file of a batch
---@field repeats boolean?           gives the same question the same answer: one that broke off can be gone on with
---@field closing boolean?           takes fewer and fewer jobs; see dates.lua

---@type table<string, ftrun.Dialect>
providers.dialects = {
  openai = {
    title = "OpenAI", base_url = "https://api.openai.com/v1", base_url_setting = "OPENAI_BASE_URL",
    secret = "OPENAI_API_KEY", admin_secret = "OPENAI_ADMIN_KEY",
    headers = { ["OpenAI-Organization"] = "OPENAI_ORG_ID", ["OpenAI-Project"] = "OPENAI_PROJECT_ID" },
    suffix_characters = 64, file_bytes = 512 * 1000 * 1000, upload_bytes = 8 * 1000 * 1000 * 1000,
    part_bytes = 64 * 1000 * 1000, batch_requests = 50000, batch_bytes = 200 * 1000 * 1000, closing = true,
  },
  ["local"] = {
    title = "local provider", secret = false, suffix_characters = 64, file_bytes = 512 * 1024 * 1024,
    upload_bytes = 8 * 1024 * 1024 * 1024, part_bytes = 64 * 1024 * 1024, batch_requests = 50000,
    batch_bytes = 200 * 1000 * 1000, repeats = true,
  },
}

local function setting(name)
  local ok, value = pcall(secrets.setting, name)
  if not ok then
    err.raise("setting", name .. " holds a password, or is named like a secret",
      { advice = "Keys belong into settings of their own, addresses must hold none." })
  end
  return value
end

local function base_url(dialect, given)
  local from = not given and dialect.base_url_setting
  local url = given or from and setting(from) or dialect.base_url
  if not url or not url:find("^https?://[^/%s]+[^%s]*$") then
    err.raise("setting", ("%s is no address: '%s'"):format(from or "the provider's base URL", url or ""),
      { advice = "It must look like https://api.openai.com/v1" })
  end
  return (url:gsub("/+$", ""))
end

--- The address that requests to a provider go to, when a setting replaced its own; nil otherwise. Raises err "setting".
---@param name string
---@return string?
function providers.endpoint(name)
  local dialect = providers.dialects[name]
  local url = dialect.base_url and base_url(dialect)
  return url ~= dialect.base_url and url or nil
end

--- Opens a provider; sends nothing yet. Its functions wait, so call them from a task.
---@param o { name: "openai"|"local", base_url: string?, auth_secret: string|false|nil, on_retry: fun(text: string)?,
---  file_bytes: integer?, part_bytes: integer?, longest_s: number?, backoff_s: number?, locate: function? }
---  file_bytes and part_bytes replace the provider's own limits; no request takes longer than longest_s; backoff_s: see
---  retry.run; locate: see ftrun.Wire
---@return ftrun.Provider
function providers.open(o)
  local dialect = providers.dialects[o.name]
  if not dialect then
    local names = {}
    for name in pairs(providers.dialects) do names[#names + 1] = name end
    table.sort(names)
    err.raise("usage", ("there is no provider '%s'"):format(o.name),
      { advice = "Known are: " .. table.concat(names, ", ") })
  end
  dialect = setmetatable({ file_bytes = o.file_bytes, part_bytes = o.part_bytes }, { __index = dialect })
  local secret = o.auth_secret
  if secret == nil then secret = dialect.secret end
  local auth = dialect.auth or { header = "Authorization", prefix = "Bearer " }
  local headers = {}
  for header, name in pairs(dialect.headers or {}) do headers[header] = setting(name) end
  local admin = secret and dialect.admin_secret
  admin = admin and secrets.origin(admin) and { secret = admin, header = auth.header, prefix = auth.prefix } or nil
  return Provider.new(o.name, dialect, Wire.new {
    title = dialect.title, base_url = base_url(dialect, o.base_url), headers = headers, on_retry = o.on_retry,
    longest_s = o.longest_s or math.huge, backoff_s = o.backoff_s, locate = o.locate,
    auth = secret and { secret = secret, header = auth.header, prefix = auth.prefix } or nil,
  }, admin)
end

return providers
