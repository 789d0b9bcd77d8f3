local t = require "harness"
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local fs = require "ft.fs"

local root = os.getenv "FTRUN_TESTS"

---- check

t.test("check finds every fault of cases/json.txt at its byte", function()
  local count = 0
  for line in io.lines(root .. "/cases/json.txt") do
    local source, expected = line:match "^«(.*)» *(.-)$"
    if source then
      local text = assert(load("return \"" .. source:gsub('"', '\\"') .. "\""))()
      local ok, message, code, offset = dataset.check(text)
      t.eq(ok and "ok" or ("%s %s"):format(code, offset), expected, line)
      t.ok(ok or #message > 0, line)
      local value, _, code2, offset2 = dataset.decode_ordered(text)
      if expected ~= "ok" then t.eq({ value, code2, offset2 }, { nil, code, offset }, line) end
      count = count + 1
    else
      t.ok(line == "" or line:sub(1, 1) == "#", line)
    end
  end
  t.ok(count > 90, count)
end)

t.test("JSONTestSuite: y_ is accepted, n_ refused, i_ decided", function()
  local dir = root .. "/cases/JSONTestSuite/test_parsing/"
  local names = assert(fs.list(dir))
  t.eq(#names, 318)
  for _, name in ipairs(names) do
    local text = assert(fs.read(dir .. name))
    local ok, message, code, offset = dataset.check(text)
    local kind = name:sub(1, 2)
    -- the suite counts duplicate keys as valid; a dataset must not have them
    if name:find "^y_object_duplicated_key" then
      t.eq(code, "duplicate_key", name)
    elseif kind == "y_" then
      t.ok(ok, ("%s: %s at %s"):format(name, message, offset))
      t.ok(dataset.decode_ordered(text) ~= nil, name)
    elseif kind == "n_" then
      t.eq(ok, nil, name)
    end
    if not ok then
      t.ok(offset >= 0 and offset <= #text, name)
      t.eq(dataset.decode_ordered(text), nil, name)
    end
  end
end)

t.test("all characters are accepted, and no other bytes, wherever they stand in a string", function()
  for _, c in ipairs { 0x20, 0x7E, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD000, 0xD7FF, 0xE000, 0xFFFF,
                       0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF } do
    local char = utf8.char(c)
    for before = 0, 17 do
      local text = '"' .. ("x"):rep(before) .. char:rep(9) .. ("ї"):rep(9) .. '"'
      t.eq(dataset.check(text), true, ("U+%X after %d"):format(c, before))
      -- any tail byte missing or doubled is a fault at the character itself or right behind it
      if c >= 0x80 then
        local cut = '"' .. ("x"):rep(before) .. char:sub(1, -2) .. ("y"):rep(20) .. '"'
        local _, _, code, offset = dataset.check(cut)
        t.eq({ code, offset }, { "utf8", before + 1 }, ("U+%X cut after %d"):format(c, before))
        local more = '"' .. ("x"):rep(before) .. char .. "\x80" .. ("y"):rep(20) .. '"'
        _, _, code, offset = dataset.check(more)
        t.eq({ code, offset }, { "utf8", before + 1 + #char }, ("U+%X and a tail after %d"):format(c, before))
      end
    end
  end
  for byte = 0, 255 do
    for before = 0, 33, 3 do
      local char = string.char(byte)
      local plain = byte >= 0x20 and byte < 0x80 and char ~= '"' and char ~= "\\"
      t.eq(dataset.check('"' .. ("x"):rep(before) .. char .. ("y"):rep(33 - before) .. '"') == true, plain, byte)
    end
  end
end)

t.test("two-byte sequences are judged as utf8.len judges them", function()
  for a = 0x80, 0xFF do
    for b = 0x20, 0xFF do
      if b ~= 0x22 and b ~= 0x5C then
        local s = "xxxxxxx" .. string.char(a, b) .. "xxxxxxxxxxxxxxx"
        t.eq(dataset.check('"' .. s .. '"') == true, utf8.len(s) ~= nil, ("%02x %02x"):format(a, b))
      end
    end
  end
end)

t.test("the depth limit is 512 and the nesting of 10 million brackets does no harm", function()
  local function nested(n) return ('{"a":['):rep(n // 2) .. ("]}"):rep(n // 2) end
  t.eq(dataset.check(nested(512)), true)
  local _, _, code, offset = dataset.check(nested(514))
  t.eq({ code, offset }, { "depth", 256 * 6 })
  _, _, code = dataset.check(("["):rep(10000000))
  t.eq(code, "depth")
end)

t.test("duplicate keys are found among many, in linear time", function()
  local function object(n, last)
    local parts = {}
    for i = 1, n do parts[i] = ('"key%d":%d'):format(i, i) end
    parts[#parts + 1] = ('"%s":0'):format(last)
    return "{" .. table.concat(parts, ",") .. "}"
  end
  for _, n in ipairs { 1, 31, 32, 33, 200 } do
    t.eq(dataset.check(object(n, "other")), true)
    for _, i in ipairs { 1, n // 2 + 1, n } do
      local _, _, code = dataset.check(object(n, "key" .. i))
      t.eq(code, "duplicate_key")
    end
  end
  local clock = os.clock()
  t.eq(dataset.check(object(300000, "other")), true)
  t.ok(os.clock() - clock < 3)
  -- the same names on every level, one object after another
  t.eq(dataset.check("[" .. ('{"a":1,"b":{"a":{"a":2},"b":3}},'):rep(1000) .. "0]"), true)
end)

---- encode

local function encoded(value, order) return assert(dataset.encode(value, order)) end

t.test("encode writes keys in the order asked for, the others sorted by bytes", function()
  local row = { messages = { { role = "user", content = "їжак" } }, z = 1, a = 2, B = 3, ["ї"] = 4 }
  t.eq(encoded(row, { "messages", "role" }),
    [[{"messages":[{"role":"user","content":"їжак"}],"B":3,"a":2,"z":1,"ї":4}]])
  t.eq(encoded(row), [[{"B":3,"a":2,"messages":[{"content":"їжак","role":"user"}],"z":1,"ї":4}]])
  t.raises("a list of key names", dataset.encode, {}, { 1 })
end)

t.test("encode keeps integers and floats exact", function()
  for value, text in pairs { [0] = "0", [math.maxinteger] = "9223372036854775807",
                             [math.mininteger] = "-9223372036854775808",
                             [0.1] = "0.1", [1 / 3] = "0.3333333333333333", [5e-324] = "4.94065645841247e-324",
                             [1e100] = "1e+100", [0.30000000000000004] = "0.30000000000000004", [2.5] = "2.5" } do
    t.eq(encoded(value), text)
  end
  local seed = 1
  for _ = 1, 2000 do
    seed = seed * 6364136223846793005 + 1442695040888963407
    local d = string.unpack("d", string.pack("j", seed))
    if d == d and math.abs(d) ~= math.huge then t.eq(tonumber(encoded(d)) + 0.0, d) end
  end
end)

t.test("one encoder serves all calls: orders change between them, faults and large texts leave no trace", function()
  local value, one, other = { a = 1, b = 2, c = { c = 3, a = 4 } }, { "c" }, { "b", "a" }
  for _ = 1, 3 do
    t.eq(dataset.encode(value, one), '{"c":{"c":3,"a":4},"a":1,"b":2}')
    t.eq(dataset.encode(value, other), '{"b":2,"a":1,"c":{"a":4,"c":3}}')
    t.eq(dataset.encode(value), '{"a":1,"b":2,"c":{"a":4,"c":3}}')
    t.raises("a list of key names", dataset.encode, value, { "c", 1 })
    t.fails("utf8", dataset.encode({ a = { { b = "\xff" } } }, one))
    t.eq(#dataset.encode({ ("x"):rep(3 << 20) }), (3 << 20) + 4)
  end
end)

t.test("seen knows a text again, whatever its length, among many", function()
  local seen, known = dataset.seen(), 0
  t.eq({ seen:add "", seen:add "", seen:add "a", seen:add "a\0", seen:add "a\0\0" },
    { false, true, false, false, false })
  for i = 1, 50000 do if seen:add(("x"):rep(i % 50) .. i) then known = known + 1 end end
  t.eq(known, 0)
  for i = 1, 50000, 7 do t.ok(seen:add(("x"):rep(i % 50) .. i)) end
  t.ok(seen:complete())
end)

t.test("seen is full after millions of texts, and says so", function()
  local seen, known = dataset.seen(), 0
  for i = 1, 1500000 do if seen:add(string.pack("i8", i)) then known = known + 1 end end
  t.eq({ known, seen:complete() }, { 0, true })
  for i = 1500001, 1700000 do seen:add(string.pack("i8", i)) end
  t.eq(seen:complete(), false)
  t.ok(seen:add(string.pack("i8", 1500000)))
end)

t.test("encode escapes what must be escaped and nothing else", function()
  t.eq(encoded "\"\\/\b\f\n\r\t\0\x1f\x7f\u{2028}їє€🦔", "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\u{2028}їє€🦔\"")
  local all = {}
  for c = 0, 0x10FFFF, 7 do if c < 0xD800 or c > 0xDFFF then all[#all + 1] = utf8.char(c) end end
  local s = table.concat(all)
  t.eq(dataset.decode_ordered(encoded(s)), s)
end)

t.test("encode tells where the fault is", function()
  local function fault(code, value) return t.fails(code, dataset.encode(value)) end
  local chat = { messages = { { content = "a" }, { content = ("x"):rep(17) .. "\xff" } } }
  t.eq(fault("utf8", chat), "messages[2].content: invalid UTF-8 at byte 17")
  t.eq(fault("utf8", "ї\xc3"), "invalid UTF-8 at byte 2")
  t.eq(fault("utf8", { a = { ["\xff"] = 1 } }), "a: key: invalid UTF-8 at byte 0")
  t.eq(fault("number", { a = { 1, { b = 0 / 0 } } }), "a[2].b: NaN is no JSON number")
  t.eq(fault("number", { -math.huge }), "[1]: Infinity is no JSON number")
  t.eq(fault("type", { ["a b"] = { print } }), '["a b"][1]: a function cannot be written as JSON')
  t.has(fault("type", { a = { 1, 2, x = 3 } }), "a: a table is either a list")
  t.has(fault("type", { [1] = 1, [3] = 3 }), "a table is either a list")
  t.has(fault("type", { [1.5] = 1 }), "a table is either a list")
  t.has(fault("type", dataset.array { a = 1 }), "marked as an array")
  t.has(fault("type", { [("k"):rep(100)] = print }), '["' .. ("k"):rep(60) .. '..."]: a function')
  local cycle = {}
  cycle[1] = cycle
  t.has(fault("depth", cycle), "table inside itself")
end)

t.test("array marks, null and raw are written as told", function()
  local raw = assert(dataset.raw ' {"b":[],\n"a":1.0,\r\n "n":12345678901234567890} ')
  t.eq(encoded { a = dataset.array {}, b = {}, c = dataset.null, d = dataset.array { 1 }, e = raw },
    [[{"a":[],"b":{},"c":null,"d":[1],"e": {"b":[], "a":1.0,   "n":12345678901234567890} }]])
  local value, message, code, offset = dataset.raw "[1,]"
  t.fails("syntax", value, message, code)
  t.eq(offset, 3)
  t.raises("metatable of its own", dataset.array, setmetatable({}, {}))
  t.eq(encoded(dataset.array(dataset.array {})), "[]")
  local deep = assert(dataset.raw(("["):rep(512) .. ("]"):rep(512)))
  t.ok(dataset.encode(deep))
  t.fails("depth", dataset.encode { deep })
end)

t.test("what encode writes, check accepts, down to the last level", function()
  local value = 1
  for _ = 1, 512 do value = { value } end
  t.eq(dataset.check(encoded(value)), true)
  t.fails("depth", dataset.encode { value })
end)

---- decode_ordered

t.test("decode_ordered keeps order, emptiness, null and integers", function()
  t.eq(dataset.decode_ordered [[{"b":[],"a":{},"n":null,"l":[1,-2.0,"\u0457\n",true,false,9007199254740993]}]], {
    object = true,
    { "b", { array = true } },
    { "a", { object = true } },
    { "n", dataset.null },
    { "l", { array = true, 1, -2.0, "ї\n", true, false, 9007199254740993 } },
  })
  t.eq(dataset.decode_ordered "-0", -0.0)
  t.eq(1 / dataset.decode_ordered "-0", -math.huge)
  t.eq(dataset.decode_ordered "9223372036854775808", 2.0 ^ 63)
  t.eq(dataset.decode_ordered '"\\ud83e\\udd94\\"\\\\\\/\\b\\f\\r\\t"', "🦔\"\\/\b\f\r\t")
  local value, message, code, offset = dataset.decode_ordered "[1, 1e999]"
  t.fails("number", value, message, code)
  t.eq(offset, 4)
end)

t.test("of a text known to be sound, the ends of strings are found wherever quotes and backslashes stand", function()
  local shape = dataset.shape { value = { "v" } }
  local plain, pieces = ("абв"):rep(20), { '\\"', "\\\\", '\\\\\\"', "\\n", "\\u0041", "" }
  for before = 0, 60, 2 do
    for _, first in ipairs(pieces) do
      for _, second in ipairs(pieces) do
        for _, gap in ipairs { 0, 1, 15, 16, 17 } do
          local text = plain:sub(1, before) .. first .. ("x"):rep(gap) .. second
          local row = ('{"v":"%s","w":"%s","v2":"%s"}'):format(text, text, text)
          local skeleton = assert(shape:skeleton(row, false))
          if shape:skeleton(row, true) ~= skeleton then t.eq(shape:skeleton(row, true), skeleton) end
        end
      end
    end
  end
  t.fails("syntax", shape:skeleton('{"v":"' .. plain, true))
  t.fails("syntax", shape:skeleton('{"v":"' .. plain .. '\\"', true))
  t.fails("syntax", shape:skeleton('{"v":"\\', true))
end)

---- writer

t.test("a committed file holds its lines, and the summary describes it", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/train.jsonl"
  local w <close> = assert(dataset.writer(path))
  local parts = {}
  for i = 1, 3000 do
    parts[i] = ('{"n":%d,"x":"%s"}'):format(i, ("ї"):rep(i))
    t.eq(w:add(parts[i]), true)
  end
  t.fails("not_found", fs.stat(path))
  local summary = assert(w:commit())
  local text = table.concat(parts, "\n") .. "\n"
  t.ok(fs.read(path) == text)
  t.eq(summary, { lines = 3000, bytes = #text, sha256 = digest.sha256(text) })
  t.eq(fs.list(dir.path), { "train.jsonl" })
  t.raises("closed", w.add, w, "{}")
  t.raises("closed", w.commit, w)
end)

t.test("a file that is not committed leaves the old one as it was", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/f"
  assert(fs.write(path, "old"))
  do
    local w <close> = assert(dataset.writer(path))
    assert(w:add(("x"):rep(1000000)))
    t.raises("without line break", w.add, w, "{\n}")
  end
  local w = assert(dataset.writer(path))
  w:close()
  w:close()
  t.eq(fs.list(dir.path), { "f" })
  t.eq(fs.read(path), "old")
  w = assert(dataset.writer(path))
  t.eq(assert(w:commit()).lines, 0)
  t.eq(fs.read(path), "")
  t.fails("not_found", dataset.writer(dir.path .. "/no/file"))
end)

-- What a write has met is told some lines later.
local function add_until_it_fails(writer)
  for _ = 1, 5 do
    local ok, message, code = writer:add(("x"):rep(1000000))
    if not ok then return ok, message, code end
  end
  return true
end

t.test("a full disk is reported with the path, at add or at commit, and stays reported", function()
  local w <close> = assert(dataset.writer "/dev/full")
  t.eq(w:add "{}", true)
  t.has(t.fails("disk_full", w:commit()), "/dev/full: ")
  t.fails("disk_full", w:add "{}")
  local big <close> = assert(dataset.writer "/dev/full")
  t.fails("disk_full", add_until_it_fails(big))
  t.fails("disk_full", big:add "{}")
  t.fails("disk_full", big:commit())
end)

t.test("a long file is whole, however its lines fall on the blocks that it is written in", function()
  local dir <close> = t.folder()
  for _, size in ipairs { 1, (256 << 10) - 2, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1000003 } do
    local path, lines = dir.path .. "/f", {}
    local w <close> = assert(dataset.writer(path))
    for i = 1, 20 do
      lines[i] = string.char(96 + i):rep(size - i % 3)
      assert(w:add(lines[i]))
    end
    local text = table.concat(lines, "\n") .. "\n"
    t.eq(assert(w:commit()), { lines = 20, bytes = #text, sha256 = digest.sha256(text) })
    t.ok(fs.read(path) == text)
  end
end)

t.test("a writer of a long file can be closed at any moment", function()
  local dir <close> = t.folder()
  for n = 1, 12 do
    local w = assert(dataset.writer(dir.path .. "/f"))
    for _ = 1, n do assert(w:add(("x"):rep(700000))) end
    w:close()
  end
  t.eq(fs.list(dir.path), {})
end)

t.test("a full disk leaves no temporary file behind", function()
  local dir <close> = t.folder()
  -- only root can mount a tiny disk; elsewhere /dev/full above must do
  if not os.execute(("mount -t tmpfs -o size=64k ftrun-test '%s' 2>/dev/null"):format(dir.path)) then return end
  local _ <close> = setmetatable({}, { __close = function() os.execute(("umount '%s'"):format(dir.path)) end })
  local path = dir.path .. "/train.jsonl"
  assert(fs.write(path, "old"))
  local w <close> = assert(dataset.writer(path))
  t.fails("disk_full", add_until_it_fails(w))
  t.fails("disk_full", fs.write(path, ("x"):rep(1000000)))
  t.eq(fs.list(dir.path), { "train.jsonl" })
  t.eq(fs.read(path), "old")
  local a <close> = assert(fs.append(path))
  t.fails("disk_full", a:write(("x"):rep(1000000), true))
  assert(a:write(" and new", true))
  t.eq(fs.read(path), "old and new")
end)

---- reader

local function read_all(path, max)
  local r <close> = assert(dataset.reader(path, max))
  local lines = {}
  while true do
    local line, number, offset = r:next()
    if not line then return lines, number, offset, r:position() end
    lines[#lines + 1] = { line, number, offset }
  end
end

t.test("the reader gives lines with number and offset, whatever their ends", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/f"
  for text, lines in pairs {
    [""] = {}, ["\n"] = { "" }, ["a"] = { "a" }, ["a\n"] = { "a" }, ["a\r\n"] = { "a" }, ["a\nb"] = { "a", "b" },
    ["a\r\n\r\nb\r\n"] = { "a", "", "b" }, ["a\rb\n"] = { "a\rb" }, ["a\r"] = { "a\r" },
    ["\0\n\xff"] = { "\0", "\xff" },
  } do
    assert(fs.write(path, text))
    local got = read_all(path)
    local only = {}
    for i, line in ipairs(got) do
      only[i] = line[1]
      t.eq(line[2], i)
      t.eq(text:sub(line[3] + 1, line[3] + #line[1]), line[1])
    end
    t.eq(only, lines, ("%q"):format(text))
  end
end)

t.test("plain and gzip files read the same, in one member or several", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/f"
  local parts = {}
  for i = 1, 400 do parts[i] = ("рядок %d "):format(i):rep(i * 7 % 1000) .. "\n" end
  local text = table.concat(parts)
  assert(fs.write(path, text))
  assert(os.execute(("cd '%s' && gzip -k f && cp f.gz two.gz && cat f.gz >> two.gz"):format(dir.path)))
  local plain = read_all(path)
  t.eq(#plain, 400)
  for i, line in ipairs(plain) do t.ok(line[1] .. "\n" == parts[i]) end
  t.eq(read_all(path .. ".gz"), plain)
  t.eq(#read_all(dir.path .. "/two.gz"), 800)
  local _, _, _, done, total = read_all(path .. ".gz")
  t.eq(done, fs.stat(path .. ".gz").bytes)
  t.eq(total, done)
  local bytes = assert(fs.read(path .. ".gz"))
  local function fault(damaged)
    assert(fs.write(path .. ".bad", damaged))
    local _, message, code = read_all(path .. ".bad")
    t.eq(code, "gzip")
    return message
  end
  t.has(fault(bytes:sub(1, -2)), "cut off")
  t.has(fault(bytes:sub(1, #bytes // 2)), "cut off")
  t.has(fault(bytes:sub(1, 2)), "cut off")
  t.has(fault(bytes .. "garbage"), "damaged")
  t.has(fault(bytes:sub(1, -9) .. "\0\0\0\0" .. bytes:sub(-4)), "damaged")
end)

t.test("a line above the limit ends the reading with its number", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/f"
  assert(fs.write(path, "12345\r\n12345\n123456\n1\n"))
  local lines, message, code = read_all(path, 5)
  t.eq(#lines, 2)
  t.eq(code, "too_long")
  t.has(message, path .. ": line 3 is longer than 5 bytes")
  assert(fs.write(path, ("x"):rep(3000000)))
  t.eq(select(3, read_all(path, 2999999)), "too_long")
  t.eq(#read_all(path, 3000000), 1)
  for _, ending in ipairs { "", "\n", "\r\n" } do
    assert(fs.write(path, ("x"):rep(131072) .. ending .. "y"))
    t.eq(#read_all(path, 131073), ending == "" and 1 or 2)
    t.eq(select(3, read_all(path, 131071)), "too_long")
  end
  local r <close> = assert(dataset.reader(path, 10))
  t.fails("too_long", r:next())
  t.fails("too_long", r:next())
end)

t.test("a reader of nothing readable fails with the path", function()
  local dir <close> = t.folder()
  t.has(t.fails("not_found", dataset.reader(dir.path .. "/none")), dir.path .. "/none: ")
  t.fails("io", dataset.reader(dir.path))
  local r = assert(dataset.reader "/dev/null")
  t.eq(table.pack(r:next()), { n = 1 })
  r:close()
  r:close()
  t.raises("closed", r.next, r)
end)
