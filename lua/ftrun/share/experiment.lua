--- What people compare and repeat: a recipe, a lock file or a run, and what each of them knows.
local err = require "ftrun.err"
local facts = require "ftrun.report.facts"
local fs = require "ft.fs"
local json = require "ftrun.json"
local recipe = require "ftrun.recipe"
local runs = require "ftrun.run.runs"

local M = {}

---@class ftrun.Experiment
---@field kind "recipe"|"lock"|"run"
---@field title string
---@field path string?              of the recipe or lock file
---@field summary ftrun.Run.Summary?  of the run
---@field dir string?               of the run
---@field lock table?               as the lock file has it
---@field lock_path string?
---@field recipe ftrun.Recipe?      of a run: as it was used
---@field problem string?           why a run's recipe cannot be loaded here
---@field texts { name: string, bytes: string }[]  recipe and what it includes
local Experiment = {}
Experiment.__index = Experiment

local function read_lock(path)
  local text, message, code = fs.read(path)
  if not text then err.raise("system", message, { code = code }) end
  local lock, why = json.decode(text)
  if type(lock) ~= "table" or type(lock.recipe_sha256) ~= "string" then
    err.raise("data", "is no lock file of ftrun" .. (why and ": " .. why or ""), { where = path })
  end
  return lock
end

local function texts_of(sources)
  local list = {}
  for i, s in ipairs(sources) do list[i] = { name = i == 1 and "recipe" or s.path, bytes = s.bytes } end
  return list
end

--- The recipe that a run has kept, laid out as it was, loaded, and cleared away again.
---@param dir string  the run's folder
---@param summary { recipe: string?, overrides: string[][]? }
---@return ftrun.Recipe?  nil when it cannot be loaded here
---@return { name: string, bytes: string }[] texts
---@return string? problem
function M.kept(dir, summary)
  local place = err.check("system", fs.temporary "ftrun-kept")
  local _ <close> = setmetatable({}, { __close = function() fs.remove(place, true) end })
  local texts = {}
  local function walk(from, to, name)
    local info = fs.stat(from)
    if info and info.type == "directory" then
      err.check("system", fs.mkdir(to))
      for _, entry in ipairs(fs.list(from) or {}) do
        walk(from .. "/" .. entry, to .. "/" .. entry, name and name .. "/" .. entry or entry)
      end
    elseif info then
      local bytes = err.check("system", fs.read(from))
      err.check("system", fs.write(to, bytes))
      texts[#texts + 1] = { name = name or "recipe", bytes = bytes }
    end
  end
  local path = place .. "/" .. (summary.recipe or "recipe.lua"):match "[^/]*$"
  walk(dir .. "/recipe.lua", path)
  walk(dir .. "/sources", place)
  local ok, loaded = pcall(recipe.load, path, { set = summary.overrides })
  return ok and loaded or nil, texts, not ok and tostring(loaded):gsub("^.-%.lua:?", "", 1) or nil
end

local function open_run(summary, dir)
  local self = { kind = "run", title = "run " .. summary.id, summary = summary, dir = dir }
  self.recipe, self.texts, self.problem = M.kept(dir, summary)
  local lock = dir .. "/lock.json"
  if fs.stat(lock) then self.lock, self.lock_path = read_lock(lock), lock end
  return self
end

-- A file that is neither recipe nor lock file.
local function other_file(name)
  err.raise("usage", "is neither a recipe (.lua) nor a lock file (.json)", { where = name,
    advice = name:find "%.jsonl$" and "Files of rows are checked with: ftrun validate " .. name
      or "Runs are named by their ids: ftrun list" })
end

--- What a name on the command line stands for: a file ending in .lua is a recipe, one ending in .json a lock file, a
--- folder with run.json or the name of a run (as in all commands) is a run. Closes itself.
---@param name string?  default: the newest run
---@return ftrun.Experiment
function M.open(name)
  local info = name and fs.stat(name)
  local self
  if info and info.type == "directory" then
    local summary = json.decode(fs.read(name .. "/run.json") or "")
    if type(summary) == "table" and type(summary.id) == "string" then
      self = open_run(summary, name)
    else
      info = nil -- an imported recipe lies in a folder that is named like its run
    end
  end
  if self then
    return setmetatable(self, Experiment)
  elseif name and name:find "%.json$" then
    self = { kind = "lock", title = name, path = name, lock = read_lock(name), lock_path = name, texts = {} }
  elseif info and not name:find "%.lua$" then
    other_file(name)
  elseif name and name:find "%.lua$" then
    local loaded = recipe.load(name)
    self = { kind = "recipe", title = name, path = name, recipe = loaded, texts = texts_of(loaded.sources) }
  else
    local summary = runs.resolve(name)
    self = open_run(summary, runs.dir(summary.id))
  end
  return setmetatable(self, Experiment)
end

function Experiment:close()
  if self.recipe then self.recipe:close() end
end

Experiment.__close = Experiment.close

-- ---- what it knows ----

local INSIDE = { sources = true, path = true, dir = true, sha256 = true, limit = true, overrides = true }
local QUERY = "dataset.query"

local function show(value)
  if type(value) == "userdata" then return "a function" end
  return tostring(value)
end

-- Settings by path; texts of several lines go to `long`.
local function flatten(value, path, out, long)
  if type(value) ~= "table" then
    if path == QUERY or type(value) == "string" and value:find "\n" then
      long[path] = value
    else
      out[path] = show(value)
    end
    return
  end
  if type(value.env) == "string" then
    out[path] = ('ft.env "%s"%s'):format(value.env, value.default and ", " .. show(value.default) or "")
    return
  end
  for key, item in pairs(value) do
    if path ~= "" or not INSIDE[key] then
      local name = type(key) == "number" and ("%s[%d]"):format(path, key) or (path ~= "" and path .. "." or "") .. key
      flatten(item, name, out, long)
    end
  end
end

--- Settings as they were asked for, by path; texts of several lines; and whether that is all of them (a lock file has
--- but a few).
---@return table<string, string> settings
---@return table<string, string> long
---@return boolean whole
function Experiment:settings()
  local out, long = {}, {}
  if self.recipe then
    for key, value in pairs(self.recipe) do if not INSIDE[key] then flatten(value, key, out, long) end end
    return out, long, true
  end
  local lock = self.lock or {}
  for _, key in ipairs { "name", "base_model", "seed" } do if lock[key] then out[key] = show(lock[key]) end end
  if lock.query then long[QUERY] = lock.query end
  return out, long, false
end

local function set(out, name, value)
  if value ~= nil and type(value) ~= "table" then out[name] = show(value) end
end

--- Hashes and counts of the data; nil where nothing was prepared.
---@return table<string, string>?
function Experiment:data()
  local lock, prepared = self.lock, nil
  if not lock and self.dir then prepared = facts.read(self.dir).prepared end
  if not lock and not prepared then return nil end
  local out, from = {}, lock or prepared
  set(out, "rows", lock and lock.rows or prepared and prepared.written)
  set(out, "sha256", lock and lock.data_sha256 or prepared and prepared.sha256)
  for _, side in ipairs { "train", "validation" } do
    for _, key in ipairs { "rows", "sha256", "tokens", "file_id" } do
      set(out, side .. "." .. key, (from[side] or {})[key])
    end
  end
  return out
end

--- What came of it: provider, model, cost and so on; nil before there was a job.
---@return table<string, string>?
function Experiment:outcome()
  local lock = self.lock
  if not lock then return nil end
  local out = {}
  for _, key in ipairs { "ftrun", "provider", "state", "model", "job", "trained_tokens", "encoding" } do
    set(out, key, lock[key])
  end
  for key, value in pairs(lock.hyperparameters or {}) do set(out, "used " .. key, value) end
  set(out, "price, US dollars a million tokens", (lock.price or {}).usd_per_million)
  set(out, "estimate, US dollars", lock.estimate and lock.estimate.usd and lock.estimate.usd.likely)
  if lock.gate then set(out, "gate passed", lock.gate.passed) end
  local result = self.dir and json.decode(fs.read(self.dir .. "/result.json") or "")
  set(out, "cost, US dollars", type(result) == "table" and (result.usage or {}).usd or nil)
  return out
end

--- The tuned model's scores by name; nil where it was not measured.
---@return { name: string, value: number }[]?
function Experiment:scores()
  local found = self.dir and json.decode(fs.read(self.dir .. "/evaluation.json") or "")
  local from = type(found) == "table" and found.scores or self.lock and self.lock.scores
  if type(from) ~= "table" or #from == 0 then return nil end
  local list = {}
  for _, s in ipairs(from) do
    local value = type(s.tuned) == "table" and s.tuned.value
    if type(value) == "number" then
      list[#list + 1] = { name = (s.name or "score") .. (s.path and " " .. s.path or ""), value = value }
    end
  end
  return list
end

return M
