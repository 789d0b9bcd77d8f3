local t = require "harness"
local dates = require "ftrun.plan.dates"
local dataset = require "ftrun.data.dataset"
local fs = require "ft.fs"
local json = require "ftrun.json"
local plan = require "ftrun.plan"
local plan_text = require "ftrun.plan.text"
local recipe = require "ftrun.recipe"
local tally = require "ftrun.data.tally"
local time = require "ft.time"

--- Stands for the tokenizer: every byte is a token.
local BYTES = { rows = function(_, lines)
  local list = {}
  for i, line in ipairs(lines) do list[i] = #line end
  return list
end }

local function planned(dir, count, more, provider, options)
  local list = {}
  for i = 1, count do list[i] = ('{"id":"r%d","q":"питання %d","a":"так"}'):format(i, i) end
  list[#list + 1] = '{"id":"none","q":"x"}'
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n")))
  local path = dir.path .. "/x.lua"
  assert(fs.write(path, ([[return ft.recipe { name = "x", base_model = "gpt-4o-mini-2024-07-18", %s
    dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
      if not row.a then return ft.skip "no answer" end
      return ft.chat { user = row.q, assistant = row.a }
    end } }]]):format(more or "")))
  local r = recipe.load(path, options)
  return plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), provider or "openai", { counter = BYTES }), r
end

t.test("a plan says what was read, what is written, what would be sent", function()
  local dir <close> = t.folder()
  local p = planned(dir, 100, 'split = { validation = 10 }, suffix = "s", budget = { max_usd = 5 },', nil,
    { set = { { "hyperparameters.n_epochs", "2" } } })
  t.eq({ p.data.rows, p.data.written, p.train.rows, p.validation.rows }, { 101, 100, 90, 10 })
  t.eq(p.data.skipped, { { reason = "no answer", count = 1, first = { "id=none" } } })
  t.eq(p.request, { model = "gpt-4o-mini-2024-07-18", training_file = "train.jsonl",
    validation_file = "validation.jsonl", suffix = "s", seed = 42, method = "supervised",
    hyperparameters = { n_epochs = 2, batch_size = "auto", learning_rate_multiplier = "auto" } })
  t.eq(#p.requests, 3)
  t.eq(p.recipe.overrides, { { path = "hyperparameters.n_epochs", value = "2" } })
  t.eq(p.shutdown.date, "2027-01-14")
  local text = table.concat(plan_text.lines(p), "\n")
  for _, part in ipairs { "101 read, 100 examples written, 1 skipped", "1 skipped: no answer (id=none)", "90 examples",
    "n_epochs 2, batch_size auto", "POST /fine_tuning/jobs", "hyperparameters.n_epochs = 2" } do
    t.has(text, part)
  end
end)

t.test("a stratified split shows the share of each value", function()
  local dir <close> = t.folder()
  local p = planned(dir, 100, 'split = { validation = 0.2, stratify_by = "a" },')
  t.eq(p.data.strata, { { value = "так", train = 80, validation = 20 } })
  t.has(table.concat(plan_text.lines(p), "\n"), "так: 80 train, 20 validate (20 %)")
  t.has(json.encode(p), '"strata":[{')
end)

t.test("what the data doctor finds is in the plan by code, with the names of the rows", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 30 do list[i] = ('{"id":"r%d","q":"питання %d","a":"%s"}'):format(i, i, i % 3 == 0 and "так" or "ні") end
  list[31] = '{"id":"r31","q":"питання 5!","a":"ні"}'
  list[32] = '{"id":"r32","q":"питання 7","a":"так"}'
  list[33] = '{"id":"r33","q":"лист на olena@ukr.net","a":"так"}'
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n")))
  assert(fs.write(dir.path .. "/x.lua", [[return ft.recipe { name = "x", base_model = "gpt-4o-mini-2024-07-18",
    dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
      return ft.chat { user = row.q, assistant = row.a }
    end } }]]))
  local r = recipe.load(dir.path .. "/x.lua")
  local prepared, names = dataset.prepare(r, { dir = dir.path .. "/run" })
  local p = plan.make(r, prepared, "openai", { counter = BYTES, names = names })
  local found = {}
  for i, f in ipairs(p.findings) do found[i] = { f.code, f.severity, f.count, f.first[1] } end
  t.eq(found, { { "contradiction", "warning", 1, "id=r32" }, { "near_duplicate", "warning", 1, "id=r31" },
    { "personal_email", "warning", 1, "id=r33" } })
  local text = table.concat(plan_text.lines(p), " "):gsub("%s+", " ")
  t.has(text, "warning id=r32: asks the same as id=r7 and has another answer; decide for one")
  t.ok(not text:find("olena", 1, true))
end)

t.test("a share that groups do not allow is warned about", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 60 do list[i] = ('{"id":"r%d","g":"%d","q":"питання %d","a":"так"}'):format(i, i % 3, i) end
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n")))
  local function warned(split)
    assert(fs.write(dir.path .. "/x.lua", ([[return ft.recipe { name = "x", base_model = "gpt-4o-mini-2024-07-18",
      dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
        return ft.chat { user = row.q, assistant = row.a }
      end }, split = %s }]]):format(split)))
    local r = recipe.load(dir.path .. "/x.lua")
    return table.concat(plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), "local", { counter = BYTES })
      .warnings, "\n")
  end
  t.has(warned '{ validation = 0.1, group_by = "g" }', "20 of 60 examples validate (33 %), where 10 % were asked for: "
    .. "rows of one g stay together; validation = 6 takes as many as fit")
  t.ok(not warned '{ validation = 0.3, group_by = "g" }':find("asked for", 1, true))
  t.ok(not warned '{ validation = 6, group_by = "g" }':find("asked for", 1, true))
end)

t.test("a score that does not fit the answers is warned about before anything is trained", function()
  local dir <close> = t.folder()
  local function warned(score, answer)
    local list = {}
    for i = 1, 60 do
      list[i] = json.encode { id = "r" .. i, q = "питання " .. i, a = answer:format(i) }
    end
    assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n")))
    assert(fs.write(dir.path .. "/x.lua", ([[return ft.recipe { name = "x", base_model = "gpt-4o-mini-2024-07-18",
      dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
        return ft.chat { user = row.q, assistant = row.a }
      end }, split = { validation = 12 }, evaluate = { score = %s } }]]):format(score)))
    local r = recipe.load(dir.path .. "/x.lua")
    return table.concat(plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), "local", { counter = BYTES })
      .warnings, "\n")
  end
  t.has(warned('ft.json_f1 { "label" }', "оплата %d"),
    "evaluate.score fits none of 12 validation rows: the expected answer is no JSON")
  t.has(warned('ft.exact { path = "label" }', "оплата %d"), "evaluate.score fits none of 12 validation rows")
  local answer = '{"items": [{"number": %d}], "kind": "x"}'
  t.has(warned('ft.json_f1 { "items[].nubmer" }', answer),
    "evaluate.score: the answers of 12 validation rows have no items[].nubmer")
  t.has(warned('ft.json_f1 { "items[].number", "kinds", "titles[]" }', answer),
    "evaluate.score: the answers of 12 validation rows have no kinds, no titles[]")
  for _, score in ipairs { 'ft.json_f1 { "items[].number", "kind" }', "ft.classification()", "ft.exact()",
    "ft.rouge_l()", "function() return 1 end" } do
    t.ok(not warned(score, answer):find("evaluate.score", 1, true), score)
  end
end)

t.test("no line passes 80 columns", function()
  local dir <close> = t.folder()
  local p = planned(dir, 12, 'suffix = "s",')
  p.data.skipped[1].reason = ("довга причина "):rep(20)
  for _, line in ipairs(plan_text.lines(p)) do t.ok(utf8.len(line) <= 80 or line:find("^Plan of"), line) end
end)

t.test("a plan is JSON and the same each time", function()
  local dir <close> = t.folder()
  local first = json.encode(planned(dir, 12))
  t.eq(json.encode(planned(dir, 12)), first)
  t.has(first, '"overrides":[]')
end)

t.test("what looks wrong is warned about", function()
  local dir <close> = t.folder()
  local p = planned(dir, 12)
  local text = table.concat(p.warnings, "\n")
  t.has(text, "only 12 training examples")
  t.has(text, "no validation")
  p = planned(dir, 60, "split = { validation = 5 },", "local")
  t.eq(p.warnings, {})
  t.has(table.concat(plan_text.lines(p), "\n"), "stands in for the model")
  t.eq(p.shutdown, nil)
end)

t.test("uploaded files are planned without rows", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/x.lua"
  assert(fs.write(path, [[return ft.recipe { name = "x", base_model = "m",
    dataset = ft.files { train = "file-abc", validation = "file-def" } }]]))
  local r = recipe.load(path)
  local p = plan.make(r, dataset.prepare(r, { dir = dir.path }), "openai")
  t.eq(#p.requests, 1)
  t.eq({ p.request.training_file, p.request.validation_file }, { "file-abc", "file-def" })
  t.has(table.concat(plan_text.lines(p), "\n"), "file-abc (uploaded already)")
end)

t.test("days until a model's end count calendar days, also for tuned models and short names", function()
  local now = assert(time.parse "2026-11-22T06:00:00Z")
  t.eq(dates.model("gpt-4o-mini-2024-07-18", now), { date = "2027-01-14", days = 53 })
  t.eq(dates.model("ft:gpt-4o-mini-2024-07-18:org:x:id", now).days, 53)
  t.eq(dates.model("gpt-4o-mini", now).days, 53)
  t.eq(dates.model("gpt-3.5-turbo", now).days, -30)
  t.eq(dates.model("some-model", now), nil)
  t.eq(dates.days(dates.last_job, now), 45)
end)

-- ---- money ----

local function text_of(p) return table.concat(plan_text.lines(p), "\n"):gsub("%s+", " ") end

t.test("a plan counts tokens, says what they cost, and where the price is from", function()
  local dir <close> = t.folder()
  local p = planned(dir, 100, "split = { validation = 10 }, hyperparameters = { n_epochs = 2 },")
  local each = p.train.bytes - p.train.rows -- a newline is no token
  t.eq(p.train.tokens.total, each)
  t.eq(p.cost.billed_tokens, { min = 2 * each, likely = 2 * each, max = 2 * each })
  t.eq(p.cost.usd.max, 2 * each * 3 / 1e6)
  t.eq(p.cost.price.usd_per_million, 3)
  t.ok(p.train.tokens.min <= p.train.tokens.median and p.train.tokens.median <= p.train.tokens.p95)
  local text = text_of(p)
  for _, part in ipairs { "an estimate", "tokens x 2 epochs x $3.00 per million; validation is free",
    "price of late 2025, archived copy of https://platform.openai.com/docs/pricing", "10 examples" } do
    t.has(text, part)
  end
end)

t.test("auto epochs make a range, and the plan says how to settle it", function()
  local dir <close> = t.folder()
  local p = planned(dir, 60, "split = { validation = 5 },")
  t.eq(p.cost.epochs, { min = 2, likely = 3, max = 4 })
  t.has(text_of(p), "epochs 2 to 4, likely 3: auto leaves the number to the provider")
  t.has(text_of(p), "n_epochs = 3 would settle it")
end)

t.test("a model without a price: not known, and how to give one", function()
  local dir <close> = t.folder()
  local p = planned(dir, 60, nil, nil, { set = { { "base_model", "gpt-9" } } })
  t.eq(p.cost.usd, nil)
  t.has(text_of(p), "not known: ftrun knows no training price of gpt-9")
  t.has(text_of(p), "prices = { training = ... }")
  t.eq(#p.problems, 0)
  p = planned(dir, 60, nil, nil, { set = { { "base_model", "gpt-9" }, { "prices.training", "4" },
    { "prices.date", "2026-11-20" } } })
  t.eq(p.cost.price, { usd_per_million = 4, date = "2026-11-20", source = "the recipe" })
  t.has(text_of(p), "price of 2026-11-20, the recipe")
end)

t.test("the local provider costs nothing and its time is estimated", function()
  local dir <close> = t.folder()
  local p = planned(dir, 60, "budget = { max_usd = 0.01 },", "local")
  t.eq(p.cost.usd, { min = 0, likely = 0, max = 0 })
  t.has(text_of(p), "cost nothing: the local provider takes no money")
  t.has(text_of(p), "of training on this machine")
  t.eq(#p.problems, 0)
end)

t.test("a budget that is too small is a problem of the plan, with the ways out", function()
  local dir <close> = t.folder()
  local p = planned(dir, 60, "budget = { max_usd = 0.02 }, hyperparameters = { n_epochs = 3 },")
  t.eq({ #p.problems, p.problems[1].kind, p.problems[1].code }, { 1, "declined", "over_budget" })
  local text = text_of(p)
  t.has(text, "budget $0.02: the run would be refused, see below")
  t.has(text, "error over the budget: training is estimated at")
  t.has(text, "--set hyperparameters.n_epochs=1 (estimated $0.018)")
  t.eq(t.raises("over the budget", plan.check, p).kind, "declined")
  plan.check(planned(dir, 60, "budget = { max_usd = 5 },"))
end)

t.test("examples over the model's limit are named with their lines, and not billed beyond it", function()
  local dir <close> = t.folder()
  local long = { rows = function(_, lines)
    local list = {}
    for i in ipairs(lines) do list[i] = i % 20 == 0 and 70000 or 10 end
    return list
  end }
  local _, r = planned(dir, 60)
  local p = plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), "openai", { counter = long })
  t.eq(p.train.tokens.over, { count = 3, first = { { line = 20, tokens = 70000 }, { line = 40, tokens = 70000 },
    { line = 60, tokens = 70000 } } })
  t.eq({ p.train.tokens.total, p.train.tokens.billed }, { 3 * 70000 + 570, 3 * 65536 + 570 })
  t.has(text_of(p), "train: 3 examples are longer than the 65 536 tokens that gpt-4o-mini-2024-07-18 takes")
  t.has(text_of(p), "line 20: 70 000")
  t.eq(t.raises("longer than", plan.check, p).kind, "data")
  p = plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), "local", { counter = long })
  t.eq(#p.problems, 0)
end)

t.test("several problems are told together", function()
  local dir <close> = t.folder()
  local _, r = planned(dir, 60, "budget = { max_usd = 0.01 },")
  local p = plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), "openai",
    { counter = { rows = function(_, lines)
      local list = {}
      for i in ipairs(lines) do list[i] = 66000 end
      return list
    end } })
  local e = t.raises("longer than", plan.check, p)
  t.eq({ #e.list, e.list[2].code }, { 2, "over_budget" })
end)

t.test("another address than the provider's own may bill otherwise: the plan says so", function()
  local dir <close> = t.folder()
  local _, r = planned(dir, 60)
  local p = plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), "openai",
    { counter = BYTES, endpoint = "https://proxy.example/v1" })
  t.has(table.concat(p.warnings, "\n"), "https://proxy.example/v1, which may bill otherwise")
  t.has(text_of(p), "OpenAI at https://proxy.example/v1")
end)

t.test("tokens of a file are counted in batches, with exact quantiles", function()
  local dir <close> = t.folder()
  local list, batches = {}, 0
  for i = 1, 5000 do list[i] = ('{"n":%d}'):format(i) end
  assert(fs.write(dir.path .. "/x.jsonl", table.concat(list, "\n\n") .. "\n"))
  local found = tally.file(dir.path .. "/x.jsonl", { rows = function(_, lines)
    batches = batches + 1
    local counts = {}
    for i, line in ipairs(lines) do counts[i] = math.tointeger(tonumber(line:match "%d+")) end
    return counts
  end }, { limit = 4999 })
  t.eq(found.histogram:figures(), { count = 5000, sum = 12502500, min = 1, median = 2500, p95 = 4750, max = 5000 })
  t.eq({ found.billed, found.longest }, { 12502499, { line = 9999, tokens = 5000 } })
  t.eq(found.over, { count = 1, first = { { line = 9999, tokens = 5000 } } })
  t.eq(batches, 3)
  local bins = found.histogram:bins()
  t.eq({ #bins, bins[1], bins[11] }, { 11, { from = 0, to = 499, count = 499 }, { from = 5000, to = 5499, count = 1 } })
end)
