--- ftrun extract as its users start it: against the local provider, and against a server that truncates, mumbles, and
--- counts; killed, and interrupted.
local t = require "harness"
local dataset = require "ft.dataset"
local faults = require "ftrun.local.faults"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"
local time = require "ft.time"

local RECIPE = program.RECIPE:gsub("}%s*$", [[
  extract = {
    prompt = function(row) return ft.prompt { system = "Find the number.", user = row.text } end,
    piece = { characters = 200 },
    merge = { list = { "n" } },
  },
}
]])

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = t.ok(json.decode(line)) end
  return list
end

-- A server that finds "Стаття N." in the question, and waits so many seconds before it answers.
local function model(seconds)
  local m = { asked = {} }
  function m.handler(request)
    local body = json.decode(request.body)
    local text = body.messages[#body.messages].content
    if #body.messages > 2 then text = body.messages[2].content end -- it was asked again
    m.asked[#m.asked + 1] = text
    if seconds then time.sleep(seconds) end
    local items = {}
    for number in text:gmatch "Стаття (%d+)%." do items[#items + 1] = { n = number } end
    return { status = 200, body = json.encode { id = "c", model = body.model,
      choices = { { index = 0, finish_reason = "stop",
        message = { role = "assistant", content = json.encode { list = dataset.array(items) } } } },
      usage = { prompt_tokens = 20, completion_tokens = 5, total_tokens = 25 } } }
  end
  return m
end

local function act(from, to)
  local parts = {}
  for i = from, to do parts[#parts + 1] = ("Стаття %d. Назва.\nТекст статті про щось важливе.\n"):format(i) end
  return table.concat(parts)
end

local function write(dir, name, text) assert(fs.write(dir .. "/" .. name, text)) end

t.test("the model that a recipe has trained here extracts from texts and lines", function()
  program.in_project(function(dir)
    local r = program.run(dir, {}, "extract", "toy.lua", "a.txt")
    t.eq(r.code, 2)
    t.has(r.err, "toy has no model yet")
    t.eq(program.run(dir, {}, "--local", "--quiet", "toy.lua").code, 0)
    write(dir, "a.txt", "Стаття 814. Текст закону, частина 5.")
    r = program.run(dir, {}, "extract", "toy.lua", "a.txt", "rows.jsonl", "--json", "--limit", "4")
    t.eq(r.code, 0, r.err)
    local list = lines(r.out)
    t.eq({ #list, list[1].key, list[2].key, list[1].result.number }, { 5, "a.txt", "1", "814" })
    t.has(list[1].model, "ft:gpt-4o-mini-2024-07-18:local:")
    t.eq({ list[5].type, list[5].rows, list[5].extracted, list[5].failed, list[5].usd }, { "summary", 4, 4, 0, 0 })
    local again = program.run(dir, {}, "extract", "toy.lua", "a.txt", "rows.jsonl", "--limit", "4", "-o", "out.jsonl")
    t.eq({ again.out, fs.read(dir .. "/out.jsonl") }, { "", r.out:gsub("[^\n]*\n$", "") .. "" })
    t.has(again.err, "4 answered earlier")
    local dry = lines(program.run(dir, {}, "extract", "toy.lua", "a.txt", "--dry-run", "--quiet").out)[1]
    t.eq({ dry.pieces, dry.answered, dry.result }, { 1, 1, nil })
    t.ok(dry.prompt_tokens > 20)
  end, 40, RECIPE)
end)

t.test("what is missing or wrong is said before anything is asked", function()
  program.against_server(function(dir, start, requests)
    write(dir, "a.txt", "x")
    local function refused(code, message, ...)
      local r = start("extract", ...)
      t.eq({ r.code, r.out }, { code, "" }, r.err)
      t.has(r.err, message)
    end
    refused(2, "does not say how a text is asked about", "toy.lua", "a.txt", "--model", "m")
    write(dir, "toy.lua", RECIPE)
    refused(11, "there is no such file", "toy.lua", "b.txt", "--model", "m")
    refused(2, "no text is named", "toy.lua", "--model", "m")
    write(dir, "other.jsonl", '{"id":"1","clause":"x"}\n{"id":"2","clause":"y"}\n')
    local none = start("extract", "toy.lua", "other.jsonl", "--model", "m")
    t.eq(none.code, 0)
    t.has(none.err, "no row was asked about; what is cut and asked is the column text: extract.text names another")
    refused(2, "does not say where results are written", "toy.lua", "a.txt", "--write", "--model", "m")
    local wrong = 'merg = {}, piece = { token = 5 }, write = { table = "t" },'
    write(dir, "toy.lua", (RECIPE:gsub("merge = {[^\n]*", wrong)))
    local r = start("extract", "toy.lua", "a.txt")
    t.eq(r.code, 3)
    t.has(r.err, "extract.merg: unknown key; did you mean merge?")
    t.has(r.err, "extract.piece.token: unknown key; did you mean tokens?")
    t.has(r.err, "extract.write.column: missing")
    t.eq(requests, {})
  end)
end)

t.test("truncated and broken answers are asked for again; rows that cannot be had are lines with an error", function()
  local m = model()
  local handler = faults.wrap(function(r) return m.handler(r) end, {
    { route = "POST /chat/completions", kind = "truncate", from = 1 },
    { route = "POST /chat/completions", kind = "mumble", from = 2 } })
  program.against_server(function(dir, start)
    write(dir, "toy.lua", RECIPE)
    write(dir, "a.txt", act(1, 30))
    write(dir, "b.txt", "\xC7\xE0")
    local r = start("extract", "toy.lua", "a.txt", "b.txt", "--model", "ft:x", "--at-once", "1", "--set",
      "extract.piece.characters=1000")
    t.eq(r.code, 16, r.err)
    t.has(r.err, "1 row failed")
    local list = lines(r.out)
    t.eq({ #list, list[2].key, list[2].error.code, list[1].error }, { 2, "b.txt", "row", nil })
    for i = 1, 30 do t.eq(list[1].result.list[i].n, tostring(i)) end
    t.eq({ #list[1].result.list, list[1].requests }, { 30, #m.asked })
    t.ok(#m.asked > list[1].pieces, #m.asked)
  end, function(r) return handler(r) end)
end)

t.test("killed again and again, it goes on, and asks nothing twice but what was on its way", function()
  local m, whole = model(0.01), nil
  program.against_server(function(dir, start)
    write(dir, "toy.lua", RECIPE)
    local rows = {}
    for i = 1, 30 do rows[i] = json.encode { id = tostring(i), text = act(i * 100, i * 100 + 8) } end
    write(dir, "acts.jsonl", table.concat(rows, "\n"))
    local words = { "extract", "toy.lua", "acts.jsonl", "--model", "ft:x", "-o", "out.jsonl", "--at-once", "4" }
    local kills = 0
    for k = 1, 3 do
      local before = #m.asked
      program.background(dir, words)
      while #m.asked < before + 10 + 3 * k and not fs.stat(dir .. "/code") do time.sleep(0.005) end
      os.execute("kill -9 " .. fs.read(dir .. "/pid"))
      while not fs.stat(dir .. "/code") do time.sleep(0.005) end
      kills = kills + 1
      t.eq(fs.stat(dir .. "/out.jsonl"), nil)
    end
    t.eq(start(table.unpack(words)).code, 0)
    local list = lines(fs.read(dir .. "/out.jsonl"))
    t.eq(#list, 30)
    for i, r in ipairs(list) do
      t.eq({ r.key, #r.result.list, r.result.list[1].n, r.error }, { tostring(i), 9, tostring(i * 100), nil })
      whole = (whole or 0) + r.requests
    end
    -- each kill may lose what was on its way
    t.ok(#m.asked >= whole and #m.asked <= whole + kills * 4, #m.asked)
    local asked = #m.asked
    t.eq(start(table.unpack(words)).code, 0)
    t.eq(#m.asked, asked)
  end, function(r) return m.handler(r) end)
end)

t.test("Ctrl-C keeps what was answered, and says how to go on", function()
  local m = model(0.05)
  program.against_server(function(dir, start)
    write(dir, "toy.lua", RECIPE)
    write(dir, "a.txt", act(1, 60))
    local words = { "extract", "toy.lua", "a.txt", "--model", "ft:x", "--at-once", "2" }
    program.background(dir, words)
    while #m.asked < 6 do time.sleep(0.005) end
    os.execute("kill -INT " .. fs.read(dir .. "/pid"))
    while not fs.stat(dir .. "/code") do time.sleep(0.01) end
    t.eq(tonumber((fs.read(dir .. "/code"))), 130)
    t.has(fs.read(dir .. "/err"), "the same command goes on, and asks only what is missing")
    local r = start(table.unpack(words))
    t.eq(r.code, 0, r.err)
    t.ok(tonumber(r.err:match "(%d+) answered earlier") >= 4, r.err)
    t.eq(#lines(r.out)[1].result.list, 60)
  end, function(r) return m.handler(r) end)
end)

t.test("an evaluation in which no row was answered is no success", function()
  program.against_server(function(dir, start)
    write(dir, "rows.jsonl",
      [[{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}]] .. "\n")
    local r = start("eval", "--data", "rows.jsonl", "--model", "m", "--score", "exact")
    t.eq(r.code, 16, r.err)
    t.has(r.err, "m has answered no row")
  end, function() return { status = 200, body = '{"choices":[]}' } end)
end)

t.test("chat tells tokens and time, an answer that was cut, and a refusal", function()
  local reply
  program.against_server(function(_, start)
    local function ask(message, reason)
      reply = json.encode { choices = { { index = 0, finish_reason = reason, message = message } },
        usage = { prompt_tokens = 1200, completion_tokens = 7 } }
      return start("chat", "--model", "ft:gpt-4o-mini-2024-07-18:x", "?")
    end
    local r = ask({ role = "assistant", content = "так" }, "stop")
    t.eq({ r.code, r.out }, { 0, "так\n" }, r.err)
    t.has(r.err, "1 200 tokens read, 7 written, 0.")
    t.has(r.err, "$0.0004")
    t.has(ask({ role = "assistant", content = "та" }, "length").err, "the answer was cut at the limit of length")
    r = ask({ role = "assistant", refusal = "I cannot" }, "stop")
    t.eq(r.code, 8)
    t.has(r.err, "the model refuses: I cannot")
  end, function() return { status = 200, body = reply } end)
end)
