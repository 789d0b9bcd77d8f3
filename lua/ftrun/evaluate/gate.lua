--- Decides whether a tuned model is good enough. Fails closed: what is not known, or rests on too few rows, is no pass.
local bootstrap = require "ftrun.evaluate.bootstrap"
local err = require "ftrun.err"

local M = {}

--- So many of the rows may be missing (not asked, not scorable), as a share: those left out may be the hard ones.
local MOST_MISSING = 0.05

---@class ftrun.gate.Bar
---@field name string
---@field kind "at_least"|"at_most"|"gain"|"better"|"rows"
---@field wanted number?
---@field value number?
---@field passed boolean
---@field why string      one sentence

---@class ftrun.gate.Decision
---@field passed boolean
---@field bars ftrun.gate.Bar[]

local function find(e, name)
  for _, s in ipairs(e.scores or {}) do
    if s.name == name and not s.path then return s end
  end
  -- a single path has no other score of its name
  local only
  for _, s in ipairs(e.scores or {}) do
    if s.name == name then
      if only then return nil end
      only = s
    end
  end
  return only
end

local function f(n) return ("%.3f"):format(n) end

local KINDS = {}

function KINDS.at_least(s, wanted)
  local value = s.tuned and s.tuned.value
  if not value then return nil, false, ("%s has no value for the tuned model"):format(s.name) end
  return value, value >= wanted, ("%s is %s, at least %s is asked for"):format(s.name, f(value), f(wanted))
end

function KINDS.at_most(s, wanted)
  local value = s.tuned and s.tuned.value
  if not value then return nil, false, ("%s has no value for the tuned model"):format(s.name) end
  return value, value <= wanted, ("%s is %s, at most %s is asked for"):format(s.name, f(value), f(wanted))
end

--- A gain must be reached, and must not be the luck of the rows.
function KINDS.gain(s, wanted, e)
  local value = s.difference
  if not value then return nil, false, ("%s cannot be compared: one of the models has no value"):format(s.name) end
  local why = ("%s differs by %+.3f from %s, a gain of %s is asked for"):format(s.name, value, e.models.base.title,
    f(wanted))
  if value < wanted then return value, false, why end
  if wanted >= 0 and s.verdict ~= "better" then
    return value, false, why .. "; whether it is better: " .. bootstrap.sentence(s.verdict, e.compared)
  end
  return value, true, why
end

local ORDER = { "at_least", "at_most", "gain" }

--- Judges an evaluation. Without bars of its own a model must be better in its main score.
---@param bars table?          the recipe's `gate`
---@param e ftrun.Evaluation?
---@return ftrun.gate.Decision
function M.decide(bars, e)
  local list = {}
  local function add(name, kind, wanted, value, passed, why)
    list[#list + 1] = { name = name, kind = kind, wanted = wanted, value = value, passed = passed, why = why }
  end
  if not e or e.problem or #(e.scores or {}) == 0 then
    add("rows", "rows", nil, nil, false, e and e.problem and "nothing was scored: " .. e.problem
      or "nothing was evaluated")
    return { passed = false, bars = list }
  end
  if e.compared < bootstrap.FEWEST_ROWS then
    add("rows", "rows", bootstrap.FEWEST_ROWS, e.compared, false, ("%d rows were compared, at least %d are needed")
      :format(e.compared, bootstrap.FEWEST_ROWS))
  end
  local missing = e.rows - e.compared
  if missing > MOST_MISSING * e.rows then
    add("rows", "rows", nil, missing, false, ("%d of %d rows are missing: more than %.0f %%"):format(missing, e.rows,
      100 * MOST_MISSING))
  end
  local names = {}
  for name, bar in pairs(bars or {}) do
    if next(bar) ~= nil then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local s = find(e, name)
    for _, kind in ipairs(ORDER) do
      local wanted = bars[name][kind]
      if wanted and s then
        local value, passed, why = KINDS[kind](s, wanted, e)
        add(name, kind, wanted, value, passed, why)
      elseif wanted then
        add(name, kind, wanted, nil, false, ("there is no score '%s', but there are: %s"):format(name, M.names(e)))
      end
    end
  end
  if #names == 0 then
    local s = e.scores[1]
    add(s.name, "better", nil, s.difference, s.verdict == "better", ("%s: %s"):format(s.name,
      bootstrap.sentence(s.verdict, e.compared)))
  end
  local passed = true
  for _, bar in ipairs(list) do passed = passed and bar.passed end
  return { passed = passed, bars = list }
end

--- "f1, precision": what a gate can ask of this evaluation.
---@return string
function M.names(e)
  local list, seen = {}, {}
  for _, s in ipairs(e.scores) do
    if not seen[s.name] then
      list[#list + 1], seen[s.name] = s.name, true
    end
  end
  return table.concat(list, ", ")
end

--- The reasons of a decision, those that failed first.
---@param decision ftrun.gate.Decision
---@return string[]
function M.reasons(decision)
  local list = {}
  for _, want in ipairs { false, true } do
    for _, bar in ipairs(decision.bars) do
      if bar.passed == want then list[#list + 1] = (want and "passed: " or "not passed: ") .. bar.why end
    end
  end
  return list
end

--- Raises err "gate" for a decision that was no pass.
---@param decision ftrun.gate.Decision
---@param run string  the run's id
function M.refuse(decision, run)
  local why = {}
  for _, bar in ipairs(decision.bars) do if not bar.passed then why[#why + 1] = bar.why end end
  err.raise("gate", "the gate was not passed, nothing was promoted: " .. table.concat(why, "; "), { code = "gate",
    advice = "Ask again what could not be asked: ftrun eval " .. run .. "\nPromote all the same: ftrun promote "
      .. run .. " --force" })
end

return M
