--- A run as one file: a .tar.gz that any tar reads. Its first entry is manifest.json, which names every other one with
--- its size and SHA-256. What is read is somebody else's: nothing is believed that is not checked.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local gzip = require "ft.gzip"
local json = require "ftrun.json"
local tar = require "ftrun.share.tar"
local time = require "ft.time"
local version = require "ft.version"

local M = {}

local FORMAT = 1

local MANIFEST_BYTES = 1 << 20
local TOTAL_BYTES = 2 << 30 -- unpacked: more is no run, but a bomb
local FILES = 2000
local STEP = 256 << 10

--- Files of a run's folder, in the order of the bundle. `texts`: hold rows or answers.
M.files = {
  { "recipe.lua" }, { "lock.json" }, { "run.json" }, { "journal.jsonl" }, { "events.jsonl" }, { "metrics.jsonl" },
  { "metrics.csv" }, { "tables.jsonl" }, { "evaluation.json" }, { "result.json" }, { "result.csv" },
  { "report.html", texts = true }, { "train.jsonl", texts = true }, { "validation.jsonl", texts = true },
  { "evaluation.jsonl", texts = true }, { "judgements.jsonl", texts = true },
}

local KNOWN = {}
for _, f in ipairs(M.files) do KNOWN[f[1]] = true end

---@class ftrun.Bundle.Manifest
---@field format integer
---@field ftrun string        version that wrote it
---@field run string          id, and the name of the folder in the tar file
---@field name string
---@field recipe string       file name of the recipe
---@field with_data boolean   whether texts of rows and answers are in it
---@field files { path: string, bytes: integer, sha256: string }[]

-- ---- writing ----

--- Writes a bundle. The same files give the same bytes. Raises err "system".
---@param path string
---@param o { run: string, name: string, recipe: string, created: string, with_data: boolean,
---  files: { path: string, from: string }[] }  path in the bundle, from: the file
---@return ftrun.Bundle.Manifest
function M.write(path, o)
  local manifest = { format = FORMAT, ftrun = version, run = o.run, name = o.name, recipe = o.recipe,
    with_data = o.with_data, files = json.array {} }
  for i, f in ipairs(o.files) do
    if not M.harmless(f.path) then
      err.raise("system", ("%s: a file of this name cannot be imported again; rename it"):format(f.path))
    end
    local info = err.check("system", fs.stat(f.from))
    manifest.files[i] = { path = f.path, bytes = info.bytes, sha256 = err.check("system", digest.sha256_file(f.from)) }
  end
  local at = math.floor(time.parse(o.created) or 0)
  local out = err.check("system", gzip.writer(path))
  local _ <close> = setmetatable({}, { __close = function() out:close() end })
  local function entry(name, bytes)
    local header = tar.header(o.run .. "/" .. name, bytes, at)
    if not header then err.raise("system", name .. ": the name is too long, or the file too large, for a tar file") end
    err.check("system", out:add(header))
  end
  local text = json.encode(manifest) .. "\n"
  entry("manifest.json", #text)
  err.check("system", out:add(text .. tar.padding(#text)))
  for i, f in ipairs(o.files) do
    local bytes = manifest.files[i].bytes
    entry(f.path, bytes)
    err.check("system", out:copy(f.from, bytes))
    err.check("system", out:add(tar.padding(bytes)))
  end
  err.check("system", out:add(tar.tail))
  err.check("system", out:commit())
  return manifest
end

-- ---- reading ----

local function refuse(path, message, advice)
  err.raise("data", message, { where = path, code = "bundle", advice = advice or "Nothing was imported." })
end

--- Whether a path may be written below a folder of its own: relative, without "..", hidden parts and settings files.
---@param path any
---@return boolean
function M.harmless(path)
  if type(path) ~= "string" or path == "" or #path > 250 or not utf8.len(path) or path:find "[%c\\]" then
    return false
  end
  if path:lower():find "%.env$" then return false end
  for part in (path .. "/"):gmatch "([^/]*)/" do
    if part == "" or part:find "^[.~-]" then return false end
  end
  return true
end

local function count_of(n) return math.type(n) == "integer" and n >= 0 end

local function check_manifest(path, m)
  if type(m) ~= "table" or m.format == nil then
    refuse(path, "its manifest cannot be read; ftrun has not written it")
  end
  if m.format ~= FORMAT then
    refuse(path, ("has format %s, and this ftrun %s reads format %d"):format(tostring(m.format), version, FORMAT),
      ("It was written by ftrun %s; use that version, or a newer one."):format(tostring(m.ftrun)))
  end
  for _, key in ipairs { "run", "name", "ftrun" } do
    if type(m[key]) ~= "string" or not m[key]:find "^%w[%w._-]*$" or #m[key] > 200 then
      refuse(path, ("its manifest has no usable %s"):format(key))
    end
  end
  if not M.harmless(m.recipe) or m.recipe:find "/" or not m.recipe:find "%.lua$" then
    refuse(path, "its manifest has no usable recipe")
  end
  if type(m.files) ~= "table" or #m.files > FILES then refuse(path, "its manifest has no usable list of files") end
  local total, by = 0, {}
  for _, f in ipairs(m.files) do
    if type(f) ~= "table" or not M.harmless(f.path) or by[f.path]
      or not (KNOWN[f.path] or f.path:find "^sources/") then
      refuse(path, ("holds a file that belongs into no run: %s"):format(type(f) == "table" and tostring(f.path) or "?"))
    end
    if not count_of(f.bytes) or type(f.sha256) ~= "string" or not f.sha256:find "^%x+$" then
      refuse(path, f.path .. " has no size and hash in the manifest")
    end
    by[f.path], total = f, total + f.bytes
    if total > TOTAL_BYTES then refuse(path, "unpacks to more than 2 GiB; no run does") end
  end
  return by
end

-- Bytes of the stream by the exact number.
local function source(path)
  local reader, message, code = gzip.reader(path)
  if not reader and code == "gzip" then refuse(path, "is no file of ftrun export") end
  err.check("system", reader, message, code)
  local self = {}
  function self.read(n)
    local bytes, why, what = reader:read(n)
    if not bytes and why then
      if what == "gzip" then refuse(path, (why:gsub("^.-: ", ""))) end
      err.raise("system", why, { code = what })
    end
    if not bytes or #bytes < n then refuse(path, "is cut off") end
    return bytes
  end
  function self.close() reader:close() end
  return setmetatable(self, { __close = self.close })
end

local function next_entry(from, path)
  local entry, message = tar.parse(from.read(tar.BLOCK))
  if message then refuse(path, "is " .. message) end
  if entry and entry.kind ~= "0" then
    refuse(path, ("holds something else than a plain file: %s"):format(entry.name))
  end
  return entry
end

-- Copies the body of an entry into a file; answers its hash.
local function unpack_file(from, to, bytes)
  err.check("system", fs.mkdir((to:match "^(.*)/")))
  local hash, left = digest.stream(), bytes
  local out = err.check("system", fs.append(to))
  local _ <close> = setmetatable({}, { __close = function() out:close() end })
  while left > 0 do
    local piece = from.read(math.min(left, STEP))
    hash:add(piece)
    err.check("system", out:write(piece))
    left = left - #piece
    time.sleep(0)
  end
  err.check("system", out:write("", true))
  if bytes % tar.BLOCK > 0 then from.read(-bytes % tar.BLOCK) end
  return hash:sha256()
end

--- Unpacks a bundle into an empty folder, each file checked against the manifest. Raises err "data" for whatever is
--- not as ftrun writes it; what was written until then is the caller's to remove.
---@param path string
---@param dir string
---@return ftrun.Bundle.Manifest
function M.read(path, dir)
  local from <close> = source(path)
  local first = next_entry(from, path)
  if not first or not first.name:find "^[^/]+/manifest%.json$" or first.bytes > MANIFEST_BYTES then
    refuse(path, "does not begin with a manifest; ftrun export has not written it")
  end
  local manifest = json.decode((first.bytes > 0 and from.read(first.bytes) or ""))
  local by = check_manifest(path, manifest)
  if first.bytes % tar.BLOCK > 0 then from.read(-first.bytes % tar.BLOCK) end
  if first.name ~= manifest.run .. "/manifest.json" then refuse(path, "its folder has not the name of its run") end
  local seen = 0
  while true do
    local entry = next_entry(from, path)
    if not entry then break end
    local name = entry.name:sub(1, #manifest.run + 1) == manifest.run .. "/" and entry.name:sub(#manifest.run + 2)
    local known = name and by[name]
    if not known then refuse(path, ("holds a file that its manifest does not name: %s"):format(entry.name)) end
    if known.bytes ~= entry.bytes then refuse(path, name .. " has not the size that the manifest says") end
    if unpack_file(from, dir .. "/" .. name, entry.bytes) ~= known.sha256 then
      refuse(path, name .. " was changed after the export: its SHA-256 is not that of the manifest")
    end
    by[name], seen = nil, seen + 1
  end
  if seen < #manifest.files then refuse(path, (next(by)) .. " is missing") end
  return manifest
end

return M
