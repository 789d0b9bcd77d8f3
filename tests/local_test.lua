local t = require "harness"
local digest = require "ft.digest"
local fs = require "ft.fs"
local http = require "ft.http"
local time = require "ft.time"
local err = require "ftrun.err"
local json = require "ftrun.json"
local server = require "ftrun.local.server"

local MODEL = "gpt-4o-mini-2024-07-18"

--- A client of the server under test; every answer must carry a request id.
local Client = {}
Client.__index = Client

function Client:request(method, path, options)
  options = options or {}
  options.proxy = false
  local r, message = http.request(method, self.url .. path, options)
  t.ok(r, message)
  t.ok(r.headers["x-request-id"], path)
  return r
end

function Client:get(path)
  local r = self:request("GET", path)
  t.eq(r.status, 200, path .. " " .. r.body)
  return json.decode(r.body)
end

function Client:post(path, body)
  local headers = { ["content-type"] = "application/json", authorization = "Bearer anything" }
  return self:request("POST", path, { headers = headers, body = body and json.encode(body) or "" })
end

function Client:make(path, body)
  local r = self:post(path, body)
  t.eq(r.status, 200, path .. " " .. r.body)
  return json.decode(r.body)
end

function Client:upload(path, purpose, filename)
  return self:request("POST", "/files", { parts = { { name = "purpose", value = purpose or "fine-tune" },
    { name = "file", path = path, filename = filename or "train.jsonl", content_type = "application/jsonl" } } })
end

--- Fails unless the answer is an error in OpenAI's shape.
local function refused(r, status, param, code, part)
  t.eq(r.status, status, r.body)
  local e = json.decode(r.body).error
  t.eq(type(e.message), "string")
  t.ok(e.type == "invalid_request_error" or status == 403, e.type)
  t.eq({ param = e.param, code = e.code }, { param = param, code = code }, e.message)
  t.ok(r.body:find '"param":' and r.body:find '"code":', r.body)
  if part then t.has(e.message, part) end
end

local function example(i)
  local number, act = i * 7 % 90 + 1, ("%d-IX"):format(i * 13 % 500 + 100)
  local user = ("Title: act\n\nArticle %d. Amend the act %s as follows."):format(number, act)
  local answer = json.encode { elements = json.array { { type = "article", number = tostring(number) } },
                               relations = json.array { { type = "amends", target_nreg = act } } }
  return { { role = "system", content = "Answer with {\"elements\": [], \"relations\": []}" },
           { role = "user", content = user }, { role = "assistant", content = answer } }
end

local function write_examples(path, first, last)
  local lines = {}
  for i = first, last do lines[#lines + 1] = json.encode { messages = example(i) } .. "\n" end
  t.ok(fs.write(path, table.concat(lines)))
  return path
end

--- A running server with a client, closed with the variable: local s <close> = serve(dir.path).
local function serve(dir, options)
  options = options or {}
  options.dir = dir .. "/local"
  local running = server.start(options)
  return setmetatable({ url = running.url, running = running },
    { __index = Client, __close = function() running.close() end })
end

local function upload_examples(s, dir, n)
  local train = json.decode(s:upload(write_examples(dir .. "/train.jsonl", 1, n or 24)).body)
  local path = write_examples(dir .. "/validation.jsonl", 101, 106)
  return train, json.decode(s:upload(path, "fine-tune", "validation.jsonl").body)
end

local function job_body(train, validation, fields)
  local body = { model = "gpt-4o-mini", training_file = train.id, validation_file = validation and validation.id,
                 suffix = "my acts", seed = 42, method = { type = "supervised", supervised = { hyperparameters = {
                 n_epochs = 5, batch_size = 4 } } } }
  for k, v in pairs(fields or {}) do body[k] = v end
  return body
end

local function wait_for(s, id, accept, seconds)
  local deadline = time.monotonic() + (seconds or 60)
  while true do
    local job = s:get("/fine_tuning/jobs/" .. id)
    if accept(job) then return job end
    if time.monotonic() > deadline then error("still " .. json.encode(job)) end
    time.sleep(0.01)
  end
end

local function finished(job) return job.finished_at ~= nil end

local function finish(s, id)
  local job = wait_for(s, id, finished)
  t.eq(job.status, "succeeded", json.encode(job))
  return job
end

--- All events, oldest first, fetched in pages.
local function all_events(s, id, limit)
  local list, after = {}, ""
  while true do
    local page = s:get(("/fine_tuning/jobs/%s/events?limit=%d%s"):format(id, limit or 7, after))
    t.eq(page.object, "list")
    for _, e in ipairs(page.data) do table.insert(list, 1, e) end
    if not page.has_more then return list end
    after = "&after=" .. page.data[#page.data].id
  end
end

local function losses(events)
  local list = {}
  for _, e in ipairs(events) do if e.type == "metrics" then list[#list + 1] = e.data end end
  return list
end

t.test("a job lives from upload to the deletion of its model", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local train, validation = upload_examples(s, dir.path)
  t.eq(train.object, "file")
  t.eq(train.purpose, "fine-tune")
  t.eq(train.bytes, fs.stat(dir.path .. "/train.jsonl").bytes)

  local job = s:make("/fine_tuning/jobs", job_body(train, validation, { metadata = { run = "r1" } }))
  t.eq(job.object, "fine_tuning.job")
  t.eq(job.status, "validating_files")
  t.eq(job.model, MODEL)
  t.eq(job.fine_tuned_model, nil)
  t.eq(job.metadata, { run = "r1" })
  job = finish(s, job.id)
  t.ok(job.fine_tuned_model:find("^ft:gpt%-4o%-mini%-2024%-07%-18:local:my%-acts:" .. ("%w"):rep(8) .. "$"))
  t.eq(job.hyperparameters.n_epochs, 5)
  t.eq(type(job.hyperparameters.learning_rate_multiplier), "number")
  t.eq(job.method.supervised.hyperparameters, job.hyperparameters)
  t.ok(job.trained_tokens > 0)
  t.eq(job.error, nil)

  local events = all_events(s, job.id)
  local messages = {}
  for i, e in ipairs(events) do messages[i] = e.message end
  local text = table.concat(messages, "\n")
  local at = 0
  for _, part in ipairs { "Created fine-tuning job: " .. job.id, "not " .. MODEL,
    "Validating training file: " .. train.id, "Files validated, moving job to queued state",
    "Fine-tuning job started", "Step 1/30: training loss=",
    "Checkpoint created at step 6", "Step 30/30: training loss=", "Checkpoint created at step 30",
    "New fine-tuned model created", "The job has successfully completed" } do
    local found = text:find(part, at + 1, true)
    t.ok(found, part .. " in\n" .. text)
    at = found
  end
  local metrics = losses(events)
  t.eq(#metrics, 30)
  t.eq(metrics[30].step, 30)
  t.eq(metrics[30].total_steps, 30)
  t.ok(metrics[30].full_valid_loss < metrics[6].full_valid_loss)
  t.ok(metrics[30].train_loss < metrics[1].train_loss)

  local checkpoints = s:get("/fine_tuning/jobs/" .. job.id .. "/checkpoints")
  t.eq(#checkpoints.data, 3)
  t.eq(checkpoints.has_more, false)
  t.eq(checkpoints.first_id, checkpoints.data[1].id)
  t.eq(checkpoints.data[1].step_number, 30)
  t.eq(checkpoints.data[3].step_number, 18)
  t.eq(checkpoints.data[1].metrics.full_valid_loss, metrics[30].full_valid_loss)

  local result = s:request("GET", "/files/" .. job.result_files[1] .. "/content")
  t.eq(s:get("/files/" .. job.result_files[1]).purpose, "fine-tune-results")
  local csv = digest.unbase64(result.body)
  t.has(csv, "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy")
  local rows, sum = 0, 0
  for step, loss in csv:gmatch "\n(%d+),([%d.e+-]+)," do
    rows = rows + 1
    t.eq(math.tointeger(step), rows)
    t.eq(tonumber(loss) + 0.0, metrics[rows].train_loss + 0.0)
    sum = sum + loss
  end
  t.eq(rows, 30)
  t.ok(sum > 0)

  local question = example(3)
  table.remove(question)
  for _, name in ipairs { job.fine_tuned_model, checkpoints.data[3].fine_tuned_model_checkpoint, "gpt-4o-mini" } do
    local answer = s:make("/chat/completions", { model = name, messages = question, temperature = 0 })
    t.eq(answer.object, "chat.completion")
    t.has(answer.system_fingerprint, "ftrun-local-")
    t.eq(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)
    t.eq(type(json.decode(answer.choices[1].message.content)), "table", name)
  end

  local tuned = s:get("/models/" .. http.escape(job.fine_tuned_model))
  t.eq(tuned.owned_by, "ftrun-local")
  local deleted = s:request("DELETE", "/models/" .. http.escape(job.fine_tuned_model))
  t.eq(json.decode(deleted.body), { id = job.fine_tuned_model, object = "model", deleted = true })
  refused(s:request("GET", "/models/" .. http.escape(job.fine_tuned_model)), 404, "model", "model_not_found")
  refused(s:post("/chat/completions", { model = job.fine_tuned_model, messages = question }), 404, "model",
    "model_not_found")
  t.eq(s:get("/fine_tuning/jobs/" .. job.id).fine_tuned_model, job.fine_tuned_model)
  t.eq(json.decode(s:request("DELETE", "/files/" .. train.id).body), { id = train.id, object = "file", deleted = true })
  refused(s:request("GET", "/files/" .. train.id), 404, "id", nil, train.id)
end)

t.test("files are listed in pages, by purpose and in both orders, and give back their bytes", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local path = write_examples(dir.path .. "/a.jsonl", 1, 3)
  local ids = {}
  for i = 1, 5 do
    ids[i] = json.decode(s:upload(path, i == 3 and "user_data" or "fine-tune", ("f%d.jsonl"):format(i)).body).id
  end
  local function names(query)
    local page, list = s:get("/files" .. query), {}
    for i, f in ipairs(page.data) do list[i] = f.filename end
    return table.concat(list, " "), page
  end
  t.eq(names "", "f5.jsonl f4.jsonl f3.jsonl f2.jsonl f1.jsonl")
  t.eq(names "?order=asc&purpose=fine-tune", "f1.jsonl f2.jsonl f4.jsonl f5.jsonl")
  local first, page = names "?limit=2"
  t.eq(first, "f5.jsonl f4.jsonl")
  t.eq(page.has_more, true)
  t.eq(page.last_id, ids[4])
  s:request("DELETE", "/files/" .. ids[4])
  first, page = names("?limit=3&after=" .. ids[4])
  t.eq(first, "f3.jsonl f2.jsonl f1.jsonl")
  t.eq(page.has_more, false)
  t.eq(s:request("GET", "/files/" .. ids[1] .. "/content").body, fs.read(path))
end)

t.test("jobs are found by metadata, newest first, in pages", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local train = upload_examples(s, dir.path, 10)
  local ids = {}
  for i = 1, 5 do
    ids[i] = s:make("/fine_tuning/jobs", job_body(train, nil, { metadata = i ~= 3 and { run = "r" .. i % 2,
      ["a key"] = "x" } or nil })).id
  end
  local function found(query)
    local page, list = s:get("/fine_tuning/jobs?" .. query), {}
    for i, job in ipairs(page.data) do for k = 1, 5 do if ids[k] == job.id then list[i] = k end end end
    return table.concat(list, " "), page.has_more
  end
  t.eq(found "limit=20", "5 4 3 2 1")
  t.eq(found("metadata" .. http.escape "[run]" .. "=r1"), "5 1")
  t.eq(found "metadata[run]=r0&metadata[a%20key]=x", "4 2")
  t.eq(found "metadata[run]=r9", "")
  t.eq(found "metadata=null", "3")
  t.eq({ found("limit=1&metadata[run]=r0") }, { "4", true })
  t.eq({ found("limit=1&metadata[run]=r0&after=" .. ids[4]) }, { "2", false })
  refused(s:request("GET", "/fine_tuning/jobs?limit=0"), 400, "limit", "invalid_value")
  refused(s:request("GET", "/fine_tuning/jobs?after=ftjob-x"), 400, "after", "invalid_value")
end)

t.test("a job can be paused, resumed and cancelled, and a paused one loses nothing", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local train, validation = upload_examples(s, dir.path)
  local body = job_body(train, validation, { hyperparameters = { n_epochs = 8, batch_size = 1 }, method = json.null })
  local whole = finish(s, s:make("/fine_tuning/jobs", body).id)

  local id = s:make("/fine_tuning/jobs", body).id
  local events_path = "/fine_tuning/jobs/" .. id .. "/events?limit=1"
  wait_for(s, id, function() return s:get(events_path).data[1].type == "metrics" end)
  t.eq(s:make("/fine_tuning/jobs/" .. id .. "/pause").status, "paused")
  refused(s:post("/fine_tuning/jobs/" .. id .. "/pause"), 400, nil, "invalid_job_state")
  local newest = s:get(events_path).data[1]
  t.eq(newest.message, "Fine-tuning job paused")
  time.sleep(0.1)
  t.eq(s:get(events_path).data[1].id, newest.id)
  refused(s:request("DELETE", "/files/" .. train.id), 409, "id", "file_in_use")
  t.eq(s:make("/fine_tuning/jobs/" .. id .. "/resume").status, "queued")
  refused(s:post("/fine_tuning/jobs/" .. id .. "/resume"), 400, nil, "invalid_job_state")
  local job = finish(s, id)
  t.eq(losses(all_events(s, id, 100)), losses(all_events(s, whole.id, 100)))
  refused(s:post("/fine_tuning/jobs/" .. job.id .. "/cancel"), 400, nil, "invalid_job_state")

  id = s:make("/fine_tuning/jobs", body).id
  wait_for(s, id, function(j) return j.status == "running" end)
  job = s:make("/fine_tuning/jobs/" .. id .. "/cancel")
  t.eq(job.status, "cancelled")
  t.eq(math.type(job.finished_at), "integer")
  t.eq(job.fine_tuned_model, nil)
  t.eq(finish(s, s:make("/fine_tuning/jobs", body).id).status, "succeeded")
  t.eq(s:get("/fine_tuning/jobs/" .. id).status, "cancelled")
  t.eq(s:get("/fine_tuning/jobs/" .. id .. "/events?limit=1").data[1].message, "Fine-tuning job cancelled")
end)

t.test("training goes on after a restart, with the same losses and no event twice", function()
  local dir <close> = t.folder()
  local body, whole, id
  do
    local s <close> = serve(dir.path)
    local train, validation = upload_examples(s, dir.path)
    body = job_body(train, validation, { method = { type = "supervised", supervised = { hyperparameters = {
      n_epochs = 50, batch_size = 1 } } } })
    whole = losses(all_events(s, finish(s, s:make("/fine_tuning/jobs", body).id).id, 100))
    id = s:make("/fine_tuning/jobs", body).id
  end
  local restarts = 0
  for step = 100, 700, 200 do
    local s <close> = serve(dir.path)
    local job = wait_for(s, id, function(job)
      local newest = s:get("/fine_tuning/jobs/" .. id .. "/events?limit=1").data[1]
      return finished(job) or newest.data.step and newest.data.step >= step
    end)
    if not finished(job) then restarts = restarts + 1 end
  end
  t.ok(restarts >= 2, restarts)
  local s <close> = serve(dir.path)
  finish(s, id)
  local events = all_events(s, id, 100)
  t.eq(losses(events), whole)
  local seen = {}
  for _, e in ipairs(events) do
    t.ok(not seen[e.message], e.message)
    seen[e.message] = true
  end
  t.eq(#s:get("/fine_tuning/jobs/" .. id .. "/checkpoints").data, 3)
  t.eq(#s:get("/files?purpose=fine-tune-results").data, 2)
end)

t.test("a second start on one folder is busy and names the holder", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local ok, e = pcall(serve, dir.path)
  t.eq(ok, false)
  t.ok(err.is(e), tostring(e))
  t.eq(e.kind, "busy")
  t.eq(e.holder, s.url)
  ok, e = pcall(serve, dir.path .. "/other", { port = s.running.port })
  t.eq(ok, false)
  t.eq(e.kind, "busy")
  t.eq(e.code, "in_use")
end)

t.test("data that cannot be used makes a failed job with OpenAI's codes", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local function failed(text, validation)
    t.ok(fs.write(dir.path .. "/x.jsonl", text))
    local file = json.decode(s:upload(dir.path .. "/x.jsonl").body)
    local good = json.decode(s:upload(write_examples(dir.path .. "/good.jsonl", 1, 12)).body)
    local body = validation and job_body(good, file) or job_body(file)
    local job = wait_for(s, s:make("/fine_tuning/jobs", body).id, finished)
    t.eq(job.status, "failed")
    t.eq(s:get("/fine_tuning/jobs/" .. job.id .. "/events?limit=1").data[1].level, "error")
    return job.error
  end
  local few = failed(fs.read(write_examples(dir.path .. "/few.jsonl", 1, 9)))
  t.eq({ few.code, few.param }, { "invalid_n_examples", "training_file" })
  t.has(few.message, "9 examples")
  local good = json.encode { messages = example(1) } .. "\n"
  local e = failed(good:rep(9) .. '{"prompt": "x"}\n')
  t.eq(e.code, "invalid_training_file")
  t.has(e.message, "Line 10")
  e = failed(good .. '{"messages": [{"role": "bot", "content": "x"}]}\n', true)
  t.eq({ e.code, e.param }, { "invalid_validation_file", "validation_file" })
  t.has(e.message, 'messages[0].role: unknown role "bot"')
  e = failed((good:gsub("assistant", "user")):rep(12))
  t.has(e.message, "no answer of the assistant to learn from")
end)

t.test("bad requests are refused in OpenAI's shape, with what was expected", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local train = upload_examples(s, dir.path, 10)
  refused(s:request("GET", "/nothing"), 404, nil, "unknown_url", "GET /v1/nothing")
  local r = s:request("DELETE", "/fine_tuning/jobs")
  refused(r, 405, nil, "method_not_supported")
  t.eq(r.headers.allow, "GET, POST")
  refused(s:request("POST", "/fine_tuning/jobs", { body = '{"model": "gpt-4o-mini",}' }), 400, nil, "invalid_json",
    "could not parse")
  refused(s:request("POST", "/chat/completions", { body = "[]]" }), 400, nil, "invalid_json")
  refused(s:request("GET", "/fine_tuning/jobs/ftjob-x"), 404, "fine_tune_id", "fine_tune_not_found", "ftjob-x")
  refused(s:request("GET", "/files/file-x/content"), 404, "id", nil, "file-x")
  refused(s:request("DELETE", "/models/gpt-4o-mini"), 403, "model", "insufficient_permissions")
  refused(s:request("GET", "/models", { headers = { origin = "https://example.com" } }), 403, nil, "foreign_origin")
  refused(s:request("GET", "/models", { headers = { host = "example.com" } }), 403, nil, "foreign_origin")

  refused(s:post("/chat/completions", { model = ("x"):rep(64 << 20) }), 413, nil, "request_too_large")

  local function job(fields, param, code, part)
    refused(s:post("/fine_tuning/jobs", job_body(train, nil, fields)), 400, param, code, part)
  end
  job({ model = "gpt-9" }, "model", "model_not_available", MODEL)
  job({ model = "ft:gpt-4o-mini:local:x:12345678" }, "model", "model_not_available", "starts anew")
  job({ model = json.null }, "model", "missing_required_parameter")
  job({ training_file = "file-x" }, "training_file", "file_not_found", "file-x")
  job({ training_file = 3 }, "training_file", "invalid_value")
  job({ validation_file = "file-y" }, "validation_file", "file_not_found")
  job({ n_epoch = 3 }, "n_epoch", "unknown_parameter")
  job({ suffix = ("x"):rep(65) }, "suffix", "invalid_value")
  job({ seed = -1 }, "seed", "invalid_value")
  job({ seed = 1.5 }, "seed", "invalid_value")
  job({ method = { type = "dpo" } }, "method.type", "method_not_supported", "supervised")
  job({ method = { type = "reinforcement", reinforcement = {} } }, "method.type", "method_not_supported")
  job({ method = { type = "magic" } }, "method.type", "invalid_value", "supervised")
  job({ hyperparameters = { n_epochs = 2 } }, "hyperparameters", "invalid_value", "once")
  local many = {}
  for i = 1, 17 do many["k" .. i] = "v" end
  job({ metadata = many }, "metadata", "invalid_value", "16")
  job({ metadata = { k = ("x"):rep(513) } }, "metadata.k", "invalid_value", "512")
  job({ metadata = { k = 1 } }, "metadata.k", "invalid_value", "a text")
  for name, values in pairs { n_epochs = { 0, 51, 1.5, "many" }, batch_size = { 0, 257, true },
                              learning_rate_multiplier = { 0, -1, "x", 1e300, 1e-300 } } do
    for _, value in ipairs(values) do
      job({ method = json.null, hyperparameters = { [name] = value } }, "hyperparameters." .. name, "invalid_value")
    end
  end

  local path = write_examples(dir.path .. "/u.jsonl", 1, 2)
  refused(s:upload(path, "training"), 400, "purpose", "invalid_value", "fine-tune")
  refused(s:upload(path, "fine-tune", "u.csv"), 400, "file", "invalid_file_format", "jsonl")
  refused(s:request("POST", "/files", { parts = { { name = "purpose", value = "fine-tune" } } }), 400, "file",
    "missing_parameter")
  refused(s:request("POST", "/files", { body = "{}" }), 400, nil, nil, "multipart")
  t.ok(fs.write(path, '{"messages": []}\n{"a": }\n'))
  refused(s:upload(path), 400, "file", "invalid_file_format", "Line 2")
  t.ok(fs.write(path, ""))
  refused(s:upload(path), 400, "file", "empty_file")
  local other = json.decode(s:upload(write_examples(path, 1, 12), "user_data").body)
  job({ training_file = other.id }, "training_file", "invalid_file_purpose", "user_data")

  local function chat(body, param, code)
    refused(s:post("/chat/completions", body), 400, param, code)
  end
  chat({ messages = example(1) }, "model", "missing_required_parameter")
  chat({ model = "gpt-4o-mini" }, "messages", "invalid_value")
  chat({ model = "gpt-4o-mini", messages = { "x" } }, "messages[0]", "invalid_value")
  chat({ model = "gpt-4o-mini", messages = { { role = "user", content = 3 } } }, "messages[0].content",
    "invalid_value")
  chat({ model = "gpt-4o-mini", n = 0, messages = example(1) }, "n", "invalid_value")
  t.eq(#s:get("/fine_tuning/jobs").data, 0)
end)

t.test("a streamed answer comes in chunks that add up to the whole one", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local messages = { { role = "system", content = 'Відповідай так: {"елементи": [], "зв\'язки": [], "ще": "…"}' },
                     { role = "user", content = { { type = "text", text = "Стаття 1." } } } }
  local body = { model = "gpt-4o-mini", messages = messages }
  local whole = s:make("/chat/completions", body).choices[1].message.content
  body.stream, body.stream_options = true, { include_usage = true }
  local r = s:post("/chat/completions", body)
  t.has(r.headers["content-type"], "text/event-stream")
  local text, last, chunks = "", nil, {}
  for data in r.body:gmatch "data: ([^\n]*)\n\n" do
    last = data
    if data ~= "[DONE]" then chunks[#chunks + 1] = json.decode(data) end
  end
  t.eq(last, "[DONE]")
  for _, chunk in ipairs(chunks) do
    t.eq(chunk.object, "chat.completion.chunk")
    t.eq(chunk.id, chunks[1].id)
    if chunk.choices[1] then text = text .. (chunk.choices[1].delta.content or "") end
  end
  t.eq(text, whole)
  t.eq(chunks[#chunks - 1].choices[1].finish_reason, "stop")
  t.eq(#chunks[#chunks].choices, 0)
  t.ok(chunks[#chunks].usage.total_tokens > 0)
end)

t.test("ftrun serve takes a list of faults, and nothing else", function()
  local program, faults = require "program", require "ftrun.local.faults"
  t.eq(faults.read "[]", {})
  t.eq(faults.read('[{"route": "GET /models", "kind": "refuse", "status": 422}]')[1].status, 422)
  program.in_project(function(dir)
    for _, text in ipairs { "yes", "[7]", '{"route": "GET /models"}', '[{"route": "GET /a", "kind": "explode"}]' } do
      local r = program.run(dir, { FTRUN_SERVE_FAULTS = text }, "serve", "--port", "0")
      t.eq(r.code, 5, text)
      t.has(r.err, "list of faults must be like")
    end
  end)
end)

t.test("faults on purpose: refused, forgotten, lost, stalled and slow answers", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path, { faults = {
    { route = "GET /models", kind = "refuse", headers = { ["retry-after"] = "1" } },
    { route = "POST /fine_tuning/jobs", kind = "forget" },
    { route = "POST /fine_tuning/jobs", kind = "lose", from = 2 },
    { route = "GET /files", kind = "stall", seconds = 0.2, from = 1 },
    { route = "GET /files", kind = "slow", seconds = 0.001, from = 2 },
  } })
  local train = upload_examples(s, dir.path, 10)
  local r = http.request("GET", s.url .. "/models", { proxy = false })
  t.eq({ r.status, r.headers["retry-after"] }, { 429, "1" })
  t.eq(s:request("GET", "/models").status, 200)
  local post = { proxy = false, body = json.encode(job_body(train)) }
  t.eq(http.request("POST", s.url .. "/fine_tuning/jobs", post).status, 500)
  local lost, _, code = http.request("POST", s.url .. "/fine_tuning/jobs", post)
  t.eq(lost, nil)
  t.eq(code, "reset")
  t.eq(#s:get("/fine_tuning/jobs").data, 2)
  local began = time.monotonic()
  s:get("/files")
  t.ok(time.monotonic() - began >= 0.2)
  t.eq(#s:get("/files?purpose=fine-tune").data, 2)
end)
