--- ftrun chat [MESSAGE]: one question to a model.
local amounts = require "ftrun.text.amounts"
local calls = require "ftrun.wandb.calls"
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local measured = require "ftrun.evaluate.measured"
local prices = require "ftrun.plan.prices"
local runs = require "ftrun.run.runs"
local target = require "ftrun.target"
local task = require "ft.task"
local time = require "ft.time"

local command = {}

local function read_input()
  if log.is_terminal "stdin" then log.info "Type the question; Ctrl-D on an empty line ends it." end
  local lines = {}
  for line in task.read_line do lines[#lines + 1] = line end
  return table.concat(lines, "\n")
end

--- The model and its provider: --model, or what the named (or newest) run has made.
local function choose(args)
  if args.model then return args.model, args["local"] and "local" or "openai" end
  local summary = measured.run(args.run)
  if summary.imported and summary.provider == "local" then
    err.raise("usage", ("the model of run %s stayed where it was trained: the run was imported"):format(summary.id),
      { advice = "Train it here:\n" .. runs.command(summary) })
  end
  return summary.model, summary.provider, summary.id
end

-- A model that was trained with a system prompt answers best with it, and a question alone has none.
local function mention_system(run)
  local reader <close> = dataset.reader(runs.dir(run) .. "/train.jsonl")
  local line = reader and reader:next()
  local found = line and dataset.pick(line, { "messages[0].role" })
  if found and found[1] == "system" then
    log.info "asked without the system prompt that its examples have; give it: --system \"...\""
  end
end

-- "1 002 tokens read, 82 written, 1.2 s, $0.0004"
local function line_of(answer, seconds, usd)
  local usage = answer.usage or {}
  return ("%s read, %s written, %.1f s%s"):format(amounts.count(usage.prompt_tokens or 0, "token"),
    amounts.number(usage.completion_tokens or 0), seconds, usd and usd > 0 and ", " .. amounts.usd(usd) or "")
end

local function ask(t, model, messages, quiet)
  return pcall(t.provider.chat, t.provider, { model = model, messages = messages,
    on_text = not quiet and log.out or nil })
end

function command.main(args)
  local model, provider, run = choose(args)
  local message = args.message and args.message ~= "-" and args.message or read_input()
  if message == "" then
    err.raise("usage", "the question is empty", { advice = 'ftrun chat "..." or: ftrun chat < file' })
  end
  if run and not args.run then log.info(("model %s (of the newest run, %s)"):format(model, run)) end
  if run and not args.system then mention_system(run) end
  local messages = { { role = "user", content = message } }
  if args.system then table.insert(messages, 1, { role = "system", content = args.system }) end
  local logged <close>, began = calls.open { job_type = "chat", model = model, provider = provider },
    time.monotonic()
  local t <close> = target.open(provider)
  local ok, answer = ask(t, model, messages, args.json)
  local seconds = time.monotonic() - began
  if ok then log.out((args.json and json.encode(answer) or "") .. "\n") end
  logged.call { model = model, seconds = seconds, usage = ok and answer.usage or nil,
    error = not ok and tostring(answer) or nil }
  if not ok then error(answer, 0) end
  if answer.finish_reason == "length" then log.warn "the answer was cut at the limit of length" end
  log.info(line_of(answer, seconds, prices.answers(provider, model, answer.usage)))
  if answer.refusal and not args.json then err.raise("provider", "the model refuses: " .. answer.refusal) end
  return 0
end

return command
