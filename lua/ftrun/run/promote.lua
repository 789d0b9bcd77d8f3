--- Puts a tuned model to use: its id becomes the value of one setting in a `.env` file, of which no other byte changes,
--- and a line in promotions.jsonl says when, why, and what stood there before. The file's other values may be secrets:
--- they stay in C.
local amounts = require "ftrun.text.amounts"
local dotenv = require "ftrun.dotenv"
local err = require "ftrun.err"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local runs = require "ftrun.run.runs"
local secrets = require "ft.secrets"
local settings = require "ftrun.settings"
local time = require "ft.time"
local version = require "ft.version"

local M = {}

---@class ftrun.Promotion       a line of promotions.jsonl
---@field action "promote"|"rollback"
---@field at string             ISO 8601
---@field run string?
---@field model string?         the new value
---@field key string            the setting
---@field env_file string       absolute path
---@field previous string?      the value before; absent when there was none
---@field previous_raw string?  as it was written, with quotes
---@field by string             who did it: user@host
---@field ftrun string          version
---@field created boolean?      the file was not there before
---@field forced boolean?       although the gate was not passed
---@field recipe string?        its file
---@field recipe_sha256 string?
---@field lock_sha256 string?   of lock.json in the run's folder
---@field rows integer?         that the scores are of
---@field scores table[]?
---@field gate table?           the gate's decision
---@field of integer?           of a rollback: the line that it undoes

local function records_path() return runs.root() .. "/promotions.jsonl" end

--- All records, oldest first.
---@return ftrun.Promotion[]
function M.records()
  local list = {}
  for line in (fs.read(records_path()) or ""):gmatch "([^\n]*)\n" do list[#list + 1] = json.decode(line) end
  return list
end

-- A record is on disk before the file is changed: what was changed can always be undone.
local function note(record)
  record.at, record.by, record.ftrun = time.iso8601(time.now()), fs.whoami(), version
  err.check("system", fs.mkdir(runs.root()))
  local file = err.check("system", fs.append(records_path()))
  local _ <close> = setmetatable({}, { __close = function() file:close() end })
  err.check("system", file:write(json.encode(record) .. "\n", true))
end

local function below(path, folder)
  return folder == "/" or path:sub(1, #folder + 1) == folder .. "/"
end

local function refuse(recipe, key, message, advice)
  err.raise("recipe", ("promote.%s: %s"):format(key, message), { where = recipe:where("promote", key),
    advice = advice })
end

local function check_key(recipe, key)
  local known = secrets.is_secret(key)
  for _, row in ipairs(settings) do
    for name in row[1]:gmatch "[%w_]+" do known = known or name == key end
  end
  if known then
    refuse(recipe, "key", key .. " is a secret, or a setting of ftrun itself; a model's id does not belong there",
      "Use a name of its own, such as OPENAI_MODEL.")
  end
end

local function read(path, key)
  local ok, value, raw, code = pcall(secrets.read_setting, path, key)
  if not ok then
    err.raise("setting", key .. " holds a secret, such as a URL with a password; a model's id does not belong there",
      { where = path, advice = "Use a name of its own, such as OPENAI_MODEL." })
  end
  if not value and code then dotenv.fail("system", raw, code) end
  return value, raw
end

--- The file that a recipe promotes into, as an absolute path. A recipe is other people's code: by itself it reaches
--- only files named like .env below the current folder; who starts it may name another with --set promote.env_file=....
---@param recipe ftrun.Recipe
---@return string path
function M.locate(recipe)
  local p = recipe.promote
  check_key(recipe, p.key)
  local path, given = p.env_file, false
  for _, o in ipairs(recipe.overrides) do given = given or o[1] == "promote.env_file" end
  local folder, name = path:match "^(.-)/*([^/]*)$"
  if folder == "" then folder = path:sub(1, 1) == "/" and "/" or "." end
  local parent = fs.realpath(folder)
  if not parent then refuse(recipe, "env_file", ("there is no folder '%s'"):format(folder)) end
  local whole = (parent == "/" and "" or parent) .. "/" .. name
  whole = fs.realpath(whole) or whole -- through a link, which is kept
  if not given then
    if not below(whole, fs.realpath ".") then
      refuse(recipe, "env_file", path .. " does not lie below the current folder",
        "Name it yourself if it is meant: --set promote.env_file=" .. path)
    end
    if not (name:find "^%.env" or name:find "%.env$") then
      refuse(recipe, "env_file", path .. " is not named like a file of settings (.env, prod.env)",
        "Name it yourself if it is meant: --set promote.env_file=" .. path)
    end
  end
  return whole
end

--- Raises what would keep a model from being promoted: that is to be known before anything is sent.
---@param recipe ftrun.Recipe
function M.check(recipe) read(M.locate(recipe), recipe.promote.key) end

local function is_local(model) return model:find "^ft:[^:]+:local:" ~= nil end

--- What stands where a model of the local learner would go, when that is a provider's tuned model, which was paid for
--- and is in use: a try must not take its place by itself.
---@param recipe ftrun.Recipe
---@param model string
---@return string? value
function M.displaced(recipe, model)
  if not is_local(model) then return nil end
  local value = read(M.locate(recipe), recipe.promote.key)
  return value and value:find "^ft:" and not is_local(value) and value or nil
end

local function brief(evaluation)
  local list = {}
  for i, s in ipairs(evaluation and evaluation.scores or {}) do
    list[i] = { name = s.name, path = s.path, base = s.base and s.base.value, tuned = s.tuned and s.tuned.value,
      interval = s.interval, verdict = s.verdict }
  end
  return json.array(list)
end

local function write(path, key, raw)
  local ok, message, code = secrets.write_setting(path, key, raw)
  if not ok then dotenv.fail("system", message, code) end
end

local function hold()
  return runs.hold("promotions", "another promotion is being written", "Start the same command again.")
end

--- A value as people read it.
---@param value string?
---@return string
function M.shown(value) return value == nil and "not set" or value == "" and "empty" or value end

--- Writes the model's id. Doing it again changes nothing.
---@param o { recipe: ftrun.Recipe, run: string, model: string, evaluation: ftrun.Evaluation?, forced: boolean?,
---  gate: ftrun.gate.Decision?, lock_sha256: string? }
---@return ftrun.Promotion record  with `unchanged` when the id stood there already
function M.run(o)
  local path, key = M.locate(o.recipe), o.recipe.promote.key
  if not o.model:find "^[%w%._:/@+-]+$" then
    err.raise("provider", ("the model's id cannot be written into a file of settings: '%s'"):format(o.model))
  end
  local _ <close> = hold()
  local value, raw = read(path, key)
  local record = { action = "promote", run = o.run, model = o.model, key = key, env_file = path, previous = value,
    previous_raw = raw, created = not fs.stat(path) or nil, forced = o.forced or nil,
    recipe = o.recipe.path, recipe_sha256 = o.recipe.sha256, lock_sha256 = o.lock_sha256,
    rows = o.evaluation and o.evaluation.compared, scores = brief(o.evaluation), gate = o.gate }
  if value == o.model then
    record.unchanged = true
    return record
  end
  note(record)
  write(path, key, o.model)
  return record
end

local function newest(records)
  local undone = {}
  for _, r in ipairs(records) do if r.action == "rollback" then undone[r.of] = true end end
  for i = #records, 1, -1 do
    if records[i].action == "promote" and not undone[i] then return i, records[i] end
  end
end

--- Undoes the newest promotion that is not undone yet.
---@return ftrun.Promotion undone
---@return ftrun.Promotion record
function M.rollback()
  local _ <close> = hold()
  local i, last = newest(M.records())
  if not last then
    err.raise("usage", "there is no promotion to undo in " .. records_path(),
      { advice = "Promote first: ftrun promote" })
  end
  local value = read(last.env_file, last.key)
  if value ~= last.model and value ~= last.previous then
    err.raise("setting", ("%s is %s now, not what was promoted: it was changed by somebody else"):format(last.key,
      M.shown(value)), { where = last.env_file, advice = "Before the promotion it was "
      .. M.shown(last.previous) .. "; change the file by hand." })
  end
  local record = { action = "rollback", of = i, run = last.run, key = last.key, env_file = last.env_file,
    model = last.previous }
  note(record)
  write(last.env_file, last.key, last.previous_raw)
  local info = last.created and fs.stat(last.env_file)
  if info and info.bytes == 0 then err.check("system", fs.remove(last.env_file)) end
  M.tell(record)
  return last, record
end

--- Puts a promotion or rollback into its run's own journal as well, if the run is still there.
---@param record ftrun.Promotion
function M.tell(record)
  local path = record.run and runs.dir(record.run) .. "/journal.jsonl"
  if not (path and fs.stat(path)) then return end
  local book <close> = journal.open(path)
  book:done(record.action, record)
end

--- What became of a run's promotions: the newest one, and the rollback that undid it.
---@param records ftrun.Promotion[]
---@param run string
---@return ftrun.Promotion? promoted
---@return ftrun.Promotion? undone
function M.of(records, run)
  local promoted, at, undone
  for i, r in ipairs(records) do
    if r.action == "promote" and r.run == run then promoted, at, undone = r, i, nil end
    if r.action == "rollback" and r.of == at then undone = r end
  end
  return promoted, undone
end

--- "2026-11-22T10:00:00Z by anna@desk, f1 0.965 on 20 rows".
---@param record ftrun.Promotion
---@return string
function M.when(record)
  local main = (record.scores or {})[1]
  return table.concat({ record.at or "?", record.by and " by " .. record.by or "",
    main and main.tuned and (", %s %.3f"):format(main.name, main.tuned) or "",
    main and main.tuned and record.rows and " on " .. amounts.count(record.rows, "row") or "",
    record.forced and ", past the gate" or "" })
end

--- "OPENAI_MODEL=ft:... in /path/.env (before: ...)".
---@param record ftrun.Promotion
---@return string
function M.line(record)
  return ("%s=%s in %s (%s)"):format(record.key, record.model, record.env_file, record.unchanged
    and "as it was" or "before: " .. M.shown(record.previous))
end

return M
