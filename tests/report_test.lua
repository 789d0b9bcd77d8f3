local t = require "harness"
local brief = require "ftrun.report.brief"
local chart = require "ftrun.report.chart"
local facts = require "ftrun.report.facts"
local fs = require "ft.fs"
local html = require "ftrun.report.html"
local json = require "ftrun.json"
local report = require "ftrun.report"
local secrets = require "ft.secrets"

local h = html.h

local EVIL = "<script>alert('x')</script> & \"Стаття 5\"\0\27[31m"
local VOID = { meta = true, br = true }

-- The texts and elements of a page; fails when a tag is not closed, or closed by another.
local function parse(page)
  local open, elements, at = {}, {}, #"<!DOCTYPE html>\n" + 1
  t.eq(page:sub(1, at - 1), "<!DOCTYPE html>\n")
  while true do
    local from, to, close, name, rest = page:find("<(/?)([%a][%w]*)([^<>]*)>", at)
    local text = page:sub(at, (from or 0) - 1)
    if open[#open] ~= "style" then t.eq(text:find "[<>]", nil, "stray bracket in " .. text:sub(1, 60)) end
    for entity in text:gmatch "&[^;]*;?" do t.ok(entity:find "^&[%w#]+;$", "bare ampersand: " .. entity) end
    if not from then break end
    at = to + 1
    if close == "/" then
      t.eq(name, table.remove(open), "closing tag at byte " .. from)
    else
      elements[#elements + 1] = { name = name, attributes = rest }
      if VOID[name] then t.eq(rest:sub(-1), "/") else open[#open + 1] = name end
    end
  end
  t.eq(open, {}, "elements left open")
  return elements
end

local function write(dir, name, ...)
  local lines = {}
  for i, value in ipairs { ... } do lines[i] = json.encode(value) .. "\n" end
  assert(fs.write(dir .. "/" .. name, table.concat(lines)))
end

local SIDE = { rows = 90, bytes = 90000, sha256 = ("c"):rep(64),
  tokens = { total = 900, billed = 900, min = 5, median = 9, p95 = 20, max = 21,
    histogram = { { from = 0, to = 9, count = 80 }, { from = 10, to = 19, count = 0 },
    { from = 20, to = 29, count = 10 } } } }

--- A run's folder with all that a report can show; every foreign text is `text`.
local function full(dir, text)
  text = text or "plain"
  write(dir, "run.json", { id = "legal-1", number = 1, name = text, state = "open", created = "2026-11-22T06:00:00Z",
    base_model = text, provider = "openai", phase = "result", job = text, model = text })
  write(dir, "result.json", { type = "result", state = "failed", model = text, trained_tokens = 2800,
    error = { message = text },
    usage = { trained_tokens = 2800, planned_tokens = 2700, usd = 0.0084, difference = 0.037,
      price = { usd_per_million = 3, source = text, date = text } },
    checkpoints = { { step = 4, model = text } } })
  write(dir, "journal.jsonl", { phase = "prepare", data = { rows = 100, written = 95 } },
    { phase = "plan", data = { provider = text, endpoint = text, base_model = text, encoding = text, train = SIDE,
      validation = { file_id = text }, warnings = { text }, budget = { max_usd = 2 },
      shutdown = { date = text, days = 3 },
      recipe = { name = text, path = text, sha256 = text, overrides = { { path = text, value = text } } },
      request = { method = text, suffix = text, seed = 42, hyperparameters = { n_epochs = 3, [text] = "auto" } },
      cost = { epochs = { min = 3, max = 3, likely = 3 }, billed_tokens = { min = 2700, max = 2700, likely = 2700 },
        usd = { min = 0.0081, max = 0.0081, likely = 0.0081 }, price = { usd_per_million = 3, source = text } },
      data = { source = text, rows = 100, written = 95, sha256 = text, duplicates = { count = 1, first = { text } },
        skipped = { { reason = text, count = 5, first = { text } } } },
      findings = { { code = text, severity = text, count = 2, first = { text }, message = text } } } },
    { phase = "gate", data = { passed = false, bars = { { passed = false, why = text } } } },
    { phase = "promote", data = { action = "promote", at = "2026-11-22T06:00:09Z", by = text, key = text, model = text,
      env_file = text, previous = text, recipe_sha256 = text, lock_sha256 = ("d"):rep(64), forced = true, rows = 9,
      scores = { { name = "f1", tuned = 0.9 } } } },
    { phase = "rollback", data = { action = "rollback", at = "2026-11-22T07:00:00Z", by = text, key = text,
      env_file = text } },
    { phase = "watch", data = { id = text, model = text, state = "failed", created_at = 1795334858,
      finished_at = 1795334859, training_file = text, hyperparameters = { n_epochs = 3 } } })
  local steps = {}
  for i = 1, 400 do
    steps[i] = { step = i, total_steps = 400, train_loss = 2 / i, train_mean_token_accuracy = 1 - 0.5 / i,
      full_valid_loss = i % 200 == 0 and 2.5 / i or nil, full_valid_mean_token_accuracy = i % 200 == 0 and 0.9 or nil }
  end
  write(dir, "metrics.jsonl", table.unpack(steps))
  write(dir, "events.jsonl", { type = "message", level = "warn", message = text, created_at = 1795334858 },
    { type = "state", state = "running" })
  write(dir, "lock.json", { name = text, model = text })
  local questions = {}
  for i, expected in ipairs { '{"a":["' .. ("x"):rep(60) .. '"],"b":1}', "one two three", text } do
    questions[i] = { messages = { { role = "user", content = "Question " .. i .. " " .. text },
      { role = "assistant", content = expected } } }
  end
  write(dir, "validation.jsonl", table.unpack(questions))
  local lines = {}
  local rows = require("ftrun.evaluate.rows").read(dir .. "/validation.jsonl", { temperature = 0, seed = 42 })
  for i, row in ipairs(rows) do
    for k, model in ipairs { "base-" .. text, "tuned-" .. text } do
      lines[#lines + 1] = { row = row.row, model = model, prompt_sha256 = row.prompt_sha256,
        answer = k == 2 and (i == 2 and "one 2 three" or row.expected) or "wrong " .. text,
        scores = { [text .. " " .. text] = k == 2 and i ~= 2 and 1 or 0 }, judged = { score = 0.5, reason = text } }
    end
  end
  write(dir, "evaluation.jsonl", table.unpack(lines))
  write(dir, "evaluation.json", { rows = 10, seed = 42,
    confusion = { labels = { text, "b" }, base = { { 0, 1, 2 }, { 0, 0, 1 } }, tuned = { { 17, 3, 0 }, { 4, 0, 0 } } },
    judge = { model = text, prompt = text, errors = 2, answered = 7, unreadable = { count = 1, why = text },
      tokens = { prompt = 30, completion = 3 }, usd = 0.02 },
    others = { { model = text, rows = 9, answered = 9, errors = 0, tokens = { prompt = 1, completion = 1 },
      scores = { { name = text, base = { value = 0.4 }, tuned = { value = 0.45 }, difference = 0.05,
        verdict = "cannot tell" } } } }, compared = 9, problem = text,
    unscorable = { count = 1, why = text, row = 3 },
    models = { base = { model = "base-" .. text, title = text, answered = 9, errors = 1 },
      tuned = { model = "tuned-" .. text, answered = 9, errors = 0 } },
    scores = { { name = text, path = text, base = { value = 0.4, p = 0.5, r = 0.3, n = 9 },
      tuned = { value = 0.9, n = 9 }, difference = 0.5, interval = { low = 0.2, high = 0.7 }, verdict = "better" } },
    tokens = { base = { prompt = 10, completion = 5 } }, latency = { base = { median = 0.5 } },
    cost = { base = 0.001 } })
end

t.test("a page is well-formed, and texts of others are shown, never obeyed", function()
  local dir <close> = t.folder()
  full(dir.path, EVIL)
  local page = report.html(facts.read(dir.path))
  for _, e in ipairs(parse(page)) do
    t.ok(e.name ~= "script", "no script")
    t.eq(e.attributes:find "%son%w+=", nil, "no handlers")
  end
  t.has(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;Стаття 5&quot;\u{FFFD}\u{FFFD}[31m")
  t.eq(page:find("[%z\1-\8\11-\31]"), nil)
end)

t.test("a page refers to nothing outside of itself", function()
  local dir <close> = t.folder()
  full(dir.path, "https://example.com/a.png")
  local page = report.html(facts.read(dir.path))
  local allowed = { h1 = true, title = true }
  for _, e in ipairs(parse(page)) do
    t.eq(e.attributes:find "%s%w*href=" or e.attributes:find "%ssrc" or e.attributes:find "%saction=", nil, e.name)
    t.ok(allowed[e.name] or not e.attributes:find "https?:", e.name)
    t.ok(not ({ link = 1, img = 1, iframe = 1, object = 1, embed = 1, base = 1, script = 1 })[e.name], e.name)
  end
  local style = page:match "<style>(.-)</style>"
  t.eq(style:find "url%(" or style:find "@import", nil)
  t.has(page, "default-src &#39;none&#39;")
end)

t.test("every part of a report may be missing, also all of them", function()
  local names = { "run.json", "result.json", "journal.jsonl", "metrics.jsonl", "events.jsonl", "lock.json",
    "evaluation.json", "evaluation.jsonl", "validation.jsonl" }
  for i = 0, #names do
    local dir <close> = t.folder()
    full(dir.path)
    if names[i] then assert(fs.remove(dir.path .. "/" .. names[i])) end
    parse(report.html(facts.read(dir.path)))
    brief.lines(facts.read(dir.path))
  end
  local dir <close> = t.folder()
  parse(report.html(facts.read(dir.path)))
  for _, name in ipairs(names) do assert(fs.write(dir.path .. "/" .. name, "{}\n{\"cut off")) end
  parse(report.html(facts.read(dir.path)))
end)

t.test("a report shows what was planned beside what was trained, scores and settings", function()
  local dir <close> = t.folder()
  full(dir.path)
  local page = report.html(facts.read(dir.path))
  for _, text in ipairs { "✗ failed", "2 700", "2 800", "$0.0081", "$0.0084", "+3.7 %", "+0.500", "+0.200 … +0.700",
    "better", "0.900",
    "not passed", "n_epochs", ("c"):rep(64), "2026-11-22 06:00:00 UTC", "80" } do t.has(page, text) end
end)

t.test("headings go down one level at a time, and tables say what their heads are for", function()
  local dir <close> = t.folder()
  full(dir.path)
  local level, ids = 0, {}
  for _, e in ipairs(parse(report.html(facts.read(dir.path)))) do
    local n = tonumber(e.name:match "^h(%d)$")
    if n then
      t.ok(n <= level + 1, "h" .. n .. " after h" .. level)
      level = n
    end
    if e.name == "th" then t.has(e.attributes, "scope=") end
    local id = e.attributes:match ' id="([^"]*)"'
    if id then
      t.eq(ids[id], nil, "id " .. id)
      ids[id] = true
    end
    if e.name == "svg" then
      for id_of in e.attributes:match('labelledby="([^"]*)"'):gmatch "%S+" do ids["?" .. id_of] = true end
    end
  end
  for id in pairs(ids) do t.ok(id:sub(1, 1) ~= "?" or ids[id:sub(2)], id) end
end)

t.test("the same files make the same bytes, and the folder's own report is written", function()
  local dir <close> = t.folder()
  full(dir.path)
  local path = report.write(dir.path)
  t.eq(path, dir.path .. "/report.html")
  t.eq(fs.read(path), report.html(facts.read(dir.path)))
end)

t.test("the local learner is never called by the base model's name", function()
  local dir <close> = t.folder()
  full(dir.path, "gpt-x")
  local e = json.decode(fs.read(dir.path .. "/evaluation.json"))
  e.models.base.title = "the untrained local learner (not gpt-x)"
  write(dir.path, "evaluation.json", e)
  write(dir.path, "journal.jsonl", { phase = "plan", data = { provider = "local", base_model = "gpt-x" } })
  local page = report.html(facts.read(dir.path))
  t.has(page, "of the untrained local learner (not gpt-x): better.")
  t.has(page, "It is not gpt-x.")
  t.has(page, "in place of gpt-x")
  t.eq(page:find("tuned from", 1, true), nil)
end)

t.test("two runs in one page: what differs first, what is alike behind it, curves over each other", function()
  local a <close> = t.folder()
  local b <close> = t.folder()
  full(a.path)
  full(b.path, EVIL)
  local path = report.write_pair { a.path, b.path }
  local page = fs.read(path)
  parse(page)
  t.has(page, "Settings that differ")
  local differ, alike = page:match "Settings that differ(.-)</table>(.*)$"
  t.has(differ, "SHA-256 of the recipe")
  t.has(alike, ">seed<")
  t.eq(differ:find(">seed<", 1, true), nil)
  t.eq(select(2, page:gsub("<svg ", "")), 4)
  t.eq(page:find("<script", 1, true), nil)
  local none <close> = t.folder()
  parse(fs.read(report.write_pair { none.path, a.path }))
  write(none.path, "journal.jsonl", { phase = "plan", data = { recipe = { overrides = { { "seed", "9" } } } } },
    { phase = "watch", data = { state = "failed", error = { message = "no rows" } } })
  page = fs.read(report.write_pair { none.path, a.path })
  t.has(page, '<th scope="row">Why</th><td class="side">no rows</td><td class="side">plain</td>')
  t.has(page, '<th scope="row">--set seed</th><td class="side">9</td>')
end)

t.test("a registered secret does not reach the page", function()
  local dir <close> = t.folder()
  full(dir.path, "report-secret-4711<")
  assert(fs.write(dir.path .. "/.env", "REPORT_TEST_API_KEY=report-secret-4711<\n"))
  assert(secrets.load(dir.path .. "/.env"))
  t.ok(secrets.is_secret "REPORT_TEST_API_KEY")
  local page = report.html(facts.read(dir.path))
  t.eq(page:find("report-secret", 1, true), nil)
  parse(page)
end)

t.test("the curve of a long training stays small, and keeps the ends of epochs", function()
  local dir <close> = t.folder()
  local lines = {}
  for i = 1, 50000 do
    lines[i] = json.encode { step = i, total_steps = 50000, train_loss = 1 / i,
      full_valid_loss = i % 12345 == 0 and 0.5 or nil } .. "\n"
  end
  assert(fs.write(dir.path .. "/metrics.jsonl", table.concat(lines)))
  local f = facts.read(dir.path)
  t.ok(#f.metrics < 26000, #f.metrics)
  t.eq(#facts.validation(f, "loss"), 4)
  t.eq(f.metrics[#f.metrics].step, 50000)
  t.ok(#report.html(f) < 40000)
end)

t.test("ticks are round and cover the range", function()
  t.eq(chart.labels(chart.ticks(0, 1, 4)), { "0", "0.5", "1.0" })
  t.eq(chart.labels(chart.ticks(0, 504, 4)), { "0", "200", "400" })
  t.eq(chart.labels(chart.ticks(0.85, 1, 4)), { "0.85", "0.90", "0.95", "1.00" })
  t.eq(chart.labels(chart.ticks(0, 2.4, 4)), { "0", "1", "2" })
  t.eq(chart.labels(chart.ticks(0, 80000, 4)), { "0", "20k", "40k", "60k", "80k" })
  t.eq(chart.labels(chart.decades(0.0003, 0.7)), { "0.0001", "0.001", "0.01", "0.1", "1" })
  t.eq(chart.ticks(3, 3, 4), { 3 })
end)

t.test("a curve of one point, of equal values or of none at all is no trouble", function()
  local o = { id = "x", title = "T", description = "D", x = "step" }
  local function draw(points) return chart.lines({ { name = "train", class = "train", points = points } }, o) end
  t.eq(draw {}, nil)
  for _, points in ipairs { { { 1, 0.5 } }, { { 1, 0 }, { 2, 0 } }, { { 0, 1 } } } do
    local text = html.text(draw(points))
    t.eq(text:find "nan" or text:find "inf", nil, text)
    parse("<!DOCTYPE html>\n" .. text)
  end
end)

t.test("elements take absent children, order their attributes and close themselves", function()
  t.eq(html.text(h.p { id = "a", class = "b", nil, "x", false, { h.b "y<", nil, 3 } }),
    '<p class="b" id="a">x<b>y&lt;</b>3</p>')
  t.eq(html.text(h.meta { charset = "utf-8" }), '<meta charset="utf-8"/>')
end)

-- ---- texts of rows ----

t.test("examples stand side by side, the worst first, and differences have signs of their own", function()
  local dir <close> = t.folder()
  full(dir.path)
  local page = report.html(facts.read(dir.path))
  t.has(page, "This page holds texts of 3 rows of the data")
  local first, second = page:find("Row 2: ", 1, true), page:find("Row 1: ", 1, true)
  t.ok(first and second and first < second, "the row with a wrong answer comes first")
  t.has(page, "one <del>\u{2212} two</del> <ins>+ 2</ins> three")
  t.has(page, "✓ as expected")
  t.has(page, "judge: 0.500 – plain")
end)

t.test("without texts a report holds none of the rows, and does not say that it does", function()
  local dir <close> = t.folder()
  full(dir.path)
  local page = report.html(facts.read(dir.path, { texts = false }))
  for _, text in ipairs { "Question 1", "one two three", "wrong plain", "This page holds texts" } do
    t.eq(page:find(text, 1, true), nil, text)
  end
  t.has(page, "Confusion matrix")
end)

t.test("JSON is held against JSON line by line, whatever stands behind a line", function()
  local marked = require "ftrun.report.marked"
  local expected = '{"list":["' .. ("я"):rep(30) .. '","two"],"n":12345678901234,"e":[],"o":{"k":null}}'
  t.eq(marked.lines(expected), { "{", '  "list": [', '    "' .. ("я"):rep(30) .. '",', '    "two"', "  ],",
    '  "n": 12345678901234,', '  "e": [],', '  "o": {"k": null}', "}" })
  t.eq(marked.lines "text", nil)
  t.eq(marked.lines '"text"', nil)
  local text = html.text((marked.answer(expected, (expected:gsub(',"two"', "")))))
  t.has(text, "<del>\u{2212} &quot;two&quot;</del>")
  t.eq(text:find("<ins>", 1, true), nil, "the comma that is gone is no difference")
  local _, same = marked.answer(expected, (expected:gsub(":", ": ")))
  t.ok(same)
  t.has(html.text((marked.answer("a", ""))), "an empty answer")
end)

t.test("an answer of any length stays a short piece of the page", function()
  local marked = require "ftrun.report.marked"
  local items, other = {}, {}
  for i = 1, 3000 do items[i], other[i] = ('"item %d"'):format(i), ('"other %d"'):format(i) end
  local a, b = "[" .. table.concat(items, ",") .. "]", "[" .. table.concat(other, ",") .. "]"
  t.ok(#html.text((marked.answer(a, b))) < 10000)
  t.ok(#html.text((marked.answer(a:gsub('[%[%]"]', ""), b:gsub('[%[%]"]', "")))) < 20000)
  t.ok(#html.text(marked.expected(a)) < 10000)
end)

t.test("a confusion matrix says what is right without colour; many labels become a list of mistakes", function()
  local confusion = require "ftrun.report.confusion"
  local c = { labels = { "так", "ні" }, base = { { 0, 0, 5 }, { 0, 0, 5 } }, tuned = { { 4, 1, 0 }, { 2, 3, 0 } } }
  local text = html.text(confusion.part(c))
  t.has(text, "✓ 4")
  t.has(text, ">other<")
  t.eq(confusion.lines(c), { "tuned: expected labels down, answers across", "                      так         ні",
    "  так                   4          1", "  ні                    2          3" })
  local many = { labels = {}, base = {} }
  for i = 1, 13 do
    many.labels[i], many.base[i] = "label " .. i, {}
    for k = 1, 14 do many.base[i][k] = i == k and 9 or 0 end
  end
  many.base[3][7] = 5
  t.has(html.text(confusion.part(many)), "The most frequent mistakes among 13 labels")
  t.eq(confusion.lines(many), { "most frequent mistakes:", "  label 7 for label 3: 5 times" })
  for _, broken in ipairs { {}, { labels = { "a" }, base = {} }, { labels = { "a" }, base = { 1 } },
    { labels = {} } } do
    t.eq(confusion.part(broken), nil)
  end
end)

t.test("further models, the judge and what became of the model are in the report", function()
  local dir <close> = t.folder()
  full(dir.path)
  local page = report.html(facts.read(dir.path))
  for _, text in ipairs { "A further model: ", "0.450 against 0.400 of base: cannot tell", "What the judge is told",
    "but 2 answers, about which it could not be asked; 1 of its answers held no grade", "put to use past the gate",
    "taken back", ("d"):rep(64), "2026-11-22 06:00:09 UTC by plain" } do t.has(page, text) end
end)

-- ---- for everybody ----

-- Relative luminance and contrast as WCAG 2.2 defines them.
local function luminance(colour)
  local sum = 0
  for i, share in ipairs { 0.2126, 0.7152, 0.0722 } do
    local c = tonumber(colour:sub(2 * i, 2 * i + 1), 16) / 255
    sum = sum + share * (c <= 0.04045 and c / 12.92 or ((c + 0.055) / 1.055) ^ 2.4)
  end
  return sum
end

local function contrast(a, b)
  local x, y = luminance(a), luminance(b)
  return (math.max(x, y) + 0.05) / (math.min(x, y) + 0.05)
end

t.test("every pair of colours has the contrast that WCAG AA asks for, in the light and in the dark", function()
  t.ok(math.abs(contrast("#ffffff", "#000000") - 21) < 1e-9)
  local style = require "ftrun.report.style"
  local modes, used = {}, { paper = true }
  for block in style:gmatch ":root (%b{})" do
    local colours = setmetatable({}, { __index = modes[1] })
    for name, value in block:gmatch "%-%-(%w+): (#%x%x%x%x%x%x)" do colours[name] = value end
    modes[#modes + 1] = colours
  end
  t.eq(#modes, 2)
  -- texts on what they stand on: 4.5; lines that carry meaning: 3
  local TEXTS = { paper = { "ink", "soft", "train", "valid", "good", "bad" }, shade = { "ink", "soft", "good", "bad" },
    del = { "ink" }, ins = { "ink" } }
  local LINES = { paper = { "train", "valid", "good", "bad" }, del = { "bad" }, ins = { "good" } }
  for _, colours in ipairs(modes) do
    for least, pairs_of in pairs { [4.5] = TEXTS, [3] = LINES } do
      for ground, list in pairs(pairs_of) do
        used[ground] = true
        for _, name in ipairs(list) do
          used[name] = true
          local got = contrast(colours[name], colours[ground])
          t.ok(got >= least, ("%s on %s: %.2f"):format(name, ground, got))
        end
      end
    end
  end
  used.rule = true -- hairlines between rows that say nothing
  for name in pairs(modes[1]) do t.ok(used[name], "no contrast is known of " .. name) end
  local rest = style:gsub(":root %b{}", "")
  t.eq(rest:find "#%x%x%x", nil, "a colour that is no variable")
end)

t.test("all of a report is within reach of the keyboard, and named for who hears it", function()
  local dir <close> = t.folder()
  full(dir.path)
  local page = report.html(facts.read(dir.path))
  t.has(page, '<html lang="en">')
  t.eq(page:find 'tabindex="[^0]', nil)
  for region in page:gmatch '<div[^>]*class="scroll"[^>]*>' do
    t.has(region, 'tabindex="0"')
    t.has(region, 'role="region"')
    t.ok(region:find 'aria%-label="[^"]+"', region)
  end
  for inside in page:gmatch "<details[^>]*>(.-)</details>" do t.ok(inside:find "^<summary>", inside:sub(1, 60)) end
  for svg in page:gmatch "<svg.-</svg>" do t.ok(svg:find "<title[^>]*>%S" and svg:find "<desc[^>]*>%S") end
end)

t.test("a report on a terminal keeps to 80 columns, and tells of scores, matrix, gate and promotion", function()
  local dir <close> = t.folder()
  full(dir.path)
  local e = json.decode(fs.read(dir.path .. "/evaluation.json"))
  for _, name in ipairs { "base", "tuned" } do e.models[name].earlier, e.models[name].batch = 0, 0 end
  e.tokens.tuned, e.problem = { prompt = 5, completion = 5 }, nil
  write(dir.path, "evaluation.json", e)
  local wrap, all = require "ftrun.text.wrap", {}
  for _, line in ipairs(brief.lines(facts.read(dir.path))) do
    for part in (wrap.text(line, 80) .. "\n"):gmatch "(.-)\n" do
      t.ok((utf8.len(part) or #part) <= 80, part)
      all[#all + 1] = part
    end
  end
  local text = table.concat(all, "\n")
  for _, what in ipairs { "loss             2.0000 → ", "tuned: expected labels down", "gate not passed  plain",
    "promoted ", "taken back ", "further model    plain: plain 0.450, perhaps no better than base",
    "findings         2 plain (plain)", "left out         5 plain" } do t.has(text, what) end
end)

t.test("a cancelled run says why, and claims no epochs that it did not train", function()
  local dir <close> = t.folder()
  write(dir.path, "journal.jsonl", { phase = "plan", data = { cost = { epochs = { min = 3, max = 3, likely = 3 } } } },
    { intent = "cancel", data = { reason = "the loss explodes" } },
    { phase = "watch", data = { state = "cancelled", hyperparameters = { n_epochs = 3 } } })
  local f = facts.read(dir.path)
  t.has(report.html(f), "The recipe cancelled it: the loss explodes")
  t.has(table.concat(brief.lines(f), "\n"), "cancelled        the loss explodes")
  t.has(report.html(f), '<th scope="row">Epochs</th><td class="n">3</td><td class="n">–</td>')
  f.result = { state = "succeeded", usage = { usd = 9 }, trained_by = "run-1" }
  t.has(table.concat(brief.lines(f), "\n"), "$9.00, paid by run-1")
end)

t.test("a run without a model says so, shows first what the provider said last, and claims no training", function()
  local dir <close> = t.folder()
  write(dir.path, "journal.jsonl", { phase = "plan", data = { provider = "local", base_model = "gpt-x",
    request = { hyperparameters = { n_epochs = "auto" } }, data = { rows = 3 },
    cost = { usd = { min = 1, likely = 1, max = 1 } } } },
    { phase = "watch", data = { state = "failed", error = { message = "bad rows" }, model = nil,
      hyperparameters = { n_epochs = "auto" } } })
  local said = {}
  for i = 1, 20 do said[i] = { type = "message", level = "info", message = "message " .. i, created_at = i } end
  write(dir.path, "events.jsonl", table.unpack(said))
  local page = report.html(facts.read(dir.path))
  t.has(page, "<dt>Model</dt><dd>none</dd>")
  t.ok(not page:find("Trained by", 1, true))
  t.has(page, '<code>n_epochs</code></th><td class="n">auto</td><td class="n">–</td>')
  t.has(page, "that much may be billed")
  t.ok(page:find("message 20", 1, true) < page:find("8 before them", 1, true))
  t.ok(page:find("message 9<", 1, true) < page:find("message 8<", 1, true), "older ones are folded away")
  t.ok(page:find("<h2>Events", 1, true) < page:find("<h2>Data", 1, true))
end)
