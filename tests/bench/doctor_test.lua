--- The search for near duplicates alone: the prompts of FTRUN_BENCH, read before the clock starts, through one index.
---   FTRUN_LUA=tests/bench:tests:lua FTRUN_BENCH=file.jsonl ftrun_tests doctor
local dataset = require "ft.dataset"
local personal = require "ftrun.data.inspect.personal"
local row = require "ftrun.data.inspect.row"
local secrets = require "ft.secrets"
local similar = require "ft.similar"
local t = require "harness"

t.test("near duplicates, and what the patterns of personal data cost", function()
  local path = assert(secrets.setting "FTRUN_BENCH", "FTRUN_BENCH is not set")
  local reader = assert(dataset.reader(path))
  local texts, bytes = {}, 0
  for line in function() return (reader:next()) end do
    local text = row.read(row.decode(line)).asked
    texts[#texts + 1] = text
    bytes = bytes + #text
  end
  collectgarbage()
  local index <close> = similar.index(0.7, 0.95, 64 << 20)
  local found, alarms, clock = 0, 0, os.clock()
  for i, text in ipairs(texts) do if index:add(text, i) then found = found + 1 end end
  local seconds = os.clock() - clock
  local kept, memory = index:usage()
  print(("%d texts of %.1f MB: %d near duplicates in %.2f s (%.0f MB/s), index of %d texts in %.1f MiB"):format(#texts,
    bytes / 1e6, found, seconds, bytes / 1e6 / seconds, kept, memory / 2 ^ 20))
  clock = os.clock()
  for _, text in ipairs(texts) do alarms = alarms + #(personal.find(text) or {}) end
  seconds = os.clock() - clock
  print(("personal data and secrets: %d in %.2f s (%.0f MB/s)"):format(alarms, seconds, bytes / 1e6 / seconds))
end)
