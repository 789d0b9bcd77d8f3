--- ftrun diff A B: two recipes, lock files or runs.
local columns = require "ftrun.text.columns"
local difference = require "ftrun.share.difference"
local err = require "ftrun.err"
local experiment = require "ftrun.share.experiment"
local json = require "ftrun.json"
local log = require "ft.log"

local command = {}

local HASH = 12 -- digits of a hash that are shown

local function shown(value)
  if value == nil then return "-" end
  return value:find(("%x"):rep(64)) and #value == 64 and value:sub(1, HASH) .. "…" or value
end

local COLOURS = { ["+"] = "green", ["-"] = "red", ["@"] = "cyan" }

local function line(text) log.out(text .. "\n", COLOURS[text:sub(1, 1)]) end

local function settings(title, list)
  if #list == 0 then return end
  log.out(title .. "\n", "bold")
  for _, s in ipairs(list) do
    local a, b = shown(s.a), shown(s.b)
    local text = ("  %s: %s → %s"):format(s.path, a, b)
    if utf8.len(text) and utf8.len(text) <= 80 then
      log.out(text .. "\n")
    else
      log.out("  " .. s.path .. "\n")
      line("-   " .. a)
      line("+   " .. b)
    end
  end
end

local function scores(d)
  if #d.scores == 0 then return end
  log.out("scores of the tuned models\n", "bold")
  local function number(v) return v and ("%.3f"):format(v) or "-" end
  local rows = {}
  for i, s in ipairs(d.scores) do
    rows[i] = { "  " .. s.name, number(s.a), number(s.b), s.difference and ("%+.3f"):format(s.difference) or "" }
  end
  columns(rows, 1)
  if d.same_rows == false then log.out "  measured on other rows: the numbers cannot be compared\n" end
end

local function print_difference(d)
  line("--- " .. d.a)
  line("+++ " .. d.b)
  settings("settings", d.settings)
  for _, t in ipairs(d.texts) do
    log.out(t.name .. "\n", "bold")
    for _, l in ipairs(t.lines) do line(l) end
  end
  settings("data", d.data)
  settings("outcome", d.outcome)
  settings("ids", d.ids)
  scores(d)
end

function command.main(args)
  local a <close> = experiment.open(args.a)
  local b <close> = experiment.open(args.b)
  local d = difference.of(a, b)
  if args.json then
    d.type = "diff"
    json.print(d)
  elseif not args.quiet then
    if not d.equal then print_difference(d) end
    for _, what in ipairs(d.not_compared) do log.info("not compared: " .. what) end
    if d.equal then log.info "no difference" end
  end
  return d.equal and 0 or err.kinds.differs
end

return command
