--- Is a difference between two models more than the luck of the rows? A paired bootstrap over rows: both models
--- answered the same rows, so rows are drawn, with replacement, for both at once, and the difference is computed
--- anew for each draw. The interval is between the percentiles of these differences (B. Efron, R. Tibshirani, An
--- Introduction to the Bootstrap, 1993, sections 13.3 and 6.4; P. Koehn, Statistical Significance Tests for Machine
--- Translation Evaluation, 2004, for pairs of systems on one test set). Percentile intervals are somewhat short for
--- few rows.
local resample = require "ft.resample"
local time = require "ft.time"

local M = {}

local TURN_S = 0.02 -- so long others wait at most, about

local RESAMPLES = 2000
local CONFIDENCE = 0.95
--- Below so many rows the interval is not to be trusted, and no verdict is given.
M.FEWEST_ROWS = 10

--- The value below which a share of the sorted values lies, linear between neighbours (R. Hyndman, Y. Fan, Sample
--- Quantiles in Statistical Packages, 1996, definition 7).
---@param sorted number[]
---@param share number
---@return number
function M.quantile(sorted, share)
  local at = 1 + (#sorted - 1) * share
  local low = math.floor(at)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (at - low) * (sorted[high] - sorted[low])
end

--- What an interval says about a difference where more is better.
---@param interval { low: number, high: number }?
---@param rows integer
---@return "better"|"worse"|"cannot tell"
function M.verdict(interval, rows)
  if not interval or rows < M.FEWEST_ROWS then return "cannot tell" end
  if interval.low > 0 then return "better" end
  if interval.high < 0 then return "worse" end
  return "cannot tell"
end

--- "better", "worse" or "cannot tell with N rows".
---@return string
function M.sentence(verdict, rows)
  if verdict ~= "cannot tell" then return verdict end
  return ("cannot tell with %d row%s%s"):format(rows, rows == 1 and "" or "s",
    rows < M.FEWEST_ROWS and (", fewer than %d"):format(M.FEWEST_ROWS) or "")
end

--- Intervals of the differences b - a of all values of a scorer. A draw in which a value does not exist says nothing
--- about it; a value that exists in less than half of the draws has no interval.
---@param scorer ftrun.score.Scorer
---@param a number[][]  vectors of the rows, for the model compared with
---@param b number[][]  of the same rows, in the same order
---@param o { seed: integer, resamples: integer?, confidence: number?, turn: fun(done: integer, total: integer)? }
---  turn: called now and then, and may wait
---@return table<integer, { low: number, high: number }>  false where there is none
function M.intervals(scorer, a, b, o)
  local rows, resamples, differences, count = #a, o.resamples or RESAMPLES, {}, #scorer.names()
  for i = 1, count do differences[i] = {} end
  local drawn <close> = rows > 0 and resample.pairs(scorer.width(), a, b, o.seed) or nil
  local ta, tb, turn_at = {}, {}, time.monotonic() + TURN_S
  for r = 1, rows > 0 and resamples or 0 do
    drawn:draw(ta, tb)
    local va, vb = scorer.values(ta, rows), scorer.values(tb, rows)
    for i = 1, count do
      if va[i] and vb[i] then
        local list = differences[i]
        list[#list + 1] = vb[i].value - va[i].value
      end
    end
    if o.turn and time.monotonic() > turn_at then
      o.turn(r, resamples)
      turn_at = time.monotonic() + TURN_S
    end
  end
  local tail, result = (1 - (o.confidence or CONFIDENCE)) / 2, {}
  for i, list in ipairs(differences) do
    table.sort(list)
    result[i] = #list > 0 and #list * 2 >= resamples
      and { low = M.quantile(list, tail), high = M.quantile(list, 1 - tail) } or false
  end
  return result
end

return M
