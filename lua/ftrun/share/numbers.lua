--- What hooks are called with when a recipe is tried: made-up numbers, the same everywhere, and those of the recipe's
--- last real run, where this folder has one.
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local runs = require "ftrun.run.runs"

local M = {}

local STEPS, EPOCH = 12, 4
local MOST = 500            -- events of a kind: a hook sees the whole history at each step
local MAX_BYTES = 1 << 30

---@class ftrun.Numbers
---@field run string?        id of the run that they are of; nil: they are made up
---@field steps integer      that reported metrics
---@field of integer         steps that the run had
---@field events { [1]: "metrics"|"checkpoint"|"event"|"finished", [2]: table }[]  a hook, and what it sees

-- Losses that fall and then, on the validation rows, rise again: what hooks are written for. As in a real run only the
-- end of an epoch has numbers of all validation rows, and without such rows there are none.
local function metrics(step, validates)
  local loss = 2 * 0.8 ^ step
  local valid = step <= 7 and loss + 0.1 or 0.5 + 0.1 * (step - 7)
  local m = { step = step, total_steps = STEPS, train_loss = loss, train_mean_token_accuracy = 1 - loss / 3 }
  if validates then
    m.valid_loss, m.valid_mean_token_accuracy = valid, 1 - valid / 3
    if step % EPOCH == 0 then m.full_valid_loss, m.full_valid_mean_token_accuracy = valid, 1 - valid / 3 end
  end
  return m
end

---@param validates boolean  whether the recipe has validation rows
---@return ftrun.Numbers
function M.made_up(validates)
  local events = {}
  local function add(hook, value) events[#events + 1] = { hook, value } end
  for step = 1, STEPS do
    local m = metrics(step, validates)
    add("metrics", m)
    if step % EPOCH == 0 then
      add("checkpoint", { type = "checkpoint", id = "ftckpt-test", step = step, model = "ft:test:ckpt-step-" .. step,
        metrics = m, created_at = 0 })
    end
  end
  for _, level in ipairs { "info", "warn", "error" } do
    add("event", { type = "message", level = level, message = "made up by ftrun test", created_at = 0 })
  end
  for _, state in ipairs { "succeeded", "failed", "cancelled" } do
    add("finished", { type = "result", run = "test", state = state, job = "ftjob-test", dir = "test",
      model = state == "succeeded" and "ft:test" or nil,
      error = state == "failed" and { code = "test", message = "made up by ftrun test" } or nil })
  end
  return { steps = STEPS, of = STEPS, events = events }
end

local HOOKS = { metrics = "metrics", checkpoint = "checkpoint", message = "event", result = "finished" }

-- The events of a run as its hooks saw them: of very many steps some, evenly, and all ends of epochs.
local function replay(text)
  local lines, count, seen, events, steps = {}, {}, {}, {}, 0
  for line in text:gmatch "([^\n]*)\n" do
    local kind = line:match '"type":"(%l+)"}?$' or line:match '"type":"(%l+)"'
    if HOOKS[kind] then
      lines[#lines + 1] = { kind, line }
      count[kind] = (count[kind] or 0) + 1
    end
  end
  for _, l in ipairs(lines) do
    local kind, line = l[1], l[2]
    seen[kind] = (seen[kind] or 0) + 1
    local every = (count[kind] + MOST - 1) // MOST
    if (seen[kind] - 1) % every == 0 or seen[kind] == count[kind] or line:find('"full_valid_loss"', 1, true) then
      local event = json.decode(line)
      local value = event and (kind == "metrics" and event.metrics or event)
      if type(value) == "table" and HOOKS[event.type] == HOOKS[kind] then
        events[#events + 1] = { HOOKS[kind], value }
        if kind == "metrics" then steps = steps + 1 end
      end
    end
  end
  return events, steps, count.metrics or 0
end

--- Those of the newest run of a recipe's name that has any; nil when there is none.
---@param name string
---@return ftrun.Numbers?
function M.last(name)
  for _, summary in ipairs(runs.list()) do
    if summary.name == name then
      local events, steps, of = replay(fs.read(runs.dir(summary.id) .. "/events.jsonl", MAX_BYTES) or "")
      if steps > 0 then return { run = summary.id, steps = steps, of = of, events = events } end
    end
  end
end

--- Calls the hooks of a recipe. Raises what they raise, with the numbers that they were called with.
---@param loaded ftrun.Recipe
---@param numbers ftrun.Numbers
function M.call(loaded, numbers)
  local on, history = loaded.on or {}, {}
  local _ <close> = setmetatable({}, { __close = function() loaded:listen(false) end })
  for _, event in ipairs(numbers.events) do
    local hook, value = event[1], event[2]
    if hook == "metrics" then history[#history + 1] = value end
    if on[hook] then
      loaded:listen(true) -- what they say for the log is checked, and goes nowhere
      local ok, e = pcall(loaded.call, loaded, on[hook], value, hook == "metrics" and history or nil)
      if not ok then
        if err.is(e) then
          local at = type(value.step) == "number" and ("step %d of "):format(value.step) or ""
          e.message = ("%s (on.%s, with %s%s)"):format(e.message, hook, at,
            numbers.run and "run " .. numbers.run or "made-up numbers")
        end
        error(e, 0)
      end
    end
  end
end

return M
