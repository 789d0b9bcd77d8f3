--- The words of a text, as similarity counts them: runs of letters, digits and marks of any script, in lower case; an
--- apostrophe between two letters belongs to the word (п'ять, however it is written), and of scripts without blanks
--- between words (Chinese, Japanese) each character is one. Everything else parts words. No Unicode tables: blocks of
--- punctuation and symbols are named here, what is in no such block is a letter.
local M = {}

-- Code points from 0x80 on that are no letters, digits or marks.
local OTHER = { { 0x80, 0xA9 }, { 0xAB, 0xB4 }, { 0xB6, 0xB9 }, { 0xBB, 0xBF }, { 0xD7, 0xD7 }, { 0xF7, 0xF7 },
  { 0x2BB, 0x2BD }, { 0x37E, 0x37E }, { 0x387, 0x387 }, { 0x482, 0x482 }, { 0x55A, 0x55F }, { 0x589, 0x58A },
  { 0x5BE, 0x5BE }, { 0x60C, 0x60C }, { 0x61B, 0x61F }, { 0x66A, 0x66D }, { 0x6D4, 0x6D4 }, { 0x964, 0x965 },
  { 0x1680, 0x1680 }, { 0x2000, 0x206F }, { 0x20A0, 0x20CF }, { 0x2100, 0x2BFF }, { 0x2E00, 0x2E7F },
  { 0x3000, 0x3004 }, { 0x3008, 0x3020 }, { 0x3030, 0x3030 }, { 0xD800, 0xF8FF }, { 0xFE10, 0xFE1F },
  { 0xFE30, 0xFE6F }, { 0xFEFF, 0xFF0F }, { 0xFF1A, 0xFF20 }, { 0xFF3B, 0xFF40 }, { 0xFF5B, 0xFF65 },
  { 0xFFE0, 0xFFFF }, { 0x1F000, 0x1FAFF } }

-- Scripts that are written without blanks: kana, ideographs.
local SINGLE = { { 0x3040, 0x30FF }, { 0x3400, 0x4DBF }, { 0x4E00, 0x9FFF }, { 0xF900, 0xFAFF }, { 0x20000, 0x3FFFF } }

local APOSTROPHE = { [0x27] = true, [0x2019] = true, [0x2BC] = true, [0x2018] = true, [0x60] = true, [0xB4] = true }

local function within(ranges, c)
  for _, r in ipairs(ranges) do
    if c < r[1] then return false end
    if c <= r[2] then return true end
  end
  return false
end

-- Where letters lie in pairs, a capital and its small one: first, last, and the parity of capitals.
local PAIRS = { { 0x100, 0x137, 0 }, { 0x139, 0x148, 1 }, { 0x14A, 0x177, 0 }, { 0x179, 0x17E, 1 }, { 0x1CD, 0x1DC, 1 },
  { 0x1DE, 0x1EF, 0 }, { 0x1F8, 0x21F, 0 }, { 0x222, 0x233, 0 }, { 0x460, 0x481, 0 }, { 0x48A, 0x4BF, 0 },
  { 0x4C1, 0x4CE, 1 }, { 0x4D0, 0x52F, 0 }, { 0x1E00, 0x1E95, 0 }, { 0x1EA0, 0x1EFF, 0 } }

-- Where small letters follow their capitals at a distance.
local SHIFTS = { { 0x41, 0x5A, 32 }, { 0xC0, 0xDE, 32 }, { 0x391, 0x3AB, 32 }, { 0x400, 0x40F, 80 },
  { 0x410, 0x42F, 32 }, { 0x531, 0x556, 48 } }

local function lower(c)
  if c == 0x178 then return 0xFF end
  if c == 0x130 then return 0x69 end
  if c == 0x4C0 then return 0x4CF end
  for _, s in ipairs(SHIFTS) do
    if c >= s[1] and c <= s[2] then return c + s[3] end
  end
  for _, p in ipairs(PAIRS) do
    if c >= p[1] and c <= p[2] then return c % 2 == p[3] and c + 1 or c end
  end
  return c
end

-- What a code point is: false parts words, true is a character that is a word, a text is its small letter. Remembered,
-- since a text has few different ones.
local known = setmetatable({}, { __index = function(self, c)
  local kind
  if c < 0x80 then
    kind = string.char(c):find "%w" and string.char(lower(c)) or false
  else
    kind = not within(OTHER, c) and (within(SINGLE, c) or utf8.char(lower(c)))
  end
  self[c] = kind
  return kind
end })

--- The words of a text in their order. Bytes that are no UTF-8 part words.
---@param text string
---@return string[]
function M.words(text)
  local list, word, apostrophe = {}, {}, false
  local function close()
    if #word > 0 then
      list[#list + 1] = table.concat(word)
      word = {}
    end
    apostrophe = false
  end
  local at = 1
  while at <= #text do
    local good, bad = utf8.len(text, at)
    local stop = good and #text or bad - 1
    for _, c in utf8.codes(text:sub(at, stop)) do
      local kind = known[c]
      if kind == true then
        close()
        list[#list + 1] = utf8.char(c)
      elseif kind then
        if apostrophe then word[#word + 1] = "'" end
        apostrophe = false
        word[#word + 1] = kind
      elseif APOSTROPHE[c] and #word > 0 and not apostrophe then
        apostrophe = true
      else
        close()
      end
    end
    if not good then close() end
    at = stop + 2
  end
  close()
  return list
end

return M
