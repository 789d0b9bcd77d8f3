--- A run's journal: an append-only JSONL file, each record on disk (fsync) before add returns. What
--- is not in it has not happened. Three kinds of records: { intent = name, at, data } before a
--- request that creates something, { withdrawn = name, at } when it certainly created nothing, and
--- { phase = name, at, data } when a phase is done.
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local time = require "ft.time"

local journal = {}

local MAX_BYTES = 64 << 20

---@class ftrun.Journal
---@field records table[]
local Journal = {}
Journal.__index = Journal

--- Parses what is there. A last line without its newline is a write that a crash cut off: it is
--- dropped, also on disk.
local function read(path)
  local bytes, message, code = fs.read(path, MAX_BYTES)
  if not bytes then
    if code == "not_found" then return {} end
    err.raise("system", message, { code = code })
  end
  local records, whole = {}, 0
  for line, stop in bytes:gmatch("([^\n]*)\n()") do
    local record, why = json.decode(line)
    if type(record) ~= "table" then
      err.raise("system", ("record %d cannot be read: %s"):format(#records + 1, why or "no object"), { where = path,
        advice = "The file was changed by something else than ftrun. Start a new run with --new." })
    end
    records[#records + 1] = record
    whole = stop - 1
  end
  if whole < #bytes then err.check("system", fs.write(path, bytes:sub(1, whole))) end
  return records
end

--- Opens the journal at path, made when missing. Raises err "system".
---@param path string
---@return ftrun.Journal
function journal.open(path)
  local records = read(path)
  local file = err.check("system", fs.append(path))
  return setmetatable({ records = records, file = file, path = path }, Journal)
end

--- The records of a journal that another process may hold. Changes nothing.
---@return table[]
function journal.read(path)
  local records = {}
  for line in (fs.read(path, MAX_BYTES) or ""):gmatch("([^\n]*)\n") do
    records[#records + 1] = json.decode(line)
  end
  return records
end

function Journal:add(record)
  record.at = time.iso8601(time.now())
  err.check("system", self.file:write(json.encode(record) .. "\n", true))
  self.records[#self.records + 1] = record
end

--- Notes that a request which creates something is about to be sent.
function Journal:intend(name, data)
  self:add { intent = name, data = data }
end

--- Notes that the request of an intent has certainly created nothing.
function Journal:withdraw(name)
  self:add { withdrawn = name }
end

--- Notes that a phase is done, with its result.
function Journal:done(phase, data)
  self:add { phase = phase, data = data or {} }
end

--- The data of the newest record of a phase (or of an intent); nil when there is none.
---@param kind "phase"|"intent"
function Journal:last(kind, name)
  for i = #self.records, 1, -1 do
    if self.records[i][kind] == name then return self.records[i].data end
  end
end

--- The data of an intent of which nobody knows whether its request arrived; nil when there is none.
function Journal:pending(name)
  for i = #self.records, 1, -1 do
    local record = self.records[i]
    if record.phase == name or record.withdrawn == name then return nil end
    if record.intent == name then return record.data end
  end
end

--- How many requests of an intent may have arrived.
---@return integer
function Journal:sent(name)
  local count = 0
  for _, record in ipairs(self.records) do
    if record.intent == name then count = count + 1 elseif record.withdrawn == name then count = count - 1 end
  end
  return count
end

--- Seconds since the newest record of an intent; nil when there is none.
---@return number?
function Journal:age(name)
  for i = #self.records, 1, -1 do
    if self.records[i].intent == name then return time.now() - time.parse(self.records[i].at) end
  end
end

function Journal:close()
  self.file:close()
end

Journal.__close = Journal.close

return journal
