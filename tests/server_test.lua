local t = require "harness"
local fs = require "ft.fs"
local loopback = require "loopback"
local server = require "ft.server"
local task = require "ft.task"
local time = require "ft.time"

local serve, request = loopback.serve, loopback.request

t.test("a request arrives with method, path, query, headers and body", function()
  local seen
  local s <close> = serve(function(r) seen = r; return { status = 201, headers = { ["X-A"] = "b" }, body = "made" } end)
  local r = assert(request("POST", s.url .. "/a%20b/%D0%AF?x=1&y=%26+z&x=2",
    { body = "{}", headers = { ["Content-Type"] = "application/json", ["X-Thing"] = "v" } }))
  t.eq(r.status, 201)
  t.eq(r.body, "made")
  t.eq(r.headers["x-a"], "b")
  t.eq(seen.method, "POST")
  t.eq(seen.path, "/a b/Я")
  t.eq(seen.query, { x = "2", y = "& z" })
  t.eq(seen.body, "{}")
  t.eq(seen.headers["x-thing"], "v")
  t.eq(seen.headers["content-type"], "application/json")
  t.eq(seen.remote, "127.0.0.1")
end)

t.test("a handler that raises makes a 500 answer", function()
  local s <close> = serve(function() error "oh" end)
  t.eq(assert(request("GET", s.url)).status, 500)
end)

t.test("200 parallel requests are all answered", function()
  local s <close> = serve(function(r) return { status = 200, body = r.path } end)
  local tasks = {}
  for i = 1, 200 do
    tasks[i] = task.spawn(function() return assert(request("GET", s.url .. "/" .. i)).body end)
  end
  for i = 1, 200 do t.eq(tasks[i]:join(), "/" .. i) end
end)

t.test("an answer in chunks arrives as sent, each piece when it is there", function()
  local s <close> = serve(function()
    local n = 0
    return { status = 200, headers = { ["Content-Type"] = "text/event-stream" }, chunks = function()
      n = n + 1
      if n == 3 then time.sleep(0.3) end
      return n <= 100 and ("%d\n"):format(n) or nil
    end }
  end)
  local early
  local r = assert(request("GET", s.url, { on_progress = function(_, _, n) early = early or n end }))
  local expected = {}
  for i = 1, 100 do expected[i] = i .. "\n" end
  t.eq(r.body, table.concat(expected))
  t.eq(r.headers["content-type"], "text/event-stream")
  t.ok(early < #r.body, "the first bytes came before the last were made")
end)

t.test("a client that goes away in the middle of chunks ends the handler", function()
  local closed
  local s <close> = serve(function()
    local _ <close> = setmetatable({}, { __close = function() end })
    return { status = 200, chunks = function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      time.sleep(0.01)
      closed = false
      return ("x"):rep(100000)
    end }
  end)
  local client = task.spawn(function() return request("GET", s.url, { max_bytes = 1e12 }) end)
  time.sleep(0.05)
  t.ok(closed ~= nil)
  client:cancel()
  time.sleep(0.1)
  closed = nil
  time.sleep(0.05)
  t.eq(closed, nil)
end)

t.test("a client that goes away while the handler waits, or between two chunks, ends the handler", function()
  local began, ended = 0, 0
  local function wait()
    began = began + 1
    local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
    time.sleep(60)
  end
  local s <close> = serve(function(r)
    if r.path == "/whole" then wait() end
    local first = true
    return { status = 200, chunks = function()
      if not first then wait() end
      first = false
      return "x"
    end }
  end)
  local clients = {}
  for i, path in ipairs { "/whole", "/chunks", "/whole" } do
    -- the last one sends a body, of which nothing may be left to read
    local options = i == 3 and { body = ("x"):rep(100000) } or nil
    clients[i] = task.spawn(function() return request(options and "POST" or "GET", s.url .. path, options) end)
  end
  while began < 3 do time.sleep(0.01) end
  time.sleep(0.3)
  t.eq(ended, 0, "whose client is there")
  for _, client in ipairs(clients) do client:cancel() end
  local deadline = time.monotonic() + 5
  while ended < 3 and time.monotonic() < deadline do time.sleep(0.01) end
  t.eq(ended, 3)
end)

t.test("a client that goes away while the handler waits or the upload runs does no harm", function()
  local dir <close> = t.folder()
  local began = 0
  local s <close> = serve(function() began = began + 1; time.sleep(0.05); return { status = 200, body = "x" } end,
    { spool = dir.path })
  assert(fs.write(dir.path .. "/big", ("x"):rep(8000000)))
  for i = 1, 10 do
    local options = i % 2 == 0 and { parts = { { name = "f", path = dir.path .. "/big" } } } or nil
    local client = task.spawn(function() return request("POST", s.url, options) end)
    time.sleep(0.002 * i)
    client:cancel()
  end
  t.eq(assert(request("GET", s.url)).status, 200)
  t.ok(began >= 5)
  local deadline = time.monotonic() + 5
  while #fs.list(dir.path) > 1 and time.monotonic() < deadline do time.sleep(0.05) end
  t.eq(fs.list(dir.path), { "big" })
end)

t.test("forms: fields, files, a repeated name, an empty file, a name with quotes", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/empty", ""))
  assert(fs.write(dir.path .. "/some", "some"))
  local seen
  local s <close> = serve(function(r) seen = r; return { status = 200 } end, { spool = dir.path })
  assert(request("POST", s.url, { parts = {
    { name = "a", value = "1" }, { name = "a", value = "2" }, { name = "none", value = "" },
    { name = "empty", path = dir.path .. "/empty" },
    { name = "some", path = dir.path .. "/some", filename = 'кут "x".jsonl', content_type = "application/jsonl" },
  } }))
  t.eq(seen.body, nil)
  t.eq(seen.form.a, "2")
  t.eq(seen.form.none, "")
  t.eq(seen.form.empty.bytes, 0)
  t.eq(seen.form.empty.filename, "empty")
  t.eq(seen.form.empty.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  t.eq(seen.form.some.bytes, 4)
  t.has(seen.form.some.filename, "кут ")
  t.eq(fs.list(dir.path), { "empty", "some" })
end)

t.test("a form that cannot be read is told to the handler", function()
  local s <close> = serve(function(r)
    return { status = (r.malformed and not r.form and not r.body) and 400 or 200 }
  end)
  local function post(kind, body)
    return assert(request("POST", s.url, { body = body, headers = { ["Content-Type"] = kind } })).status
  end
  t.eq(post("multipart/form-data", "x"), 400)
  local part = '--line\r\nContent-Disposition: form-data; name="a"\r\n\r\nv'
  t.eq(post("multipart/form-data; boundary=line", part), 400)
  t.eq(post("multipart/form-data; boundary=line", part .. "\r\n--line--\r\n"), 200)
end)

t.test("bodies past a limit reach the handler as too_large, and its answer the client", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f", ("x"):rep(3000000)))
  local s <close> = serve(function(r) return { status = r.too_large and not r.body and not r.form and 413 or 200 } end,
    { spool = dir.path, memory_bytes = 1000, upload_bytes = 2999999 })
  local function file(name) return { name = name, path = dir.path .. "/f" } end
  t.eq(assert(request("POST", s.url, { body = ("x"):rep(1000) })).status, 200)
  t.eq(assert(request("POST", s.url, { body = ("x"):rep(1001) })).status, 413)
  t.eq(assert(request("POST", s.url, { body = ("x"):rep(5000000) })).status, 413)
  t.eq(assert(request("POST", s.url, { parts = { file "f" } })).status, 413)
  t.eq(assert(request("POST", s.url, { parts = { { name = "v", value = ("x"):rep(1001) } } })).status, 413)
  t.eq(assert(request("GET", s.url)).status, 200)
  t.eq(fs.list(dir.path), { "f" })
end)

t.test("a disk that takes no upload is told to the handler, with the reason", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f", "x"))
  local seen
  local function handler(r) seen = r; return { status = 507 } end
  local s <close> = serve(handler, { spool = dir.path .. "/missing" })
  t.eq(assert(request("POST", s.url, { parts = { { name = "f", path = dir.path .. "/f" } } })).status, 507)
  t.eq({ seen.unstored, seen.form, seen.body }, { "No such file or directory" })
end)

t.test("a connection that never ends its request's head is ended; one that waits between two requests stays", function()
  local dir <close> = t.folder()
  local s <close> = serve(function() return { status = 200 } end, { head_s = 0.3 })
  local port = s.url:match ":(%d+)"
  t.eq(assert(request("GET", s.url)).status, 200)
  -- three that ask nothing: one is silent, one sends half a head, one drips
  os.execute(([[bash -c '
    exec 3<>/dev/tcp/127.0.0.1/%s 4<>/dev/tcp/127.0.0.1/%s 5<>/dev/tcp/127.0.0.1/%s
    printf "GET / HT" >&4
    (while printf X; do sleep 0.05; done >&5) 2>/dev/null &
    for i in 3 4 5; do cat <&$i; echo $i; done' >'%s/out' 2>/dev/null &]]):format(port, port, port, dir.path))
  local deadline = time.monotonic() + 10
  while fs.read(dir.path .. "/out") ~= "3\n4\n5\n" do
    t.ok(time.monotonic() < deadline, fs.read(dir.path .. "/out"))
    time.sleep(0.02)
  end
  t.eq(assert(request("GET", s.url)).status, 200)
end)

t.test("a body that comes too slowly is answered with 408; one that comes at a fair pace is waited for", function()
  local dir <close> = t.folder()
  local seen = {}
  local s <close> = serve(function(r) seen[r.path] = #(r.body or ""); return { status = 200 } end,
    { body_s = 1.5, late_body = '{"late":true}', spool = dir.path })
  local port = s.url:match ":(%d+)"
  -- two that drip, one of them a form; one that takes longer in all, but sends 320 KiB in each quarter of the time
  os.execute(([[bash -c '
    post() {
      printf "POST /%%s HTTP/1.1\r\nHost: x\r\nContent-Type: %%s\r\nContent-Length: %%s\r\n\r\n" $1 $2 $3
    }
    exec 3<>/dev/tcp/127.0.0.1/%s 4<>/dev/tcp/127.0.0.1/%s 5<>/dev/tcp/127.0.0.1/%s
    (post drip text/plain 1000; while printf X; do sleep 0.05; done) >&3 2>/dev/null &
    (post form "multipart/form-data;boundary=x" 1000
      printf -- "--x\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n"
      while printf X; do sleep 0.05; done) >&4 2>/dev/null &
    (post steady text/plain $((5 * 327680))
      for i in 1 2 3 4 5; do head -c 327680 /dev/zero; sleep 0.4; done) >&5 2>/dev/null &
    cat <&3 >%s/drip; cat <&4 >%s/form; head -n 1 <&5 >%s/steady; echo end >%s/out' 2>/dev/null &]])
    :format(port, port, port, dir.path, dir.path, dir.path, dir.path))
  local deadline = time.monotonic() + 10
  while fs.read(dir.path .. "/out") ~= "end\n" do
    t.ok(time.monotonic() < deadline, fs.read(dir.path .. "/drip"))
    time.sleep(0.02)
  end
  for _, name in ipairs { "drip", "form" } do
    local head, body = fs.read(dir.path .. "/" .. name):match "^(.-)\r\n\r\n(.*)$"
    t.has(head, "HTTP/1.1 408 ")
    t.has(head, "Connection: close")
    t.eq(body, '{"late":true}')
  end
  t.has(fs.read(dir.path .. "/steady"), " 200 ")
  t.eq(seen, { ["/steady"] = 5 * 327680 })
  t.eq(fs.list(dir.path), { "drip", "form", "out", "steady" }) -- nothing of the form's file
end)

t.test("a file is sent as an answer; a missing one is a 500", function()
  local dir <close> = t.folder()
  assert(fs.write(dir.path .. "/f", ("z"):rep(1000000)))
  local s <close> = serve(function(r) return { status = 200, path = dir.path .. r.path } end)
  t.eq(assert(request("GET", s.url .. "/f")).body, ("z"):rep(1000000))
  t.eq(assert(request("GET", s.url .. "/g")).status, 500)
  t.eq(assert(request("GET", s.url .. "/")).status, 500)
  t.eq(assert(request("HEAD", s.url .. "/f")).headers["content-length"], "1000000")
end)

t.test("answers that are none make a 500 answer", function()
  local answers = {
    ["/nil"] = nil, ["/text"] = "x", ["/none"] = {}, ["/low"] = { status = 100 },
    ["/key"] = { status = 200, text = "" }, ["/header"] = { status = 200, headers = { ["X"] = "a\r\nY: b" } },
    ["/body"] = { status = 200, body = {} },
  }
  local s <close> = serve(function(r) return answers[r.path] end)
  for _, path in ipairs { "/nil", "/text", "/none", "/low", "/key", "/header", "/body" } do
    t.eq(assert(request("GET", s.url .. path)).status, 500, path)
  end
end)

t.test("a path keeps an encoded zero byte, a query its bytes", function()
  local seen
  local s <close> = serve(function(r) seen = r; return { status = 200 } end)
  assert(request("GET", s.url .. "/a%00b%2Fc%zz%?k%3D=%C3%28&flag&e="))
  t.eq(seen.path, "/a%00b/c%zz%")
  t.eq(seen.query, { ["k="] = "\xC3(", flag = "", e = "" })
end)

t.test("a port in use is told; a closed server frees its port at once", function()
  local s = assert(server.listen { handler = function() return { status = 200 } end })
  local port = s:port()
  t.eq(assert(request("GET", "http://127.0.0.1:" .. port)).status, 200)
  local message = t.fails("in_use", server.listen { port = port, handler = function() end })
  t.eq(message, ("port %d is in use on 127.0.0.1"):format(port))
  s:close()
  s:close()
  local again <close> = assert(server.listen { port = port, handler = function() return { status = 204 } end })
  t.eq(again:port(), port)
  t.eq(assert(request("GET", "http://127.0.0.1:" .. port)).status, 204)
end)

t.test("only loopback addresses, of both kinds, unless any is set", function()
  local function handler(r) return { status = 200, body = r.remote } end
  t.fails("denied", server.listen { host = "0.0.0.0", handler = handler })
  t.fails("denied", server.listen { host = "::", handler = handler })
  t.fails("io", server.listen { host = "example.invalid", handler = handler })
  local six <close> = assert(server.listen { host = "::1", handler = handler })
  t.eq(assert(request("GET", ("http://[::1]:%d/"):format(six:port()))).body, "::1")
  local name <close> = assert(server.listen { host = "localhost", handler = handler })
  t.eq(assert(request("GET", ("http://127.0.0.1:%d/"):format(name:port()))).body, "127.0.0.1")
  local all <close> = assert(server.listen { host = "0.0.0.0", any = true, handler = handler })
  t.eq(assert(request("GET", ("http://127.0.0.1:%d/"):format(all:port()))).status, 200)
end)

t.test("closing a server cancels its handlers and ends its clients' requests", function()
  local closed = 0
  local s = assert(server.listen { handler = function(r)
    local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    if r.path == "/chunks" then return { status = 200, chunks = function() time.sleep(0.001); return "x" end } end
    time.sleep(10)
  end })
  local clients = {}
  for i = 1, 20 do
    local url = ("http://127.0.0.1:%d/%s"):format(s:port(), i % 2 == 0 and "chunks" or "wait")
    clients[i] = task.spawn(function() return select(3, request("GET", url)) end)
  end
  time.sleep(0.1)
  s:close()
  for i = 1, 20 do t.eq(clients[i]:join(), "reset") end
  t.eq(closed, 20)
end)

t.test("a handler may close its own server", function()
  local s
  s = assert(server.listen { handler = function() s:close(); return { status = 200 } end })
  t.fails("reset", request("GET", "http://127.0.0.1:" .. s:port()))
end)

t.test("a server that is closed before its first request is", function()
  local s = assert(server.listen { handler = function() end })
  local port = s:port()
  local client = task.spawn(function() return request("GET", "http://127.0.0.1:" .. port) end)
  s:close()
  t.fails("refused", client:join())
end)

t.test("wrong options raise", function()
  t.raises("handler: expected a function", server.listen, {})
  t.raises("unknown option 'prot'", server.listen, { prot = 1, handler = print })
  t.raises("port: out of range", server.listen, { port = 65536, handler = print })
end)
