--- The recipe's hooks while a run goes on: plain values go in, a decision comes out, and is done once.
local err = require "ftrun.err"
local log = require "ft.log"
local said = require "ftrun.run.said"

local hooks = {}

local CHANGES = { cancel = "cancels", pause = "pauses" }

--- Does what a hook has decided. The decision is on disk before the provider is told, so that a crash does not forget
--- it; a job that has ended meanwhile cannot be changed any more.
local function change(c, decision, reason)
  c.ui.note(("the recipe %s the job: %s"):format(CHANGES[decision], reason))
  local ok, result = pcall(c.provider[decision], c.provider, c.create.job)
  if not ok then
    if not (err.is(result) and (result.status == 400 or result.status == 409)) then error(result, 0) end
    c.ui.note(result.code == "invalid_job_state" and "too late: the job has ended already (--new trains again)"
      or "too late: " .. result.message)
  end
  c.journal:done(decision)
end

--- Somebody has asked a tracker to stop the run, and the recipe has said what that means. Detaching raises.
---@param c ftrun.run.Context
function hooks.stop(c, reason)
  local w = c.recipe.wandb or {}
  if w.on_stop ~= "cancel" then
    err.raise("detached", ("%s: detached, job %s goes on at the provider"):format(reason, c.create.job),
      { advice = ("Continue: ftrun watch %s   cancel: ftrun cancel %s"):format(c.summary.id, c.summary.id) })
  end
  if c.journal:last("phase", "cancel") then return end
  c.journal:intend("cancel", { reason = reason })
  change(c, "cancel", reason)
end

-- The same fault at each step is told once.
local function warn_once(c, text)
  if not c.failed[text] then log.warn(text) end
  c.failed[text] = true
end

local function tell(c, list, name, step)
  local event = said.event(c, list, name, step, function(text) warn_once(c, text) end)
  if event then c.trackers.event(event) end
end

local function was_said(c, name)
  for _, event in ipairs(c.trackers.past) do
    if event.type == "said" and event.hook == name then return true end
  end
  return false
end

--- What the recipe said for the log while it was loaded, once in a run.
---@param c ftrun.run.Context
function hooks.opening(c)
  if c.recipe.said and not was_said(c, "recipe") then tell(c, c.recipe.said, "recipe") end
end

--- A hook of the recipe answers with a decision; plain values go in. One that fails is reported, and the run goes on:
--- the job is paid for, and a recipe with its hook mended would be another run. What it says for the log goes to the
--- trackers, also when it fails later.
---@param c ftrun.run.Context
function hooks.call(c, name, ...)
  local hook = c.recipe.on and c.recipe.on[name]
  if not hook then return end
  c.recipe:listen(true)
  local ok, answer = pcall(c.recipe.call, c.recipe, hook, ...)
  local list = c.recipe:listen(false)
  if not ok then
    if not (err.is(answer) and answer.kind == "recipe") then error(answer, 0) end
    warn_once(c, ("the hook '%s' failed, the run goes on: %s"):format(name, tostring(answer)))
  end
  -- the end comes again after a crash
  if #list > 0 and not (name == "finished" and was_said(c, name)) then
    tell(c, list, name, name == "metrics" and (...).step or nil)
  end
  if not ok or type(answer) ~= "table" then return end
  local decision = answer.decision
  if decision == "notify" then
    c.ui.note("recipe: " .. tostring(answer.message))
  elseif CHANGES[decision] and name ~= "finished" then
    if decision == "cancel" and c.journal:last("phase", "cancel") then return end
    local reason = answer.reason or "no reason given"
    c.journal:intend(decision, { reason = reason })
    change(c, decision, reason)
  end
end

--- Does again what was decided before a crash and not seen done.
---@param c ftrun.run.Context
function hooks.redo(c)
  for decision in pairs(CHANGES) do
    local data = c.journal:pending(decision)
    if data then change(c, decision, data.reason) end
  end
end

return hooks
