--- Reads a W&B run log from its beginning while it may still be written: what is there so far, record by record, in
--- little memory.
local native = require "ft.wandb"
local records = require "ftrun.wandb.records"

local reader = {}

-- Blocks of the format are counted from the file's first byte: a window that begins at one reads like a whole file.
local BLOCK = 32768
local STEP = 8 * BLOCK

-- ":W&B", a magic number, the version
local HEADER = ":W&B\xE1\xBE\x00"

---@class ftrun.wandb.Reader
---@field position integer  bytes read
local Reader = {}
Reader.__index = Reader

---@param path string
---@return ftrun.wandb.Reader? reader  nil when the file cannot be read or is no run log
---@return string? message
---@return string? code
function reader.open(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message, "io" end
  if file:read(#HEADER) ~= HEADER then
    file:close()
    return nil, path .. ": no W&B run log", "format"
  end
  file:seek("set", 0)
  return setmetatable({ file = file, window = "", base = 0, position = #HEADER }, Reader)
end

--- Takes up what the file has more; false when there is nothing.
function Reader:grow()
  local whole = (self.position - self.base) // BLOCK * BLOCK
  local kept = self.window:sub(whole + 1)
  self.file:seek("set", self.base + #self.window)
  local more = self.file:read(STEP)
  self.window, self.base = kept .. (more or ""), self.base + whole
  return more ~= nil
end

--- The next record; nil alone when there is none yet, or only a part of one.
---@return table? record
---@return string? message  the log is broken from here on
---@return string? code
function Reader:next()
  while true do
    if self.position <= self.base + #self.window then
      local bytes, next_position, code = native.unframe(self.window, self.position - self.base)
      if bytes then
        self.position = self.base + next_position
        return records.decode(bytes)
      end
      if next_position and code ~= "cut" then return nil, next_position, code end
    end
    if not self:grow() then return nil end
  end
end

function Reader:close()
  self.file:close()
end

Reader.__close = Reader.close

return reader
