local dataset = require "ft.dataset"
local fs = require "ft.fs"
local histogram = require "ftrun.data.histogram"
local t = require "harness"
local json = require "ftrun.json"
local program = require "program"
local time = require "ft.time"
local tokenizer = require "ft.tokenizer"
local tokens = require "ftrun.data.tokens"

local folder = os.getenv "FTRUN_TESTS"

local function object(pairs_)
  local out = {}
  for _, pair in ipairs(pairs_) do out[pair[1]] = pair[2] end
  return out
end

local function cases()
  local reader = assert(dataset.reader(folder .. "/cases/tokens.jsonl"))
  return function()
    local line, number = reader:next()
    if not line then return reader:close() end
    return number, object(assert(dataset.decode_ordered(line)))
  end
end

for _, name in ipairs { "o200k_base", "cl100k_base" } do
  local e = tokenizer.open(name)

  t.test(name .. " gives the counts and tokens of OpenAI's tokenizer", function()
    local rows = 0
    for number, case in cases() do
      t.eq(e:count(case.text), case[name], "line " .. number)
      local ids = case[name:match "^[^_]+" .. "_ids"]
      if ids then
        ids.array = nil
        t.eq(e:encode(case.text), ids, "line " .. number)
      end
      t.eq(#e:encode(case.text), case[name], "line " .. number)
      rows = rows + 1
    end
    t.ok(rows > 60)
  end)

  t.test(name .. " takes a megabyte without any break in n log n", function()
    for _, unit in ipairs { "a", "я", "aB", "漢", "ab", "́", " ", "\n", "!" } do
      local text = unit:rep(1000000 // #unit)
      local began = time.monotonic()
      local n = e:count(text)
      t.ok(n > 1000 and n <= #text)
      t.ok(time.monotonic() - began < 20) -- quadratic time would be hours
    end
  end)
end

-- What is no UTF-8, and what tiktoken is given for it: bytes.decode("utf-8", "replace").
local BROKEN = {
  { "a\xFFb", "a\u{FFFD}b" }, { "\xE2\x82", "\u{FFFD}" }, { "\xE2\x82x", "\u{FFFD}x" },
  { "\xF0\x9F\x98", "\u{FFFD}" },
  { "\xC0\xAF", "\u{FFFD}\u{FFFD}" }, { "\xED\xA0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}" },
  { "\xF4\x90\x80\x80", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}" }, { "\x80\x80ї", "\u{FFFD}\u{FFFD}ї" },
  { "\xE0\x9F\x80", "\u{FFFD}\u{FFFD}\u{FFFD}" }, { "\xF1\x80\xE2\x82\xACx", "\u{FFFD}€x" },
}

t.test("bytes that are no UTF-8 count as U+FFFD", function()
  local e <close> = tokenizer.open "o200k_base"
  for i, case in ipairs(BROKEN) do t.eq(e:encode(case[1]), e:encode(case[2]), "case " .. i) end
end)

t.test("random bytes give as many tokens when counted as when encoded", function()
  local e <close> = tokenizer.open "cl100k_base"
  local state = 1
  for _ = 1, 300 do
    local bytes = {}
    for k = 1, state % 200 do
      state = (state * 1103515245 + 12345) % 2147483648
      bytes[k] = string.char(state // 65536 % 256)
    end
    state = (state * 1103515245 + 12345) % 2147483648
    local text = table.concat(bytes)
    t.eq(e:count(text), #e:encode(text))
    t.ok(e:count(text) <= 3 * #text)
  end
end)

t.test("special tokens in a text are ordinary text", function()
  local e <close> = tokenizer.open "o200k_base"
  t.eq(e:count "<|endoftext|>", 7)
end)

-- Totals by tiktoken 0.14.0 (encode_ordinary) of the texts of recipes/data/legal_acts.jsonl.
local LAWS = { o200k_base = 159393, cl100k_base = 266849 }

t.test("the shipped laws have as many tokens as tiktoken says", function()
  local texts = {}
  local reader <close> = assert(dataset.reader(folder .. "/../recipes/data/legal_acts.jsonl"))
  for line in function() return (reader:next()) end do
    local row = object(assert(dataset.decode_ordered(line)))
    if type(row.text) == "string" then texts[#texts + 1] = json.encode { text = row.text } end
  end
  for encoding, total in pairs(LAWS) do
    for threads = 1, 3 do
      local counter <close> = tokens.counter { encoding = encoding, threads = threads }
      local sum = 0
      for _, n in ipairs(counter:rows(texts)) do sum = sum + n end
      t.eq(sum, total, encoding)
    end
  end
end)

-- openai-cookbook (MIT), examples/data/toy_chat_fine_tuning.jsonl, and what Chat_finetuning_data_prep.ipynb prints of
-- it: min 26, max 8032, mean 1648.4, median 45.0, 4306 tokens when none counts more than 4096.
t.test("a chat has the tokens that OpenAI's cookbook counts", function()
  local counter <close> = tokens.counter { encoding = "cl100k_base" }
  local h, billed = histogram.new(), 0
  for line in assert(fs.read(folder .. "/cases/cookbook_toy_chat.jsonl")):gmatch "[^\n]+" do
    local n = counter:row(line)
    h:add(n)
    billed = billed + math.min(n, 4096)
  end
  local f = h:figures()
  t.eq({ f.count, f.min, f.median, f.max, f.sum / f.count, billed }, { 5, 26, 45, 8032, 1648.4, 4306 })
end)

-- a row, and what it adds to the tokens of these texts
local ROWS = {
  { '{"messages":[{"role":"user","content":"hi"}]}', 6, { "user", "hi" } },
  { '{"messages":[{"role":"user","name":"Оля","content":"hi"}]}', 7, { "user", "Оля", "hi" } },
  { '{"messages":[{"role":"assistant","content":"x","weight":0}]}', 6, { "assistant", "x" } },
  { '{"messages":[{"role":"user","content":[{"type":"text","text":"see"},{"type":"image_url","image_url":'
    .. '{"url":"https://e.org/a.png"}}]}]}', 6, { "user", "see" } },
  { '{"tools": [ {"type":"function"} ],"messages":[{"role":"assistant","tool_calls":[{"id":"1"}]}]}', 6,
    { '[ {"type":"function"} ]', "assistant", '[{"id":"1"}]' } },
  { '{"messages":[{"role":"tool","tool_call_id":"call_1","content":"\\u0421\\n"}]}', 6, { "tool", "call_1", "С\n" } },
  { '{"text":"plain"}', 0, { "plain" } },
  { '{"prompt":"a b","completion":" c"}', 0, { "a b", " c" } },
  { '{"input":{"messages":[{"role":"user","content":"q"}]},"preferred_output":[{"role":"assistant","content":"yes"}],'
    .. '"non_preferred_output":[{"role":"assistant","content":"no"}]}', 12,
    { "user", "q", "assistant", "yes", "assistant", "no" } },
  { '{"m\\u0065ssages":[{"role":"user","content":null}]}', 6, { "user" } },
  { '{"other":"not counted","messages":[]}', 3, {} },
  { '["messages"]', 0, {} },
}

t.test("of a row count the texts of messages, tools as JSON text, and the overhead of a chat", function()
  local counter <close> = tokens.counter { model = "gpt-4o-mini-2024-07-18" }
  for _, case in ipairs(ROWS) do
    local n = case[2]
    for _, text in ipairs(case[3]) do n = n + counter:text(text) end
    t.eq(counter:row(case[1]), n, case[1])
  end
  t.eq(counter:rows { '{"text":"a"}', '{"text":', '{"text":"\xFF"}', '{"text":"b"}' }, { 1, false, false, 1 })
end)

t.test("a model's name, a tuned one's too, decides the encoding", function()
  local function of(model, encoding, noted)
    local got, note = tokens.encoding_of(model)
    t.eq(got, encoding, model)
    t.eq(note ~= nil, noted or false, model)
  end
  for _, model in ipairs { "gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-4.1-nano-2025-04-14", "o4-mini-2025-04-16", "o1",
    "o3", "gpt-5-mini", "ft:gpt-4o-mini-2024-07-18:org:name:abc" } do of(model, "o200k_base") end
  for _, model in ipairs { "gpt-4", "gpt-4-0613", "gpt-4-turbo", "gpt-3.5-turbo-0125", "ft:gpt-3.5-turbo-1106:org::x",
    "davinci-002" } do of(model, "cl100k_base") end
  for _, model in ipairs { "llama-3", "o1x", "gpt-6" } do of(model, "o200k_base", true) end
end)

t.test("a closed encoding and a wrong argument are errors of the caller", function()
  local e = tokenizer.open("o200k_base", 1)
  local shape = tokenizer.shape {}
  t.raises("strings", e.rows, e, { 1 }, shape)
  t.raises("unknown option", tokenizer.shape, { counts = "text" })
  t.raises("count is", tokenizer.shape, { count = "texts" })
  local loop = {}
  loop.each = loop
  t.raises("too many nodes", tokenizer.shape, loop)
  e:close()
  e:close()
  t.raises("closed", e.count, e, "a")
  t.raises("invalid option", tokenizer.open, "p50k_base")
end)

-- ---- histogram ----

t.test("quantiles are values that occur, and bars add up to all", function()
  local h = histogram.new()
  for i = 1, 100 do h:add(i * 10) end
  t.eq(h:figures(), { count = 100, sum = 50500, min = 10, median = 500, p95 = 950, max = 1000 })
  local sum = 0
  for _, bin in ipairs(h:bins()) do sum = sum + bin.count end
  t.eq(sum, 100)
  t.ok(#h:lines() <= 12)
  h:add(1000000)
  t.ok(#h:lines() <= 13)
  t.eq(histogram.new():lines(), {})
end)

-- ---- ftrun tokens ----

t.test("ftrun tokens --json gives a line a row, and last the summary", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f.jsonl", '{"text":"hello world"}\n\n{"messages":[{"role":"user","content":"hi"}]}\n'))
  local r = program.run(dir.path, {}, "tokens", "--json", "f.jsonl", "--encoding", "cl100k_base")
  t.eq(r.code, 0, r.err)
  local lines = {}
  for line in r.out:gmatch "[^\n]+" do lines[#lines + 1] = assert(json.decode(line)) end
  t.eq({ lines[1], lines[2] }, { { line = 1, tokens = 2 }, { line = 3, tokens = 8 } })
  t.eq(lines[3].type, "summary")
  t.eq({ lines[3].rows, lines[3].tokens, lines[3].encoding }, { 2, 10, "cl100k_base" })
end)

t.test("ftrun tokens counts on where a row is broken, names it, and exits with 4", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f.jsonl", '{"text":"a"}\n{"text":\n{"text":"b"}\n'))
  local r = program.run(dir.path, {}, "tokens", "f.jsonl")
  t.eq(r.code, 4)
  t.has(r.err, "f.jsonl:2: not JSON")
  t.has(r.out, "2 rows, 2 tokens")
  t.eq(program.run(dir.path, {}, "tokens", "missing.jsonl").code, 11)
  r = program.run(dir.path, {}, "tokens", "-e", "o200kbase", "f.jsonl")
  t.eq(r.code, 2)
  t.has(r.err, "o200k_base")
end)

t.test("bins of one value each are named by it alone", function()
  local h = histogram.new()
  for _, n in ipairs { 9, 10, 10, 11 } do h:add(n) end
  t.has(h:lines()[1], " 9  ")
  for _, line in ipairs(h:lines()) do t.ok(not line:find(" - ", 1, true), line) end
end)
