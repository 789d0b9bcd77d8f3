--- Gates: what passes, and everything that must not.
local t = require "harness"
local gate = require "ftrun.evaluate.gate"

--- An evaluation of one F1 over n rows.
local function evaluation(o)
  local e = { rows = o.rows or 50, compared = o.compared or o.rows or 50,
    models = { base = { model = "base-model", title = "base-model" } },
    scores = { { name = "f1", base = { value = o.base or 0.5 }, tuned = { value = o.tuned or 0.9 },
      difference = (o.tuned or 0.9) - (o.base or 0.5), verdict = o.verdict or "better" },
      { name = "f1", path = "a[]", tuned = { value = 0.1 } }, { name = "exact", tuned = { value = 0.2 },
      verdict = "cannot tell" } } }
  return e
end

local function decide(bars, o)
  local decision = gate.decide(bars, type(o) == "table" and o.scores and o or evaluation(o or {}))
  return decision.passed, table.concat(gate.reasons(decision), "\n")
end

t.test("bars are kept by the tuned model's own value, and the bar itself is enough", function()
  t.eq((decide { f1 = { at_least = 0.9 } }), true)
  t.eq((decide { f1 = { at_least = 0.901 } }), false)
  t.eq((decide { f1 = { at_most = 0.9 } }), true)
  t.eq((decide { f1 = { at_most = 0.89 } }), false)
  t.eq((decide { f1 = { at_least = 0.8 }, exact = { at_least = 0.3 } }), false)
end)

t.test("a gain must be reached, and must be more than the luck of the rows", function()
  t.eq((decide { f1 = { gain = 0.3 } }), true)
  t.eq((decide { f1 = { gain = 0.5 } }), false)
  local passed, why = decide({ f1 = { gain = 0.3 } }, { verdict = "cannot tell", rows = 12 })
  t.eq(passed, false)
  t.has(why, "cannot tell with 12 rows")
  -- a loss that the author allows needs no proof of a gain
  t.eq((decide({ f1 = { gain = -0.1 } }, { tuned = 0.45, verdict = "cannot tell" })), true)
end)

t.test("a score that is not there, or has no value, is no pass", function()
  local passed, why = decide { accuracy = { at_least = 0 } }
  t.eq(passed, false)
  t.has(why, "there is no score 'accuracy', but there are: f1, exact")
  local e = evaluation {}
  e.scores[1].tuned = nil
  passed, why = decide({ f1 = { at_least = 0 } }, e)
  t.eq(passed, false)
  t.has(why, "has no value")
  e = evaluation {}
  e.scores[1].difference = nil
  t.eq((decide({ f1 = { gain = 0 } }, e)), false)
end)

t.test("too few rows, or more than a few missing, are no pass whatever the scores are", function()
  local passed, why = decide({ f1 = { at_least = 0.1 } }, { rows = 9 })
  t.eq(passed, false)
  t.has(why, "9 rows were compared, at least 10 are needed")
  t.eq((decide({ f1 = { at_least = 0.1 } }, { rows = 100, compared = 95 })), true)
  passed, why = decide({ f1 = { at_least = 0.1 } }, { rows = 100, compared = 94 })
  t.eq(passed, false)
  t.has(why, "6 of 100 rows are missing")
end)

t.test("without an evaluation, or after one that failed, nothing passes", function()
  t.eq(gate.decide({ f1 = { at_least = 0 } }, nil).passed, false)
  t.eq(gate.decide(nil, { rows = 50, compared = 50, scores = {} }).passed, false)
  local e = evaluation {}
  e.problem = "the function failed"
  t.has(gate.reasons(gate.decide({ f1 = { at_least = 0 } }, e))[1], "the function failed")
end)

t.test("without bars a model must be better in its main score", function()
  t.eq((decide(nil)), true)
  t.eq((decide({})), true)
  t.eq((decide({ f1 = {} })), true)
  t.eq((decide(nil, { verdict = "cannot tell" })), false)
  t.eq((decide(nil, { verdict = "worse" })), false)
end)

t.test("a refusal says every reason and what can be done", function()
  local e = t.raises("the gate was not passed, nothing was promoted", gate.refuse,
    gate.decide({ f1 = { at_least = 0.95 }, exact = { at_least = 0.1 } }, evaluation {}), "run-1")
  t.eq(e.kind, "gate")
  t.has(tostring(e), "f1 is 0.900, at least 0.950 is asked for")
  t.has(tostring(e), "ftrun eval run-1")
  t.ok(not tostring(e):find("exact", 1, true), tostring(e))
end)
