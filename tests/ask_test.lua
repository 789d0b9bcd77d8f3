--- Asking many things at once: under limits that the answers tell, through refusals, up to what is hopeless.
local t = require "harness"
local ask = require "ftrun.ask"
local err = require "ftrun.err"
local json = require "ftrun.json"
local limits = require "ftrun.ask.limits"
local loopback = require "loopback"
local providers = require "ftrun.providers"
local task = require "ft.task"
local time = require "ft.time"

--- A server whose `answer(number, asked)` gives status and headers, and a provider for it.
local function served(answer)
  local state = { asked = 0, now = 0, most = 0, times = {} }
  local s = loopback.serve(function(request)
    state.asked, state.now = state.asked + 1, state.now + 1
    state.most = math.max(state.most, state.now)
    state.times[state.asked] = time.monotonic()
    local body = json.decode(request.body)
    local status, headers, seconds, e = answer(tonumber(body.messages[1].content), state.asked)
    time.sleep(seconds or 0.002)
    state.now = state.now - 1
    return { status = status or 200, headers = headers, body = json.encode(status and status >= 400
      and { error = e or { message = "on purpose" } }
      or { choices = json.array { { message = { content = body.messages[1].content }, finish_reason = "stop" } },
           usage = { prompt_tokens = 10, completion_tokens = 2, total_tokens = 12 } }) }
  end)
  state.provider = providers.open { name = "openai", base_url = s.url .. "/v1", auth_secret = false,
    backoff_s = 0.01 }
  return setmetatable(state, { __close = function() s.server:close() end })
end

local function question(i) return { model = "m", messages = { { role = "user", content = tostring(i) } } } end

--- Asks `count` questions; a list of what came: true, or the error.
local function all(state, count, o)
  local asker <close> = ask.open { provider = state.provider, at_once = o and o.at_once, on_wait = o and o.on_wait }
  local i, came = 0, {}
  asker:each(function()
    i = i + 1
    return i <= count and question(i) or nil
  end, function(request, answer, e)
    local text = request.messages[1].content
    came[tonumber(text)] = answer and answer.text == text or e
  end)
  return came
end

t.test("each question gets its own answer, so many at once as was asked for, and no more", function()
  local s <close> = served(function() return nil, nil, 0.02 end)
  local came = all(s, 60, { at_once = 20 })
  for i = 1, 60 do t.eq(came[i], true) end
  t.eq({ #came, s.asked }, { 60, 60 })
  t.ok(s.most > 10 and s.most <= 20, s.most)
end)

t.test("without a word about limits eight are asked at once; with room in them more", function()
  local s <close> = served(function() end)
  all(s, 200)
  t.eq(s.most, 8)
  local roomy <close> = served(function() return 200, { ["x-ratelimit-limit-requests"] = "10000",
    ["x-ratelimit-remaining-requests"] = "9990", ["x-ratelimit-reset-requests"] = "60ms" }, 0.02 end)
  all(roomy, 400)
  t.ok(roomy.most > 16 and roomy.most <= 64, roomy.most)
end)

t.test("a refusal pauses all questions for as long as it says, and nothing is lost", function()
  local s <close> = served(function(_, asked)
    if asked == 10 then return 429, { ["retry-after"] = "0.5" }, 0 end
  end)
  local came = all(s, 40, { at_once = 4 })
  for i = 1, 40 do t.eq(came[i], true) end
  t.eq(s.asked, 41)
  local longest, after = 0, 0
  for i = 2, #s.times do
    if s.times[i] - s.times[i - 1] > longest then longest, after = s.times[i] - s.times[i - 1], i end
  end
  t.ok(longest > 0.45 and after <= 14, ("%.2f s before request %d"):format(longest, after))
end)

t.test("a storm of refusals is lived through, with fewer and fewer questions at once", function()
  -- like a server with a window: 12 requests in each quarter of a second
  local began, window, count = time.monotonic(), 0, 0
  local s <close> = served(function()
    local now = (time.monotonic() - began) // 0.25
    if now ~= window then window, count = now, 0 end
    count = count + 1
    if count > 12 then return 429, { ["retry-after-ms"] = "100" }, 0 end
  end)
  local came = all(s, 60, { at_once = 40 })
  for i = 1, 60 do t.eq(came[i], true, i) end
  t.ok(s.asked < 60 + 100, "requests: " .. s.asked)
end)

t.test("requests are held back before a limit that the answers tell is reached", function()
  local level, at, refused = 20, time.monotonic(), 0
  local s <close> = served(function() -- 20 at once, then 40 a second
    local now = time.monotonic()
    level, at = math.min(20, level + (now - at) * 40), now
    if level < 1 then
      refused = refused + 1
      return 429, { ["retry-after-ms"] = "100" }, 0
    end
    level = level - 1
    return 200, { ["x-ratelimit-limit-requests"] = "20", ["x-ratelimit-remaining-requests"] = tostring(level // 1 | 0),
      ["x-ratelimit-reset-requests"] = ("%dms"):format((20 - level) / 40 * 1000 // 1) }
  end)
  local began = time.monotonic()
  local came = all(s, 60, { at_once = 8 })
  local seconds = time.monotonic() - began
  for i = 1, 60 do t.eq(came[i], true) end
  t.ok(refused <= 3, "refused: " .. refused)
  t.ok(seconds > 0.9 and seconds < 3, "seconds: " .. seconds)
end)

t.test("limits of tokens count too, by what the texts here really take", function()
  local l = limits.new()
  t.eq({ l:take(1000, 0) }, { 0 })
  l:answer({ status = 200, headers = { ["x-ratelimit-limit-tokens"] = "6000", ["x-ratelimit-remaining-tokens"] = "900",
    ["x-ratelimit-reset-tokens"] = "51s" } }, 1, 10, 0)
  l:give_back(1000)
  l:answer({ status = 200, headers = { ["x-ratelimit-limit-tokens"] = "6000", ["x-ratelimit-remaining-tokens"] = "900",
    ["x-ratelimit-reset-tokens"] = "51s" } }, 2, 10, 0)
  local wait, why = l:take(1000, 10)
  t.ok(math.abs(wait - 1) < 1e-6, wait)
  t.has(why, "limit of 6000 tokens a minute")
  t.eq(l:take(1000, 11.01), 0)
  t.ok(l:take(1000, 11.01) > 0)
  local before = l:tokens(1000)
  for _ = 1, 50 do l:used(1000, { prompt_tokens = 400, completion_tokens = 100 }) end
  t.ok(before == 250 and math.abs(l:tokens(1000) - 500) < 5)
  -- one that is larger than the limit is sent when all of it is there
  t.ok(l:take(1e9, 12) < 60)
  t.eq(l:take(1e9, 80), 0)
end)

t.test("an older answer than the newest says nothing about what is left", function()
  local l = limits.new()
  local function headers(left) return { status = 200, headers = { ["x-ratelimit-limit-requests"] = "100",
    ["x-ratelimit-remaining-requests"] = left, ["x-ratelimit-reset-requests"] = "10s" } } end
  l:answer(headers "0", 2, 0, 0)
  l:answer(headers "50", 1, 0, 0)
  t.ok(l:take(0, 0) > 0)
end)

t.test("a used-up quota ends all at once; what is on its way is kept", function()
  local s <close> = served(function(number)
    if number == 10 then return 429, {}, 0, { code = "insufficient_quota", message = "no credit" } end
    return 200, nil, 0.05
  end)
  local i, came = 0, 0
  local asker <close> = ask.open { provider = s.provider, at_once = 5 }
  local e = t.raises("quota is used up", function()
    asker:each(function()
      i = i + 1
      return i <= 1000 and question(i) or nil
    end, function() came = came + 1 end)
  end)
  t.eq({ err.is(e), e.code }, { true, "insufficient_quota" })
  t.ok(s.asked <= 15 and came == s.asked - 1, ("%d asked, %d came"):format(s.asked, came))
  t.raises("quota is used up", asker.chat, asker, question(1))
end)

t.test("a question that fails by itself is told, and the others go on", function()
  local s <close> = served(function(number)
    if number % 2 == 0 then return 400, {}, 0, { message = "too long", code = "context_length_exceeded" } end
  end)
  local came = all(s, 30)
  for i = 1, 30 do
    if i % 2 == 1 then t.eq(came[i], true) else t.eq(came[i].code, "context_length_exceeded") end
  end
end)

t.test("any number of tasks may ask; they take turns in the order in which they came", function()
  local s <close> = served(function() end)
  local asker <close> = ask.open { provider = s.provider, at_once = 3 }
  local tasks, order = {}, {}
  for i = 1, 40 do
    tasks[i] = task.spawn(function()
      t.eq(asker:chat(question(i)).text, tostring(i))
      order[#order + 1] = i
    end)
  end
  tasks[20]:cancel()
  time.sleep(0.004)
  tasks[40]:cancel()
  for i = 1, 39 do if i ~= 20 then tasks[i]:join() end end
  t.eq({ #order, s.asked, s.most }, { 38, 38, 3 })
  for i, number in ipairs(order) do t.ok(math.abs(number - i) <= 4, number .. " came as " .. i) end
end)

t.test("a mistake in what is done with an answer ends the asking", function()
  local s <close> = served(function() end)
  local asker <close> = ask.open { provider = s.provider }
  t.raises("disk full", asker.each, asker, function() return question(1) end, function() error("disk full", 0) end)
  t.ok(s.asked <= 16)
end)

t.test("an asker that is closed asks nothing", function()
  local s <close> = served(function() end)
  local asker = ask.open { provider = s.provider }
  asker:close()
  asker:close()
  t.raises("closed", asker.chat, asker, question(1))
  t.eq(s.asked, 0)
end)
