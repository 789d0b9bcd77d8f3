--- Requests that create something, sent so that it exists once: an intent on disk before, a look before anything is
--- sent again.
local err = require "ftrun.err"
local log = require "ft.log"
local time = require "ft.time"
local watch = require "ftrun.run.watch"

local once = {}

--- What a request made whose answer was lost may show up late: look so often, so many seconds apart.
local LOOKS, LOOK_PAUSE_S = 4, 3

--- A second job (or batch) costs money, so a first one is looked for until its request is so many seconds old.
local JOB_S = 60

--- So long after its start a run looks for a second job of its own.
local TWIN_S = 15 * 60

--- So often is a request sent that creates something, when looking shows that nothing has come of it.
local ATTEMPTS = 3

--- Looks for what a request may have made: once, or, when it was sent and nobody knows what became of it, several
--- times. The local provider answers when all is done: one look is enough.
---@param c ftrun.run.Context
---@param intent string
---@param sent boolean
---@param find fun(): table?
function once.look(c, intent, sent, find)
  local patient = sent and c.provider.name ~= "local"
  local looks, told = 0, false
  while true do
    local found = find()
    looks = looks + 1
    if found or not patient then return found end
    local left = intent:find "^create" and JOB_S - (c.journal:age(intent) or JOB_S) or 0
    if looks >= LOOKS and left <= 0 then return nil end
    if looks >= LOOKS and not told then
      told = true
      c.ui.note(("nobody knows whether the %s was made: looking for it for up to %d more seconds, so that none is "
        .. "paid for twice"):format(intent == "create" and "job" or "batch", math.ceil(left)))
    end
    time.sleep(LOOK_PAUSE_S)
  end
end

--- Whether looking in vain is enough to ask again at once. The provider's list of jobs may be late, and a second job
--- costs: after a lost answer that is for the next start to decide.
local function may_ask_again(c, intent, e)
  return c.provider.name == "local" or not intent:find "^create" or e.status == 500
end

--- Sends a request that creates something, whose intent is on disk. When nobody knows what became of it, it is looked
--- for, and asked for again only when it is not there.
---@param c ftrun.run.Context
---@param intent string
---@param find fun(): table?
---@param request fun(provider: table, options: table): table
function once.make(c, intent, find, request, options)
  for left = ATTEMPTS - 1, 0, -1 do
    local ok, result = pcall(request, c.provider, options)
    if ok then return result end
    if not err.is(result) then error(result, 0) end
    if not result.sent then
      c.journal:withdraw(intent)
      error(result, 0)
    end
    local found = once.look(c, intent, true, find)
    if found then return found end
    if left == 0 or not may_ask_again(c, intent, result) then error(result, 0) end
    log.warn(result.message .. "; nothing has come of it, asking again")
    c.journal:intend(intent, c.journal:last("intent", intent))
  end
end

--- Twins: when a job was asked for more than once, the first request may have made one after all, later than anybody
--- looks for it. Looks at every poll of the job's first minutes, and cancels what nobody follows.
---@param c ftrun.run.Context
---@param tell fun(event: table)  takes events of the run's stream
---@return fun(job: ftrun.Job)?   for watch.follow; nil when there was one request only
function once.guard(c, tell)
  if c.journal:sent "create" < 2 then return nil end
  local known, started = {}, time.monotonic()
  return function(job)
    if time.monotonic() - started > TWIN_S then return end
    for _, other in ipairs((c.provider:jobs { metadata = { ftrun_run = c.summary.id }, limit = 100 })) do
      if other.id ~= job.id and not known[other.id] then
        known[other.id] = true
        local open, status = watch.is_open(other.state), other.status
        if open then c.provider:cancel(other.id) end
        tell { type = "message", level = "warn", message =
          ("an earlier request has made a job after all: %s (%s)%s"):format(other.id, status,
            open and "; it is cancelled, this run follows " .. job.id or "; look whether it was billed") }
      end
    end
  end
end

--- What was made before, or is found, or is made now, recorded under the intent's name.
---@param c { provider: ftrun.Provider, journal: ftrun.Journal, ui: { note: fun(text: string) } }
---@param intent string
---@param find fun(): table?
---@param request fun(provider: table, options: table): table
---@return { id: string }
function once.ensure(c, intent, find, request, options)
  local known = c.journal:last("phase", intent)
  if known then return known end
  local made = c.journal:pending(intent) and once.look(c, intent, true, find)
  if not made then
    c.journal:intend(intent, {})
    made = once.make(c, intent, find, request, options)
  end
  local record = { id = made.id }
  c.journal:done(intent, record)
  return record
end

return once
