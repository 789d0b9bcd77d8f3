--- ftrun eval [RUN]: base against tuned on the validation rows of a run, at any time after it.
local evaluate = require "ftrun.evaluate"
local gate = require "ftrun.gate"
local journal = require "ftrun.journal"
local json = require "ftrun.json"
local log = require "ft.log"
local measured = require "ftrun.evaluate.measured"
local progress = require "ft.progress"
local runs = require "ftrun.runs"
local score_text = require "ftrun.score_text"
local target = require "ftrun.target"

local command = {}

local function validation_of(dir)
  local records = journal.read(dir .. "/journal.jsonl")
  for i = #records, 1, -1 do
    local record = records[i]
    if record.phase == "prepare" then
      local side = record.data.validation
      -- in the run's own folder: the path in the journal of an imported run is another machine's
      return type(side) == "table" and side.path and dir .. "/validation.jsonl" or nil
    end
  end
end

function command.main(args)
  if args.json or args.quiet then progress.disable() end
  local summary = measured.run(args.run)
  local _ <close> = runs.hold(summary.identity)
  local recipe <close> = measured.recipe(summary)
  local t <close> = target.open(summary.provider)
  local dir = runs.dir(summary.id)
  local result = evaluate.run { recipe = recipe, provider = t.provider, dir = dir, validation = validation_of(dir),
    base = measured.base(recipe), tuned = summary.model, others = args.model, limit = args.limit,
    progress = progress.update }
  progress.finish()
  for _, note in ipairs(evaluate.notes(result)) do log.warn(note) end
  local decision = recipe.gate and gate.decide(recipe.gate, result)
  if args.json then
    result.gate = decision
    log.out(json.encode(result) .. "\n")
  elseif not args.quiet then
    for _, line in ipairs(score_text.lines(result)) do log.out(line .. "\n") end
    for _, reason in ipairs(decision and gate.reasons(decision) or {}) do log.out("gate " .. reason .. "\n") end
  end
  return 0
end

return command
