--- ftrun run RECIPE
local err = require "ftrun.err"
local gate = require "ftrun.evaluate.gate"
local recipe = require "ftrun.recipe"
local run = require "ftrun.run"
local runs = require "ftrun.run.runs"
local target = require "ftrun.target"
local terminal = require "ftrun.text.terminal"

local command = {}

--- What to say when Ctrl-C or SIGTERM ends the process in the middle: what goes on, and how to go
--- on.
local function detached(ui, inside)
  local summary = ui.summary
  if not summary then return "interrupted: nothing was sent" end
  local again = runs.command(summary)
  if summary.model then
    return ("interrupted during '%s': model %s is there, and answers so far are kept; continue with: %s")
      :format(ui.current or summary.phase, summary.model, again)
  end
  if not summary.job then
    return ("interrupted during '%s': %s; continue with: %s"):format(ui.current or summary.phase,
      ui.current == "create" and "a job may exist, and will be looked for" or "no job exists", again)
  end
  if inside then
    return ("detached: training of job %s rests while no process serves it; continue with: %s")
      :format(summary.job, again)
  end
  return ("detached: job %s goes on at the provider\n  watch it:  ftrun watch %s\n  continue:  %s")
    :format(summary.job, summary.id, again)
end

---@param args table  of cli.commands
---@param state table  `detached` is set: fn() -> text
---@return integer exit_code
function command.main(args, state)
  local ui = terminal.new { json = args.json, quiet = args.quiet, yes = args.yes, free = args["local"] }
  state.detached = function() return detached(ui, args["local"]) end
  local loaded = recipe.load(args.recipe, { set = args.set, limit = args.limit })
  local _ <close> = setmetatable({}, { __close = function() loaded:close() end })
  local t <close> = target.open(args["local"] and "local" or "openai")
  state.detached = function() return detached(ui, t.inside()) end
  local result = run.start { recipe = loaded, provider = t.provider, ui = ui, limit = args.limit, new = args.new,
    last = args.last }
  ui.result(result)
  if result.state == "open" then
    ui.note(("job %s goes on at the provider\n  watch it:  ftrun watch %s"):format(result.job, result.run))
    return 0
  end
  if result.state ~= "succeeded" then
    local why = type(result.error) == "table" and result.error.message or result.state
    if result.error and result.error.code == "over_budget" then
      err.raise("declined", ("job %s was cancelled, %s"):format(result.job, why), { code = "over_budget",
        advice = "What it trained until then may be billed. Ask for fewer epochs or rows, or raise budget.max_usd." })
    end
    err.raise("job", ("job %s: %s"):format(result.job, why), { code = result.error and result.error.code,
      advice = "Its events: ftrun events " .. result.run })
  end
  if result.gate and not result.gate.passed then gate.refuse(result.gate, result.run) end
  return 0
end

return command
