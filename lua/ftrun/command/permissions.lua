--- ftrun permissions list|create|delete MODEL [ID...]: which other projects of the organization may use a tuned model
--- or a checkpoint. OpenAI asks for an admin key.
local columns = require "ftrun.text.columns"
local consent = require "ftrun.text.consent"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local target = require "ftrun.target"
local time = require "ft.time"

local command = {}

local function show(args, list)
  if args.json then return json.print(json.array(list)) end
  local rows = {}
  for i, p in ipairs(list) do
    rows[i] = { p.id, p.created_at and time.iso8601(p.created_at) or "", p.project or "" }
  end
  columns(rows)
end

local actions = {}

function actions.list(provider, args)
  local list = provider:permissions(args.model)
  if #list == 0 and not args.json then return log.info("no other project may use " .. args.model) end
  show(args, list)
end

function actions.create(provider, args)
  show(args, provider:permit(args.model, args.id))
end

function actions.delete(provider, args)
  for _, id in ipairs(args.id) do
    if not args.yes and not consent(("Take permission %s of %s back?"):format(id, args.model), args.quiet) then
      err.raise("declined", ("permission %s is left as it is"):format(id), { advice = "Answer y, or add --yes." })
    end
    provider:forbid(args.model, id)
    log.info(("permission %s is deleted"):format(id))
    if args.json then json.print { id = id, deleted = true } end
  end
end

function command.main(args)
  if args.action ~= "list" and #args.id == 0 then
    err.raise("usage", args.action == "create" and "which project may use it?" or "which permission is taken back?",
      { advice = ("Write: ftrun permissions %s %s %s"):format(args.action, args.model,
        args.action == "create" and "proj_..." or "cp_...") })
  end
  local t <close> = target.open(args["local"] and "local" or "openai")
  actions[args.action](t.provider, args)
  return 0
end

return command
