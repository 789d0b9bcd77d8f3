--- Money: epochs, tokens and dollars before a run, and what a budget makes of them.
local t = require "harness"
local amounts = require "ftrun.text.amounts"
local budget = require "ftrun.plan.budget"
local cost = require "ftrun.plan.cost"
local fs = require "ft.fs"
local meter = require "ftrun.plan.meter"
local prices = require "ftrun.plan.prices"

-- ---- arithmetic ----

local function range_text(range)
  if not range then return "-" end
  return ("%.10g %.10g %.10g"):format(range.min, range.likely, range.max)
end

for line in fs.read(os.getenv("FTRUN_TESTS") .. "/cases/cost.txt"):gmatch("[^\n]+") do
  local f = {}
  for field in line:gmatch("[^|]+") do f[#f + 1] = field:match("^%s*(.-)%s*$") end
  if #f == 8 and not line:find("^#") then
    t.test("the estimate for " .. table.concat({ f[1], f[2], f[3], f[4], f[5] }, ", "), function()
      local provider, model = f[1]:match("^(%S+) (%S+)$")
      local own = tonumber(f[5])
      local c = cost.estimate { provider = provider, model = model, examples = math.tointeger(tonumber(f[2])),
        tokens_per_epoch = math.tointeger(tonumber(f[3])), n_epochs = math.tointeger(tonumber(f[4])) or f[4],
        prices = own and { training = own } }
      t.eq({ range_text(c.epochs), range_text(c.billed_tokens), range_text(c.usd) }, { f[6], f[7], f[8] })
      t.eq(c.usd == nil, #c.unknown > 0, "an unknown cost says why")
    end)
  end
end

t.test("every price has a date and a source, a recipe's own price its own", function()
  local p = prices.training("openai", "gpt-4o-mini")
  t.eq(p.usd_per_million, 3)
  t.has(p.date, "2025")
  t.has(p.source, "https://platform.openai.com/docs/pricing")
  t.eq(prices.training("openai", "gpt-4o-mini", { training = 2, date = "2026-11-20", source = "the console" }),
    { usd_per_million = 2, date = "2026-11-20", source = "the console" })
  t.eq(prices.training("openai", "gpt-4o-mini", { training = 2 }), { usd_per_million = 2, source = "the recipe" })
  t.eq(prices.training("openai", "gpt-4o-mini", { input = 2 }).usd_per_million, 3)
  t.eq(prices.training("openai", "some-model", { input = 2 }), nil)
end)

t.test("prices of use: a recipe replaces single ones, also of the batch, and the table stays as it is", function()
  local p = prices.find("openai", "gpt-4.1-mini", { output = 9, batch = { input = 0 } })
  t.eq({ p.input, p.output, p.batch }, { 0.8, 9, { input = 0, cached = 0.1, output = 1.6 } })
  t.eq(p.recipe.keys, { "batch.input", "output" })
  t.eq(prices.find("openai", "gpt-4.1-mini").batch.input, 0.4)
  t.eq(prices.find("openai", "gpt-4o-2024-08-06").batch, { input = 2.225, cached = 0.9, output = 12.5 })
  t.eq(prices.find("openai", "some-model"), nil)
  t.eq(prices.find("local", "some-model").output, 0)
end)

t.test("only the local learner's time is estimated", function()
  local epochs = cost.epochs(3)
  local s = cost.seconds("local", 9e6, epochs)
  t.ok(s.min > 1 and s.min < s.max and s.max < 60, s.min)
  t.eq({ cost.seconds("openai", 9e6, epochs), cost.seconds("local", nil, epochs) }, {})
end)

-- ---- words ----

t.test("sums of money keep what matters", function()
  for usd, text in pairs { [0] = "$0", [0.00001] = "less than $0.0001", [0.0371] = "$0.0371", [0.9] = "$0.90",
    [0.25] = "$0.25", [1] = "$1.00", [28.104] = "$28.10", [1234.5] = "$1 234.50", [0.99999] = "$1.00" } do
    t.eq(amounts.usd(usd), text)
  end
  t.eq(amounts.range({ min = 2, likely = 3, max = 4 }, amounts.usd), "$2.00 to $4.00, likely $3.00")
  t.eq(amounts.range({ min = 2, likely = 2, max = 4 }, amounts.usd), "$2.00 to $4.00")
  t.eq(amounts.range({ min = 2, likely = 2, max = 2 }, amounts.usd), "$2.00")
  t.eq({ amounts.number(1234567), amounts.number(999), amounts.size(8441000), amounts.duration(100) },
    { "1 234 567", "999", "8.4 MB", "2 min" })
end)

-- ---- the budget before the run ----

local function estimate(o)
  local all = { provider = "openai", model = "gpt-4o-mini", examples = 100, tokens_per_epoch = 1000000, n_epochs = 3 }
  for k, v in pairs(o or {}) do all[k] = v end
  return cost.estimate(all)
end

t.test("an estimate that fits is no problem, to the last cent", function()
  t.eq(budget.problem(estimate(), { max_usd = 9, model = "m" }), nil)
  t.eq(budget.problem(estimate(), { model = "m" }), nil)
  t.eq(budget.problem(estimate { provider = "local" }, { max_usd = 0.01, model = "m" }), nil)
  t.eq(budget.problem(estimate(), { max_usd = 8.99, model = "m" }).code, "over_budget")
end)

t.test("over the budget: the numbers, where they come from, and every way out", function()
  local p = budget.problem(estimate(), { max_usd = 7, model = "m", examples = 110 })
  t.eq({ p.kind, p.code }, { "declined", "over_budget" })
  for _, part in ipairs { "estimated at $9.00", "budget is $7.00", "1 000 000 tokens x 3 epochs x $3.00 per million",
    "late 2025", "platform.openai.com" } do t.has(p.message, part) end
  for _, part in ipairs { "--set hyperparameters.n_epochs=2  (estimated $6.00)", "--limit 85",
    "--set budget.max_usd=9.00" } do t.has(p.advice, part) end
end)

t.test("a range counts with its upper end: the provider may choose it", function()
  local p = budget.problem(estimate { n_epochs = "auto" }, { max_usd = 9.5, model = "m" })
  t.has(p.message, "up to $12.00")
  t.has(p.message, "2 to 4 epochs")
  t.has(p.advice, "n_epochs=3")
  t.eq(budget.problem(estimate { n_epochs = "auto" }, { max_usd = 12, model = "m" }), nil)
end)

t.test("less than one epoch fits: no number of epochs is offered", function()
  local p = budget.problem(estimate(), { max_usd = 0.01, model = "m", examples = 110 })
  t.ok(not p.advice:find("n_epochs", 1, true), p.advice)
  t.ok(not p.advice:find("--limit", 1, true), p.advice)
end)

t.test("a budget is not believed where price or tokens are unknown", function()
  local p = budget.problem(estimate { model = "gpt-9" }, { max_usd = 5, model = "gpt-9" })
  t.eq(p.code, "no_price")
  t.has(p.message, "no training price of gpt-9")
  t.has(p.advice, "prices = { training = 3.00 }")
  p = budget.problem(cost.estimate { provider = "openai", model = "gpt-4o-mini", n_epochs = 3 }, { max_usd = 5,
    model = "gpt-4o-mini", file_id = "file-1" })
  t.eq(p.code, "no_tokens")
  t.has(p.message, "file-1")
  t.eq(budget.problem(estimate { model = "gpt-9" }, { model = "gpt-9" }), nil)
end)

-- ---- the budget while the job runs ----

local function job(o)
  local j = { id = "ftjob-1", state = "running", hyperparameters = { n_epochs = "auto" } }
  for k, v in pairs(o) do j[k] = v end
  return j
end

t.test("nothing is reported until the provider settles the epochs, then each number once", function()
  local m = meter.new { cost = estimate { n_epochs = "auto" }, max_usd = 12 }
  t.eq(m:read(job {}), nil)
  t.eq(m:read(job { hyperparameters = { n_epochs = 3 } }),
    { type = "usage", n_epochs = 3, billed_tokens = 3000000, usd = 9.0, estimated = true })
  t.eq(m:read(job { hyperparameters = { n_epochs = 3 } }), nil)
  t.eq(m:over(), false)
  local ended = { hyperparameters = { n_epochs = 3 }, trained_tokens = 3010000, finished_at = 1, state = "succeeded" }
  t.eq(m:read(job(ended)), { type = "usage", n_epochs = 3, trained_tokens = 3010000, usd = 9.03 })
  t.eq(m:read(job(ended)), nil)
end)

t.test("more epochs than the budget bears are seen before the first step", function()
  local m = meter.new { cost = estimate { n_epochs = "auto" }, max_usd = 12 }
  m:read(job { hyperparameters = { n_epochs = 8 } })
  t.ok(m:over())
  t.has(m:why(), "8 epochs, 8 000 000 tokens, which costs an estimated $24.00")
  t.has(m:why(), "the budget is $12.00")
  t.has(m:why(), "late 2025")
end)

t.test("tokens that are counted while training count, and so does what is ahead of them", function()
  local m = meter.new { cost = estimate(), max_usd = 5 }
  m:read(job { hyperparameters = { n_epochs = 3 }, trained_tokens = 100 })
  t.ok(m:over())
  m = meter.new { cost = estimate { tokens_per_epoch = 1000 }, max_usd = 5 }
  m:read(job { trained_tokens = 2000000 })
  t.ok(m:over())
  t.has(m:why(), "2 000 000 tokens, which costs $6.00")
end)

t.test("a meter that is made again knows what was seen, and that the budget was passed", function()
  local past = { { type = "usage", n_epochs = 8, billed_tokens = 8000000, usd = 24, estimated = true } }
  local m = meter.new { cost = estimate(), max_usd = 12, past = past }
  t.ok(m:over())
  t.eq(m:read(job { hyperparameters = { n_epochs = 8 } }), nil)
  t.ok(meter.new({ cost = estimate(), max_usd = 30, past = past }):over() == false)
end)

t.test("without a price tokens are reported without dollars, and without a plan nothing breaks", function()
  local m = meter.new { cost = estimate { model = "gpt-9" }, max_usd = 5 }
  t.eq(m:read(job { trained_tokens = 7 }), { type = "usage", trained_tokens = 7 })
  t.eq(meter.new({}):read(job { trained_tokens = 7, hyperparameters = { n_epochs = 1 } }),
    { type = "usage", n_epochs = 1, trained_tokens = 7 })
end)

t.test("the balance: trained beside planned, with the difference", function()
  local b = meter.balance(estimate(), job { state = "succeeded", trained_tokens = 3030000,
    hyperparameters = { n_epochs = 3 } })
  t.eq({ b.planned_tokens, b.planned_usd }, { 3000000, 9.0 })
  local text = meter.balance_line(b)
  for _, part in ipairs { "3 030 000 tokens", "planned 3 000 000 (+1.0 %)", "$9.09", "late 2025" } do
    t.has(text, part)
  end
  b = meter.balance(estimate(), job { state = "succeeded", trained_tokens = 3000000 })
  t.has(meter.balance_line(b), "as planned")
  t.eq(meter.balance(estimate(), job { state = "succeeded" }), nil)
  t.eq(meter.balance_line(meter.balance(estimate { provider = "local" }, job { trained_tokens = 500 })),
    "trained 500 tokens")
end)
