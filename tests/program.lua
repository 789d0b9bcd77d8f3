--- The program as a user starts it, and a small project to start it in.
local t = require "harness"
local fs = require "ft.fs"
local json = require "ftrun.json"
local server = require "ft.server"
local time = require "ft.time"

local program = {}

local BIN = os.getenv("FTRUN_BIN")

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

--- Runs ftrun in dir with no settings but those of env. Standard input is empty.
---@return { out: string, err: string, code: integer }
function program.run(dir, env, ...)
  local words = { "env", "-i", "PATH=/usr/bin:/bin", "HOME=" .. quote(dir), "NO_PROXY=*" }
  for name, value in pairs(env) do words[#words + 1] = name .. "=" .. quote(value) end
  words[#words + 1] = BIN
  for _, arg in ipairs { ... } do words[#words + 1] = quote(arg) end
  local outside <close> = t.folder()
  os.execute(("cd %s && %s >%s/out 2>%s/err </dev/null; echo $? >%s/code"):format(quote(dir), table.concat(words, " "),
    outside.path, outside.path, outside.path))
  return { out = fs.read(outside.path .. "/out"), err = fs.read(outside.path .. "/err"),
    code = tonumber((fs.read(outside.path .. "/code"))) }
end

--- A recipe without a database: short texts with a number to find.
program.RECIPE = [[
return ft.recipe {
  name = "toy",
  base_model = "gpt-4o-mini-2024-07-18",
  seed = 7,
  dataset = ft.jsonl {
    path = "rows.jsonl",
    key = "id",
    example = function(row)
      return ft.chat { system = "Find the number.", user = row.text, assistant = row.answer }
    end,
  },
  split = { validation = 0.2 },
  hyperparameters = { n_epochs = 2, batch_size = 4 },
}
]]

--- Writes rows.jsonl; the answer of row `broken` is no JSON.
function program.write_rows(dir, n, broken)
  local rows = {}
  for i = 1, n do
    local number = tostring(100 + i * 7)
    rows[i] = json.encode { id = tostring(i), text = ("Стаття %s. Текст закону, частина %d."):format(number, i),
      answer = i == broken and '{"number": ' or ('{"number": "%s"}'):format(number) }
  end
  assert(fs.write(dir .. "/rows.jsonl", table.concat(rows, "\n") .. "\n"))
end

--- Runs body(dir) in a folder with rows.jsonl (40 rows, or so many) and toy.lua.
function program.in_project(body, rows, recipe)
  local folder <close> = t.folder()
  program.write_rows(folder.path, rows or 40)
  assert(fs.write(folder.path .. "/toy.lua", recipe or program.RECIPE))
  body(folder.path)
end

--- The last JSON line that a run printed.
---@return table
function program.result(r)
  return json.decode(r.out:match("([^\n]+)\n$"))
end

--- metrics.jsonl of a run's result as rows, without the times.
---@return table[]
function program.metrics(dir, result)
  local rows = {}
  for line in fs.read(dir .. "/" .. result.dir .. "/metrics.jsonl"):gmatch("[^\n]+") do
    local row = json.decode(line)
    row.created_at = nil
    rows[#rows + 1] = row
  end
  return rows
end

--- Starts ftrun behind a shell that sends it a signal when a file holds a text, or after 12 seconds.
function program.interrupt(dir, signal, file, text, ...)
  local words = {}
  for _, arg in ipairs { ... } do words[#words + 1] = quote(arg) end
  os.execute(("cd %s && env -i PATH=/usr/bin:/bin HOME=. %s %s >out 2>err </dev/null & pid=$!; n=0; "
    .. "until grep -qs %s %s || [ $n -gt 600 ]; do sleep 0.02; n=$((n+1)); done; "
    .. "kill -%s $pid; wait $pid; echo $? >%s/code")
    :format(quote(dir), BIN, table.concat(words, " "), quote(text), file, signal, quote(dir)))
  return { err = fs.read(dir .. "/err"), code = tonumber((fs.read(dir .. "/code"))) }
end

--- Starts ftrun and kills it (SIGKILL) after so many seconds, unless it has ended.
function program.kill_after(dir, seconds, ...)
  local words = {}
  for _, arg in ipairs { ... } do words[#words + 1] = quote(arg) end
  os.execute(("cd %s && { env -i PATH=/usr/bin:/bin HOME=. timeout -s KILL %.3f %s %s; } >/dev/null 2>&1 </dev/null")
    :format(quote(dir), seconds, BIN, table.concat(words, " ")))
end

--- Starts ftrun in dir like program.run and goes on: out(), err(), code() (nil while it runs), pid(), kill() (SIGKILL,
--- returns when it has ended).
function program.start(dir, env, ...)
  local words = { "env", "-i", "PATH=/usr/bin:/bin", "HOME=" .. quote(dir), "'NO_PROXY=*'" }
  for name, value in pairs(env) do words[#words + 1] = name .. "=" .. quote(value) end
  words[#words + 1] = BIN
  for _, arg in ipairs { ... } do words[#words + 1] = quote(arg) end
  local outside = t.folder() -- is removed with what this returns, at the latest with the process
  local at, code = outside.path, nil
  os.execute(("{ (cd %s && exec %s) >%s/out 2>%s/err </dev/null & echo $! >%s/pid.new; mv %s/pid.new %s/pid; "
    .. "wait $! 2>/dev/null; echo $? >%s/code.new; mv %s/code.new %s/code; } 2>/dev/null &")
    :format(quote(dir), table.concat(words, " "), at, at, at, at, at, at, at, at))
  while not fs.stat(at .. "/pid") do time.sleep(0.002) end
  local pid = fs.read(at .. "/pid"):match "%d+"
  local started = {}
  function started.out() return fs.read(at .. "/out") or "" end
  function started.err() return fs.read(at .. "/err") or "" end
  function started.code()
    if not code and fs.stat(at .. "/code") then code = tonumber((fs.read(at .. "/code"))) end
    return code
  end
  function started.pid() return pid end
  function started.kill()
    if not started.code() then os.execute("kill -9 " .. pid) end
    while not started.code() do time.sleep(0.002) end
  end
  return setmetatable(started, { __gc = function() fs.remove(at, true) end })
end

--- Runs ftrun in dir like program.run, while this process goes on; peak_kib is the most memory that it was
--- seen to take.
---@return { out: string, err: string, code: integer, peak_kib: integer }
function program.measure(dir, env, ...)
  local started, peak = program.start(dir, env, ...), 0
  while not started.code() do
    local status = fs.read(("/proc/%s/status"):format(started.pid())) or ""
    if status:find("Name:%s*ftrun") then peak = math.max(peak, tonumber(status:match "VmHWM:%s*(%d+)") or 0) end
    time.sleep(0.01)
  end
  return { out = started.out(), err = started.err(), code = started.code(), peak_kib = peak }
end

--- Runs body(dir, start, requests) in a project, against a server of this process that counts requests ("GET /v1/...")
--- and refuses them all, or answers as `handler` does; start(...) runs ftrun there with a key.
function program.against_server(body, handler)
  program.in_project(function(dir)
    local requests = {}
    local s <close> = assert(server.listen { spool = dir, handler = function(r)
      requests[#requests + 1] = r.method .. " " .. r.path
      if handler then return handler(r, requests) end
      return { status = 403, body = '{"error":{"message":"no","code":"training_not_available"}}' }
    end })
    local env = ("OPENAI_API_KEY=sk-test-1234567890 OPENAI_BASE_URL=http://127.0.0.1:%d/v1"):format(s:port())
    program.against = env
    body(dir, function(...)
      local words = {}
      for _, arg in ipairs { ... } do words[#words + 1] = quote(arg) end
      fs.remove(dir .. "/code")
      -- in the background: this process must go on to serve
      os.execute(("cd %s && (env -i PATH=/usr/bin:/bin HOME=. NO_PROXY='*' %s timeout 20 %s %s >out 2>err </dev/null; "
        .. "echo $? >code.new; mv code.new code) &"):format(quote(dir), env, BIN, table.concat(words, " ")))
      while not fs.stat(dir .. "/code") do time.sleep(0.02) end
      return { out = fs.read(dir .. "/out"), err = fs.read(dir .. "/err"), code = tonumber((fs.read(dir .. "/code"))) }
    end, requests)
  end)
end

--- Inside of against_server: starts ftrun and does not wait for it; its process id is in dir/pid, its exit code comes
--- into dir/code.
function program.background(dir, words)
  local quoted = {}
  for i, arg in ipairs(words) do quoted[i] = quote(arg) end
  fs.remove(dir .. "/code")
  fs.remove(dir .. "/pid")
  os.execute(("cd %s && (env -i --default-signal=INT PATH=/usr/bin:/bin HOME=. NO_PROXY='*' %s %s %s >out 2>err "
    .. "</dev/null & echo $! >pid.new; mv pid.new pid; wait $!; echo $? >code.new; mv code.new code) &")
    :format(quote(dir), program.against, BIN, table.concat(quoted, " ")))
  while not fs.stat(dir .. "/pid") do time.sleep(0.005) end
end

--- Starts `ftrun serve` as a process of its own, to be closed: local s <close> = program.serve(dir); s.url.
function program.serve(dir)
  local served = dir .. "/served"
  os.execute(("mkdir -p %s && cd %s && { env -i PATH=/usr/bin:/bin HOME=. %s serve --port 0 --json --quiet --dir . "
    .. ">out 2>err </dev/null & echo $! >pid; }; n=0; until grep -qs listening out || [ $n -gt 500 ]; do sleep 0.02; "
    .. "n=$((n+1)); done"):format(quote(served), quote(served), BIN))
  local pid = fs.read(served .. "/pid"):match "%d+"
  return setmetatable({ url = json.decode(fs.read(served .. "/out"):match "[^\n]+").url },
    { __close = function() os.execute("kill " .. pid) end })
end

return program
