--- Validation rows side by side: what was asked, what was expected, what both models said. The only part of a report
--- that holds texts of rows.
local amounts = require "ftrun.text.amounts"
local fs = require "ft.fs"
local h = require("ftrun.report.html").h
local json = require "ftrun.json"
local marked = require "ftrun.report.marked"
local rows = require "ftrun.evaluate.rows"

local M = {}

local MOST = 10
local WORST = 6         -- of these, rows that the tuned model did worst
local MOST_ROWS = 5000  -- of the validation file that are looked at
local MAX_BYTES = 1 << 30
local EXCERPT = 420     -- characters of a question

---@class ftrun.report.Example
---@field row integer           line of validation.jsonl
---@field question string       the user's last words
---@field expected string
---@field base table?           lines of evaluation.jsonl
---@field tuned table?

local function answers_of(dir)
  local by = {}
  for line in (fs.read(dir .. "/evaluation.jsonl", MAX_BYTES) or ""):gmatch "([^\n]*)\n" do
    local r = json.decode(line)
    if type(r) == "table" and type(r.model) == "string" and type(r.prompt_sha256) == "string" then
      by[r.model .. "\n" .. r.prompt_sha256] = r
    end
  end
  return by
end

local function question_of(row)
  for i = #row.messages, 1, -1 do
    local m = row.messages[i]
    if m.role == "user" then
      local content = m.content
      if type(content) == "table" then content = content[1] and content[1].text end
      return type(content) == "string" and content or ""
    end
  end
  return ""
end

-- A row's main score, by the name with which evaluation.jsonl has it.
local function main_of(e)
  local s = e.scores and e.scores[1]
  return s and (s.path and s.name .. " " .. s.path or s.name) or nil
end

local function score(record, name)
  local v = record and type(record.scores) == "table" and record.scores[name]
  return type(v) == "number" and v or nil
end

--- Rows worth a look: first those that the tuned model did worst, then others as they come.
---@param dir string            the run's folder
---@param e ftrun.Evaluation
---@return ftrun.report.Example[]
function M.choose(dir, e)
  local models = type(e.models) == "table" and e.models or {}
  local base, tuned, path = models.base or {}, models.tuned or {}, dir .. "/validation.jsonl"
  if not (type(base.model) == "string" and fs.stat(path)) then return {} end
  local ok, list = pcall(rows.read, path, { temperature = 0, seed = math.tointeger(e.seed) or e.seed }, MOST_ROWS)
  local by, all, name = ok and answers_of(dir) or {}, {}, main_of(e)
  for i, row in ipairs(ok and list or {}) do
    local a = by[base.model .. "\n" .. row.prompt_sha256]
    local b = tuned.model and by[tuned.model .. "\n" .. row.prompt_sha256]
    if a and a.answer and (not tuned.model or b and b.answer) then
      all[#all + 1] = { at = i, row = row.row, question = question_of(row), expected = row.expected, base = a,
        tuned = b or nil, value = score(b or a, name) or math.huge }
    end
  end
  table.sort(all, function(x, y)
    if x.value ~= y.value then return x.value < y.value end
    return x.at < y.at
  end)
  local picked = {}
  while #picked < WORST and all[1] and all[1].value < 1 do picked[#picked + 1] = table.remove(all, 1) end
  table.sort(all, function(x, y) return x.at < y.at end)
  while #picked < MOST and all[1] do picked[#picked + 1] = table.remove(all, 1) end
  return picked
end

local function excerpt(text)
  text = text:gsub("%s+", " "):gsub("^ ", "")
  local stop = utf8.len(text) and utf8.offset(text, EXCERPT + 1)
  return stop and stop <= #text and text:sub(1, stop - 1) .. " …" or text
end

local function number(v) return v and ("%.3f"):format(v) or "–" end

local function column(title, record, example)
  if not record then return nil end
  local judged = type(record.judged) == "table" and record.judged
  return h.figure { h.figcaption { h.b(title) }, (marked.answer(example.expected, record.answer)),
    judged and h.p { class = "soft", ("judge: %s%s"):format(judged.label or number(judged.score),
      judged.reason and " – " .. judged.reason or "") } }
end

local function one(example, name, first)
  local values = {}
  for _, side in ipairs { "base", "tuned" } do
    local v = score(example[side], name)
    if v then values[#values + 1] = ("%s %s"):format(side, number(v)) end
  end
  return h.details { class = "paper example", open = first,
    h.summary { ("Row %d"):format(example.row), #values > 0 and { ": ", name, " ", table.concat(values, ", ") } },
    h.p { class = "question", h.b "Asked: ", excerpt(example.question) },
    h.div { class = "triple", h.figure { h.figcaption { h.b "Expected" }, marked.expected(example.expected) },
      column("Base", example.base, example) or false, column("Tuned", example.tuned, example) or false } }
end

---@param f ftrun.Report.Facts
function M.section(f)
  local list, items = f.examples or {}, {}
  if #list == 0 then return nil end
  local name = main_of(f.evaluation)
  for i, example in ipairs(list) do items[i] = one(example, name, i == 1) end
  return h.section { h.h2 "Examples",
    h.p { ("%s of those that were asked: first those where the tuned model did worst, then others as they come. ")
      :format(amounts.count(#list, "row")), h.del "\u{2212} expected, but missing", " ",
      h.ins "+ not expected", "." }, items }
end

return M
