---@meta ft.wandb
--- The bytes of W&B run logs: protobuf messages in the chunks of a LevelDB log with plain CRC-32. Which fields there
--- are is told by shapes; lua/ftrun/wandb/records.lua holds them.
---
--- A shape is a list of fields { number, name, kind, repeated? }; kind is "string", "int" (64 bits), "bool", or the
--- shape of a message. A message is a table by the fields' names; what is nil is not written, what is there is, also
--- 0 and an empty message. Text must be UTF-8: nobody else could read the record.

---@class ft.wandb
local wandb = {}

--- A message as protobuf, its fields in the shape's order. Raises on values that the shape does not allow.
---@param shape table[]
---@param message table
---@return string? bytes
---@return string? message
---@return "too_large"|nil code
function wandb.encode(shape, message) end

--- The fields of plain values as the bytes of a repeated message { key, value as JSON text }, sorted by key: what encode
--- takes in the place of the list. nil when there is anything but finite numbers, booleans and texts without escapes, or
--- more than 64 of them.
---@param values table<string, any>
---@param list integer   number of the repeated field
---@param key integer    number of the key in it
---@param value integer  number of the value
---@return string?
function wandb.items(values, list, key, value) end

--- Reads a message; fields that the shape does not name are passed over.
---@param shape table[]
---@param bytes string
---@return table? message
---@return string? message
---@return "format"|nil code
function wandb.decode(shape, bytes) end

--- A record as the chunks to append to a log that is `position` bytes long, its 7 bytes of header included.
---@param position integer
---@param record string  at most 64 MiB
---@return string bytes
function wandb.frame(position, record) end

--- The record at a place of a log, and where the next one is. nil alone at the end; a record that was cut off by a
--- crash is "cut".
---@param log string        the whole file
---@param position integer  7 for the first record
---@return string? record
---@return integer|string|nil next  or the message
---@return "cut"|"checksum"|"format"|nil code
function wandb.unframe(log, position) end

return wandb
