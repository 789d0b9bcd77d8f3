--- The folder of runs: .ftrun/runs/<run-id>/ below the current folder, or below FTRUN_DIR. run.json
--- sums a run up for those who look; the journal is the truth.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local secrets = require "ft.secrets"
local time = require "ft.time"

local runs = {}

--- What to do in a folder without runs.
runs.START = "Runs lie in the folder where ftrun is started, or in FTRUN_DIR.\n"
  .. "Start one: ftrun --local RECIPE (ftrun init writes a first recipe)"

---@class ftrun.Run.Summary   run.json
---@field id string
---@field identity string    hash of recipe, overrides, provider and limit: what "the same run again" means
---@field name string
---@field recipe string
---@field provider string
---@field base_model string
---@field overrides string[][]?  settings from the command line: { path, text }
---@field limit integer?     rows at most, from the command line
---@field created string     ISO 8601
---@field number integer     counts the runs of a folder: which one is newer, whatever the clock says
---@field phase string       last phase done
---@field state string       "open" until the run ended, then the job's state
---@field job string?
---@field model string?
---@field training string?  hash of what is asked of the provider: the same training is paid for once

local elsewhere

--- Keeps runs, and the local provider, in another folder from now on.
---@param folder string?  nil: where the settings say
function runs.keep_in(folder) elsewhere = folder end

---@return string path
function runs.root()
  return elsewhere or secrets.setting("FTRUN_DIR") or ".ftrun"
end

--- The same as a whole path: where nothing is found, it matters where that was.
---@return string path
function runs.place()
  local root = runs.root()
  return root:sub(1, 1) == "/" and root or (fs.realpath "." or "."):gsub("/$", "") .. "/" .. root
end

---@return string path
function runs.dir(id)
  return runs.root() .. "/runs/" .. id
end

--- Writes run.json.
function runs.save(summary)
  err.check("system", fs.write(runs.dir(summary.id) .. "/run.json", json.encode(summary) .. "\n"))
end

--- All runs, newest first. A folder without a readable run.json is passed over.
---@return ftrun.Run.Summary[]
function runs.list()
  local list = {}
  for _, id in ipairs(fs.list(runs.root() .. "/runs") or {}) do
    local summary = json.decode(fs.read(runs.dir(id) .. "/run.json") or "")
    if type(summary) == "table" and summary.id == id and math.type(summary.number) == "integer" then
      list[#list + 1] = summary
    end
  end
  table.sort(list, function(a, b)
    if a.number ~= b.number then return a.number > b.number end
    return a.id > b.id
  end)
  return list
end

--- The newest run of an identity.
---@return ftrun.Run.Summary?
function runs.find(identity)
  for _, summary in ipairs(runs.list()) do
    if summary.identity == identity then return summary end
  end
end

--- The run that a user names: its id, the beginning of one, its job's id, a recipe's name (its
--- newest run), or nothing (the newest run). Where several fit, the newest that has got as far as the command needs
--- goes before newer ones that have not. Raises err "usage" when nothing fits.
---@param name string?
---@param needs "job"|"model"|nil
---@return ftrun.Run.Summary
function runs.resolve(name, needs)
  local list = runs.list()
  local function newest(fits)
    local first
    for _, summary in ipairs(list) do
      if fits(summary) then
        if not needs or summary[needs] then return summary end
        first = first or summary
      end
    end
    return first
  end
  if not name then
    local summary = newest(function() return true end)
    if summary then return summary end
    err.raise("usage", "there is no run in " .. runs.place(),
      { advice = runs.START })
  end
  for _, fits in ipairs {
    function(r) return r.id == name or r.job == name end,
    function(r) return r.name == name end,
    function(r) return r.id:sub(1, #name) == name end,
  } do
    local summary = newest(fits)
    if summary then return summary end
  end
  err.raise("usage", ("no run or job '%s' in %s"):format(name, runs.place()),
    { advice = "See what is there: ftrun list" })
end

--- A word of a command line as a shell reads it.
local function quoted(word)
  if word:find("^[%w_@%%+=:,./-]+$") then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- The command that continues a run: another limit or setting would be another run.
---@param summary ftrun.Run.Summary
---@return string
function runs.command(summary)
  local words = { "ftrun" }
  if summary.provider == "local" then words[2] = "--local" end
  words[#words + 1] = quoted(summary.recipe)
  for _, o in ipairs(summary.overrides or {}) do words[#words + 1] = "--set " .. quoted(o[1] .. "=" .. o[2]) end
  if summary.limit then words[#words + 1] = "--limit " .. summary.limit end
  return table.concat(words, " ")
end

--- The command that has still to finish a run, whose job may have ended long ago; nil when none has, or when another
--- process is at it.
---@param summary ftrun.Run.Summary
---@return string?
function runs.unfinished(summary)
  local now = json.decode(fs.read(runs.dir(summary.id) .. "/run.json") or "") or summary
  if now.state ~= "open" or now.imported then return nil end
  local free, lock = pcall(runs.hold, now.identity)
  if not free then return nil end
  lock:close()
  return runs.command(now)
end

--- Makes the folder of a new run.
---@param summary table  everything of run.json but id, number, created, phase and state
---@return ftrun.Run.Summary
function runs.create(summary)
  local now, newest = time.now(), runs.list()[1]
  local stamp = time.iso8601(now):gsub("[-:Z]", ""):gsub("T", "-")
  summary.id = ("%s-%s-%s"):format(summary.name, stamp, digest.random_hex(4))
  summary.number = newest and newest.number + 1 or 1
  summary.created, summary.phase, summary.state = time.iso8601(now), "load", "open"
  err.check("system", fs.mkdir(runs.dir(summary.id)))
  runs.save(summary)
  return summary
end

function runs.remove(summary)
  err.check("system", fs.remove(runs.dir(summary.id), true))
end

--- Holds an identity for this process, so that one recipe is never run twice at a time. The lock
--- dies with the process.
---@param busy string?    what is said when another process holds it
---@param advice string?
---@return ft.fs.Lock
function runs.hold(identity, busy, advice)
  local folder = runs.root() .. "/locks"
  err.check("system", fs.mkdir(folder))
  local lock, message, code, holder = fs.lock(("%s/%s.lock"):format(folder, identity:sub(1, 16)),
    "since " .. time.iso8601(time.now()))
  if lock then return lock end
  if code ~= "busy" then err.raise("system", message, { code = code }) end
  local since = holder and holder ~= "" and " (" .. holder .. ")" or ""
  err.raise("busy", (busy or "this recipe is already running") .. since,
    { advice = advice or "Watch it from here with: ftrun watch\nOr wait until it ends." })
end

return runs
