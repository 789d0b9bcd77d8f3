--- ft.classification: one label is the whole answer.
local M = {}

local function trim(text) return text:match "^%s*(.-)%s*$" end

local function labels_of(spec, expected)
  local list, seen = {}, {}
  local function add(label)
    if seen[label] then return end
    list[#list + 1], seen[label] = label, #list + 1
  end
  for _, label in ipairs(spec.labels or {}) do add(label) end
  if #list == 0 then
    for _, text in ipairs(expected) do add(trim(text)) end
    table.sort(list)
    for i, label in ipairs(list) do seen[label] = i end
  end
  return list, seen
end

local function ratio(a, b) return b > 0 and a / b or 0 end

--- Vector: the confusion matrix, a row for each expected label, a column for each answered one; the last column counts
--- answers that are no label. The macro averages are over the labels that were expected or answered; an
--- answer that is no label lowers the recall of what was expected.
---@param spec { labels: string[]? }
---@param expected string[]
---@return ftrun.score.Scorer
function M.new(spec, expected)
  local labels, index = labels_of(spec, expected)
  local n = #labels
  local columns = n + 1
  local scorer = {}
  function scorer.width() return n * columns end

  function scorer.row(answer, want)
    local i = index[trim(want)]
    if not i then return nil, ("the expected answer '%s' is none of the labels"):format(trim(want):sub(1, 40)) end
    local v = {}
    for k = 1, n * columns do v[k] = 0 end
    v[(i - 1) * columns + (index[trim(answer)] or columns)] = 1
    return v
  end

  function scorer.names()
    local list = { { name = "accuracy" }, { name = "f1" } }
    for _, label in ipairs(labels) do list[#list + 1] = { name = "f1", path = label } end
    list[n + 3], list[n + 4] = { name = "precision" }, { name = "recall" }
    return list
  end

  function scorer.values(s, rows)
    if rows == 0 then
      local none = {}
      for i = 1, n + 4 do none[i] = false end
      return none
    end
    local right, p, r, f1, used, list = 0, 0, 0, 0, 0, {}
    for i = 1, n do
      local hits, found, wanted = s[(i - 1) * columns + i], 0, 0
      for k = 1, n do found = found + s[(k - 1) * columns + i] end
      for k = 1, columns do wanted = wanted + s[(i - 1) * columns + k] end
      right = right + hits
      local of = { p = ratio(hits, found), r = ratio(hits, wanted), f1 = ratio(2 * hits, found + wanted) }
      of.value = of.f1
      list[2 + i] = found + wanted > 0 and of or false
      if list[2 + i] then used, p, r, f1 = used + 1, p + of.p, r + of.r, f1 + of.f1 end
    end
    local function mean(sum) return { value = ratio(sum, used) } end
    list[1], list[2], list[n + 3], list[n + 4] = { value = right / rows }, mean(f1), mean(p), mean(r)
    return list
  end

  function scorer.show(v)
    local right = 0
    for i = 1, n do right = right + v[(i - 1) * columns + i] end
    return { accuracy = right }
  end

  --- Expected labels down, answers across; the last column: other answers.
  function scorer.confusion(s)
    local rows = {}
    for i = 1, n do rows[i] = table.move(s, (i - 1) * columns + 1, i * columns, 1, {}) end
    return { labels = labels, rows = rows }
  end
  return scorer
end

return M
