--- Cuts long texts where their readers would: before articles ("Стаття 5"), else before numbered points, behind
--- paragraphs, behind sentences, and only where all of these are too long behind a line, a word or a character. The
--- pieces, one after another, are the text byte by byte; none is longer than the limit, none breaks a character.
local M = {}

-- A pattern that finds a word at the beginning of a line, also when its letters are spaced (С т а т т я).
local function heading(word, rest)
  local letters = {}
  for _, c in utf8.codes(word) do letters[#letters + 1] = utf8.char(c) end
  return "^%s*" .. table.concat(letters, "%s*") .. rest
end

local NUMBER = "%s*[%dIVXLC\xD0]" -- arabic, or roman in Latin or Cyrillic letters (І, Х)
local ARTICLES, SECTIONS = {}, {}
for _, word in ipairs { "Стаття", "СТАТТЯ", "Статья", "СТАТЬЯ", "Article", "ARTICLE" } do
  ARTICLES[#ARTICLES + 1] = heading(word, "%s*%d")
end
for _, word in ipairs { "Розділ", "РОЗДІЛ", "Глава", "ГЛАВА", "Книга", "КНИГА", "Додаток", "ДОДАТОК", "Chapter",
  "CHAPTER" } do
  SECTIONS[#SECTIONS + 1] = heading(word, NUMBER)
end

local NEAR = 600 -- bytes from a section's heading to its first article, so that they stay together

local function fits(line, patterns)
  for _, pattern in ipairs(patterns) do if line:find(pattern) then return true end end
  return false
end

-- each line's first byte and the line
local function lines(text)
  local at = 1
  return function()
    if at > #text then return nil end
    local from, stop = at, text:find("\n", at, true) or #text
    at = stop + 1
    return from, text:sub(from, stop)
  end
end

-- ---- where a text may be cut: each answers the first bytes of what may begin a piece ----

local function at_articles(text)
  local starts, section = {}, nil
  for from, line in lines(text) do
    local is_section = fits(line, SECTIONS)
    if is_section or fits(line, ARTICLES) then
      if not (section and from - section <= NEAR) then
        starts[#starts + 1] = from
        section = is_section and from or nil
      elseif not is_section then
        section = nil
      end
    end
  end
  return starts
end

local function at_points(text)
  local starts = {}
  for from, line in lines(text) do
    if line:find "^%s*%d+[%d.]*[.)]%s" then starts[#starts + 1] = from end
  end
  return starts
end

-- Words whose full stop does not end a sentence. Many of them may also stand at an end; then the cut comes later.
local ABBREVIATIONS = {}
for word in ([[ст п пп ч чч абз розд гл р рр м с смт обл грн коп тис млн млрд ін др див напр т д е зв
  ім проф акад доц канд вул просп пл буд корп кв оф стор ред прим пор укр англ рис табл дод підп
  вид зб арт шт кг год хв сек нар заст зам гр о тов ном вх вих тел мін макс відп б
  N NN No art sec par cf vs etc Mr Mrs Dr vol pp fig]]):gmatch "%S+" do
  ABBREVIATIONS[word] = true
end

local UPPER = { ["Є"] = "є", ["І"] = "і", ["Ї"] = "ї", ["Ґ"] = "ґ", ["Ё"] = "ё" }
for c = 0x410, 0x42F do UPPER[utf8.char(c)] = utf8.char(c + 32) end
for c = 65, 90 do UPPER[string.char(c)] = string.char(c + 32) end

local function lower(word) return (word:gsub(utf8.charpattern, UPPER)) end

-- Whether the full stop at `at` ends a sentence: not behind an abbreviation, an initial (В. Ющенко) or the number of a
-- point.
local function ends(text, at)
  local before = text:sub(math.max(1, at - 40), at - 1)
  local word = before:match "[%w\x80-\xFF'-]+$" or ""
  if word == "" then return false end
  if word:find "^%d+$" then
    if before:find "таття%s+%d+$" then return false end
    -- "5." at the beginning of a line numbers a point
    local start = at - #word - 1
    while text:find("^[ \t]", start) do start = start - 1 end
    return start >= 1 and text:sub(start, start) ~= "\n"
  end
  if utf8.len(word) == 1 and UPPER[word] then return false end
  return not (ABBREVIATIONS[word] or ABBREVIATIONS[lower(word)])
end

local CLOSING = { "»", "”", "’", '"', "'", ")", "]" }

-- behind closing quotes and brackets
local function behind_closing(text, at)
  local more = true
  while more do
    more = false
    for _, mark in ipairs(CLOSING) do
      if text:sub(at, at + #mark - 1) == mark then
        at, more = at + #mark, true
        break
      end
    end
  end
  return at
end

-- Calls add(first byte behind the white space, the white space) behind each end of a sentence.
local function each_end(text, marks, add)
  local pos = 1
  while true do
    local at = text:find(marks, pos)
    if not at then return end
    pos = at + 1
    local dots = text:byte(at) == 0xE2
    if dots and text:sub(at, at + 2) == "…" then pos = at + 3 end
    if dots and pos == at + 3 or not dots and (text:byte(at) ~= 46 or ends(text, at)) then
      local space, after = text:match("^(%s+)()", behind_closing(text, pos))
      if after and after <= #text then add(after, space) end
    end
  end
end

local function at_paragraphs(text)
  local starts = {}
  each_end(text, "[.!?;:\xE2]", function(after, space)
    if space:find("\n", 1, true) then starts[#starts + 1] = after end
  end)
  for after in text:gmatch "\n[ \t\r]*\n%s*()" do
    if after <= #text then starts[#starts + 1] = after end
  end
  table.sort(starts)
  return starts
end

-- what a sentence begins with, besides capital letters
local OPENING = { ["("] = true, ['"'] = true, ["-"] = true, ["«"] = true, ["“"] = true, ["„"] = true, ["—"] = true,
  ["–"] = true }

local function begins_sentence(text, at)
  local char = text:match("^" .. utf8.charpattern, at)
  return char and (UPPER[char] or OPENING[char] or char:find "%d") ~= nil
end

local function at_sentences(text)
  local starts = {}
  each_end(text, "[.!?\xE2]", function(after)
    if begins_sentence(text, after) then starts[#starts + 1] = after end
  end)
  return starts
end

local function at_lines(text)
  local starts = {}
  for from in lines(text) do starts[#starts + 1] = from end
  return starts
end

local function at_words(text)
  local starts = {}
  for after in text:gmatch "%s+()" do
    if after <= #text then starts[#starts + 1] = after end
  end
  return starts
end

local LEVELS = { at_articles, at_points, at_paragraphs, at_sentences, at_lines, at_words }

-- ---- packing ----

-- As many whole characters as fit, and always one.
local function by_characters(text, o, out)
  local at = 1
  while at <= #text do
    local low, high = 1, utf8.len(text, at)
    high = math.min(high, o.characters and o.limit or high)
    while low < high do
      local middle = (low + high + 1) // 2
      if o.measure(text:sub(at, utf8.offset(text, middle + 1, at) - 1)) <= o.limit then low = middle
      else high = middle - 1 end
    end
    local stop = utf8.offset(text, low + 1, at)
    out[#out + 1] = text:sub(at, stop - 1)
    at = stop
  end
end

local function units_of(text, level)
  local units, from = {}, 1
  for _, start in ipairs(LEVELS[level](text)) do
    if start > from then
      units[#units + 1] = text:sub(from, start - 1)
      from = start
    end
  end
  units[#units + 1] = text:sub(from)
  return units
end

local function pack(text, level, o, out)
  if o.measure(text) <= o.limit then
    out[#out + 1] = text
    return
  end
  if not LEVELS[level] then return by_characters(text, o, out) end
  local units = units_of(text, level)
  local held, size = {}, 0
  local function flush()
    while #held > 0 do
      -- tokens do not simply add up: what was put together is measured
      local count = #held
      local joined = table.concat(held)
      while count > 1 and o.measure(joined) > o.limit do
        count = count - 1
        joined = table.concat(held, "", 1, count)
      end
      out[#out + 1] = joined
      held = table.move(held, count + 1, #held + count, 1, {})
    end
    size = 0
  end
  for _, unit in ipairs(units) do
    local n = o.measure(unit)
    if size + n > o.limit then flush() end
    if n > o.limit then
      pack(unit, level + 1, o, out)
    else
      held[#held + 1] = unit
      size = size + n
    end
  end
  flush()
end

-- The heading of the article that a piece begins in the middle of: for each piece, or nil.
local function articles_of(text, pieces)
  local found, heads, at, k = {}, {}, 1, 0
  for from, line in lines(text) do
    if fits(line, ARTICLES) then heads[#heads + 1] = { from, line } end
  end
  for i, piece in ipairs(pieces) do
    while heads[k + 1] and heads[k + 1][1] <= at do k = k + 1 end
    local head = heads[k]
    -- a section's heading, or white space, may stand between a piece's beginning and its first article
    local next_head = heads[k + 1]
    local fresh = head and head[1] == at or next_head and next_head[1] - at <= NEAR and fits(piece, SECTIONS)
    if head and not fresh then
      local line = head[2]:match "^%s*(.-)%s*$"
      local stop = utf8.offset(line, 201)
      found[i] = stop and line:sub(1, stop - 1) or line
    end
    at = at + #piece
  end
  return found
end

---@class ftrun.cut.Piece
---@field text string
---@field article string?  heading of the article in which it begins, when that stands in an earlier piece

--- Cuts a text. It must be UTF-8.
---@param text string
---@param o { limit: integer, measure: (fun(text: string): integer)? }  measure: of tokens; default: characters
---@return ftrun.cut.Piece[]  one, the text itself, when it fits
function M.pieces(text, o)
  local list = {}
  pack(text, 1, { limit = o.limit, measure = o.measure or utf8.len, characters = not o.measure }, list)
  local articles = #list > 1 and articles_of(text, list) or {}
  for i, piece in ipairs(list) do list[i] = { text = piece, article = articles[i] } end
  return list
end

--- A title for a text that came without one: the line that begins with "Про " near its top, with the lines that go on;
--- else its first line.
---@param text string
---@return string
function M.title(text)
  local first
  local top = text:sub(1, utf8.offset(text, 1001) and utf8.offset(text, 1001) - 1 or #text)
  for from, line in lines(top) do
    line = line:match "^%s*(.-)%s*$"
    if line ~= "" then
      if line:find "^Про%s" then
        local title = top:sub(from):match "^(.-)\n%s*[\n(]" or line
        return (title:gsub("%s+", " "):match "^%s*(.-)%s*$")
      end
      first = first or line
    end
  end
  return first or ""
end

return M
