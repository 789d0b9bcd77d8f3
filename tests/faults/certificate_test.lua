--- A certificate that expires while a run goes on, at each of its requests in turn: the program says so and ends, and
--- after the certificate was renewed the same command goes on. One job, one upload for each content.
local t = require "harness"
local fs = require "ft.fs"
local http = require "ft.http"
local task = require "ft.task"
local time = require "ft.time"
local program = require "program"
local server = require "ftrun.local.server"

local HERE = os.getenv "FTRUN_TESTS" .. "/faults"
local AT_ONCE = 16 -- runs side by side: a run needs about as many connections
local MOST = 80

local AUTHORITY = [[
[ca]
default_ca = x
[x]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = p
copy_extensions = copy
[p]
commonName = supplied
]]

--- key.pem, good.pem and expired.pem, signed by the authority trusted.pem.
local function make_certificates(folder)
  assert(fs.write(folder .. "/ca.cnf", AUTHORITY))
  assert(fs.write(folder .. "/index.txt", ""))
  local new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
  local sign = "openssl ca -config ca.cnf -cert trusted.pem -keyfile ca.key -in request.pem -batch -notext"
  return os.execute(([[cd '%s' && exec >openssl.log 2>&1 &&
    %s -x509 -days 2 -subj /CN=authority -keyout ca.key -out trusted.pem &&
    %s -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out request.pem &&
    %s -out expired.pem -startdate 20200101000000Z -enddate 20200201000000Z &&
    %s -out good.pem -days 2]]):format(folder, new, new, sign, sign))
end

--- Starts the front; its ports, one for each upstream.
local function start_front(folder, good_ones, upstreams)
  assert(fs.write(folder .. "/ports", ""))
  os.execute(([[python3 '%s/tls_front.py' '%s' %d %s >'%s/ports' 2>'%s/front.err' </dev/null & echo $! >'%s/pid']])
    :format(HERE, folder, good_ones, table.concat(upstreams, " "), folder, folder, folder))
  local deadline = time.monotonic() + 30
  while not (fs.read(folder .. "/ports") or ""):find "\n" do
    t.ok(time.monotonic() < deadline, fs.read(folder .. "/front.err"))
    time.sleep(0.02)
  end
  local ports = {}
  for port in fs.read(folder .. "/ports"):gmatch "%d+" do ports[#ports + 1] = port end
  return ports
end

--- One run whose certificate expires; false when it ended before that.
local function suffer(folder, dir, upstream, port)
  local env = { OPENAI_API_KEY = "sk-test-1234567890", OPENAI_BASE_URL = ("https://127.0.0.1:%s/v1"):format(port),
    SSL_CERT_FILE = folder .. "/trusted.pem" }
  local first = program.measure(dir, env, "toy.lua", "--yes", "--json")
  if first.code ~= 0 then
    t.eq(first.code, 7, first.err)
    t.has(first.err, "certificate has expired")
    t.has(first.err, "Check the date of this machine")
    t.eq(program.measure(dir, env, "toy.lua", "--yes", "--json").code, 7)
  end
  assert(fs.write(("%s/renewed-%d"):format(folder, upstream), ""))
  local r = program.measure(dir, env, "toy.lua", "--yes", "--json")
  t.eq(r.code, 0, r.err)
  local steps = {}
  for _, row in ipairs(program.metrics(dir, program.result(r))) do steps[#steps + 1] = row.step end
  t.eq(steps, { 1, 2, 3, 4 })
  return first.code ~= 0
end

local function count(list, what)
  local n = 0
  for _, text in ipairs(list) do if text == what then n = n + 1 end end
  return n
end

--- Runs side by side, each with a certificate that is good for one connection more than that of the one before. How
--- many met the end of theirs.
local function suffer_together(folder, good_ones)
  local served, upstreams, tasks, expired = {}, {}, {}, 0
  local _ <close> = setmetatable({}, { __close = function()
    for _, s in ipairs(served) do s.running.close() end
    os.execute(("kill $(cat '%s/pid')"):format(folder))
  end })
  for i = 1, AT_ONCE do
    local dir, log = ("%s/%d"):format(folder, good_ones + i), {}
    t.ok(fs.mkdir(dir))
    program.write_rows(dir, 20)
    t.ok(fs.write(dir .. "/toy.lua", (program.RECIPE:gsub("n_epochs = 2", "n_epochs = 1"))))
    served[i] = { dir = dir, log = log, running = server.start { dir = dir .. "/local",
      on_log = function(text) log[#log + 1] = text end } }
    upstreams[i] = served[i].running.port
  end
  local ports = start_front(folder, good_ones, upstreams)
  for i, s in ipairs(served) do
    tasks[i] = task.spawn(function() return suffer(folder, s.dir, upstreams[i], ports[i]) end)
  end
  for i, s in ipairs(served) do
    if tasks[i]:join() then expired = expired + 1 end
    t.eq({ count(s.log, "POST /v1/files 200"), count(s.log, "POST /v1/fine_tuning/jobs 200") }, { 2, 1 })
  end
  t.eq(select(3, http.request("GET", ("https://127.0.0.1:%s/v1/models"):format(ports[1]), { proxy = false })), "tls")
  return expired
end

t.test("a certificate that expires at any request of a run loses nothing and makes nothing twice", function()
  local found <close> = t.folder()
  local folder, expired, tried = found.path, 0, 0
  t.ok(make_certificates(folder), fs.read(folder .. "/openssl.log"))
  -- until one ends before its certificate does: then each request of a run has met it. A slow run asks more often.
  repeat
    expired, tried = expired + suffer_together(folder, tried), tried + AT_ONCE
  until expired < tried or tried >= MOST
  t.ok(expired >= 9 and expired < tried, ("%d of %d"):format(expired, tried))
end)
