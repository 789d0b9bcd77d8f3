--- An evaluation when the provider is at its worst: refusals, failures, connections that end. What could not be asked
--- is a missing row, never a wrong answer, and a second start asks only that.
local t = require "harness"
local evaluate = require "ftrun.evaluate"
local fs = require "ft.fs"
local gate = require "ftrun.evaluate.gate"
local json = require "ftrun.json"
local loopback = require "loopback"
local faults = require "ftrun.local.faults"
local providers = require "ftrun.providers"

local BASE, TUNED = "gpt-4o-mini-2024-07-18", "ft:gpt-4o-mini-2024-07-18:x"

local function expected(i) return ('{"n":["%d"]}'):format(i) end

--- The tuned model is right in two rows of three, the base model in one of three.
local function says(model, i)
  return i % 3 < (model == TUNED and 2 or 1) and expected(i) or '{"n":["0"]}'
end

--- Runs body(run, state) with `count` rows and a provider with faults; run() evaluates, state.asked counts.
local function with(count, list, body)
  local folder <close> = t.folder()
  local state, lines = { asked = 0 }, {}
  for i = 1, count do
    lines[i] = json.encode { messages = { { role = "user", content = "Row " .. i },
      { role = "assistant", content = expected(i) } } }
  end
  assert(fs.write(folder.path .. "/validation.jsonl", table.concat(lines, "\n") .. "\n"))
  local answer = faults.wrap(function(request)
    local q = json.decode(request.body)
    return { status = 200, headers = {}, body = json.encode { choices = json.array { { finish_reason = "stop",
      message = { content = says(q.model, tonumber(q.messages[1].content:match "%d+")) } } },
      usage = { prompt_tokens = 10, completion_tokens = 5, total_tokens = 15 } } }
  end, list)
  local s <close> = loopback.serve(function(request)
    state.asked = state.asked + 1
    if state.quota and state.asked > state.quota then
      return { status = 429, headers = {}, body = '{"error":{"code":"insufficient_quota","message":"no credit"}}' }
    end
    return answer(request)
  end)
  local provider = providers.open { name = "openai", base_url = s.url .. "/v1", auth_secret = false,
    backoff_s = 0.01 }
  body(function()
    return evaluate.run { recipe = { evaluate = { score = { kind = "json_f1", paths = { "n[]" } } }, seed = 42 },
      provider = provider, dir = folder.path, validation = folder.path .. "/validation.jsonl", base = BASE,
      tuned = TUNED, progress = function() end }
  end, state)
end

local CHAT = "POST /chat/completions"

--- What an evaluation says of the models, without times.
local function brief(e)
  local list = {}
  for i, s in ipairs(e.scores) do
    list[i] = { s.name, s.base.value, s.tuned.value, s.difference, s.interval, s.verdict }
  end
  return list
end

t.test("a storm of refusals changes no number", function()
  local calm
  with(60, nil, function(run, state)
    calm = run()
    t.eq({ state.asked, calm.compared, calm.scores[1].base.value, calm.scores[1].verdict },
      { 120, 60, 1 / 3, "better" })
  end)
  with(60, { { route = CHAT, kind = "refuse", headers = { ["retry-after-ms"] = "40" }, from = 7, count = 60 },
    { route = CHAT, kind = "refuse", status = 503, from = 80, count = 5 },
    { route = CHAT, kind = "lose", from = 100, count = 5 }, { route = CHAT, kind = "half", from = 120, count = 3 } },
    function(run, state)
      local e = run()
      t.eq({ e.compared, e.models.base.errors, e.models.tuned.errors }, { 60, 0, 0 })
      t.eq(brief(e), brief(calm))
      t.ok(state.asked > 120 and state.asked <= 120 + 73, state.asked)
    end)
end)

t.test("when half of the questions fail, the others alone are scored, on both sides; the next start asks that half",
  function()
    with(60, { { route = CHAT, kind = "refuse", status = 400, from = 31, count = 60 } }, function(run, state)
      local e = run()
      local missing = e.models.base.errors + e.models.tuned.errors
      t.ok(state.asked <= 120 and missing >= 60, missing) -- one model may have been given up, after 20 in a row
      t.eq(e.models.base.answered + e.models.tuned.answered, 120 - missing)
      -- of the rows that both answered, one in three is right for base and two in three for tuned, about
      t.ok(e.compared > 5 and e.compared <= 30, e.compared)
      local one = 1 / e.compared + 0.0001
      t.ok(math.abs(e.scores[1].base.value - 1 / 3) <= one, e.scores[1].base.value)
      t.ok(math.abs(e.scores[1].tuned.value - 2 / 3) <= one, e.scores[1].tuned.value)
      local notes = table.concat(evaluate.notes(e), "\n")
      t.has(notes, ("%d of 60 rows could not be asked, and are left out on both sides"):format(e.models.base.errors))
      t.has(notes, "HTTP 400")
      local decision = gate.decide({ f1 = { at_least = 0.1 } }, e)
      t.eq(decision.passed, false)
      t.has(gate.reasons(decision)[1], "rows are missing")

      local before = state.asked
      -- faults that are left are used up first
      while e.models.base.errors + e.models.tuned.errors > 0 and state.asked < 400 do e = run() end
      t.eq({ e.compared, e.scores[1].base.value, e.scores[1].tuned.value }, { 60, 1 / 3, 2 / 3 })
      t.ok(state.asked - before <= missing + 60, state.asked - before)
      before = state.asked
      run()
      t.eq(state.asked, before)
    end)
  end)

t.test("a second start asks exactly what is missing", function()
  with(60, { { route = CHAT, kind = "refuse", status = 400, from = 31, count = 15 },
    { route = CHAT, kind = "refuse", status = 400, from = 61, count = 15 } }, function(run, state)
    local e = run()
    t.eq({ state.asked, e.models.base.errors + e.models.tuned.errors }, { 120, 30 })
    e = run()
    t.eq({ state.asked, e.compared, e.models.base.errors }, { 150, 60, 0 })
  end)
end)

t.test("a used-up quota ends the evaluation at once, and nothing that came before is asked again", function()
  with(60, nil, function(run, state)
    state.quota = 25
    local e = t.raises("quota is used up", run)
    t.eq({ e.kind, e.code }, { "provider", "insufficient_quota" })
    t.ok(state.asked < 25 + 9, state.asked)
    state.quota = nil
    local before = state.asked
    t.eq(run().compared, 60)
    t.eq(state.asked - before, 120 - 25)
  end)
end)
