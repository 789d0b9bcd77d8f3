--- ftrun files [list|get|delete|upload] [ID...|FILE...]
local amounts = require "ftrun.text.amounts"
local digest = require "ft.digest"
local err = require "ftrun.err"
local findings = require "ftrun.data.findings"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"
local log = require "ft.log"
local progress = require "ft.progress"
local runs = require "ftrun.run.runs"
local target = require "ftrun.target"
local things = require "ftrun.things"
local time = require "ft.time"
local training = require "ftrun.run.training"
local upload = require "ftrun.run.upload"
local validate = require "ftrun.data.validate"

local LINES = { ["fine-tune"] = true, batch = true } -- purposes whose files are JSONL

local function created(thing) return thing.created_at and time.iso8601(thing.created_at) or "" end

local command = things.command {
  name = "file", none = "the provider has no files",
  list = function(provider, args) return provider:files(args.purpose) end,
  get = function(provider, id) return provider:file(id) end,
  row = function(file)
    return { file.id, created(file), file.bytes and amounts.size(file.bytes) or "", file.purpose or "",
      file.filename or "" }
  end,
  fetch = function(provider, id, path) provider:fetch_file(id, path) end,
  ends = { delete = { asks = "%s\nDelete this file?", did = "is deleted",
    run = function(provider, id) provider:delete_file(id) end } },
}

-- ---- upload ----

-- What is wrong with a file is known before anything is sent.
local function check(path, purpose)
  local info, message, code = fs.stat(path)
  if not info then err.raise(code == "not_found" and "usage" or "system", message, { code = code }) end
  if info.type ~= "file" or info.bytes == 0 then
    err.raise("data", info.type ~= "file" and "is not a file" or "is empty", { where = path })
  end
  if not LINES[purpose] then return end
  if not path:lower():find "%.jsonl$" then
    err.raise("data", "is not named like JSONL (NAME.jsonl)", { where = path,
      advice = path:find "%.gz$" and "The provider takes plain files: gunzip -k " .. path or nil })
  end
  if purpose ~= "fine-tune" then return end
  local found = findings.new()
  validate.file(path, { validation = true, on_progress = function(done, total)
    progress.update(path, done, total > 0 and total or nil) end }, function(f) found:add(f) end)
  progress.finish()
  if found.errors > 0 then
    err.raise("data", ("%s; nothing was uploaded"):format(found:summary()), { where = path,
      advice = "See them: ftrun validate " .. path })
  end
end

-- The file's name there carries the hash of its content: "train-1cf763b5d86a0b12.jsonl".
local function named(path, sha256)
  local stem, extension = path:match("[^/]*$"):match "^(.-)(%.?[^.]*)$"
  if stem == "" then stem, extension = extension, "" end
  stem = stem:gsub("[^%w._-]+", "-")
  return ("%s-%s%s"):format(stem, sha256:sub(1, 16), extension:lower())
end

local function send(provider, path, purpose)
  local sha256 = err.check("system", digest.sha256_file(path))
  local o = { name = path:match "[^/]*$", path = path, filename = named(path, sha256),
    bytes = err.check("system", fs.stat(path)).bytes, sha256 = sha256, purpose = purpose,
    changed = "the file was changed while it was read", advice = "Upload it when nothing writes to it any more." }
  local key = digest.sha256(table.concat({ "upload", training.target(provider), purpose, o.filename }, "\n"))
  local folder = runs.root() .. "/uploads"
  local _ <close> = runs.hold(key, path .. " is being uploaded already", "Wait until that ends.")
  err.check("system", fs.mkdir(folder))
  local place = ("%s/%s.jsonl"):format(folder, key:sub(1, 16))
  local book <close> = journal.open(place)
  local ok, record, sent = pcall(upload.once, { provider = provider, journal = book,
    ui = { note = log.info, progress = progress.update } }, o)
  progress.finish()
  -- what is there is found by its name; only what may have been made, or is half there, is to be remembered
  if ok or not (book:pending("upload:" .. o.name) or book:last("phase", "parts:" .. o.name)) then fs.remove(place) end
  if not ok then error(record, 0) end
  record.purpose, record.sha256, record.uploaded = purpose, sha256, sent
  return record
end

local function upload_all(args)
  if #args.id == 0 then err.raise("usage", "upload which file?", { advice = "See: ftrun files --help" }) end
  if args.output then err.raise("usage", "--output goes with `get` and one id") end
  local purpose = args.purpose or "fine-tune"
  for _, path in ipairs(args.id) do check(path, purpose) end
  local t <close> = target.open(args["local"] and "local" or "openai")
  for _, path in ipairs(args.id) do
    local record = send(t.provider, path, purpose)
    if args.json then json.print(record) else log.out(record.id .. "\n") end
  end
  return 0
end

return { main = function(args)
  if args.json or args.quiet then progress.disable() end
  if args.action == "upload" then return upload_all(args) end
  return command(args)
end }
