--- Commands that stand for a run without a recipe, or look at one: tune, checkpoints, pause, resume, doctor.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"

local ftrun = program.run

--- Runs body(dir, settings) in a folder with train.jsonl and validation.jsonl, and a provider behind OPENAI_BASE_URL.
local function with_provider(body)
  local folder <close> = t.folder()
  local dir = folder.path
  for name, n in pairs { train = 24, validation = 6 } do
    local lines = {}
    for i = 1, n do
      lines[i] = json.encode { messages = { { role = "system", content = "Find the number." },
        { role = "user", content = ("Стаття %d. Текст."):format(100 + i * 7) },
        { role = "assistant", content = ('{"number": "%d"}'):format(100 + i * 7) } } } .. "\n"
    end
    t.ok(fs.write(("%s/%s.jsonl"):format(dir, name), table.concat(lines)))
  end
  local s <close> = program.serve(dir)
  body(dir, { OPENAI_BASE_URL = s.url, OPENAI_API_KEY = "sk-local-test" })
end

t.test("tune uploads, trains and follows to the end with the guide's options", function()
  with_provider(function(dir, env)
    local r = ftrun(dir, env, "tune", "--training-file", "train.jsonl", "--validation-file", "validation.jsonl",
      "--upload", "--base-model", "gpt-4o-mini", "--suffix", "laws", "--n-epochs", "2", "--batch-size", "4",
      "--learning-rate", "0.5", "--monitor", "--yes", "--json")
    t.eq(r.code, 0, r.err)
    local result = program.result(r)
    t.eq(result.state, "succeeded")
    t.has(result.model, ":laws:")
    local job = json.decode(ftrun(dir, env, "status", "--json").out)
    t.eq(job.hyperparameters, { n_epochs = 2, batch_size = 4, learning_rate_multiplier = 0.5 })
    local checkpoints = json.decode(ftrun(dir, env, "checkpoints", "--json").out)
    t.eq({ #checkpoints, checkpoints[2].step }, { 2, 12 })
    t.has(ftrun(dir, env, "checkpoints").out, "step 12: full_valid_loss 0.")
    local again = ftrun(dir, env, "tune", "--training-file", job.training_file, "--validation-file",
      job.validation_file, "--n-epochs", "1", "--monitor", "--yes", "--json")
    t.eq(again.code, 0, again.err)
    t.eq(program.result(again).state, "succeeded")
  end)
end)

t.test("tune without --monitor ends when the job is created, and the same command does not create another", function()
  with_provider(function(dir, env)
    local words = { "tune", "--training-file", "train.jsonl", "--upload", "--n-epochs", "50", "--batch-size", "1",
      "--yes", "--json" }
    local r = ftrun(dir, env, table.unpack(words))
    t.eq(r.code, 0, r.err)
    local result = program.result(r)
    t.eq(result.state, "open")
    t.has(r.err, "ftrun watch " .. result.run)
    t.eq(program.result(ftrun(dir, env, table.unpack(words))).job, result.job)
    t.eq(#json.decode(ftrun(dir, env, "list", "--jobs", "--json").out), 1)
    t.eq(json.decode(ftrun(dir, env, "pause", "--json").out).state, "paused")
    t.ok(json.decode(ftrun(dir, env, "resume", "--json").out).state ~= "paused")
    t.eq(json.decode(ftrun(dir, env, "cancel", "--json").out).state, "cancelled")
    for command, done in pairs { pause = "paused", resume = "resumed" } do
      local late = ftrun(dir, env, command)
      t.eq({ late.code, late.out }, { 8, "" })
      t.eq(late.err, ("ftrun: job %s cannot be %s: it has ended already (cancelled)\n"):format(result.job, done))
    end
    local again = ftrun(dir, env, "cancel")
    t.eq({ again.code, again.err }, { 0, ("job %s has ended already: cancelled\n"):format(result.job) })
  end)
end)

t.test("tune names what is missing: the file, --upload, a number", function()
  with_provider(function(dir, env)
    for part, words in pairs {
      ["--upload"] = { "--training-file", "train.jsonl" },
      ["nosuch.jsonl"] = { "--training-file", "nosuch.jsonl", "--upload" },
      ["missing option '--training-file'"] = { "--upload" },
      ["from 1 to 50"] = { "--training-file", "train.jsonl", "--n-epochs", "51" },
      ["above 0"] = { "--training-file", "train.jsonl", "--learning-rate", "0" },
    } do
      local r = ftrun(dir, env, "tune", table.unpack(words))
      t.eq(r.code, 2, r.err)
      t.has(r.err, part)
    end
  end)
end)

t.test("tune --method asks for preferences or reinforcement; a provider without them refuses by name", function()
  with_provider(function(dir, env)
    local pairs_of, asked = {}, {}
    for i = 1, 12 do
      local question = { { role = "user", content = "Q" .. i } }
      pairs_of[i] = json.encode { input = { messages = question }, non_preferred_output = { { role = "assistant",
        content = "no" } }, preferred_output = { { role = "assistant", content = "yes" } } } .. "\n"
      asked[i] = json.encode { messages = question, answer = "a\n" .. i } .. "\n"
    end
    assert(fs.write(dir .. "/pairs.jsonl", table.concat(pairs_of)))
    assert(fs.write(dir .. "/asked.jsonl", table.concat(asked)))
    assert(fs.write(dir .. "/grader.json", json.encode { type = "score_model", name = "judge", model = "m",
      input = { { role = "user", content = 'Is "{{sample.output_text}}"\nright?' } }, range = { 0, 1 } }))
    local dpo = ftrun(dir, env, "tune", "-t", "pairs.jsonl", "--upload", "--method", "dpo", "--beta", "0.2", "--yes",
      "--json")
    t.eq(dpo.code, 8, dpo.err)
    t.has(dpo.err, "method_not_supported, field method.type")
    t.has(dpo.out, '"beta":0.2')
    local graded = ftrun(dir, env, "tune", "-t", "asked.jsonl", "--validation-file", "asked.jsonl", "--upload",
      "--method", "reinforcement", "--grader", "grader.json", "-m", "o4-mini", "--yes", "--json")
    t.eq(graded.code, 8, graded.err)
    local plan = json.decode(graded.out:match "[^\n]+").plan
    t.eq(plan.request.grader.input[1].content, 'Is "{{sample.output_text}}"\nright?')
    t.eq(#json.decode(ftrun(dir, env, "list", "--jobs", "--json").out), 0)
    assert(fs.write(dir .. "/grader.json", '{"type":"multi"}'))
    local multi = ftrun(dir, env, "tune", "-t", "asked.jsonl", "--upload", "--method", "reinforcement", "--grader",
      "grader.json")
    t.eq(multi.code, 2, multi.err)
    t.has(multi.err, "no grader of the type 'multi'")
  end)
end)

t.test("tune tells wrong rows by kind, with paths as they are typed, and its recipe names no folder", function()
  local folder <close> = t.folder()
  local lines = {}
  for i = 1, 12 do lines[i] = i % 2 == 0 and '{"messages":[],}' or '{"messages":[{"role":"user","content":"a"}]}' end
  assert(fs.mkdir(folder.path .. "/data"))
  assert(fs.write(folder.path .. "/data/rows.jsonl", table.concat(lines, "\n") .. "\n"))
  local r = ftrun(folder.path, {}, "tune", "-t", "data/rows.jsonl", "--local", "--quiet")
  t.eq(r.code, 4, r.err)
  t.eq(r.err, "ftrun: data/rows.jsonl:1: messages: there is no answer of the assistant to learn from; "
    .. "add it as the last message (6 times)\n  also lines 3, 5, 7, 9 and 1 more\n"
    .. "ftrun: data/rows.jsonl:2: not JSON: expected a key in double quotes; "
    .. "write one whole JSON object on the line (6 times)\n  also lines 4, 6, 8, 10 and 1 more\n"
    .. "  Lines that are no examples yet need a recipe that makes them: ftrun init writes one to change.\n")
  local made = folder.path .. "/.ftrun/tune/" .. fs.list(folder.path .. "/.ftrun/tune")[1]
  t.ok(not fs.read(made):find(folder.path, 1, true))
  t.has(fs.read(made), 'train = "rows.jsonl"')
end)

t.test("tune on the local provider needs neither --upload nor --monitor", function()
  with_provider(function(dir)
    local r = ftrun(dir, {}, "tune", "--local", "--training-file", "train.jsonl", "--n-epochs", "1", "--json")
    t.eq(r.code, 0, r.err)
    t.eq(program.result(r).state, "succeeded")
  end)
end)

t.test("doctor says of each part whether it works, and what to do", function()
  with_provider(function(dir, env)
    local r = ftrun(dir, env, "doctor")
    t.eq(r.code, 0, r.err)
    t.has(r.out, "ok   key")
    t.has(r.out, "gpt-4o-mini-2024-07-18 is shut down on")
    t.has(r.out, "ok   local")
    t.ok(not r.out:find "sk%-local")
    local none = json.decode(ftrun(dir, {}, "doctor", "--json").out)
    local states = {}
    for _, finding in ipairs(none) do states[finding.check] = finding.state end
    t.eq({ states.key, states.database, states.folder }, { "note", "note", "ok" })
    local bad = ftrun(dir, { OPENAI_API_KEY = "sk-x", OPENAI_BASE_URL = env.OPENAI_BASE_URL .. "/none" }, "doctor")
    t.eq(bad.code, 5, bad.out)
    t.has(bad.out, "BAD  key")
    t.has(ftrun(dir, { DATABASE_URL = "postgresql://u:secret-word@127.0.0.1:1/d" }, "doctor").out, "BAD  database")
  end)
end)
