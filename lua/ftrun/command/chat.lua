--- ftrun chat [MESSAGE]: one question to a model.
local amounts = require "ftrun.text.amounts"
local calls = require "ftrun.wandb.calls"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local measured = require "ftrun.evaluate.measured"
local prices = require "ftrun.plan.prices"
local target = require "ftrun.target"
local task = require "ft.task"
local time = require "ft.time"

local command = {}

local GIVE_UP_S, PAUSE_S = 30, 0.1 -- while others' servers end under our questions

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
  return summary.model, summary.provider, summary.id
end

-- "1 002 tokens read, 82 written, 1.2 s, $0.0004"
local function line_of(answer, seconds, usd)
  local usage = answer.usage or {}
  return ("%s read, %s written, %.1f s%s"):format(amounts.count(usage.prompt_tokens or 0, "token"),
    amounts.number(usage.completion_tokens or 0), seconds, usd and usd > 0 and ", " .. amounts.usd(usd) or "")
end

-- Prints the text of an answer as it comes. When an attempt breaks off, the next begins where it ended: a local model
-- says the same again.
local function printer()
  local shown = 0
  return function()
    local at = 0
    return function(piece)
      local known = math.max(0, shown - at)
      at = at + #piece
      shown = math.max(shown, at)
      if known < #piece then log.out(piece:sub(known + 1)) end
    end
  end
end

local GONE = { refused = true, reset = true }

-- One attempt: as pcall; nothing when the process that served the local provider has ended: this one can serve it then.
local function attempt(provider, request)
  local t <close> = target.open(provider)
  if provider == "local" and not t.inside then
    request.pace = { patience_s = function(outcome, usual) return GONE[outcome.code] and 0 or usual end }
  end
  local ok, answer = pcall(t.provider.chat, t.provider, request)
  if not ok and target.lost(t, answer) and GONE[answer.code] then return nil, answer end
  return ok, answer
end

local function ask(provider, model, messages, quiet)
  local began, text = time.monotonic(), printer()
  while true do
    local ok, answer = attempt(provider, { model = model, messages = messages, on_text = not quiet and text() or nil })
    if ok ~= nil then return ok, answer end
    if time.monotonic() - began > GIVE_UP_S then return false, answer end
    time.sleep(PAUSE_S)
  end
end

function command.main(args)
  local model, provider, run = choose(args)
  local message = args.message and args.message ~= "-" and args.message or read_input()
  if message == "" then
    err.raise("usage", "the question is empty", { advice = 'ftrun chat "..." or: ftrun chat < file' })
  end
  if run and not args.run then log.info(("model %s (of the newest run, %s)"):format(model, run)) end
  local messages = { { role = "user", content = message } }
  if args.system then table.insert(messages, 1, { role = "system", content = args.system }) end
  local logged <close>, began = calls.open { job_type = "chat", model = model, provider = provider },
    time.monotonic()
  local ok, answer = ask(provider, model, messages, args.json)
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
