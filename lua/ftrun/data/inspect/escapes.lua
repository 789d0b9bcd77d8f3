--- Text that was escaped twice: `\u0421` stands in the content itself, six characters for one letter. A model reads
--- them as they stand, learns to write them, and every one of them is paid for.
local Places = require "ftrun.data.inspect.places"
local row = require "ftrun.data.inspect.row"
local scan = require "ft.scan"

local M = {}
M.__index = M

local MEASURED = 64 << 10 -- bytes of escapes whose tokens are counted; the others cost the same on average
local MOST = 100000       -- runs of one text
local FEW = 3             -- escapes in a text that may be meant

-- Runs of escapes of letters (not of control characters and signs), with one or more backslashes each.
local scanner = scan.new { { bytes = "\\u0123456789abcdefABCDEF", min = 6,
  pattern = [[(?:\\{1,4}u(?!00[0-9a-bA-B])[0-9a-fA-F]{4})++]] } }

---@param count_tokens (fun(text: string): integer)?  without it the cost is told in characters
function M.new(count_tokens)
  return setmetatable({ places = Places.new(), escapes = 0, bytes = 0, sample = {}, sampled = 0,
    count = count_tokens }, M)
end

-- What the escapes mean; halves of pairs are put together.
local function decode(run)
  local out, high = {}, nil
  for hex in run:gmatch "u(%x%x%x%x)" do
    local code = tonumber(hex, 16)
    if code >= 0xD800 and code < 0xDC00 then
      high = code
    elseif code >= 0xDC00 and code < 0xE000 then
      if high then out[#out + 1] = utf8.char(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)) end
      high = nil
    else
      out[#out + 1], high = utf8.char(code), nil
    end
  end
  return table.concat(out)
end

---@param text string
---@param place ftrun.Place
---@param path (string|integer)[]
---@param n integer
function M:add(text, place, path, n)
  local hits = scanner:find(text, MOST)
  if not hits then return end
  local escapes, bytes = 0, 0
  for i = 1, #hits, 3 do
    local run = text:sub(hits[i + 1], hits[i + 2])
    escapes = escapes + select(2, run:gsub("u%x%x%x%x", ""))
    bytes = bytes + #run
    if self.sampled < MEASURED then
      self.sampled = self.sampled + #run
      table.insert(self.sample, run)
    end
  end
  if escapes < FEW then return end
  self.escapes, self.bytes = self.escapes + escapes, self.bytes + bytes
  self.places:add(setmetatable({ path = row.path(path, n) }, { __index = place }), escapes)
end

-- Tokens of the escapes as they stand, and of the letters they mean.
function M:cost()
  local escaped, plain = 0, 0
  for _, run in ipairs(self.sample) do
    escaped = escaped + self.count(run)
    plain = plain + self.count(decode(run))
  end
  local scale = self.bytes / math.max(1, self.sampled)
  return math.floor(escaped * scale + 0.5), math.floor(plain * scale + 0.5)
end

---@param emit fun(finding: ftrun.Finding)
function M:findings(emit)
  local places = self.places
  if places.count == 0 then return end
  local cost
  if self.count then
    local escaped, plain = self:cost()
    cost = ("about %d tokens an epoch, where the letters themselves take %d"):format(escaped, plain)
  else
    cost = ("%d characters for %d letters"):format(self.bytes, self.escapes)
  end
  emit(places:finding { code = "double_escape", severity = "warning",
    message = ("escapes like \\u0421 stand in the text itself: %d of them in %d row%s (%s), %s; write the letters "
      .. "(json.dumps(..., ensure_ascii=False))"):format(self.escapes, places.rows, places.rows == 1 and "" or "s",
      places:text(), cost) })
end

return M
