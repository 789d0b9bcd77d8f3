--- ftrun extract RECIPE [FILE...]: a tuned model on new texts.
local amounts = require "ftrun.text.amounts"
local answers = require "ftrun.extract.answers"
local ask = require "ftrun.ask"
local calls = require "ftrun.wandb.calls"
local digest = require "ft.digest"
local documents = require "ftrun.extract.documents"
local err = require "ftrun.err"
local extract = require "ftrun.extract"
local json = require "ftrun.json"
local log = require "ft.log"
local model = require "ftrun.extract.model"
local prices = require "ftrun.plan.prices"
local progress = require "ft.progress"
local recipe = require "ftrun.recipe"
local runs = require "ftrun.run.runs"
local sink = require "ftrun.extract.sink"
local tables = require "ftrun.extract.table"
local target = require "ftrun.target"
local time = require "ft.time"
local tokens = require "ftrun.data.tokens"

local command = {}

local function check(loaded, args)
  if not loaded.extract then
    err.raise("usage", args.recipe .. " does not say how a text is asked about", { advice = "Add to the recipe:\n"
      .. "extract = { prompt = function(row) return ft.prompt { system = ..., user = row.text } end }" })
  end
  if (args.write or args.overwrite) and not loaded.extract.write then
    err.raise("usage", args.recipe .. " does not say where results are written", { advice = "Add to its extract:\n"
      .. 'write = { table = "...", column = "..." }' })
  end
  if args.overwrite and not args.write then
    err.raise("usage", "--overwrite needs --write", { advice = "Nothing is written without --write." })
  end
end

-- The end in two lines.
local function shown(s, dry)
  if s.rows == 0 then return "no row to ask about" end
  local number, parts = amounts.number, {}
  local function add(n, words, ...) if n > 0 then parts[#parts + 1] = words:format(number(n), ...) end end
  if dry then
    add(s.rows - s.skipped - s.failed, "%s to ask")
  else
    add(s.extracted, "%s extracted")
    add(s.written, "%s written")
    add(s.unchanged, "%s had got a result meanwhile")
  end
  add(s.skipped, "%s skipped")
  add(s.failed, "%s failed")
  local first = ("%s: %s"):format(amounts.count(s.rows, "row"), table.concat(parts, ", "))
  local second = dry and ("%s, %s answered already; %s tokens to read"):format(amounts.count(s.pieces, "piece"),
    number(s.earlier), number(s.usage.prompt_tokens))
    or ("%s, %s; %s answered earlier; %s tokens read, %s written"):format(amounts.count(s.pieces, "piece"),
      amounts.count(s.requests, "answer"), number(s.earlier), number(s.usage.prompt_tokens),
      number(s.usage.completion_tokens))
  if s.usd and s.usd > 0 then
    second = ("%s, %s%s"):format(second, amounts.usd(s.usd), dry and " for reading; what is written comes on top" or "")
  end
  return first, second
end

function command.main(args, state)
  if args.json or args.quiet then progress.disable() end
  local loaded <close> = recipe.load(args.recipe, { set = args.set })
  check(loaded, args)
  local id, provider, why = model.choose(loaded, args)
  -- one at a time: two would ask and pay for the same pieces
  local _ <close> = runs.hold(digest.sha256("extract " .. loaded.name), "another process extracts with this recipe",
    "Wait until it ends; its answers are kept for all.")
  local counter <close> = tokens.counter { model = loaded.base_model }
  local kept <close> = answers.open(("%s/extract/%s.jsonl"):format(runs.root(), loaded.name))
  local to <close> = args.write and tables.open(loaded, { overwrite = args.overwrite }) or nil
  local texts = documents.open(loaded, args.file)
  local _ <close> = setmetatable({}, { __close = function() texts.close() end })
  local out <close> = sink.open { model = id, format = loaded.extract.answer, output = args.output,
    table = not args.dry_run and to or nil, dry = args.dry_run }
  log.info(("model %s (%s)"):format(id, why))
  local t <close> = not args.dry_run and target.open(provider) or nil
  local asker <close> = t and ask.open { provider = t.provider, at_once = args.at_once, on_wait = log.warn } or nil
  function state.detached()
    return "interrupted; answers so far are kept: the same command goes on, and asks only what is missing"
  end
  local limit, measure = extract.limit(loaded, counter)
  local logged <close> = calls.open { job_type = "extract", recipe = loaded, model = id, provider = provider }
  local began = time.monotonic()
  extract.run { recipe = loaded, documents = to and to:filter(texts) or texts, model = id, asker = asker,
    settings = { temperature = 0, seed = loaded.seed }, answers = kept, limit = limit, measure = measure,
    tokens = function(messages) return counter:row(json.encode { messages = messages }) or nil end,
    calls = logged, rows = args.limit, at_once = args.at_once,
    on_result = function(r) out:add(r) end,
    on_progress = function(done, total)
      progress.update("extracting, rows", done, total, out.counts.failed > 0 and out.counts.failed .. " failed" or nil)
    end }
  out:finish()
  progress.finish()
  local summary = out.counts
  summary.type, summary.model, summary.usage, summary.output = "summary", id, out.usage, args.output
  summary.usd = prices.answers(provider, id, out.spent, loaded.prices)
  summary.seconds = math.floor((time.monotonic() - began) * 1000 + 0.5) / 1000
  if summary.rows > 0 and summary.skipped == summary.rows then
    log.warn(("no row was asked about; what is cut and asked is the column %s: extract.text names another")
      :format(loaded.extract.text))
  end
  if args.json then
    json.print(summary)
  else
    for _, line in ipairs { shown(summary, args.dry_run) } do log.info(line) end
  end
  if summary.failed == 0 then return 0 end
  err.raise("partial", ("%s failed; %s say why"):format(amounts.count(summary.failed, "row"),
    args.output and "lines with \"error\" in " .. args.output or "lines with \"error\""),
    { advice = "Mend the rows whose fault it is, then start the same command again: it asks only what is missing." })
end

return command
