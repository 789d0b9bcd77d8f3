--- ftrun serve: the local provider alone, for any OpenAI client on this machine.
local faults = require "ftrun.local.faults"
local json = require "ftrun.json"
local log = require "ft.log"
local target = require "ftrun.target"
local time = require "ft.time"

local command = {}

function command.main(args, state)
  local wanted = os.getenv "FTRUN_SERVE_FAULTS" or "" -- for tests of clients alone
  local server = require("ftrun.local.server").start {
    dir = args.dir or target.local_dir(), port = args.port, host = args.host,
    faults = wanted ~= "" and faults.read(wanted) or nil, on_log = function(text) log.debug(text) end,
  }
  local _ <close> = setmetatable({}, { __close = function() server:close() end })
  state.detached = function() return "stopped; jobs that were training go on when the server is started again" end
  if args.json then json.print { type = "listening", url = server.url } end
  log.info("the local provider listens on " .. server.url)
  if wanted ~= "" then log.warn "FTRUN_SERVE_FAULTS is set: some answers fail on purpose" end
  log.info("  it is a small linear learner, not the model it is asked for")
  log.info("  use it with any OpenAI client: OPENAI_BASE_URL=" .. server.url .. " OPENAI_API_KEY=sk-local")
  while true do time.sleep(3600) end
end

return command
