--- Large files in parts, batches and streamed answers: the client against the local provider over real connections.
local t = require "harness"
local digest = require "ft.digest"
local fs = require "ft.fs"
local time = require "ft.time"
local err = require "ftrun.err"
local json = require "ftrun.json"
local providers = require "ftrun.providers"
local server = require "ftrun.local.server"

--- A local provider in dir/local with a client whose limits are small: 2 KB a file, 1 KB a part.
local function serve(dir, faults)
  local requests = {}
  local running = server.start { dir = dir .. "/local", faults = faults,
    on_log = function(text) requests[#requests + 1] = text end }
  local p = providers.open { name = "local", base_url = running.url, auth_secret = false, file_bytes = 2000,
    part_bytes = 1000, backoff_s = 0.01 }
  return setmetatable({ p = p, running = running, requests = requests }, { __close = running.close })
end

local function write_big(dir)
  local lines = {}
  for i = 1, 60 do
    lines[i] = json.encode { messages = { { role = "user", content = ("Стаття %d."):format(i) },
                                          { role = "assistant", content = tostring(i) } } } .. "\n"
  end
  local text = table.concat(lines)
  t.ok(fs.write(dir .. "/big.jsonl", text))
  return text
end

local function count(requests, what)
  local n = 0
  for _, text in ipairs(requests) do if text:find(what) then n = n + 1 end end
  return n
end

local function put(s, dir, options)
  local o = { path = dir .. "/big.jsonl", filename = "big.jsonl", purpose = "fine-tune" }
  for k, v in pairs(options or {}) do o[k] = v end
  return s.p:put_file(o)
end

--- Fails unless the provider has the file once, with its very bytes.
local function check_whole(s, dir, text)
  local files = s.p:files "fine-tune"
  t.eq(#files, 1)
  s.p:fetch_file(files[1].id, dir .. "/back")
  t.eq(digest.sha256_file(dir .. "/back"), digest.sha256(text))
end

t.test("a file over the limit goes up in parts and is one file", function()
  local dir <close> = t.folder()
  local text = write_big(dir.path)
  local s <close> = serve(dir.path)
  local told = {}
  local file = put(s, dir.path, { on_progress = function(sent, total) told[#told + 1] = { sent, total } end })
  t.eq({ file.bytes, file.filename }, { #text, "big.jsonl" })
  check_whole(s, dir.path, text)
  t.eq(count(s.requests, "/parts 200"), (#text + 999) // 1000)
  t.eq(told[#told], { #text, #text })
end)

t.test("an interrupted upload goes on with the parts that are missing", function()
  local dir <close> = t.folder()
  local text = write_big(dir.path)
  local state
  do
    local s <close> = serve(dir.path, { { route = "POST /uploads/*/parts", kind = "refuse", status = 400, from = 3,
                                          count = 100 } })
    local ok, e = pcall(put, s, dir.path, { on_state = function(now) state = json.decode(json.encode(now)) end })
    t.eq({ ok, e.status }, { false, 400 })
  end
  t.ok(state.parts["1"] and state.parts["2"] and not state.parts["4"])
  local s <close> = serve(dir.path)
  put(s, dir.path, { state = state })
  check_whole(s, dir.path, text)
  t.eq({ count(s.requests, "POST /v1/uploads 200"), count(s.requests, "/parts 200") }, { 0, (#text + 999) // 1000 - 2 })
end)

for kind, fault in pairs {
  ["an upload whose creation was not answered"] = { route = "POST /uploads", kind = "lose" },
  ["a part whose answer was lost"] = { route = "POST /uploads/*/parts", kind = "lose", from = 2 },
  ["a part whose answer was cut"] = { route = "POST /uploads/*/parts", kind = "half", from = 2 },
  ["a part that met a fault of the server"] = { route = "POST /uploads/*/parts", kind = "forget", from = 3 },
} do
  t.test(kind .. " makes no second file", function()
    local dir <close> = t.folder()
    local text = write_big(dir.path)
    local s <close> = serve(dir.path, { fault })
    put(s, dir.path)
    check_whole(s, dir.path, text)
  end)
end

t.test("an upload whose completion was not answered is found, and is never completed twice", function()
  local dir <close> = t.folder()
  local text = write_big(dir.path)
  local s <close> = serve(dir.path, { { route = "POST /uploads/*/complete", kind = "lose" } })
  local state
  local ok, e = pcall(put, s, dir.path, { on_state = function(now) state = now end })
  t.eq({ ok, err.is(e) and e.sent }, { false, true })
  t.eq(s.p:find_file { filename = "big.jsonl", bytes = #text }.bytes, #text)
  t.eq(put(s, dir.path, { state = state }).bytes, #text)
  check_whole(s, dir.path, text)
end)

t.test("an upload that the provider has given up begins anew", function()
  local dir <close> = t.folder()
  local text = write_big(dir.path)
  local s <close> = serve(dir.path)
  put(s, dir.path, { state = { upload = "upload_gone", bytes = #text, part_bytes = 1000, parts = { ["1"] = "x" } } })
  check_whole(s, dir.path, text)
end)

t.test("a file over the largest size is refused before anything is sent", function()
  local dir <close> = t.folder()
  write_big(dir.path)
  local s <close> = serve(dir.path)
  s.p.dialect = setmetatable({ upload_bytes = 3000 }, { __index = s.p.dialect })
  t.raises("takes 3000 at most", put, s, dir.path)
  t.eq(#s.requests, 0)
end)

t.test("a batch runs, is found by its metadata, and its output is fetched", function()
  local dir <close> = t.folder()
  local lines = {}
  for i = 1, 5 do
    lines[i] = json.encode { custom_id = "r" .. i, method = "POST", url = "/v1/chat/completions", body = {
      model = "gpt-4o-mini", messages = { { role = "user", content = "x" } } } } .. "\n"
  end
  t.ok(fs.write(dir.path .. "/requests.jsonl", table.concat(lines)))
  local s <close> = serve(dir.path, { { route = "POST /batches", kind = "lose" } })
  local input = s.p:put_file { path = dir.path .. "/requests.jsonl", filename = "requests.jsonl", purpose = "batch" }
  local wanted = { input_file = input.id, metadata = { ftrun_run = "r" } }
  local ok, e = pcall(s.p.create_batch, s.p, wanted)
  t.eq({ ok, e.sent }, { false, true })
  local batch = s.p:find_batch(wanted.metadata)
  t.eq(s.p:find_batch { ftrun_run = "other" }, nil)
  while batch.open do
    time.sleep(0.01)
    batch = s.p:batch(batch.id)
  end
  t.eq({ batch.status, batch.counts }, { "completed", { total = 5, completed = 5, failed = 0 } })
  s.p:fetch_file(batch.output_file, dir.path .. "/output.jsonl")
  local first = json.decode(fs.read(dir.path .. "/output.jsonl"):match("[^\n]+"))
  t.eq({ first.custom_id, first.response.status_code }, { "r1", 200 })
  t.raises("cannot be cancelled", s.p.cancel_batch, s.p, batch.id)
end)

t.test("a streamed answer comes in pieces and is the same in the end", function()
  local dir <close> = t.folder()
  local s <close> = serve(dir.path)
  local system = 'Answer with {"elements": [], "relations": [], "categories": [], "other": []}'
  local request = { model = "gpt-4o-mini", messages = { { role = "system", content = system },
                                                       { role = "user", content = "x" } } }
  local whole = s.p:chat(request)
  local pieces = {}
  request.on_text = function(piece) pieces[#pieces + 1] = piece end
  local streamed = s.p:chat(request)
  t.eq({ streamed.text, table.concat(pieces), streamed.usage, streamed.finish_reason },
    { whole.text, whole.text, whole.usage, "stop" })
  t.ok(#pieces > 1)
end)

-- Asks a server whose answers break off behind their first piece, all but the one of a number.
local function ask_broken(name, whole)
  local asked = 0
  local s = assert(require("ft.server").listen { handler = function()
    asked = asked + 1
    local n = 0
    return { status = 200, headers = { ["content-type"] = "text/event-stream" }, chunks = function()
      n = n + 1
      if n == 1 then return 'data: {"choices":[{"delta":{"content":"some"}}]}\n\n' end
      if n == 2 and asked == whole then
        return 'data: {"choices":[{"delta":{"content":" more"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
      end
      if asked == whole then return nil end
      time.sleep(0.05)
      error("a fault on purpose", 0)
    end }
  end })
  local _ <close> = setmetatable({}, { __close = function() s:close() end })
  local p = providers.open { name = name, base_url = ("http://127.0.0.1:%d/v1"):format(s:port()),
    auth_secret = false, backoff_s = 0.01 }
  local pieces = {}
  local ok, e = pcall(p.chat, p, { model = "m", messages = { { role = "user", content = "x" } },
    on_text = function(piece) pieces[#pieces + 1] = piece end })
  return ok, e, pieces, asked
end

t.test("a stream that breaks off is an error and is not asked for again", function()
  local ok, e, pieces, asked = ask_broken "openai"
  t.eq({ ok, e.kind, pieces, asked }, { false, "network", { "some" }, 1 })
end)

t.test("the local provider, which says the same again, goes on where a stream broke off", function()
  local ok, answer, pieces, asked = ask_broken("local", 3)
  t.eq({ ok, answer.text, pieces, asked }, { true, "some more", { "some", " more" }, 3 })
end)

t.test("deleting what is gone already is no error", function()
  local dir <close> = t.folder()
  write_big(dir.path)
  local s <close> = serve(dir.path)
  local file = put(s, dir.path)
  s.p:delete_file(file.id)
  s.p:delete_file(file.id)
  t.eq(s.p:files(), {})
end)
