--- Follows a job to its end: the one place that turns polls into the run's stream of events, each
--- once and in order, across restarts. Canonical events:
---   { type = "message", id, created_at, level, message }
---   { type = "metrics", id, created_at, step, total_steps, metrics = { train_loss, train_mean_token_accuracy, ... } }
---   { type = "state", state, status, estimated_finish? }       when the job's state changes
---   { type = "checkpoint", id, created_at, model, step, metrics }   behind the metrics of its step, as far as possible
---   { type = "usage", ... }   made of the job by meter.lua, through `each`
local amounts = require "ftrun.text.amounts"
local time = require "ft.time"

local watch = {}

--- How long to wait between polls, in seconds: fast at the start and while something moves, slower
--- in a queue.
local FAST_S, SLOW_S, LOCAL_S = 2, 30, 0.2
local GROWTH = 1.5

--- States in which a job can still change.
local OPEN = { validating = true, queued = true, running = true, paused = true, unknown = true }

--- What a provider says of a job that has ended may come later than its state: so often it is looked again.
local LATE_LOOKS, LATE_PAUSE_S = 4, 3

--- Usual longest time in a waiting state before a user should be told, in seconds, and what can be done.
local USUAL = {
  validating = { seconds = 30 * 60,
    advice = "Large files take longer; look at the provider's status page, or end it: ftrun cancel" },
  queued = { seconds = 4 * 3600,
    advice = "A queue costs nothing, and Ctrl-C keeps the job's place; to end it: ftrun cancel" },
}

---@return boolean
function watch.is_open(state)
  return OPEN[state] == true
end

---@class ftrun.watch.Waiting
---@field since number     seconds since 1970
---@field seconds number   until now
---@field usual_s number   so long is usual
---@field advice string
---@field long boolean     it takes longer than that

--- How long a job sits in a state in which it only waits; nil in other states.
---@param job ftrun.Job
---@param since number?  when it came there; default: when it was created
---@return ftrun.watch.Waiting?
function watch.waiting(job, since)
  local usual = USUAL[job.state]
  since = since or job.created_at
  if not usual or not since then return nil end
  local seconds = math.max(0, time.now() - since)
  return { since = since, seconds = seconds, usual_s = usual.seconds, advice = usual.advice,
    long = seconds > usual.seconds }
end

--- "since 2026-11-22T09:00:00Z (34 min); up to 30 min are usual. ..."
---@param w ftrun.watch.Waiting
---@return string
function watch.waiting_line(w)
  return ("since %s (%s); up to %s is usual%s"):format(time.iso8601(math.floor(w.since)), amounts.duration(w.seconds),
    amounts.duration(w.usual_s), w.long and ". " .. w.advice or "")
end

-- Whether the provider has not told all about a job that has succeeded: its tokens, or the last of its steps.
local function incomplete(job, memory)
  return job.state == "succeeded" and (not job.trained_tokens
    or memory.step and memory.total_steps and memory.step < memory.total_steps)
end

local function event_of(e)
  if e.kind == "metrics" and e.metrics then
    return { type = "metrics", id = e.id, created_at = e.created_at, step = e.metrics.step,
      total_steps = e.metrics.total_steps, metrics = e.metrics }
  end
  return { type = "message", id = e.id, created_at = e.created_at, level = e.level, message = e.message }
end

---@class ftrun.watch.Memory  what must be known of the events that were seen, to tell each once
---@field seen table<string, true>
---@field last_event string?
---@field state string?
---@field at integer?           created_at of the newest
---@field step integer?         of the newest metrics
---@field total_steps integer?

-- What an event tells about where the job is.
local function note(memory, event)
  if event.type == "metrics" then
    memory.step, memory.total_steps = math.max(memory.step or 0, event.step or 0), event.total_steps
  end
  memory.at = event.created_at or memory.at
end

--- The memory of one who has seen these events.
---@param past table[]
---@return ftrun.watch.Memory
local function remember(past)
  local memory = { seen = {} }
  for _, event in ipairs(past) do
    if event.id then memory.seen[event.id] = true end
    if event.type == "metrics" or event.type == "message" then memory.last_event = event.id end
    if event.type == "state" then memory.state = event.state end
    note(memory, event)
  end
  return memory
end

---@class ftrun.watch.Options
---@field provider table
---@field job_id string
---@field past table[]?           events that were seen before
---@field emit fun(event: table)  gets every new event; may wait; may raise to stop
---@field each fun(job: table)?   sees the job of every poll, after its events and before its end
---@field once boolean?           one poll only (`ftrun status`, `ftrun events`)

--- Watches until the job ends (or, with `once`, one poll). Returns the job as the provider has it
--- last.
---@param o ftrun.watch.Options
---@return table job
function watch.follow(o)
  local memory = remember(o.past or {})
  local seen, warned = memory.seen, nil
  local since, wait = nil, FAST_S -- since: when the job came into its state
  local checkpoints = {} -- of the job that has ended, until their step has come
  local function tell_checkpoint(c)
    if seen[c.id] then return end
    seen[c.id] = true
    o.emit { type = "checkpoint", id = c.id, created_at = c.created_at, model = c.model, step = c.step,
      metrics = c.metrics }
  end
  local function tell(e)
    local event = event_of(e)
    note(memory, event)
    o.emit(event)
    for _, c in ipairs(event.type == "metrics" and checkpoints or {}) do
      if c.step == event.step then tell_checkpoint(c) end
    end
  end
  local function changed(job)
    -- a state that was there before the watch began is as old as the newest event, or as the job
    since = memory.state and time.now() or memory.at or job.created_at
    memory.state, warned = job.state, false
    o.emit { type = "state", state = job.state, status = job.status, estimated_finish = job.estimated_finish }
  end
  local function read()
    local moved = false
    for e in o.provider:events(o.job_id, memory.last_event) do
      if not seen[e.id] then
        seen[e.id], memory.last_event, moved = true, e.id, true
        tell(e)
      end
    end
    return moved
  end
  while true do
    local job = o.provider:get(o.job_id)
    local ends, moved = not watch.is_open(job.state), job.state ~= memory.state
    if moved and not ends then changed(job) end
    if moved and ends then checkpoints = o.provider:checkpoints(o.job_id) end
    -- asked for after the state: all events of a job that has just ended are there
    moved = read() or moved
    for _ = 1, ends and not o.once and o.provider.name ~= "local" and LATE_LOOKS or 0 do
      if not incomplete(job, memory) then break end
      time.sleep(LATE_PAUSE_S)
      job = o.provider:get(o.job_id)
      read()
    end
    if o.each then o.each(job) end
    if ends and job.state ~= memory.state then
      for _, c in ipairs(checkpoints) do tell_checkpoint(c) end
      changed(job)
    end
    if o.once or ends then return job end
    local waiting = not warned and watch.waiting(job, since or memory.at)
    if waiting and waiting.long then
      warned = true
      o.emit { type = "message", level = "warn",
        message = ("the job is '%s' %s"):format(job.status, watch.waiting_line(waiting)) }
    end
    if o.provider.name == "local" then wait = LOCAL_S
    elseif moved then wait = FAST_S
    else wait = math.min(wait * GROWTH, SLOW_S) end
    time.sleep(wait * (0.9 + 0.2 * math.random()))
  end
end

return watch
