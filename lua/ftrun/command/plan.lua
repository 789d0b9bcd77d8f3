--- ftrun plan RECIPE: everything up to the first request, and nothing after it.
local dataset = require "ftrun.data.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local plan = require "ftrun.plan"
local plan_text = require "ftrun.plan.text"
local progress = require "ft.progress"
local providers = require "ftrun.providers"
local recipe = require "ftrun.recipe"
local secrets = require "ft.secrets"

local command = {}

function command.main(args)
  if args.json or args.quiet then progress.disable() end
  local loaded = recipe.load(args.recipe, { set = args.set, limit = args.limit })
  local dir = err.check("system", fs.temporary("ftrun-plan"))
  local _ <close> = setmetatable({}, { __close = function()
    loaded:close()
    fs.remove(dir, true)
  end })
  local prepared, names = dataset.prepare(loaded, { dir = dir, limit = args.limit,
    on_progress = function(done, total, unit) progress.update("reading, " .. unit, done, total) end })
  local provider = args["local"] and "local" or "openai"
  local made = plan.make(loaded, prepared, provider, { endpoint = providers.endpoint(provider),
    on_progress = function(done, total) progress.update("counting tokens", done, total) end, names = names,
    on_inspect = function(done, total) progress.update("looking at all rows together", done, total) end })
  progress.finish()
  if args.json then
    json.print(made)
  else
    log.out(table.concat(plan_text.lines(made), "\n") .. "\n")
    if provider == "openai" and not secrets.origin "OPENAI_API_KEY" then
      log.info("To start it OPENAI_API_KEY is needed, in the environment or in .env; or try it with --local.")
    end
  end
  return 0
end

return command
