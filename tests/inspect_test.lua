local t = require "harness"
local checksums = require "ftrun.data.inspect.checksums"
local dataset = require "ft.dataset"
local fs = require "ft.fs"
local inspect = require "ftrun.data.inspect"
local personal = require "ftrun.data.inspect.personal"
local scan = require "ft.scan"
local template = require "ftrun.data.inspect.template"

local function encode(value) return assert(dataset.encode(value, { "messages", "role" })) end

local function chat(user, assistant, system)
  local messages = { { role = "user", content = user }, { role = "assistant", content = assistant } }
  if system then table.insert(messages, 1, { role = "system", content = system }) end
  return encode { messages = messages }
end

-- A long text that no other seed shares.
local function prose(seed, n)
  local state, words = seed * 7919 + 1, {}
  for i = 1, n or 60 do
    state = (state * 1103515245 + 12345) % (1 << 31)
    words[i] = ("слово%d"):format(state >> 8)
  end
  return table.concat(words, " ")
end

-- The text with one word in `every` replaced.
local function changed(text, every)
  local n = 0
  return (text:gsub("%S+", function(word)
    n = n + 1
    return n % every == 0 and "інше" .. n or word
  end))
end

-- Looks at the rows of { side, line } or plain lines (train) and gives the findings, and those by code.
local function look(list, options)
  local inspector <close> = inspect.new(options)
  local numbers = { train = 0, validation = 0 }
  for _, item in ipairs(list) do
    local side, line = "train", item
    if type(item) == "table" then side, line = item[1], item[2] end
    numbers[side] = numbers[side] + 1
    inspector:add(side, numbers[side], type(item) == "table" and item.key or nil, line)
  end
  local findings = inspector:findings()
  local by = {}
  for _, f in ipairs(findings) do
    by[f.code] = by[f.code] or {}
    table.insert(by[f.code], f)
  end
  return by, findings, inspector:summary()
end

local function capitals(text) return (text:gsub("слово", "СЛОВО")) end

-- `n` good rows, all different.
local function good(n, answer)
  local list = {}
  for i = 1, n do list[i] = chat(prose(i), answer and answer(i) or prose(1000 + i, 30), "Answer.") end
  return list
end

local function codes(by)
  local list = {}
  for code in pairs(by) do list[#list + 1] = code end
  table.sort(list)
  return table.concat(list, " ")
end

-- ---- duplicates and leaks ----

t.test("good rows give no finding", function()
  local list = good(60)
  for i = 1, 20 do list[#list + 1] = { "validation", chat(prose(5000 + i), prose(6000 + i), "Answer.") } end
  local by = look(list)
  t.eq(codes(by), "")
end)

t.test("equal rows make one group with the first places, whatever white space ends the answer", function()
  local list = good(20)
  for i = 1, 7 do list[#list + 1] = chat(prose(3), prose(1003, 30) .. (" "):rep(i % 2), "Answer.") end
  local by, findings = look(list)
  t.eq(codes(by), "duplicate_row")
  t.eq(#findings, 1)
  local f = findings[1]
  t.eq({ f.line, f.severity, f.side }, { 21, "warning", "train" })
  t.eq(f.message, "7 rows are the same as line 3: line 21, line 22, line 23, line 24, line 25, ...; keep one")
end)

t.test("the same prompt with another answer is a contradiction, and no duplicate", function()
  local list = good(20)
  list[#list + 1] = chat(prose(4), "something else", "Answer.")
  local by = look(list)
  t.eq(codes(by), "contradiction")
  t.eq(by.contradiction[1].line, 21)
  t.eq(by.contradiction[1].message, "asks the same as line 4 and has another answer; decide for one")
end)

t.test("preferences may judge one prompt many times; the same judgement twice is a duplicate", function()
  local function pair(good_answer, bad_answer)
    return encode { input = { messages = { { role = "user", content = prose(1) } } },
      preferred_output = { { role = "assistant", content = good_answer } },
      non_preferred_output = { { role = "assistant", content = bad_answer } } }
  end
  t.eq(codes(look { pair("a", "b"), pair("a", "c"), pair("d", "b") }), "")
  t.eq(codes(look { pair("a", "b"), pair("a", "c"), pair("a", "b") }), "duplicate_row")
end)

t.test("rows differ by their tools, their system message and their role names", function()
  local function row(tool, role)
    return encode { tools = { { type = "function", ["function"] = { name = tool } } },
      messages = { { role = role, content = prose(1, 10) }, { role = "assistant", content = "yes" } } }
  end
  t.eq(codes(look { row("a", "user"), row("b", "user") }), "near_duplicate")
  t.eq(codes(look { row("a", "user"), row("a", "user") }), "duplicate_row")
  t.eq(codes(look { chat(prose(1), "a", "Find names."), chat(prose(1), "b", "Find dates.") }), "")
end)

t.test("near duplicates are found with their similarity; texts that share few words are none", function()
  local list = good(30)
  list[#list + 1] = chat(changed(prose(5), 30), prose(2000, 30), "Answer.")
  list[#list + 1] = chat(capitals(prose(5)), prose(2001, 30), "Answer.")
  list[#list + 1] = chat(changed(prose(6), 4), prose(2002, 30), "Answer.") -- too different
  local by = look(list)
  t.eq(codes(by), "near_duplicate")
  t.eq(#by.near_duplicate, 1)
  local f = by.near_duplicate[1]
  t.eq({ f.line, f.severity }, { 31, "warning" })
  local one, two = f.message:match "^2 rows ask nearly the same as line 5 %(alike: line 31 (%d+) %%, line 32 (%d+) %%%)"
  t.ok(tonumber(one) >= 75 and tonumber(one) <= 97, f.message)
  t.eq(two, "100")
end)

t.test("short prompts are alike only by all their words", function()
  local by = look { chat("What is 2 + 3?", "5"), chat("What is 2 + 4?", "6"), chat("what is  2 + 3", "5"),
    chat("Як справи?", "Добре"), chat("ЯК СПРАВИ", "Добре") }
  t.eq(codes(by), "near_duplicate")
  t.eq(#by.near_duplicate, 2)
  t.eq({ by.near_duplicate[1].line, by.near_duplicate[2].line }, { 3, 5 })
end)

t.test("a long form around short questions does not make them alike", function()
  local list = {}
  for i = 1, 30 do
    list[i] = chat(("%s\nQuestion: %s\n%s"):format(prose(1, 200), prose(100 + i, 6), prose(2, 50)), prose(500 + i, 10))
  end
  t.eq(codes(look(list)), "")
  list[31] = chat(("%s\nQuestion: %s\n%s"):format(prose(1, 200), capitals(prose(105, 6)), prose(2, 50)), prose(600, 10))
  local by = look(list)
  t.eq(codes(by), "near_duplicate")
  t.eq(by.near_duplicate[1].line, 31)
end)

t.test("the template is cut at words, and rows without it stay whole", function()
  local texts = {}
  for i = 1, 10 do texts[i] = ("Title: A%d\nend of the form"):format(i) end
  texts[4] = "something else"
  local form = template.learn(texts)
  t.eq(form, { head = "Title: ", tail = "\nend of the form" })
  local function rest(text, of) return text:sub(template.strip(of or form, text)) end
  t.eq(rest(texts[2]), "A2")
  t.eq(rest "something else", "something else")
  t.eq(rest "Title: \nend of the form", "")
  t.eq(rest("a b a", { head = "a b ", tail = " b a" }), "a")
  t.eq(template.learn { "a b", "a b" }, { head = "", tail = "" })
end)

t.test("a prompt on both sides is a leak, in whatever order the sides come, and no duplicate", function()
  for _, order in ipairs { { "train", "validation" }, { "validation", "train" } } do
    local list = good(20)
    list[#list + 1] = { order[1], chat(prose(77), "one answer", "Answer.") }
    list[#list + 1] = { order[2], chat(prose(77), "one answer", "Answer.") }
    local by = look(list)
    t.eq(codes(by), "leak")
    t.eq({ by.leak[1].line, by.leak[1].side, by.leak[1].severity }, { 1, "validation", "error" })
    t.eq(by.leak[1].message, "the prompt of this validation row is in train too (line 21); take it out of one side")
  end
end)

t.test("a leak with another answer is a contradiction besides", function()
  local by = look { { "train", chat(prose(1), "a") }, { "validation", chat(prose(1), "b") } }
  t.eq(codes(by), "contradiction leak")
end)

t.test("a prompt that is nearly on both sides is a warning", function()
  local list = good(30)
  list[#list + 1] = { "validation", chat(changed(prose(9), 30), prose(900, 30), "Answer."), key = "nreg=9-a" }
  local by = look(list)
  t.eq(codes(by), "near_leak")
  local f = by.near_leak[1]
  t.eq({ f.line, f.key, f.side, f.severity }, { 1, "nreg=9-a", "validation", "warning" })
  t.has(f.message, "nearly in train (line 9, alike: ")
end)

t.test("rows have the names they are given", function()
  local by = look { { "train", chat(prose(1), "a"), key = "nreg=1" }, { "train", chat(prose(1), "a"), key = "nreg=2" } }
  t.eq(by.duplicate_row[1].message, "the same row as nreg=1; keep one")
  t.eq(by.duplicate_row[1].key, "nreg=2")
end)

t.test("when the memory for prompts is full a note says so, and nothing else changes", function()
  local list = {}
  for i = 1, 5000 do list[i] = chat(prose(i, 4), "a" .. i) end
  list[#list + 1] = chat(prose(2, 4), "a2")
  local by = look(list, { memory_bytes = 4 << 20 })
  t.eq(codes(by), "duplicate_row")
  by = look(list, { memory_bytes = 1 << 20 })
  t.eq(by.duplicate_row[1].line, 5001)
  t.eq(#by.duplicates_unseen, 1)
  t.eq(by.duplicates_unseen[1].severity, "note")
end)

t.test("many findings of one code are cut with a count", function()
  local list = {}
  for i = 1, 1200 do
    list[2 * i - 1] = chat("question number " .. i, "a")
    list[2 * i] = list[2 * i - 1]
  end
  local by = look(list)
  t.eq(#by.duplicate_row, 1001)
  t.eq(by.duplicate_row[1001].message, "and 200 more of these")
end)

-- ---- answers ----

t.test("labels that are nearly always one are noted, and counted", function()
  local by, findings, summary = look(good(100, function(i) return i % 20 == 0 and "складний" or "простий" end))
  t.eq(codes(by), "label_skew")
  t.eq(findings[1].severity, "note")
  t.has(findings[1].message, '95 of 100 answers are "простий" ("простий" 95, "складний" 5)')
  t.eq(summary.labels, { { label = "простий", count = 95 }, { label = "складний", count = 5 } })
  by, findings, summary = look(good(100, function(i) return i % 5 == 0 and "yes" or "no" end))
  t.eq(codes(by), "")
  t.eq(summary.labels[2], { label = "yes", count = 20 })
  t.eq(#findings, 0)
  by, findings, summary = look(good(100))
  t.eq({ codes(by), #findings, summary.labels }, { "", 0 })
end)

t.test("a label that only validation has is a warning at its first row", function()
  local list = good(40, function(i) return i % 2 == 0 and "a" or "b" end)
  list[#list + 1] = { "validation", chat(prose(500), "a", "Answer.") }
  list[#list + 1] = { "validation", chat(prose(501), "c", "Answer.") }
  local by = look(list)
  t.eq(codes(by), "label_unseen")
  t.eq({ by.label_unseen[1].line, by.label_unseen[1].severity }, { 2, "warning" })
end)

t.test("answers that are no JSON are found where the others are", function()
  local list = good(40, function(i) return ('{"n": %d, "text": "%s"}'):format(i, prose(i, 20)) end)
  t.eq(codes(look(list)), "")
  list[7] = chat(prose(7), "sorry, nothing found", "Answer.")
  list[9] = chat(prose(9), '{"n": 9', "Answer.")
  local by, findings = look(list)
  t.eq(codes(by), "answer_not_json")
  t.eq({ findings[1].line, findings[1].path, findings[2].line }, { 7, "messages[2].content", 9 })
  for i = 10, 20 do list[i] = chat(prose(i), prose(i), "Answer.") end
  t.eq(codes(look(list)), "")
end)

-- ---- escapes ----

t.test("text that was escaped twice is found with what it costs", function()
  local list = good(20)
  list[5] = chat(prose(5) .. [[ \u0421\u0442\u0430\u0442\u0442\u044f 1]], prose(1005, 30), "Answer.")
  list[8] = chat(prose(8), [[{"a": "\\u0421\\u0442"} \ud83d\ude00]], "Answer.")
  local by = look(list)
  t.eq(codes(by), "double_escape")
  local f = by.double_escape[1]
  t.eq({ f.line, f.path, f.severity }, { 5, "messages[1].content", "warning" })
  t.has(f.message, "10 of them in 2 rows (line 5, line 8), 62 characters for 10 letters")
  by = look(list, { count_tokens = function(text) return #text // 2 end })
  t.has(by.double_escape[1].message, "about 31 tokens an epoch, where the letters themselves take 10")
end)

t.test("escapes that programs and formulas need are let alone", function()
  local list = good(20)
  local code = [[ print("\u0000\u001b\u0022") C:\users\u00a0 \underline{x} caf\u00e9]]
  list[5] = chat(prose(5) .. code, prose(1005, 30), "Answer.")
  t.eq(codes(look(list)), "")
end)

-- ---- personal data ----

local function tax_number(nine)
  for d = 0, 9 do if checksums.tax_number(nine .. d) then return nine .. d end end
end

t.test("tax numbers are known by their check digit", function()
  -- worked by hand: -1*3+5*0+7*1+9*2+4*3+6*4+10*5+5*6+7*7 = 187, and 187 mod 11 = 0
  t.eq(checksums.tax_number "3012345670", 30123)
  for d = 1, 9 do t.eq(checksums.tax_number("301234567" .. d), nil) end
  t.eq(checksums.tax_number "301234567", nil)
  t.eq(checksums.tax_number "30123456700", nil)
  t.eq(checksums.tax_number "30123a5670", nil)
  -- a remainder of ten counts as 0: -1*2+5*0+... chosen so that the sum is 21
  t.eq(checksums.tax_number "2011000010" == nil, (-2 + 0 + 7 + 9 + 0 + 0 + 0 + 0 + 7) % 11 % 10 ~= 0)
  local found = 0
  for i = 0, 999 do if checksums.tax_number(("3333%06d"):format(i)) then found = found + 1 end end
  t.ok(found >= 90 and found <= 110, found) -- one in ten
end)

t.test("IBANs are known by their remainder and length", function()
  for _, good_one in ipairs { "UA213223130000026007233566001", "GB29NWBK60161331926819", "DE89370400440532013000",
                              "NO9386011117947", "MT84MALT011000012345MTLCAST001S" } do
    t.eq(checksums.iban(good_one), good_one)
    t.eq(checksums.iban((good_one:gsub("....", "%0 "))), good_one)
    t.eq(checksums.iban(good_one:sub(1, -2)), nil)
    t.eq(checksums.iban(good_one:sub(1, -2) .. (tonumber(good_one:sub(-1)) == 1 and "2" or "1")), nil)
  end
  t.eq(checksums.iban "UA21 3223 1300 0002 6007 2335 6600 1 AND MORE", "UA213223130000026007233566001")
  t.eq(checksums.iban "UA2132231300000260072335660012", nil)
end)

-- What is found: "code masked".
local function found(text)
  local list = {}
  for i, p in ipairs(personal.find(text) or {}) do list[i] = p.code:gsub("^personal_", "") .. " " .. p.masked end
  return table.concat(list, ", ")
end

local KEY = "sk-proj-" .. ("aB3dE5fG7hJ9"):rep(4)

t.test("personal data and secrets are found in running text", function()
  for text, expected in pairs {
    ["пишіть на ivan.petrenko+law@rada.gov.ua."] = "email i***@***.ua",
    ["<a@b.co>"] = "email a***@***.co",
    ["тел. (044) 255-12-34"] = "phone 044***34",
    ["тел.: 067 123 45 67, дод. 5"] = "phone 067***67",
    ["моб.0671234567"] = "phone 067***67",
    ["8 (044) 255-12-34"] = "phone 044***34",
    ["+38 (044) 255-12-34 приймальня"] = "phone +380***34",
    ["call +1 212 555 0173!"] = "phone +121***73",
    ["380441234567"] = "phone 044***67",
    ["РНОКПП 3012345670"] = "tax_number 3*********",
    ["№3012345670,"] = "tax_number 3*********",
    ["код «3012345670»"] = "tax_number 3*********",
    ["р/р UA21 3223 1300 0002 6007 2335 6600 1 у банку"] = "iban UA21***",
    ["UA213223130000026007233566001"] = "iban UA21***",
    ["key = '" .. KEY .. "'"] = "secret_key sk-p***",
    ["ghp_" .. ("aB3d"):rep(9)] = "secret_key ghp_***",
    ["AKIAIOSFODNN7ABCDEFG"] = "secret_key AKIA***",
    ["export WANDB_API_KEY=" .. ("0123456789abcdef"):rep(3):sub(1, 40)] = "secret_key 01***",
    ["postgres://bob:S3cr3tWord@db.host.ua:5432/x"] = "secret_key postgres://***",
    ["-----BEGIN RSA PRIVATE KEY-----\nMIIE"] = "secret_key -----BEGIN ***",
    ["Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"] = "secret_key eyJh***",
  } do t.eq(found(text), expected, text) end
end)

t.test("numbers and words of official texts are no personal data", function()
  for _, text in ipairs {
    "№ 2755-VI від 02.12.2010, ВВР, 2011, № 13-14, ст. 112", "106.235.385,4 та 25.547.110,4", "код ЄДРПОУ 00032129",
    "0123456789", "1234567890123456", "цифри 3012345671", "рахунок 26007233566001", "3012345670123",
    "UA21 3223 1300 0002 6007 2335 6600 2", "01.02.2003 04.05.2006", "2285-15 2755-17 4495-17", "user@example.com",
    "git@github.com:a/b.git", "@property", "a@b", "commit " .. ("0123456789abcdef"):rep(3):sub(1, 40),
    "postgres://bob:<password>@host/x", "sk-learn-and-other-long-names-of-things", "ISBN 978-966-360-123-4",
    "044 12 13", "0000000000", "+ 38 + 44 + 255", "page 067-089, 1234", "X" .. KEY, "AKIAIOSFODNN7EXAMPLEXYZ",
    "https://example.com/a:b@c", "ІПН 3012345671",
  } do t.eq(found(text), "", text) end
end)

t.test("patterns find around their bytes what they find in the whole text", function()
  local all = {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local pieces = { "ivan.p", "@", "rada.gov", ".ua", "-", " ", "(044)", "255", "12", "34", "+38", "0671234567", "UA21",
    "3223", "1300000026007233566001", KEY, "sk-", "ghp_", ("aB3d"):rep(9), "eyJhbGciOiJIUzI1NiJ9", ".", "https://", ":",
    "s3cret", "/", "3012345670", "ї", "№", "«", "\n", "\xff", "wandb ", ("0123456789abcdef"):rep(3):sub(1, 40),
    "-----BEGIN ", "PRIVATE KEY", "-----", "AKIAIOSFODNN7ABCDEFG", ("x"):rep(70), ("sub."):rep(40) }
  local state, hits = 1, 0
  local function random(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (state >> 33) % n + 1
  end
  local fast, slow = {}, {}
  for i, k in ipairs(personal.kinds) do
    fast[i] = { pattern = k.pattern, bytes = k.bytes, min = k.min, margin = k.margin }
    slow[i] = { pattern = k.pattern, bytes = table.concat(all) }
  end
  local near <close> = scan.new(fast)
  local whole <close> = scan.new(slow)
  for _ = 1, 3000 do
    local parts = {}
    for i = 1, random(12) do parts[i] = pieces[random(#pieces)] end
    local text = table.concat(parts)
    local expected = whole:find(text)
    t.eq(near:find(text), expected, text)
    hits = hits + #(expected or {}) // 3
    personal.mask(text)
  end
  t.ok(hits > 500, hits)
end)

t.test("the shipped laws, real texts full of numbers, raise no alarm, and few are alike", function()
  local reader <close> = assert(dataset.reader(os.getenv "FTRUN_TESTS" .. "/../recipes/data/legal_acts.jsonl"))
  local inspector <close> = inspect.new()
  local line, number = reader:next()
  while line do
    local text
    for _, pair in ipairs(dataset.decode_ordered(line)) do if pair[1] == "text" then text = pair[2] end end
    if type(text) == "string" then inspector:add("train", number, nil, chat(text, "a" .. number)) end
    line, number = reader:next()
  end
  for _, f in ipairs(inspector:findings()) do t.eq(f.code, "near_duplicate", f.message) end
  t.ok(#inspector:findings() <= 3)
end)

t.test("kinds are counted with their first places, and no value is ever told in full", function()
  local tax = tax_number "312345678"
  local secrets = { "ivan.petrenko@rada.gov.ua", "olena@ukr.net", "067 123 45 67", tax,
    "UA213223130000026007233566001", KEY, "S3cr3tWord", "ghp_" .. ("aB3d"):rep(9) }
  local text = ("%s %s, тел. %s, %s; %s %s postgres://bob:%s@db.ua/x %s"):format(table.unpack(secrets))
  local list = good(60, function(i) return i % 2 == 0 and KEY or "ok" end)
  for i = 3, 9 do list[i] = chat(prose(i) .. " " .. text, "ok", "Answer.") end
  list[10] = chat(prose(10), "ok", "Mail " .. secrets[1]) -- in a system message too
  list[#list + 1] = { "validation", chat(prose(700), secrets[8], "Answer.") }
  local by, findings = look(list)
  t.eq(codes(by), "label_unseen personal_email personal_iban personal_phone personal_tax_number secret_key")
  t.eq(by.personal_email[1].line, 3)
  t.has(by.personal_email[1].message,
    "e-mail addresses: 15 in 8 rows (line 3, line 4, line 5, line 6, line 7, ...), the first is i***@***.ua")
  t.eq(by.personal_phone[1].path, "messages[1].content")
  t.eq(by.secret_key[1].severity, "error")
  t.eq(by.personal_iban[1].severity, "warning")
  for _, f in ipairs(findings) do
    for key, value in pairs(f) do
      for _, secret in ipairs(secrets) do
        t.ok(not tostring(value):find(secret, 1, true), ("%s: %s tells %s"):format(f.code, key, secret))
      end
    end
  end
  for _, secret in ipairs(secrets) do t.ok(not personal.mask(text):find(secret, 1, true), secret) end
end)

t.test("a system message that all rows have is looked into once", function()
  local list = {}
  for i = 1, 20 do list[i] = chat(prose(i), "a", prose(1) .. " olena@ukr.net") end
  t.has(look(list).personal_email[1].message, "e-mail address: 1 in 1 row (line 1)")
end)

t.test("pictures that stand in the row are not searched, parts and tool calls are", function()
  local function parts(...)
    return encode { messages = { { role = "user", content = { ... } }, { role = "assistant", content = "a" } } }
  end
  t.eq(codes(look { parts { type = "image_url", image_url = { url = "data:image/png;base64,olena@ukr.net" } } }), "")
  local by = look { parts({ type = "text", text = "short" }, { type = "text", text = "olena@ukr.net" }) }
  t.eq(by.personal_email[1].path, "messages[0].content[1].text")
  by = look { encode { messages = { { role = "user", content = "q" }, { role = "assistant", tool_calls = { {
    type = "function", ["function"] = { name = "f", arguments = '{"to":"olena@ukr.net"}' } } } } } } }
  t.eq(by.personal_email[1].path, "messages[1].tool_calls[0].function.arguments")
end)

-- ---- the whole ----

t.test("any line is borne: broken JSON, other shapes, odd values", function()
  local list = { "", "{", "null", "[]", "{}", "3", '"text"', '{"messages":[]}', '{"messages":3}', '{"messages":[3]}',
    '{"messages":[{}]}', '{"messages":[{"role":"assistant"}]}', '{"messages":[{"role":3,"content":{"a":[null]}}]}',
    '{"prompt":"a","completion":null}', '{"prompt":"a","completion":"b"}', '{"text":"hello world and more"}',
    '{"input":{},"preferred_output":3}',
    '{"input":{"messages":[{"role":"user","content":null}]},"preferred_output":[]}',
    '{"\\u0000":"olena@ukr.net"}', "\xff" }
  local by, _, summary = look(list)
  t.eq(by.personal_email[1].path, '["?"]')
  t.eq(summary.unread, 3)
  t.eq(summary.rows.train, #list - 1)
end)

t.test("every code is in the table of codes, with the same severity", function()
  local table_of_codes = require "ftrun.data.rules.codes".all
  local list = good(40, function(i) return i % 2 == 0 and "a" or "b" end)
  list[41], list[42], list[43] = list[1], chat(prose(2), "c", "Answer."), chat(changed(prose(3), 30), "a", "Answer.")
  list[44] = { "validation", list[4] }
  list[45] = { "validation", chat(changed(prose(5), 30) .. " olena@ukr.net " .. KEY .. [[ \u0421\u0421\u0421]], "d") }
  local _, findings = look(list)
  t.ok(#findings >= 6, #findings)
  for _, f in ipairs(findings) do
    t.eq(f.severity, (table_of_codes[f.code] or {}).severity, f.code)
  end
end)

t.test("validate --deep reads files: sides, names, exit code, one finding a line", function()
  local program = require "program"
  local dir <close> = t.folder()
  local list = good(30)
  assert(fs.write(dir.path .. "/t.jsonl", table.concat(list, "\n") .. "\n"))
  assert(fs.write(dir.path .. "/v.jsonl", table.concat(list, "\n", 3, 14) .. "\n"))
  local r = program.run(dir.path, {}, "validate", "--deep", "--json", "t.jsonl", "v.jsonl")
  t.eq(r.code, 4, r.err)
  t.has(r.out, '{"file":"v.jsonl","line":12,"code":"leak","severity":"error","path":"",'
    .. '"message":"the prompt of this validation row is in train too (line 14 of t.jsonl); take it out of one side"}')
  t.has(r.out, '{"type":"summary","rows":42,"errors":12,"warnings":0}')
  r = program.run(dir.path, {}, "validate", "--deep", "t.jsonl")
  t.eq(r.code, 0, r.err)
  t.has(r.out, "all rows together: no errors")
  t.eq(program.run(dir.path, {}, "validate", "--deep", "-").code, 2)
  assert(fs.write(dir.path .. "/few.jsonl", good(31)[31] .. "\n"))
  r = program.run(dir.path, {}, "validate", "--deep", "t.jsonl", "few.jsonl")
  t.eq(r.code, 0, "the second file is one for validation: it may be short; " .. r.out)
  t.eq(program.run(dir.path, {}, "validate", "t.jsonl", "few.jsonl").code, 4)
end)

t.test("the same rows give the same findings", function()
  local list = good(50)
  for i = 1, 20 do list[#list + 1] = chat(changed(prose(i), 20 + i), "a" .. i, "Answer.") end
  list[#list + 1] = list[1]
  local _, first = look(list)
  local _, second = look(list)
  t.eq(first, second)
  t.ok(#first > 5)
end)
