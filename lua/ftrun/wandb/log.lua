--- A W&B run log on disk: run-<id>.wandb. Every record is handed to the system whole as soon as it is added (but in
--- bulk), so a process that dies loses none; a crash of the machine loses what came after the last sync. Reading stops
--- at the first record that is cut off or broken.
local fs = require "ft.fs"
local native = require "ft.wandb"
local records = require "ftrun.wandb.records"
local time = require "ft.time"

local log = {}

--- What every log begins with: ":W&B", a magic number, the version.
local HEADER = ":W&B\xE1\xBE\x00"

--- Seconds between two syncs of records that did not ask for one.
local SYNC_S = 5

--- Bytes that are written together in bulk.
local BULK = 1 << 16

local MAX_BYTES = 1 << 31

---@class ftrun.wandb.Log
---@field count integer     records written
---@field position integer  bytes written
local Log = {}
Log.__index = Log

--- Begins a log; a file that is there already is replaced.
---@param path string
---@param bulk boolean?  records are written together, until `live`: for a log that is made from what is on disk anyway
---@return ftrun.wandb.Log? log
---@return string? message
---@return string? code
function log.create(path, bulk)
  local ok, message, code = fs.remove(path)
  if not ok and code ~= "not_found" then return nil, message, code end
  local file
  file, message, code = fs.append(path)
  if not file then return nil, message, code end
  ok, message, code = file:write(HEADER)
  if not ok then
    file:close()
    return nil, message, code
  end
  return setmetatable({ file = file, path = path, count = 0, position = #HEADER, synced = time.monotonic(),
    waiting = bulk and {} or nil, size = 0 }, Log)
end

--- Adds a record. With `sync`, or when the last one is long ago, returns after it is on disk. A record that could not
--- be written is not in the log, and the next one can be tried.
---@param record table  of records.lua
---@param sync boolean?
---@return true? ok
---@return string? message
---@return string? code
function Log:add(record, sync)
  local bytes, message, code = records.encode(record, self.count + 1)
  if not bytes then return nil, message, code end
  bytes = native.frame(self.position, bytes)
  local ok
  if self.waiting then
    self.waiting[#self.waiting + 1], self.size = bytes, self.size + #bytes
    self.count, self.position = self.count + 1, self.position + #bytes
    if self.size < BULK and not sync then return true end
    return self:flush(sync)
  end
  local now = time.monotonic()
  sync = sync or now - self.synced >= SYNC_S
  ok, message, code = self.file:write(bytes, sync)
  if not ok then return nil, message, code end
  self.count, self.position = self.count + 1, self.position + #bytes
  if sync then self.synced = now end
  return true
end

--- Writes what waits. Failed, the log is of no more use.
function Log:flush(sync)
  local ok, message, code = self.file:write(table.concat(self.waiting), sync)
  if not ok then return nil, message, code end
  self.waiting, self.size = {}, 0
  return true
end

--- From now on every record is written as soon as it is added.
function Log:live()
  if not self.waiting then return true end
  local ok, message, code = self:flush()
  if not ok then return nil, message, code end
  self.waiting = nil
  return true
end

--- Gives the log another name; writing goes on.
function Log:rename(path)
  local ok, message, code = fs.rename(self.path, path)
  if not ok then return nil, message, code end
  self.path = path
  return true
end

function Log:close()
  if self.waiting then self:flush() end
  self.file:close()
end

Log.__close = Log.close

--- The records of a log, as far as they are whole.
---@param path string
---@return table[]? records  nil when the file cannot be read or is no run log
---@return string? message   why reading ended before the end of the file; nil when it did not
---@return string? code      cut, checksum, format
function log.read(path)
  local bytes, message, code = fs.read(path, MAX_BYTES)
  if not bytes then return nil, message, code end
  if bytes:sub(1, #HEADER) ~= HEADER then return nil, path .. ": no W&B run log", "format" end
  local list, position = {}, #HEADER
  while true do
    local record, next_position, why = native.unframe(bytes, position)
    if not record then return list, next_position, why end
    list[#list + 1], message, code = records.decode(record)
    if message then return list, message, code end
    position = next_position
  end
end

return log
