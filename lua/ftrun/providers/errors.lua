--- What a provider's refusals mean and what to do about them: one table, from code, status and words to the answer.
--- Codes are an open set; what is not listed is shown as the provider says it.
local errors = {}

local LIMITS = "https://platform.openai.com/settings/organization/limits"
local DATA = "Every line must be one JSON object with `messages`, each with role and content, the last one the " ..
  "assistant's; at least 10 lines. `ftrun plan RECIPE` lists what is wrong, with line numbers."

---@class ftrun.ErrorRow
---@field code string?      matches error.code or error.type
---@field status integer?   matches the HTTP status; both: both must match
---@field words string?     a Lua pattern that the lower-case message must hold
---@field kind string       kind of the raised error (see err.lua)
---@field meaning string
---@field advice string?
---@field reaction "stop"|"retry"  stop: asking again unchanged is useless

--- The first row that matches counts.
---@type ftrun.ErrorRow[]
errors.table = {
  { code = "insufficient_quota", kind = "provider", reaction = "stop", meaning = "the account's quota is used up",
    advice = "Check balance and limits at " .. LIMITS .. ", then run again: it continues here." },
  { code = "exceeded_quota", kind = "provider", reaction = "stop", meaning = "the account's quota is used up",
    advice = "Check balance and limits at " .. LIMITS .. ", then run again." },
  { code = "billing_hard_limit_reached", kind = "provider", reaction = "stop",
    meaning = "the spending limit is reached",
    advice = "Raise it at " .. LIMITS .. ", then run again: it continues here." },
  { code = "training_not_available", kind = "provider", reaction = "stop",
    meaning = "this organization can no longer create fine-tuning jobs",
    advice = "OpenAI is winding fine-tuning down, and no request will change that. " ..
      "Use `ftrun --local RECIPE`, or another provider." },
  { code = "daily_rate_limit_exceeded", kind = "provider", reaction = "stop",
    meaning = "the number of fine-tuning jobs per model and 24 hours is reached",
    advice = "Run again in some hours: it continues here, and uploads nothing twice." },
  { code = "rate_limit_exceeded", status = 429, kind = "provider", reaction = "retry", meaning = "too many requests",
    advice = "Wait a minute, then run again: it continues here. Limits: " .. LIMITS },
  { code = "invalid_training_file", kind = "data", reaction = "stop", meaning = "the training file was not accepted",
    advice = DATA },
  { code = "invalid_validation_file", kind = "data", reaction = "stop",
    meaning = "the validation file was not accepted", advice = DATA },
  { code = "invalid_file_format", kind = "data", reaction = "stop", meaning = "the file was not accepted",
    advice = DATA },
  { code = "invalid_n_examples", kind = "data", reaction = "stop", meaning = "the file has too few examples",
    advice = "At least 10 are needed, 50 or more are recommended." },
  { code = "unsafe_file", kind = "data", reaction = "stop", meaning = "the file was refused as unsafe",
    advice = "Remove the examples that break the provider's usage policies." },
  { words = "file validation failed", kind = "data", reaction = "stop", meaning = "the file did not pass validation",
    advice = DATA },
  { code = "method_not_supported", kind = "provider", reaction = "stop",
    meaning = "this provider does not train by that method", advice = "Choose another method or provider." },
  { code = "model_not_found", kind = "provider", reaction = "stop",
    meaning = "the model does not exist, or this key may not use it",
    advice = "Check its name (base_model, --model): ftrun models lists what is there. It may have been shut down." },
  { code = "server_error", kind = "network", reaction = "retry", meaning = "the provider has a fault",
    advice = "Run again later: it continues here." },
  { status = 401, kind = "setting", reaction = "stop", meaning = "the key was not accepted",
    advice = "Check the key in the environment or .env (and OPENAI_ORG_ID, OPENAI_PROJECT_ID when they are set)." },
  { status = 403, kind = "provider", reaction = "stop", meaning = "this key may not do that",
    advice = "Give the key the permissions for files, fine-tuning and models, or use another key." },
  { status = 404, kind = "provider", reaction = "stop", meaning = "no such thing is there, or this key may not see it",
    advice = "Check the id, and that the key belongs to the same organization and project." },
  { status = 409, kind = "provider", reaction = "stop", meaning = "that is not possible in the present state" },
  { status = 413, kind = "data", reaction = "stop", meaning = "the file is too large",
    advice = "Use fewer or shorter examples: the limit is 512 MB a file." },
  { status = 408, kind = "network", reaction = "retry", meaning = "the provider waited too long for the request",
    advice = "Run again: it continues here." },
  { status = 429, kind = "provider", reaction = "retry", meaning = "too many requests",
    advice = "Wait a minute, then run again: it continues here. Limits: " .. LIMITS },
}

local SERVER = { kind = "network", reaction = "retry", meaning = "the provider has a fault",
  advice = "Run again later: it continues here. Known outages: the provider's status page." }
local OTHER = { kind = "provider", reaction = "stop", meaning = "the provider refused the request" }

local function matches(row, status, e)
  return (not row.code or row.code == e.code or row.code == e.type)
    and (not row.status or row.status == status)
    and (not row.words or (e.message or ""):lower():find(row.words) ~= nil)
end

--- The row for an answer.
---@param status integer?  nil for the error of a job
---@param e { code: string?, type: string?, message: string? }
---@return ftrun.ErrorRow
function errors.find(status, e)
  for _, row in ipairs(errors.table) do
    if matches(row, status, e) then return row end
  end
  return status and status >= 500 and SERVER or OTHER
end

--- What to do about a failed job's error; nil when nothing better is known than what it says itself.
---@param e { code: string?, message: string? }
---@return string?
function errors.job_advice(e)
  return errors.find(nil, e).advice
end

local OWN_CA = "If the server, or a proxy in between, has a certificate of your own authority, put the path of the "
  .. "authority's certificate into SSL_CERT_FILE or CURL_CA_BUNDLE; otherwise install ca-certificates."

--- Requests that got no answer: what failed is said by ft.http, with the host; here is what to do about it.
---@type table<string, string[]>  code of ft.http -> kind, advice
local transport = {
  no_secret = { "setting", "Put the key into the environment or into .env, or use --local." },
  bad_url = { "setting", "Check OPENAI_BASE_URL." },
  dns = { "network", "Check the network connection (and OPENAI_BASE_URL)." },
  refused = { "network", "Check the network connection (and OPENAI_BASE_URL)." },
  tls = { "network",
    "Check the date of this machine, its certificates (ca-certificates), and any proxy in between." },
  timeout = { "network", "Run again: it continues here." },
  stalled = { "network", "Run again: it continues here." },
  reset = { "network", "Run again: it continues here." },
  proxy = { "network", "Check HTTPS_PROXY, ALL_PROXY and NO_PROXY." },
  too_large = { "provider", "No answer of the API is so large: check OPENAI_BASE_URL, and any proxy in between." },
  io = { "system" },
}

-- What OpenSSL says by way of libcurl, and what is to be done about it.
local TLS = {
  { "expired", "Check the date of this machine. If it is right, the server's certificate is out of date, and only "
    .. "whoever runs the server can renew it." },
  { "not yet valid", "Check the date of this machine." },
  { "subject name", "The certificate is for another host: check the address, and any proxy in between." },
  { "issuer", OWN_CA }, { "self.signed", OWN_CA }, { "verify", OWN_CA },
  { "certificate file", "Check the path in SSL_CERT_FILE or CURL_CA_BUNDLE." },
}

--- What to do about a request that got no answer.
---@param outcome ftrun.Outcome
---@return string kind
---@return string? advice
function errors.unanswered(outcome)
  local row = transport[outcome.code] or { "network" }
  if outcome.code == "tls" then
    for _, known in ipairs(TLS) do
      if (outcome.message or ""):find(known[1]) then return row[1], known[2] end
    end
  end
  return row[1], row[2]
end

return errors
