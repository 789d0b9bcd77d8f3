local t = require "harness"
local codes = require "ftrun.data.rules.codes"
local findings = require "ftrun.data.findings"
local fs = require "ft.fs"
local inspect = require "ftrun.data.inspect"
local json = require "ftrun.json"
local limits = require "ftrun.data.rules.limits"
local mend = require "ftrun.data.mend"
local native = require "ft.dataset"
local program = require "program"
local rules = require "ftrun.data.rules"
local splitfile = require "ftrun.data.splitfile"
local validate = require "ftrun.data.validate"

local GOOD = '{"messages": [{"role": "user", "content": "питання %d"}, {"role": "assistant", "content": "a"}]}'

local function good(n)
  local list = {}
  for i = 1, n do list[i] = GOOD:format(i) end
  return list
end

-- All findings of a text, as a file; and the result.
local function check(text, options)
  local dir <close> = t.folder()
  local path, list = dir.path .. "/f.jsonl", {}
  assert(fs.write(path, text))
  local result = validate.file(path, options or {}, function(f) list[#list + 1] = f end)
  return list, result
end

local function short(list)
  local out = {}
  for i, f in ipairs(list) do
    out[i] = ("%s:%s%s"):format(f.line or "file", f.code, f.path ~= "" and "@" .. f.path or f.offset and
      f.offset > 0 and "+" .. f.offset or "")
  end
  return out
end

local function cases()
  local list = {}
  for line in assert(fs.read(os.getenv "FTRUN_TESTS" .. "/cases/findings.txt")):gmatch "[^\n]+" do
    local method, expected, row = line:match "^(%l+) (%S+) (.*)$"
    if method then list[#list + 1] = { method = method, expected = expected, row = row } end
  end
  return list
end

for i, case in ipairs(cases()) do
  t.test(("case %d: %s %s"):format(i, case.method, case.expected), function()
    local got = {}
    for k, f in ipairs(rules.judge(assert(rules.shape():skeleton(case.row)), case.method).findings) do
      got[k] = f.code .. "@" .. f.path
      t.has(f.message, codes.all[f.code].mend)
      t.eq(f.severity, codes.all[f.code].severity)
    end
    t.eq(#got > 0 and table.concat(got, ",") or "ok", case.expected)
  end)
end

t.test("one fault a row gives one finding for each, with its line, and none for the good rows between", function()
  local rows, expected = {}, {}
  for _, case in ipairs(cases()) do
    if case.method == "supervised" and case.expected ~= "ok" and not case.expected:find(",", 1, true) then
      rows[#rows + 1] = GOOD:format(#rows)
      rows[#rows + 1] = case.row
      expected[#expected + 1] = ("%d:%s"):format(#rows, case.expected:gsub("@$", ""))
    end
  end
  t.ok(#expected > 40, #expected)
  local list, result = check(table.concat(rows, "\n") .. "\n")
  t.eq(short(list), expected)
  t.eq({ result.rows, result.method }, { #rows, "supervised" })
end)

t.test("a good file gives no finding, plain and packed, with and without a last line end", function()
  local text = table.concat(good(300), "\n")
  t.eq((check(text)), {})
  t.eq((check(text .. "\n")), {})
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f", text))
  assert(os.execute(("gzip -k '%s/f'"):format(dir.path)))
  t.eq(validate.file(dir.path .. "/f.gz", {}, error).rows, 300)
end)

t.test("bytes that are no JSON are found with line and offset, all of a line", function()
  local rows = good(12)
  rows[1] = "\xEF\xBB\xBF" .. rows[1] .. "\r"
  rows[2] = ""
  rows[3] = '{"a":"\xFF\xFEї\x01","a":1,"b":"\\ud800 \\x"}'
  rows[4] = '{"messages":[],}'
  rows[5] = rows[5] .. " {}"
  rows[6] = '{"a":01}'
  rows[7] = "\0"
  rows[8] = ("["):rep(600)
  rows[9] = " \t\r"
  t.eq(short((check(table.concat(rows, "\n")))), { "1:bom", "1:crlf+105", "2:empty_line", "3:utf8+6", "3:control+10",
    "3:duplicate_key+13", "3:surrogate+24", "3:syntax+31", "4:syntax+15", "5:trailing+103", "6:number+6", "7:nul",
    "8:depth+512", "9:crlf+2", "9:empty_line" })
  t.eq(short((check("\xFF\xFE{\0}\0\n\0"))), { "1:utf16", "file:no_rows" })
end)

t.test("a line beyond the limit is a fault, and the next one is read", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f", "[1]\n" .. ("x"):rep(700000) .. "\n[2]\n" .. ("y"):rep(300)))
  local scan <close> = setmetatable({ s = assert(native.scan(dir.path .. "/f", rules.shape(), 100)) },
    { __close = function(self) self.s:close() end })
  local got = {}
  for kind, line, _, code in function() return scan.s:next() end do got[#got + 1] = kind .. line .. tostring(code) end
  t.eq(got, { 'new1[0]', "fault2too_long", "known3nil", "fault4too_long" })
end)

t.test("a disk that cannot be read is no fault of the data, whoever reads", function()
  local dir <close> = t.folder()
  local broken = "/proc/self/mem" -- a file whose first byte cannot be read
  for name, read in pairs {
    validate = function() validate.file(broken, {}, print) end,
    fix = function() mend.copy(broken, dir.path .. "/out", "supervised", print) end,
    deep = function() inspect.new():file("train", broken) end,
    split = function() splitfile.run({ broken }, { rule = { validation = 0.5 }, seed = 1, dir = dir.path }) end,
  } do
    local ok, e = pcall(read)
    t.eq({ name, ok, e.kind, e.code }, { name, false, "system", "io" })
  end
  t.eq(fs.list(dir.path), {})
end)

t.test("a row of many faults tells the first sixteen", function()
  local list = check(('"%s"\n'):format(("\x01"):rep(1000)) .. table.concat(good(10), "\n"))
  t.eq({ #list, list[16].offset }, { 16, 16 })
end)

t.test("the kind of a file is what most of its first rows look like", function()
  local by = {}
  for _, case in ipairs(cases()) do
    if case.expected == "ok" then
      by[case.method] = by[case.method] or { '{"x":1}', "{" }
      for _ = 1, 10 do table.insert(by[case.method], case.row) end
    end
  end
  for _, method in ipairs(rules.METHODS) do
    local list, result = check(table.concat(by[method], "\n"))
    t.eq(result.method, method)
    t.ok(#list >= 2 and #list <= 5, #list)
  end
end)

t.test("too few, too many and too large are findings of the file", function()
  t.eq(short((check(GOOD:format(1)))), { "file:invalid_n_examples" })
  t.eq((check(GOOD:format(1), { validation = true })), {})
  t.eq(short((check(""))), { "file:no_rows" })
  local function of(method, file, model)
    local list = limits.check(method, file, model and limits.model(model))
    return list[1] and list[1].code
  end
  t.eq(of("supervised", { rows = 10, image_rows = 0, bytes = 512 << 20 }), nil)
  t.eq(of("supervised", { rows = 10, image_rows = 0, bytes = (512 << 20) + 1 }), "file_needs_upload")
  t.eq(of("supervised", { rows = 10, image_rows = 0, bytes = (8 << 30) + 1 }), "file_too_large")
  t.eq(of("supervised", { rows = 60000, image_rows = 50001 }), "invalid_n_examples")
  t.eq(of("reinforcement", { rows = 50001, image_rows = 0 }), "invalid_n_examples")
  t.eq(of("reinforcement", { rows = 1001, image_rows = 0, validation = true }), "invalid_n_examples")
  t.eq(of("reinforcement", { rows = 100, image_rows = 0 }, "gpt-4o-2024-08-06"), "method_not_offered")
  t.eq(of("dpo", { rows = 100, image_rows = 0 }, "ft:gpt-4o-2024-08-06:org::id"), nil)
end)

t.test("a model's limits count: images, and tokens of an example", function()
  local image = '{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}'
  local function row(content) return ('{"messages":[{"role":"user","content":%s},{"role":"assistant","content":"a"}]}')
    :format(content) end
  local rows = good(10)
  rows[2] = row("[" .. image:format "AA==" .. "]")
  rows[3] = row("[" .. (image:format "AA==" .. ","):rep(10) .. image:format "AA==" .. "]")
  rows[4] = row("[" .. image:format(("A"):rep(limits.IMAGE_BASE64)) .. "]")
  local text = table.concat(rows, "\n")
  t.eq(short((check(text))), { "3:too_many_images@messages",
    "4:image_too_large@messages[0].content[0].image_url.url" })
  t.eq(#check(text, { model = "gpt-4o-mini" }), 5)
  rows = good(10)
  rows[7] = row('"' .. ("слово, "):rep(40000) .. '"')
  rows[8] = row('"' .. ("a"):rep(70000) .. '"')
  t.eq(short((check(table.concat(rows, "\n"), { model = "gpt-4o-mini" }))), { "7:example_too_long" })
end)

t.test("too many functions", function()
  local tools = {}
  for i = 1, 129 do tools[i] = ('{"type":"function","function":{"name":"f%d"}}'):format(i) end
  local rows = good(10)
  rows[1] = rows[1]:gsub("}$", ',"tools":[' .. table.concat(tools, ",") .. "]}")
  t.eq(short((check(table.concat(rows, "\n")))), { "1:too_many_functions@tools" })
end)

t.test("every code is found by some test", function()
  local seen = { bom = 1, utf16 = 1, crlf = 1, empty_line = 1, too_long = 1, utf8 = 1, nul = 1, control = 1, syntax = 1,
    number = 1, surrogate = 1, duplicate_key = 1, trailing = 1, depth = 1, no_rows = 1, invalid_n_examples = 1,
    file_too_large = 1, file_needs_upload = 1, method_not_offered = 1, example_too_long = 1, too_many_images = 1,
    image_too_large = 1, images_not_supported = 1, too_many_functions = 1 }
  for _, case in ipairs(cases()) do for code in case.expected:gmatch "([%w_]+)@" do seen[code] = 1 end end
  for _, group in ipairs(codes.groups) do
    for _, row in ipairs(group[2]) do -- inspect_test.lua has those of rows seen together
      t.ok(seen[row[1]] or group[1]:find "seen together", row[1])
    end
  end
  for code in pairs(seen) do t.ok(code == "ok" or codes.all[code], code) end
end)

t.test("more different rows than are remembered are all judged", function()
  local rows, expected = {}, {}
  for i = 1, 20000 do
    rows[i] = ('{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"k%d":1}'):format(i)
    expected[i] = ("%d:unknown_key@k%d"):format(i, i)
  end
  t.eq(short((check(table.concat(rows, "\n")))), expected)
end)

t.test("names and ids are linked, however many a row has", function()
  local calls, answers = {}, {}
  for i = 1, 3000 do
    calls[i] = ('{"id":"c%d","type":"function","function":{"name":"f","arguments":"{}"}}'):format(i)
    answers[i] = ('{"role":"tool","tool_call_id":"c%d","content":"x"}'):format(i == 1700 and 1 or i)
  end
  local rows = good(10)
  rows[5] = ('{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[%s]},%s,'
    .. '{"role":"assistant","content":"a"}],"tools":[{"type":"function","function":{"name":"f"}}]}')
    :format(table.concat(calls, ","), table.concat(answers, ","))
  t.eq(short((check(table.concat(rows, "\n")))), { "5:unanswered_call@messages[1].tool_calls" })
end)

-- ---- the copy ----

local function copy(text)
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/in", text))
  local changes = {}
  mend.copy(dir.path .. "/in", dir.path .. "/out", "supervised", function(c)
    changes[#changes + 1] = ("%d:%s%s"):format(c.line, c.code, c.path ~= "" and "@" .. c.path or "")
  end)
  t.eq(fs.read(dir.path .. "/in"), text, "the input")
  return assert(fs.read(dir.path .. "/out")), changes
end

t.test("a copy mends what cannot change meaning, and keeps every other byte", function()
  local rows = good(14)
  local odd = '{ "messages" :[{"content":"\\u0041\\/" , "role":"user" },{"role":"assistant","content":"1.50e3"}]\t}'
  local text = "\xEF\xBB\xBF" .. table.concat(rows, "\r\n", 1, 5) .. "\n\n \r\n" .. odd .. "\n" .. rows[2] .. "\n"
    .. odd:gsub("{ ", '{ "x" : {"a":"}]"} , ') .. "\n" .. odd:gsub("\t}", ', "y":[1] }') .. "\n"
    .. table.concat(rows, "\n", 6)
  local out, changes = copy(text)
  t.eq(out, table.concat(rows, "\n", 1, 5) .. "\n" .. odd .. "\n" .. odd:gsub("\t}", " }") .. "\n"
    .. table.concat(rows, "\n", 6) .. "\n")
  t.eq(changes, { "1:bom", "1:crlf", "2:crlf", "3:crlf", "4:crlf", "6:empty_line", "7:crlf", "7:empty_line",
    "9:duplicate_row", "10:unknown_key@x", "10:duplicate_row", "11:unknown_key@y" })
  t.eq((check(out)), {})
end)

t.test("keys of messages are cut out wherever they stand; a slip of the pen is left alone", function()
  local out, changes = copy('{"messages":[{"a":1,"role":"user","b":"}","content":"q","c":[]},{"role":"assistant",'
    .. '"content":"a"}],"mesages":1,"\\u0064":2}\n{"messages":[{"role":"assistant","wieght":0,"content":"a"}]}')
  t.eq(out, '{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}],"mesages":1}\n'
    .. '{"messages":[{"role":"assistant","wieght":0,"content":"a"}]}\n')
  t.eq(changes, { "1:unknown_key@d", "1:unknown_message_key@messages[0].a", "1:unknown_message_key@messages[0].b",
    "1:unknown_message_key@messages[0].c" })
end)

t.test("what cannot be mended is copied as it is", function()
  local text = '{"messages":[{"role":"user","content":"\xFF"}]}\n{\n{"a":1,"a":2}\n'
  t.eq({ copy(text) }, { text, {} })
end)

t.test("a copy never goes over its input", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/in", "{}"))
  assert(fs.mkdir(dir.path .. "/d"))
  t.raises("never writes over its input", mend.copy, dir.path .. "/in", dir.path .. "/d/../in", "supervised", print)
end)

-- ---- what is shown ----

t.test("findings are grouped by code, errors first, in lines that fit", function()
  local f = findings.new()
  for i = 1, 8 do f:add(setmetatable({ line = i }, { __index = codes.finding("crlf", "", nil) })) end
  for i = 1, 2 do
    local one = codes.finding("unknown_role", "messages[0].role", ('unknown role "%s"'):format(("rr "):rep(i * 20)))
    one.line = i
    f:add(one)
  end
  t.eq({ f.errors, f.warnings, f:exit_code() }, { 2, 8, 4 })
  local lines = f:lines(60)
  t.has(lines[1], "error: unknown_role (2 times): ")
  for _, line in ipairs(lines) do t.ok(utf8.len(line) <= 60, line) end
  local text = table.concat(lines, "\n")
  t.has(text, "line 1; line 2; line 3; line 4; line 5 and 3 more")
  t.has(text, "-> end lines with LF alone")
end)

local function ftrun(dir, ...) return program.run(dir.path, {}, "validate", ...) end

t.test("--json gives a finding a line and last the summary; the exit code tells of errors", function()
  local dir <close> = t.folder()
  local rows = good(11)
  rows[3] = rows[3]:gsub("user", "usr")
  rows[4] = rows[4] .. "\r"
  assert(fs.write(dir.path .. "/f.jsonl", table.concat(rows, "\n")))
  local r = ftrun(dir, "--json", "f.jsonl")
  local list = {}
  for line in r.out:gmatch "[^\n]+" do list[#list + 1] = assert(json.decode(line)) end
  t.eq(#list, 4)
  t.eq({ list[1].line, list[1].code, list[1].severity, list[1].path },
    { 3, "unknown_role", "error", "messages[0].role" })
  t.eq(list[2].code, "missing_user")
  t.eq({ list[3].line, list[3].code, list[3].fixable }, { 4, "crlf", true })
  t.eq(r.out:match "[^\n]+\n$", '{"type":"summary","rows":11,"errors":1,"warnings":2}\n')
  t.eq(r.code, 4)
end)

t.test("good files, several, packed or from standard input, end with 0", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/f.jsonl"
  assert(fs.write(path, table.concat(good(10), "\n")))
  t.eq(ftrun(dir, "f.jsonl", path).code, 0)
  local pipe = assert(io.popen(("'%s' validate - <'%s'"):format(os.getenv "FTRUN_BIN", path)))
  t.has(pipe:read "a", "standard input: no errors in 10 rows (supervised)")
  t.eq(pipe:close(), true)
  local r = ftrun(dir, "--quiet", path)
  t.eq({ r.code, r.out }, { 0, "" })
end)

t.test("--fix tells each change and validates the copy", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f.jsonl", table.concat(good(10), "\r\n") .. "\r\n\r\n"))
  local r = ftrun(dir, "f.jsonl", "--fix", "g.jsonl")
  t.eq(r.code, 0)
  t.has(r.out, "crlf: line end made LF (11, line 1, 2, 3, 4, 5, ...)")
  t.has(r.out, "no errors in 10 rows")
  t.eq(fs.read(dir.path .. "/g.jsonl"), table.concat(good(10), "\n") .. "\n")
  r = ftrun(dir, "f.jsonl", "--json", "--fix", "g.jsonl")
  t.has(r.out, '{"type":"change","line":11,"code":"empty_line","path":"","message":"empty line removed"}\n'
    .. '{"type":"summary","rows":10,"errors":0,"warnings":0}\n')
end)

t.test("a file that is not there, and no file at all, are clear errors", function()
  local dir <close> = t.folder()
  local r = ftrun(dir, "/none.jsonl")
  t.eq(r.code, 11)
  t.has(r.err, "/none.jsonl: there is no such file or folder")
  t.eq(ftrun(dir).code, 2)
  t.eq(ftrun(dir, "--method", "sft", "x").code, 2)
end)

t.test("--codes lists every code with its text", function()
  local dir <close> = t.folder()
  local r = ftrun(dir, "--codes")
  for code, row in pairs(codes.all) do
    t.has(r.out, "  " .. code .. " ")
    t.has(r.out, row.mend)
  end
end)
