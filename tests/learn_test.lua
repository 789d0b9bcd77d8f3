local dataset = require "ft.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local learn = require "ftrun.local.learn"
local t = require "harness"

local PROMPT = 'Extract. Answer with '
  .. '{"kind": "", "orders": [{"no": "1", "amount": 2}], "none": [], "total": 7, "gift": null}'

-- Numbers that look random and are the same everywhere.
local function dice(seed)
  local state = seed
  return function(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n + 1
  end
end

local function line(text, answer)
  return assert(dataset.encode { messages = { { role = "system", content = PROMPT }, { role = "user", content = text },
    { role = "assistant", content = answer } } })
end

local function write(path, lines)
  assert(fs.write(path, table.concat(lines, "\n") .. "\n"))
  return path
end

-- Letters with orders in them. Numbers that are no orders are near, and the kind depends on the words.
local goods = { "чай", "кава", "сіль", "цукор", "мед" }
local places = { "Львів", "Київ", "Одеса", "Полтава" }
local function letter(roll)
  local urgent = roll(2) == 1
  local opening = urgent and "Терміново, сьогодні!" or "Колись, не поспішайте."
  local parts = { opening, ("Тел. %d-%d."):format(roll(900), roll(90)) }
  local orders = {}
  for i = 1, roll(4) - 1 do
    local no, amount = ("%d/%d-Х"):format(roll(800), roll(90)), roll(500)
    orders[i] = ('{"no":"%s","amount":%d}'):format(no, amount)
    parts[#parts + 1] = ("Замовлення № %s: %d кг, %s, місто %s."):format(no, amount, goods[roll(5)], places[roll(4)])
    if roll(2) == 1 then parts[#parts + 1] = ("Рахунок %d від %d.%d."):format(roll(999), roll(28), roll(12)) end
  end
  local kind = urgent and "швидко" or "звичайно"
  return table.concat(parts, "\n"),
    ('{"kind":"%s","orders":[%s],"none":[],"total":%d}'):format(kind, table.concat(orders, ","), #orders)
end

local function letters(path, seed, n)
  local roll, lines, rows = dice(seed), {}, {}
  for i = 1, n do
    local text, answer = letter(roll)
    rows[i] = { text = text, answer = answer }
    lines[i] = line(text, answer)
  end
  return write(path, lines), rows
end

local function train(options)
  local trainer, losses = learn.start(options), {}
  for m in function() return trainer:step() end do losses[#losses + 1] = m end
  return trainer, losses
end

-- F1 of the orders' numbers and amounts, and the share of answers that are right to the byte.
local function score(answer, rows)
  local both, given, wanted, same = 0, 0, 0, 0
  for _, row in ipairs(rows) do
    local got, expected = answer { { role = "system", content = PROMPT }, { role = "user", content = row.text } }, {}
    t.ok(dataset.check(got))
    if got == row.answer then same = same + 1 end
    for order in row.answer:gmatch('{"no".-}') do
      expected[order] = true
      wanted = wanted + 1
    end
    for order in got:gmatch('{"no".-}') do
      given = given + 1
      if expected[order] then both = both + 1 end
    end
  end
  return 2 * both / math.max(1, given + wanted), same / #rows
end

t.test("values that stand in the text are learnt, and given in the examples' form", function()
  local dir <close> = t.folder()
  local path = letters(dir.path .. "/train.jsonl", 1, 80)
  local valid, rows = letters(dir.path .. "/valid.jsonl", 2, 30)
  local trainer, steps = train { train = path, validation = valid, seed = 7 }
  t.eq(#steps, trainer.total_steps)
  t.ok(steps[#steps].full_valid_loss < 0.1 and steps[1].train_loss > 0.5)
  t.ok(steps[#steps].full_valid_mean_token_accuracy > 0.95)
  trainer:save(dir.path .. "/model")
  local model = learn.open(dir.path .. "/model")
  local f1, same = score(function(messages) return (model:answer(messages)) end, rows)
  t.ok(f1 > 0.9, "F1 " .. f1)
  t.ok(same > 0.8, "same " .. same)
  t.eq(score(learn.untrained, rows), 0.0)
  for _, text in ipairs { "", "\n", "№", "\xff\xfe", ("1 "):rep(10000) } do
    t.ok(dataset.check((model:answer { { role = "user", content = text } })), text:sub(1, 9))
  end
end)

t.test("few fixed answers are learnt, as plain labels and as JSON", function()
  local dir <close> = t.folder()
  for _, form in ipairs { "%s", '{"label": "%s"}' } do
    local roll, lines = dice(5), {}
    local function text(warm)
      return (warm and "Сонце гріє, літо, +%d" or "Сніг і мороз, зима, -%d"):format(roll(30)) .. " " .. places[roll(4)]
    end
    for i = 1, 40 do lines[i] = line(text(i % 2 == 0), form:format(i % 2 == 0 and "тепло" or "холод")) end
    local trainer = train { train = write(dir.path .. "/train.jsonl", lines), seed = 1 }
    trainer:save(dir.path .. "/model")
    local model = learn.open(dir.path .. "/model")
    for i = 1, 20 do
      local answer = model:answer { { role = "user", content = text(i % 2 == 0) } }
      t.eq(answer, form:format(i % 2 == 0 and "тепло" or "холод"))
    end
  end
end)

t.test("the same seed gives the same losses to the bit; seed, rate, batch and epochs matter", function()
  local dir <close> = t.folder()
  local path = letters(dir.path .. "/train.jsonl", 1, 20)
  local function losses(change)
    local options = { train = path, validation = path, seed = 1, n_epochs = 2, batch_size = 2 }
    for k, v in pairs(change) do options[k] = v end
    local trainer, steps = train(options)
    trainer:close()
    return steps
  end
  local one = losses {}
  t.eq(losses {}, one)
  t.eq(#one, 20)
  t.ok(one[10].epoch_end and one[10].full_valid_loss and not one[9].full_valid_loss)
  local function differs(change)
    local other = losses(change)
    return #other ~= #one or other[#other].full_valid_loss ~= one[#one].full_valid_loss
  end
  t.ok(differs { seed = 2 })
  t.ok(differs { learning_rate_multiplier = 0.5 })
  t.eq(#losses { n_epochs = 3 }, 30)
  t.eq(#losses { batch_size = 3 }, 14)
end)

t.test("a resumed training goes on as if nothing had happened", function()
  local dir <close> = t.folder()
  local options = { train = letters(dir.path .. "/train.jsonl", 3, 24), seed = 9, n_epochs = 3, batch_size = 4 }
  options.validation = letters(dir.path .. "/valid.jsonl", 4, 5)
  local trainer, expected = learn.start(options), {}
  for _ = 1, 6 do trainer:step() end
  trainer:save(dir.path .. "/state")
  for m in function() return trainer:step() end do expected[#expected + 1] = m end
  trainer:save(dir.path .. "/end")
  local resumed, got = learn.resume(dir.path .. "/state", options), {}
  for m in function() return resumed:step() end do got[#got + 1] = m end
  resumed:save(dir.path .. "/resumed")
  t.eq(got, expected)
  t.eq(fs.read(dir.path .. "/resumed") == fs.read(dir.path .. "/end"), true)
  options.batch_size = 2
  local _, e = pcall(learn.resume, dir.path .. "/state", options)
  t.eq(e.code, "changed")
end)

local function refused(path)
  local ok, e = pcall(learn.start, { train = path })
  t.ok(not ok)
  if not err.is(e) then error(e) end
  t.eq(e.kind, "data")
  return e
end

t.test("what cannot be learnt is refused, with the field and the reason", function()
  local dir <close> = t.folder()
  local roll, prose, free = dice(1), {}, {}
  for i = 1, 30 do
    local text = ("Лист %d про %s"):format(roll(9999), goods[roll(5)])
    prose[i] = line(text, ("Відповідь %d, яку ніхто не вгадає"):format(roll(9999)))
    free[i] = line(text, ('{"what":"%s","summary":"думка %d"}'):format(goods[roll(5)], roll(9999)))
  end
  local e = refused(write(dir.path .. "/a.jsonl", prose))
  t.eq(e.code, "unlearnable")
  e = refused(write(dir.path .. "/b.jsonl", free))
  t.eq(e.code, "unlearnable")
  t.has(e.message, "the field summary")
end)

t.test("broken and too few examples are refused with their line", function()
  local dir <close> = t.folder()
  local lines = {}
  for i = 1, 12 do lines[i] = line("text " .. i, "a") end
  lines[5] = "{not json"
  local e = refused(write(dir.path .. "/a.jsonl", lines))
  t.eq(e.code, "invalid_training_file")
  t.has(e.where, "a.jsonl:5")
  lines[5] = '{"messages":[]}'
  t.eq(refused(write(dir.path .. "/a.jsonl", lines)).code, "invalid_training_file")
  t.eq(refused(write(dir.path .. "/b.jsonl", { line("x", "a"), line("y", "b") })).code, "invalid_n_examples")
end)

t.test("the last answer with a weight is the target, after the last user text before it", function()
  local dir <close> = t.folder()
  local lines = {}
  for i = 1, 20 do
    local label = i % 2 == 0 and "even" or "odd"
    lines[i] = assert(dataset.encode { messages = { { role = "user", content = "noise" },
      { role = "assistant", content = "never" .. i, weight = 0 },
      { role = "user", content = { { type = "text", text = label .. " number" } } },
      { role = "assistant", content = label },
      { role = "user", content = "thanks" }, { role = "assistant", content = "bye" .. i, weight = 0 } } })
  end
  lines[21] = assert(dataset.encode { messages = { { role = "user", content = "x" },
    { role = "assistant", content = "only" , weight = 0 } } })
  local trainer = train { train = write(dir.path .. "/train.jsonl", lines), seed = 1 }
  t.eq(trainer.examples, 20)
  trainer:save(dir.path .. "/model")
  t.eq((learn.open(dir.path .. "/model"):answer { { role = "user", content = "odd number" } }), "odd")
end)

t.test("a damaged or foreign model file is refused wherever it is damaged", function()
  local dir <close> = t.folder()
  local trainer = train { train = letters(dir.path .. "/train.jsonl", 1, 12), n_epochs = 1 }
  local path = dir.path .. "/model"
  trainer:save(path)
  local bytes = assert(fs.read(path))
  local changes = { "", "x", bytes:sub(1, 20), bytes:sub(1, -2), bytes .. "x" }
  for i = 1, #bytes, #bytes // 40 do
    changes[#changes + 1] = bytes:sub(1, i - 1) .. string.char(bytes:byte(i) ~ 4) .. bytes:sub(i + 1)
  end
  for _, change in ipairs(changes) do
    assert(fs.write(path, change))
    local ok, e = pcall(learn.open, path)
    t.ok(not ok and err.is(e), e)
    t.eq(e.code, "damaged")
  end
  local ok, e = pcall(learn.open, dir.path .. "/none")
  t.ok(not ok and err.is(e))
  t.eq(e.code, "not_found")
end)

t.test("a model that learnt nothing answers with the empty skeleton of the prompt's structure", function()
  t.eq(learn.untrained { { role = "system", content = PROMPT }, { role = "user", content = "x" } },
    '{"kind":"","orders":[],"none":[],"total":0,"gift":null}')
  t.eq(learn.untrained { { role = "system", content = "set {x | x > 1}, {broken" } }, "{}")
  t.eq(learn.untrained { { role = "user", content = '{"a":1}' } }, "{}")
end)
