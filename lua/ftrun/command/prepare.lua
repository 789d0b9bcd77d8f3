--- ftrun prepare RECIPE: the recipe's examples as one JSONL file.
local amounts = require "ftrun.text.amounts"
local dataset = require "ftrun.data.dataset"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local progress = require "ft.progress"
local recipe = require "ftrun.recipe"
local tokens = require "ftrun.data.tokens"
local wrap = require "ftrun.text.wrap"

local command = {}

local function summary(made)
  local figures = made.tally.histogram:figures()
  return { type = "summary", rows = made.rows, written = made.written, skipped = made.rows - made.written,
    sha256 = made.sha256, path = made.path, bytes = made.bytes, reasons = json.array(made.skipped),
    duplicates = made.duplicates.count, warnings = json.array(made.warnings),
    tokens = { encoding = made.encoding, total = figures.sum, min = figures.min, median = figures.median,
      p95 = figures.p95, max = figures.max } }
end

local function show(made)
  local number, figures = amounts.number, made.tally.histogram:figures()
  wrap.print(("%s of %s rows written to %s (%s)"):format(number(made.written), number(made.rows), made.path,
    amounts.size(made.bytes)))
  for _, s in ipairs(made.skipped) do wrap.print(("  %s skipped: %s"):format(number(s.count), s.reason)) end
  if made.duplicates.count > 0 then
    wrap.print(("  %s equal to an earlier one"):format(number(made.duplicates.count)))
  end
  wrap.print(("%s tokens (%s); an example: min %s, median %s, p95 %s, max %s"):format(number(figures.sum),
    made.encoding, number(figures.min), number(figures.median), number(figures.p95), number(figures.max)))
  wrap.print("sha256 " .. made.sha256)
end

function command.main(args)
  if args.output == "-" then
    err.raise("usage", "--output names a file", {
      advice = "For a pipe say --quiet --output /dev/stdout: then nothing else is written there." })
  end
  if args.json or args.quiet then progress.disable() end
  local loaded = recipe.load(args.recipe, { set = args.set, limit = args.limit })
  local _ <close> = setmetatable({}, { __close = function() loaded:close() end })
  local counter <close> = tokens.counter { model = loaded.base_model }
  local made = dataset.export(loaded, args.output, { limit = args.limit, after = args.after, counter = counter,
    on_progress = function(done, total, unit) progress.update("preparing, " .. unit, done, total) end })
  progress.finish()
  made.encoding = counter.encoding
  if counter.note then log.warn(counter.note) end
  for _, w in ipairs(made.warnings) do
    log.warn(("%s: %s (%d times, first: %s)"):format(w.code, w.message, w.count, table.concat(w.first, ", ")))
  end
  if args.json then json.print(summary(made)) elseif not args.quiet then show(made) end
  return 0
end

return command
