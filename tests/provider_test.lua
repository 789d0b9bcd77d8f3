--- The OpenAI wire against a scripted http: what is sent, what is made of answers, what is raised.
local t = require "harness"
local http = require "ft.http"
local time = require "ft.time"
local dates = require "ftrun.plan.dates"
local digest = require "ft.digest"
local err = require "ftrun.err"
local json = require "ftrun.json"

-- Answers are taken from `script` in turn; requests are recorded. Nothing sleeps.
local script, requests, slept = {}, {}, 0
package.loaded["ft.http"] = {
  escape = http.escape,
  request = function(method, url, options)
    requests[#requests + 1] = { method = method, url = url, options = options,
      body = options.body and json.decode(options.body) }
    local answer = table.remove(script, 1) or error("no answer left for " .. method .. " " .. url)
    if answer.code then return nil, answer.message or "it failed", answer.code, answer.sent end
    return { status = answer.status or 200, headers = answer.headers or {},
      body = type(answer.body) == "table" and json.encode(answer.body) or answer.body or "{}" }
  end,
}
package.loaded["ftrun.retry"] = nil
package.loaded["ft.time"] = setmetatable({ sleep = function(s) slept = slept + s end }, { __index = time })
local providers = require "ftrun.providers"
package.loaded["ft.http"], package.loaded["ft.time"] = http, time

local BASE = "http://127.0.0.1:9/v1"

local function open(...)
  script, requests, slept = { ... }, {}, 0
  return providers.open { name = "local", base_url = BASE, auth_secret = false }
end

local function list(items, more)
  return { body = { object = "list", data = json.array(items), has_more = more or false } }
end

local function refusal(status, code, message, headers)
  return { status = status, headers = headers, body = { error = { message = message or "no", type = "some_error",
    param = json.null, code = code or json.null } } }
end

--- The error that the call raises.
local function raised(fn, ...)
  local ok, e = pcall(fn, ...)
  t.eq(ok, false)
  if not err.is(e) then error(e, 0) end
  return e
end

local JOB = { id = "ftjob-1", object = "fine_tuning.job", model = "gpt-4o-mini-2024-07-18", created_at = 100,
  finished_at = json.null, fine_tuned_model = json.null, status = "running", training_file = "file-1",
  validation_file = json.null, result_files = json.array {}, trained_tokens = json.null, seed = 42,
  error = { code = json.null, message = json.null, param = json.null },
  hyperparameters = { n_epochs = 3, batch_size = "auto", learning_rate_multiplier = 1.8 },
  metadata = { ftrun_run = "r1" }, organization_id = "org", something_new = { 1 } }

local function job_with(fields)
  local job = {}
  for k, v in pairs(JOB) do job[k] = v end
  for k, v in pairs(fields) do job[k] = v end
  return job
end

t.test("a job becomes canonical, with nulls absent and the unknown left out", function()
  local job = open { body = JOB }:get "ftjob-1"
  t.eq(job, { id = "ftjob-1", state = "running", status = "running", base_model = "gpt-4o-mini-2024-07-18",
    training_file = "file-1", created_at = 100, seed = 42, result_files = {}, metadata = { ftrun_run = "r1" },
    organization_id = "org",
    hyperparameters = { n_epochs = 3, batch_size = "auto", learning_rate_multiplier = 1.8 } })
  t.eq(requests[1].url, BASE .. "/fine_tuning/jobs/ftjob-1")
  t.eq(requests[1].options.proxy, false)
end)

t.test("states are mapped, an unknown one is tolerated and kept as it was", function()
  for status, state in pairs { validating_files = "validating", queued = "queued", paused = "paused",
    succeeded = "succeeded", failed = "failed", cancelled = "cancelled", cancelling = "unknown" } do
    local job = open { body = job_with { status = status } }:get "j"
    t.eq({ job.state, job.status }, { state, status })
  end
end)

t.test("hyperparameters are found in the method too", function()
  local job = open { body = job_with { hyperparameters = json.null, method = { type = "supervised",
    supervised = { hyperparameters = { n_epochs = 2, batch_size = json.null } } } } }:get "j"
  t.eq(job.hyperparameters, { n_epochs = 2 })
end)

t.test("a failed job's error carries advice", function()
  local job = open { body = job_with { status = "failed", error = { code = "invalid_training_file",
    message = "Line 3 is broken", param = "training_file" } } }:get "j"
  t.eq({ job.error.code, job.error.param }, { "invalid_training_file", "training_file" })
  t.has(job.error.advice, "`messages`")
end)

t.test("create sends the method, the metadata and nothing that is not set", function()
  local job = open { body = JOB }:create { model = "m", training_file = "file-1", suffix = "laws", seed = 1,
    hyperparameters = { n_epochs = 3, batch_size = "auto" }, metadata = { ftrun_run = "r1" } }
  t.eq(job.id, "ftjob-1")
  t.eq({ requests[1].method, requests[1].url }, { "POST", BASE .. "/fine_tuning/jobs" })
  t.eq(requests[1].body, { model = "m", training_file = "file-1", suffix = "laws", seed = 1,
    metadata = { ftrun_run = "r1" },
    method = { type = "supervised", supervised = { hyperparameters = { n_epochs = 3, batch_size = "auto" } } } })
  t.has(raised(open().create, open(), { model = "m", training_file = "f", suffix = ("ї"):rep(65) }).message, "64")
end)

t.test("a create that may have arrived is not repeated and says so", function()
  for _, case in ipairs {
    { { code = "timeout", sent = true }, true }, { { code = "reset" , sent = true }, true },
    { refusal(500), true }, { refusal(502), true }, { refusal(408), true }, { { body = "<html>" }, true },
    { refusal(400), nil }, { refusal(403), nil }, { refusal(409), nil },
  } do
    local p = open(case[1])
    local e = raised(p.create, p, { model = "m", training_file = "f" })
    t.eq(#requests, 1)
    t.eq(e.sent, case[2], case[1].code or case[1].status)
  end
end)

t.test("a create that did not arrive, or was put off, is repeated", function()
  local p = open({ code = "refused", sent = false },
    refusal(429, "rate_limit_exceeded", "slow", { ["retry-after"] = "1" }), refusal(503), { body = JOB })
  t.eq(p:create { model = "m", training_file = "f" }.id, "ftjob-1")
  t.eq(#requests, 4)
  t.ok(slept >= 1)
end)

t.test("reading is repeated after passing failures", function()
  t.eq(open({ code = "reset", sent = true }, refusal(500), { body = JOB }):get("j").id, "ftjob-1")
  t.eq(#requests, 3)
end)

t.test("refusals are answered by name, with the request's id", function()
  local id = { ["x-request-id"] = "req_77" }
  for _, case in ipairs {
    { 429, "insufficient_quota", "provider", "quota is used up", "organization/limits" },
    { 403, "training_not_available", "provider", "can no longer create", "--local" },
    { 429, "daily_rate_limit_exceeded", "provider", "24 hours", "some hours" },
    { 400, "invalid_training_file", "data", "training file was not accepted", "`messages`" },
    { 400, "invalid_n_examples", "data", "too few", "10" },
    { 401, "invalid_api_key", "setting", "key was not accepted", ".env" },
    { 403, nil, "provider", "may not do that", "permissions" },
    { 404, nil, "provider", "no such thing", "project" },
    { 404, "model_not_found", "provider", "model does not exist", "base_model" },
    { 413, nil, "data", "too large", "512 MB" },
    { 400, "never_seen_before", "provider", "refused the request", nil },
  } do
    local p = open(refusal(case[1], case[2], "The provider's\n own words.", id))
    local e = raised(p.get, p, "j")
    t.eq(#requests, 1, case[2])
    t.eq({ e.kind, e.status, e.request_id }, { case[3], case[1], "req_77" })
    t.has(e.message, case[4])
    t.has(e.message, "req_77")
    t.has(e.message, "The provider's own words.")
    if case[5] then t.has(e.advice, case[5]) end
    if case[2] then t.eq(e.code, case[2]) end
  end
  local p = open(refusal(400, nil, "File validation failed: line 3"))
  t.eq(raised(p.get, p, "j").kind, "data")
end)

t.test("answers that are no JSON, or not the expected one, end in one clear line", function()
  local p = open { status = 404, body = "<html>not here\n</html>", headers = { ["x-request-id"] = "r" } }
  t.eq(raised(p.get, p, "j").message, "local provider: GET /fine_tuning/jobs/j: no such thing is there, "
    .. "or this key may not see it (HTTP 404, request r)")
  local surprise = { body = "surprise" }
  p = open(surprise, surprise, surprise, surprise, surprise, surprise)
  t.has(raised(p.get, p, "j").message, "no JSON object")
  t.eq(open(surprise, { body = JOB }):get("j").id, "ftjob-1")
  p = open { status = 302 }
  t.has(raised(p.get, p, "j").message, "HTTP 302")
  p = open { status = 400, body = { error = ("ї"):rep(1000) } }
  t.ok(utf8.len(raised(p.get, p, "j").message) < 420)
  p = open { status = 400, body = { error = json.null } }
  t.has(raised(p.get, p, "j").message, "HTTP 400")
end)

t.test("a connection that fails is a network error that names the cause", function()
  local p = open { code = "tls", sent = false, message = "certificate has expired" }
  local e = raised(p.get, p, "j")
  t.eq({ e.kind, e.code, e.sent }, { "network", "tls", false })
  t.has(e.message, "certificate has expired")
end)

--- All that an iterator gives.
local function gather(...)
  local items = {}
  for item in ... do items[#items + 1] = item end
  return items
end

t.test("events come oldest first, each once, only the new ones", function()
  local function event(n) return { id = "e" .. n, created_at = n, type = "message", message = "m" .. n } end
  local p = open(list({ event(6), event(5), event(4) }, true), list({ event(4), event(3), event(2), event(1) }, true))
  local ids = {}
  for e in p:events("j", "e2") do ids[#ids + 1] = e.id end
  t.eq(ids, { "e3", "e4", "e5", "e6" })
  t.eq(requests[2].url, BASE .. "/fine_tuning/jobs/j/events?after=e4&limit=100")
  t.eq(gather(open(list {}):events "j"), {})
  t.eq(#gather(open(list({ event(2), event(1) }, true), list({ event(2), event(1) }, true)):events "j"), 2)
end)

t.test("events of the same second as the known one come too, in whatever order the provider has them", function()
  local function event(id, at) return { id = id, created_at = at, type = "message", message = id } end
  local p = open(list({ event("new", 6), event("known", 5), event("late", 5) }, true),
    list({ event("other", 5), event("older", 4), event("oldest", 3) }, true))
  local ids = {}
  for e in p:events("j", "known") do ids[#ids + 1] = e.id end
  t.eq(ids, { "other", "late", "new" })
  t.eq(#requests, 2)
end)

t.test("a long list of events is read forth and back, and of its pages only some are kept", function()
  local function page(last)
    local events = {}
    for n = last, math.max(1, last - 99), -1 do
      events[#events + 1] = { id = "e" .. n, created_at = n // 50, type = "message", message = "m" .. n }
    end
    return list(events, last > 100)
  end
  local pages = {}
  for last = 5000, 100, -100 do pages[#pages + 1] = page(last) end
  -- of 50 pages the first and the last 20 are kept
  for last = 2100, 4900, 100 do pages[#pages + 1] = page(last) end
  local n = 0
  for e in open(table.unpack(pages)):events "j" do
    n = n + 1
    t.eq(e.id, "e" .. n)
  end
  t.eq({ n, #requests }, { 5000, 50 + 29 })
  t.has(requests[51].url, "after=e2101&")
  t.has(requests[79].url, "after=e4901&")
end)

t.test("metrics are numbers, whole steps are integers, nulls are absent", function()
  local p = open(list {
    { id = "e2", created_at = 2, level = "info", type = "metrics", message = "Step 5/10", data = { step = 5,
      total_steps = 10, train_loss = 0.25, valid_loss = json.null, note = "x", usage = { 1 } } },
    { id = "e1", created_at = 1, type = "moderation_checks", message = json.null, data = json.null } })
  t.eq(gather(p:events "j"), {
    { id = "e1", created_at = 1, level = "info", kind = "moderation_checks", message = "" },
    { id = "e2", created_at = 2, level = "info", kind = "metrics", message = "Step 5/10",
      metrics = { step = 5, total_steps = 10, train_loss = 0.25 } } })
end)

t.test("a file is found by name and size through all pages", function()
  local function file(n, name, bytes, status)
    return { id = "file-" .. n, filename = name, bytes = bytes, purpose = "fine-tune", status = status }
  end
  local pages = { list({ file(5, "a.jsonl", 9), file(4, "a.jsonl", 10, "error") }, true),
    list({ file(3, "b.jsonl", 10), file(2, "a.jsonl", 10, "processed") }, true) }
  t.eq(open(table.unpack(pages)):find_file { filename = "a.jsonl", bytes = 10 }.id, "file-2")
  t.eq(requests[1].url, BASE .. "/files?limit=1000&order=desc&purpose=fine-tune")
  t.eq(requests[2].url, BASE .. "/files?after=file-4&limit=1000&order=desc&purpose=fine-tune")
  t.eq(open(list {}):find_file { filename = "a.jsonl", bytes = 10 }, nil)
end)

t.test("a file is uploaded from disk, never twice on its own", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/train.jsonl"
  local f <close> = io.open(path, "w")
  f:write("{}\n"):flush()
  local answer = { body = { id = "file-1", bytes = 3, filename = "n.jsonl", purpose = "fine-tune", created_at = 1 } }
  t.eq(open(answer):put_file { path = path, filename = "n.jsonl", purpose = "fine-tune" }.id, "file-1")
  t.eq(requests[1].options.parts, { { name = "purpose", value = "fine-tune" },
    { name = "file", path = path, filename = "n.jsonl", content_type = "application/jsonl" } })
  local p = open { code = "reset", sent = true }
  t.eq(raised(p.put_file, p, { path = path, filename = "n.jsonl", purpose = "fine-tune" }).sent, true)
  p = open()
  t.eq(raised(p.put_file, p, { path = dir.path .. "/none", filename = "n", purpose = "fine-tune" }).kind, "system")
end)

t.test("a job is found by its metadata, also when the server ignores the filter", function()
  local p = open(list({ job_with { id = "ftjob-3", metadata = json.null },
    job_with { id = "ftjob-2", created_at = 7 } }, true), list { job_with { id = "ftjob-1", created_at = 5 } })
  t.eq(p:find { ftrun_run = "r1" }.id, "ftjob-2")
  t.eq(requests[1].url, BASE .. "/fine_tuning/jobs?limit=100&metadata%5Bftrun_run%5D=r1")
  t.eq(open(list { JOB }):find { ftrun_run = "other" }, nil)
end)

t.test("jobs hands out one page and whether there is more", function()
  local p = open(list({ JOB }, true))
  local jobs, more = p:jobs { limit = 1, after = "ftjob-9" }
  t.eq({ #jobs, more }, { 1, true })
  t.eq(requests[1].url, BASE .. "/fine_tuning/jobs?after=ftjob-9&limit=1")
end)

t.test("checkpoints come by step", function()
  local function checkpoint(step)
    return { id = "c" .. step, created_at = step, fine_tuned_model_checkpoint = "ft:m:ckpt-step-" .. step,
      step_number = step, metrics = { step = step, full_valid_loss = 0.5 } }
  end
  local all = open(list { checkpoint(90), checkpoint(60) }):checkpoints "j"
  t.eq(all[1], { id = "c60", model = "ft:m:ckpt-step-60", step = 60, created_at = 60,
    metrics = { step = 60, full_valid_loss = 0.5 } })
  t.eq(all[2].step, 90)
end)

t.test("the result comes as CSV, sent in base64 or plainly", function()
  local csv = "step,train_loss\n1,0.5\n"
  local job = { result_files = { "file-r" } }
  t.eq(open { body = csv }:result(job), csv)
  t.eq(open { body = digest.base64(csv) .. "\n" }:result(job), csv)
  t.eq(requests[1].url, BASE .. "/files/file-r/content")
  t.eq(open():result { result_files = {} }, nil)
end)

t.test("a cancel whose answer was lost is no failure", function()
  local p = open({ code = "reset", sent = true }, refusal(400, nil, "already cancelled"),
    { body = job_with { status = "cancelled" } })
  t.eq(p:cancel("ftjob-1").state, "cancelled")
  p = open(refusal(400, nil, "has succeeded"), { body = job_with { status = "succeeded" } })
  t.has(raised(p.cancel, p, "ftjob-1").message, "has succeeded")
  t.eq(open { body = job_with { status = "paused" } }:pause("ftjob-1").state, "paused")
  t.eq(open { body = JOB }:resume("ftjob-1").state, "running")
end)

t.test("preflight tells the shutdown date; models lists", function()
  local model = { id = "gpt-4o-mini-2024-07-18", created = 1, owned_by = "x", shutdown_date = "2999-01-14" }
  local told = open { body = model }:preflight { model = "gpt-4o-mini" }
  t.ok(told.days > 1000)
  told.days = nil
  t.eq(told, { model = "gpt-4o-mini-2024-07-18", shutdown_date = "2999-01-14" })
  t.eq(open(list { model }):models()[1].shutdown_date, "2999-01-14")
  open { body = model }:preflight { model = "ft:a/b" }
  t.eq(requests[1].url, BASE .. "/models/ft%3Aa%2Fb")
end)

t.test("preflight refuses what is sure to fail: limits before any request, then a model that is gone", function()
  local p = open()
  t.eq(raised(p.preflight, p, { model = "m", suffix = ("ї"):rep(65) }).kind, "recipe")
  t.eq(raised(p.preflight, p, { model = "m", files = { { path = "a.jsonl", bytes = 1 << 40 } } }).kind, "data")
  t.eq(#requests, 0)
  p = open { body = { id = "m", shutdown_date = "2020-01-01" } }
  local e = raised(p.preflight, p, { model = "m" })
  t.eq({ e.kind, e.code }, { "provider", "model_shut_down" })
  t.has(e.message, "2020-01-01")
  p = open(refusal(401))
  t.eq(raised(p.preflight, p, { model = "m" }).kind, "setting")
  t.eq(open { body = { id = "m", shutdown_date = "soon" } }:preflight { model = "m" }.shutdown_date, "soon")
end)

t.test("preflight warns when OpenAI is likely to refuse the organization", function()
  local function at_openai(...)
    script, requests, slept = { ... }, {}, 0
    return providers.open { name = "openai", base_url = "https://api.openai.com/v1", auth_secret = false }
  end
  local model = { body = { id = "m" } }
  local recent = { id = "ftjob-1", status = "succeeded", created_at = math.floor(time.now()) - 86400 }
  t.eq(at_openai(model, list { recent }):preflight { model = "m" }.warning, nil)
  t.eq(#requests, 2)
  -- in doubt a job is asked for that cannot be made; only the refusal by name ends the run
  local nothing = refusal(400, "file_not_found")
  t.has(at_openai(model, list {}, nothing):preflight { model = "m" }.warning, "training_not_available")
  t.eq({ #requests, requests[3].method }, { 3, "POST" })
  t.eq(requests[3].body.training_file:sub(1, 5), "file-")
  t.eq(requests[3].body.training_file:find "^file%-%w+$", nil, "may be a file's id")
  recent.created_at = recent.created_at - 61 * 86400
  t.has(at_openai(model, list { recent }, nothing):preflight { model = "m" }.warning, "for 60 days")
  local shut = at_openai(model, list {}, refusal(403, "training_not_available"))
  local e = raised(shut.preflight, shut, { model = "m" })
  t.eq({ e.kind, e.code, #requests }, { "provider", "training_not_available", 3 })
  t.has(e.message, "since 2026-05-07")
  -- one who only looks asks for none; a job that was made all the same is cancelled, and no word of doubt is left
  t.eq(at_openai(model):preflight { model = "m", only_look = true }.warning, nil)
  t.eq({ #requests, requests[1].method }, { 1, "GET" })
  local lazy = at_openai(model, list {}, { body = JOB }, { body = job_with { status = "cancelled" } })
  t.eq(lazy:preflight { model = "m" }.warning, nil)
  t.eq(requests[4].url, "https://api.openai.com/v1/fine_tuning/jobs/ftjob-1/cancel")
  local days = dates.days
  local _ <close> = setmetatable({}, { __close = function() dates.days = days end })
  dates.days = function(date, now) return days(date, (now or time.now()) + 60 * 86400) end
  recent.created_at = math.floor(time.now())
  t.has(at_openai(model, list { recent }, nothing):preflight { model = "m" }.warning,
    "no fine-tuning jobs since 2027-01-06")
  local gone = at_openai { body = { id = "gpt-4o-2024-08-06" } }
  t.eq(raised(gone.preflight, gone, { model = "gpt-4o-2024-08-06" }).code, "model_shut_down")
  local p = at_openai(refusal(404, "model_not_found"))
  t.has(raised(p.preflight, p, { model = "davinci-002" }).advice, "shut down on 2026-09-28")
end)

t.test("chat sends messages and takes the answer apart", function()
  local p = open { body = { id = "c1", model = "m",
    usage = { prompt_tokens = 3, completion_tokens = 1, total_tokens = 4, details = {} },
    choices = { { index = 0, finish_reason = "stop", message = { role = "assistant", content = "{}" } } } } }
  t.eq(p:chat { model = "m", messages = { { role = "user", content = "Привіт" } }, temperature = 0 },
    { id = "c1", model = "m", text = "{}", finish_reason = "stop",
      usage = { prompt_tokens = 3, completion_tokens = 1, total_tokens = 4 } })
  t.eq(requests[1].body, { model = "m", messages = { { role = "user", content = "Привіт" } }, temperature = 0 })
  t.eq(open { body = { usage = { prompt_tokens = "3", completion_tokens = -1, total_tokens = 0.5 },
    choices = { { message = { content = 42 } } } } }:chat({ model = "m", messages = {} }), { text = "", usage = {} })
  t.eq(open { body = { choices = json.array {} } }:chat({ model = "m", messages = {} }).text, "")
end)

t.test("settings choose address, organization and project; the key is named, never read", function()
  local dir <close> = t.folder()
  local secrets = require "ft.secrets"
  local f <close> = io.open(dir.path .. "/.env", "w")
  f:write("OPENAI_BASE_URL=https://proxy.example/openai/v1/\nOPENAI_ORG_ID=org-1\nOPENAI_PROJECT_ID=proj-1\n"):flush()
  t.ok(secrets.load(dir.path .. "/.env"))
  script, requests = { { body = JOB } }, {}
  local p = providers.open { name = "openai", auth_secret = "FT_NOT_THERE_KEY" }
  t.eq(p.base_url, "https://proxy.example/openai/v1")
  local e = raised(p.get, p, "j")
  t.eq(e.kind, "setting")
  t.has(e.message, "FT_NOT_THERE_KEY is not set")
  t.eq(#requests, 0)
  f:write("FT_THERE_KEY=sk-1234\n"):flush()
  t.ok(secrets.load(dir.path .. "/.env"))
  p = providers.open { name = "openai", auth_secret = "FT_THERE_KEY" }
  p:get "j"
  t.eq(requests[1].options.auth, { secret = "FT_THERE_KEY", header = "Authorization", prefix = "Bearer " })
  t.eq(requests[1].options.headers, { accept = "application/json", ["OpenAI-Organization"] = "org-1",
    ["OpenAI-Project"] = "proj-1" })
  t.eq(requests[1].options.proxy, nil)
end)

t.test("an unknown provider and a broken address are refused", function()
  t.has(raised(providers.open, { name = "opneai" }).advice, "local, openai")
  t.eq(raised(providers.open, { name = "local" }).kind, "setting")
  t.has(raised(providers.open, { name = "openai", base_url = "api.openai.com" }).message, "api.openai.com")
end)

t.test("an answer that names nothing leaves open whether anything was made", function()
  local folder <close> = t.folder()
  local path = folder.path .. "/a.jsonl"
  assert(require "ft.fs".write(path, "{}\n"))
  for _, body in ipairs { "{}", '{"id":null}', '{"id":{}}', '{"id":""}' } do
    local p = open({ body = body }, { body = body })
    local e = raised(p.create, p, { model = "m", training_file = "f" })
    t.eq({ e.kind, e.sent }, { "provider", true })
    t.has(e.message, "names no job")
    e = raised(p.put_file, p, { path = path, filename = "a.jsonl", purpose = "fine-tune" })
    t.eq({ e.kind, e.sent }, { "provider", true })
    t.has(e.message, "names no file")
  end
end)
