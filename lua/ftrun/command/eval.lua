--- ftrun eval [RUN]: base against tuned on the validation rows of a run, at any time after it; or any models on any
--- rows (--data).
local choice = require "ftrun.evaluate.choice"
local digest = require "ft.digest"
local err = require "ftrun.err"
local evaluate = require "ftrun.evaluate"
local fs = require "ft.fs"
local gate = require "ftrun.evaluate.gate"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local log = require "ft.log"
local measured = require "ftrun.evaluate.measured"
local progress = require "ft.progress"
local runs = require "ftrun.run.runs"
local score_text = require "ftrun.score.text"
local target = require "ftrun.target"
local wrap = require "ftrun.text.wrap"

local command = {}

local function validation_of(summary, dir)
  local records = journal.read(dir .. "/journal.jsonl")
  for i = #records, 1, -1 do
    local record = records[i]
    if record.phase == "prepare" then
      local side = record.data.validation
      -- in the run's own folder: the path in the journal of an imported run is another machine's
      local path = type(side) == "table" and side.path and dir .. "/validation.jsonl" or nil
      if path and not fs.stat(path) then
        err.raise("data", "the run's validation rows are not here", { where = path,
          advice = (summary.imported and "Its sender left them out: ftrun export --with-data takes them along.\n" or "")
            .. "Measure on other rows: ftrun eval --data FILE --model " .. (summary.model or "MODEL") })
      end
      return path
    end
  end
end

--- Each model once: asked twice it would be paid for twice, or beside itself say nothing.
---@param named string[]?
---@param known table<string, string>  models that are measured anyhow -> what they are
---@return string[]
local function once(named, known)
  local list = {}
  for _, model in ipairs(named or {}) do
    if known[model] then
      log.warn(("--model %s: it is %s; it is measured once"):format(model, known[model]))
    else
      list[#list + 1], known[model] = model, "named twice"
    end
  end
  return list
end

-- What both shapes have in common.
local function run(args, o)
  o.limit, o.at_once, o.batch, o.shared, o.progress = args.limit, args.at_once, args.batch, measured.shared(),
    progress.update
  local result = evaluate.run(o)
  progress.finish()
  for _, note in ipairs(evaluate.notes(result)) do log.warn(note) end
  return result
end

-- A model of which no answer came was not measured: whoever asked for it must see that without reading.
local function check_answered(result)
  local sides = { result.models.base }
  sides[#sides + 1] = result.models.tuned
  for _, s in ipairs(table.move(result.others, 1, #result.others, #sides + 1, sides)) do
    if s.errors > 0 and s.answered == 0 then
      err.raise("partial", s.model .. " has answered no row, so it was not measured",
        { advice = "The same command asks again, and only what is missing." })
    end
  end
end

local function show(args, result, decision)
  if args.json then
    result.gate = decision
    json.print(result)
  elseif not args.quiet then
    for _, line in ipairs(score_text.lines(result)) do wrap.print(line) end
    for _, reason in ipairs(decision and gate.reasons(decision) or {}) do wrap.print("gate " .. reason) end
    wrap.print("kept in " .. result.file)
  end
  check_answered(result)
  return 0
end

local function of_run(args)
  local summary = measured.run(args.run)
  if not args.run then log.info("run " .. summary.id) end
  local _ <close> = runs.hold(summary.identity)
  local score = args.score and choice.score(args.score)
  local loaded, aside = measured.recipe(summary, score)
  local recipe <close> = loaded
  local t <close> = target.open(summary.provider)
  local dir, base = runs.dir(summary.id), measured.base(recipe)
  local result = run(args, { recipe = recipe, provider = t.provider, dir = dir,
    validation = validation_of(summary, dir), base = base, tuned = summary.model,
    others = once(args.model, { [base] = "the model to beat", [summary.model] = "the run's own" }),
    aside = aside and score.kind or nil })
  -- the gate is about the run's own score, on all of its rows
  local decision = recipe.gate and not result.partial and not score and gate.decide(recipe.gate, result) or nil
  return show(args, result, decision)
end

local function check_data(args)
  if args.run then
    err.raise("usage", ("--data takes no run ('%s')"):format(args.run),
      { advice = "Name the models instead: --model A --model B" })
  end
  if #(args.model or {}) == 0 then
    err.raise("usage", "--data: no model is named", { advice = "Name one or more: --model gpt-4o-mini-2024-07-18" })
  end
  local path, message, code = fs.realpath(args.data)
  if not path then err.raise(code == "not_found" and "usage" or "system", "--data: " .. message) end
  return path
end

local function of_data(args)
  local path = check_data(args)
  local rules <close> = choice.rules(args)
  local t <close> = target.open(args["local"] and "local" or "openai")
  local p = t.provider
  local name = path:match "[^/]*$":gsub("%.gz$", ""):gsub("%.jsonl?$", ""):gsub("[^%w_-]+", "-")
  -- the local provider's address is another each time
  local identity = digest.sha256(table.concat({ "eval", path, p.name, p.name ~= "local" and p.base_url or "" }, "\n"))
  local dir = ("%s/evaluations/%s-%s"):format(runs.root(), name, identity:sub(1, 8))
  err.check("system", fs.mkdir(dir))
  local _ <close> = runs.hold(identity, "these rows are being evaluated already", "Wait until that ends.")
  local models = once(args.model, {})
  local others = table.move(models, 3, #models, 1, {})
  local result = run(args, { recipe = rules, provider = p, dir = dir, validation = path, data = args.data,
    base = models[1], tuned = models[2], others = others })
  if result.rows == 0 then
    err.raise("data", args.data .. " has no row with an assistant's answer to compare with",
      { advice = 'A row is {"messages": [..., {"role": "assistant", "content": "..."}]}; see ftrun validate.' })
  end
  return show(args, result)
end

function command.main(args, state)
  if args.json or args.quiet then progress.disable() end
  state.detached = function()
    return "interrupted; what was answered is kept, and the same command goes on"
      .. (args.batch and ": batches are worked on at the provider meanwhile" or "")
  end
  return (args.data and of_data or of_run)(args)
end

return command
