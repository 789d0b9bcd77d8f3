--- What a provider lets through in a minute, learned from the headers of its answers: x-ratelimit-limit-requests,
--- -remaining-requests and -reset-requests, and the same for tokens. Each is a bucket that fills again steadily:
--- `reset` is the time until it is full. Every answer brings the true level, so that a wrong guess lasts one answer;
--- where nothing is said, nothing is held back.
local retry = require "ftrun.retry"

local M = {}

local Limits = {}
Limits.__index = Limits

-- Before any answer has told how many tokens a text has: OpenAI's own rough count.
local TOKENS_A_BYTE = 0.25
local LEARNING = 0.1
local CAP_S = 30

---@return ftrun.ask.Limits
function M.new()
  return setmetatable({ rate = TOKENS_A_BYTE, paused_until = 0, storms = 0, sent = 0, newest = 0,
    flying = { requests = 0, tokens = 0 }, buckets = {} }, Limits)
end

local function level(bucket, now)
  return math.min(bucket.limit, bucket.level + (now - bucket.at) * bucket.a_second)
end

local function wait_for(bucket, amount, now)
  if not bucket then return 0 end
  -- one that is larger than the whole bucket waits for a full one, and is for the server to judge
  local lacking = math.min(amount, bucket.limit) - level(bucket, now)
  if lacking <= 0 then return 0 end
  return bucket.a_second > 0 and lacking / bucket.a_second or 1
end

--- How many tokens a request of so many bytes probably takes, with its answer.
---@param bytes integer
---@return number
function Limits:tokens(bytes) return bytes * self.rate end

--- Takes what an attempt needs, when it is there.
---@param tokens number
---@param now number       seconds of the monotonic clock
---@return number wait_s   0: taken
---@return string? why     what is waited for
function Limits:take(tokens, now)
  if self.paused_until > now then return self.paused_until - now, "the provider asked for a pause" end
  local amounts, wait, why = { requests = 1, tokens = tokens }, 0, nil
  for kind, bucket in pairs(self.buckets) do
    local seconds = wait_for(bucket, amounts[kind], now)
    if seconds > wait then
      wait, why = seconds, ("the provider's limit of %d %s a minute"):format(bucket.a_minute, kind)
    end
  end
  if wait > 0 then return wait, why end
  for kind, bucket in pairs(self.buckets) do
    bucket.level, bucket.at = level(bucket, now) - amounts[kind], now
  end
  for kind, amount in pairs(amounts) do self.flying[kind] = self.flying[kind] + amount end
  return 0
end

--- An attempt is over, whatever came of it.
---@param tokens number  as it was taken
function Limits:give_back(tokens)
  self.flying.requests, self.flying.tokens = self.flying.requests - 1, self.flying.tokens - tokens
end

local function learn(self, kind, headers, now)
  local limit = tonumber(headers["x-ratelimit-limit-" .. kind])
  local left = tonumber(headers["x-ratelimit-remaining-" .. kind])
  if not (limit and left and limit >= 1) then return end
  local reset = retry.duration(headers["x-ratelimit-reset-" .. kind])
  local bucket = self.buckets[kind] or { a_second = limit / 60 }
  if reset and reset > 0 and limit > left then bucket.a_second = (limit - left) / reset end
  -- requests on their way may be counted there already, or not yet: the cautious guess
  bucket.limit, bucket.level, bucket.at = limit, math.max(0, left - self.flying[kind]), now
  bucket.a_minute = math.floor(math.min(limit, bucket.a_second * 60) + 0.5)
  self.buckets[kind] = bucket
end

--- Whether both limits are known: only then can more be asked at once without a guess.
---@return boolean
function Limits:known() return self.buckets.requests ~= nil end

--- Whether so many more requests as are on their way would be let through now.
---@param now number
---@return boolean
function Limits:room(now)
  for kind, bucket in pairs(self.buckets) do
    if level(bucket, now) < self.flying[kind] then return false end
  end
  return true
end

--- Learns from an answer, of success or failure.
---@param response { status: integer, headers: table<string, string> }
---@param number integer   of the attempt, as it was sent: an older answer than the newest says nothing new
---@param now number       seconds of the monotonic clock
---@param wall_now number  seconds since 1970
---@return boolean refused  the provider wants fewer requests
function Limits:answer(response, number, now, wall_now)
  if number > self.newest then
    self.newest = number
    for _, kind in ipairs { "requests", "tokens" } do learn(self, kind, response.headers, now) end
  end
  local status = response.status
  if status ~= 429 and status ~= 503 and status ~= 529 then
    if status < 400 then self.storms = 0 end
    return false
  end
  local fresh = self.paused_until <= now -- of many refusals at once, one counts
  local asked = retry.asked(response.headers, wall_now)
  if fresh and not asked then self.storms = self.storms + 1 end
  local pause = asked or math.min(CAP_S, 0.5 * 2 ^ math.max(0, self.storms - 1))
  self.paused_until = math.max(self.paused_until, now + pause)
  return fresh
end

--- Learns how many tokens texts have here.
---@param bytes integer
---@param usage { total_tokens: integer?, prompt_tokens: integer?, completion_tokens: integer? }?
function Limits:used(bytes, usage)
  local total = usage and (usage.total_tokens or (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)) or 0
  if bytes > 0 and total > 0 then self.rate = self.rate + LEARNING * (total / bytes - self.rate) end
end

return M
