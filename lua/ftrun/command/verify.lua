--- ftrun verify [WHAT]: today's recipe and data against a lock file.
local err = require "ftrun.err"
local experiment = require "ftrun.share.experiment"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local progress = require "ft.progress"
local recipe = require "ftrun.recipe"
local runs = require "ftrun.run.runs"
local verify = require "ftrun.share.verify"
local wrap = require "ftrun.text.wrap"

local command = {}

local SHOWN = 44 -- columns of a value

-- The newest run of this folder that has left this very lock.
local function run_of(lock_path)
  local text = fs.read(lock_path)
  for _, summary in ipairs(runs.list()) do
    local dir = runs.dir(summary.id)
    if fs.read(dir .. "/lock.json") == text then return summary, dir end
  end
end

--- The lock that is meant, the recipe's path, and the run that it is of, if there is one.
local function locate(name)
  if not name then -- a run that has not ended has no lock yet
    for _, summary in ipairs(runs.list()) do
      if fs.stat(runs.dir(summary.id) .. "/lock.json") then
        name = summary.id
        break
      end
    end
  end
  local e <close> = experiment.open(name)
  if e.kind == "run" then
    if not e.lock then
      err.raise("usage", ("run %s has no lock file (%s)"):format(e.summary.id, e.summary.state))
    end
    return e.lock_path, e.lock, e.summary.recipe, e.summary, e.dir
  end
  local lock_path, path = e.lock_path, e.path
  if e.kind == "recipe" then
    lock_path = path:gsub("%.lua$", "") .. ".lock.json"
    if not fs.stat(lock_path) then
      err.raise("usage", ("%s has no lock file: %s is not there"):format(path, lock_path),
        { advice = "A run that has ended writes it. Start one: ftrun " .. path })
    end
  else
    path = lock_path:gsub("%.lock%.json$", ".lua")
    if path == lock_path or not fs.stat(path) then
      err.raise("usage", ("the recipe of %s is not beside it"):format(lock_path),
        { advice = "A lock file is named like its recipe: NAME.lua and NAME.lock.json" })
    end
  end
  local locked <close> = experiment.open(lock_path)
  return lock_path, locked.lock, path, run_of(lock_path)
end

local MARKS = { same = "same     ", differs = "DIFFERS  ", note = "note     ", unknown = "unknown  " }
local COLOURS = { differs = "red", same = "green" }

local function short(value)
  if value == nil then return "none" end
  local text = tostring(value):gsub("%s+", " ")
  if text:find "^%x+$" and #text == 64 then return text:sub(1, 12) .. "…" end
  if text == "" then return "none" end
  local n = utf8.len(text)
  return n and n > SHOWN and text:sub(1, utf8.offset(text, SHOWN) - 1) .. "…" or text
end

local function print_checks(found)
  for _, c in ipairs(found.checks) do
    local text = c.message or c.result == "same" and short(c.is) or ("%s → %s"):format(short(c.was), short(c.is))
    log.out(MARKS[c.result], COLOURS[c.result])
    log.out(wrap.text(("%s: %s"):format(c.name, text), wrap.width "stdout", #MARKS.same) .. "\n")
  end
  local r = found.rows
  if r then
    log.out(("rows of then and now: %d added, %d removed, %d with another answer, %d on the other side\n"):format(
      r.added, r.removed, r.changed, r.moved))
  end
end

function command.main(args)
  if args.json or args.quiet then progress.disable() end
  local lock_path, lock, path, summary, dir = locate(args.what)
  local set = {}
  for i, o in ipairs(type(lock.overrides) == "table" and lock.overrides or {}) do set[i] = { o[1], o[2] } end
  for _, text in ipairs(args.set or {}) do set[#set + 1] = text end
  local loaded <close> = recipe.load(path, { set = set })
  local found = verify.run(lock, loaded, { dir = dir, limit = summary and summary.limit,
    on_progress = function(done, total, unit) progress.update("reading, " .. unit, done, total) end })
  progress.finish()
  if args.json then
    found.type, found.lock, found.recipe, found.run = "verify", lock_path, path, summary and summary.id
    json.print(found)
  elseif not args.quiet then
    log.info(("%s against %s"):format(path, lock_path))
    print_checks(found)
    log.out(found.matches and "it can be repeated: nothing differs\n" or "not the same any more\n")
  end
  return found.matches and 0 or err.kinds.differs
end

return command
