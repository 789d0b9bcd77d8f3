--- Merging the answers to pieces of a text.
local t = require "harness"
local merge = require "ftrun.extract.merge"

local RULES = { elements = { "type", "number" }, relations = { "target_nreg" },
  ["metadata.total"] = "count elements" }

t.test("lists come behind each other without what was there before; the count is that of the merged list", function()
  t.eq(merge.answers({
    '{"elements": [{"type": "стаття", "number": "1", "text": "А"}, {"type": "стаття", "number": "2"}], '
      .. '"categories": ["x"], "metadata": {"total": 2, "complexity": "простий"}}',
    '{"elements": [{"number": "2", "type": "стаття", "text": "Б"}, {"type": "пункт", "number": "2"}], '
      .. '"categories": ["x", "y"], "metadata": {"total": 2, "complexity": "середній"}}',
  }, RULES), '{"elements":[{"type":"стаття","number":"1","text":"А"},{"type":"стаття","number":"2","text":"Б"},'
    .. '{"type":"пункт","number":"2"}],"categories":["x","y"],"metadata":{"total":3,"complexity":"простий"}}')
end)

t.test("without a rule items are the same when all of them is, whatever the order of keys and the escapes", function()
  t.eq(merge.answers { '[{"a": 1, "b": "\\u0410"}]', '[{"b": "А", "a": 1}, {"a": 1.0, "b": "А"}]' },
    '[{"a":1,"b":"\\u0410"},{"a":1.0,"b":"А"}]')
  t.eq(merge.answers { '{"l": [1, [2], "2", 1]}', '{"l": [[2], null, {}]}' }, '{"l":[1,[2],"2",null,{}]}')
end)

t.test("of single values the most frequent counts, then the first; null and empty only without another", function()
  t.eq(merge.answers { '{"a": "x", "b": null, "c": "", "d": null}', '{"a": "y", "b": 1, "c": ""}',
    '{"a": "y", "b": 2, "c": "z"}' }, '{"a":"y","b":1,"c":"z","d":null}')
end)

t.test("rules take the first, last, least or largest value, or the sum", function()
  local rules = { f = "first", l = "last", lo = "min", hi = "max", s = "sum", n = "count x.y" }
  t.eq(merge.answers({ '{"f": 1, "l": 1, "lo": 2, "hi": 2.50, "s": 1, "n": 9, "x": {"y": [1]}}',
    '{"f": 2, "l": 2, "lo": 1, "hi": 10, "s": 2, "x": {"y": [2]}}' }, rules),
    '{"f":1,"l":2,"lo":1,"hi":10,"s":3,"n":2,"x":{"y":[1,2]}}')
  t.eq(merge.answers({ '{"f": "a", "s": "a"}', '{"f": "b", "s": "b"}', '{"f": "b"}' }, rules), '{"f":"a","s":"a"}')
end)

t.test("numbers, escapes and empty lists stay the bytes that the model wrote", function()
  t.eq(merge.answers { '{"n": 12345678901234567890, "f": 1.10, "e": [], "o": {}, "s": "a\\/b\\u00e9"}', '{"e": []}' },
    '{"n":12345678901234567890,"f":1.10,"e":[],"o":{},"s":"a\\/b\\u00e9"}')
  local one = '{ "a" : [ 1 , 1 ] }'
  t.eq(merge.answers { one }, one)
end)

t.test("pieces that disagree about the kind of a value are outvoted", function()
  t.eq(merge.answers { '{"a": "none"}', '{"a": [1]}', '{"a": [2]}' }, '{"a":[1,2]}')
  t.eq(merge.answers { '{"a": 1}', '[2]', '{"b": 2}' }, '{"a":1,"b":2}')
end)

t.test("merging what was merged changes nothing, and a piece twice counts once", function()
  local a = '{"elements":[{"type":"стаття","number":"1"}],"metadata":{"total":1}}'
  t.eq(merge.answers({ a, a, a }, RULES), a)
  t.eq(merge.answers({ merge.answers({ a, a }, RULES), a }, RULES), a)
end)

t.test("a rule that is none is told", function()
  t.eq(merge.check "count elements", nil)
  t.has(merge.check "average", 'got "average"')
  t.eq(merge.texts { "б", "а", "а" }, "а")
end)
