--- The blocks of a tar file (POSIX ustar), as far as one of plain files needs them.
local M = {}

M.BLOCK = 512

--- What ends a tar file.
M.tail = ("\0"):rep(2 * M.BLOCK)

local function sum(block)
  local total = 8 * 32 -- the field of the sum itself counts as spaces
  for _, part in ipairs { block:sub(1, 148), block:sub(157) } do
    for i = 1, #part do total = total + part:byte(i) end
  end
  return total
end

-- A name of up to 255 bytes stands in two fields, parted at a slash.
local function split(name)
  if #name <= 100 then return name, "" end
  for at = math.max(1, #name - 100), math.min(156, #name) do
    if name:sub(at, at) == "/" and #name - at <= 100 then return name:sub(at + 1), name:sub(1, at - 1) end
  end
end

--- The block before a file; nil when the name is too long for the format.
---@param name string
---@param bytes integer  size of the file
---@param modified integer  seconds
---@return string? block
function M.header(name, bytes, modified)
  local last, prefix = split(name)
  if not last or bytes >= 8 ^ 11 then return nil end
  local block = string.pack("<c100c8c8c8c12c12c8c1c100c6c2c32c32c8c8c155c12", last, "0000644\0", "0000000\0",
    "0000000\0", ("%011o\0"):format(bytes), ("%011o\0"):format(modified), (" "):rep(8), "0", "", "ustar\0", "00", "",
    "", "0000000\0", "0000000\0", prefix, "")
  return block:sub(1, 148) .. ("%06o\0 "):format(sum(block)) .. block:sub(157)
end

--- What fills the last block of a file.
---@param bytes integer
---@return string
function M.padding(bytes) return ("\0"):rep(-bytes % M.BLOCK) end

local function text(block, first, last) return (block:sub(first, last):match "^[^\0]*") end

local function octal(field) return tonumber(field:match "^ *([0-7]+)[ \0]*$" or "", 8) end

--- Reads the block before a file. `kind` is "0" for a plain file; others are folders ("5"), links, and the rest.
---@param block string  512 bytes
---@return { name: string, bytes: integer, kind: string }? entry  nil alone at the end of the archive
---@return string? message
function M.parse(block)
  if block == M.tail:sub(1, M.BLOCK) then return nil end
  local bytes, total = octal(block:sub(125, 136)), octal(block:sub(149, 156))
  if block:sub(258, 262) ~= "ustar" or not bytes or total ~= sum(block) then return nil, "no tar file, or damaged" end
  local name, prefix, kind = text(block, 1, 100), text(block, 346, 500), block:sub(157, 157)
  return { name = prefix ~= "" and prefix .. "/" .. name or name, bytes = bytes, kind = kind == "\0" and "0" or kind }
end

return M
