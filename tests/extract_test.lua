--- Extracting with a model in memory that truncates, mumbles, fails and counts what it is asked.
local t = require "harness"
local answers = require "ftrun.extract.answers"
local child = require "child"
local documents = require "ftrun.extract.documents"
local err = require "ftrun.err"
local extract = require "ftrun.extract"
local fs = require "ft.fs"
local question = require "ftrun.extract.question"
local sinks = require "ftrun.extract.sink"
local time = require "ft.time"

local MODEL = "ft:gpt-4o-mini-2024-07-18:local:x"

-- The articles of a text as the model's JSON.
local function found(text)
  local items, n = {}, 0
  for number in ("\n" .. text):gmatch "\nСтаття (%d+)%." do
    n = n + 1
    items[n] = ('{"number": "%s"}'):format(number)
  end
  return ('{"elements": [%s], "total": %d}'):format(table.concat(items, ", "), n)
end

--- A model whose `say(text, number, request)` gives text and finish_reason, or raises.
local function fake(say)
  local m = { asked = 0, now = 0, most = 0, requests = {} }
  function m:chat(request)
    self.asked, self.now = self.asked + 1, self.now + 1
    self.most = math.max(self.most, self.now)
    self.requests[self.asked] = request
    local number = self.asked
    local _ <close> = setmetatable({}, { __close = function() self.now = self.now - 1 end })
    time.sleep(0.001)
    local text, reason = say(request.messages[2].content, number, request)
    return { text = text, finish_reason = reason or "stop", seconds = 0.5,
      usage = { prompt_tokens = 10, completion_tokens = 5 } }
  end
  return m
end

local function recipe_with(more)
  local r = { name = "x", seed = 42, dataset = { key = "id" }, extract = { text = "text", answer = "json",
    piece = { characters = 1000 }, merge = { elements = { "number" }, total = "count elements" },
    prompt = function(row) return { messages = { { role = "system", content = "Find." },
      { role = "user", content = row.text } } } end } }
  for k, v in pairs(more or {}) do r.extract[k] = v end
  function r:call(fn, ...) return fn(...) end
  function r:where() return "x.lua:1" end
  return r
end

local function texts(list)
  local i = 0
  return { total = function() return #list end, close = function() end, next = function()
    i = i + 1
    if list[i] == false then return false, tostring(i), "cannot be read" end
    if list[i] then return { id = tostring(i), text = list[i], title = "T" }, tostring(i) end
  end }
end

--- Extracts from texts; the answers are kept in dir.
local function run(dir, model, list, more)
  local kept <close> = answers.open(dir .. "/kept/x.jsonl")
  local recipe, results = recipe_with(more), {}
  local limit, measure = extract.limit(recipe)
  extract.run { recipe = recipe, documents = texts(list), model = MODEL, settings = { temperature = 0, seed = 42 },
    asker = model, answers = kept, limit = limit, measure = measure, tokens = function() return 100 end,
    calls = { call = function() end }, on_result = function(r) results[#results + 1] = r end }
  return results
end

-- An act with so many articles, each with a line or more.
local function act(count, from)
  local parts = { "Закон\nПро все\n\n" }
  for i = from or 1, (from or 1) + count - 1 do
    parts[#parts + 1] = ("Стаття %d. Назва статті\n1. Перше речення, ст. %d. Друге речення.\n\n"):format(i, i)
  end
  return table.concat(parts)
end

local function numbers(result)
  local list = {}
  for number in result:gmatch '"number":%s*"(%d+)"' do list[#list + 1] = tonumber(number) end
  return list
end

local function one_to(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

t.test("an act of 300 articles is asked in pieces side by side, and each article is found once, in order", function()
  local dir <close> = t.folder()
  local model = fake(found)
  local r = run(dir.path, model, { act(300) })[1]
  t.eq({ r.error, r.pieces == model.asked, r.requests }, { nil, true, model.asked })
  t.ok(r.pieces > 20 and model.most > 8, r.pieces)
  t.eq(numbers(r.result), one_to(300))
  t.has(r.result, '"total":300')
  t.eq({ r.usage.prompt_tokens, r.seconds }, { 10 * r.pieces, 0.5 * r.pieces })
end)

t.test("an answer that was cut at the limit of length is asked for again in smaller pieces", function()
  local dir <close> = t.folder()
  local model = fake(function(text)
    local whole = found(text)
    if #whole > 120 then return whole:sub(1, 120), "length" end
    return whole
  end)
  local r = run(dir.path, model, { act(12) }, { piece = { characters = 5000 } })[1]
  t.eq({ r.error, r.pieces }, { nil, 1 })
  t.eq(numbers(r.result), one_to(12))
  t.ok(model.asked > 2 and model.asked <= 1 + question.EXTRA, model.asked)
end)

t.test("broken JSON is asked for again with what is wrong", function()
  local dir <close> = t.folder()
  local model = fake(function(text, number) return number == 1 and "{" .. found(text) or found(text) end)
  local r = run(dir.path, model, { act(3) })[1]
  t.eq({ numbers(r.result), model.asked, #model.requests[2].messages }, { one_to(3), 2, 4 })
  t.eq(model.requests[2].messages[3].role, "assistant")
  t.has(model.requests[2].messages[4].content, "at byte 1)")
end)

t.test("JSON in a code fence or between words is taken as it is", function()
  local dir <close> = t.folder()
  local model = fake(function(text, number)
    return number == 1 and "```json\n" .. found(text) .. "\n```" or "Ось: " .. found(text) .. " Готово."
  end)
  local list = run(dir.path, model, { act(2), act(2, 3) })
  t.eq({ model.asked, list[1].result, list[2].result }, { 2, found(act(2)), found(act(2, 3)) })
end)

t.test("a model that only mumbles costs a bounded number of questions, and all other rows are there", function()
  local dir <close> = t.folder()
  local model = fake(function(text) return text:find "Стаття 7" and "не знаю" or found(text) end)
  local list = run(dir.path, model, { act(2), act(6, 7), false, act(2, 3) })
  t.eq({ #list, list[2].result, list[2].error.code, list[2].failed_pieces }, { 4, nil, "not_json", { 1 } })
  t.ok(model.asked <= 3 + question.EXTRA, model.asked)
  t.eq({ numbers(list[1].result), list[3].error.code, numbers(list[4].result) }, { { 1, 2 }, "row", { 3, 4 } })
end)

t.test("a piece without an answer is an error; what the others gave stands beside it", function()
  local dir <close> = t.folder()
  local model = fake(function(text)
    if text:find "Стаття 5%." then err.raise("provider", "HTTP 500", { status = 500 }) end
    return found(text)
  end)
  local r = run(dir.path, model, { act(30) }, { piece = { characters = 400 } })[1]
  t.eq({ r.error.message, #r.failed_pieces }, { "HTTP 500", 1 })
  t.ok(#numbers(r.result) > 20 and #numbers(r.result) < 30)
end)

t.test("a refusal is an error at once; a text that is too long for the model is cut", function()
  local dir <close> = t.folder()
  local model = { asked = 0 }
  function model:chat(request)
    self.asked = self.asked + 1
    if request.messages[2].content:find "Стаття 9%." then return { text = "", refusal = "I cannot", seconds = 0 } end
    if #request.messages[2].content > 1000 then
      err.raise("provider", "too long", { status = 400, code = "context_length_exceeded" })
    end
    return { text = found(request.messages[2].content), finish_reason = "stop", seconds = 0 }
  end
  local list = run(dir.path, model, { act(1, 9), act(12, 20) }, { piece = { characters = 5000 } })
  t.eq({ list[1].error.code, #numbers(list[2].result), list[2].error }, { "refused", 12, nil })
end)

t.test("a second start asks nothing and gives the same bytes; after a crash only what is missing is asked", function()
  local dir <close> = t.folder()
  local list = { act(40), act(30, 50), act(1, 99) }
  local model = fake(found)
  local first, again = run(dir.path, model, list), fake(found)
  local second = run(dir.path, again, list)
  t.eq({ again.asked, second[1].earlier }, { 0, second[1].pieces })
  for i, r in ipairs(first) do t.eq({ second[i].result, second[i].seconds }, { r.result, r.seconds }) end

  -- as a kill leaves the file: its last line cut off
  local path = dir.path .. "/kept/x.jsonl"
  local bytes = fs.read(path)
  local lines = select(2, bytes:gsub("\n", ""))
  assert(fs.write(path, bytes:sub(1, -20)))
  local third = fake(found)
  t.eq(run(dir.path, third, list)[2].result, first[2].result)
  t.eq({ third.asked, lines }, { 1, model.asked })
  local fourth = fake(found)
  run(dir.path, fourth, list)
  t.eq(fourth.asked, 0)
  -- another prompt is another question
  local other = fake(found)
  run(dir.path, other, { "Стаття 1. Інша.\n" })
  t.eq(other.asked, 1)
end)

t.test("what every question would meet ends at once; twenty rows that fail in a row end it too", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 200 do list[i] = act(1, i) end
  local model = fake(function() err.raise("provider", "no such model", { status = 404 }) end)
  t.raises("no such model", run, dir.path, model, list)
  t.ok(model.asked <= 128, model.asked)
  model = fake(function() err.raise("provider", "HTTP 400") end)
  t.raises("20 rows failed one after another; the last: HTTP 400", run, dir.path, model, list)
  t.ok(model.asked < 200, model.asked)
  model = fake(function(_, number)
    if number % 2 == 0 then err.raise("provider", "HTTP 400") end
    return "{}"
  end)
  local failed = 0
  for _, r in ipairs(run(dir.path, model, list)) do failed = failed + (r.error and 1 or 0) end
  t.eq(failed, 100)
end)

t.test("results come in the order of the rows, whichever is answered first", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 150 do list[i] = act(1, i) end
  local results = run(dir.path, fake(function(text, number)
    time.sleep(number % 7 / 500)
    return found(text)
  end), list)
  for i, r in ipairs(results) do t.eq({ r.key, numbers(r.result) }, { tostring(i), { i } }) end
  t.eq(#results, 150)
end)

t.test("each piece is told its number, and in which article it begins; a row can be skipped", function()
  local dir <close> = t.folder()
  local seen = {}
  local function prompt(row, piece)
    if row.id == "2" then return { ["@kind"] = "skip", reason = "draft" } end
    seen[piece.number] = { piece.count, piece.article, row.title }
    return { messages = { { role = "system", content = "" }, { role = "user", content = row.text } } }
  end
  local long = "Стаття 1. Мета\n" .. ("Речення номер один. "):rep(30)
  local list = run(dir.path, fake(found), { long, "Стаття 2.", "  " },
    { prompt = prompt, piece = { characters = 400 } })
  t.eq(seen, { { 2, nil, "T" }, { 2, "Стаття 1. Мета", "T" } })
  t.eq({ list[2].skipped, list[3].skipped, list[2].requests }, { "draft", "no text", 0 })
end)

t.test("answers that are plain texts are taken as they are; of several the most frequent", function()
  local dir <close> = t.folder()
  local model = fake(function(_, number) return number == 2 and "складний" or " простий\n" end)
  local r = run(dir.path, model, { act(40) }, { answer = "text" })[1]
  t.eq({ r.result, r.pieces > 2 }, { "простий", true })
end)

t.test("without a model questions are only counted, and those answered already", function()
  local dir <close> = t.folder()
  run(dir.path, fake(found), { act(2) })
  local list = run(dir.path, nil, { act(2), act(40) })
  t.eq({ list[1].pieces, list[1].earlier, list[1].prompt_tokens }, { 1, 1, 100 })
  t.eq({ list[2].earlier, list[2].prompt_tokens, list[2].result }, { 0, 100 * list[2].pieces, nil })
end)

t.test("a prompt that is none is the recipe's error, with its place", function()
  local dir <close> = t.folder()
  local e = t.raises("extract.prompt must return ft.prompt", run, dir.path, fake(found), { "a" },
    { prompt = function() return { user = "a" } end })
  t.eq({ e.kind, e.where }, { "recipe", "x.lua:1" })
end)

t.test("a line of results keeps the model's bytes, and is one line", function()
  local sink = sinks.open { model = MODEL, format = "json" }
  local line = sink:line { key = "254к/96-вр",
    result = '{"a":\n [],\n "n": 12345678901234567890, "x": 1.10}', pieces = 1,
    requests = 1, seconds = 0.25, usage = { prompt_tokens = 1, completion_tokens = 2 } }
  t.eq(line, '{"key":"254к/96-вр","result":{"a":  [],  "n": 12345678901234567890, "x": 1.10},"pieces":1,"requests":1,'
    .. '"model":"' .. MODEL .. '","usage":{"completion_tokens":2,"prompt_tokens":1},"seconds":0.25}')
end)

t.test("files are texts or JSONL; what is no UTF-8 or no JSON is told with its place", function()
  local dir <close> = t.folder()
  local function write(name, text)
    assert(fs.write(dir.path .. "/" .. name, text))
    return dir.path .. "/" .. name
  end
  local a = write("a.txt", "\xEF\xBB\xBFЗАКОН\nПро мову\n\nСтаття 1.")
  local b = write("b.txt", "\xC7\xE0\xEA\xEE\xED")
  local c = write("c.jsonl",
    '{"id": "k1", "text": "один", "meta": {"a": [1]}}\n\n{"id": 2, "text": \n{"text": "три"}\n')
  local d = documents.open(recipe_with(), { a, b, c })
  local function one() return { d.next() } end
  t.eq(one(), { { text = "ЗАКОН\nПро мову\n\nСтаття 1.", title = "Про мову", path = a }, a })
  local bad = one()
  t.eq({ bad[1], bad[2] }, { false, b })
  t.has(bad[3], "not UTF-8 at byte 1; convert it")
  t.eq(one(), { { id = "k1", text = "один", meta = '{"a": [1]}' }, "k1" })
  bad = one()
  t.eq({ bad[1], bad[2] }, { false, c .. ":3" })
  t.eq(one(), { { text = "три" }, c .. ":4" })
  t.eq(one(), {})
  d.close()
  t.raises("there is no such file", documents.open, recipe_with(), { dir.path .. "/none.txt" })
  t.raises("is a folder", documents.open, recipe_with(), { dir.path })
  t.raises("no text is named", documents.open, recipe_with(), {})
end)

t.test("standard input is one text, or JSONL when it begins with an object", function()
  local source = [[
    local recipe = { extract = { text = "text", key = "id" }, dataset = {} }
    local d = require("ftrun.extract.documents").open(recipe, { "-" })
    while true do
      local row, key = d.next()
      if not row then return 0 end
      require("ft.log").out(key .. "=" .. row.text .. ";")
    end]]
  local dir <close> = t.folder()
  local function read(text)
    assert(fs.write(dir.path .. "/in", text))
    return child.run(source, { stdin = dir.path .. "/in", env = { FTRUN_LUA = false } }).out
  end
  t.eq(read "Про все\n\nСтаття 1.\n", "-=Про все\n\nСтаття 1.;")
  t.eq(read '{"id": "a", "text": "1"}\n\n{"text": "2"}\n', "a=1;-:3=2;")
  t.eq(read "", "")
end)
