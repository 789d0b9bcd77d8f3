local t = require "harness"
local override = require "ftrun.recipe.override"
local spec = require "ftrun.recipe.spec"
local words = require "ftrun.recipe.words"

local SCHEMA = { type = "table", fields = {
  { "name", type = "string", required = true, doc = "a name" },
  { "count", any = { { const = "auto" }, { type = "integer", min = 1, max = 9 } }, default = "auto", doc = "how many" },
  { "inner", type = "table", always = true, doc = "more", fields = {
    { "ratio", type = "number", above = 0, default = 0.5, aliases = { "share" }, doc = "how much" },
    { "tags", type = "list", item = { type = "string" }, doc = "words" },
  } },
  { "limits", type = "map", item = { type = "integer", min = 0 }, doc = "by name" },
} }

local function messages(value)
  local _, faults = spec.check(value, SCHEMA)
  local list = {}
  for i, f in ipairs(faults) do list[i] = words.path(f.path) .. ": " .. f.message end
  return list
end

t.test("distance counts insertions, deletions, replacements and swapped neighbours", function()
  for _, case in ipairs { { "", "", 0 }, { "abc", "abc", 0 }, { "abc", "acb", 1 }, { "n_epoch", "n_epochs", 1 },
    { "kitten", "sitting", 3 }, { "", "abc", 3 }, { "ab", "ba", 1 }, { "sufix", "suffix", 1 } } do
    t.eq(words.distance(case[1], case[2]), case[3], case[1] .. "/" .. case[2])
    t.eq(words.distance(case[2], case[1]), case[3], case[2] .. "/" .. case[1])
  end
end)

t.test("a suggestion is near, and short words are not mistaken for others", function()
  t.eq(words.nearest("Base_Model", { "base_model" }), "base_model")
  t.eq(words.nearest("on", { "in", "of" }), nil)
  t.eq(words.nearest("kee", { "key", "keyboard" }), "key")
  t.eq(words.nearest("something", { "key" }), nil)
end)

t.test("a good value comes back clean with its defaults", function()
  t.eq(spec.check({ name = "x", count = 3.0, limits = { a = 1 } }, SCHEMA),
    { name = "x", count = 3, inner = { ratio = 0.5 }, limits = { a = 1 } })
end)

t.test("faults carry path, expectation and value, in the schema's order", function()
  t.eq(messages { count = 10, inner = { ratio = -1, tags = { "a", false, x = 1 }, share = 2 }, limits = { a = -1 },
    nam = 1 }, {
    "name: missing; expected a string: a name",
    'count: expected "auto" or an integer from 1 to 9, got 10',
    "inner.ratio: expected a number above 0, got -1",
    "inner.tags[2]: expected a string, got false",
    "inner.tags: expected a list, each item a string, got a list",
    "inner.share: unknown key; did you mean ratio?",
    "limits.a: expected an integer of at least 0, got -1",
    "nam: unknown key; did you mean name?",
  })
  t.eq(messages { name = "x", "stray" }, { "[1]: no value belongs here without a key (found item 1)" })
  t.eq(messages { name = "x", ratio = 1 }, { "ratio: unknown key; did you mean inner.ratio?" })
  t.eq(messages "text", { ': expected a table such as { name = ... }, got "text"' })
end)

t.test("text from outside is converted by the descriptor of its path", function()
  local value = { name = "x" }
  for _, case in ipairs { { "count", "auto" }, { "inner.ratio", "1e-3" }, { "inner.tags", "a,b" },
    { "limits.new", "4" } } do
    t.eq({ override.apply(value, SCHEMA, case[1], case[2]) }, { true })
  end
  t.eq(value, { name = "x", count = "auto", inner = { ratio = 0.001, tags = { "a", "b" } }, limits = { new = 4 } })
  local _, message = override.apply(value, SCHEMA, "inner.ration", "1")
  t.eq(message, "--set inner.ration: unknown key; did you mean inner.ratio?")
  _, message = override.apply(value, SCHEMA, "count", "")
  t.has(message, 'expected "auto" or an integer from 1 to 9, got ""')
  _, message = override.apply(value, SCHEMA, "name.first", "1")
  t.has(message, "name is no table")
  _, message = override.apply(value, SCHEMA, "", "1")
  t.has(message, "expected a path")
end)

t.test("values are shown short and in one line", function()
  t.eq(words.show("a\n\"b\"\\"), [["a\n\"b\"\\"]])
  t.eq(words.show(("є"):rep(100)), '"' .. ("є"):rep(37) .. '..."')
  t.eq(words.show(0.1), "0.1")
  t.eq(words.show({ 1 }), "a list")
  t.eq(words.show(print), "a function")
end)

t.test("the reference lists every key with what is expected", function()
  local fields = spec.fields(SCHEMA)
  t.eq(fields[1], { path = "name", expected = "a string; required", doc = "a name" })
  t.eq(fields[2], { path = "count", expected = '"auto" or an integer from 1 to 9; default "auto"', doc = "how many" })
end)
