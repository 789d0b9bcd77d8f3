local t = require "harness"
local dataset = require "ft.dataset"
local sandbox = require "ft.sandbox"

local cases = assert(os.getenv "FTRUN_TESTS") .. "/cases/"

local prelude = [[
local natives = ...
local ft = {}
for k, v in pairs(natives) do ft[k] = v end
function ft.describe(x) return type(x) .. " " .. tostring(x) end
return ft
]]

local function open(options)
  local o = { root = cases .. "sandbox", memory_bytes = 8 << 20, instructions = 2000000, seconds = 5 }
  for k, v in pairs(options or {}) do o[k] = v end
  local box = assert(sandbox.new(o))
  box:prelude("@prelude.lua", prelude)
  return box
end

--- Sources that are made rather than written.
local made = {
  bytecode = function() return string.dump(load "return 1") end,
  nested = function() return "return " .. ("("):rep(100000) .. "1" .. (")"):rep(100000) end,
  locals = function()
    local lines = {}
    for i = 1, 1000 do lines[i] = "local a" .. i .. " = 1" end
    return table.concat(lines, "\n")
  end,
  constants = function()
    local parts = {}
    for i = 1, 70000 do parts[i] = ("%d.5"):format(i) end
    return "return #{" .. table.concat(parts, ",") .. "}"
  end,
  ["elseif"] = function()
    return "local a if a then" .. (" elseif a then"):rep(5000) .. " end"
  end,
}

local function one_of(text, choices)
  for choice in choices:gmatch "[^|]+" do
    if text:find(choice, 1, true) then return true end
  end
  return choices == ""
end

local function run_case(script, expected)
  local flag, rest = expected:match "^(%a+) (.*)$"
  if made[flag] then script, expected = made[flag](), rest end
  if flag == "print" or flag == "long" then expected = rest end
  local box <close> = open()
  local value, message, code = box:run("@recipe.lua", script)
  if flag == "exactly" then
    t.eq(message, rest)
    return
  end
  local codes, text = expected:match "^(%S+) ?(.*)$"
  t.ok(one_of(codes, code or "ok") or one_of(code or "ok", codes), ("%s: %s"):format(code, message))
  if code == nil then
    if text ~= "" and type(value) ~= "table" then
      t.eq(tostring(value), (text:gsub("\\n", "\n"):gsub("\\0", "\0")))
    end
    return
  end
  t.eq(value, nil)
  t.ok(one_of(message, text), message)
  t.ok(#message < 70000, "the message is too long")
  t.ok(not message:find("traceback", 1, true))
end

do -- the case file
  local file = assert(io.open(cases .. "sandbox.txt"))
  local name, lines = nil, {}
  for line in file:lines() do
    local title, expected = line:match "^== (.*)$", line:match "^%-> (.*)$"
    if title then
      name, lines = title, {}
    elseif expected then
      local script = table.concat(lines, "\n")
      t.test("a recipe: " .. name, function() run_case(script, expected) end)
    else
      lines[#lines + 1] = line
    end
  end
  file:close()
end

t.test("values are copied, not shared, in both directions", function()
  local box <close> = open()
  local recipe = assert(box:run("@r.lua", [[
    local kept
    return { f = function(row, n, s, b, none, ...)
      local was = kept and kept.changed
      kept = row
      return { row = row, n = n, s = s, b = b, none = none == nil, more = select("#", ...), was = was }
    end }]]))
  local row = { 1, 2.5, "три", x = { y = { false } }, [-7] = "minus" }
  local got = assert(box:call(recipe.f, row, 3, "s\0s", true, nil, nil, nil))
  t.eq(got, { row = row, n = 3, s = "s\0s", b = true, none = true, more = 2 })
  row.changed, got.row.changed = true, true
  t.eq(box:call(recipe.f, {}).was, nil)
end)

t.test("functions cross as handles that know where they were defined", function()
  local box <close> = open()
  local r = assert(box:run("@recipes/r.lua", [[local function f(x) return x + 1 end
    return {
      f, f,
      g = function(h, x) return h(x) end }]]))
  t.eq({ r[1]:where() }, { "recipes/r.lua", 1 })
  t.eq({ r.g:where() }, { "recipes/r.lua", 4 })
  t.eq(box:call(r[1], 1), 2)
  t.eq(box:call(r.g, r[2], 5), 6)
  t.eq({ assert(box:run("@x", "return string.upper")):where() }, { "[C]", -1 })
  local other <close> = open()
  t.raises("another recipe", other.call, other, r[1])
  local o = assert(other:run("@x", "return function() end"))
  t.raises("is a userdata", box.call, box, r.g, o)
end)

t.test("a function that nobody holds is given back to the recipe's memory", function()
  local box <close> = open()
  local make = assert(box:run("@r.lua", [[
    return function() local s = ('x'):rep(1 << 20) return function() return #s end end]]))
  for _ = 1, 50 do
    local f = assert(box:call(make))
    t.eq(box:call(f), 1 << 20)
    f = nil -- luacheck: ignore
    collectgarbage()
  end
end)

t.test("every call has a budget of its own, and the box lives on after each failure", function()
  local box <close> = open()
  local r = assert(box:run("@r.lua", [[return {
    loop = function() while true do end end, grow = function() local s = "x" while true do s = s .. s end end,
    work = function() local n = 0 for i = 1, 100000 do n = n + 1 end return n end,
    nan = function() return { 0 / 0 } end, fail = function() error "no" end,
  }]]))
  for _ = 1, 5 do
    t.has(t.fails("instructions", box:call(r.loop)), "r.lua:2: stopped after 2 million instructions")
    t.has(t.fails("memory", box:call(r.grow)), "r.lua: needs more than the 8 MiB")
    t.has(t.fails("result", box:call(r.nan)), "field '[1]'")
    t.eq(t.fails("runtime", box:call(r.fail)), "r.lua:4: no")
    t.eq(box:call(r.work), 100000)
  end
end)

t.test("Lua code that takes too long ends with its line", function()
  -- the limit is the clock's: what must not reach it has half a second, also on a busy machine
  local box <close> = open { seconds = 0.5, instructions = 1e12 }
  local message = t.fails("instructions", box:run("@r.lua", [[
    local s = ""
    while true do pcall(function() s = ("x"):rep(100000) end) end]]))
  t.has(message, "stopped after 0.5 s")
  t.has(message, "r.lua:2")
  t.eq(box:run("@r.lua", "return 1"), 1)
end)

t.test("arguments that are no plain values are the caller's fault", function()
  local box <close> = open()
  local f = assert(box:run("@r.lua", "return function(x) return x end"))
  t.raises("a.b is a function", box.call, box, f, { a = { b = print } })
  t.raises("NaN", box.call, box, f, 0 / 0)
  t.raises("is a userdata", box.call, box, f, io.stdout)
  local cycle = {}
  cycle.cycle = cycle
  t.raises("nested too deeply", box.call, box, f, cycle)
  t.raises("another recipe", function() open():call(f) end)
  t.raises("Function expected", box.call, box, print)
end)

t.test("arguments larger than the recipe's memory are a lack of memory", function()
  local box <close> = open()
  local f = assert(box:run("@r.lua", "return function(a, b, c) return #a end"))
  local s = ("x"):rep(6 << 20)
  t.has(t.fails("memory", box:call(f, s, { s .. "y" })), "needs more than")
  t.eq(box:call(f, "small"), 5)
end)

t.test("the files that a recipe read are kept, in order, as they were", function()
  local box <close> = open()
  assert(box:run("@r.lua", "ft.text 'prompt.txt' ft.include './common.lua' ft.text 'inner/../common.lua' return 1"))
  local files = box:files()
  t.eq(#files, 2)
  t.eq(files[1].path, "prompt.txt")
  t.eq(files[1].bytes:sub(1, 3), "\xEF\xBB\xBF")
  t.eq(files[2].path, "common.lua")
end)

t.test("a recipe may begin with a byte order mark and a #! line", function()
  local box <close> = open()
  t.eq(box:run("@r.lua", "\xEF\xBB\xBF#!/usr/bin/env ftrun\r\nreturn ft.line()\r\n"), 2)
  t.eq(box:run("@r.lua", "#!/usr/bin/env ftrun"), nil)
  t.eq(box:run("@r.lua", ""), nil)
end)

t.test("a source of more than 4 MiB is refused unread", function()
  local box <close> = open()
  t.has(t.fails("syntax", box:run("@r.lua", ("-"):rep((4 << 20) + 1))), "larger than 4 MiB")
end)

t.test("a closed box and its functions are errors, not crashes", function()
  local box = open()
  local f = assert(box:run("@r.lua", "return function() end"))
  box:close()
  box:close()
  t.raises("closed", box.run, box, "@r.lua", "return 1")
  t.raises("closed", box.call, box, f)
  t.raises("closed", f.where, f)
  t.eq(box:files(), {})
end)

t.test("a function keeps its box alive", function()
  local f
  do f = assert(open():run("@r.lua", "return function() end")) end
  collectgarbage()
  collectgarbage()
  t.eq({ f:where() }, { "r.lua", 1 })
end)

t.test("boxes and functions may be collected in any order", function()
  for _ = 1, 20 do
    local box = open()
    local r = assert(box:run("@r.lua", "local t = {} for i = 1, 50 do t[i] = function() end end return t"))
    if _ % 2 == 0 then box:close() end
    r[1], box = nil, nil -- luacheck: ignore
    collectgarbage "step"
  end
  collectgarbage()
end)

t.test("a folder that is not there is the world's fault", function()
  t.fails("not_found", sandbox.new { root = cases .. "nowhere" })
end)

t.test("options are checked", function()
  t.raises("'root' is required", sandbox.new, {})
  t.raises("unknown option 'rot'", sandbox.new, { rot = "." })
  t.raises("memory_bytes", sandbox.new, { root = ".", memory_bytes = 1 })
  t.raises("seconds", sandbox.new, { root = ".", seconds = 0 })
end)

t.test("what the prelude does wrong is raised", function()
  local box <close> = assert(sandbox.new { root = "." })
  t.raises("p.lua:1:", box.prelude, box, "@p.lua", "error 'x'")
  t.raises("returns a table", box.prelude, box, "@p.lua", "return 1")
  t.raises("p.lua:1:", box.prelude, box, "@p.lua", "= 1")
end)

t.test("each allocation of the box may fail: an orderly answer, and the box goes on or closes", function()
  local source = [[return { name = "x", list = { 1, { 2 } }, text = ft.text "prompt.txt", f = function(row)
    local s = {}
    for k, v in pairs(row) do s[#s + 1] = k .. "=" .. v end
    return { table.concat(s, ","), ft.include("common.lua").answer, ft.truncate(row.text, 2) }
  end }]]
  local encoder = dataset.encoder {}
  local codes, n = { memory = 0, runtime = 0, result = 0, syntax = 0, ok = 0 }, 0
  repeat
    n = n + 1
    local box <close>, _, opened = sandbox.new { root = cases .. "sandbox", fail_allocation = n }
    local code = opened
    if box then
      local ok, message = pcall(box.prelude, box, "@prelude.lua", prelude)
      code = not ok and (message:find("memory", 1, true) and "memory" or message) or nil
      local recipe, got
      if ok then recipe, message, code = box:run("@recipe.lua", source) end
      if recipe then got, message, code = box:call(recipe.f, { a = 1, b = 2, text = "текст" }) end
      if got then t.eq(got, { "a=1,b=2,text=текст", 42, "те" }) end
      if got then got, message, code = box:encode(encoder, recipe.f, { a = 1, text = "текст" }) end
      if got then t.eq(message, '["a=1,text=текст",42,"те"]') end
      if code then t.ok(message) end
    end
    codes[code or "ok"] = codes[code or "ok"] + 1
  until box and box:usage().allocations < n
  t.ok(n > 300 and codes.memory > 200, n)
  t.eq(codes.syntax + codes.result, 0)
end)

t.test("a table leaves the box as JSON when an encoder is there; all else as call gives it", function()
  local box <close> = assert(sandbox.new { root = "." })
  box:prelude("@p.lua", "return {}")
  local recipe = assert(box:run("@r.lua", "return { same = function(v) return v end, "
    .. "marked = function(v) return { v, { ['@kind'] = 'json', text = '1' } } end, "
    .. "holds = function() return { f = function(x) return x + 1 end } end, "
    .. "infinite = function() return { 1 / 0 } end, fails = function() error 'no' end }"))
  local order = { "messages", "role" }
  local encoder = dataset.encoder(order, "@")
  for _, value in ipairs { {}, { 1, 2.5, true, "\"їжак\"\n" }, { ("x"):rep(2 << 20) },
    { messages = { { content = "x", role = "user" } }, a = {} },
    { b = 1, a = { role = 1, [""] = 2, messages = 3 } } } do
    t.eq({ box:encode(encoder, recipe.same, value) }, { true, (dataset.encode(value, order)) })
    t.eq(box:call(recipe.same, value), value)
  end
  for _, value in ipairs { "text", 1, false, { ["@kind"] = "skip" }, { a = { b = { ["@x"] = 1 } } }, { 1, a = 2 },
    { "\xff" } } do
    t.eq({ box:encode(encoder, recipe.same, value) }, { false, value })
  end
  t.eq({ box:encode(encoder, recipe.same, nil) }, { false })
  t.eq({ box:encode(encoder, recipe.marked, 2) }, { false, { 2, { ["@kind"] = "json", text = "1" } } })
  t.eq({ box:encode(encoder, recipe.infinite) }, { false, { math.huge } })
  local encoded, held = box:encode(encoder, recipe.holds)
  t.eq({ encoded, box:call(held.f, 2) }, { false, 3 })
  t.has(t.fails("runtime", box:encode(encoder, recipe.fails)), "r.lua:1: no")
  t.raises("ft.Encoder expected", box.encode, box, {}, recipe.same)
  t.eq({ box:encode(dataset.encoder {}, recipe.same, { ["@x"] = 1 }) }, { true, '{"@x":1}' })
  t.raises("one byte", dataset.encoder, {}, "@@")
end)

t.test("truncate counts characters as the slow way does, whatever they are", function()
  local pieces = { "a", "Ї", "к", "–", "№", "😀", "e\u{301}", "и\u{306}", "\xC0\xAF", "\xD0", "\x80", "\xE2\x80", "\xFF",
    "abcdefgh", "законодавство" }
  local slow = [[
    local function mark(c) return c and (c >= 0x300 and c <= 0x36F) end
    local function cut(s, n)
      local at, base, count = 1, 1, 0
      local function step(i) -- a byte that is no character counts as one
        local c = utf8.len(s, i, i) and utf8.codepoint(s, i)
        return c and #utf8.char(c) or 1, c
      end
      while count < n and at <= #s do
        local len, c = step(at)
        if not mark(c) then base = at end
        at, count = at + len, count + 1
      end
      if at <= #s then
        local _, c = step(at)
        if mark(c) and at - base <= 64 then at = base end
      end
      return s:sub(1, at - 1)
    end
    return ft.recipe(function(row) return { ft.truncate(row.s, row.n), cut(row.s, row.n) } end)]]
  local box <close> = assert(sandbox.new { root = "." })
  box:prelude("@p.lua", "local n = ... return { truncate = n.truncate, recipe = function(f) return f end }")
  local cut = box:run("@r.lua", slow)
  local state = 1
  local function random(n)
    state = state * 1103515245 + 12345 & 0x7fffffff
    return (state >> 8) % n + 1
  end
  for _ = 1, 400 do
    local parts = {}
    for i = 1, random(200) do parts[i] = pieces[random(#pieces)] end
    local s = table.concat(parts)
    local r = box:call(cut, { s = s, n = random(#s) - 1 })
    t.eq(r[1], r[2])
  end
end)
