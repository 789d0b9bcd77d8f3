local t = require "harness"
local digest = require "ft.digest"
local fs = require "ft.fs"
local http = require "ft.http"
local loopback = require "loopback"
local secrets = require "ft.secrets"
local server = require "ft.server"
local task = require "ft.task"
local time = require "ft.time"

local serve, request = loopback.serve, loopback.request

--- Fails unless the request failed with the code and `sent` as expected; returns the message.
local function fails(code, sent, value, message, got_code, got_sent)
  t.fails(code, value, message, got_code)
  t.eq(got_sent, sent, "sent, with " .. tostring(message))
  return message
end

--- A port on which nobody listens.
local function dead_port()
  local s = assert(server.listen { handler = function() end })
  local port = s:port()
  s:close()
  return port
end

t.test("a JSON body is posted as it is, with the caller's headers", function()
  local seen
  local s <close> = serve(function(r) seen = r; return { status = 200, body = '{"ok":[]}' } end)
  local r = assert(request("POST", s.url .. "/v1", { body = '{"a":"я\0"}',
    headers = { ["Content-Type"] = "application/json", ["X-Empty"] = "" } }))
  t.eq(seen.body, '{"a":"я\0"}')
  t.eq(seen.headers["content-type"], "application/json")
  t.eq(seen.headers["x-empty"], "")
  t.eq({ r.status, r.body, r.bytes }, { 200, '{"ok":[]}', 9 })
  t.ok(r.seconds > 0 and r.seconds < 5)
end)

t.test("a failing status is an answer, and every method arrives", function()
  local s <close> = serve(function(r) return { status = r.method == "GET" and 404 or 200, body = r.method } end)
  t.eq(assert(request("GET", s.url)).status, 404)
  for _, method in ipairs { "POST", "PUT", "PATCH", "DELETE", "OPTIONS" } do
    t.eq(assert(request(method, s.url)).body, method)
  end
  t.eq(assert(request("DELETE", s.url, { body = "x" })).body, "DELETE")
  local head = assert(request("HEAD", s.url))
  t.eq({ head.status, head.body, head.headers["content-length"] }, { 200, "", "4" })
end)

t.test("redirects are not followed", function()
  local count = 0
  local s <close> = serve(function() count = count + 1; return { status = 302, headers = { Location = "/b" } } end)
  local r = assert(request("GET", s.url .. "/a"))
  t.eq({ r.status, r.headers.location, count }, { 302, "/b", 1 })
end)

t.test("a large file goes out as multipart and is hashed on arrival, in flat memory", function()
  local dir <close> = t.folder()
  local path, line = dir.path .. "/train.jsonl", ("x"):rep(1023) .. "\n"
  local file = assert(fs.append(path))
  for _ = 1, 30 do assert(file:write(line:rep(1024))) end
  file:close()
  local seen
  local s <close> = serve(function(r)
    seen = r
    assert(fs.rename(r.form.file.path, dir.path .. "/kept"))
    return { status = 200 }
  end, { spool = dir.path })
  collectgarbage()
  local before = collectgarbage "count"
  local told = {}
  assert(request("POST", s.url, {
    parts = { { name = "purpose", value = "fine-tune" }, { name = "file", path = path, filename = "a b.jsonl" } },
    on_progress = function(sent, total) told[#told + 1] = { sent, total } end,
  }))
  t.ok(collectgarbage "count" - before < 1024, "KiB more in Lua")
  t.eq(seen.form.purpose, "fine-tune")
  t.eq(seen.form.file.filename, "a b.jsonl")
  t.eq(seen.form.file.bytes, 30 * 1024 * 1024)
  t.eq(seen.form.file.sha256, digest.sha256_file(path))
  t.eq(digest.sha256_file(dir.path .. "/kept"), seen.form.file.sha256)
  t.eq(fs.list(dir.path), { "kept", "train.jsonl" })
  t.ok(#told >= 1)
  t.eq(told[#told][1], told[#told][2])
end)

t.test("on_progress may wait itself, and an error in it ends the request", function()
  local s <close> = serve(function()
    local n = 0
    return { status = 200, chunks = function() n = n + 1; time.sleep(0.03); return n <= 12 and "x" or nil end }
  end)
  local calls = 0
  local r = assert(request("GET", s.url, { on_progress = function() calls = calls + 1; time.sleep(0.02) end }))
  t.eq(r.body, ("x"):rep(12))
  t.ok(calls >= 2 and calls <= 6, calls)
  t.raises("enough", request, "GET", s.url, { on_progress = function() error "enough" end })
end)

t.test("a file that cannot be read fails before anything is sent", function()
  local s <close> = serve(function() return { status = 200 } end)
  for path, part in pairs { ["/nosuch/file"] = "/nosuch/file", ["/"] = "not a file" } do
    t.has(fails("io", false, request("POST", s.url, { parts = { { name = "f", path = path } } })), part)
  end
end)

t.test("a 2xx body goes to the output file, any other to memory", function()
  local dir <close> = t.folder()
  local s <close> = serve(function(r)
    if r.path == "/bad" then return { status = 404, body = "none" } end
    return { status = 200, body = r.path == "/empty" and "" or ("y"):rep(3000000) }
  end)
  local out = dir.path .. "/out"
  local r = assert(request("GET", s.url, { output = out }))
  t.eq({ r.body, r.bytes }, { "", 3000000 })
  t.eq(#fs.read(out), 3000000)
  r = assert(request("GET", s.url .. "/bad", { output = out }))
  t.eq({ r.status, r.body }, { 404, "none" })
  t.eq(#fs.read(out), 3000000)
  assert(request("GET", s.url .. "/empty", { output = out }))
  t.eq(fs.read(out), "")
  fails("too_large", true, request("GET", s.url, { output = out, max_bytes = 2999999 }))
  t.eq(fs.read(out), "")
  t.eq(fs.list(dir.path), { "out" })
  fails("io", false, request("GET", s.url, { output = dir.path .. "/no/out" }))
end)

t.test("the deadline ends a request that the server does not answer", function()
  local s <close> = serve(function() time.sleep(5) return { status = 200 } end)
  local start = time.monotonic()
  t.has(fails("timeout", true, request("GET", s.url, { timeout_s = 0.1 })), "0.1 s")
  t.ok(time.monotonic() - start < 1)
end)

t.test("a stall is told from a deadline; slow bytes are no stall", function()
  local s <close> = serve(function(r)
    local n = 0
    return { status = 200, chunks = function()
      n = n + 1
      time.sleep(r.path == "/slow" and 0.4 or n == 1 and 0 or 5)
      return n <= 4 and "x" or nil
    end }
  end)
  local slow = task.spawn(function() return request("GET", s.url .. "/slow", { stall_s = 1 }) end)
  fails("stalled", true, request("GET", s.url, { stall_s = 1, timeout_s = 10 }))
  t.eq(assert(slow:join()).body, "xxxx")
end)

t.test("an answer past max_bytes is refused, announced or not, compressed or not", function()
  local s <close> = serve(function(r)
    if r.path == "/chunks" then
      local n = 0
      return { status = 200, chunks = function() n = n + 1; return n < 100 and ("x"):rep(1000) or nil end }
    end
    return { status = 200, body = ("x"):rep(10001) }
  end)
  t.has(fails("too_large", true, request("GET", s.url, { max_bytes = 10000 })), "10000 bytes")
  fails("too_large", true, request("GET", s.url .. "/chunks", { max_bytes = 98999 }))
  t.eq(#assert(request("GET", s.url .. "/chunks", { max_bytes = 99000 })).body, 99000)
end)

t.test("a compressed answer is decoded, and its limit is that of the decoded bytes", function()
  -- 100,000 zeros by gzip
  local bomb = digest.unbase64(
    "H4sIAAAAAAACA+3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" ..
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIBXA32VEdSghgEA")
  local s <close> = serve(function()
    return { status = 200, body = bomb, headers = { ["Content-Encoding"] = "gzip" } }
  end)
  t.eq(assert(request("GET", s.url)).body, ("\0"):rep(100000))
  fails("too_large", true, request("GET", s.url, { max_bytes = 99999 }))
end)

t.test("nobody listens: refused, and nothing was sent", function()
  local port = dead_port()
  local url = ("http://me:pw@127.0.0.1:%d/x?key=k"):format(port)
  local message = fails("refused", false, request("POST", url, { body = "x" }))
  t.has(message, ("127.0.0.1:%d: cannot connect: Connection refused"):format(port))
  t.ok(not message:find("pw", 1, true) and not message:find("key", 1, true))
end)

-- The server answers in plain text and closes with the greeting unread: the system may throw its answer away.
t.test("a server that speaks no TLS: tls, or reset when its answer is lost; nothing was sent", function()
  local s <close> = serve(function() return { status = 200 } end)
  local value, message, code, sent = request("GET", (s.url:gsub("http:", "https:")), { timeout_s = 5 })
  t.has(fails(code == "reset" and "reset" or "tls", false, value, message, code, sent), "TLS")
end)

t.test("a name that does not resolve: dns, and nothing was sent", function()
  t.has(fails("dns", false, request("GET", "http://nosuch.invalid/")), "nosuch.invalid")
end)

t.test("what is no URL is refused without being shown", function()
  local message = fails("bad_url", false, request("GET", "http://u:secret word@h/"))
  t.ok(not message:find("secret", 1, true))
  fails("bad_url", false, request("GET", "ftp://host/"))
  fails("bad_url", false, request("GET", ""))
end)

t.test("a secret that is not set fails before anything is sent", function()
  local auth = { secret = "FTRUN_NO_SUCH_KEY" }
  t.has(fails("no_secret", false, request("GET", "http://127.0.0.1:1/", { auth = auth })), auth.secret)
end)

t.test("a connection that breaks is a reset, before the answer and within it", function()
  local s <close> = serve(function(r)
    if r.path == "/none" then return { abort = true } end
    local n = 0
    return { status = 200, chunks = function() n = n + 1; if n > 2 then error("cut", 0) end; return "some" end }
  end)
  fails("reset", true, request("POST", s.url .. "/none", { body = "x" }))
  fails("reset", true, request("GET", s.url .. "/part"))
end)

t.test("a POST on a reused connection that dies is not sent twice", function()
  local posts = 0
  local s <close> = serve(function(r)
    if r.method == "GET" then return { status = 200 } end
    posts = posts + 1
    return { abort = true }
  end)
  assert(request("GET", s.url))
  fails("reset", true, request("POST", s.url, { body = "create" }))
  t.eq(posts, 1)
end)

t.test("a secret goes into a header without entering Lua", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/.env", "FTRUN_TEST_HTTP_KEY=sk-1234567\n"))
  assert(secrets.load(dir.path .. "/.env"))
  local s <close> = serve(function(r)
    return { status = 200, body = (r.headers.authorization or "") .. "|" .. (r.headers["api-key"] or "") }
  end)
  local auth = { secret = "FTRUN_TEST_HTTP_KEY" }
  t.eq(assert(request("GET", s.url, { auth = auth })).body, "Bearer sk-1234567|")
  auth.header, auth.prefix = "api-key", ""
  t.eq(assert(request("GET", s.url, { auth = auth, headers = { A = "b" } })).body, "|sk-1234567")
  t.eq(assert(request("GET", s.url, { auth = { secret = "FTRUN_TEST_HTTP_KEY", user = "api" } })).body,
    "Basic " .. digest.base64 "api:sk-1234567" .. "|")
  assert(fs.write(dir.path .. "/.env", ""))
  assert(secrets.load(dir.path .. "/.env"))
end)

t.test("a file is sent as the body as it is", function()
  local dir <close> = t.folder()
  local s <close> = serve(function(r)
    return { status = 200, body = ("%s %s %s"):format(r.method, r.headers["content-length"], digest.md5(r.body)) }
  end)
  for _, bytes in ipairs { "", "x", ("0123456789"):rep(100000) } do
    assert(fs.write(dir.path .. "/f", bytes))
    t.eq(assert(request("PUT", s.url, { file = dir.path .. "/f" })).body,
      ("PUT %d %s"):format(#bytes, digest.md5(bytes)))
  end
  fails("io", false, request("PUT", s.url, { file = dir.path .. "/none" }))
  t.has(fails("io", false, request("PUT", s.url, { file = dir.path })), "not a file")
end)

t.test("wrong arguments raise, and name what is wrong", function()
  for part, arguments in pairs {
    ["unknown option 'timeout'"] = { "GET", "http://h/", { timeout = 1 } },
    ["timeout_s: expected 0 < seconds"] = { "GET", "http://h/", { timeout_s = 0 } },
    ["not an HTTP method"] = { "GET /", "http://h/" },
    ["headers: names and values"] = { "GET", "http://h/", { headers = { A = "x\r\nB: y" } } },
    ["file, body and parts exclude"] = { "POST", "http://h/", { body = "", file = "f" } },
    ["body and parts exclude"] = { "POST", "http://h/", { body = "", parts = {} } },
    ["either a value or a path"] = { "POST", "http://h/", { parts = { { name = "x" } } } },
    ["auth: expected"] = { "GET", "http://h/", { auth = {} } },
    ["on_progress: not a function"] = { "GET", "http://h/", { on_progress = 1 } },
  } do
    t.raises(part, http.request, table.unpack(arguments))
  end
end)

t.test("a cancelled task leaves its request, which the server survives", function()
  local handled = 0
  local s <close> = serve(function() time.sleep(0.05); handled = handled + 1; return { status = 200, body = "x" } end)
  local waiting = task.spawn(function() return request("GET", s.url) end)
  time.sleep(0.02)
  waiting:cancel()
  t.eq(assert(request("GET", s.url)).status, 200)
  t.ok(handled >= 1)
end)

t.test("requests one after another share a connection", function()
  local s <close> = serve(function(r) return { status = 200, body = r.port } end)
  local start = time.monotonic()
  for _ = 1, 200 do assert(request("GET", s.url)) end
  t.ok(time.monotonic() - start < 2)
end)

t.test("escape keeps the unreserved bytes and encodes all others", function()
  t.eq(http.escape "aZ09-._~", "aZ09-._~")
  t.eq(http.escape "a/b c+я\0", "a%2Fb%20c%2B%D1%8F%00")
end)

t.test("a part of a file goes up as a part of its own, without the rest", function()
  local dir <close> = t.folder()
  t.ok(fs.write(dir.path .. "/big", ("0123456789"):rep(1000)))
  local seen
  local s <close> = serve(function(r)
    seen = fs.read(r.form.data.path)
    return { status = 200 }
  end, { spool = dir.path })
  local function send(offset, bytes)
    assert(request("POST", s.url, { parts = {
      { name = "data", path = dir.path .. "/big", offset = offset, bytes = bytes } } }))
    return seen
  end
  t.eq(send(5, 10), "5678901234")
  t.eq(send(9995, 100), "56789")
  t.eq(send(9990), "0123456789")
  t.eq(#send(), 10000)
end)

t.test("a body that comes in pieces is handed over as it comes, a refusal whole", function()
  local s <close> = serve(function(r)
    if r.path == "/no" then return { status = 400, body = "no" } end
    local n = 0
    return { status = 200, chunks = function()
      n = n + 1
      if n > 1 then time.sleep(0.05) end
      return n <= 3 and "piece" .. n or nil
    end }
  end)
  local pieces, times = {}, {}
  local function on_data(piece) pieces[#pieces + 1], times[#times + 1] = piece, time.monotonic() end
  local r = assert(request("GET", s.url, { on_data = on_data }))
  t.eq({ pieces, r.body, r.bytes }, { { "piece1", "piece2", "piece3" }, "", 18 })
  t.ok(times[3] - times[1] > 0.05)
  t.eq(assert(request("GET", s.url .. "/no", { on_data = on_data })).body, "no")
  t.eq(#pieces, 3)
end)

t.test("an answer that is no HTTP breaks the connection; the address is not to blame", function()
  local folder <close> = t.folder()
  assert(fs.write(folder.path .. "/garbage.pl", [[
    use Socket;
    socket(my $s, AF_INET, SOCK_STREAM, 0) or die;
    bind($s, sockaddr_in(0, INADDR_LOOPBACK)) and listen($s, 5) or die;
    my ($port) = sockaddr_in(getsockname($s));
    open(my $f, ">", "port.tmp"); print $f $port; close $f; rename "port.tmp", "port";
    alarm 20;
    accept(my $c, $s); sysread($c, my $in, 4096); syswrite($c, "\0\xff\xfeGARBAGE\r\n\r\n"); close $c;
  ]]))
  os.execute(("cd %s && perl garbage.pl >/dev/null 2>&1 </dev/null &"):format(folder.path))
  local port
  for _ = 1, 500 do
    port = fs.read(folder.path .. "/port")
    if port then break end
    time.sleep(0.01)
  end
  local message = fails("reset", true, request("POST", ("http://127.0.0.1:%s/"):format(port), { body = "x" }))
  t.has(message, "no HTTP")
end)
