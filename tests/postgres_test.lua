-- Runs under tests/postgres.sh, which sets the PG* variables and starts the server.
local t = require "harness"
local task = require "ft.task"
local time = require "ft.time"
local postgres = require "ft.postgres"
local secrets = require "ft.secrets"
local fs = require "ft.fs"

-- Connects to a URL that stands in a .env file, as a user's does.
local count = 0
local function connect_url(url, timeout_s)
  count = count + 1
  local name = ("TEST_%d_DSN"):format(count)
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/.env", name .. "='" .. url:gsub("%$PORT", os.getenv "PGPORT") .. "'\n"))
  assert(secrets.load(dir.path .. "/.env"))
  local c, message, code = postgres.connect({ secret = name }, timeout_s)
  if message then t.has(message:gsub(name, "TEST_DSN"), "TEST_DSN") end
  return c, message and message:gsub(name, "TEST_DSN"), code
end

local function connect(options)
  local target = { conninfo = "" }
  for k, v in pairs(options or {}) do target[k] = v end
  local c = assert(postgres.connect(target))
  return setmetatable({}, { __index = function(_, k) return function(_, ...) return c[k](c, ...) end end,
    __close = function() c:close() end })
end

t.test("a query returns its rows as text, NULL as nil, and its columns in order", function()
  local c <close> = connect()
  local r = assert(c:query("SELECT 1 AS one, 'два' AS two, NULL AS three, true AS four, 1.50 AS five"))
  t.eq(r, { rows = { { one = "1", two = "два", four = "t", five = "1.50" } },
    columns = { "one", "two", "three", "four", "five" }, affected = 1 })
end)

t.test("no rows is an empty list with its columns", function()
  local c <close> = connect()
  local r = assert(c:query("SELECT 1 AS a WHERE false"))
  t.eq(r, { rows = {}, columns = { "a" }, affected = 0 })
end)

t.test("parameters are text, integers, floats to the last digit, booleans and NULL", function()
  local c <close> = connect()
  local r = assert(c:query("SELECT $1::text AS a, $2::bigint AS b, $3::float8 AS c, $4::bool AS d, $5::text AS e",
    { n = 5, "'; DROP TABLE x; --", math.maxinteger, 0.1 + 0.2, false, nil }))
  t.eq(r.rows[1], { a = "'; DROP TABLE x; --", b = "9223372036854775807", c = "0.30000000000000004", d = "f" })
  t.raises("parameter 1", c.query, c, "SELECT $1", { {} })
  t.fails("22021", c:query("SELECT $1::text", { "a\0b" }))
end)

t.test("affected counts what a statement changed", function()
  local c <close> = connect()
  assert(c:query("CREATE TEMP TABLE n (i int)"))
  t.eq(assert(c:query("INSERT INTO n SELECT generate_series(1, 7)")), { rows = {}, columns = {}, affected = 7 })
end)

t.test("json keeps the bytes as stored; text keeps every character", function()
  local c <close> = connect()
  local json = '{ "b":1,\n "a" : [ ],"a": 1.10, "n":12345678901234567890 ,"s":"\\u0456\\\\n"}'
  assert(c:query("CREATE TEMP TABLE j (d json, s text)"))
  local all = {}
  for i = 1, 0x2FF do all[#all + 1] = utf8.char(i) end
  for _, i in ipairs { 0x7FF, 0x800, 0xFFFD, 0x10000, 0x10FFFF } do all[#all + 1] = utf8.char(i) end
  local text = table.concat(all)
  assert(c:query("INSERT INTO j VALUES ($1, $2)", { json, text }))
  t.eq(assert(c:query("SELECT d, s FROM j")).rows[1], { d = json, s = text })
  t.fails("22021", c:query("SELECT $1::text", { "\xff\xfe" }))
end)

t.test("a missing table, a missing column and bad syntax name the place and leave the connection usable", function()
  local c <close> = connect()
  local message = t.fails("42P01", c:query("SELECT *\n  FROM legal_act"))
  t.eq(message, [[relation "legal_act" does not exist (42P01) at line 2, column 8: FROM legal_act]])
  assert(c:query("CREATE TEMP TABLE acts (nreg text)"))
  message = t.fails("42703", c:query("SELECT 'ї',\n nregg FROM acts"))
  t.has(message, [[column "nregg" does not exist (42703) at line 2, column 2: nregg FROM acts]])
  t.has(message, "hint: Perhaps you meant")
  message = t.fails("42601", c:rows("SELEC 1"))
  t.has(message, "at line 1, column 1: SELEC 1")
  message = t.fails("42601", c:query("SELECT '" .. ("ї"):rep(200) .. "' AS a, FRM x y z"))
  t.ok(utf8.len(message), "cut between characters")
  t.fails("42601", c:query(" -- nothing"))
  t.fails("42601", c:query("SELECT 1; SELECT 2"))
  t.fails("0A000", c:query("COPY acts TO STDOUT"))
  t.fails("lost", c:query("SELECT 1"))
end)

t.test("two columns of one name are refused, not merged", function()
  local c <close> = connect()
  t.has(t.fails("42701", c:query("SELECT 1 AS a, 2 AS a")), "'a'")
  t.fails("42701", c:rows("SELECT 1 AS a, 2 AS a"))
  t.eq(assert(c:query("SELECT 1 AS a")).rows, { { a = "1" } })
end)

t.test("an error in the middle of a stream comes after the rows before it", function()
  local c <close> = connect()
  local rows = assert(c:rows("SELECT 10 / (5 - i) AS q FROM generate_series(1, 9) i"))
  for _ = 1, 4 do t.ok(rows:next()) end
  t.has(t.fails("22012", rows:next()), "division by zero")
  t.eq(rows:next(), nil)
  t.ok(c:query("SELECT 1"))
end)

t.test("100,000 rows stream with flat memory, while other tasks run", function()
  local c <close> = connect()
  local rows = assert(c:rows("SELECT i, repeat('x', 1000) AS t FROM generate_series(1, 100000) i"))
  t.eq(rows:columns(), { "i", "t" })
  local turns, done, begun = 0, false, time.monotonic()
  local other = task.spawn(function()
    local d <close> = connect()
    while not done do
      assert(d:query("SELECT 1"))
      turns = turns + 1
    end
  end)
  local n, most, base = 0, 0, nil
  while true do
    local row, message = rows:next()
    assert(row or not message, message)
    if not row then break end
    n = n + 1
    assert(row.i == tostring(n) and #row.t == 1000)
    if n % 5000 == 0 then
      collectgarbage()
      local kib = collectgarbage("count")
      base = base or kib
      most = math.max(most, kib - base)
    end
  end
  done = true
  other:join()
  t.eq(n, 100000)
  t.ok(most < 200, most .. " KiB more")
  local seconds = time.monotonic() - begun
  t.ok(turns > 10 * seconds, ("%d turns of the other task in %.2f s"):format(turns, seconds))
  t.eq(rows:next(), nil)
end)

t.test("a stream closed early leaves the connection usable at once", function()
  local c <close> = connect()
  for _ = 1, 20 do
    local rows = assert(c:rows("SELECT generate_series(1, 100000000) AS i"))
    t.eq(rows:next(), { i = "1" })
    t.raises("busy", c.query, c, "SELECT 1")
    rows:close()
    rows:close()
    t.raises("closed", rows.next, rows)
    t.eq(assert(c:query("SELECT 2 AS a")).rows, { { a = "2" } })
  end
end)

t.test("a backend that is terminated in the middle of a stream is a lost connection, never an end", function()
  local c <close> = connect()
  local other <close> = connect()
  local pid = assert(c:query("SELECT pg_backend_pid() AS pid")).rows[1].pid
  local rows = assert(c:rows("SELECT generate_series(1, 1000000) AS i, repeat('y', 5000) AS t"))
  for _ = 1, 10 do t.ok(rows:next()) end
  assert(other:query("SELECT pg_terminate_backend($1)", { pid }))
  local row, message, code
  repeat row, message, code = rows:next() until not row
  t.has(t.fails("lost", row, message, code), "was lost")
  t.fails("lost", c:query("SELECT 1"))
  t.fails("lost", c:rows("SELECT 1"))
end)

t.test("a connection that died while idle is lost, too", function()
  local c <close> = connect()
  local other <close> = connect()
  local pid = assert(c:query("SELECT pg_backend_pid() AS pid")).rows[1].pid
  assert(other:query("SELECT pg_terminate_backend($1)", { pid }))
  t.fails("lost", c:query("SELECT 1"))
end)

t.test("a query past its time is cancelled on the server", function()
  local c <close> = connect()
  t.has(t.fails("timeout", c:query("SELECT pg_sleep(60)", nil, 0.2)), "0.2 s")
  t.fails("timeout", c:rows("SELECT pg_sleep(60)", nil, 0.2))
  local r = assert(c:query [[SELECT count(*) AS n FROM pg_stat_activity
    WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active']])
  t.eq(r.rows, { { n = "0" } })
end)

t.test("cancelling a task cancels its query", function()
  local c <close> = connect()
  local rows
  for _, wait in ipairs {
    function() c:query("SELECT pg_sleep(60)") end,
    function() c:rows("SELECT pg_sleep(60)") end,
    function()
      rows = assert(c:rows [[SELECT i, repeat('z', 9000) AS t, CASE WHEN i = 3 THEN pg_sleep(60) END AS s
        FROM generate_series(1, 3) i]])
      while rows:next() do end
    end,
  } do
    local child = task.spawn(wait)
    local d <close> = connect()
    local r
    repeat
      r = assert(d:query "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(60)%' AND wait_event = 'PgSleep'")
    until r.rows[1]
    child:cancel()
    t.eq(assert(c:query("SELECT 3 AS a")).rows, { { a = "3" } })
  end
  t.eq(rows:next(), nil)
end)

t.test("close ends what another task waits for, and is idempotent", function()
  local c = assert(postgres.connect { conninfo = "" })
  local child = task.spawn(function() return c:query("SELECT pg_sleep(60)") end)
  task.spawn(function() end):join()
  t.raises("busy", c.query, c, "SELECT 1")
  c:close()
  c:close()
  t.fails("lost", child:join())
  t.raises("closed", c.query, c, "SELECT 1")
end)

t.test("two connections work at the same time", function()
  local a <close> = connect()
  local c <close> = connect()
  local slow = task.spawn(function() return c:query("SELECT pg_sleep(0.3)::text AS s, 'slow' AS name") end)
  local order = {}
  local waiter = task.spawn(function() slow:join() order[#order + 1] = "slow" end)
  assert(a:query("SELECT 1"))
  order[#order + 1] = "fast"
  waiter:join()
  t.eq(order, { "fast", "slow" })
end)

t.test("a read-only connection cannot write by any statement, sees one snapshot and survives errors", function()
  local w <close> = connect()
  assert(w:query("DROP TABLE IF EXISTS guarded"))
  assert(w:query("CREATE TABLE guarded (i int)"))
  local c <close> = connect { read_only = true }
  t.eq(assert(c:query("SELECT count(*) AS n FROM guarded")).rows, { { n = "0" } })
  assert(w:query("INSERT INTO guarded VALUES (1)"))
  t.eq(assert(c:query("SELECT count(*) AS n FROM guarded")).rows, { { n = "0" } }, "snapshot")
  t.fails("25006", c:query("INSERT INTO guarded VALUES (2)"))
  t.fails("25006", c:query("WITH d AS (DELETE FROM guarded RETURNING 1) SELECT * FROM d"))
  t.fails("25001", c:query("SET TRANSACTION READ WRITE"))
  c:query("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
  c:query("COMMIT")
  c:query("START TRANSACTION READ WRITE")
  t.fails("25006", c:query("DROP TABLE guarded"))
  local rows = assert(c:rows("SELECT i FROM generate_series(1, 3) i"))
  for i = 1, 3 do t.eq(rows:next(), { i = tostring(i) }) end
  t.eq(rows:next(), nil)
  t.eq(assert(w:query("SELECT i FROM guarded")).rows, { { i = "1" } })
  assert(w:query("DROP TABLE guarded"))
end)

t.test("a query beyond 64 MiB is refused and the connection stays", function()
  local c <close> = connect()
  t.fails("too_large", c:query("SELECT repeat('x', 1000000) AS t FROM generate_series(1, 100)"))
  t.eq(assert(c:query("SELECT 1 AS a")).rows, { { a = "1" } })
end)

t.test("wrong use raises", function()
  t.raises("one of", postgres.connect, {})
  t.raises("one of", postgres.connect, { secret = "A", conninfo = "" })
  t.raises("unknown option", postgres.connect, { conninf = "" })
  local c <close> = connect()
  t.raises("NUL", c.query, c, "SELECT 1\0")
  t.raises("positive", c.query, c, "SELECT 1", nil, 0)
  t.raises("too many", c.query, c, "SELECT 1", { n = 1e6 // 1 | 0 })
end)

t.test("the server's notices stay out of the results", function()
  local c <close> = connect()
  t.ok(c:query("DO $$ BEGIN RAISE WARNING 'only a notice'; END $$"))
end)

t.test("a password over TCP is taken from the secret", function()
  local c = assert(connect_url("postgresql://ftrun:" .. os.getenv "PGTESTPASSWORD" .. "@127.0.0.1:$PORT/ftrun"))
  t.eq(assert(c:query("SELECT current_user AS u, current_setting('application_name') AS a, "
    .. "current_setting('client_encoding') AS e")).rows, { { u = "ftrun", a = "ftrun", e = "UTF8" } })
  c:close()
end)

t.test("a failed connection says in one line where, why and what to do, and holds no password", function()
  for _, case in ipairs {
    { "auth", "postgresql://ftrun:pa55word@127.0.0.1:$PORT/ftrun",
      "database 'ftrun' at 127.0.0.1:$PORT as user 'ftrun'",
      "password authentication failed", "correct the user or the password in TEST_DSN" },
    { "auth", "postgresql://ftrun@127.0.0.1:$PORT/ftrun", "no password supplied", "put it into TEST_DSN" },
    { "auth", "postgresql://nobody-here@/ftrun", "role \"nobody-here\" does not exist" },
    { "no_database", "postgresql:///nowhere", "database \"nowhere\" does not exist", "createdb" },
    { "refused", "postgresql://u:pa55word@127.0.0.1:1/x", "at 127.0.0.1:1 ", "Connection refused", "start PostgreSQL" },
    { "refused", "host=/nowhere password=pa55word", "No such file", "start PostgreSQL" },
    { "refused", "postgresql://u:pa55word@127.0.0.1:1,127.0.0.1:2/x", "127.0.0.1:2" },
    { "dns", "postgresql://u:pa55word@host.invalid/x", "host.invalid", "the host name is not known" },
    { "tls", "postgresql://ftrun:pa55word@127.0.0.1:$PORT/ftrun?sslmode=require", "SSL" },
    { "bad_url", "mysql://u:pa55word@localhost/x", "not a PostgreSQL URL" },
    { "bad_url", "postgresql://u:pa55word@localhost:port/x", "port" },
    { "bad_url", "postgresql://u:pa55word@localhost/x?sslmod=require", "URI query parameter" },
    { "bad_url", "postgresql://u:pa55word@[::1/x", "not a PostgreSQL URL" },
    { "bad_url", "postgresql://u:pa55word%zz@h/x", "not a PostgreSQL URL" },
    { "bad_url", "postgresql://u:pa55word@localhost/x?sslmode=perhaps", "sslmode" },
    { "bad_url", "pa55word", "not a PostgreSQL URL" },
  } do
    local message = t.fails(case[1], connect_url(case[2]))
    for i = 3, #case do t.has(message, (case[i]:gsub("%$PORT", os.getenv "PGPORT"))) end
    t.ok(not message:find("pa55word") and not message:find("\n"), message)
  end
  t.has(t.fails("bad_url", postgres.connect { conninfo = "postgresql://u:pa55word@h/x" }), "put the whole URL into")
  t.has(t.fails("no_secret", postgres.connect { secret = "NOT_SET_URL" }), "NOT_SET_URL is not set")
end)

t.test("a server that does not answer is a timeout", function()
  local c <close> = connect()
  local pid = assert(c:query("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1) AS pid")).rows[1].pid
  assert(os.execute("kill -STOP " .. pid)) -- the system still accepts connections for it
  local _, message, code = connect_url("postgresql://u:pa55word@127.0.0.1:$PORT/x", 0.2)
  assert(os.execute("kill -CONT " .. pid))
  t.has(t.fails("timeout", nil, message, code), "no answer within 0.2 s")
end)
