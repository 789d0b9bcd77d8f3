--- The local provider's state on disk: one JSON file for each file and each job, written atomically, and an index of
--- them in memory. One process holds the folder.
---
---   lock                     who holds it
---   files/ID.json, ID.data   an uploaded file: what is known of it, its content
---   uploads/ID.json, ID/     an upload in parts: what is known of it, its parts until it is complete
---   batches/ID.json          a batch; ID.output and ID.error while it runs
---   permissions/ID.json      who may use a checkpoint
---   jobs/ID.json             a job: its public fields and what is needed to continue it
---   jobs/ID.events.jsonl     its events (events.lua)
---   jobs/ID/step-N.model     the states kept of its training
---   spool/                   uploads on their way
local fs = require "ft.fs"
local digest = require "ft.digest"
local json = require "ftrun.json"
local err = require "ftrun.err"
local Index = require "ftrun.local.index"

local Store = {}
Store.__index = Store

local LARGEST_RECORD = 16 << 20

local KINDS = { "files", "jobs", "uploads", "batches", "permissions" }

local function check(...) return err.check("system", ...) end

local alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

--- A random name: prefix and n letters or digits.
---@param prefix string
---@param n integer
---@return string
function Store.id(prefix, n)
  return prefix .. digest.random_hex(n):gsub("%x%x", function(byte)
    local at = tonumber(byte, 16) % #alphabet + 1
    return alphabet:sub(at, at)
  end)
end

local function take_lock(dir, url)
  local lock, message, code, holder = fs.lock(dir .. "/lock", url)
  if code == "busy" then
    holder = holder and holder:match "^%s*(%S+)"
    err.raise("busy", ("%s: another process serves this folder%s"):format(dir, holder and " at " .. holder or ""),
      { advice = "use that one, or stop it, or choose another folder", code = "busy", holder = holder })
  end
  return check(lock, message, code)
end

local function each_record(folder, fn)
  for _, name in ipairs(check(fs.list(folder))) do
    local id = name:match("^(.+)%.json$")
    if id then
      local path = folder .. "/" .. name
      local record, message = json.decode(check(fs.read(path, LARGEST_RECORD)))
      if type(record) ~= "table" or math.type(record.seq) ~= "integer" then
        err.raise("system", ("%s: not a record of the local provider: %s"):format(path, message or "no seq"),
          { advice = "remove the file to forget this object" })
      end
      fn(id, record)
    end
  end
end

local function load(self, kind)
  local records, folder = {}, self.dir .. "/" .. kind
  each_record(folder, function(_, record) records[#records + 1] = record end)
  table.sort(records, function(a, b) return a.seq < b.seq end)
  for _, record in ipairs(records) do
    self[kind]:add(record.id, record)
    self.seq = math.max(self.seq, record.seq)
  end
end

--- Removes a file or a folder with all that is in it, if it is there.
---@param path string
function Store.discard(path)
  local ok, message, code = fs.remove(path, true)
  if not ok and code ~= "not_found" then err.raise("system", message, { code = code }) end
end

--- Ids of files that batches under way will have: their contents may be there before their records.
local function promised(self)
  local ids = {}
  for _, batch in ipairs(self.batches:page { limit = math.huge }) do
    local ended = batch.completed_at or batch.failed_at or batch.cancelled_at
    for _, id in pairs(not ended and batch.reserved or {}) do ids[id] = true end
  end
  return ids
end

--- What a kill left between two steps: contents whose record was never written, states of forgotten jobs.
local function sweep(self)
  local kept = promised(self)
  check(fs.remove(self.dir .. "/spool", true))
  check(fs.mkdir(self.dir .. "/spool"))
  for _, name in ipairs(check(fs.list(self.dir .. "/files"))) do
    local id = name:match("^(.+)%.data$")
    if id and not self.files:get(id) and not kept[id] then check(fs.remove(self.dir .. "/files/" .. name)) end
  end
end

--- Takes the folder and reads what is in it. Raises err "busy" (`holder`: its url) when another process has it.
---@param dir string
---@param url string  where this process serves it
---@return table store
function Store.open(dir, url)
  local self = setmetatable({ dir = dir, seq = 0 }, Store)
  for _, kind in ipairs(KINDS) do
    check(fs.mkdir(dir .. "/" .. kind))
    self[kind] = Index.new()
  end
  check(fs.mkdir(dir .. "/spool"))
  self.lock = take_lock(dir, url)
  local ok, e = pcall(function()
    for _, kind in ipairs(KINDS) do load(self, kind) end
    sweep(self)
  end)
  if not ok then
    self.lock:close()
    error(e, 0)
  end
  return self
end

--- Writes a record; a new one is added to the index.
---@param kind "files"|"jobs"|"uploads"|"batches"|"permissions"
---@param record table  with an id
function Store:save(kind, record)
  local new = not record.seq
  if new then
    self.seq = self.seq + 1
    record.seq = self.seq
  end
  check(fs.write(("%s/%s/%s.json"):format(self.dir, kind, record.id), json.encode(record)))
  if new then self[kind]:add(record.id, record) end
end

---@param id string
---@return string path  of a file's content
function Store:content(id)
  return ("%s/files/%s.data"):format(self.dir, id)
end

--- Forgets a record.
---@param kind string
---@param id string
function Store:remove(kind, id)
  check(fs.remove(("%s/%s/%s.json"):format(self.dir, kind, id)))
  self[kind]:remove(id)
end

--- Forgets a file: first the record, so that none without content can be left.
function Store:remove_file(id)
  self:remove("files", id)
  check(fs.remove(self:content(id)))
end

---@param id string  a job
---@return string path  of its event log
function Store:events_path(id)
  return ("%s/jobs/%s.events.jsonl"):format(self.dir, id)
end

---@param id string  a job
---@param step integer
---@return string path  of the state saved after that step; its folder exists
function Store:state_path(id, step)
  local folder = ("%s/jobs/%s"):format(self.dir, id)
  check(fs.mkdir(folder))
  return ("%s/step-%d.model"):format(folder, step)
end

--- Removes the saved states of a job, all or the one after a step.
function Store:remove_states(id, step)
  local path = ("%s/jobs/%s"):format(self.dir, id)
  if step then path = path .. ("/step-%d.model"):format(step) end
  Store.discard(path)
end

function Store:close()
  self.lock:close()
end

return Store
