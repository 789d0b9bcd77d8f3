--- Counting many rows: in the background, on several threads, and with texts that rows repeat.
local t = require "harness"
local tokenizer = require "ft.tokenizer"

local SHAPE = { keys = { a = { count = "text" }, b = { count = "text" } } }

local function rows(n, text)
  local list = {}
  for i = 1, n do list[i] = ('{"a":"%s","b":"%s %d"}'):format(text or "", ("стаття "):rep(i % 40), i) end
  return list
end

local function counts(encoding, list, shape)
  local sums = {}
  for i, line in ipairs(list) do sums[i] = encoding:rows({ line }, shape)[1] end
  return sums
end

t.test("rows counted in the background are what rows() counts, with any number of threads", function()
  local shape = tokenizer.shape(SHAPE)
  local one <close> = tokenizer.open("o200k_base", 1)
  local list = rows(2000)
  list[77] = "{"
  local expected = counts(one, list, shape)
  t.eq(expected[77], false)
  for threads = 1, 4 do
    local e <close> = tokenizer.open("o200k_base", threads)
    local job = e:start(list, shape)
    local more = e:count "between"
    t.eq(job:finish(), expected)
    t.eq(more, e:count "between")
    t.eq(e:rows(list, shape), expected)
  end
end)

t.test("rows that are known to be valid have the same tokens", function()
  local shape = tokenizer.shape(SHAPE)
  local e <close> = tokenizer.open("o200k_base", 2)
  local list = rows(500)
  t.eq(e:start(list, shape, true):finish(), counts(e, list, shape))
end)

t.test("a job keeps its rows alive, and ends with its encoding", function()
  local shape = tokenizer.shape(SHAPE)
  local e = tokenizer.open("cl100k_base", 3)
  local job = e:start(rows(500), shape)
  collectgarbage()
  for _ = 1, 1000 do local _ = ("x"):rep(1000) .. _ end
  t.raises("counts other rows", e.start, e, {}, shape)
  t.eq(#job:finish(), 500)
  t.raises("were counted, or given up", job.finish, job)
  local given_up = e:start(rows(5000), shape)
  e:close()
  t.raises("were counted, or given up", given_up.finish, given_up)
  t.raises("is closed", e.start, e, {}, shape)
  tokenizer.open("cl100k_base", 3):start(rows(5000), shape) -- both are garbage at once
  collectgarbage()
end)

t.test("a long text that rows repeat counts the same each time, and so does what only looks like it", function()
  local shape = tokenizer.shape(SHAPE)
  local prompt = ("Ти юрист. \\\"Відповідай\\\" коротко.\\n"):rep(20)
  local other = prompt:gsub("коротко", "докладн", 7)
  local list = {}
  for _, text in ipairs { prompt, prompt, other, prompt, prompt, other, other, prompt, "", other } do
    list[#list + 1] = rows(1, text)[1]
  end
  local fresh = {}
  for i, line in ipairs(list) do
    local e <close> = tokenizer.open("o200k_base", 1)
    fresh[i] = e:rows({ line }, shape)[1]
  end
  local e <close> = tokenizer.open("o200k_base", 1)
  t.eq(counts(e, list, shape), fresh)
  t.ok(fresh[1] ~= fresh[3])
end)
