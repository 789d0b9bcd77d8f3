--- ftrun rollback: undoes the newest promotion.
local json = require "ftrun.json"
local log = require "ft.log"
local promote = require "ftrun.run.promote"

local command = {}

function command.main(args)
  local undone = promote.rollback()
  if args.json then
    json.print(undone)
  elseif not args.quiet then
    log.out(("%s in %s is %s again\nundone: the promotion of %s\n"):format(undone.key, undone.env_file,
      promote.shown(undone.previous), promote.when(undone)))
  end
  return 0
end

return command
