--- How alike an answer's words are to those that were expected: ft.rouge_l and ft.token_f1. Both give each row a
--- precision (of the answer's words), a recall (of the expected ones) and their harmonic mean; means
--- of all rows count.
---
--- ROUGE-L counts the longest common subsequence, so the words' order matters and gaps do not: P = LCS / words of the
--- answer, R = LCS / expected words, F = 2PR / (P + R) (C.-Y. Lin, ROUGE: A Package for Automatic Evaluation of
--- Summaries, 2004, section 3.1, with beta = 1 as common packages have it; whole texts, no stemming, no union over
--- sentences).
---
--- Token F1 counts the common words as a multiset, whatever their order (P. Rajpurkar et al., SQuAD: 100,000+ Questions
--- for Machine Comprehension of Text, 2016, section 6.1). SQuAD's script also drops a, an, the, and glues what stands
--- around punctuation; here both stay, as other languages have no such words. Two texts without words are alike, a text
--- with and one without are not (as the script of SQuAD 2.0 has it).
local dataset = require "ft.dataset"
local lcs = require "ftrun.score.lcs"
local tokens = require "ftrun.score.tokens"
local values = require "ftrun.score.values"

local M = {}

local function bag(words)
  local counts = {}
  for _, w in ipairs(words) do counts[w] = (counts[w] or 0) + 1 end
  return counts
end

local HITS = {
  rouge_l = lcs.length,
  token_f1 = function(a, b) return values.common(bag(a), bag(b)) end,
}

--- Precision, recall and their harmonic mean of two texts.
---@param kind "rouge_l"|"token_f1"
---@param answer string
---@param expected string
---@return number f1
---@return number precision
---@return number recall
function M.of(kind, answer, expected)
  local a, b = tokens.words(answer), tokens.words(expected)
  if #a == 0 or #b == 0 then
    local same = #a == #b and 1.0 or 0.0
    return same, same, same
  end
  local hits = HITS[kind](a, b)
  return 2 * hits / (#a + #b), hits / #a, hits / #b
end

local function text_at(path, value)
  local list = values.list(path, value)
  for i, v in ipairs(list) do list[i] = type(v) == "table" and "" or tostring(v) end
  return table.concat(list, "\n")
end

--- Vector: F, precision, recall of the row. With `path`, of the texts that stand there in JSON answers; an answer that
--- is no JSON has none.
---@param spec { kind: "rouge_l"|"token_f1", path: string? }
---@return ftrun.score.Scorer
function M.new(spec)
  local path = spec.path and values.path(spec.path)
  local scorer = {}
  function scorer.width() return 3 end

  function scorer.row(answer, expected)
    if path then
      local want, why = dataset.decode_ordered(expected)
      if why then return nil, "the expected answer is no JSON: " .. why end
      local got, fault = dataset.decode_ordered(answer)
      if fault then return { 0.0, 0.0, 0.0 } end
      answer, expected = text_at(path, got), text_at(path, want)
    end
    return { M.of(spec.kind, answer, expected) }
  end

  function scorer.names()
    return { { name = spec.kind, path = spec.path }, { name = "precision" }, { name = "recall" } }
  end

  function scorer.values(s, rows)
    if rows == 0 then return { false, false, false } end
    local f, p, r = s[1] / rows, s[2] / rows, s[3] / rows
    return { { value = f, f1 = f, p = p, r = r }, { value = p }, { value = r } }
  end
  return scorer
end

return M
