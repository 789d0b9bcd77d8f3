--- ftrun import FILE: a run of somebody else, checked, among this folder's runs; its recipe ready to be run.
local bundle = require "ftrun.share.bundle"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local recipe = require "ftrun.recipe"
local report = require "ftrun.report"
local runs = require "ftrun.run.runs"
local time = require "ft.time"

local command = {}

local STATES = { succeeded = true, failed = true, cancelled = true }

local function text(value, pattern)
  return type(value) == "string" and #value <= 300 and utf8.len(value) and not value:find "%c"
    and (not pattern or value:find(pattern)) and value or nil
end

-- run.json as it may stand among one's own: only what is known, and of the kind that is expected.
local function summary_of(file, manifest, dir)
  local given = json.decode(fs.read(dir .. "/run.json", 1 << 20) or "")
  if type(given) ~= "table" or given.id ~= manifest.run or not STATES[given.state] then
    err.raise("data", "its run.json is not that of a run that has ended", { where = file, code = "bundle" })
  end
  local overrides = json.array {}
  for i, o in ipairs(type(given.overrides) == "table" and given.overrides or {}) do
    overrides[i] = type(o) == "table" and text(o[1]) and text(o[2]) and { o[1], o[2] }
    if not overrides[i] then
      err.raise("data", "its run.json has settings that are none", { where = file, code = "bundle" })
    end
  end
  local sha256 = err.check("system", digest.sha256_file(file))
  -- number 0: one's own runs are newer; an identity that no run of this machine has: it is never continued
  return { id = manifest.run, number = 0, identity = "imported " .. sha256, name = manifest.name, state = given.state,
    phase = text(given.phase, "^%l+$") or "result", provider = text(given.provider, "^%l+$") or "openai",
    base_model = text(given.base_model) or "", created = text(given.created, "^[%dTZ:.-]+$") or "",
    job = text(given.job), model = text(given.model), overrides = overrides,
    limit = math.type(given.limit) == "integer" and given.limit > 0 and given.limit or nil,
    imported = { at = time.iso8601(time.now()), ftrun = manifest.ftrun, sha256 = sha256 } }
end

-- Where the recipe, its texts and the lock go: { to, bytes }. Nothing that is there is written over.
local function placed(manifest, dir, into)
  local list, stem = {}, manifest.recipe:gsub("%.lua$", "")
  local function add(from, to)
    local bytes = fs.read(dir .. "/" .. from)
    if bytes then list[#list + 1] = { to = into .. "/" .. to, bytes = bytes } end
  end
  add("recipe.lua", manifest.recipe)
  for _, f in ipairs(manifest.files) do
    local path = f.path:match "^sources/(.*)$"
    if path then add(f.path, path) end
  end
  add("lock.json", stem .. ".lock.json")
  local there = {}
  for _, f in ipairs(list) do
    local now = fs.stat(f.to) and (fs.read(f.to) or "")
    if now and now ~= f.bytes then there[#there + 1] = f.to end
  end
  if #there > 0 then
    err.raise("usage", ("other files are there already: %s; nothing was imported"):format(table.concat(there, ", ")),
      { advice = "Choose another folder for the recipe: --into FOLDER" })
  end
  return list
end

-- What was exported is one experiment only if the recipe is the one that the lock was made of.
local function check_recipe(path, summary, dir)
  local lock = json.decode(fs.read(dir .. "/lock.json") or "")
  local ok, loaded = pcall(recipe.load, path, { set = summary.overrides })
  if not ok then
    log.warn(("the recipe cannot be loaded here yet: %s"):format(tostring(loaded)))
    return nil
  end
  local same = type(lock) ~= "table" or lock.recipe_sha256 == loaded.sha256
  if not same then log.warn("the recipe is not the one that the lock file was made of") end
  local source = loaded.dataset
  loaded:close()
  return source
end

local function tell_rows(source)
  if source.kind == "postgres" then
    local name = type(source.url) == "table" and source.url.env
    return name and ("its rows come from the database of %s"):format(name) or "its rows come from a database"
  end
  local paths = source.paths or { source.path or source.train, source.validation }
  return ("its rows are to be in %s, from the recipe's folder"):format(table.concat(paths, ", "))
end

function command.main(args)
  local folder = runs.root() .. "/runs"
  err.check("system", fs.mkdir(folder))
  local dir = ("%s/.import-%s"):format(folder, digest.random_hex(8))
  err.check("system", fs.mkdir(dir))
  local _ <close> = setmetatable({}, { __close = function() fs.remove(dir, true) end })
  local manifest = bundle.read(args.file, dir)
  local summary = summary_of(args.file, manifest, dir)
  local target = runs.dir(summary.id)
  if fs.stat(target) then
    err.raise("usage", ("run %s is here already; nothing was imported"):format(summary.id),
      { advice = "Look at it: ftrun report " .. summary.id .. " --text" })
  end
  local into = (args.into or summary.id):gsub("(.)/+$", "%1")
  local files = placed(manifest, dir, into)
  for _, f in ipairs(files) do
    err.check("system", fs.mkdir((f.to:match "^(.*)/")))
    if not fs.stat(f.to) then err.check("system", fs.write(f.to, f.bytes)) end
  end
  summary.recipe = (into == "." and "" or into .. "/") .. manifest.recipe
  err.check("system", fs.write(dir .. "/run.json", json.encode(summary) .. "\n"))
  err.check("system", fs.rename(dir, target))
  if not fs.stat(target .. "/report.html") then pcall(report.write, target) end -- what it lacks is in no other file
  local source = check_recipe(summary.recipe, summary, target)
  if args.json then
    json.print { type = "import", run = summary.id, dir = target, recipe = summary.recipe,
      with_data = manifest.with_data == true, ftrun = manifest.ftrun }
    return 0
  end
  log.info(("run %s is in %s; every file has the hash that it was exported with"):format(summary.id, target))
  if source then log.info(tell_rows(source)) end
  log.info("run it:     " .. runs.command(summary) .. "\nwhat fits:  ftrun verify " .. summary.id)
  log.out(summary.recipe .. "\n")
  return 0
end

return command
