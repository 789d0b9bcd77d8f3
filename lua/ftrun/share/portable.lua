--- A run's files as others may have them: what they say of the machine that the run was made on - paths, who sits
--- there, where the database is - is taken out of the copies; the run's own files stay as they are. The recipe and its
--- texts are the author's words and have a hash: they are never changed, so a path in them is refused.
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local experiment = require "ftrun.share.experiment"
local fs = require "ft.fs"
local json = require "ftrun.json"
local jsontext = require "ftrun.data.jsontext"
local report = require "ftrun.report"
local runs = require "ftrun.run.runs"

local M = {}

local STEP = 256 << 10

-- Rows and answers are copied as they are: their bytes are the data.
local SAYS = { ["run.json"] = true, ["lock.json"] = true, ["journal.jsonl"] = true, ["events.jsonl"] = true,
  ["metrics.jsonl"] = true, ["metrics.csv"] = true, ["tables.jsonl"] = true, ["evaluation.json"] = true,
  ["result.json"] = true }

-- ---- what names this machine ----

---@class ftrun.Machine
---@field folders { [1]: string, [2]: string }[]  a folder, and what stands for it; longest first
---@field top table<string, boolean>              names in "/"
---@field who string                              user@host
---@field host string

---@return ftrun.Machine
local function machine()
  local folders, known = {}, {}
  local function add(path, short)
    path = path and path:gsub("(.)/+$", "%1")
    if path and (path:find "^/." or path:find "^%.%./.") and not known[path] then
      known[path] = true
      folders[#folders + 1] = { path, short }
    end
  end
  local root = runs.root()
  add(root, ".ftrun")
  add(fs.realpath(root), ".ftrun")
  add(fs.realpath ".", ".")
  add(os.getenv "PWD", ".") -- as the user calls it: links are not resolved
  local home = os.getenv "HOME"
  add(home, "~")
  add(home and fs.realpath(home), "~")
  table.sort(folders, function(a, b) return #a[1] > #b[1] end)
  local top = {}
  for _, name in ipairs(fs.list "/" or {}) do top[name] = true end
  local who = fs.whoami()
  return { folders = folders, top = top, who = who, host = who:match "@(.*)$" }
end

-- Replaces a text wherever it stands for itself: not inside of a longer name.
local function replace(text, what, by)
  local from = text:find(what, 1, true)
  if not from then return text end
  local parts, done = {}, 1
  while from do
    local last = from + #what - 1
    if not text:find("^[%w._~/-]", from - 1 > 0 and from - 1 or #text + 1) and not text:find("^[%w_-]", last + 1) then
      local inside = text:sub(last + 1, last + 1) == "/"
      parts[#parts + 1] = text:sub(done, from - 1) .. (inside and by == "." and "" or by)
      done = inside and by == "." and last + 2 or last + 1
    end
    from = text:find(what, last + 1, true)
  end
  return table.concat(parts) .. text:sub(done)
end

--- A text without what names this machine: paths below the current folder start there, those of ftrun's folder at
--- .ftrun, others are their last name.
---@param text string
---@param of ftrun.Machine
---@return string
local function shorten(text, of)
  if not text:find "[/@]" then return text end
  for _, f in ipairs(of.folders) do text = replace(text, f[1], f[2]) end
  text = text:gsub("%f[%w._~/:-](~?/[^%s\"'`,;:|()<>%[%]{}]+)", function(path)
    local first = path:match "^/([^/]+)/." or path:match "^(~)/."
    if not first or first ~= "~" and not of.top[first] then return nil end
    return path:find "^/home/[^/]+/*$" and "~" or path:match "([^/]+)/*$"
  end)
  text = replace(text, of.who, "somebody")
  text = text:gsub("postgres%a*://[^%s\"'`]+", "postgresql://...")
  if #of.host > 0 then
    text = text:gsub("(://)([^/:%s]+)", function(start, host)
      return (host == of.host or host:sub(1, #of.host + 1) == of.host .. ".") and start .. "host" or nil
    end)
  end
  return text
end

-- A string of the run's JSON, by its key: a query is compared with the recipe's, a source names its database.
local function plain(text, key, of)
  if key == "query" then return text end
  if (key == "recipe" or key == "path") and text:find "^%.%./" then text = text:match "[^/]*$" end
  if key == "source" then text = text:gsub("^PostgreSQL .*", "PostgreSQL") end
  return shorten(text, of)
end

-- A JSON text with its strings changed, and without who promoted; all other bytes stay.
local function each_string(text, change)
  text = text:gsub('"by":"[^"\\]*@[^"\\]*",', "")
  local parts, done, key = {}, 1, nil
  local from = text:find('"', 1, true)
  while from do
    local last = jsontext.value_end(text, from)
    local raw = text:sub(from + 1, last - 1)
    if text:find("^%s*:", last + 1) then
      key = raw
    else
      local value = raw:find("\\", 1, true) and dataset.decode_ordered(text:sub(from, last)) or raw
      local now = change(value, key)
      if now ~= value then
        parts[#parts + 1] = text:sub(done, from - 1) .. json.encode(now)
        done = last + 1
      end
    end
    from = text:find('"', last + 1, true)
  end
  return table.concat(parts) .. text:sub(done)
end

-- ---- copies ----

local function copy(from, to, change)
  local reader <close> = err.check("system", dataset.reader(from))
  local out <close> = err.check("system", fs.append(to))
  local parts, bytes = {}, 0
  while true do
    local line, message, code = reader:next()
    if not line and code then err.raise("system", ("%s: %s"):format(from, message), { code = code }) end
    if line then
      parts[#parts + 1] = change(line) .. "\n"
      bytes = bytes + #parts[#parts]
    end
    if not line or bytes > STEP then
      err.check("system", out:write(table.concat(parts)))
      parts, bytes = {}, 0
    end
    if not line then break end
  end
  err.check("system", out:write("", true))
end

-- The first path, or name, of this machine in a text of the author.
local function check_author(file, of)
  local number = 0
  for line in (err.check("system", fs.read(file.from)) .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local found
    for _, f in ipairs(of.folders) do
      if not found and replace(line, f[1], "\0"):find("\0/", 1, true) then found = f[1] end
    end
    if replace(line, of.who, "") ~= line then found = found or of.who end
    if found then
      err.raise("data", ("holds %s, which is of this machine; nothing was exported"):format(found), {
        where = ("%s:%d"):format(file.from, number), code = "machine",
        advice = "Write paths from the recipe's folder and start the recipe again: its training is not paid for "
          .. "twice.\nFor an archive of your own: --keep-paths" })
    end
  end
end

-- The recipe's hash covers settings from the command line, among them paths: with other ones it is another.
local function new_hash(summary, dir, overrides)
  local changed = false
  for i, o in ipairs(overrides) do changed = changed or o[2] ~= summary.overrides[i][2] end
  if not changed then return nil end
  local ok, loaded = pcall(experiment.kept, dir, { recipe = summary.recipe, overrides = overrides })
  if not ok or not loaded then return nil end
  local _ <close> = loaded
  return loaded.sha256
end

--- The files of an export, those that name this machine replaced by copies without. Raises err "data" when the recipe
--- or a text of it does. Close what comes back to remove the copies.
---@param summary ftrun.Run.Summary
---@param dir string  the run's folder
---@param files { path: string, from: string }[]
---@return { files: { path: string, from: string }[] }
function M.of(summary, dir, files)
  local of, made = machine(), {}
  for _, f in ipairs(files) do
    if f.path == "recipe.lua" or f.path:find "^sources/" then check_author(f, of) end
  end
  local place = err.check("system", fs.temporary "ftrun-export")
  local self = setmetatable({ files = made }, { __close = function() fs.remove(place, true) end })
  local ok, e = pcall(function()
    local overrides, hashes = {}, {}
    for i, o in ipairs(summary.overrides or {}) do overrides[i] = { o[1], shorten(o[2], of) } end
    local function change(value, key) return hashes[value] or plain(value, key, of) end
    local function taken(f)
      if not SAYS[f.path] then return f end
      local to = place .. "/" .. f.path
      copy(f.from, to, f.path:find "%.csv$" and function(line) return shorten(line, of) end
        or function(line) return each_string(line, change) end)
      return { path = f.path, from = to }
    end
    local lock = dir .. "/lock.json"
    local was = fs.stat(lock) and json.decode(fs.read(lock) or "")
    local sha256 = new_hash(summary, dir, overrides)
    if sha256 and type(was) == "table" and was.recipe_sha256 then hashes[was.recipe_sha256] = sha256 end
    for i, f in ipairs(files) do
      if f.path == "lock.json" then
        made[i] = taken(f)
        hashes[digest.sha256_file(f.from)] = digest.sha256_file(made[i].from)
      end
    end
    for i, f in ipairs(files) do made[i] = made[i] or taken(f) end
    for i, f in ipairs(files) do
      if f.path == "report.html" then -- of these copies: it shows what they say
        made[i] = { path = f.path, from = report.write(place, place .. "/report.html", { texts_of = dir }) }
      end
    end
  end)
  if not ok then
    fs.remove(place, true)
    error(e, 0)
  end
  return self
end

return M
