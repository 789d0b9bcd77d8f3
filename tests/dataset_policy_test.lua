local t = require "harness"
local dataset = require "ftrun.data.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local recipe = require "ftrun.recipe"
local source = require "ftrun.data.source"
local tokens = require "ftrun.data.tokens"

local EXAMPLE = [[
  if row.skip then return ft.skip(row.skip) end
  if row.none then return nil end
  return ft.chat { user = row.q, assistant = row.a }]]

-- A folder with a recipe over rows.jsonl; `more` are further keys, `body` is the function's.
local function project(dir, rows, more, body)
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(rows, "\n") .. "\n"))
  local path = dir.path .. "/x.lua"
  assert(fs.write(path, ([[
return ft.recipe {
  name = "x", base_model = "m", %s
  dataset = ft.jsonl { path = "rows.jsonl", key = "id", example = function(row)
%s
  end },
}]]):format(more or "", body or EXAMPLE)))
  return recipe.load(path)
end

local function rows(n, extra)
  local list = {}
  for i = 1, n do list[i] = ('{"id":"r%d","q":"питання %d","a":"відповідь %d"%s}'):format(i, i, i, extra or "") end
  return list
end

local function prepare(dir, r, name, options)
  options = options or {}
  options.dir = dir.path .. "/" .. (name or "run")
  return dataset.prepare(r, options)
end

local function read(file) return assert(fs.read(file.path)) end

local function lines(file)
  local list = {}
  for line in read(file):gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

-- The texts of a raised error: each entry's place and message.
local function faults(kind, fn, ...)
  local ok, e = pcall(fn, ...)
  t.ok(not ok, "nothing was raised")
  if not err.is(e) then error(e, 0) end
  t.eq(e.kind, kind, e.message)
  local list = {}
  for i, one in ipairs(e.list or { e }) do list[i] = (one.where and one.where .. ": " or "") .. one.message end
  return list, e
end

t.test("rows become lines in their order, as bytes, with hashes of what is on disk", function()
  local dir <close> = t.folder()
  local r = project(dir, rows(12))
  local p = prepare(dir, r)
  t.eq({ p.rows, p.written, p.skipped, p.validation }, { 12, 12, {}, nil })
  t.eq(lines(p.train)[2],
    '{"messages":[{"role":"user","content":"питання 2"},{"role":"assistant","content":"відповідь 2"}]}')
  t.eq(p.train.rows, 12)
  t.eq(p.train.bytes, #read(p.train))
  t.eq(p.train.sha256, digest.sha256(read(p.train)))
  t.eq(fs.list(dir.path .. "/run"), { "train.jsonl" })
end)

t.test("JSON labels pass through untouched: empty arrays, big numbers, order and white space", function()
  local dir <close> = t.folder()
  local label = '{"z": [], "a": {}, "n": 12345678901234567890, "f": 1.0, "e": "\\u0454"}'
  local list = {}
  for i = 1, 10 do list[i] = ('{"id":"%d","q":"x","a": %s }'):format(i, label) end
  local p = prepare(dir, project(dir, list))
  local written = require "ft.dataset".decode_ordered(lines(p.train)[1])
  t.eq(written[1][2][2][2][2], label)
  t.eq(p.duplicates, { count = 9, first = { "id=2", "id=3", "id=4", "id=5", "id=6" } })
end)

t.test("a JSONL row has the texts, nested values as their own JSON, and no key for null", function()
  t.eq(source.row('{ "a" : "x\\n\\"}{", "b":null, "c": [1, "]", {"}":2}], "d":-1.50e3, "e":true, '
    .. '"f\\u0020g":"","h":{} }'),
    { a = 'x\n"}{', c = '[1, "]", {"}":2}]', d = "-1.50e3", e = "true", ["f g"] = "", h = "{}" })
  t.eq(source.row "{}", {})
  t.fails(nil, source.row "[1]")
  t.fails(nil, source.row '{"a":1,}')
end)

t.test("skipped rows are counted by their reason, most frequent first", function()
  local dir <close> = t.folder()
  local list = rows(10)
  for i = 1, 7 do list[#list + 1] = ('{"id":"s%d","skip":"too long"}'):format(i) end
  list[#list + 1] = '{"id":"n","none":"1"}'
  local p = prepare(dir, project(dir, list))
  t.eq({ p.rows, p.written }, { 18, 10 })
  t.eq(p.skipped, { { reason = "too long", count = 7, first = { "id=s1", "id=s2", "id=s3", "id=s4", "id=s5" } },
    { reason = "example returned nothing", count = 1, first = { "id=n" } } })
end)

t.test("the same rows and seed give the same split and hashes, another seed gives others", function()
  local dir <close> = t.folder()
  local list = rows(200)
  local function sums(seed, name)
    local p = prepare(dir, project(dir, list, "split = { validation = 0.2 }, seed = " .. seed .. ","), name)
    t.eq(p.train.rows + p.validation.rows, 200)
    return { p.train.sha256, p.validation.sha256, p.sha256 }, p
  end
  local first, p = sums(1, "a")
  t.eq(sums(1, "b"), first)
  local other = sums(2, "c")
  t.ok(other[1] ~= first[1] and other[2] ~= first[2])
  t.eq(other[3], first[3], "the data is the same")
  t.ok(p.validation.rows > 20 and p.validation.rows < 60, p.validation.rows)
end)

t.test("the split is fixed for all machines and versions", function()
  local dir <close> = t.folder()
  local p = prepare(dir, project(dir, rows(30), "split = { validation = 0.2 },"))
  local ids = {}
  for i, line in ipairs(lines(p.validation)) do ids[i] = line:match("питання (%d+)") end
  t.eq(table.concat(ids, " "), "3 11 21 24 25 29 30")
end)

t.test("a row keeps its side when other rows come and go", function()
  local dir <close> = t.folder()
  local more = "split = { validation = 0.3 },"
  local few = lines(prepare(dir, project(dir, rows(40), more), "few").validation)
  local many = read(prepare(dir, project(dir, rows(80), more), "many").validation)
  for _, line in ipairs(few) do t.has(many, line) end
end)

t.test("rows of one group never stand on both sides", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 120 do list[i] = ('{"id":"%d","law":"%d","q":"закон %d.","a":"x%d"}'):format(i, i % 12, i % 12, i) end
  for _, how in ipairs { "0.3", "25" } do
    local p = prepare(dir, project(dir, list, ('split = { validation = %s, group_by = "law" },'):format(how)), how)
    local train = read(p.train)
    t.ok(p.validation.rows >= 10 and p.validation.rows % 10 == 0, p.validation.rows)
    for law in read(p.validation):gmatch("закон (%d+%.)") do t.ok(not train:find("закон " .. law, 1, true), law) end
  end
end)

t.test("a count keeps that many rows, a tiny share keeps at least one", function()
  local dir <close> = t.folder()
  for _, case in ipairs { { "7", 7 }, { "1", 1 }, { "0.000001", 1 } } do
    local p = prepare(dir, project(dir, rows(30), ("split = { validation = %s },"):format(case[1])), case[1])
    t.eq({ p.train.rows, p.validation.rows }, { 30 - case[2], case[2] })
    t.eq(p.train.sha256, digest.sha256(read(p.train)))
    t.eq(fs.list(dir.path .. "/" .. case[1]), { "train.jsonl", "validation.jsonl" })
    local before = 0
    for _, line in ipairs(lines(p.train)) do
      local n = tonumber(line:match("питання (%d+)"))
      t.ok(n > before)
      before = n
    end
  end
end)

t.test("all bad rows are told together, each with its key", function()
  local dir <close> = t.folder()
  local list = rows(12)
  list[3] = '{"id":"r3","q":"x","a":"{\\"a\\": [1,}"}'
  list[5] = '{"id":"r5","q":"x","a":""}'
  list[6] = '{"id":"r6",'
  list[9] = '{"id":"r9","q":"x","a":"{}}"}'
  local got, e = faults("data", prepare, dir, project(dir, list))
  t.eq(e.message, "4 errors in 12 rows")
  t.eq(#got, 3)
  t.has(got[1], "row id=r3: messages[1].content: broken JSON in the answer: not JSON (byte 9 of the text); ")
  t.has(got[2], "row id=r5: messages[1].content: the answer is empty; ")
  t.has(got[3], "rows.jsonl:6: ")
  t.has(tostring(e.list[1]), "(2 times)\n  row id=r9: messages[1].content: broken JSON")
  t.eq({ e.list[1].code, e.list[2].code }, { "label_json", "empty_answer" })
  t.eq(fs.list(dir.path .. "/run"), {}, "nothing half made is left")
end)

t.test("what is wrong with very many rows is told once, with the first places; of kinds the first twenty", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 300 do list[i] = ('{"id":"%d","q":"x","a":"{"}'):format(i) end
  local got, e = faults("data", prepare, dir, project(dir, list))
  t.eq(e.message, "300 errors in 300 rows")
  t.eq(#got, 1)
  t.has(got[1], "row id=1: messages[1].content: broken JSON in the answer: ")
  t.has(tostring(e.list[1]), " (300 times)\n  also rows id=2, id=3, id=4, id=5 and 295 more")
  local pass = require("ftrun.data.pass").new()
  for i = 1, 23 do for _ = 1, 2 do pass:fault("rows.jsonl:" .. i, "kind " .. i .. "; mend it") end end
  local told = pass:errors()
  t.eq({ #told, tostring(told[1]), tostring(told[21]) },
    { 21, "rows.jsonl:1: kind 1; mend it (2 times)\n  also line 1", "and 6 more errors" })
end)

t.test("an example that is no one's table is told with what makes one, once", function()
  local dir <close> = t.folder()
  local p = project(dir, rows(12), "", 'return { system = "s", user = row.q, assistant = row.a }')
  local _, e = faults("recipe", prepare, dir, p)
  t.eq(e.message, "example returned a table of its own, not one of ft.chat (row id=r1)")
  t.eq(e.advice, "Write: return ft.chat { system = ..., user = ..., assistant = ... }")
  p = project(dir, rows(12), "", 'return ft.chat { user = row.q, assistant = { label = row.a } }')
  _, e = faults("recipe", prepare, dir, p)
  t.has(e.message, "ft.chat: assistant: expected a text, got a table; an answer in JSON is given as its text")
end)

t.test("why all rows were left out is told with each reason", function()
  local dir <close> = t.folder()
  local p = project(dir, rows(12), "", 'if row.id == "r3" then return ft.skip "old" end')
  local _, e = faults("data", prepare, dir, p)
  t.has(e.message, "all 12 rows were skipped: example returned nothing (11), old (1)")
end)

t.test("an error in example stops at once and names the line and the row", function()
  local dir <close> = t.folder()
  local list = rows(12)
  list[4] = '{"id":"254к/96-вр","q":"x","a":null}'
  local r = project(dir, list, "", "return ft.chat { user = row.q,\n assistant = row.a }")
  local got, e = faults("recipe", prepare, dir, r)
  t.eq(got, { dir.path
    .. "/x.lua:4: ft.chat: assistant: expected a text, got nil (is the column NULL?) (row id=254к/96-вр)" })
  t.has(e.advice, "NULL")
  t.eq(fs.list(dir.path .. "/run"), {})
end)

t.test("an endless example ends, and names the row", function()
  local dir <close> = t.folder()
  local got = faults("recipe", prepare, dir, project(dir, rows(10), "", "while true do end"))
  t.has(got[1], "(row id=r1)")
end)

t.test("what example returns is checked: roles, last message, weights, contents", function()
  local dir <close> = t.folder()
  local function fault(body)
    return (faults("data", prepare, dir, project(dir, rows(1), "", "return " .. body)))
  end
  t.eq(fault '{ messages = { { role = "usr", content = "x" }, { assistant = "x" } } }', {
    "row id=r1: messages[0].role: unknown role \"usr\", did you mean user?; use system, developer, user, assistant or "
      .. "tool",
    "row id=r1: messages[1]: the message has no role; add \"role\": \"system\", \"user\" or \"assistant\"",
    'row id=r1: messages[1].assistant: unknown key "assistant", allowed are role, content, name, weight, tool_calls, '
      .. "tool_call_id, function_call, refusal; remove it or correct its name",
    "row id=r1: messages[1].content: the message has no content; add \"content\"" })
  t.eq(fault 'ft.chat { messages = { { assistant = "x" }, { user = "y" } } }',
    { "row id=r1: messages[1]: the last message is of the role user; end with the answer to be learnt" })
  t.eq(fault 'ft.chat { user = "y", assistant = "x", weight = 2 }',
    { "row id=r1: messages[1].weight: expected 0 or 1, got 2; write 0 (not trained) or 1" })
  t.eq(fault 'ft.chat { user = "y", assistant = "x", weight = 0 }',
    { "row id=r1: messages: every answer has weight 0; give one answer weight 1, or remove the row" })
  t.has(fault "42"[1], "row id=r1: expected an example (ft.chat { ... } or its like), got 42; ")
  t.has(fault "{}"[1], "row id=r1: messages: the row has no messages; ")
  t.has(fault 'ft.chat { user = "\\xff", assistant = "x" }'[1], "row id=r1: messages[0].content: invalid UTF-8")
end)

t.test("tools are written as the recipe's own JSON", function()
  local dir <close> = t.folder()
  local p = prepare(dir, project(dir, rows(10), "",
    [==[return ft.chat { user = row.q, assistant = "x",
      tools = ft.json [=[[{"type": "function", "function": {"name": "f", "parameters": {"required": []}}}]]=] }]==]))
  t.has(lines(p.train)[1], '"tools":[{"type": "function", "function": {"name": "f", "parameters": {"required": []}}}]}')
end)

t.test("no rows, only skipped rows, and fewer than ten are three clear errors", function()
  local dir <close> = t.folder()
  t.has(faults("data", prepare, dir, project(dir, {}))[1], "there are no lines in rows.jsonl")
  t.eq(faults("data", prepare, dir, project(dir, { '{"id":"1","skip":"no text"}', '{"id":"2","skip":"no text"}' })),
    { dir.path .. "/x.lua:3: all 2 rows were skipped: no text (2)" })
  t.eq(faults("data", prepare, dir, project(dir, rows(9))), { "9 examples for training; at least 10 are needed" })
  t.eq(faults("data", prepare, dir, project(dir, rows(12), "split = { validation = 5 },")),
    { "7 examples for training (5 validate); at least 10 are needed" })
end)

t.test("the rows of both files have their names, however they were split", function()
  local dir <close> = t.folder()
  for _, split in ipairs { "0.3", "5" } do
    local p, names = prepare(dir, project(dir, rows(40), ("split = { validation = %s },"):format(split)))
    t.eq({ #names.train, #names.validation }, { p.train.rows, p.validation.rows })
    for _, side in ipairs { "train", "validation" } do
      for i, line in ipairs(lines(p[side])) do t.has(line, '"питання ' .. names[side][i]:match "%d+" .. '"') end
    end
  end
end)

t.test("a limit ends after so many examples, not rows", function()
  local dir <close> = t.folder()
  local list = rows(40)
  list[1] = '{"id":"1","skip":"no text"}'
  local p = prepare(dir, project(dir, list), "run", { limit = 15 })
  t.eq({ p.rows, p.written }, { 16, 15 })
end)

t.test("export writes every example to one file, however few", function()
  local dir <close> = t.folder()
  local out = dir.path .. "/all.jsonl"
  local made = dataset.export(project(dir, rows(3), "split = { validation = 0.5 },"), out, { limit = 2 })
  t.eq({ made.rows, made.written, made.path, made.bytes }, { 2, 2, out, #assert(fs.read(out)) })
end)

t.test("export counts the tokens of what it writes, while it goes on", function()
  local dir <close> = t.folder()
  local counter <close> = tokens.counter { encoding = "o200k_base", threads = 2 }
  local list = {}
  for i = 1, 3000 do list[i] = ('{"id":"r%d","q":"%s","a":"x%s"}'):format(i, ("питання "):rep(i % 200), i) end
  local out = dir.path .. "/all.jsonl"
  local made = dataset.export(project(dir, list), out, { counter = counter })
  local figures = made.tally.histogram:figures()
  local sum, line = 0, 0
  for text in assert(fs.read(out)):gmatch("[^\n]+") do
    local n = counter:row(text)
    sum, line = sum + n, line + 1
    if line == made.tally.longest.line then t.eq(n, made.tally.longest.tokens) end
  end
  t.eq({ figures.count, figures.sum, figures.max }, { 3000, sum, made.tally.longest.tokens })
end)

t.test("a key or a group that no row has is a recipe error with the nearest name", function()
  local dir <close> = t.folder()
  local got, e = faults("recipe", prepare, dir, project(dir, rows(12, ',"law":"1"'),
    'split = { validation = 0.2, group_by = "laws" },'))
  t.eq(got, { dir.path .. '/x.lua:2: split.group_by: no row has "laws"' })
  t.eq(e.advice, "Did you mean law?")
end)

t.test("a file that is missing is named with the recipe's line", function()
  local dir <close> = t.folder()
  local r = project(dir, rows(3))
  assert(fs.remove(dir.path .. "/rows.jsonl"))
  t.eq(faults("recipe", prepare, dir, r), { dir.path ..
    "/x.lua:3: dataset.path: rows.jsonl: there is no such file (the path starts at the recipe's folder)" })
end)

local LINE = '{"messages": [{"role": "user", "content": "q%d"}, {"role": "assistant", "content": "a"}]}'

local function files(dir, fields)
  local path = dir.path .. "/x.lua"
  assert(fs.write(path, 'return ft.recipe { name = "x", base_model = "m",\n dataset = ft.files { ' .. fields .. " }"))
  return recipe.load(path)
end

t.test("ready-made files are checked and copied as they are", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 12 do list[i] = LINE:format(i) end
  assert(fs.write(dir.path .. "/t.jsonl", table.concat(list, "\r\n") .. "\r\n\r\n"))
  assert(fs.write(dir.path .. "/v.jsonl", LINE:format(99)))
  local p = prepare(dir, files(dir, 'train = "t.jsonl", validation = "v.jsonl" }'))
  t.eq(lines(p.train), list)
  t.eq({ p.train.rows, p.validation.rows, p.rows, p.written }, { 12, 1, 13, 13 })
  p = prepare(dir, files(dir, 'train = "t.jsonl" }, split = { validation = 2 }'), "split")
  t.eq({ p.train.rows, p.validation.rows }, { 10, 2 })
  list[3] = LINE:format(3):gsub("user", "usr")
  list[7] = "{"
  assert(fs.write(dir.path .. "/t.jsonl", table.concat(list, "\n")))
  local got = faults("data", prepare, dir, files(dir, 'train = "t.jsonl", validation = "v.jsonl" }'), "bad")
  t.has(got[1], "t.jsonl:3: messages[0].role: ")
  t.has(got[2], "t.jsonl:7: ")
end)

t.test("ready-made lines are split by paths into them", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 100 do
    list[i] = ('{"messages":[{"role":"user","content":"q%d","name":"law%d"},{"role":"assistant","content":"%s"}]}')
      :format(i, i % 20, i % 4 == 0 and "так" or "ні")
  end
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n")))
  local function split_by(kind, rule)
    assert(fs.write(dir.path .. "/x.lua", ([[return ft.recipe { name = "x", base_model = "m", split = { %s },
      dataset = %s }]]):format(rule, kind)))
    return prepare(dir, recipe.load(dir.path .. "/x.lua"), "run")
  end
  for _, kind in ipairs { 'ft.files { train = "rows.jsonl" }', 'ft.jsonl "rows.jsonl"' } do
    local p = split_by(kind, 'validation = 0.2, group_by = "messages[0].name"')
    local laws = {}
    for _, line in ipairs(lines(p.validation)) do laws[line:match('"(law%d+)"')] = true end
    for _, line in ipairs(lines(p.train)) do t.ok(not laws[line:match('"(law%d+)"')]) end
    p = split_by(kind, 'validation = 0.2, stratify_by = "messages[-1].content"')
    t.eq(p.strata, { { value = "ні", train = 60, validation = 15 }, { value = "так", train = 20, validation = 5 } })
  end
  t.has(faults("recipe", split_by, 'ft.files { train = "rows.jsonl" }', 'validation = 0.2, group_by = "law"')[1],
    'x.lua:1: split.group_by: no row has "law"')
end)

t.test("files that the provider has already are passed on by their id", function()
  local dir <close> = t.folder()
  local p = prepare(dir, files(dir, 'train = "file-abc", validation = "file-def" }'))
  t.eq({ p.train, p.validation }, { { file_id = "file-abc" }, { file_id = "file-def" } })
end)

t.test("progress is told, and other tasks run meanwhile", function()
  local dir <close> = t.folder()
  local task = require "ft.task"
  local seen, turns, done = {}, 0, false
  local other = task.spawn(function()
    while not done do
      turns = turns + 1
      require "ft.time".sleep(0)
    end
  end)
  prepare(dir, project(dir, rows(1000, ',"more":"' .. ("x"):rep(1000) .. '"')), "run", {
    on_progress = function(...) seen[#seen + 1] = { ... } end })
  done = true
  other:join()
  t.ok(#seen >= 6, #seen) -- after so many rows, and where that takes long oftener
  for i, s in ipairs(seen) do
    t.eq({ s[2], s[3] }, { 1.0, "MB" })
    t.ok(s[1] >= (seen[i - 1] or s)[1] and s[1] <= 1.0)
  end
  t.eq(seen[#seen][1], 1.0)
  seen = {}
  local few = { limit = 250, on_progress = function(...) seen[#seen + 1] = { ... } end }
  prepare(dir, project(dir, rows(1000)), "few", few)
  for _, s in ipairs(seen) do t.eq({ s[2], s[3] }, { 250, "examples" }) end
  t.eq({ seen[1][1] <= 200, seen[#seen][1] }, { true, 250 })
  t.ok(turns >= 5, turns)
end)

t.test("a missing DATABASE_URL says what to do", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/x.lua"
  assert(fs.write(path, [[return ft.recipe { name = "x", base_model = "m", dataset = ft.postgres {
    url = ft.env "FTRUN_NO_SUCH_URL", query = "SELECT 1", key = "id", example = function(row) return row end } }]]))
  local got, e = faults("setting", prepare, dir, recipe.load(path))
  t.eq(got, { "FTRUN_NO_SUCH_URL is not set" })
  t.has(e.advice, "FTRUN_NO_SUCH_URL=postgresql://")
end)

t.test("a recipe reads data below its folder or the current one; elsewhere only where --set says so", function()
  local outside <close> = t.folder()
  local dir <close> = t.folder()
  assert(fs.write(outside.path .. "/secret.jsonl", table.concat(rows(20), "\n")))
  local r = project(dir, rows(20))
  local function loaded(path, set)
    local file = dir.path .. "/y.lua"
    assert(fs.write(file, (fs.read(dir.path .. "/x.lua"):gsub("rows.jsonl", path))))
    return recipe.load(file, { set = set })
  end
  t.eq(prepare(dir, r).rows, 20)
  local elsewhere = outside.path .. "/secret.jsonl"
  local hidden = dir.path .. "/.hidden.jsonl"
  assert(fs.write(hidden, "{}"))
  for _, path in ipairs { elsewhere, "../" .. outside.path:match("[^/]*$") .. "/secret.jsonl", ".hidden.jsonl" } do
    local e = t.raises("outside the folders", prepare, dir, loaded(path))
    t.eq(e.kind, "recipe")
    t.has(e.where, "y.lua:")
  end
  t.eq(prepare(dir, loaded("rows.jsonl", { "dataset.path=" .. elsewhere })).rows, 20)
end)

t.test("a long reason for skipping is cut between characters", function()
  local dir <close> = t.folder()
  local r = project(dir, rows(20, ""), "", 'if row.id == "r3" then return ft.skip(("ї"):rep(1000)) end\n' .. EXAMPLE)
  local reason = prepare(dir, r).skipped[1].reason
  t.ok(#reason <= 203 and utf8.len(reason), reason)
end)
