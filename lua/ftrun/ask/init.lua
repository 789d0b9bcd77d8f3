--- Asks a model many things at once: the one place that decides how many requests are on their way. It keeps to the
--- provider's limits as its answers tell them (ask/limits.lua); a refusal (429) pauses all requests, and halves how
--- many go at once. What is tried again, and when, is retry.lua's.
local err = require "ftrun.err"
local limits = require "ftrun.ask.limits"
local queue = require "ftrun.ask.queue"
local retry = require "ftrun.retry"
local task = require "ft.task"
local time = require "ft.time"

local M = {}

local AT_ONCE = 8    -- to begin with, when nothing else is asked for
local MOST = 64      -- so many at once, when the provider says that there is room
local PATIENCE_S = 60 -- a question that fails while others are answered must not keep its place for ever
local TELL_S = 3     -- a wait that is worth a word

--- Refusals that no other question would escape.
local HOPELESS = { insufficient_quota = true, exceeded_quota = true, billing_hard_limit_reached = true }

---@class ftrun.Asker
local Asker = {}
Asker.__index = Asker
Asker.__close = function(self) self:close() end

--- An asker of a provider. It sends nothing by itself.
---@param o { provider: ftrun.Provider, at_once: integer?, on_wait: fun(text: string)? }  at_once: never more; without
---  it, 8 at first, and more as far as the provider says that there is room; on_wait: a line for people when the
---  provider's limits hold requests back
---@return ftrun.Asker
function M.open(o)
  return setmetatable({ provider = o.provider, most = o.at_once or MOST, allowed = o.at_once or AT_ONCE,
    fixed = o.at_once ~= nil, on_wait = o.on_wait or function() end, flying = 0, calm = 0, sent = 0, answered = 0,
    limits = limits.new(),
    places = queue.new(), turns = queue.new() }, Asker)
end

-- ---- one question ----

local function bytes_of(request)
  local bytes = 0
  for _, m in ipairs(request.messages or {}) do
    if type(m.content) == "string" then
      bytes = bytes + #m.content
    elseif type(m.content) == "table" then
      for _, part in ipairs(m.content) do
        if type(part) == "table" and type(part.text) == "string" then bytes = bytes + #part.text end
      end
    end
  end
  return bytes
end

local function check(self)
  if self.fatal then error(self.fatal, 0) end
  if self.closed then err.raise("detached", "the asker is closed") end
end

--- A place among those that are on their way; given back when the variable goes out of scope.
local function place(self)
  self.places:pass(function()
    check(self)
    if self.flying >= self.allowed then return math.huge end
    self.flying = self.flying + 1
    return 0
  end)
  return setmetatable({}, { __close = function()
    self.flying = self.flying - 1
    self.places:ring()
  end })
end

local function fewer(self)
  self.allowed, self.calm = math.max(1, self.allowed // 2), 0
end

-- One more for each round that went well, as long as the provider's own numbers leave room. What was given as the most
-- is gone back to in any case.
local function calmer(self)
  self.calm = self.calm + 1
  if self.calm < self.allowed or self.allowed >= self.most then return end
  local limit = self.limits
  if self.fixed or self.allowed < AT_ONCE or limit:known() and limit:room(time.monotonic()) then
    self.allowed, self.calm = self.allowed + 1, 0
    self.places:ring()
  end
end

-- A line for people, but not one for each of a hundred requests.
local function tell(self, text, seconds)
  local now = time.monotonic()
  if now < (self.quiet_until or 0) then return end
  self.quiet_until = now + math.max(TELL_S, seconds)
  self.on_wait(text)
end

local Turn = {}
Turn.__index = Turn

--- What came of the attempt.
---@param response ft.http.Response?  nil: no answer
function Turn:answer(response)
  local asker = self.asker
  if response and asker.limits:answer(response, self.number, time.monotonic(), time.now()) then fewer(asker) end
end

function Turn:__close()
  self.flight.active = false
  self.asker.limits:give_back(self.tokens)
  self.asker.turns:ring()
end

-- The turn of one attempt.
local function turn(self, flight, tokens)
  local started = time.monotonic()
  self.turns:pass(function()
    check(self)
    local wait, why = self.limits:take(tokens, time.monotonic())
    if wait >= TELL_S then tell(self, ("%s: waiting %.0f s"):format(why, wait), wait) end
    return wait
  end)
  self.sent, flight.active = self.sent + 1, true
  return setmetatable({ asker = self, flight = flight, tokens = tokens, number = self.sent,
    waited_s = time.monotonic() - started }, Turn)
end

-- Whether the failure of one question is that of all others too: no network, no key, no money.
local function hopeless(e, others_are_answered)
  if not err.is(e) or HOPELESS[e.code] then return true end
  if e.kind == "network" then return not e.status and not others_are_answered end
  return e.kind ~= "provider" and e.kind ~= "data"
end

local function stop(self, e)
  if self.fatal then return end
  self.fatal = e
  self.places:ring_all()
  self.turns:ring_all()
end

-- Asks, from a place that is taken.
local function ask(self, request, flight)
  local bytes, answered_before = bytes_of(request), self.answered
  local tokens = self.limits:tokens(bytes)
  local options = {}
  for k, v in pairs(request) do options[k] = v end
  options.pace = {
    turn = function() return turn(self, flight, tokens) end,
    on_retry = function(text) tell(self, text, 0) end,
    patience_s = function(outcome, usual)
      if self.fatal or self.closed then return 0 end
      local response, others = outcome.response, self.answered > answered_before
      if response and response.status == 429 then -- as long as somebody is answered, everybody's turn comes
        return others and math.huge or usual + (retry.asked(response.headers, time.now()) or 0)
      end
      return (response or others) and math.min(usual, PATIENCE_S) or usual
    end,
  }
  local started = time.monotonic()
  local ok, answer = pcall(self.provider.chat, self.provider, options)
  if not ok then
    if hopeless(answer, self.answered > answered_before) then stop(self, answer) end
    error(answer, 0)
  end
  answer.seconds = answer.seconds or time.monotonic() - started
  self.answered = self.answered + 1
  self.limits:used(bytes, answer.usage)
  calmer(self)
  return answer
end

--- One answer. Waits for its turn and for the answer; call it from a task, from as many as you like. Raises what the
--- provider raises; once that is hopeless for every question (no network, no key, no money), all who wait get the same.
---@param request table  as for Provider:chat
---@return ftrun.Answer
function Asker:chat(request)
  local _ <close> = place(self)
  return ask(self, request, {})
end

-- ---- many questions ----

--- Asks until there is nothing left to ask. Raises what is hopeless for all, and what the functions raise; then
--- nothing more is sent, but what is on its way is waited for: it is paid.
---@param next_request fun(): table?   the next question; nil: there is none
---@param on_answer fun(request: table, answer: ftrun.Answer?, e: ftrun.Error?)  as they come, in no order
function Asker:each(next_request, on_answer)
  local workers, flights, failed, over = {}, {}, nil, false
  local _ <close> = setmetatable({}, { __close = function()
    for _, worker in ipairs(workers) do worker:cancel() end
  end })
  local function one(flight)
    local _ <close> = place(self)
    local request = not over and next_request()
    if not request then
      over = true
      return
    end
    local ok, answer = pcall(ask, self, request, flight)
    if not ok and (self.fatal or not err.is(answer)) then error(self.fatal or answer, 0) end
    on_answer(request, ok and answer or nil, not ok and answer or nil)
  end
  local function work(flight)
    local ok, e = true, nil
    while ok and not over do ok, e = pcall(one, flight) end
    if ok then return end
    failed, over = failed or { e }, true
    -- those who only wait do so no longer
    for i, other in ipairs(flights) do
      if other ~= flight and not other.active and workers[i] then workers[i]:cancel() end
    end
  end
  for i = 1, self.most do
    flights[i] = {}
    workers[i] = task.spawn(work, flights[i])
  end
  for _, worker in ipairs(workers) do pcall(worker.join, worker) end
  if failed then error(failed[1], 0) end
end

--- Sends nothing more; those who wait for their turn get an error. Idempotent.
function Asker:close()
  self.closed = true
  self.places:ring_all()
  self.turns:ring_all()
end

return M
