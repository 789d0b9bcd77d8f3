--- ftrun promote [RUN]: writes the model's id into the recipe's file of settings, if the gate lets it pass.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local gate = require "ftrun.evaluate.gate"
local json = require "ftrun.json"
local log = require "ft.log"
local measured = require "ftrun.evaluate.measured"
local promote = require "ftrun.run.promote"
local runs = require "ftrun.run.runs"

local command = {}

local function evaluation_of(summary, recipe)
  local found = json.decode(fs.read(runs.dir(summary.id) .. "/evaluation.json") or "")
  if type(found) ~= "table" or type(found.models) ~= "table" or found.models.tuned.model ~= summary.model then
    return nil
  end
  if found.recipe_sha256 ~= recipe.sha256 then
    log.warn("the scores were made with another text of the recipe; ftrun eval makes them anew")
  end
  return found
end

function command.main(args)
  local summary = measured.run(args.run)
  local _ <close> = runs.hold(summary.identity)
  local recipe <close> = measured.recipe(summary)
  if not recipe.promote then
    err.raise("usage", summary.recipe .. " does not say where a model's id goes",
      { advice = 'Add promote = { key = "OPENAI_MODEL" } to the recipe.' })
  end
  local evaluation = evaluation_of(summary, recipe)
  local decision = gate.decide(recipe.gate, evaluation)
  if not decision.passed and not args.force then gate.refuse(decision, summary.id) end
  if not decision.passed then
    for _, reason in ipairs(gate.reasons(decision)) do log.warn("gate " .. reason) end
  end
  local record = promote.run { recipe = recipe, run = summary.id, model = summary.model, evaluation = evaluation,
    forced = not decision.passed, gate = decision,
    lock_sha256 = digest.sha256_file(runs.dir(summary.id) .. "/lock.json") }
  if not record.unchanged then promote.tell(record) end
  if args.json then
    json.print(record)
  elseif not args.quiet then
    log.out(promote.line(record) .. "\n")
  end
  return 0
end

return command
