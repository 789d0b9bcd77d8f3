--- Scores of small cases that were computed by hand.
local t = require "harness"
local score = require "ftrun.score"
local values = require "ftrun.score.values"

local function call(fn, ...) return fn(...) end

local function near(got, expected, what)
  t.ok(math.abs(got - expected) < 1e-12, ("%s: expected %.12f, got %.12f"):format(what or "", expected, got))
end

--- The scores of pairs of answer and expected text, by name and path.
local function totals(spec, pairs_of)
  local wanted = {}
  for i, pair in ipairs(pairs_of) do wanted[i] = pair[2] end
  local scorer = score.new(spec, call, wanted)
  local sums, rows = {}, 0
  for _, pair in ipairs(pairs_of) do
    local v = scorer.row(pair[1], pair[2])
    if v then
      rows = rows + 1
      for i = 1, scorer.width() do sums[i] = (sums[i] or 0) + v[i] end
    end
  end
  local result = {}
  for i, v in ipairs(scorer.values(sums, rows)) do
    local name = scorer.names()[i]
    result[name.path and name.name .. " " .. name.path or name.name] = v
  end
  return result, rows, scorer, sums
end

local function bag_of(path, text)
  local dataset = require "ft.dataset"
  local bag, size = values.bag(assert(values.path(path)), dataset.decode_ordered(text))
  local kinds = 0
  for _ in pairs(bag) do kinds = kinds + 1 end
  return { size, kinds }
end

t.test("a path names values in objects and lists; null and what is missing stand for nothing", function()
  t.eq(bag_of("elements[].number", '{"elements":[{"number":"1"},{"number":"1"},{"number":null},{"x":2},7]}'), { 2, 1 })
  t.eq(bag_of("categories[]", '{"categories":["a","b"]}'), { 2, 2 })
  t.eq(bag_of("categories", '{"categories":["a","b"]}'), { 2, 2 })
  t.eq(bag_of("metadata.complexity", '{"metadata":{"complexity":"простий"}}'), { 1, 1 })
  t.eq(bag_of("a[][].b", '{"a":[[{"b":1},{"b":2}],[{"b":1.0}]]}'), { 3, 2 })
  t.eq(bag_of("[].b", '[{"b":1},{"b":"1"}]'), { 2, 2 })
  t.eq(bag_of("a", '{"a":[{"x":1,"y":[2]},{"y":[2],"x":1},{"x":1}]}'), { 3, 2 })
  t.eq(bag_of("a[]", '{"a":{"b":1}}'), { 0, 0 })
  for _, bad in ipairs { "a.", "a..b", ".a", "a[0]", "a]", "a[]b", "a[].[]" } do
    t.ok(not values.path(bad), bad)
  end
end)

t.test("json_f1 counts hits, false and missing values of all rows together", function()
  local s, rows = totals({ kind = "json_f1", paths = { "e[].n", "c[]" } }, {
    { '{"e":[{"n":"1"},{"n":"2"},{"n":"2"}],"c":["x"]}', '{"c":["x"],"e":[{"n":"2"},{"n":"1"}]}' },
    { '{"e":[],"c":["y"]}', '{"e":[{"n":"5"}],"c":["z"]}' },
    { '{"e":[{"n":"7"}],"c":[]}', '{"e":[{"n":"7"}],"c":[]}' },
  })
  t.eq(rows, 3)
  -- e: 3 hits of 4 found and 4 expected; c: 1 of 2 and 2
  near(s["f1 e[].n"].p, 3 / 4)
  near(s["f1 e[].n"].r, 3 / 4)
  near(s["f1 c[]"].f1, 1 / 2)
  near(s.precision.value, 4 / 6)
  near(s.recall.value, 4 / 6)
  near(s.f1.value, 2 * 4 / 12)
  near(s.exact.value, 1 / 3)
  near(s.valid_json.value, 1)
end)

t.test("an answer that is no JSON finds nothing and is counted as such", function()
  local s, rows = totals({ kind = "json_f1", paths = { "c[]" } }, {
    { "I would say x.", '{"c":["x","y"]}' },
    { '```json\n{"c":["x"]}\n```', '{"c":["x"]}' },
    { '{"c":["x"]}', '{"c":["x"]}' },
    { '{"c":["x"],"c":[]}', '{"c":[]}' },
  })
  t.eq(rows, 4)
  near(s.valid_json.value, 1 / 4)
  near(s.precision.value, 1)
  near(s.recall.value, 1 / 4)
  near(s.f1.value, 2 / 5)
  near(s.exact.value, 1 / 4)
end)

t.test("where nothing is to be found and nothing was, there is no F1, and none is made up", function()
  local s = totals({ kind = "json_f1", paths = { "c[]", "d[]" } }, { { '{"c":[]}', '{"c":[]}' } })
  t.eq({ s.f1, s.precision, s["f1 c[]"] }, { false, false, false })
  near(s.exact.value, 1)
end)

t.test("an expected answer that cannot be scored leaves its row out", function()
  local scorer = score.new({ kind = "json_f1", paths = { "c[]" } }, call, {})
  local v, why = scorer.row('{"c":[]}', "no JSON")
  t.eq(v, nil)
  t.has(why, "the expected answer is no JSON")
end)

t.test("exact compares texts without blanks around them, or the values of one path", function()
  local s = totals({ kind = "exact" }, { { "так\n", "так" }, { "Так", "так" } })
  near(s.exact.value, 1 / 2)
  s = totals({ kind = "exact", path = "a.b" }, { { '{"a":{"b":1.0},"c":5}', '{"a":{"b":1}}' }, { "1", '{"a":{"b":1}}' },
    { "{}", '{"a":{"b":1}}' }, { "{}", '{"a":{}}' } })
  near(s["exact a.b"].value, 2 / 4)
end)

t.test("classification knows accuracy, each label, macro averages and the confusion matrix", function()
  local s, rows, scorer, sums = totals({ kind = "classification", labels = { "a", "b", "c", "never" } }, {
    { "a", "a" }, { " a\n", "a" }, { "b", "a" }, { "b", "b" }, { "c", "b" }, { "nonsense", "c" },
    { "a", "not a label" } })
  t.eq(rows, 6)
  near(s.accuracy.value, 3 / 6)
  near(s["f1 a"].p, 1)
  near(s["f1 a"].r, 2 / 3)
  near(s["f1 a"].f1, 4 / 5)
  near(s["f1 b"].f1, 2 / 4)
  near(s["f1 c"].f1, 0)
  t.eq(s["f1 never"], false)
  near(s.f1.value, (4 / 5 + 1 / 2 + 0) / 3)
  near(s.precision.value, (1 + 1 / 2 + 0) / 3)
  near(s.recall.value, (2 / 3 + 1 / 2 + 0) / 3)
  t.eq(scorer.confusion(sums), { labels = { "a", "b", "c", "never" },
    rows = { { 2, 1, 0, 0, 0 }, { 0, 1, 1, 0, 0 }, { 0, 0, 0, 0, 1 }, { 0, 0, 0, 0, 0 } } })
end)

t.test("labels that a recipe does not name are those that were expected", function()
  local s = totals({ kind = "classification", labels = {} }, { { "б", "б" }, { "а", "б" }, { "x", "а" } })
  near(s.accuracy.value, 1 / 3)
  near(s["f1 б"].f1, 2 / 3)
  near(s["f1 а"].f1, 0)
end)

t.test("a function of the author gives one number, several, or true and false", function()
  local s = totals(function(answer, expected) return #answer / #expected end, { { "ab", "abcd" }, { "abcd", "abcd" } })
  near(s.score.value, 3 / 4)
  s = totals(function(answer) return { score = 1, words = #answer } end, { { "ab", "" }, { "abcd", "" } })
  near(s.words.value, 3)
  s = totals(function(answer, expected) return answer == expected end, { { "a", "a" }, { "b", "a" } })
  near(s.score.value, 1 / 2)
end)

t.test("a function that gives no number is the author's mistake, not a wrong answer", function()
  for _, bad in ipairs { function() end, function() return "1" end, function() return 0 / 0 end,
    function() return { 1 } end } do
    t.raises("must return a number", totals, bad, { { "a", "b" } })
  end
  t.raises("the same names", totals, function(answer) return { [answer] = 1 } end, { { "a", "" }, { "b", "" } })
end)

local similarity = require "ftrun.score.similarity"
local tokens = require "ftrun.score.tokens"
local lcs = require "ftrun.score.lcs"
local jsonschema = require "ftrun.score.jsonschema"
local dataset = require "ft.dataset"

-- The table that everybody writes first.
local function plain_lcs(a, b)
  local row = {}
  for j = 0, #b do row[j] = 0 end
  for i = 1, #a do
    local corner = 0
    for j = 1, #b do
      local above = row[j]
      row[j] = a[i] == b[j] and corner + 1 or math.max(above, row[j - 1])
      corner = above
    end
  end
  return row[#b]
end

t.test("the longest common subsequence is that of the plain table, over the borders of blocks too", function()
  local state = 7
  local function random(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n
  end
  local function list(n, kinds)
    local l = {}
    for i = 1, n do l[i] = "w" .. random(kinds) end
    return l
  end
  for _, n in ipairs { 0, 1, 2, 61, 62, 63, 123, 124, 125, 200 } do
    for _, kinds in ipairs { 1, 2, 5, 40 } do
      local a, b = list(n, kinds), list(random(200), kinds)
      t.eq(lcs.length(a, b), plain_lcs(a, b), ("%d and %d of %d kinds"):format(#a, #b, kinds))
      t.eq(lcs.length(b, a), lcs.length(a, b))
    end
  end
end)

t.test("words are those of any script, in lower case, with the apostrophe inside of them", function()
  t.eq(tokens.words "Стаття 5. П’ЯТЬ об'єктів — «Ґанок», Її; ЄДИНА-єдина № 12/3",
    { "стаття", "5", "п'ять", "об'єктів", "ґанок", "її", "єдина", "єдина", "12", "3" })
  t.eq(tokens.words "'It's' ÜBER-Straße ŻÓŁW ΑΒΓ naïve", { "it's", "über", "straße", "żółw", "αβγ", "naïve" })
  t.eq(tokens.words "法律 ok 1", { "法", "律", "ok", "1" })
  t.eq(tokens.words "a\xff\xffb \xd0", { "a", "b" })
  t.eq(tokens.words " .,«»— \u{2009}", {})
end)

t.test("ROUGE-L counts words in their order, token F1 in any", function()
  -- the example of Lin 2004, section 3.1
  local f, p, r = similarity.of("rouge_l", "police kill the gunman", "police killed the gunman")
  t.eq({ f, p, r }, { 3 / 4, 3 / 4, 3 / 4 })
  t.eq((similarity.of("rouge_l", "the gunman kill police", "police killed the gunman")), 2 / 4)
  t.eq((similarity.of("token_f1", "the gunman kill police", "police killed the gunman")), 3 / 4)
  f, p, r = similarity.of("token_f1", "Набирає чинності", "Закон набирає чинності з дня опублікування")
  near(p, 1)
  near(r, 2 / 6)
  near(f, 4 / 8)
  t.eq({ similarity.of("rouge_l", "", " . ") }, { 1.0, 1.0, 1.0 })
  t.eq({ similarity.of("token_f1", "", "слово") }, { 0.0, 0.0, 0.0 })
end)

t.test("similarity is the mean over the rows; a path looks into JSON answers", function()
  local s = totals({ kind = "rouge_l" }, { { "а б", "а б" }, { "а", "б" } })
  near(s.rouge_l.value, 1 / 2)
  near(s.precision.value, 1 / 2)
  s = totals({ kind = "token_f1", path = "summary" }, { { '{"summary":"а б","x":1}', '{"summary":"б а"}' },
    { "no JSON", '{"summary":"б"}' }, { "{}", '{"summary":"б"}' } })
  near(s["token_f1 summary"].value, 1 / 3)
end)

t.test("at ordered paths the order counts, at sets what comes again counts once", function()
  local rows = { { '{"a":["1","2","2","3"]}', '{"a":["3","2","1"]}' } }
  local function f1_of(more)
    local spec = { kind = "json_f1", paths = { "a[]" } }
    for k, v in pairs(more) do spec[k] = v end
    return totals(spec, rows).f1
  end
  near(f1_of({}).value, 2 * 3 / 7)
  near(f1_of({ sets = { "a[]" } }).value, 1)
  near(f1_of({ ordered = { "a[]" } }).p, 1 / 4)
  near(f1_of({ ordered = { "a[]" } }).r, 1 / 3)
end)

t.test("macro averages are the means over the paths that have a value", function()
  local s = totals({ kind = "json_f1", paths = { "a[]", "b", "never" } }, {
    { '{"a":["1","2"],"b":"x"}', '{"a":["1"],"b":"y"}' }, { '{"a":["1"]}', '{"a":["1"],"b":"y"}' } })
  -- a: 2 of 3 found, 2 expected; b: 0 of 1 found, 2 expected
  near(s.macro_precision.value, (2 / 3 + 0) / 2)
  near(s.macro_recall.value, (1 + 0) / 2)
  near(s.macro_f1.value, (4 / 5 + 0) / 2)
  near(s.f1.value, 2 * 2 / (4 + 4))
end)

t.test("a schema counts the answers that fit it; what it does not understand it refuses", function()
  local schema = [[{"type":"object","required":["type","n"],"additionalProperties":false,"properties":{
    "type":{"enum":["law","decree"]},"n":{"type":"array","items":{"type":"integer","minimum":1},"maxItems":2},
    "note":{"anyOf":[{"type":"string","maxLength":3},{"type":"null"}]}}}]]
  local fits = assert(jsonschema.read(schema))
  for text, good in pairs { ['{"type":"law","n":[1,2]}'] = true, ['{"type":"law","n":[1.0],"note":null}'] = true,
    ['{"type":"law","n":[],"note":"їжа"}'] = true, ['{"type":"act","n":[]}'] = false, ['{"type":"law"}'] = false,
    ['{"type":"law","n":[1,2,3]}'] = false, ['{"type":"law","n":[0]}'] = false, ['{"type":"law","n":["1"]}'] = false,
    ['{"type":"law","n":[],"x":1}'] = false, ['{"type":"law","n":[],"note":"їжак"}'] = false, ["[]"] = false } do
    t.eq(fits(dataset.decode_ordered(text)), good, text)
  end
  for text, why in pairs { ["{"] = "no JSON", ['{"pattern":"a"}'] = "'pattern' is not understood here",
    ['{"properties":{"a":{"type":"text"}}}'] = "type: 'text' is none", ["[]"] = "must be an object",
    ['{"minimum":"1"}'] = "expected a number" } do
    local none, message = jsonschema.read(text)
    t.eq(none, nil)
    t.has(message, why)
  end
  local s = totals({ kind = "json_f1", paths = { "n[]" }, schema = schema }, {
    { '{"type":"law","n":[1]}', '{"type":"law","n":[1]}' }, { '{"n":[1]}', '{"type":"law","n":[1]}' },
    { "nonsense", '{"type":"law","n":[1]}' } })
  near(s.valid_schema.value, 1 / 3)
  near(s.valid_json.value, 2 / 3)
end)

t.test("a judge's grade is read out of JSON, also fenced; anything else is no grade", function()
  local grade = require("ftrun.score.judge").grade
  t.eq(grade({}, '{"reason":"так","score":0.25}'), { score = 0.25, reason = "так" })
  t.eq(grade({}, '```json\n{"score":1}\n```').score, 1)
  local labels = { labels = { right = 1, wrong = 0 } }
  t.eq(grade(labels, '{"label":"right","score":0}'), { score = 1, label = "right" })
  for _, bad in ipairs { "0.5", '{"score":"1"}', '{"score":2}', '{"score":-0.1}', "I think it is good", "" } do
    t.eq(grade({}, bad), nil, bad)
  end
  t.eq(grade(labels, '{"label":"fine"}'), nil)
  t.eq(grade(labels, '{"score":1}'), nil)
end)
