--- Which labels a model takes for which: a matrix where it fits, else the most frequent mistakes.
local h = require("ftrun.report.html").h

local M = {}

local MOST_LABELS = 12
local MOST_MISTAKES = 15
local OTHER = "other"

--- The most frequent mistakes, those of the tuned model first.
---@param c { labels: string[], base: integer[][], tuned: integer[][]? }
---@param most integer
---@return { expected: string, answered: string, base: integer, tuned: integer? }[]
local function mistakes(c, most)
  local list, two = {}, c.tuned ~= nil and #c.tuned > 0
  for i, label in ipairs(c.labels) do
    for k = 1, #c.labels + 1 do
      local a, b = c.base[i][k] or 0, two and c.tuned[i][k] or nil
      if i ~= k and (a > 0 or (b or 0) > 0) then
        list[#list + 1] = { expected = label, answered = c.labels[k] or OTHER, base = a, tuned = b, at = #list }
      end
    end
  end
  table.sort(list, function(x, y)
    local p, q = x.tuned or x.base, y.tuned or y.base
    if p ~= q then return p > q end
    if x.base ~= y.base then return x.base > y.base end
    return x.at < y.at
  end)
  while #list > most do table.remove(list) end
  return list
end

--- Whether some answer was none of the labels.
---@return boolean
local function has_others(c)
  for _, side in ipairs { c.base, c.tuned } do
    for _, row in ipairs(side or {}) do
      if (row[#c.labels + 1] or 0) > 0 then return true end
    end
  end
  return false
end

local function matrix(c, rows, title)
  local head, body, columns = { h.th { scope = "col", "Expected" } }, {}, #c.labels + (has_others(c) and 1 or 0)
  for k = 1, columns do head[k + 1] = h.th { scope = "col", class = "n", c.labels[k] or OTHER } end
  for i, label in ipairs(c.labels) do
    local cells = { h.th { scope = "row", label } }
    for k = 1, columns do
      local n = rows[i][k] or 0
      cells[k + 1] = h.td { class = i == k and "n hit" or n > 0 and "n miss" or "n soft",
        i == k and n > 0 and { "✓ ", n } or n }
    end
    body[i] = h.tr(cells)
  end
  return h.div { class = "scroll", tabindex = 0, role = "region", ["aria-label"] = title,
    h.table { class = "matrix", h.caption(h.span(title .. ": expected labels down, answered ones across")),
      h.thead { h.tr(head) }, h.tbody(body) } }
end

local function list_of(c)
  local rows = {}
  for i, m in ipairs(mistakes(c, MOST_MISTAKES)) do
    rows[i] = h.tr { h.th { scope = "row", m.expected }, h.td(m.answered), h.td { class = "n", m.base },
      h.td { class = "n", m.tuned or "–" } }
  end
  if #rows == 0 then return h.p "Neither model took a label for another one." end
  return h.table { h.caption(h.span(("The most frequent mistakes among %d labels"):format(#c.labels))),
    h.thead { h.tr { h.th { scope = "col", "Expected" }, h.th { scope = "col", "Answered" },
      h.th { scope = "col", class = "n", "Base" }, h.th { scope = "col", class = "n", "Tuned" } } }, h.tbody(rows) }
end

-- Whether what stands in the file is a matrix.
local function whole(c)
  if type(c) ~= "table" or type(c.labels) ~= "table" or type(c.base) ~= "table" then return false end
  for i in ipairs(c.labels) do
    if type(c.base[i]) ~= "table" or type(c.tuned) == "table" and #c.tuned > 0 and type(c.tuned[i]) ~= "table" then
      return false
    end
  end
  return #c.labels > 0
end

---@param c table?  of evaluation.json
function M.part(c)
  if not whole(c) then return nil end
  local two = type(c.tuned) == "table" and #c.tuned > 0
  return { h.h3 "Confusion matrix", #c.labels > MOST_LABELS and list_of(c)
    or h.div { class = "pair", matrix(c, c.base, "Base model"), two and matrix(c, c.tuned, "Tuned model") } }
end

-- ---- for a terminal ----

local NAME, WIDEST, MOST_COLUMNS = 14, 10, 6 -- columns of a terminal

local function fit(text, width)
  if (utf8.len(text) or #text) <= width then return text .. (" "):rep(width - (utf8.len(text) or #text)) end
  return (utf8.len(text) and text:sub(1, utf8.offset(text, width) - 1) or text:sub(1, width - 1)) .. "…"
end

local function right(text, width)
  text = fit(text, width)
  local bare = text:gsub(" +$", "")
  return (" "):rep(width - (utf8.len(bare) or #bare)) .. bare
end

--- The same as lines of at most 80 columns.
---@return string[]
function M.lines(c)
  if not whole(c) then return {} end
  local two, lines = type(c.tuned) == "table" and #c.tuned > 0, {}
  if #c.labels > MOST_COLUMNS then
    lines[1] = "most frequent mistakes:"
    for _, m in ipairs(mistakes(c, 6)) do
      lines[#lines + 1] = ("  %s for %s: %s"):format(m.answered, m.expected, two
        and ("base %d, tuned %d times"):format(m.base, m.tuned) or ("%d times"):format(m.base))
    end
    return #lines > 1 and lines or {}
  end
  local rows = two and c.tuned or c.base
  local columns = #c.labels + (has_others { labels = c.labels, base = rows } and 1 or 0)
  local width = math.min(WIDEST, (80 - NAME) // columns - 1)
  lines[1] = ("%s: expected labels down, answers across"):format(two and "tuned" or "answers")
  local head = (" "):rep(NAME)
  for k = 1, columns do head = head .. " " .. right(c.labels[k] or OTHER, width) end
  lines[2] = head
  for i, label in ipairs(c.labels) do
    local line = fit("  " .. label, NAME)
    for k = 1, columns do line = line .. " " .. right(tostring(rows[i][k] or 0), width) end
    lines[#lines + 1] = line
  end
  return lines
end

return M
