local t = require "harness"
local child = require "child"
local secrets = require "ft.secrets"

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

local function decode(s) return (s:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end)) end

--- The cases of cases/dotenv.txt: { { name, text, values, broken line? } }
local function cases()
  local list, case = {}, nil
  for line in io.lines(os.getenv "FTRUN_TESTS" .. "/cases/dotenv.txt") do
    local mark, rest = line:match "^([#<>!]) ?(.*)$"
    if mark == "#" then
      case = { name = rest, text = {}, values = {} }
    elseif mark == "<" then
      if #case.text == 0 then list[#list + 1] = case end
      table.insert(case.text, (decode(rest)))
    elseif mark == ">" then
      local name, value = rest:match "^(.-)=(.*)$"
      case.values[decode(name)] = decode(value)
    elseif mark == "!" then
      case.broken = math.tointeger(rest)
    end
  end
  return list
end

t.test("a .env file means what python-dotenv makes of it", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/.env"
  local all = cases()
  t.ok(#all >= 60, #all)
  -- The names of every case, so that one that must have no value is asked for too.
  local names = { "FT_NONE", "X", "Y", "D", "E", "F", "G", "H", "I", "''", "export", '"D"' }
  for _, case in ipairs(all) do for name in pairs(case.values) do names[#names + 1] = name end end
  local source = { "local s, all, names = require 'ft.secrets', {}, {}" }
  for i, case in ipairs(all) do
    write(("%s/%d.env"):format(dir.path, i), table.concat(case.text, "\n"))
  end
  write(dir.path .. "/names", table.concat(names, "\n"))
  source[#source + 1] = ([[
    local dir, count = %q, %d
    for name in io.lines(dir .. "/names") do names[#names + 1] = name end
    for i = 1, count do
      os.rename(dir .. "/" .. i .. ".env", dir .. "/.env")
      local read, message, code = s.load(dir .. "/.env")
      local out <close> = io.open(dir .. "/" .. i .. ".out", "wb")
      out:write(tostring(read), "\0", message or "", "\0", code or "", "\0")
      for _, name in ipairs(names) do
        local origin = s.origin(name)
        if origin then out:write(name, "\0", s.setting(name), "\0") end
      end
    end]]):format(dir.path, #all)
  local r = child.run(table.concat(source, "\n"), { env = { FT_ENV = "outer", FT_EMPTY = "" } })
  t.eq(r.err, "")
  for i, case in ipairs(all) do
    local file <close> = assert(io.open(("%s/%d.out"):format(dir.path, i), "rb"))
    local fields = {}
    for field in file:read("a"):gmatch "([^\0]*)\0" do fields[#fields + 1] = field end
    local got = {}
    for k = 4, #fields, 2 do got[fields[k]] = fields[k + 1] end
    if got.FT_ENV == "outer" then got.FT_ENV = nil end
    t.eq(got, case.values, case.name)
    t.eq(fields[3], case.broken and "syntax" or "", case.name)
    if case.broken then t.has(fields[2], (".env:%d: "):format(case.broken)) end
  end
  t.fails("syntax", (function() write(path, "A=1\0\n"); return secrets.load(path) end)())
end)

t.test("a missing file holds nothing, one that cannot be read is an error", function()
  local dir <close> = t.folder()
  t.eq(secrets.load(dir.path .. "/none/.env"), 0)
  t.has(t.fails("folder", secrets.load(dir.path)), dir.path)
  write(dir.path .. "/big", ("A=1\n"):rep(300000))
  t.has(t.fails("too_large", secrets.load(dir.path .. "/big")), "too large")
  write(dir.path .. "/bomb", "A=aaaaaaaaaa\n" .. ("A=${A}${A}${A}${A}\n"):rep(20))
  t.has(t.fails("too_large", secrets.load(dir.path .. "/bomb")), "too large")
end)

t.test("load counts the names and, read again, forgets what is gone", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/.env"
  write(path, "FT_A=1\nFT_B=2\nFT_A=3\n")
  t.eq(secrets.load(path), 2)
  t.eq({ secrets.setting "FT_A", secrets.origin "FT_A" }, { "3", path })
  write(path, "FT_B=4\n")
  t.eq(secrets.load(path), 1)
  t.eq({ secrets.setting "FT_A" or "-", secrets.setting "FT_B" }, { "-", "4" })
  t.eq(secrets.origin "FT_A", nil)
end)

t.test("of several files the first wins, and over all of them the environment", function()
  local dir <close> = t.folder()
  write(dir.path .. "/1", "FT_C=first\nPATH=file\nFT_D=${FT_C} ${PATH}\n")
  write(dir.path .. "/2", "FT_C=second\n")
  t.eq({ secrets.load(dir.path .. "/1"), secrets.load(dir.path .. "/2") }, { 3, 0 })
  t.eq({ secrets.setting "FT_C", secrets.origin "PATH" }, { "first", "environment" })
  t.eq(secrets.setting "FT_D", "first " .. os.getenv "PATH")
end)

t.test("an empty value in the environment switches the file's off", function()
  local dir <close> = t.folder()
  write(dir.path .. "/.env", "OPENAI_API_KEY=sk-from-the-file\n")
  local r = child.run(([[local s = require "ft.secrets"; s.load %q
    io.write(tostring(s.origin "OPENAI_API_KEY"))]]):format(dir.path .. "/.env"), { env = { OPENAI_API_KEY = "" } })
  t.eq(r.out, "nil")
end)

t.test("what is secret is known by name or by value, and never handed out", function()
  local dir <close> = t.folder()
  write(dir.path .. "/.env", [[
FT_API_KEY=sk-abcdef
ft_token=lower-case
FT_PASSWD=1234
FT_SENTRY_DSN=https://abc@sentry.example/1
FT_PROXY=http://me:hush@proxy:8080
FT_BASE_URL=https://api.example/v1
FT_AT=http://127.0.0.1:8080/@scope/x
FT_MAX_TOKENS=4096
FT_KEY_CHECK=off
]])
  t.ok(secrets.load(dir.path .. "/.env"))
  for _, name in ipairs { "FT_API_KEY", "ft_token", "FT_PASSWD", "FT_SENTRY_DSN", "FT_PROXY", "DATABASE_URL",
    "NOT_SET_SECRET" } do
    t.eq(secrets.is_secret(name), true, name)
    local err = t.raises(name .. " is a secret", secrets.setting, name)
    t.ok(not err:find("hush", 1, true))
  end
  for _, name in ipairs { "FT_BASE_URL", "FT_AT", "FT_MAX_TOKENS", "FT_KEY_CHECK", "NOT_SET" } do
    t.eq(secrets.is_secret(name), false, name)
  end
  t.eq(secrets.setting "FT_MAX_TOKENS", "4096")
  t.eq(secrets.setting "NOT_SET", nil)
end)

t.test("a database URL is described without its password", function()
  local dir <close> = t.folder()
  for _, case in ipairs {
    { "postgresql://me:hush-hush@db.example:5432/laws?sslmode=require", "me@db.example:5432/laws" },
    { "postgres://me:p%40ss%20word@h/d%C3%AD", "me@h/dí" },
    { "postgres://me:a/b@h/d", "me@h/d" }, { "postgres://me:a?b#c@h/d", "me@h/d" },
    { "postgresql://me@[::1]:5433/d", "me@[::1]:5433/d" },
    { "postgresql:///d?host=/run/pg&user=me&password=hush", "me@/run/pg/d" },
    { "postgresql+asyncpg://me:x@h/d", "me@h/d" },
    { "postgresql://", "local socket" },
    { "host=h port=1 user=me password='hush hush' dbname=d", "me@h:1/d" },
    { "password=hush", "local socket" },
    { "hush", "(not a database URL)" },
  } do
    write(dir.path .. "/.env", "FT_DATABASE_URL_DSN=\"" .. case[1] .. "\"\n")
    t.ok(secrets.load(dir.path .. "/.env"))
    t.eq(secrets.describe "FT_DATABASE_URL_DSN", case[2], case[1])
  end
  t.eq(secrets.describe "NOT_SET", nil)
end)

t.test("a netrc file says whether it has a key, and keeps it", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/netrc"
  write(path, "# machine api.wandb.ai password no\nmachine other login a password pw-of-other\n"
    .. "macdef x\nmachine api.wandb.ai password no\n\nmachine api.wandb.ai\n  login user\n  password pw-of-wandb\n"
    .. "default login x password pw-of-default\n")
  t.eq({ secrets.netrc(path, "api.wandb.ai"), secrets.netrc(path, "else.where") },
    { "netrc password of api.wandb.ai", false })
  t.raises("is a secret", secrets.setting, "netrc password of api.wandb.ai")
  t.eq(require("ft.log").mask "pw-of-wandb pw-of-other", "*** ***")
  t.eq(select(3, secrets.netrc(dir.path .. "/none", "x")), "not_found")
end)
