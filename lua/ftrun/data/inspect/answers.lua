--- What rows answer: few labels and how they are spread, and answers that are no JSON where the others are.
local dataset = require "ft.dataset"
local personal = require "ftrun.data.inspect.personal"
local row = require "ftrun.data.inspect.row"
local words = require "ftrun.recipe.words"

local M = {}
M.__index = M

local LABELS = 50        -- different ones, at most
local LABEL_BYTES = 64
local FEW_ROWS = 20      -- too few rows to call answers labels
local A_LABEL = 5        -- rows a label, at least on average
local SKEWED = 0.9       -- of the rows have one label
local JSON_ROWS, JSON_SHARE = 10, 0.9 -- of the answers are JSON, so the others should be
local LISTED = 1000      -- rows

function M.new()
  return setmetatable({ labels = { train = {}, validation = {} }, different = 0, seen = {},
    rows = { train = 0, validation = 0 }, json = 0, other = 0, others = {} }, M)
end

function M:label(answer, place)
  if not self.labels then return end
  local label = #answer <= 2 * LABEL_BYTES and row.trim(answer) or answer
  if #label > LABEL_BYTES or label:find "^[{%[]" then
    self.labels = nil
    return
  end
  if not self.seen[label] then
    self.seen[label] = place
    self.different = self.different + 1
    if self.different > LABELS then
      self.labels = nil
      return
    end
  end
  local counts = self.labels[place.side]
  counts[label] = (counts[label] or 0) + 1
end

---@param r ftrun.Row
---@param place ftrun.Place
function M:add(r, place)
  local answer = r.answer
  if not answer then return end
  self.rows[place.side] = self.rows[place.side] + 1
  self:label(answer, place)
  local ok, message
  if answer:find "^%s*[{%[]" then
    ok, message = dataset.check(answer)
  else
    message = "it is plain text"
  end
  if ok then
    self.json = self.json + 1
    return
  end
  self.other = self.other + 1
  if #self.others < LISTED then
    self.others[#self.others + 1] = { place = place, path = r.answer_path, why = message }
  end
end

--- The labels of a side with their counts, most frequent first; nil when the answers are no labels.
---@param side "train"|"validation"
---@return { label: string, count: integer }[]?
function M:counts(side)
  local rows = self.rows.train + self.rows.validation
  if not self.labels or rows < math.max(FEW_ROWS, A_LABEL * self.different) then return nil end
  local list = {}
  for label, count in pairs(self.labels[side]) do list[#list + 1] = { label = label, count = count } end
  table.sort(list, function(a, b) return a.count > b.count or a.count == b.count and a.label < b.label end)
  return list
end

-- A label may be a secret that somebody took for an answer.
local function show(label) return words.show(personal.mask(label)) end

local SHOWN = 8

local function listed(list)
  local parts = {}
  for i = 1, math.min(SHOWN, #list) do parts[i] = ("%s %d"):format(show(list[i].label), list[i].count) end
  if #list > SHOWN then
    local rarest = list[#list]
    parts[#parts + 1] = ("..., the rarest %s %d"):format(show(rarest.label), rarest.count)
  end
  return table.concat(parts, ", ")
end

function M:balance(emit)
  local train = self:counts "train"
  if not train or #train == 0 then return end
  local top = train[1]
  if top.count > SKEWED * self.rows.train then
    emit { code = "label_skew", severity = "note", side = "train",
      message = ("%d of %d answers are %s%s; add rows of the others: a model that always says so is right as often")
        :format(top.count, self.rows.train, show(top.label), #train > 1 and (" (%s)"):format(listed(train)) or "") }
  end
  for _, v in ipairs(self:counts "validation") do
    if not self.labels.train[v.label] then
      local place = self.seen[v.label]
      emit { code = "label_unseen", severity = "warning", line = place.line, key = place.key, side = place.side,
        file = place.file,
        message = ("the label %s is in validation (%d rows) and never in train; add rows of it to train"):format(
          show(v.label), v.count) }
    end
  end
end

---@param emit fun(finding: ftrun.Finding)
function M:findings(emit)
  self:balance(emit)
  if self.json < JSON_ROWS or self.json < JSON_SHARE * (self.json + self.other) then return end
  for _, o in ipairs(self.others) do
    emit { code = "answer_not_json", severity = "warning", line = o.place.line, key = o.place.key, side = o.place.side,
      file = o.place.file, path = o.path,
      message = ("the answer is no JSON, as %d others are: %s; correct it, the model learns it too"):format(
        self.json, o.why) }
  end
  if self.other > #self.others then
    emit { code = "answer_not_json", severity = "warning",
      message = ("and %d more answers that are no JSON"):format(self.other - #self.others) }
  end
end

return M
