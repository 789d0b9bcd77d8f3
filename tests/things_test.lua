--- Commands that list, show and end things of the provider: files, models, batches, permissions; and checkpoints.
local t = require "harness"
local digest = require "ft.digest"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"
local providers = require "ftrun.providers"
local time = require "ft.time"

local ftrun = program.run

--- Runs body(dir, settings, result) in a project whose run has succeeded at a provider behind OPENAI_BASE_URL.
local function after_a_run(body)
  local recipe = program.RECIPE:gsub("}%s*$", 'checkpoint = { metric = "full_valid_loss" } }\n')
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local env = { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "sk-local-test" }
    local r = ftrun(dir, env, "toy.lua", "--yes", "--json")
    t.eq(r.code, 0, r.err)
    body(dir, env, program.result(r), s.url)
  end, 40, recipe)
end

local function lines(text)
  local n = 0
  for _ in text:gmatch "[^\n]+" do n = n + 1 end
  return n
end

-- Runs body(dir, env) against a provider that does what `faults` says.
local function with_faults(faults, body)
  program.in_project(function(dir)
    local served = dir .. "/served"
    assert(fs.mkdir(served))
    local s = program.start(served, { FTRUN_SERVE_FAULTS = faults }, "serve", "--port", "0", "--json", "--dir", ".")
    while not s.out():find "\n" do time.sleep(0.01) end
    local ok, e = pcall(body, dir, { OPENAI_BASE_URL = json.decode(s.out():match "[^\n]+").url,
      OPENAI_API_KEY = "sk-local-test" })
    s.kill()
    if not ok then error(e, 0) end
  end)
end

local function write_examples(path, n)
  local rows = {}
  for i = 1, n do
    rows[i] = json.encode { messages = { { role = "user", content = "Q" .. i },
      { role = "assistant", content = i % 2 == 0 and "even" or "odd" } } } .. "\n"
  end
  assert(fs.write(path, table.concat(rows)))
end

t.test("a file is uploaded once, is trained on by its id, and comes back as it was", function()
  with_faults("[]", function(dir, env)
    write_examples(dir .. "/my rows.jsonl", 12)
    local r = ftrun(dir, env, "files", "upload", "my rows.jsonl")
    t.eq(r.code, 0, r.err)
    local id = r.out:match "^(file%-%w+)\n$"
    t.has(r.err, "my-rows-" .. digest.sha256(fs.read(dir .. "/my rows.jsonl")):sub(1, 16) .. ".jsonl: uploaded as ")
    r = ftrun(dir, env, "files", "upload", "my rows.jsonl", "--json")
    local again = json.decode(r.out)
    t.eq({ again.id, again.uploaded, again.purpose }, { id, false, "fine-tune" })
    t.eq(#json.decode(ftrun(dir, env, "files", "--json").out), 1)
    t.eq(fs.list(dir .. "/.ftrun/uploads"), {})
    t.eq(ftrun(dir, env, "files", "get", id, "-o", "back.jsonl").code, 0)
    t.eq(fs.read(dir .. "/back.jsonl"), fs.read(dir .. "/my rows.jsonl"))
    r = ftrun(dir, env, "tune", "-t", id, "--n-epochs", "1", "--monitor", "--yes", "--json")
    t.eq(program.result(r).state, "succeeded", r.err)
  end)
end)

t.test("what cannot be trained on is not uploaded, and is said before anything is asked", function()
  program.against_server(function(dir, start, requests)
    write_examples(dir .. "/good.jsonl", 1)
    assert(fs.write(dir .. "/bad.jsonl", '{"messages":[],}\n'))
    assert(fs.write(dir .. "/none.jsonl", ""))
    assert(fs.write(dir .. "/good.txt", "x\n"))
    for part, words in pairs { ["1 error; nothing was uploaded"] = { "good.jsonl", "bad.jsonl" },
      ["none.jsonl: is empty"] = { "none.jsonl" }, ["is not named like JSONL"] = { "good.txt" },
      ["there is no such file"] = { "nosuch.jsonl" }, ["upload which file?"] = {} } do
      local r = start("files", "upload", table.unpack(words))
      t.ok(r.code == 4 or r.code == 2, r.err)
      t.has(r.err, part)
    end
    t.eq(requests, {})
    t.eq(start("files", "upload", "good.txt", "--purpose", "user_data").code, 8)
    t.eq(requests[1], "GET /v1/files")
    t.eq(fs.list(dir .. "/.ftrun/uploads"), {})
  end)
end)

t.test("an upload whose answer was lost, or that was killed, makes one file all the same", function()
  local faults = json.encode { { route = "POST /files", kind = "lose" },
    { route = "POST /files", kind = "stall", seconds = 30, from = 2 } }
  with_faults(faults, function(dir, env)
    write_examples(dir .. "/lost.jsonl", 12)
    write_examples(dir .. "/killed.jsonl", 13)
    local r = ftrun(dir, env, "files", "upload", "lost.jsonl", "--json")
    t.eq({ r.code, #json.decode(ftrun(dir, env, "files", "--json").out) }, { 0, 1 }, r.err)
    local started = program.start(dir, env, "files", "upload", "killed.jsonl")
    while #json.decode(ftrun(dir, env, "files", "--json").out) < 2 do time.sleep(0.02) end
    started.kill()
    t.eq(#fs.list(dir .. "/.ftrun/uploads"), 1, "the intent is on disk")
    r = ftrun(dir, env, "files", "upload", "killed.jsonl", "--json")
    t.eq({ r.code, json.decode(r.out).uploaded, #json.decode(ftrun(dir, env, "files", "--json").out) },
      { 0, false, 2 }, r.err)
    t.eq(fs.list(dir .. "/.ftrun/uploads"), {})
  end)
end)

t.test("files, models, checkpoints and permissions are listed, looked at, and deleted only when told so", function()
  after_a_run(function(dir, env, result)
    local function call(...) return ftrun(dir, env, ...) end
    -- files
    local files = json.decode(call("files", "--json").out)
    t.eq(lines(call("files").out), #files)
    local mine = json.decode(call("files", "list", "--purpose", "fine-tune", "--json").out)
    t.eq(#mine, 2)
    t.has(call("files", "get", mine[1].id).out, mine[1].filename)
    t.eq(call("files", "get", mine[1].id, "-o", "back.jsonl").code, 0)
    t.eq(#fs.read(dir .. "/back.jsonl"), mine[1].bytes)
    local unasked = call("files", "delete", mine[1].id)
    t.eq(unasked.code, 12, unasked.err)
    t.has(unasked.err, mine[1].filename)
    t.has(unasked.err, "[y/N]")
    t.eq(call("files", "delete", "file-nothing", "--yes").code, 8)
    local gone = call("files", "delete", mine[1].id, "--yes")
    t.eq(gone.code, 0, gone.err)
    t.has(gone.err, mine[1].id .. " is deleted")
    t.eq(#json.decode(call("files", "--purpose", "fine-tune", "--json").out), 1)
    -- checkpoints
    local marked = call("checkpoints")
    t.has(marked.out, "<- lowest full_valid_loss, the run's model")
    local model = json.decode(fs.read(dir .. "/toy.lock.json")).model
    t.eq({ result.model, model }, { model, result.checkpoint.model })
    t.has(model, ":ckpt-step-")
    t.has(call("checkpoints", "--by", "train_mean_token_accuracy").out, "<- highest train_mean_token_accuracy\n")
    local wrong = call("checkpoints", "--by", "loss")
    t.eq(wrong.code, 2, wrong.err)
    t.has(wrong.err, "full_valid_loss")
    -- permissions
    t.has(call("permissions", "list", model).err, "no other project may use")
    local made = json.decode(call("permissions", "create", model, "proj_a", "proj_b", "--json").out)
    t.eq({ #made, made[1].project }, { 2, "proj_a" })
    t.has(call("permissions", "list", model).out, "proj_b")
    t.eq(call("permissions", "delete", model, made[1].id).code, 12)
    t.eq(call("permissions", "delete", model, made[1].id, "--yes").code, 0)
    t.eq(#json.decode(call("permissions", "list", model, "--json").out), 1)
    t.eq(call("permissions", "create", model).code, 2)
    -- models
    local models = json.decode(call("models", "--json").out)
    t.eq({ models[1].tuned, models[1].shutdown_date }, { true, "2027-01-14" })
    t.ok(math.type(models[1].days_left) == "integer")
    t.has(call("models").out, "shut down on 2027-01-14")
    local whole = model:gsub(":ckpt.*", "")
    t.has(call("models", "get", whole).out, "shutdown_date    2027-01-14")
    local kept = call("models", "delete", whole)
    t.eq(kept.code, 12, kept.err)
    t.eq(call("models", "delete", whole, "--yes").code, 0)
    t.eq(call("models", "get", whole).code, 8)
    t.eq(call("models", "delete").code, 2)
  end)
end)

t.test("who deletes a run's model is told whose it is", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local env = { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "sk-local-test" }
    local result = program.result(ftrun(dir, env, "toy.lua", "--yes", "--json"))
    t.has(ftrun(dir, env, "models", "delete", result.model).err, "is the model of run " .. result.run)
  end)
end)

t.test("batches are listed, looked at and cancelled", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local p = providers.open { name = "local", base_url = s.url, auth_secret = false }
    assert(fs.write(dir .. "/requests.jsonl", json.encode { custom_id = "1", method = "POST",
      url = "/v1/chat/completions", body = { model = "gpt-4o-mini", messages = { { role = "user", content = "x" } } } }
      .. "\n"))
    local input = p:put_file { path = dir .. "/requests.jsonl", filename = "requests.jsonl", purpose = "batch" }
    local batch = p:create_batch { input_file = input.id }
    local env = { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "sk-local-test" }
    t.has(ftrun(dir, env, "batches").out, batch.id)
    t.has(ftrun(dir, env, "batches", "get", batch.id).out, "input file       " .. input.id)
    local asked = ftrun(dir, env, "batches", "cancel", batch.id)
    t.eq(asked.code, 12, asked.err)
    -- it may have ended in between
    t.ok(({ [0] = true, [8] = true })[ftrun(dir, env, "batches", "cancel", batch.id, "--yes").code])
  end)
end)

t.test("permissions go with the admin key where there is one, everything else with the usual key", function()
  program.against_server(function(dir, start, requests)
    local keys = {}
    requests.see = function(r) keys[#keys + 1] = r.headers.authorization end
    assert(fs.write(dir .. "/.env", "OPENAI_ADMIN_KEY=sk-admin-1234567890\n"))
    t.eq(start("permissions", "list", "ft:a:b::c").code, 0)
    t.eq(start("files").code, 0)
    t.eq(keys, { "Bearer sk-admin-1234567890", "Bearer sk-test-1234567890" })
  end, function(r, requests)
    requests.see(r)
    return { status = 200, body = '{"object":"list","data":[],"has_more":false}' }
  end)
end)
