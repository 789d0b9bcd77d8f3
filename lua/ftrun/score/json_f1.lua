--- ft.json_f1: precision, recall and F1 of values in JSON answers.
---
--- Precision = hits / found, recall = hits / expected, F1 = 2 hits / (found + expected). `f1`, `precision` and `recall`
--- are of all rows and paths together (micro average); of each path over all rows `f1` with its path; `macro_...` are
--- the means over the paths, so that one of many values does not drown the others (C. J. van Rijsbergen, Information
--- Retrieval, 1979, chapter 7; C. D. Manning et al., Introduction to Information Retrieval, 2008, sections 8.3 and
--- 13.6). Without anything found or expected they have no value; of the two that a path's F1 is made of, one without a
--- value counts as 0.
---
--- Values are compared as multisets; at paths of `sets` a value that comes again counts once; at paths of `ordered`
--- hits are those in the same order (their longest common subsequence).
local dataset = require "ft.dataset"
local jsonschema = require "ftrun.score.jsonschema"
local values = require "ftrun.score.values"

local M = {}

local function ratio(a, b) return b > 0 and a / b or nil end

--- Precision, recall and F1 of counts; nil when there is nothing to find and nothing was found.
---@return ftrun.score.Value?
local function prf(hits, found, expected)
  local f1 = ratio(2 * hits, found + expected)
  return f1 and { value = f1, f1 = f1, p = ratio(hits, found) or 0, r = ratio(hits, expected) or 0 }
end

-- All paths in their order, each once; what `sets` and `ordered` say of one goes before.
local function fields(spec)
  local list, by = {}, {}
  for _, kind in ipairs { { "bags", spec.paths }, { "sets", spec.sets }, { "ordered", spec.ordered } } do
    for _, path in ipairs(kind[2] or {}) do
      if not by[path] then
        by[path] = { path = path, steps = values.path(path) }
        list[#list + 1] = by[path]
      end
      by[path].how = kind[1]
    end
  end
  return list
end

local MACRO = { { "macro_f1", "f1" }, { "macro_precision", "p" }, { "macro_recall", "r" } }

--- Vector: hits, found, expected of each path; then exact, valid JSON, valid by the schema.
---@param spec { paths: string[], sets: string[]?, ordered: string[]?, schema: string? }
---@return ftrun.score.Scorer
function M.new(spec)
  local list = fields(spec)
  local n, fits = #list, spec.schema and jsonschema.read(spec.schema)
  local rest = { "exact", "valid_json", fits and "valid_schema" }
  local scorer = {}
  function scorer.width() return 3 * n + #rest end

  function scorer.row(answer, expected)
    local want, why = dataset.decode_ordered(expected)
    if why then return nil, "the expected answer is no JSON: " .. why end
    local got, fault = dataset.decode_ordered(answer)
    if fault then got = nil end
    local v, exact = {}, not fault
    for i, field in ipairs(list) do
      local hits, found, wanted = values.count(field.how, field.steps, got, want)
      v[3 * i - 2], v[3 * i - 1], v[3 * i] = hits, found, wanted
      exact = exact and hits == found and hits == wanted
    end
    v[3 * n + 1], v[3 * n + 2] = exact and 1 or 0, fault and 0 or 1
    if fits then v[3 * n + 3] = not fault and fits(got) and 1 or 0 end
    return v
  end

  function scorer.names()
    local out = { { name = "f1" } }
    for _, field in ipairs(n > 1 and list or {}) do out[#out + 1] = { name = "f1", path = field.path } end
    for _, name in ipairs { "precision", "recall" } do out[#out + 1] = { name = name } end
    for _, macro in ipairs(n > 1 and MACRO or {}) do out[#out + 1] = { name = macro[1] } end
    for _, name in ipairs(rest) do out[#out + 1] = { name = name } end
    return out
  end

  function scorer.values(s, rows)
    local hits, found, wanted, each, out = 0, 0, 0, {}, { false }
    for i = 1, n do
      hits, found, wanted = hits + s[3 * i - 2], found + s[3 * i - 1], wanted + s[3 * i]
      local one = prf(s[3 * i - 2], s[3 * i - 1], s[3 * i])
      if one then each[#each + 1] = one end
      if n > 1 then out[#out + 1] = one or false end
    end
    local all = prf(hits, found, wanted)
    out[1] = all or false
    out[#out + 1] = all and { value = all.p } or false
    out[#out + 1] = all and { value = all.r } or false
    for _, macro in ipairs(n > 1 and MACRO or {}) do
      local sum = 0
      for _, one in ipairs(each) do sum = sum + one[macro[2]] end
      out[#out + 1] = #each > 0 and { value = sum / #each } or false
    end
    for i = 1, #rest do out[#out + 1] = rows > 0 and { value = s[3 * n + i] / rows } or false end
    return out
  end
  return scorer
end

return M
