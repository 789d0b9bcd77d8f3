--- lua/ftrun/meta/ft.lua tells editors what a recipe may say: it must be what the DSL and the schema say.
local t = require "harness"
local dsl = require "ft.embedded" "ftrun.recipe.dsl"
local fs = require "ft.fs"
local json = require "ftrun.json"
local program = require "program"
local types = require "recipe_types"

local text = assert(fs.read(os.getenv "FTRUN_TESTS" .. "/../lua/ftrun/meta/ft.lua"))

-- name -> list of field names (without "?")
local function classes()
  local all, last = {}, nil
  for line in text:gmatch "[^\n]+" do
    local class = line:match "^%-%-%-@class %(exact%) ([%w_.]+)" or line:match "^%-%-%-@class ([%w_.]+)"
    if class then all[class], last = {}, class end
    local field = line:match "^%-%-%-@field ([%w_]+)"
    if field then all[last][field] = true end
  end
  return all
end

t.test("every table of a recipe is declared as the schema has it, key by key", function()
  local expected = {}
  for _, block in ipairs(types.blocks()) do
    local found = text:find("\n" .. block, 1, true)
    if not found then error("meta/ft.lua should have (see recipe_types.lua):\n" .. block, 0) end
    expected[block:match "@class %(exact%) (%S+)"] = true
  end
  for class in text:gmatch "@class %(exact%) (%S+)" do
    t.ok(expected[class], class .. " is no table of the schema any more")
  end
end)

t.test("every function of ft is declared, and none that does not exist", function()
  local ft = assert(load(dsl, "=dsl.lua", "t"))({ chunk = function() end, line = function() end })
  local declared = {}
  for name in text:gmatch "\nfunction ft%.([%w_]+)%(" do declared[name] = true end
  for name in pairs(ft) do t.ok(declared[name], "ft." .. name .. " is not declared") end
  for name in pairs(declared) do t.ok(ft[name], "ft." .. name .. " is declared, but does not exist") end
end)

t.test("the file is Lua, and every type that it names is declared", function()
  assert(load(text, "=ft.lua", "t"))
  local known = classes()
  for name in text:gmatch "ft%.%u[%w.]*" do t.ok(known[name:gsub("%.$", "")], name .. " is declared nowhere") end
end)

for _, name in ipairs { "Chat", "Preference", "Reinforcement" } do
  t.test(("ft.%s takes the keys that are declared"):format(name:lower()), function()
    local keys = dsl:match("local " .. name:upper() .. " = {(.-)}")
    local declared, count = classes()["ft." .. name], 0
    for key in keys:gmatch '"([%w_]+)"' do
      t.ok(declared[key], ("ft.%s.%s"):format(name, key))
      count = count + 1
    end
    for _ in pairs(declared) do count = count - 1 end
    t.eq(count, 0)
  end)
end

t.test("what hooks see is declared", function()
  local spy = "function(v) local k = {} for name in pairs(v) do k[#k + 1] = name end"
    .. ' return ft.notify("%s " .. table.concat(k, ",")) end'
  local hooks = {}
  for hook, class in pairs { metrics = "Metrics", checkpoint = "Checkpoint", event = "Event", finished = "Result" } do
    hooks[#hooks + 1] = hook .. " = " .. spy:format(class)
  end
  local recipe = program.RECIPE:gsub("}%s*$", "on = { " .. table.concat(hooks, ", ") .. " } }\n")
  local known, seen = classes(), {}
  program.in_project(function(dir)
    local r = program.run(dir, {}, "--local", "--json", "toy.lua")
    t.eq(r.code, 0, r.err)
    t.eq(json.decode(r.out:match "([^\n]+)\n$").state, "succeeded")
    for class, names in r.err:gmatch "(%u%a+) ([%w_,]+)\n" do
      if known["ft." .. class] then
        seen[class] = true
        for name in names:gmatch "[%w_]+" do t.ok(known["ft." .. class][name], ("ft.%s.%s"):format(class, name)) end
      end
    end
  end, 40, recipe)
  for _, class in ipairs { "Metrics", "Checkpoint", "Event", "Result" } do t.ok(seen[class], class) end
end)
