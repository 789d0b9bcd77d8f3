--- Scores of answers against what was expected. Each scorer turns one row into a vector of counts, and sums of such
--- vectors into values: so a row is judged once, and the bootstrap only adds.
---
--- Precision = hits / found, recall = hits / expected, F1 = 2 hits / (found + expected), over all rows together
--- (micro average: C. J. van Rijsbergen, Information Retrieval, 1979, chapter 7; C. D. Manning et al., Introduction
--- to Information Retrieval, 2008, sections 8.3 and 13.6). Without anything found or expected they have no value.
local classification = require "ftrun.score.classification"
local custom = require "ftrun.score.custom"
local dataset = require "ft.dataset"
local json_f1 = require "ftrun.score.json_f1"
local judge = require "ftrun.score.judge"
local similarity = require "ftrun.score.similarity"
local values = require "ftrun.score.values"

local M = {}

---@class ftrun.score.Value
---@field value number      the main number
---@field p number?         precision
---@field r number?         recall
---@field f1 number?

---@class ftrun.score.Scorer
---@field width fun(): integer        numbers in a vector
---@field row fun(answer: string, expected: string, record: table?): number[]?, string?  the vector of one answer; nil
---  and a reason when it cannot be scored
---@field names fun(): { name: string, path: string? }[]   what `values` gives, the main score first
---@field values fun(sums: number[], n: integer): table<integer, ftrun.score.Value?>  false where there is no value
---@field show fun(vector: number[]): table                a row's scores by name
---@field ask function?                          asks another model first (score/judge.lua)
---@field confusion (fun(sums: number[]): table)?

-- ---- ft.exact ----

local function trim(text) return text:match "^%s*(.-)%s*$" end

--- Vector: equal. Whole texts are compared without the blanks around them.
local function exact(spec)
  local path = spec.path and values.path(spec.path)
  local scorer = {}
  function scorer.width() return 1 end
  function scorer.row(answer, expected)
    if not path then return { trim(answer) == trim(expected) and 1 or 0 } end
    local want, why = dataset.decode_ordered(expected)
    if why then return nil, "the expected answer is no JSON: " .. why end
    local got, fault = dataset.decode_ordered(answer)
    if fault then return { 0 } end
    local a, found = values.bag(path, got)
    local b, wanted = values.bag(path, want)
    local hits = values.common(a, b)
    return { hits == found and hits == wanted and 1 or 0 }
  end
  function scorer.names() return { { name = "exact", path = spec.path } } end
  function scorer.values(s, rows) return { rows > 0 and { value = s[1] / rows } or false } end
  return scorer
end

local KINDS = { json_f1 = json_f1.new, exact = exact, classification = classification.new, rouge_l = similarity.new,
  token_f1 = similarity.new, judge = judge.new }

--- The scorer of a recipe's `evaluate.score`.
---@param spec table|function      ft.json_f1 {...} or another of KINDS, or a function
---@param call fun(fn: any, ...: any): any  calls a function of the recipe
---@param expected string[]        all expected answers: labels are taken from them
---@return ftrun.score.Scorer
function M.new(spec, call, expected)
  local make = type(spec) == "table" and KINDS[spec.kind]
  local scorer = make and make(spec, expected) or custom.new(spec, call)
  scorer.show = scorer.show or function(vector)
    local row = {}
    for i, v in ipairs(scorer.values(vector, 1)) do
      local name = scorer.names()[i]
      if v then row[name.path and name.name .. " " .. name.path or name.name] = v.value end
    end
    return row
  end
  return scorer
end

return M
