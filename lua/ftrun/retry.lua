--- When to ask again, and how long to wait before: the only place that sleeps for retries.
---
--- A request that changes nothing, or changes the same thing again, is repeated after every passing failure. One that
--- creates something is repeated only when it cannot have been received (no byte left) or was refused before any work
--- (429, 503): in every other case its sender has to look first.
local time = require "ft.time"

local retry = {}

local BASE_S, CAP_S = 0.5, 30  -- backoff: 0.5 s, 1 s, 2 s ... each shortened by up to a half at random

--- How long one request may be retried, in seconds. Without an answer: once the provider has answered anything, an
--- outage is waited for; before, a wrong address or a missing network shows quickly; on this machine waiting helps
--- little.
--- An answer that cannot be read may be a passing fault of something in between, but is more often a wrong address.
retry.PATIENCE_S = { answered = 300, known = 900, new = 15, loopback = 5, garbled = 3 }

--- Failures of the connection that pass. The others (bad_url, no_secret, tls, too_large, io, cancelled) do not.
local passing_codes = { dns = true, refused = true, timeout = true, stalled = true, reset = true }

--- Answers that pass, and whether the server did nothing: true also for requests that create.
local passing_statuses = {
  [408] = false, [429] = true, [500] = false, [502] = false, [503] = true, [504] = false,
  [520] = false, [521] = false, [522] = false, [523] = false, [524] = false, [529] = false,
}

---@class ftrun.Outcome       what became of one attempt
---@field response ft.http.Response?
---@field message string?     without a response: what failed
---@field code string?        and its code
---@field sent boolean?       and whether any byte left
---@field garbled boolean?     the answer is a success, and cannot be read
---@field passing boolean?    this answer passes, whatever others of its status do
---@field final boolean?      the answer's error code says that asking again is useless (no quota, say)
---@field waited_s number?     of the attempt's time, what it waited for its turn: no patience is used up by that

--- Seconds in "1s", "6m0s", "20ms", "1h2m3.5s"; nil for anything else.
---@param text string?
---@return number?
function retry.duration(text)
  local units, sum, rest = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }, 0, text or ""
  if rest == "" then return nil end
  while rest ~= "" do
    local n, unit, after = rest:match("^(%d+%.?%d*)(%a+)(.*)$")
    if not units[unit] then return nil end
    sum, rest = sum + tonumber(n) * units[unit], after
  end
  return sum
end

local months = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11,
  Dec = 12 }

--- Seconds since 1970 of an HTTP date ("Sun, 22 Nov 2026 06:00:00 GMT").
local function http_date(text)
  local day, month, year, clock = text:match("^%a+, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d:%d%d:%d%d) GMT$")
  if not months[month] then return nil end
  return (time.parse(("%s-%02d-%sT%sZ"):format(year, months[month], day, clock)))
end

--- How long the server asks to wait, in seconds; nil when it does not say.
---@param headers table<string, string>
---@param now number  seconds since 1970
---@return number?
function retry.asked(headers, now)
  local ms, after = tonumber(headers["retry-after-ms"]), headers["retry-after"]
  if ms then return math.max(0, ms / 1000) end
  if tonumber(after) then return math.max(0, tonumber(after)) end
  local date = after and http_date(after)
  if date then return math.max(0, date - now) end
  local longest
  for _, kind in ipairs { "requests", "tokens" } do
    local left = retry.duration(headers["x-ratelimit-reset-" .. kind])
    if left and headers["x-ratelimit-remaining-" .. kind] == "0" then longest = math.max(longest or 0, left) end
  end
  return longest
end

--- Whether an attempt may be repeated.
---@param outcome ftrun.Outcome
---@param creates boolean  the request creates something
---@return boolean
function retry.may(outcome, creates)
  local response = outcome.response
  if outcome.final then return false end
  if outcome.passing then return not creates end
  if outcome.garbled then return not creates end
  if not response then
    return passing_codes[outcome.code] == true and (not creates or outcome.sent == false)
  end
  local untouched = passing_statuses[response.status]
  if untouched == nil or response.headers["x-should-retry"] == "false" then return false end
  return untouched or not creates
end

--- Seconds before attempt n + 1; nil: give up.
---@param outcome ftrun.Outcome
---@param n integer            attempts made
---@param o { creates: boolean, left_s: number, now: number, random: number, backoff_s: number?,
---  cap_s: number? }  random in [0, 1)
---@return number?
function retry.wait(outcome, n, o)
  if not retry.may(outcome, o.creates) then return nil end
  local asked = outcome.response and retry.asked(outcome.response.headers, o.now)
  local backoff = math.min(o.cap_s or CAP_S, (o.backoff_s or BASE_S) * 2 ^ (n - 1)) * (1 - o.random / 2)
  -- somewhat later than asked, so that many clients do not come back in the same moment
  local wait = asked and asked + o.random * math.min(1, 0.1 * asked + 0.05) or backoff
  return wait <= o.left_s and wait or nil
end

local function reason(outcome)
  if outcome.garbled then return "an answer that cannot be read" end
  return outcome.response and "HTTP " .. outcome.response.status or outcome.message or outcome.code
end

--- Makes attempts until one succeeds, fails for good, or the patience ends. Waits; call it from a task.
---@param o { what: string, creates: boolean, patience_s: (fun(outcome: ftrun.Outcome): number),
---  on_retry: fun(text: string)?, backoff_s: number?, cap_s: number? }  backoff_s, cap_s: the first wait that
---  nobody asked for, and the longest; default half a second and half a minute
---@param attempt fun(): ftrun.Outcome
---@return ftrun.Outcome last
function retry.run(o, attempt)
  local started, n = time.monotonic(), 0 -- started: without the waits for turns
  while true do
    local outcome = attempt()
    n, started = n + 1, started + (outcome.waited_s or 0)
    local wait = retry.wait(outcome, n, { creates = o.creates, now = time.now(), random = math.random(),
      backoff_s = o.backoff_s, cap_s = o.cap_s,
      left_s = o.patience_s(outcome) - (time.monotonic() - started) })
    if not wait then return outcome end
    if o.on_retry then o.on_retry(("%s: %s; trying again in %.1f s"):format(o.what, reason(outcome), wait)) end
    time.sleep(wait)
  end
end

return retry
