local t = require "harness"
local where = require "ftrun.recipe.where"

local SOURCE = [==[
-- ft.recipe { in = "a comment" } does not count
local text = [[
ft.recipe { nor = "in a string",
]]
local source = ft.jsonl {
  path = "a.jsonl",
}

return ft.recipe {
  name = "x", base_model = 'it\'s } here',
  dataset = ft.postgres({
    url = ft.env "DATABASE_URL",
    query = [[SELECT {
      1]],
    example = function(row)
      for i = 1, 2 do if row.a then local a, b = { c = 1 }, 2 end end
      repeat local z = 1, 2 until true
      return ft.chat {
        user = row.a,
      }
    end,
    key = "id"
  }),
  ["split"] = { --[[ n = 1 ]] validation = 0.1,
    group_by = "id" };
  on = {
    metrics = watch,
  },
  wandb = { tags = { "a",
    "b" } },
  evaluate = "a" .. ("x"):rep(2, ","),
  last = 0x1p4, budget = 1e+3,
}
]==]

local function line(path)
  local node = where.index(SOURCE):constructor("recipe")
  local found, entry = where.line(node, path)
  return found, entry
end

t.test("the line of each key is found, through calls, functions, comments and long strings", function()
  t.eq(line { "name" }, 10)
  t.eq(line { "base_model" }, 10)
  t.eq(line { "dataset" }, 11)
  t.eq(line { "dataset", "url" }, 12)
  t.eq(line { "dataset", "query" }, 13)
  t.eq(line { "dataset", "example" }, 15)
  t.eq(line { "dataset", "key" }, 22)
  t.eq(line { "split" }, 24)
  t.eq(line { "split", "validation" }, 24)
  t.eq(line { "split", "group_by" }, 25)
  t.eq(line { "on", "metrics" }, 27)
  t.eq(line { "wandb", "tags", 1 }, 29)
  t.eq(line { "wandb", "tags", 2 }, 30)
  t.eq(line { "evaluate" }, 31)
  t.eq(line { "last" }, 32)
  t.eq(line { "budget" }, 32)
end)

t.test("a path that is not written there gets the line of what contains it", function()
  t.eq(line { "hyperparameters", "n_epochs" }, 9)
  t.eq(line { "split", "nothing" }, 24)
  local _, entry = line { "split", "nothing" }
  t.eq(entry, nil)
end)

t.test("a value that is only a variable's name is known as such", function()
  local _, entry = line { "on", "metrics" }
  t.eq(entry.name, "watch")
  _, entry = line { "dataset", "example" }
  t.eq(entry.name, nil)
end)

t.test("a constructor is found by its kind and line", function()
  local index = where.index(SOURCE)
  t.eq(index:constructor("jsonl", 5).keys.path.line, 6)
  t.eq(index:constructor("postgres", 11).keys.key.line, 22)
  t.eq(index:constructor("postgres", 12), nil)
  t.eq(index:constructor("chat", 18).keys.user.line, 19)
end)

t.test("every beginning of a text is read to its end", function()
  for i = 1, #SOURCE do where.index(SOURCE:sub(1, i)) end
end)

t.test("CRLF, a byte order mark of comments, and an unfinished text do no harm", function()
  t.eq(where.line(where.index("return ft.recipe {\r\n  a = 1,\r\n  b = 2 }\r\n"):constructor("recipe"), { "b" }), 3)
  where.index("#!/usr/bin/ftrun\nreturn ft.recipe { a = \"")
  where.index("return ft.recipe { [[")
  where.index("--[[")
end)
