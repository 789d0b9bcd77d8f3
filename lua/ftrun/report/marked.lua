--- What a model answered beside what was expected: JSON line by line, other texts word by word. What differs carries a
--- sign of its own, so that nobody needs colours to see it.
local dataset = require "ft.dataset"
local h = require("ftrun.report.html").h
local json = require "ftrun.json"
local linediff = require "ftrun.share.linediff"

local M = {}

local WIDTH = 46        -- columns of a line of JSON, where it can be broken
local MOST_LINES = 40   -- of one answer
local MOST_WORDS = 250
local MOST_COMPARED = 300 -- lines; more are not looked at
local CONTEXT = 1       -- equal lines around those that differ

-- ---- JSON as lines ----

local function scalar(v)
  if v == dataset.null then return "null" end
  if type(v) == "number" then
    return math.tointeger(v) and ("%d"):format(math.tointeger(v)) or ("%.14g"):format(v)
  end
  return (json.encode(v):gsub("\\/", "/"))
end

local function compact(v)
  if type(v) ~= "table" or v == dataset.null then return scalar(v) end
  local parts = {}
  for i, item in ipairs(v) do parts[i] = v.array and compact(item) or scalar(item[1]) .. ": " .. compact(item[2]) end
  local inner = table.concat(parts, ", ")
  return v.array and "[" .. inner .. "]" or "{" .. inner .. "}"
end

local function plain(v) return type(v) ~= "table" or v == dataset.null or #v == 0 end

-- Only objects of plain values stand on one line: a list that did so where it is short, and not where it is long, would
-- differ in every line.
local function on_a_line(v, line)
  if plain(v) then return true end
  if v.array or (utf8.len(line) or #line) > WIDTH then return false end
  for _, pair in ipairs(v) do if not plain(pair[2]) then return false end end
  return true
end

local function lay(v, indent, before, after, out)
  local line = indent .. before .. compact(v) .. after
  if on_a_line(v, line) then
    out[#out + 1] = line
    return
  end
  out[#out + 1] = indent .. before .. (v.array and "[" or "{")
  for i, item in ipairs(v) do
    local name = v.array and "" or scalar(item[1]) .. ": "
    lay(v.array and item or item[2], indent .. "  ", name, i < #v and "," or "", out)
  end
  out[#out + 1] = indent .. (v.array and "]" or "}") .. after
end

--- JSON as lines of about 46 columns; nil when the text is none, or a plain value.
---@param text string
---@return string[]?
function M.lines(text)
  local value, why = dataset.decode_ordered(text)
  if why or type(value) ~= "table" or value == dataset.null then return nil end
  local out = {}
  lay(value, "", "", "", out)
  return out
end

-- ---- marks ----

local SIGNS = { ["-"] = { "del", "\u{2212} " }, ["+"] = { "ins", "+ " } }

-- A comma behind an item says nothing about it.
local function bare(lines)
  local out = {}
  for i = 1, math.min(#lines, MOST_COMPARED) do out[i] = lines[i]:gsub(",$", "") end
  return out
end

local function by_lines(steps)
  local near, out, hidden, shown = {}, {}, 0, 0
  for i, s in ipairs(steps) do
    if s.op ~= " " then
      for k = i - CONTEXT, i + CONTEXT do near[k] = true end
    end
  end
  local function equal_ones()
    if hidden > 0 then out[#out + 1] = { h.span { class = "same", ("  … %d alike"):format(hidden) }, "\n" } end
    hidden = 0
  end
  for i, s in ipairs(steps) do
    if not near[i] then
      hidden = hidden + 1
    elseif shown == MOST_LINES then
      equal_ones()
      out[#out + 1] = h.span { class = "same", ("  … %d lines more"):format(#steps - i + 1) }
      return out
    else
      equal_ones()
      shown = shown + 1
      local sign, indent, rest = SIGNS[s.op], s.line:match "^( *)(.*)$"
      out[#out + 1] = { sign and { indent, h[sign[1]](sign[2] .. rest) } or "  " .. s.line, "\n" }
    end
  end
  equal_ones()
  return out
end

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do
    if #list == MOST_WORDS then
      list[#list + 1] = "…"
      break
    end
    list[#list + 1] = word
  end
  return list
end

local function by_words(steps)
  local out, i = {}, 1
  while i <= #steps do
    local op, run = steps[i].op, {}
    while i <= #steps and steps[i].op == op do
      run[#run + 1] = steps[i].line
      i = i + 1
    end
    local text, sign = table.concat(run, " "), SIGNS[op]
    out[#out + 1] = { sign and h[sign[1]](sign[2] .. text) or text, " " }
  end
  return out
end

--- An answer, its differences marked.
---@param expected string
---@param answer string
---@return table markup
---@return boolean same
function M.answer(expected, answer)
  local a, b = M.lines(expected), M.lines(answer)
  if a and b then
    local steps = linediff.steps(bare(a), bare(b))
    local same = math.max(#a, #b) <= MOST_COMPARED or table.concat(a) == table.concat(b)
    for _, s in ipairs(steps) do same = same and s.op == " " end
    return same and h.p { class = "good", "✓ as expected" } or h.pre(by_lines(steps)), same
  end
  local left, right = words(expected), words(answer)
  if table.concat(left, " ") == table.concat(right, " ") then
    local short = #right <= 12 and h.p { class = "text", table.concat(right, " ") }
    return { h.p { class = "good", "✓ as expected" }, short }, true
  end
  if #right == 0 then return h.p { class = "soft", "an empty answer" }, false end
  return h.p { class = "text", by_words(linediff.steps(left, right)) }, false
end

--- What was expected, as it is.
---@param expected string
function M.expected(expected)
  local lines = M.lines(expected)
  if not lines then return h.p { class = "text", table.concat(words(expected), " ") } end
  if #lines > MOST_LINES then
    local more = #lines - MOST_LINES
    lines = table.move(lines, 1, MOST_LINES, 1, {})
    lines[#lines + 1] = ("… %d lines more"):format(more)
  end
  return h.pre(table.concat(lines, "\n"))
end

return M
