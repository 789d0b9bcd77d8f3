--- Cutting texts: where, how long, and that nothing is lost.
local t = require "harness"
local cut = require "ftrun.extract.cut"
local source = require "ftrun.data.source"
local tokens = require "ftrun.data.tokens"

local SAMPLE = os.getenv "FTRUN_TESTS" .. "/../recipes/data/legal_acts.jsonl"

local function texts(list)
  local result = {}
  for i, piece in ipairs(list) do result[i] = piece.text end
  return result
end

local function characters(text, limit) return texts(cut.pieces(text, { limit = limit })) end

t.test("a text that fits is one piece", function()
  t.eq(cut.pieces("Стаття 1. А.\nСтаття 2. Б.", { limit = 100 }), { { text = "Стаття 1. А.\nСтаття 2. Б." } })
  t.eq(cut.pieces("", { limit = 100 }), { { text = "" } })
end)

t.test("a text is cut before articles, and as many as fit stay together", function()
  local a, b, c = "Преамбула закону.\n", "Стаття 1. Перша.\n", "  Стаття 2-1. Друга стаття.\n"
  t.eq(characters(a .. b .. c, 40), { a .. b, c })
  t.eq(characters(a .. b .. c, 30), { a, b, c })
  t.eq(characters("С т а т т я 1. А\nСТАТТЯ 2. Б\n", 20), { "С т а т т я 1. А\n", "СТАТТЯ 2. Б\n" })
end)

t.test("a section's heading stays with its first article; a quoted article and a reference begin nothing", function()
  local a, b, c = "Стаття 1. А.\n", "Розділ II\nПРАВА\n", "Стаття 2. Б.\n"
  t.eq(characters(a .. b .. c, 31), { a, b .. c })
  local quoted = 'Стаття 1. Доповнити статтею\n"Стаття 12. Нова" та послатися на\nстатті 5 і 6.\n'
  t.eq(characters(quoted .. "Стаття 3.\n", 80), { quoted, "Стаття 3.\n" })
end)

t.test("an article that is too long is cut behind paragraphs; later pieces know in which article they are", function()
  local head, p1, p2 = "Стаття 7. Строки\n", "Перше речення пункту.\n", "Друге речення пункту.\n"
  local list = cut.pieces("Вступ.\n" .. head .. p1 .. p2 .. "Стаття 8. Далі.\n", { limit = 42 })
  t.eq(texts(list), { "Вступ.\n", head .. p1, p2, "Стаття 8. Далі.\n" })
  t.eq({ list[1].article or "-", list[2].article or "-", list[3].article, list[4].article or "-" },
    { "-", "-", "Стаття 7. Строки", "-" })
end)

t.test("sentences end where they end, not behind abbreviations, initials and points' numbers", function()
  local function sentences(text) return characters(text, 1000 < #text and 1000 or utf8.len(text) - 1) end
  for _, text in ipairs {
    "Згідно зі ст. 5 та п. 3 ч. 2 цього Закону діє", "Президент В. Ющенко і Л. Кучма підписали",
    "у 2011 р. N 42, ст. 434 і т. д. Закону", "вул. Хрещатик, буд. 5, кв. 7 у м. Києві",
  } do
    local list = sentences(text)
    -- no boundary but of words: the first piece takes all but the last word
    t.eq(list[1], text:match "^(.* )%S+$", text)
  end
  t.eq(sentences "Перше речення. Друге речення! Третє?", { "Перше речення. Друге речення! ", "Третє?" })
  t.eq(sentences "Він сказав: «Так.» Потім пішов далі", { "Він сказав: «Так.» ", "Потім пішов далі" })
  t.eq(sentences "Це було… Потім пішов", { "Це було… ", "Потім пішов" })
end)

t.test("a word that is too long is cut between characters", function()
  t.eq(characters(("ї"):rep(25), 10), { ("ї"):rep(10), ("ї"):rep(10), ("ї"):rep(5) })
  t.eq(#characters("😀a\u{301}" .. ("я"):rep(7), 3), 4)
end)

local function sample()
  local list = {}
  for line in io.lines(SAMPLE) do
    local text = source.row(line).text
    if text then list[#list + 1] = text end
  end
  return list
end

local function check(text, limit, measure)
  local list = texts(cut.pieces(text, { limit = limit, measure = measure }))
  t.ok(table.concat(list) == text, "bytes were lost")
  for _, piece in ipairs(list) do
    t.ok(utf8.len(piece), "a character was broken")
    t.ok(#piece > 0 and (measure or utf8.len)(piece) <= limit, limit)
  end
  return list
end

t.test("the pieces of every sample act are the act, none too long, no character broken", function()
  local counter <close> = tokens.counter { encoding = "o200k_base", threads = 1 }
  local function measure(text) return counter:text(text) end
  local pieces, at_head = 0, 0
  for i, text in ipairs(sample()) do
    for _, limit in ipairs { 9, 60 + i % 50, 1000, 5000 } do
      check(text, limit)
      if limit > 9 or i % 10 == 0 then
        local list = check(text, limit, measure)
        if limit == 5000 and #list > 1 and text:find "\nСтаття 2" then
          pieces = pieces + 1
          for k = 2, #list do if list[k]:find "^%s*Стаття %d" or list[k]:find "^%s*Розділ" then
            at_head = at_head + 1
            break
          end end
        end
      end
    end
  end
  t.ok(pieces == 0 or at_head * 2 > pieces, pieces)
end)

t.test("random texts are cut without loss too", function()
  math.randomseed(7)
  local alphabet = { "я", "Стаття 1", "\n", "\n\n", ". ", " ", "1. ", "😀", "€", "а́", "ст. ", "Розділ I\n", "\r\n", "…",
    "»" }
  for _ = 1, 300 do
    local parts = {}
    for i = 1, math.random(200) do parts[i] = alphabet[math.random(#alphabet)] end
    check(table.concat(parts), math.random(1, 60))
  end
end)

t.test("a title is found where the act has it", function()
  t.eq(cut.title 'З А К О Н У К Р А Ї Н И\nПро внесення зміни до\n"Закону"\n( ВВР )\n',
    'Про внесення зміни до "Закону"')
  t.eq(cut.title "\n  Наказ N 5 \nтекст", "Наказ N 5")
  t.eq(cut.title "", "")
end)
