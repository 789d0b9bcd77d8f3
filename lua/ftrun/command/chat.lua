--- ftrun chat [MESSAGE]: one question to a model.
local calls = require "ftrun.wandb.calls"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local runs = require "ftrun.runs"
local target = require "ftrun.target"
local task = require "ft.task"
local time = require "ft.time"

local command = {}

local function read_input()
  local lines = {}
  for line in task.read_line do lines[#lines + 1] = line end
  return table.concat(lines, "\n")
end

--- The model and its provider: --model, or what the named (or newest) run has made.
local function choose(args)
  if args.model then return args.model, args["local"] and "local" or "openai" end
  local summary = runs.resolve(args.run, "model")
  if not summary.model then
    err.raise("usage", ("run %s has no model (%s)"):format(summary.id, summary.state),
      { advice = summary.state == "open" and "Continue it: " .. runs.command(summary) or "Name a model with --model." })
  end
  return summary.model, summary.provider
end

function command.main(args)
  local model, provider = choose(args)
  local message = args.message and args.message ~= "-" and args.message or read_input()
  if message == "" then
    err.raise("usage", "the question is empty", { advice = 'ftrun chat "..." or: ftrun chat < file' })
  end
  local t <close> = target.open(provider)
  local messages = { { role = "user", content = message } }
  if args.system then table.insert(messages, 1, { role = "system", content = args.system }) end
  local logged <close>, started = calls.open { job_type = "chat", model = model, provider = provider },
    time.monotonic()
  local ok, answer = pcall(t.provider.chat, t.provider,
    { model = model, messages = messages, on_text = not args.json and log.out or nil })
  if ok then log.out((args.json and json.encode(answer) or "") .. "\n") end
  logged.call { model = model, seconds = time.monotonic() - started, usage = ok and answer.usage or nil,
    error = not ok and tostring(answer) or nil }
  if not ok then error(answer, 0) end
  return 0
end

return command
