--- W&B run logs: byte for byte what the SDK reads, whole up to the last record however the writer ended.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ftrun.wandb.log"
local logs = require "wandb_logs"
local native = require "ft.wandb"
local records = require "ftrun.wandb.records"

local values = logs.values

local CASES = os.getenv "FTRUN_TESTS" .. "/cases/wandb/"

local function add_all(path, list)
  local w <close> = assert(log.create(path))
  for _, record in ipairs(list) do assert(w:add(record)) end
  return w.position
end

t.test("the smallest run is the reference file, byte for byte", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/min.wandb"
  local row = { loss = 0.5, _step = 0, _timestamp = 1767225601.5, _runtime = 1.5 }
  local order = { "loss", "_step", "_timestamp", "_runtime" }
  add_all(path, { records.header "ftrun-0.1",
    records.run { run_id = "abc12345", project = "p", config = {}, start_time = 1767225600 },
    records.history(row, order), records.summary(row, nil, order), records.exit(0, 2), records.final(),
    records.footer() })
  t.eq(fs.read(path), fs.read(CASES .. "golden-min.wandb"))
end)

t.test("a run that W&B's own SDK has written is read", function()
  local list, message = log.read(CASES .. "sdk-sample.wandb")
  t.eq(message, nil)
  local kinds = {}
  for i, record in ipairs(list) do
    for name in pairs(record) do if name ~= "num" and name ~= "control" then kinds[i] = name end end
  end
  t.eq(kinds, { "header", "run", "files", "artifact", "telemetry", "exit", "stats", "summary", "final", "footer" })
  t.eq(list[2].run.run_id, "g9dvvkua")
  t.ok(#list[4].artifact.manifest.contents >= 1)
end)

t.test("records of every size at every place of a block come back", function()
  local sizes = { 0, 1, 7, 100, 32753, 32754, 32755, 32760, 32761, 32762, 65522, 70000 }
  for shift = 0, 30, 3 do
    local bytes, written = ":W&B\xE1\xBE\x00", {}
    local function add(record)
      bytes, written[#written + 1] = bytes .. native.frame(#bytes, record), record
    end
    add(("s"):rep(32768 - 7 - 7 - 20 + shift)) -- ends just before, at and after the end of the first block
    for i, size in ipairs(sizes) do add(string.char(64 + i):rep(size)) end
    local at, n = 7, 0
    while true do
      local record, stop = native.unframe(bytes, at)
      if not record then break end
      n, at = n + 1, stop
      t.ok(record == written[n], ("shift %d, record %d"):format(shift, n))
    end
    t.eq({ n, select("#", native.unframe(bytes, #bytes)) }, { #written, 1 })
  end
end)

t.test("a log that ends anywhere gives all records before that place, and says that one is cut off", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/x.wandb"
  add_all(path, { records.header "w", records.run { run_id = "r", config = { a = 1 }, start_time = 1 },
    records.history { _step = 1 }, records.history { _step = 2, text = ("x"):rep(40000) }, records.exit(1, 2) })
  local whole = fs.read(path)
  local before, ends = 0, 0
  for size = 7, #whole, 97 do
    local file <close> = assert(io.open(path, "wb")) -- fs.write would wait for the disk each time
    file:write(whole:sub(1, size))
    file:close()
    local list, message, code = log.read(path)
    t.ok(#list >= before, size)
    before = #list
    if message then t.eq(code, "cut", tostring(size)) else ends = ends + 1 end
  end
  assert(fs.write(path, whole))
  local list, why = log.read(path)
  t.eq({ #list, why }, { 5 })
  assert(fs.write(path, whole:sub(1, 30) .. "X" .. whole:sub(32)))
  t.eq(select(3, log.read(path)), "checksum")
  assert(fs.write(path, "something else"))
  t.eq(select(3, log.read(path)), "format")
end)

t.test("values that JSON or protobuf cannot hold are written as W&B reads them", function()
  local record = records.history { a = 0 / 0, b = math.huge, c = -math.huge, d = "\xFF\xD0x", ["k\xFF"] = 1,
    e = { list = { 1, 2 } }, f = 7 }
  local back = records.decode(records.encode(record, 1))
  t.eq(values(back.history.item), { a = "NaN", b = "Infinity", c = "-Infinity", d = "??x", ["k?"] = 1,
    e = { list = { 1, 2 } }, f = 7 })
  t.eq(records.text "Стаття \xD0 5", "Стаття ? 5")
  t.eq(#records.decode(records.encode(records.history { long = ("x"):rep(11 << 20), _step = 1 }, 1)).history.item, 1)
end)

t.test("a row in one go is what it is field by field, and what does not go so is left to the other way", function()
  local function both(row)
    local names = {}
    for name in pairs(row) do names[#names + 1] = name end
    table.sort(names)
    return records.encode(records.history(row), 3), records.encode(records.history(row, names), 3)
  end
  math.randomseed(7)
  for i = 1, 200 do
    local row = { _step = i - 1, [("x"):rep(i)] = i, ["train/loss"] = math.random(), small = math.random() * 10 ^ -i,
      large = math.random() * 10 ^ i, negative = -i / 8, yes = true, no = false, text = "Стаття " .. i, [""] = 0.0,
      whole = 3.0, integer = math.mininteger + i }
    t.ok(native.items(row, 1, 1, 16))
    local fast, slow = both(row)
    t.ok(fast == slow, i)
  end
  for _, value in ipairs { 0 / 0, math.huge, "a\"b", "a\nb", "\xFF", { 1 }, ("x"):rep(70000) } do
    t.eq(native.items({ a = value }, 1, 1, 16), nil)
    local fast, slow = both { a = value, _step = 1 }
    t.ok(fast == slow)
  end
  local many = {}
  for i = 1, 65 do many["n" .. i] = i end
  t.eq({ native.items(many, 1, 1, 16), native.items({ [1] = 1 }, 1, 1, 16), native.items({ ["\xFF"] = 1 }, 1, 1, 16),
    native.items({}, 1, 1, 16) }, { nil, nil, nil, "" })
  t.raises("the number of a field", native.items, {}, 0, 1, 1)
end)

t.test("numbers are written in the fewest digits that mean the same", function()
  math.randomseed(3)
  local function check(d)
    local expected
    for digits = 15, 17 do
      expected = ("%." .. digits .. "g"):format(d)
      if tonumber(expected) == d then break end
    end
    t.eq(json.encode(d), expected)
  end
  for i = 1, 3000 do
    check(math.random())
    check(math.random(0, 99999) / 1000)
    check((math.random() - 0.5) * 10.0 ^ (i % 40 - 20))
    check(math.random(1, 999) * 10.0 ^ (i % 36 - 18))
    check(1.7e9 + i + math.random())
    check(10.0 ^ (i % 17 - 2) * (1 + (math.random(0, 8) - 4) * 2.0 ^ -52))
    check(string.unpack("d", string.pack("i8", math.random(1, 0x7FEFFFFFFFFFFFFF))))
  end
  for _, d in ipairs { 0.0, -0.0, 0.1, 0.3, 1e15, 1e15 - 1, 999999999999999.5, 2.0 ^ 53, 1e-4, 0.01, 5e-324,
    1.7976931348623157e308, 0.1 + 0.2, 100.0, -7.25 } do check(d) end
end)

t.test("a log in bulk holds the same bytes, from the first record that is live on written at once", function()
  local dir <close> = t.folder()
  local list = { records.header "w", records.run { run_id = "r", config = {}, start_time = 1 } }
  for i = 1, 3000 do list[#list + 1] = records.history { _step = i, loss = 1 / i, name = ("x"):rep(i % 50) } end
  add_all(dir.path .. "/live", list)
  local w = assert(log.create(dir.path .. "/bulk", true))
  for _, record in ipairs(list) do assert(w:add(record)) end
  t.ok(fs.stat(dir.path .. "/bulk").bytes < w.position)
  assert(w:live())
  t.eq(fs.read(dir.path .. "/bulk"), fs.read(dir.path .. "/live"))
  assert(w:add(list[3]))
  t.eq(fs.stat(dir.path .. "/bulk").bytes, w.position)
  w:close()
  w = assert(log.create(dir.path .. "/closed", true))
  for _, record in ipairs(list) do assert(w:add(record)) end
  w:close()
  t.eq(fs.read(dir.path .. "/closed"), fs.read(dir.path .. "/live"))
end)

t.test("an encoder's caller hears what does not fit, and the encoder goes on working", function()
  local shape = { { 1, "n", "int" }, { 2, "s", "string" }, { 3, "b", "bool" }, { 4, "m", { { 1, "n", "int", true } } },
    { 300, "far", "int" } }
  for _, bad in ipairs { { n = "1" }, { n = 1.5 }, { s = 1 }, { b = 1 }, { m = 1 }, { m = { n = 1 } },
    { m = { n = { "x" } } } } do
    t.raises("field '", native.encode, shape, bad)
  end
  t.raises("no such kind", native.encode, { { 1, "x", "float" } }, {})
  t.raises("a field is", native.encode, { { 0, "x", "int" } }, {})
  local deep = { 1, "m" }
  deep[3] = { deep }
  local value = {}
  value.m = value
  t.raises("nested too deeply", native.encode, { deep }, value)
  for _, n in ipairs { 0, 1, 127, 128, -1, math.maxinteger, math.mininteger } do
    t.eq(native.decode(shape, native.encode(shape, { n = n, far = n })), { n = n, far = n })
  end
  local long = { s = ("x"):rep(1 << 21), b = false, m = { n = { 1, 2, 3 } } }
  t.eq(native.decode(shape, native.encode(shape, long)), long)
  t.eq(select(3, native.encode(shape, { s = ("x"):rep(1 << 26) })), "too_large")
  t.eq(native.encode(shape, { n = 1 }), "\x08\x01")
  for _, bad in ipairs { "\x08", "\x12\x05ab", "\x0a\x01a", "\x0b", "\x22\x02\x08", ("\xFF"):rep(12), "\x0d\0\0" } do
    t.eq(select(3, native.decode(shape, bad)), "format")
  end
  t.eq(native.decode(shape, "\x29" .. ("\0"):rep(8) .. "\x2d\0\0\0\0\x32\x01a\x08\x05"), { n = 5 }) -- unknown fields
end)
