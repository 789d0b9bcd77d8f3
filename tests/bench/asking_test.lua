--- Asks a server many questions at once, as `evaluate` does. Not part of the test run; tests/bench/ask.sh calls it:
---   FTRUN_LUA=tests/bench:tests:lua FTRUN_BENCH="URL COUNT AT_ONCE" ftrun_tests asking
local ask = require "ftrun.ask"
local providers = require "ftrun.providers"
local secrets = require "ft.secrets"
local t = require "harness"
local time = require "ft.time"

local url, count, at_once = assert(secrets.setting "FTRUN_BENCH", "FTRUN_BENCH is not set"):match "(%S+) (%d+) (%d+)"
count, at_once = math.tointeger(count), math.tointeger(at_once)

t.test("asking", function()
  local provider = providers.open { name = "openai", base_url = url, auth_secret = false }
  local asker <close> = ask.open { provider = provider, at_once = at_once }
  local system, asked, good, began = ("Витягни елементи закону. "):rep(20), 0, 0, time.monotonic()
  asker:each(function()
    asked = asked + 1
    if asked > count then return nil end
    return { model = "gpt-4o-mini", temperature = 0, seed = 42, messages = { { role = "system", content = system },
      { role = "user", content = "Стаття " .. asked } } }
  end, function(_, answer)
    if answer and answer.finish_reason == "stop" then good = good + 1 end
  end)
  io.stderr:write(("%d answers in %.3f s\n"):format(good, time.monotonic() - began))
  t.eq(good, count)
end)
