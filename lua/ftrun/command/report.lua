--- ftrun report [RUN [RUN]]
local brief = require "ftrun.report.brief"
local err = require "ftrun.err"
local facts = require "ftrun.report.facts"
local json = require "ftrun.json"
local log = require "ft.log"
local report = require "ftrun.report"
local runs = require "ftrun.run.runs"
local wrap = require "ftrun.text.wrap"

local command = {}

function command.main(args)
  local names = args.run or {}
  if #names > 2 then err.raise("usage", ("a report shows one run or two, not %d"):format(#names)) end
  local ids, dirs = {}, {}
  for i = 1, math.max(1, #names) do
    ids[i] = runs.resolve(names[i]).id
    dirs[i] = runs.dir(ids[i])
  end
  if args.text or not args.json and log.is_terminal "stdout" then
    for i, dir in ipairs(dirs) do
      if i > 1 then log.out "\n" end
      for _, line in ipairs(brief.lines(facts.read(dir, { texts = false }))) do
        wrap.print(line)
      end
    end
  end
  if args.text then return 0 end
  local path = dirs[2] and report.write_pair(dirs, args.output)
    or report.write(dirs[1], args.output, { texts = not args.no_texts })
  log.out(args.json and json.encode { type = "report", run = ids[1], with = ids[2], path = path } .. "\n"
    or path .. "\n")
  return 0
end

return command
