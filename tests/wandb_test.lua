--- What is logged of a run, of calls and of jobs, and what the settings mean. The log itself: wandb_log_test.lua.
local t = require "harness"
local digest = require "ft.digest"
local fs = require "ft.fs"
local json = require "ftrun.json"
local logs = require "wandb_logs"
local program = require "program"

local all, log_of, runs_of, values = logs.all, logs.log_of, logs.runs_of, logs.values

local WANTED = logs.WANTED

t.test("a run whose recipe asks for W&B leaves an offline run with every step once", function()
  program.in_project(function(dir)
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    t.has(r.err, "wandb sync .ftrun/runs/")
    local result = program.result(r)
    local list, path = log_of(dir)
    t.has(path, ("/offline-run-"))
    t.has(path, ("-%s/run-%s.wandb"):format(result.run, result.run))
    t.eq({ list[2].run.project, list[2].run.tags, #all(list, "run") }, { "laws", { "uk", ("x"):rep(64) }, 1 })
    local steps = {}
    for _, h in ipairs(all(list, "history")) do steps[#steps + 1] = values(h.item)._step end
    local expected = {}
    for _, row in ipairs(program.metrics(dir, result)) do expected[#expected + 1] = row.step end
    t.eq(steps, expected)
    local summaries = all(list, "summary")
    local last = values(summaries[#summaries].update)
    t.eq({ last.state, last.fine_tuned_model, last.trained_tokens, last._step },
      { "succeeded", result.model, result.trained_tokens, steps[#steps] })
    t.eq({ all(list, "exit")[1].exit_code or 0, #all(list, "final") }, { 0, 1 })
    -- done is done: nothing is logged again
    program.run(dir, {}, "--local", "toy.lua")
    t.eq(#log_of(dir), #list)
  end, 40, WANTED)
end)

t.test("kill -9 while training loses no step that was logged, and the next start none at all", function()
  local long = WANTED:gsub("n_epochs = 2, batch_size = 4", "n_epochs = 50, batch_size = 1")
  program.in_project(function(dir)
    program.interrupt(dir, "KILL", dir .. "/.ftrun/runs/*/metrics.jsonl", '"step":20', "--local", "toy.lua")
    local before = all(log_of(dir), "history")
    t.ok(#before >= 19, #before)
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    local list = log_of(dir)
    local after = all(list, "history")
    t.eq(#after, #program.metrics(dir, program.result(r)))
    for i, h in ipairs(after) do t.eq(values(h.item)._step, i) end
    for i, h in ipairs(before) do t.eq(values(h.item), values(after[i].item)) end
    t.eq({ #all(list, "run"), #all(list, "exit") }, { 1, 1 })
  end, 40, long)
end)

t.test("a job that is cancelled ends its W&B run as failed", function()
  local hook = '  on = { metrics = function(m) if m.step == 2 then return ft.cancel "x" end end },\n}\n'
  local cancelled = WANTED:gsub("}\n$", hook):gsub("n_epochs = 2", "n_epochs = 50")
  program.in_project(function(dir)
    t.eq(program.run(dir, {}, "--local", "toy.lua").code, 9)
    local list = log_of(dir)
    t.eq(all(list, "exit")[1].exit_code, 9)
    local summaries = all(list, "summary")
    t.eq(values(summaries[#summaries].update).state, "cancelled")
  end, 40, cancelled)
end)

-- Artifacts of a log by name, and the names of its run files.
local function kept(list)
  local artifacts, files = {}, {}
  for _, a in ipairs(all(list, "artifact")) do artifacts[a.name] = a end
  for _, record in ipairs(all(list, "files")) do
    for _, f in ipairs(record.files) do files[#files + 1] = f.path end
  end
  return artifacts, files
end

-- Whether any file below dir holds the text.
local function holds(dir, text)
  return os.execute(("grep -rqF '%s' '%s'"):format(text, dir)) == true
end

t.test("recipe, lock file, data and model of a run are there with their lineage, and no text of an example", function()
  program.in_project(function(dir)
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    local result = program.result(r)
    local list, path = log_of(dir)
    local artifacts, files = kept(list)
    local folder = path:match "^(.*)/"
    t.eq(files, { "recipe.lua", "recipe.lock.json" })
    t.eq(fs.read(folder .. "/files/recipe.lua"), fs.read(dir .. "/toy.lua"))
    t.eq(fs.read(folder .. "/files/recipe.lock.json"), fs.read(dir .. "/toy.lock.json"))
    local lock = json.decode(fs.read(dir .. "/toy.lock.json"))
    local config = values(list[2].run.config.update)
    local id = config.train.file_id
    local train = artifacts["train-" .. id]
    t.eq({ train.type, train.user_created, train.use_after_commit, train.aliases },
      { "training_files", true, true, { "latest", id } })
    local facts = json.decode(train.metadata)
    t.eq({ facts.sha256, facts.rows, facts.tokens, facts.file_id },
      { lock.train.sha256, lock.train.rows, lock.train.tokens, id })
    t.eq(artifacts["valid-" .. config.validation.file_id].type, "validation_files")
    local model = artifacts["model-metadata"]
    t.eq({ model.type, model.user_created, model.aliases }, { "model", nil, { "latest", result.job } })
    t.eq(json.decode(model.metadata).fine_tuned_model, result.model)
    for _, a in pairs(artifacts) do
      for _, e in ipairs(a.manifest.contents) do
        local md5 = digest.md5_file(e.local_path)
        t.eq(digest.unbase64(e.digest):gsub(".", function(c) return ("%02x"):format(c:byte()) end), md5)
        t.eq({ e.size, e.local_path:sub(1, #fs.realpath(folder)) },
          { fs.stat(e.local_path).bytes, fs.realpath(folder) })
      end
    end
    t.ok(holds(dir .. "/rows.jsonl", "Текст закону"))
    t.ok(not holds(folder, "Текст закону"), "a text of the data is in the W&B run")
  end, 40, WANTED)
end)

t.test("texts of examples are logged when the recipe says so, as artifacts and as tables", function()
  local open = WANTED:gsub('project = "laws",', 'project = "laws", log_datasets = true,')
  program.in_project(function(dir)
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    local list, path = log_of(dir)
    local artifacts = kept(list)
    local result, id = program.result(r), values(list[2].run.config.update).train.file_id
    local found
    for _, e in ipairs(artifacts["train-" .. id].manifest.contents) do
      if e.path == id then found = fs.read(e.local_path) end
    end
    t.eq(found, fs.read(dir .. "/" .. result.dir .. "/train.jsonl"))
    local value = values(all(list, "history")[1].item).train_data
    t.eq({ value._type, value.ncols, value.nrows }, { "table-file", 3, select(2, found:gsub("\n", "")) })
    local media = fs.read(path:match "^(.*)/" .. "/files/" .. value.path)
    t.eq({ #media, digest.sha256(media) }, { value.size, value.sha256 })
    local content = json.decode(media)
    t.eq(content.columns, { "role: system", "role: user", "role: assistant" })
    t.has(content.data[1][2], "Текст закону")
    t.eq(artifacts[("run-%s-train_data"):format(result.run)].type, "run_table")
  end, 40, open)
end)

-- ---- calls ----

t.test("an evaluation's calls are a run of their own, with tokens, latency and totals, and no text", function()
  local evaluated = WANTED:gsub("}\n$", '  evaluate = { score = ft.exact {} },\n}\n')
  program.in_project(function(dir)
    local r = program.run(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    local result = program.result(r)
    local id, list = next(runs_of(dir .. "/.ftrun/wandb"))
    t.ok(id:find "^eval%-", id)
    t.eq({ list[2].run.job_type, list[2].run.project }, { "eval", "laws" })
    t.eq(values(list[2].run.config.update).ftrun_run, result.run)
    local rows = all(list, "history")
    local answers = select(2, fs.read(dir .. "/" .. result.dir .. "/evaluation.jsonl"):gsub("\n", ""))
    t.eq(#rows, answers)
    local last, tokens = values(rows[#rows].item), 0
    for i, row in ipairs(rows) do
      local v = values(row.item)
      t.eq(v._step, i - 1)
      tokens = tokens + v["call/prompt_tokens"] + v["call/completion_tokens"]
      t.ok(v["call/latency_s"] > 0)
    end
    t.eq({ last["total/calls"], last["total/errors"], last["total/tokens"], last["total/usd"] },
      { #rows, 0, tokens, 0 })
    local summary = values(all(list, "summary")[1].update)
    t.ok(summary["latency_s/p95"] >= summary["latency_s/median"])
    t.eq(all(list, "exit")[1].exit_code or 0, 0)
    t.ok(not holds(dir .. "/.ftrun/wandb", "Текст закону"))
    -- and the run itself has the scores as tables, also without texts
    local run = log_of(dir)
    local tables = {}
    for _, h in ipairs(all(run, "history")) do
      for name, v in pairs(values(h.item)) do if type(v) == "table" then tables[name] = v.nrows end end
    end
    t.eq({ tables["eval/answers"], tables["eval/scores"] }, { answers, #result.evaluation.scores })
    -- what was answered is not asked again: there is nothing to log
    t.eq(program.run(dir, {}, "eval").code, 0)
    local count = 0
    for _ in pairs(runs_of(dir .. "/.ftrun/wandb")) do count = count + 1 end
    t.eq(count, 1)
  end, 40, evaluated)
end)

t.test("a day's chats are one run, made only when WANDB_ENABLED asks for it; WANDB_DIR says where", function()
  program.in_project(function(dir)
    t.eq(program.run(dir, {}, "--local", "toy.lua").code, 0)
    t.eq(program.run(dir, { WANDB_PROJECT = "p" }, "chat", "Стаття 7. Текст").code, 0)
    t.eq(next(runs_of(dir .. "/.ftrun/wandb")), nil)
    for i = 1, 3 do
      local r = program.run(dir, { WANDB_ENABLED = "true", WANDB_DIR = dir .. "/elsewhere" }, "chat",
        "Стаття 7. Текст " .. i)
      t.eq({ r.code, r.err:find "W&B" }, { 0 }, r.err)
    end
    local found, ids = runs_of(dir .. "/elsewhere/wandb"), {}
    for id in pairs(found) do ids[#ids + 1] = id end
    t.eq(#ids, 1)
    local rows = all(found[ids[1]], "history")
    t.eq({ #rows, values(rows[3].item)["total/calls"], found[ids[1]][2].run.job_type }, { 3, 3, "chat" })
    t.ok(not holds(dir .. "/elsewhere", "Стаття"))
  end)
end)

t.test("a call costs microseconds", function()
  local dir <close> = t.folder()
  local calls = require "ftrun.wandb.calls"
  local places = require "ftrun.wandb.places"
  local root = places.root
  places.root = function() return dir.path end
  local _ <close> = setmetatable({}, { __close = function() places.root = root end })
  local time = require "ft.time"
  local logged = calls.open { job_type = "extract", recipe = { wandb = { project = "p" } }, provider = "local" }
  local n, started = 2000, time.monotonic()
  for _ = 1, n do
    logged.call { model = "ft:x", seconds = 0.1, usage = { prompt_tokens = 10, completion_tokens = 5 } }
  end
  local each = (time.monotonic() - started) / n
  logged.close()
  t.ok(each < 200e-6, each) -- some 20 on a quiet machine
  local _, list = next(runs_of(dir.path))
  t.eq(#all(list, "history"), n)
end)

t.test("what keeps W&B from being logged is said, and never stops a run", function()
  for name, value in pairs { WANDB_ENABLED = "false", WANDB_MODE = "disabled", WANDB_DISABLED = "true" } do
    program.in_project(function(dir)
      local r = program.run(dir, { [name] = value }, "--local", "toy.lua")
      t.eq(r.code, 0, r.err)
      t.has(r.err, "W&B not initialised: " .. name .. " is " .. value)
      t.eq(log_of(dir), nil)
    end, 40, WANTED)
  end
  program.in_project(function(dir)
    for _, mode in ipairs { "disabled", "online" } do
      local r = program.run(dir, { WANDB_MODE = mode }, "--local", "toy.lua", "--new")
      t.ok(not r.err:find("W&B", 1, true), r.err)
      t.eq(log_of(dir), nil)
    end
    -- who says how, but not that, is told
    local r = program.run(dir, { WANDB_MODE = "offline" }, "--local", "toy.lua", "--new")
    t.has(r.err, "W&B not initialised: nothing asks for it")
  end)
end)

t.test("wandb status tells what is set and what is missing, and no key", function()
  local dir <close> = t.folder()
  local key = "local-" .. ("0123456789"):rep(4)
  local r = program.run(dir.path, {}, "wandb", "status")
  t.eq(r.code, 0, r.err)
  t.has(r.out, "W&B not initialised: nothing asks for it")
  t.has(r.out, "nor for api.wandb.ai in netrc")
  r = program.run(dir.path, { WANDB_API_KEY = key, WANDB_PROJECT = "a/b" }, "wandb", "status", "--json")
  local status = json.decode(r.out)
  t.eq({ status.logs, status.project, status.key }, { true, "a-b", "environment" })
  t.ok(not (r.out .. r.err):find(key, 1, true))
  assert(fs.write(dir.path .. "/.netrc", "machine localhost:8080 login user password " .. key .. "\n"))
  r = program.run(dir.path, { WANDB_BASE_URL = "http://localhost:8080/" }, "wandb", "status")
  t.has(r.out, "found (" .. dir.path .. "/.netrc)")
  t.ok(not (r.out .. r.err):find(key, 1, true))
  t.eq(program.run(dir.path, {}, "wandb", "sync").code, 2)
end)

-- ---- what is there already ----

--- What a log says of the job: history, the last summary, the exit code, names of artifacts.
local function said(list)
  local rows, last, names = {}, nil, {}
  for i, h in ipairs(all(list, "history")) do rows[i] = values(h.item) end
  for _, s in ipairs(all(list, "summary")) do last = values(s.update) end
  last["_wandb.runtime"] = nil -- of the clock, where an event has no time
  for _, a in ipairs(all(list, "artifact")) do names[#names + 1] = a.name end
  table.sort(names)
  return rows, last, all(list, "exit")[1].exit_code or 0, names
end

t.test("a run is logged afterwards as it would have been while it went on; once, unless --overwrite asks", function()
  program.in_project(function(dir)
    local result = program.result(program.run(dir, {}, "--local", "toy.lua", "--json"))
    local rows, last, code, names = said((log_of(dir)))
    local _, path = log_of(dir)
    assert(fs.remove(path:match "^(.*)/", true))
    local r = program.run(dir, {}, "wandb", "sync", "toy", "--json")
    t.eq(r.code, 0, r.err)
    local told = json.decode(r.out)
    t.eq({ told.type, told.did, told.run }, { "wandb", "logged", result.run })
    local list, again = log_of(dir)
    t.eq({ again, told.dir }, { path, path:match("^(.*)/"):sub(#dir + 2) })
    local rows2, last2, code2, names2 = said(list)
    t.eq({ rows2, last2, code2, names2 }, { rows, last, code, names })
    local bytes = fs.read(path)
    for _, name in ipairs { result.run, result.job, "--all" } do
      r = program.run(dir, {}, "wandb", "sync", name)
      t.eq(r.code, 0, r.err)
      t.has(r.out:gsub("%s+", " "), "skipped: it is logged already (--overwrite")
    end
    t.eq(fs.read(path), bytes)
    assert(fs.write(path .. ".synced", ""))
    t.has(program.run(dir, {}, "wandb", "sync", "toy").out, "sent already")
    t.eq(program.run(dir, {}, "wandb", "sync", "toy", "--overwrite").code, 0)
    t.eq(fs.stat(path .. ".synced"), nil)
    -- a recipe that was changed since says nothing any more
    assert(fs.write(dir .. "/toy.lua", fs.read(dir .. "/toy.lua") .. "-- changed\n"))
    r = program.run(dir, { WANDB_PROJECT = "other" }, "wandb", "sync", "toy", "--overwrite")
    t.has(r.err, "was changed since")
    t.eq((log_of(dir))[2].run.project, "other")
  end, 40, WANTED)
end)

t.test("a job of the provider is logged from what the provider has, under the job's id", function()
  program.in_project(function(dir)
    local s <close> = program.serve(dir)
    local env = { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "local-key-of-nobody" }
    local result = program.result(program.run(dir, env, "toy.lua", "--yes", "--json"))
    t.eq(result.state, "succeeded")
    local far <close> = t.folder()
    local r = program.run(far.path, env, "wandb", "sync", result.job, "--json")
    t.eq(r.code, 0, r.err)
    local list = runs_of(far.path .. "/.ftrun/wandb")[result.job]
    local rows, last, code, names = said(list)
    local metrics = program.metrics(dir, result)
    t.eq(#rows, #metrics)
    for i, m in ipairs(metrics) do t.eq({ rows[i]._step, rows[i].train_loss }, { m.step, m.train_loss }) end
    t.eq({ last.status, last.fine_tuned_model, code }, { "succeeded", result.model, 0 })
    t.eq({ #names, names[1], names[2]:sub(1, 11), names[3]:sub(1, 11) }, { 3, "model-metadata", "train-file-",
      "valid-file-" })
    t.eq(json.decode(program.run(far.path, env, "wandb", "sync", result.job, "--json").out).did, "skipped")
    -- --all finds it too, and knows the jobs of own runs
    local other <close> = t.folder()
    r = program.run(other.path, env, "wandb", "sync", "--all", "--json")
    t.eq({ json.decode(r.out).run, json.decode(r.out).did }, { result.job, "logged" })
    r = program.run(dir, env, "wandb", "sync", "--all", "--json")
    t.eq({ json.decode(r.out).run, r.out:find(result.job, 1, true) }, { result.run })
    r = program.run(far.path, env, "wandb", "sync", "ftjob-none")
    t.eq(r.code, 8, r.err)
    t.eq(program.run(far.path, { WANDB_MODE = "disabled" }, "wandb", "sync", result.job).code, 5)
    t.eq(program.run(far.path, env, "wandb", "status", result.job).code, 2)
  end)
end)

t.test("a result file gives the steps that the events do not have", function()
  local existing = require "ftrun.wandb.existing"
  t.eq(existing.result_rows "\xEF\xBB\xBFstep,train_loss,valid_loss\r\n1,0.5,\r\n2,0.25,nan\n\"3\",1e-3,7\nx,1,1\n",
    { { step = 1, train_loss = 0.5 }, { step = 2, train_loss = 0.25 },
      { step = 3, train_loss = 0.001, valid_loss = 7 } })
  t.eq(existing.result_rows "", {})
  local provider = { get = function() return { id = "ftjob-1", state = "succeeded", status = "succeeded" } end,
    checkpoints = function() return {} end,
    result = function() return "step,train_loss,valid_loss\n1,1,2\n2,0.5,1\n3,0.3,1\n4,0.1,1\n5,0.05,1\n" end }
  provider.events = function()
    local list = { { id = "a", kind = "metrics", created_at = 5, metrics = { step = 2, train_loss = 0.5 } },
      { id = "b", kind = "metrics", created_at = 7, metrics = { step = 4, train_loss = 0.1 } } }
    return function() return table.remove(list, 1) end
  end
  local steps = {}
  for _, e in ipairs(existing.job(provider, "ftjob-1").events) do
    if e.type == "metrics" then steps[#steps + 1] = { e.step, e.metrics.valid_loss, e.created_at } end
  end
  t.eq(steps, { { 1, 2, 5 }, { 2, 1, 5 }, { 3, 1, 7 }, { 4, 1, 7 }, { 5, 1, 7 } })
end)

t.test("the SDK's settings files are read below the environment, the folder's before the user's", function()
  local dir <close> = t.folder()
  assert(fs.mkdir(dir.path .. "/.config/wandb"))
  assert(fs.mkdir(dir.path .. "/wandb"))
  assert(fs.write(dir.path .. "/.config/wandb/settings", "[default]\nproject = users\nentity = team\nmode = offline\n"))
  assert(fs.write(dir.path .. "/wandb/settings", "[default]\nproject = here\n"))
  local s = json.decode(program.run(dir.path, {}, "wandb", "status", "--json").out)
  t.eq({ s.logs, s.project, s.entity }, { false, "here", "team" })
  s = json.decode(program.run(dir.path, { WANDB_PROJECT = "mine", WANDB_API_KEY = "local-" .. ("0"):rep(40) }, "wandb",
    "status", "--json").out)
  t.eq({ s.logs, s.online, s.project, s.offline_why }, { true, false, "mine", "WANDB_MODE is offline" })
  local r = program.run(dir.path, {}, "wandb", "status")
  t.has(r.out, "team (" .. dir.path .. "/.config/wandb/settings)")
  t.has(r.out, "wandb/settings: read")
end)

t.test("what uploads an offline run is told in a line that fits: the id's end names its folder", function()
  local sink = require "ftrun.wandb.sink"
  t.eq(sink.upload ".ftrun/wandb/offline-run-20261122_101705-eval-20261122-101705-dc8017ab/run-x.wandb",
    "upload it: wandb sync .ftrun/wandb/*-dc8017ab")
  t.eq(sink.upload "my runs/offline-run-20261122_101705-it's-1/run-x.wandb",
    "upload it: wandb sync 'my runs/offline-run-20261122_101705-it'\\''s-1'")
end)
