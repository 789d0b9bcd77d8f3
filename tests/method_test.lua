--- Methods of training other than from answers: rows, plan and request of preferences (dpo) and of reinforcement.
local t = require "harness"
local dataset = require "ftrun.data.dataset"
local err = require "ftrun.err"
local evaluation_rows = require "ftrun.evaluate.rows"
local fs = require "ft.fs"
local json = require "ftrun.json"
local plan = require "ftrun.plan"
local plan_text = require "ftrun.plan.text"
local program = require "program"
local providers = require "ftrun.providers"
local recipe = require "ftrun.recipe"
local request = require "ftrun.plan.request"
local server = require "ft.server"

local ROWS = {}
for i = 1, 12 do ROWS[i] = ('{"q":"Питання %d","good":"так","bad":"ні","a":"%d"}'):format(i, i) end

local DPO = [[method = "dpo", hyperparameters = { beta = 0.1 }, dataset = ft.jsonl { path = "rows.jsonl",
  example = function(row)
    return ft.preference { system = "s", user = row.q, preferred = row.good, non_preferred = row.bad }
  end },]]

local REINFORCEMENT = [[method = "reinforcement", hyperparameters = { eval_samples = 2, reasoning_effort = "low" },
  grader = ft.string_check { input = "{{sample.output_text}}", reference = "{{item.a}}", operation = "eq" },
  split = { validation = 1 },
  dataset = ft.jsonl { path = "rows.jsonl", example = function(row)
    return ft.reinforcement { user = row.q, item = { a = row.a } }
  end },]]

local function load(dir, body, model)
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(ROWS, "\n")))
  assert(fs.write(dir.path .. "/x.lua", ('return ft.recipe { name = "x", base_model = "%s", %s }'):format(
    model or "gpt-4o-2024-08-06", body)))
  return recipe.load(dir.path .. "/x.lua")
end

local function planned(dir, body, model, provider)
  local r <close> = load(dir, body, model)
  return plan.make(r, dataset.prepare(r, { dir = dir.path .. "/run" }), provider or "openai"), r
end

local function first_line(path) return (fs.read(path):match "[^\n]+") end

local function codes(p)
  local list = {}
  for i, problem in ipairs(p.problems) do list[i] = problem.code end
  return list
end

t.test("a preference is written as the document has it, and the plan names the method", function()
  local dir <close> = t.folder()
  local p = planned(dir, DPO)
  t.eq(first_line(dir.path .. "/run/train.jsonl"), '{"input":{"messages":[{"role":"system","content":"s"},'
    .. '{"role":"user","content":"Питання 1"}]},"preferred_output":[{"role":"assistant","content":"так"}],'
    .. '"non_preferred_output":[{"role":"assistant","content":"ні"}]}')
  t.eq(codes(p), {})
  t.eq({ p.request.method, p.request.hyperparameters.beta }, { "dpo", 0.1 })
  local text = table.concat(plan_text.lines(p), " "):gsub("%s+", " ")
  t.has(text, "method dpo, n_epochs auto, batch_size auto, learning_rate_multiplier auto, beta 0.1")
  t.has(text, "how preference rows are billed is not published")
  t.ok(p.cost.usd)
  -- what is asked, and the better answer: an evaluation goes on as with any other rows
  local row = evaluation_rows.read(dir.path .. "/run/train.jsonl", {})[1]
  t.eq({ #row.messages, row.messages[2].content, row.expected }, { 2, "Питання 1", "так" })
end)

t.test("what a method cannot do is known before anything is sent", function()
  local dir <close> = t.folder()
  t.eq(codes((planned(dir, DPO, nil, "local"))), { "method_not_supported" })
  t.eq(codes((planned(dir, DPO, "gpt-3.5-turbo-0125"))), { "method_not_offered" })
  t.eq(codes((planned(dir, REINFORCEMENT))), { "method_not_offered" })
  t.eq(codes((planned(dir, REINFORCEMENT, "o4-mini-2025-04-16"))), {})
  t.eq(codes((planned(dir, REINFORCEMENT .. "budget = { max_usd = 5 },", "o4-mini-2025-04-16"))), { "no_price" })
end)

t.test("a row for reinforcement carries what the grader needs; its price is not made up", function()
  local dir <close> = t.folder()
  local p = planned(dir, REINFORCEMENT, "o4-mini-2025-04-16")
  t.ok(first_line(dir.path .. "/run/train.jsonl"):find(
    '^{"messages":%[{"role":"user","content":"Питання %d+"}%],"a":"%d+"}$'))
  t.eq(p.request.grader, { type = "string_check", name = "grader", input = "{{sample.output_text}}",
    reference = "{{item.a}}", operation = "eq" })
  t.eq({ p.cost.usd, p.cost.unknown[#p.cost.unknown] }, { nil, "hours" })
  t.has(table.concat(plan_text.lines(p), " "):gsub("%s+", " "), "reinforcement is billed by the hour")
end)

t.test("rows are judged by their method", function()
  local dir <close> = t.folder()
  local function refused(body)
    local r <close> = load(dir, body)
    local ok, e = pcall(dataset.prepare, r, { dir = dir.path .. "/run" })
    t.ok(not ok and err.is(e) and e.kind == "data", tostring(e))
    local text = {}
    for i, one in ipairs(e.list) do text[i] = tostring(one) end
    return table.concat(text, "\n")
  end
  t.has(refused(DPO:gsub("return ft.preference.-\n", 'return ft.chat { user = row.q, assistant = row.good }\n')),
    "it looks like a supervised row")
  t.has(refused(DPO:gsub('method = "dpo", hyperparameters = { beta = 0.1 }', "seed = 1")),
    "it looks like a preference row (DPO)")
  t.has(refused(REINFORCEMENT:gsub("return ft.reinforcement.-\n",
    'return ft.chat { user = row.q, assistant = row.good }\n')), "the last message is of the role assistant")
end)

t.test("constructors of rows say what is missing or too much, at the recipe's line", function()
  local dir <close> = t.folder()
  local function fault(call)
    local r <close> = load(dir, ('dataset = ft.jsonl { path = "rows.jsonl", example = function(row) return %s end },')
      :format(call))
    local _, e = pcall(dataset.prepare, r, { dir = dir.path .. "/run" })
    return tostring(e)
  end
  t.has(fault 'ft.preference { user = "x", preferred = "y" }', "x.lua:1: ft.preference: non_preferred: expected a text")
  t.has(fault 'ft.preference { user = "x", assistant = "y" }', "unknown key \"assistant\"; allowed are system, user")
  t.has(fault 'ft.reinforcement { user = "x", item = { messages = "y" } }', 'item: "messages" cannot be a field')
end)

--- Bodies of the requests that create a job.
local function created(make)
  local bodies = {}
  local s <close> = setmetatable({ server = assert(server.listen { handler = function(r)
    bodies[#bodies + 1] = json.decode(r.body)
    return { status = 200, body = '{"id":"ftjob-1","status":"queued"}' }
  end }) }, { __close = function(self) self.server:close() end })
  local p = providers.open { name = "local", auth_secret = false,
    base_url = ("http://127.0.0.1:%d/v1"):format(s.server:port()) }
  make(p)
  return bodies[1]
end

t.test("the request has the method's own object, the grader, and no deprecated hyperparameters", function()
  local dir <close> = t.folder()
  for _, body in ipairs { DPO, REINFORCEMENT } do
    local r <close> = load(dir, body)
    local sent = created(function(p) p:create(request.of(r, "file-1", "file-2")) end)
    t.eq({ sent.hyperparameters, sent.method.type, sent.validation_file }, { nil, r.method, "file-2" })
    local own = sent.method[r.method]
    if r.method == "dpo" then
      t.eq(own, { hyperparameters = { n_epochs = "auto", batch_size = "auto", learning_rate_multiplier = "auto",
        beta = 0.1 } })
    else
      t.eq({ own.grader.type, own.hyperparameters.eval_samples, own.hyperparameters.reasoning_effort },
        { "string_check", 2, "low" })
    end
  end
end)

t.test("the provider logs the job to W&B only when the recipe says so", function()
  local dir <close> = t.folder()
  local function integrations(wandb)
    local r <close> = load(dir, DPO .. wandb)
    return created(function(p) p:create(request.of(r, "file-1")) end).integrations
  end
  t.eq(integrations 'wandb = { project = "laws" },', nil)
  t.eq(integrations [[wandb = { project = "laws", entity = "team", run_name = "n", tags = { "uk" },
      openai_integration = true },]],
    { { type = "wandb", wandb = { project = "laws", entity = "team", name = "n", tags = { "uk" } } } })
end)

t.test("the local provider refuses other methods by name, in OpenAI's shape, before a job is made", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local p = providers.open { name = "local", base_url = s.url, auth_secret = false }
    local r <close> = load({ path = dir }, DPO)
    dataset.prepare(r, { dir = dir .. "/run" })
    local file = p:put_file { path = dir .. "/run/train.jsonl", filename = "train.jsonl", purpose = "fine-tune" }
    local ok, e = pcall(p.create, p, request.of(r, file.id))
    t.ok(not ok and err.is(e), tostring(e))
    t.eq({ e.kind, e.code, e.status }, { "provider", "method_not_supported", 400 })
    t.has(e.message, "field method.type")
    t.has(e.message, "learns from answers only")
    t.eq(#p:jobs(), 0)
  end)
end)
