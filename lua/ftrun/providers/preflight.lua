--- What can be told before anything is uploaded or paid for: the key is good, the model is there and lives on, the
--- suffix and the files are within the provider's limits, and the organization may still train.
local http = require "ft.http"
local dates = require "ftrun.plan.dates"
local err = require "ftrun.err"
local errors = require "ftrun.providers.errors"
local time = require "ft.time"
local values = require "ftrun.providers.values"

--- Since when OpenAI takes no job from an organization that has never had one.
local NEWCOMERS_UNTIL = "2026-05-07"

--- Since when it takes none from an organization that has not used a tuned model for so many days. Uses cannot be
--- seen from here; a job in that time speaks for one.
local QUIET_UNTIL, QUIET_DAYS = "2026-07-02", 60

--- No id of a file: those have letters and digits behind the dash.
local NO_FILE = "file-ftrun.asks/for.no.file"

local M = {}

local function check_limits(provider, o)
  local most = provider.dialect.suffix_characters
  local characters = o.suffix and utf8.len(o.suffix)
  if characters and characters > most then
    err.raise("recipe", ("suffix '%s' is longer than the %d characters that %s takes"):format(o.suffix, most,
      provider.title), { advice = ("Shorten it to %d characters."):format(most) })
  end
  for _, file in ipairs(o.files or {}) do
    if file.bytes and file.bytes > provider.dialect.upload_bytes then
      err.raise("data", ("%s has %d bytes, %s takes %d at most"):format(file.path, file.bytes, provider.title,
        provider.dialect.upload_bytes), { advice = "Use fewer or shorter examples." })
    end
  end
end

--- A model that the provider does not know any more may be one that ftrun knows to be gone.
local function look_up(provider, name)
  local ok, e = pcall(provider.wire.call, provider.wire, "GET", "/models/" .. http.escape(name))
  if ok then return values.model(e) end
  local known = err.is(e) and e.status == 404 and provider.dialect.closing and dates.model(name)
  if known and known.days <= 0 then
    e.advice = ("It was shut down on %s. Choose another base_model, or use --local."):format(known.date)
  end
  error(e, 0)
end

--- OpenAI's own service, whose end ftrun knows; other servers that speak its API have no such dates.
local function at_openai(provider)
  return provider.dialect.closing and provider.base_url == provider.dialect.base_url
end

--- Why OpenAI may refuse the job, from what can be seen; nil when nothing speaks for it.
local function doubt(provider)
  local newest = provider:jobs({ limit = 1 })[1]
  if dates.days(dates.last_job) <= 0 then
    return ("OpenAI takes no fine-tuning jobs since %s"):format(dates.last_job)
  elseif not newest then
    return ("this key shows no fine-tuning job yet, and since %s OpenAI takes none from organizations that never had "
      .. "one"):format(NEWCOMERS_UNTIL)
  elseif newest.created_at and time.now() - newest.created_at > QUIET_DAYS * 86400 then
    return ("the newest job is of %s, and since %s OpenAI takes none from organizations that have not used a tuned "
      .. "model for %d days"):format(time.iso8601(newest.created_at):sub(1, 10), QUIET_UNTIL, QUIET_DAYS)
  end
end

--- OpenAI refuses an organization only when the job is created, after the files have gone up. Where there is doubt, a
--- job is asked for without a file: its id is none, so no file can ever have it, and nothing can be trained. Who is
--- shut out is told so before.
local function ask(provider, model)
  local ok, e = pcall(provider.create, provider, { model = model, training_file = NO_FILE })
  if ok then
    -- a provider that looks for files later: the job can only fail, and must not stand there until then
    pcall(provider.cancel, provider, e.id)
    return "allowed"
  elseif not err.is(e) then
    error(e, 0)
  end
  return e.code == "training_not_available" and "refused" or "unknown", e
end

--- Raises when the organization may train no more; what is only likely is the warning that is returned.
---@param provider ftrun.Provider
---@param model string
---@return string? warning
function M.may_train(provider, model)
  local why = at_openai(provider) and doubt(provider)
  if not why then return nil end
  local verdict, e = ask(provider, model)
  if verdict == "allowed" then return nil end
  if verdict == "refused" then
    e.message = ("%s: %s"):format(e.message, why)
    error(e, 0)
  end
  local row = errors.find(403, { code = "training_not_available" })
  return ("%s: it may be refused after the upload (training_not_available). %s"):format(why, row.advice)
end

---@class ftrun.Preflight
---@field model string
---@field shutdown_date string?
---@field days integer?          until then
---@field warning string?

--- Raises when the job would surely be refused.
---@param provider ftrun.Provider
---@param o { model: string, suffix: string?, files: { path: string, bytes: integer? }[]?, only_look: boolean? }
---  only_look: nothing is asked for; whether the organization may still train is left open
---@return ftrun.Preflight
function M.check(provider, o)
  check_limits(provider, o)
  local model = look_up(provider, o.model)
  local date = model.shutdown_date
  if not date and at_openai(provider) then
    local known = dates.model(o.model)
    date = known and known.date
  end
  local ok, days = pcall(dates.days, date or "")
  if not ok then days = nil end
  if days and days <= 0 then
    err.raise("provider", ("%s: %s was shut down on %s"):format(provider.title, o.model, date), {
      code = "model_shut_down", advice = "Choose another base_model, or use --local." })
  end
  return { model = model.id or o.model, shutdown_date = date, days = days,
    warning = not o.only_look and M.may_train(provider, model.id or o.model) or nil }
end

return M
