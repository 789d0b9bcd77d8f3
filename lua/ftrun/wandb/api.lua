--- Requests to W&B's API: authentication, JSON, retries by retry.lua. Every request may be repeated: runs are put by
--- their id, lines by their number, files and artifacts by their content.
local address = require "ftrun.providers.address"
local err = require "ftrun.err"
local http = require "ft.http"
local json = require "ftrun.json"
local log = require "ft.log"
local retry = require "ftrun.retry"
local secrets = require "ft.secrets"
local settings = require "ftrun.wandb.settings"
local time = require "ft.time"

local BACKOFF_S, LAST_CAP_S = 1, 3

--- Seconds of trouble before somebody is told.
local TOLD_S = 5

local STREAM_TIMEOUT_S, UPLOAD_TIMEOUT_S = 180, 24 * 3600

---@class ftrun.wandb.Api
---@field base_url string
---@field auth ft.http.Auth
---@field busy integer       requests under way, but uploads
---@field last boolean?      the run is at its end: retries are bounded
local Api = {}
Api.__index = Api

--- Most seconds that the last requests of a run may be retried: after an answer, and without any.
Api.last_s = { answered = 60, unreachable = 15 }

---@param o { base_url: string, secret: string }
---@return ftrun.wandb.Api
function Api.new(o)
  o.busy = 0
  o.auth = { secret = o.secret, user = "api" }
  o.headers = { ["content-type"] = "application/json", ["x-wandb-username"] = secrets.setting "WANDB_USERNAME" or "",
    ["x-wandb-user-email"] = secrets.setting "WANDB_USER_EMAIL" or "" }
  return setmetatable(o, Api)
end

-- what a refusal says for itself
local function reason(response)
  local body = json.decode(response.body)
  local list = type(body) == "table" and body.errors
  local first = type(list) == "table" and type(list[1]) == "table" and list[1].message
  local said = first or type(body) == "table" and body.error
  said = type(said) == "string" and said
  return ("HTTP %d%s"):format(response.status, said and ": " .. said:sub(1, 300) or "")
end

local ADVICE = {
  [401] = "Take a key from %s/authorize into WANDB_API_KEY.",
  [403] = "Check that the key may write to this project (WANDB_ENTITY, WANDB_PROJECT).",
  [404] = "Check WANDB_BASE_URL, WANDB_ENTITY and WANDB_PROJECT.",
}
local ADDRESS = "Check WANDB_BASE_URL."
local ADVICE_WITHOUT_ANSWER = { dns = ADDRESS, refused = ADDRESS, bad_url = ADDRESS, tls = ADDRESS }

--- Something is being repeated: told once, and only when it lasts.
function Api:retries(text)
  self.since = self.since or time.monotonic()
  if self.told or time.monotonic() - self.since < TOLD_S then return end
  self.told = true
  log.info(("W&B: %s; the run goes on"):format(text))
end

--- Sends until there is an answer that counts. Raises err: "network" when patience ended, "provider" for a refusal.
function Api:send(what, method, url, options)
  if address.is_loopback(url) then options.proxy = false end
  local outcome = retry.run({
    what = what, creates = false, backoff_s = BACKOFF_S, cap_s = self.last and LAST_CAP_S or nil,
    patience_s = function(outcome)
      return not self.last and math.huge or self.last_s[outcome.response and "answered" or "unreachable"]
    end,
    on_retry = function(text) self:retries(text) end,
  }, function()
    local counts = method == "POST" and 1 or 0
    self.busy = self.busy + counts
    local response, message, code, sent = http.request(method, url, options)
    self.busy = self.busy - counts
    -- two that put a run at the same time: the second one is asked to come again
    return { response = response, message = message, code = code, sent = sent,
      passing = what == "UpsertBucket" and response ~= nil and response.status == 409 }
  end)
  local response = outcome.response
  if not response then
    err.raise("network", ("W&B: %s: %s"):format(what, outcome.message or outcome.code),
      { code = outcome.code, advice = ADVICE_WITHOUT_ANSWER[outcome.code] })
  end
  if response.status < 200 or response.status > 299 then
    local advice = ADVICE[response.status]
    err.raise(retry.may(outcome, false) and "network" or "provider", ("W&B: %s: %s"):format(what, reason(response)),
      { status = response.status, advice = advice and advice:format(settings.app_url(self.base_url)) })
  end
  if self.told then log.info "W&B: the connection is there again" end
  self.since, self.told = nil, nil
  return response
end

local function post(self, what, path, body, timeout_s)
  local response = self:send(what, "POST", self.base_url .. path, { auth = self.auth, headers = self.headers,
    body = json.encode(body), timeout_s = timeout_s })
  local value = json.decode(response.body)
  if type(value) ~= "table" then
    err.raise("provider", ("W&B: %s: the answer is no JSON object"):format(what),
      { advice = ADDRESS })
  end
  return value, response
end

--- One GraphQL operation; answers its `data`.
---@param name string
---@param query string
---@param variables table
---@return table data
function Api:graphql(name, query, variables)
  local value = post(self, name, "/graphql", { operationName = name, query = query, variables = variables })
  local first = type(value.errors) == "table" and value.errors[1]
  if first or type(value.data) ~= "table" then
    err.raise("provider", ("W&B: %s: %s"):format(name,
      type(first) == "table" and type(first.message) == "string" and first.message or "an answer without data"))
  end
  return value.data
end

--- Sends a piece of a run's streams.
---@return table answer
---@return table<string, string> headers
function Api:stream(run, body)
  local path = ("/files/%s/%s/%s/file_stream"):format(http.escape(run.entity), http.escape(run.project),
    http.escape(run.id))
  local value, response = post(self, "file_stream", path, body, STREAM_TIMEOUT_S)
  return value, response.headers
end

--- Puts a file where the server has said. Whose place that is checks no key.
---@param url string
---@param headers string[]?  "Name: value"
---@param path string
function Api:put(url, headers, path)
  local list = {}
  for _, line in ipairs(headers or {}) do
    local name, value = line:match "^([^:]+):%s*(.*)$"
    if name then list[name] = value end
  end
  if not url:find "^%a+://" then url = self.base_url .. url end
  self:send("upload of " .. path:match "[^/]*$", "PUT", url, { headers = list, file = path,
    timeout_s = UPLOAD_TIMEOUT_S })
end

return Api
