--- ftrun completion SHELL
local completion = require "ftrun.completion"
local json = require "ftrun.json"
local log = require "ft.log"

local command = {}

function command.main(args)
  local script = completion[args.shell]()
  log.out(args.json and json.encode { type = "completion", shell = args.shell, script = script } .. "\n" or script)
  return 0
end

return command
