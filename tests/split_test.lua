--- Splits: of files by the command, and the rules that recipes share with it.
local t = require "harness"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"
local splitfile = require "ftrun.data.splitfile"
local splits = require "ftrun.data.split"

-- n rows: law 1..laws, label by weight, date rising with the row
local function rows(n, laws)
  local list = {}
  for i = 1, n do
    local label = i % 10 == 0 and "rare" or i % 3 == 0 and "middle" or "common"
    list[i] = ('{"id":%d,  "metadata":{"law":"%d/96-вр","label":"%s","date":"20%02d-01-%02d"}}'):format(i,
      (i * 7) % (laws or n), label, i * 30 // n, i % 28 + 1)
  end
  return list
end

local function split(dir, list, rule, seed)
  local path = dir.path .. "/rows.jsonl"
  assert(fs.write(path, table.concat(list, "\n") .. "\n"))
  local made = splitfile.run({ path }, { rule = rule, seed = seed or 42, dir = dir.path .. "/out" })
  local sides = {}
  for _, side in ipairs { "train", "validation" } do
    local text = assert(fs.read(made[side].path))
    t.eq(made[side].sha256, digest.sha256(text))
    t.eq(made[side].bytes, #text)
    sides[side] = {}
    for line in text:gmatch "[^\n]+" do table.insert(sides[side], line) end
    t.eq(made[side].rows, #sides[side])
  end
  return sides, made
end

-- Every row is on one side, as it was, and each side keeps the order.
local function check_whole(list, sides)
  local at, total = {}, #sides.train + #sides.validation
  for i, line in ipairs(list) do at[line] = i end
  t.eq(total, #list)
  for _, side in pairs(sides) do
    local last = 0
    for _, line in ipairs(side) do
      t.ok(at[line] and at[line] > last, line)
      last = at[line]
      at[line] = nil
    end
  end
end

local function values(side, name)
  local set = {}
  for _, line in ipairs(side) do set[line:match('"' .. name .. '":"([^"]*)"')] = true end
  return set
end

local function check_apart(sides, name)
  local validation = values(sides.validation, name)
  for value in pairs(values(sides.train, name)) do t.ok(not validation[value], value .. " stands on both sides") end
end

local LAW, LABEL, DATE = "metadata.law", "metadata.label", "metadata.date"

t.test("whatever the rule, each row stays as it is on one side, and no group on both", function()
  local dir <close> = t.folder()
  local list = rows(500, 60)
  for _, validation in ipairs { 0.1, 0.5, 1, 40 } do
    for bits = 0, 7 do
      local rule = { validation = validation, group_by = bits & 1 > 0 and LAW or nil,
        stratify_by = bits & 2 > 0 and LABEL or nil, time_by = bits & 4 > 0 and DATE or nil }
      local sides = split(dir, list, rule)
      check_whole(list, sides)
      t.ok(#sides.validation > 0)
      if rule.group_by then check_apart(sides, "law") end
      if validation >= 1 and not rule.group_by then t.eq(#sides.validation, validation) end
      if validation == 40 then t.ok(#sides.validation <= 40) end
    end
  end
end)

t.test("the split of a seed is fixed for all machines and versions", function()
  local dir <close> = t.folder()
  local list = rows(60, 20)
  local function ids(rule, seed)
    local found = {}
    for i, line in ipairs(split(dir, list, rule, seed).validation) do found[i] = line:match('"id":(%d+)') end
    return table.concat(found, " ")
  end
  t.eq(ids { validation = 0.1 }, "28 31 40")
  t.eq(ids { validation = 6 }, "2 24 28 31 40 49")
  t.eq(ids { validation = 0.1, group_by = LAW }, "1 21 41")
  t.eq(ids { validation = 0.2, stratify_by = LABEL }, "2 3 4 6 15 17 24 28 31 40 46 49")
  t.eq(ids { validation = 0.1, time_by = DATE }, "55 56 57 58 59 60")
  t.ok(ids({ validation = 6 }, 1) ~= ids({ validation = 6 }, 2))
end)

t.test("each stratum has its share on both sides, to the row", function()
  local dir <close> = t.folder()
  local _, made = split(dir, rows(1000), { validation = 0.2, stratify_by = LABEL })
  t.eq(made.strata, { { value = "common", train = 480, validation = 120 },
    { value = "middle", train = 240, validation = 60 }, { value = "rare", train = 80, validation = 20 } })
  local _, few = split(dir, rows(100), { validation = 7, stratify_by = LABEL })
  t.eq(few.validation.rows, 7)
  local sum = 0
  for _, s in ipairs(few.strata) do
    local exact = 7 * (s.train + s.validation) / 100
    t.ok(s.validation >= math.floor(exact) and s.validation <= math.ceil(exact), s.value)
    sum = sum + s.validation
  end
  t.eq(sum, 7)
end)

t.test("with groups the shares of strata are kept as closely as whole groups allow", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 600 do
    list[i] = ('{"law":"%d","label":"%s","n":%d}'):format(i % 150, i % 150 < 100 and "a" or "b", i)
  end
  local sides, made = split(dir, list, { validation = 0.1, group_by = "law", stratify_by = "label" })
  check_apart(sides, "law")
  t.eq(made.strata, { { value = "a", train = 360, validation = 40 }, { value = "b", train = 180, validation = 20 } })
end)

t.test("groups with rows of several strata count in each of them, and the share is kept", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 240 do
    list[i] = ('{"law":"%d","label":"%s","n":%d}'):format(i % 23, ({ "a", "b", "c", "d" })[i % 4 + 1], i)
  end
  local sides, made = split(dir, list, { validation = 0.2, group_by = "law", stratify_by = "label" })
  check_apart(sides, "law")
  t.ok(made.validation.rows >= 40 and made.validation.rows <= 56, made.validation.rows)
  for _, s in ipairs(made.strata) do
    local n = 0
    for _, line in ipairs(sides.validation) do if line:find('"label":"' .. s.value, 1, true) then n = n + 1 end end
    t.eq(s.validation, n)
    t.eq(s.train, 60 - n)
    t.ok(n >= 8 and n <= 16, ("%s: %d of 60"):format(s.value, n))
  end
  -- never more than a count, whatever it does for the strata
  for wanted = 1, 60, 7 do
    sides = split(dir, list, { validation = wanted, group_by = "law", stratify_by = "label" })
    t.ok(#sides.validation <= math.max(wanted, 11), #sides.validation)
  end
end)

t.test("values of other scripts stand in columns", function()
  local dir <close> = t.folder()
  local list = {}
  for i = 1, 40 do list[i] = ('{"label":"%s","n":%d}'):format(i % 2 == 0 and "оплата" or ("ґ"):rep(90), i) end
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n") .. "\n"))
  local r = program.run(dir.path, {}, "split", "rows.jsonl", "--stratify-by", "label")
  t.eq(r.code, 0, r.err)
  local places = {}
  for line in r.out:gmatch "  [^\n]+%%%)" do
    t.ok(utf8.len(line) and utf8.len(line) < 90, line)
    places[#places + 1] = utf8.len(line:match "^(.-)train %d")
  end
  t.eq(#places, 2)
  t.eq(places[1], places[2])
end)

t.test("by time the newest rows validate, as moments and not as texts", function()
  local dir <close> = t.folder()
  local list = { '{"d":"2024-05-01T10:00:00+03:00","i":1}', '{"d":"2024-05-01T08:30:00Z","i":2}',
    '{"d":"2023-12-31","i":3}', '{"i":4}', '{"d":null,"i":5}' }
  local sides, made = split(dir, list, { validation = 1, time_by = "d" })
  t.eq(sides.validation, { list[2] })
  t.eq(made.lacking, { { field = "d", rows = 2 } })
  sides = split(dir, { '{"d":9}', '{"d":10}', '{"d":1e3}', '{"d":-2}' }, { validation = 2, time_by = "d" })
  t.eq(sides.validation, { '{"d":10}', '{"d":1e3}' })
end)

t.test("equal rows stay together, and a row keeps its side when others come and go", function()
  local dir <close> = t.folder()
  local list = rows(300)
  local before = split(dir, list, { validation = 0.3 }).validation
  local twice = {}
  for i, line in ipairs(list) do twice[2 * i - 1], twice[2 * i] = line, line end
  local sides = split(dir, twice, { validation = 0.3 })
  t.eq(#sides.validation, 2 * #before)
  check_apart(sides, "law")
  local half = {}
  for i = 1, 150 do half[i] = list[i] end
  local of = {}
  for _, line in ipairs(before) do of[line] = true end
  for _, line in ipairs(split(dir, half, { validation = 0.3 }).validation) do t.ok(of[line]) end
end)

local function faults(list, rule)
  local dir <close> = t.folder()
  local ok, e = pcall(split, dir, list, rule)
  t.ok(not ok and err.is(e), tostring(e))
  t.eq(fs.list(dir.path .. "/out"), {}, "nothing is written")
  local texts = {}
  for i, one in ipairs(e.list or { e }) do texts[i] = one.message .. (one.advice and " " .. one.advice or "") end
  return table.concat(texts, "\n"), e
end

t.test("rows that cannot be read, and fields that no row has, are told, and nothing is written", function()
  t.has(faults({ '{"a":1}', '{"a":', "x" }, { validation = 0.5, group_by = "a" }), "\n")
  local text, e = faults({ '{"d":"yesterday"}' }, { validation = 0.5, time_by = "d" })
  t.has(text, "d: expected a number, a date such as 2026-11-22")
  t.has(e.list[1].where, "rows.jsonl:1")
  t.has(faults(rows(5), { validation = 0.5, group_by = "metadta.law" }), "Did you mean metadata?")
  t.has(faults({ "", " " }, { validation = 0.5 }), "there are no rows")
end)

t.test("a count or strata larger than what is there leave whole numbers and say so", function()
  local dir <close> = t.folder()
  local sides = split(dir, rows(5), { validation = 50 })
  t.eq({ #sides.train, #sides.validation }, { 0, 5 })
  local list = { '{"g":"x","i":1}', '{"g":"x","i":2}', '{"g":"y","i":3}' }
  t.eq(split(dir, list, { validation = 1, group_by = "g" }).validation, { list[3] })
end)

t.test("a disk that is full before all rows are on their side keeps no side", function()
  local dir <close> = t.folder()
  local small <close> = t.folder()
  -- only root can mount a tiny disk
  if not os.execute(("mount -t tmpfs -o size=3m ftrun-test '%s' 2>/dev/null"):format(small.path)) then return end
  local _ <close> = setmetatable({}, { __close = function() os.execute(("umount '%s'"):format(small.path)) end })
  local list = {}
  for i = 1, 200 do list[i] = ('{"i":%d,"text":"%s"}'):format(i, ("x"):rep(10000)) end
  assert(fs.write(dir.path .. "/rows.jsonl", table.concat(list, "\n")))
  local ok, e = pcall(splitfile.run, { dir.path .. "/rows.jsonl" },
    { rule = { validation = 20 }, seed = 1, dir = small.path })
  t.eq({ ok, e.code }, { false, "disk_full" })
  t.eq(fs.list(small.path), {})
end)

t.test("memory for a plain share does not grow with the rows", function()
  local function used(n)
    local split_, fields = splits.new({ validation = 0.1, group_by = "g" }, 42), splits.fields { group_by = "g" }
    split_.side("first")
    collectgarbage()
    collectgarbage()
    local before = collectgarbage "count"
    for i = 1, n do split_.side((fields.of({ g = "g" .. i }, ""))) end
    collectgarbage()
    collectgarbage()
    return collectgarbage "count" - before
  end
  used(100)
  t.ok(used(20000) < used(1000) + 4, "KiB more for twenty times the rows")
end)

t.test("the command splits gzip files and standard input, and reports to people and programs", function()
  program.in_project(function(dir)
    local list = rows(200, 40)
    assert(fs.write(dir .. "/a.jsonl", "\xEF\xBB\xBF" .. table.concat(list, "\r\n") .. "\r\n\r\n"))
    assert(os.execute(("gzip -k '%s/a.jsonl'"):format(dir)))
    local r = program.run(dir, {}, "split", "a.jsonl.gz", "--validation", "0.2", "--group-by", LAW,
      "--stratify-by", LABEL, "--output-dir", "gz", "--json")
    t.eq({ r.code, r.err }, { 0, "" })
    local gz = json.decode(r.out)
    t.eq({ gz.type, gz.rows, gz.seed, gz.train.rows + gz.validation.rows }, { "summary", 200, 42, 200 })
    t.eq(#gz.strata, 3)
    local plain = json.decode(program.run(dir, {}, "split", "a.jsonl", "--validation", "0.2", "--group-by", LAW,
      "--stratify-by", LABEL, "--output-dir", "plain", "--json").out)
    t.eq(plain.train.sha256, gz.train.sha256)
    t.eq(plain.validation.sha256, gz.validation.sha256)
    local people = program.run(dir, {}, "split", "a.jsonl", "--stratify-by", LABEL)
    t.eq(people.code, 0)
    t.has(people.out, "validation")
    t.has(people.out, "common")
    t.has(people.out, "(10 %)")
    local long = ("Розпорядження "):rep(10)
    local line = ('{"k":"%s","t":"%s"}\n'):format(long, long)
    assert(fs.write(dir .. "/uk.jsonl", line:rep(9) .. '{"k":"Закон","t":"1"}\n'))
    local cut = program.run(dir, {}, "split", "uk.jsonl", "--stratify-by", "k", "--output-dir", "uk").out
    t.has(cut, "  " .. ("Розпорядження "):rep(2) .. "Розпоряджен…  train ")
    t.has(cut, "  Закон" .. (" "):rep(37) .. "train ")
    local moment = program.run(dir, {}, "split", "uk.jsonl", "--time-by", "t", "--output-dir", "uk").err
    t.has(moment, "got '" .. ("Розпорядження "):rep(2) .. "Розпорядженн'")
    t.ok(fs.stat(dir .. "/train.jsonl"), "beside the first file")
    local again = program.run(dir, {}, "split", "train.jsonl")
    t.eq(again.code, 2)
    t.has(again.err, "would be written over itself")
    t.eq(program.run(dir, {}, "split", "a.jsonl", "--stratify-by", LABEL).err, "", "the same again replaces nothing")
    local other = program.run(dir, {}, "split", "a.jsonl", "--seed", "7").err
    t.has(other, "train.jsonl was there already and is replaced; --output-dir writes elsewhere")
    t.has(other, "validation.jsonl was there already")
    t.eq(program.run(dir, {}, "split", "a.jsonl", "--validation", "1.5").code, 2)
    t.eq(program.run(dir, {}, "split", "none.jsonl").code, 11)
    t.eq(program.run(dir, {}, "split", "a.jsonl", "--group-by", "metadata.lw").code, 4)
    for _, path in ipairs { "", "a[x]", "a..b", ("a."):rep(20) } do
      local wrong = program.run(dir, {}, "split", "a.jsonl", "--group-by", path, "--output-dir", "new")
      t.eq(wrong.code, 2)
      t.has(wrong.err, "option '--group-by': expected ")
    end
    t.eq(fs.stat(dir .. "/new"), nil)
    assert(fs.write(dir .. "/r.lua", 'return ft.recipe { name = "r", base_model = "gpt-4o-mini-2024-07-18",\n'
      .. 'dataset = ft.jsonl { path = "a.jsonl" },\nsplit = { validation = 0.1, group_by = "a[x]" } }'))
    local wrong = program.run(dir, {}, "plan", "r.lua")
    t.eq(wrong.code, 3)
    t.has(wrong.err, "r.lua:3: split.group_by: expected an index")
  end)
end)
