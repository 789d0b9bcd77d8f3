--- The program as a user starts it: what it prints, where, and its exit code.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"
local time = require "ft.time"

local ftrun, in_project, write_rows, RECIPE = program.run, program.in_project, program.write_rows, program.RECIPE

t.test("help, version and man page go to stdout with exit code 0", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "--help")
    t.eq({ r.code, r.err }, { 0, "" })
    t.has(r.out, "Exit codes:")
    t.has(ftrun(dir, {}).out, "Usage: ftrun")
    t.has(ftrun(dir, {}, "--version").out, "ftrun " .. require "ft.version")
    t.has(ftrun(dir, {}, "plan", "--help").out, "Example:")
    for line in ftrun(dir, {}, "run", "--help").out:gmatch("[^\n]+") do t.ok(#line <= 80, line) end
  end)
end)

t.test("a wrong command line is exit code 2 with what was meant", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "pln", "toy.lua")
    t.eq({ r.code, r.out }, { 2, "" })
    t.has(r.err, "Did you mean 'plan'?")
    t.eq(ftrun(dir, {}, "plan").code, 2)
    t.has(ftrun(dir, {}, "plan", "--limit", "many", "toy.lua").err, "expected a whole number of at least 1, got 'many'")
    t.eq(ftrun(dir, {}, "plan", "--limit", "0", "toy.lua").code, 2)
    t.eq(ftrun(dir, {}, "status").code, 2)
    t.has(ftrun(dir, {}, "plan").err, "See: ftrun plan --help")
    t.has(ftrun(dir, {}, "toy").err, "A recipe is named by its path")
    t.has(ftrun(dir, {}, "pln", "toy.lua").err, "See: ftrun --help")
    t.ok(not ftrun(dir, {}, "plan", "--limit", "-1", "toy.lua").err:find("Did you mean", 1, true))
    t.has(ftrun(dir, {}, "plan", "--limt", "1", "toy.lua").err, "  Did you mean '--limit'?\n")
  end)
end)

t.test("an option under a shorter or an older name, and a file where options stand, lead to the right one", function()
  in_project(function(dir)
    local function told(...) return ftrun(dir, {}, ...).err end
    t.has(told("tune", "--train-file", "a.jsonl"), "Did you mean '--training-file'?")
    t.has(told("tune", "--model", "m"), "Did you mean '--base-model'?")
    t.has(told("tune", "a.jsonl"), "It takes options only: --training-file <file>")
    t.has(told("rows.jsonl"), "ftrun tune --training-file FILE")
    t.ok(not told("eval", "--rows", "a.jsonl"):find("Did you mean", 1, true))
    t.ok(not told("plan", "toy.lua", "more.lua"):find("options only", 1, true))
  end)
end)

t.test("where no run is, the message says where runs lie and how to begin", function()
  in_project(function(dir)
    for _, command in ipairs { "list", "status", "chat", "eval", "report" } do
      local said = ftrun(dir, {}, command, command == "chat" and "hi" or nil).err
      t.has(said, dir .. "/.ftrun")
      t.has(said, "FTRUN_DIR")
      t.has(said, "ftrun init")
    end
  end)
end)

t.test("a recipe named without its ending is told apart from commands and options", function()
  in_project(function(dir)
    for _, words in ipairs { { "toy" }, { "--local", "toy" }, { "--local", "--yes", "toy" } } do
      local r = ftrun(dir, {}, table.unpack(words))
      t.eq(r.code, 2)
      t.has(r.err, "unknown command 'toy'")
      t.has(r.err, "A recipe is named by its path: toy.lua\n")
    end
    t.has(ftrun(dir, {}, "--local", "toi").err, "unknown command 'toi'")
  end)
end)

t.test("what a plan counts before, the local provider counts after", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "--local", "toy.lua", "--json")
    local planned = json.decode(r.out:match '[^\n]*"type":"plan"[^\n]*').plan
    t.eq(program.result(r).trained_tokens, planned.cost.billed_tokens.likely)
    local chat = json.decode(ftrun(dir, {}, "chat", "--json", "--system", "Find the number.", "Стаття 5.").out)
    local tokens <close> = require("ftrun.data.tokens").counter { model = "gpt-4o-mini-2024-07-18" }
    t.eq(chat.usage.prompt_tokens + 3 + tokens:text "assistant" + tokens:text(chat.text),
      tokens:row(json.encode { messages = { { role = "system", content = "Find the number." },
        { role = "user", content = "Стаття 5." }, { role = "assistant", content = chat.text } } }))
    t.eq(chat.usage.completion_tokens, tokens:text(chat.text))
  end)
end)

t.test("watch and status say what has still to be done for a run whose job has ended", function()
  in_project(function(dir)
    local result = program.result(ftrun(dir, {}, "--local", "toy.lua", "--set", "seed=3", "--json"))
    t.has(ftrun(dir, {}, "watch").err, "ask it: ")
    t.ok(not ftrun(dir, {}, "status").out:find("not finished", 1, true))
    -- as after Ctrl-C: the job went on, the run did not
    local path = dir .. "/" .. result.dir .. "/run.json"
    local summary = json.decode(fs.read(path))
    summary.state, summary.phase, summary.model = "open", "create", nil
    assert(fs.write(path, json.encode(summary)))
    local watched = ftrun(dir, {}, "watch")
    t.eq(watched.code, 0)
    t.has(watched.err, "the run is not finished: what is left (measuring, report, lock file) does:\n"
      .. "  ftrun --local toy.lua --set seed=3\n")
    t.ok(not watched.err:find("ask it", 1, true), watched.err)
    local status = ftrun(dir, {}, "status").out
    t.has(status, "not finished")
    t.has(status, "ftrun --local toy.lua --set seed=3")
  end)
end)

t.test("chat says when it asks without the system prompt that the examples have", function()
  in_project(function(dir)
    t.eq(ftrun(dir, {}, "--local", "toy.lua").code, 0)
    t.has(ftrun(dir, {}, "chat", "text 3").err, "asked without the system prompt")
    t.ok(not ftrun(dir, {}, "chat", "--system", "x", "text 3").err:find("without", 1, true))
    -- a run that does not say how it is measured leads to a command that measures it
    local r = ftrun(dir, {}, "eval")
    t.eq(r.code, 2)
    local command = t.ok(r.err:match "\n%s+ftrun (eval toy%-%S+ %-%-score %S+)", r.err)
    local words = {}
    for word in command:gmatch "%S+" do words[#words + 1] = word end
    t.eq(ftrun(dir, {}, table.unpack(words)).code, 0)
    t.has(ftrun(dir, {}, "eval", "--score", "exact").err, "run toy-")
  end)
end)

t.test("a run that is there already is named, not the one that never began; chat names its model and run", function()
  in_project(function(dir)
    t.eq(ftrun(dir, {}, "--local", "toy.lua").code, 0)
    local r = ftrun(dir, {}, "--local", "toy.lua")
    t.eq(r.code, 0)
    t.has(r.err, "did this already")
    t.ok(not r.err:find(" on local", 1, true), r.err)
    t.has(ftrun(dir, {}, "chat", "text 3").err, " (of the newest run, toy-")
    t.ok(not ftrun(dir, {}, "chat", "--run", "toy", "text 3").err:find("newest", 1, true))
  end, 30)
end)

t.test("a column that is misspelt in example leads to the columns that are there", function()
  in_project(function(dir)
    assert(fs.write(dir .. "/wrong.lua", (RECIPE:gsub("row%.text", "row.txet:lower()"))))
    t.has(ftrun(dir, {}, "plan", "wrong.lua").err, "Did you mean text?")
    assert(fs.write(dir .. "/wrong.lua", (RECIPE:gsub("row%.text", "row.words"))))
    t.has(ftrun(dir, {}, "plan", "wrong.lua").err, "This row has answer, id, text.")
  end, 30)
end)

t.test("rows that are no examples lead to a recipe, whichever command meets them", function()
  in_project(function(dir)
    assert(fs.write(dir .. "/raw.jsonl", ('{"clause":"a","label":"b"}\n'):rep(12)))
    t.has(ftrun(dir, {}, "validate", "raw.jsonl").err, "ftrun init")
    t.has(ftrun(dir, {}, "tokens", "raw.jsonl").err, "nothing in its rows is counted")
    t.has(ftrun(dir, {}, "tune", "--local", "--training-file", "raw.jsonl").err, "ftrun init")
  end)
end)

t.test("an evaluation of a model that answered no row is exit code 16", function()
  in_project(function(dir)
    t.eq(ftrun(dir, {}, "prepare", "toy.lua", "-o", "ready.jsonl").code, 0)
    local function eval(...)
      return ftrun(dir, {}, "eval", "--local", "--data", "ready.jsonl", "--score", "exact", ...)
    end
    local r = eval("--model", "nope")
    t.eq(r.code, 16)
    t.has(r.err, "nope has answered no row")
    t.has(r.out, "score on 0 rows")
    t.eq(eval("--model", "gpt-4o-mini-2024-07-18").code, 0)
    t.eq(eval("--model", "gpt-4o-mini-2024-07-18", "--model", "nope").code, 16)
    local base = "gpt-4o-mini-2024-07-18"
    r = eval("--model", base, "--model", base)
    t.eq(r.code, 0, r.err)
    t.has(r.err, "--model " .. base .. ": it is named twice; it is measured once")
    local result = json.decode(eval("--model", base, "--model", base, "--json").out)
    t.eq({ result.models.tuned, result.others }, { nil, {} })
  end, 12)
end)

t.test("a plan without a key says that the run needs one, on stderr alone", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "plan", "toy.lua")
    t.eq(r.code, 0)
    t.has(r.err, "OPENAI_API_KEY is needed")
    t.eq(ftrun(dir, { OPENAI_API_KEY = "k" }, "plan", "toy.lua").err, "")
    t.eq(ftrun(dir, {}, "plan", "toy.lua", "--local").err, "")
    t.eq(ftrun(dir, {}, "plan", "toy.lua", "--json").err, "")
  end)
end)

t.test("a missing recipe and one with errors are exit code 3", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "--local", "nosuch.lua")
    t.eq(r.code, 3)
    t.has(r.err, "nosuch.lua")
    assert(fs.write(dir .. "/bad.lua", RECIPE:gsub("n_epochs", "n_epoch"):gsub('"toy"', "7")))
    r = ftrun(dir, {}, "plan", "bad.lua")
    t.eq(r.code, 3)
    t.has(r.err, "n_epoch")
    t.has(r.err, "n_epochs")
    t.has(r.err, "bad.lua:2")
    assert(fs.write(dir .. "/syntax.lua", "return ft.recipe {"))
    r = ftrun(dir, {}, "plan", "syntax.lua")
    t.eq(r.code, 3)
    t.has(r.err, "syntax.lua:1")
    t.ok(not r.err:find("traceback"), r.err)
  end)
end)

t.test("data that cannot be used is exit code 4", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "--local", "toy.lua")
    t.eq(r.code, 4)
    t.has(r.err, "10")
    write_rows(dir, 40, 17)
    r = ftrun(dir, {}, "--local", "toy.lua")
    t.eq(r.code, 4)
    t.has(r.err, "17")
  end, 5)
end)

t.test("without a key there is one message that says what to do, exit code 5", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "toy.lua", "--yes")
    t.eq(r.code, 5)
    t.has(r.err, "OPENAI_API_KEY")
    t.has(r.err, "--local")
  end)
end)

t.test("a provider that cannot be reached is exit code 7, and the next start continues", function()
  in_project(function(dir)
    local env = { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = "http://127.0.0.1:9/v1" }
    local r = ftrun(dir, env, "toy.lua", "--yes")
    t.eq(r.code, 7)
    t.has(r.err, "127.0.0.1")
    t.ok(not r.err:find("sk-test", 1, true), "the key is masked")
  end)
end)

t.test("--local trains, chats, lists; the same again is not trained twice; another seed gives other losses", function()
  in_project(function(dir)
    local first = ftrun(dir, {}, "--local", "toy.lua", "--json")
    t.eq(first.code, 0, first.err)
    local events = {}
    for line in first.out:gmatch("[^\n]+") do events[#events + 1] = t.ok(json.decode(line), line) end
    local result = events[#events]
    t.eq({ result.type, result.state }, { "result", "succeeded" })
    t.ok(result.model:find("^ft:gpt%-4o%-mini"), result.model)

    local again = ftrun(dir, {}, "--local", "toy.lua", "--json")
    t.eq(again.code, 0)
    t.eq(program.result(again).run, result.run)

    local metrics = program.metrics(dir, result)
    t.ok(#metrics >= 4)
    local new = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json", "--new"))
    t.eq(program.metrics(dir, new), metrics)
    local other = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json", "--set", "seed=8"))
    t.ok(program.metrics(dir, other)[#metrics].train_loss ~= metrics[#metrics].train_loss)

    local chat = ftrun(dir, {}, "chat", "--run", result.run, "--system", "Find the number.",
      "Стаття 999. Текст закону, частина 3.")
    t.eq(chat.code, 0, chat.err)
    t.has(chat.out, '"number"')
    t.has(ftrun(dir, {}, "list").out, result.run)
    t.has(ftrun(dir, {}, "status").out, "succeeded")
    t.has(ftrun(dir, {}, "events", result.run).out, "loss")
    t.eq(ftrun(dir, {}, "watch", result.run).code, 0)
    t.eq(ftrun(dir, {}, "cancel", result.run).code, 0)
  end)
end)

t.test("a run without a job shows how to go on, and does not hide the model of an older run", function()
  in_project(function(dir)
    local trained = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json"))
    local folder = dir .. "/.ftrun/runs/toy-interrupted" -- as after Ctrl-C during an upload
    assert(fs.mkdir(folder))
    assert(fs.write(folder .. "/run.json", json.encode { id = "toy-interrupted", number = 99, name = "toy",
      recipe = "toy.lua", provider = "openai", base_model = "m", created = "2026-11-22T00:00:00Z", phase = "confirm",
      state = "open" }))
    local r = ftrun(dir, {}, "status")
    t.eq(r.code, 0, r.err)
    t.has(r.out, "open: no job yet")
    t.has(r.out, "ftrun toy.lua")
    t.eq(json.decode(ftrun(dir, {}, "status", "--json").out).state, "open")
    t.eq(ftrun(dir, {}, "chat", "Стаття 999.").code, 0)
    t.has(ftrun(dir, {}, "events").out, trained.model)
    t.eq(ftrun(dir, {}, "cancel").code, 2)
    local list = ftrun(dir, {}, "list").out
    t.has(list, "open: ")
    t.has(list, "  free\n")
  end)
end)

t.test("events come oldest first, each checkpoint behind the numbers of its step", function()
  in_project(function(dir)
    t.eq(ftrun(dir, {}, "--local", "toy.lua").code, 0)
    local step, checkpoints = nil, 0
    for line in ftrun(dir, {}, "events", "--json").out:gmatch("[^\n]+") do
      local event = json.decode(line)
      if event.type == "metrics" then step = event.step end
      if event.type == "checkpoint" then
        t.eq(event.step, step)
        checkpoints = checkpoints + 1
      end
    end
    t.eq(checkpoints, 2)
  end)
end)

t.test("a run that is done says how to ask its model", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "--local", "toy.lua")
    local run = t.ok(r.err:match "ask it: ftrun chat %-%-run (%S+)", r.err)
    t.eq(ftrun(dir, {}, "chat", "--run", run, "Стаття 999.").code, 0)
  end)
end)

t.test("many chats at once in one folder are all answered, whoever's server ends first", function()
  in_project(function(dir)
    t.eq(ftrun(dir, {}, "--local", "toy.lua").code, 0)
    local chats, words = {}, { "chat", "Стаття 107. Текст закону." }
    local alone = ftrun(dir, {}, table.unpack(words)).out
    for i = 1, 8 do chats[i] = program.start(dir, {}, table.unpack(words)) end
    for _, chat in ipairs(chats) do
      while not chat.code() do time.sleep(0.01) end
      t.eq({ chat.code(), chat.out() }, { 0, alone }, chat.err())
    end
  end)
end)

t.test("a chat whose borrowed server is killed before it answers starts its own", function()
  in_project(function(dir)
    t.eq(ftrun(dir, {}, "--local", "toy.lua").code, 0)
    -- the server takes the question and never answers it
    local stall = '[{"route": "POST /chat/completions", "kind": "stall", "seconds": 60, "before": true}]'
    local server = program.start(dir, { FTRUN_SERVE_FAULTS = stall }, "serve", "--port", "0")
    while not server.err():find "listens on" do time.sleep(0.005) end
    local chat = program.start(dir, {}, "chat", "Стаття 107.")
    time.sleep(0.3)
    t.eq(chat.code(), nil, chat.err())
    server.kill()
    while not chat.code() do time.sleep(0.01) end
    t.eq(chat.code(), 0, chat.err())
    t.ok(#chat.out() > 1)
  end)
end)

t.test("a .env that cannot be read is said, with what to do; a link to nothing is no obstacle", function()
  in_project(function(dir)
    assert(fs.mkdir(dir .. "/.env"))
    local r = ftrun(dir, {}, "plan", "toy.lua", "--local")
    t.eq(r.code, 5)
    t.has(r.err, ".env: is a folder, not a file\n  Settings are NAME=value lines in a file: remove the folder")
    fs.remove(dir .. "/.env", true)
    os.execute(("ln -s gone '%s/.env'"):format(dir))
    r = ftrun(dir, {}, "plan", "toy.lua", "--local")
    t.eq(r.code, 0, r.err)
    t.has(r.err, ".env: is a link to a file that is not there; no setting is read from it")
  end)
end)

t.test("a job whose run is not here is watched to its end, and how to have the run here is said, and true", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "--local", "toy.lua", "--json")
    local result = program.result(r)
    fs.remove(dir .. "/.ftrun/runs", true)
    r = ftrun(dir, {}, "watch", "--local", result.job)
    t.eq(r.code, 0, r.err)
    t.has(r.err, 'ask it: ftrun chat --local --model ' .. result.model)
    t.has(r.err, ("the run %s, which made this job, is not in .ftrun/runs"):format(result.run))
    t.has(r.err, "\n  ftrun --local RECIPE\n")
    t.eq(fs.list(dir .. "/.ftrun/runs") or {}, {})
    t.ok(not ftrun(dir, {}, "watch", "--local", "--quiet", result.job).err:find "RECIPE")
    t.eq(program.result(ftrun(dir, {}, "watch", "--local", "--json", result.job)).model, result.model)
    local again = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json"))
    t.eq({ again.job, again.model, again.trained_by }, { result.job, result.model, result.run })
    t.ok(not ftrun(dir, {}, "watch", result.job).err:find "RECIPE")
  end)
end)

t.test("errors of a recipe come in the order of its lines", function()
  in_project(function(dir)
    assert(fs.write(dir .. "/bad.lua", RECIPE:gsub("seed", "sede"):gsub("n_epochs", "n_epoch")))
    local r = ftrun(dir, {}, "plan", "bad.lua")
    local first, last = r.err:find("bad.lua:4", 1, true), r.err:find("bad.lua:13", 1, true)
    t.ok(first and last and first < last, r.err)
  end)
end)

t.test("rows that are no examples are told to need a function", function()
  in_project(function(dir)
    assert(fs.write(dir .. "/rows.lua", 'return ft.recipe { name = "x", base_model = "m",'
      .. ' dataset = ft.jsonl { path = "rows.jsonl" } }'))
    local r = ftrun(dir, {}, "plan", "rows.lua")
    t.eq(r.code, 4)
    t.has(r.err, "example = function(row)")
  end)
end)

t.test("plan and prepare send nothing and say what they did", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "plan", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    t.ok(json.decode(r.out))
    t.has(r.out, '"first":[]')
    t.eq(ftrun(dir, {}, "plan", "toy.lua").code, 0)
    r = ftrun(dir, {}, "prepare", "toy.lua", "--output", "out.jsonl", "--limit", "12", "--json")
    t.eq(r.code, 0, r.err)
    local summary = json.decode(r.out)
    t.eq({ summary.type, summary.rows, summary.written }, { "summary", 12, 12 })
    local _, lines = fs.read(dir .. "/out.jsonl"):gsub("\n", "")
    t.eq(lines, 12)
    t.has(ftrun(dir, {}, "prepare", "toy.lua", "--output", "out.jsonl", "--limit", "12").out, "12 of 12 rows written")
    t.eq(fs.stat(dir .. "/.ftrun"), nil)
  end)
end)

t.test("a budget too small is exit code 12 before any request, with the numbers and what to do", function()
  program.against_server(function(dir, start, requests)
    local r = start("toy.lua", "--yes", "--set", "budget.max_usd=0.005")
    t.eq({ r.code, requests }, { 12, {} })
    t.has(r.err, "over the budget: training is estimated at $0.")
    t.has(r.err, "the budget is $0.005")
    t.has(r.err, "--set budget.max_usd=0.01")
    r = start("toy.lua", "--yes", "--set", "base_model=gpt-9", "--set", "budget.max_usd=5")
    t.eq({ r.code, requests }, { 12, {} })
    t.has(r.err, "ftrun knows no training price of gpt-9")
    r = start("toy.lua", "--yes", "--set", "budget.max_usd=5")
    t.eq(r.code, 8, r.err)
    t.ok(#requests > 0, "with enough budget the provider is asked")
    t.eq(fs.stat(dir .. "/toy.lock.json"), nil)
  end)
end)

t.test("plan --json has tokens, price, estimate and problems; the plan itself is exit code 0", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "plan", "toy.lua", "--json", "--set", "budget.max_usd=0.001")
    t.eq(r.code, 0, r.err)
    local p = json.decode(r.out)
    t.eq({ p.encoding, p.cost.epochs.max, p.cost.price.usd_per_million, p.problems[1].code },
      { "o200k_base", 2, 3, "over_budget" })
    t.eq(p.cost.billed_tokens.max, 2 * p.train.tokens.total)
    t.ok(p.cost.usd.max > 0.001 and p.cost.usd.max < 0.1, p.cost.usd.max)
  end)
end)

--- Exit code and the two streams of a shell command in dir; $FTRUN is the program.
local function shell(dir, command)
  local outside <close> = t.folder()
  os.execute(("cd %s && FTRUN=%s; ( %s ) >%s/out 2>%s/err </dev/null; echo $? >%s/code"):format(dir,
    os.getenv("FTRUN_BIN"), command, outside.path, outside.path, outside.path))
  return { out = fs.read(outside.path .. "/out"), err = fs.read(outside.path .. "/err"),
    code = tonumber((fs.read(outside.path .. "/code"))) }
end

t.test("results that could not be written are exit code 11; a reader that has enough is not", function()
  in_project(function(dir)
    local r = shell(dir, "$FTRUN --help >/dev/full")
    t.eq(r.code, 11)
    t.has(r.err, "standard output: No space left on device")
    fs.write(dir .. "/bad.jsonl", "{")
    r = shell(dir, "$FTRUN validate --json bad.jsonl >/dev/full")
    t.eq(r.code, 4)
    t.has(r.err, "standard output: No space left on device")
    r = shell(dir, "$FTRUN plan toy.lua --json >&-")
    t.eq(r.code, 11)
    t.eq(shell(dir, "{ $FTRUN --man; echo $? >code; } | true; exit $(cat code)").code, 0)
  end)
end)

t.test("a limit on the size of files is an error like a full disk, and leaves nothing behind", function()
  in_project(function(dir)
    local before = fs.list(dir)
    local r = shell(dir, "ulimit -f 1; $FTRUN prepare toy.lua -o out.jsonl")
    t.eq(r.code, 11)
    t.eq(r.err, "ftrun: out.jsonl: files of this size are not allowed here (ulimit -f shows the limit)\n")
    t.eq(fs.list(dir), before)
    r = shell(dir, "$FTRUN prepare toy.lua -o -")
    t.eq(r.code, 2)
    t.has(r.err, "/dev/stdout")
    t.eq(fs.list(dir), before)
    r = shell(dir, "$FTRUN prepare toy.lua --quiet -o /dev/stdout | wc -l")
    t.eq(r.out:match "%d+", "40")
  end)
end)

t.test("Ctrl-C ends a command that waits for its input, and one that counts without end", function()
  in_project(function(dir)
    -- once the program listens for the signal, which takes a sanitizer's some time, and has begun to work
    local function interrupt(command)
      return "env --default-signal=INT $FTRUN " .. command .. " & pid=$!; "
        .. "until grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status; do sleep 0.01; done; sleep 0.3; kill -INT $pid; "
        .. "wait $pid; code=$?; "
    end
    for _, command in ipairs { "validate -", "validate --json -", "tokens -", "split -" } do
      local r = shell(dir, "mkfifo f; sleep 30 >f & writer=$!; " .. interrupt(command .. " <f")
        .. "kill $writer; rm f; ls -A; exit $code")
      t.eq({ command, r.code, r.err }, { command, 130, "interrupted\n" })
      t.eq(r.out, "rows.jsonl\ntoy.lua\n")
    end
    local r = shell(dir, [[yes '{"text":"one two three"}' 2>/dev/null | head -c 10000000 >many
      ]] .. interrupt("tokens " .. ("many "):rep(500)) .. "exit $code")
    t.eq({ r.code, r.err }, { 130, "interrupted\n" })
  end)
end)

t.test("names of files that are no UTF-8 are no hindrance to results for programs", function()
  in_project(function(dir)
    local r = shell(dir, "cp rows.jsonl $(printf 'a\\377'); for c in 'validate --deep' tokens split; do "
      .. "$FTRUN $c --json $(printf 'a\\377') rows.jsonl | tail -1; done")
    t.eq(r.err, "")
    local n = 0
    for line in r.out:gmatch "[^\n]+" do
      n = n + 1
      t.eq(assert(json.decode(line)).type, "summary")
    end
    t.eq(n, 3)
    r = shell(dir, "$FTRUN tokens --json $(printf 'a\\377') rows.jsonl | head -1")
    t.has(r.out, '{"file":"a\u{FFFD}","line":1,')
    r = shell(dir, "$FTRUN prepare toy.lua --json -o $(printf 'o\\377')")
    t.eq({ r.code, json.decode(r.out).path }, { 0, "o\u{FFFD}" })
  end)
end)

t.test("too little memory is this machine's fault, not an internal error", function()
  in_project(function(dir)
    if shell(dir, "ulimit -v 200000; $FTRUN --version").code ~= 0 then return end -- sanitizers need more
    local r = shell(dir, "head -c 60000000 /dev/zero | tr '\\0' x >long; ulimit -v 150000; $FTRUN split long; "
      .. "code=$?; ls -A; exit $code")
    t.eq(r.code, 11, r.err)
    t.has(r.err, "ftrun: not enough memory for this")
    t.eq(r.out, "long\nrows.jsonl\ntoy.lua\n")
  end)
end)

t.test("closed standard streams are given to no file: a run without any is whole", function()
  in_project(function(dir)
    t.eq(shell(dir, "$FTRUN --local toy.lua <&- >&- 2>&-").code, 0)
    local result = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json"))
    t.eq(result.state, "succeeded")
    t.eq(#fs.list(dir .. "/.ftrun/runs"), 1)
  end)
end)

t.test("a port that is none is a wrong command line", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "serve", "--port", "99999")
    t.eq(r.code, 2)
    t.has(r.err, "'--port': expected a whole number from 0 to 65535, got '99999'")
  end)
end)

t.test("the question before a run names its cost, or says that it is not known", function()
  program.against_server(function(_, start, requests)
    local r = start("toy.lua")
    t.eq(r.code, 12, r.err)
    t.has(r.err, "Start this run for an estimated $0.0074? [y/N]")
    r = start("toy.lua", "--set", "base_model=gpt-9")
    t.eq(r.code, 12, r.err)
    t.has(r.err, "Start this run at a cost that is NOT KNOWN? [y/N]")
    t.has(r.err, "the provider shuts gpt-9 down on 2030-01-01")
    t.eq(requests, { "GET /v1/fine_tuning/jobs", "GET /v1/models/gpt-4o-mini-2024-07-18", "GET /v1/fine_tuning/jobs",
      "GET /v1/models/gpt-9" })
  end, function(r)
    local id = r.path:match("[^/]+$")
    return { status = 200, body = json.encode { id = id, object = "model", created = 1, owned_by = "x",
      shutdown_date = id == "gpt-9" and "2030-01-01" or nil } }
  end)
end)

local MEASURED = [[
  evaluate = { score = ft.json_f1 { "number" } },
  gate = { f1 = { at_least = %s } },
}
]]

t.test("a run measures its model; a gate that is not passed is exit code 13, and eval asks nothing again", function()
  in_project(function(dir)
    assert(fs.write(dir .. "/toy.lua", (RECIPE:gsub("}\n$", MEASURED:format "1.01"))))
    assert(fs.write(dir .. "/easy.lua", (RECIPE:gsub("}\n$", MEASURED:format "0"))))
    local r = ftrun(dir, {}, "--local", "toy.lua")
    t.eq(r.code, 13, r.err)
    t.has(r.err, "score on 1")
    t.has(r.err, "the gate was not passed, nothing was promoted: f1 is ")
    t.has(r.err, "at least 1.010 is asked for")
    r = ftrun(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 13, "the same again is the same answer")
    local result = program.result(r)
    t.eq({ result.state, result.gate.passed, result.evaluation.scores[1].name }, { "succeeded", false, "f1" })
    t.has(fs.read(dir .. "/toy.lock.json"), '"scores":[')
    local before = fs.read(dir .. "/" .. result.dir .. "/evaluation.jsonl")
    r = ftrun(dir, {}, "eval", "--json")
    t.eq(r.code, 0, r.err)
    t.eq(json.decode(r.out).scores, result.evaluation.scores)
    t.eq(fs.read(dir .. "/" .. result.dir .. "/evaluation.jsonl"), before)
    r = ftrun(dir, {}, "--local", "easy.lua")
    t.eq(r.code, 0, r.err)
    t.has(r.err, "gate passed: f1 is ")
    r = ftrun(dir, {}, "promote")
    t.eq(r.code, 2)
    t.has(r.err, "does not say where a model's id goes")
  end, 80)
end)

t.test("a model that passes its gate is promoted; past the gate only with --force; rollback undoes it", function()
  in_project(function(dir)
    local function recipe(name, bar)
      local text = MEASURED:format(bar):gsub("}\n$", '  promote = { key = "TOY_MODEL" },\n}\n')
      assert(fs.write(dir .. "/" .. name, (RECIPE:gsub("}\n$", text))))
    end
    recipe("toy.lua", "0")
    recipe("strict.lua", "1.01")
    assert(fs.write(dir .. "/.env", "A='keep me'\nTOY_MODEL=old # the model\n"))
    local function env() return fs.read(dir .. "/.env"):match "^A='keep me'\nTOY_MODEL=(%S+) # the model\n$" end
    local r = ftrun(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    local result = program.result(r)
    t.eq({ env(), result.promoted.previous }, { result.model, "old" })
    t.has(ftrun(dir, {}, "promote").out, "as it was")
    local record = result.promoted
    local hash = require("ft.digest").sha256_file(result.dir:find "^/" and result.dir .. "/lock.json"
      or dir .. "/" .. result.dir .. "/lock.json")
    t.eq({ record.lock_sha256, record.gate.passed, #record.recipe_sha256 }, { hash, true, 64 })
    t.has(ftrun(dir, {}, "status").out, "promoted          TOY_MODEL in ")

    r = ftrun(dir, {}, "--local", "--new", "strict.lua")
    t.eq(r.code, 13)
    t.eq(env(), result.model)
    t.eq(ftrun(dir, {}, "promote").code, 13)
    r = ftrun(dir, {}, "promote", "--force", "--json")
    t.eq({ r.code, json.decode(r.out).forced }, { 0, true })
    t.eq(env(), json.decode(r.out).model)
    t.ok(env() ~= result.model)

    r = ftrun(dir, {}, "rollback")
    t.has(r.out, "TOY_MODEL in ")
    t.has(r.out, "past the gate")
    t.has(ftrun(dir, {}, "status").out, "; undone ")
    t.eq(env(), result.model)
    t.eq({ ftrun(dir, {}, "rollback").code, env() }, { 0, "old" })
    t.eq(ftrun(dir, {}, "rollback").code, 2)
  end, 80)
end)

t.test("a try on the local provider does not take the place of a provider's model that is in use", function()
  in_project(function(dir)
    local text = MEASURED:format("0"):gsub("}\n$", '  promote = { key = "TOY_MODEL" },\n}\n')
    assert(fs.write(dir .. "/toy.lua", (RECIPE:gsub("}\n$", text))))
    assert(fs.write(dir .. "/.env", "TOY_MODEL=ft:gpt-4o-mini-2024-07-18:acme::9xYz\n"))
    local r = ftrun(dir, {}, "--local", "toy.lua")
    t.eq(r.code, 0, r.err)
    t.eq(fs.read(dir .. "/.env"), "TOY_MODEL=ft:gpt-4o-mini-2024-07-18:acme::9xYz\n")
    local _, times = r.err:gsub("not promoted: TOY_MODEL is ft:gpt", "")
    t.eq(times, 1)
    local run = t.ok(r.err:match "\n%s*ftrun promote (%S+)", r.err)
    t.eq(ftrun(dir, {}, "promote", run).code, 0)
    t.ok(fs.read(dir .. "/.env"):find(":local:", 1, true))
    t.has(ftrun(dir, {}, "--local", "toy.lua", "--new").err, "promoted: TOY_MODEL=")
  end, 80)
end)

t.test("a word that is missing is told with those that may stand there", function()
  in_project(function(dir)
    t.has(ftrun(dir, {}, "wandb").err, "There are: status, sync")
    t.has(ftrun(dir, {}, "completion").err, "There are: bash, zsh, fish")
  end)
end)

t.test("where a recipe may not promote to is known before anything is sent", function()
  in_project(function(dir)
    local text = MEASURED:format("0"):gsub("}\n$", '  promote = { key = "TOY_MODEL", env_file = "../.env" },\n}\n')
    assert(fs.write(dir .. "/toy.lua", (RECIPE:gsub("}\n$", text))))
    local r = ftrun(dir, {}, "--local", "toy.lua")
    t.eq(r.code, 3, r.err)
    t.has(r.err, "promote.env_file: ../.env does not lie below the current folder")
    t.has(r.err, "--set promote.env_file=../.env")
    t.ok(not r.err:find("uploaded", 1, true), r.err)
  end)
end)
