--- ftrun checkpoints [RUN|JOB]: the models that a job has kept, oldest first, with numbers; the best is marked.
local best = require "ftrun.run.best"
local err = require "ftrun.err"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local log = require "ft.log"
local runs = require "ftrun.run.runs"
local target = require "ftrun.target"
local wrap = require "ftrun.text.wrap"

local command = {}

local SHOWN = { "full_valid_loss", "full_valid_mean_token_accuracy", "train_loss", "train_mean_token_accuracy" }

--- "step 120: full_valid_loss 0.1234, ..."
local function line(c, mark)
  local numbers = {}
  for _, name in ipairs(SHOWN) do
    local value = c.metrics[name]
    if type(value) == "number" then numbers[#numbers + 1] = ("%s %.4f"):format(name, value) end
  end
  local text = ("step %d"):format(c.step or 0)
  if #numbers > 0 then text = text .. ": " .. table.concat(numbers, ", ") end
  return ("%s\n  %s%s"):format(text, c.model or c.id, mark and "  <- " .. mark or "")
end

--- What the run has chosen already, by its recipe.
local function choice_of(summary)
  for _, record in ipairs(summary and journal.read(runs.dir(summary.id) .. "/journal.jsonl") or {}) do
    if record.phase == "choose" and record.data.step then return record.data end
  end
end

local function chosen_by(list, metric)
  local chosen = best.pick(list, { metric = metric })
  if chosen or #list == 0 then return chosen end
  err.raise("usage", ("no checkpoint has %s"):format(metric),
    { advice = "They have " .. table.concat(best.metrics(list), ", ") .. "." })
end

function command.main(args)
  local t <close> = target.of(args, "job")
  local list = t.provider:checkpoints(t.job)
  local own = choice_of(t.summary)
  local chosen = args.by and chosen_by(list, args.by) or own
  for _, c in ipairs(list) do
    if chosen and c.model == chosen.model then c.best = chosen.metric end
  end
  if args.json then
    json.print(json.array(list))
  elseif #list == 0 then
    log.info(("job %s has no checkpoints (yet)"):format(t.job))
  end
  for _, c in ipairs(args.json and {} or list) do
    wrap.print(line(c, c.best and ("%s %s%s"):format(chosen.best, c.best, chosen == own and ", the run's model" or "")))
  end
  return 0
end

return command
