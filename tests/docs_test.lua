local t = require "harness"
local docs = require "ftrun.docs"
local fs = require "ft.fs"

local root = os.getenv("FTRUN_TESTS") .. "/.."

for name, text in pairs(docs.tables()) do
  t.test("README's table of " .. name .. " is the program's own", function()
    t.has(fs.read(root .. "/README.md"), text)
  end)
end

t.test("README has no line over 120 columns outside tables", function()
  local n = 0
  for line in fs.read(root .. "/README.md"):gmatch "([^\n]*)\n" do
    n = n + 1
    local columns = utf8.len(line)
    t.ok(line:find "^|" or columns <= 120, ("line %d has %d columns: break it"):format(n, columns))
  end
end)

t.test("README says at its beginning where runs lie", function()
  local beginning = fs.read(root .. "/README.md"):match "^(.-)\n## "
  t.has(beginning, "`./.ftrun`")
  t.has(beginning, "FTRUN_DIR")
end)

t.test("the recipes in README are without errors", function()
  local recipe = require "ftrun.recipe"
  local dir <close> = t.folder()
  local count = 0
  for block in fs.read(root .. "/README.md"):gmatch("```lua\n(.-)```") do
    if block:find("^return ft.recipe") then
      count = count + 1
      local path = ("%s/%d.lua"):format(dir.path, count)
      assert(fs.write(path, block))
      recipe.load(path):close()
    end
  end
  t.ok(count >= 2, count)
end)

t.test("README names the version of the CHANGELOG's newest entry", function()
  local version = require "ft.version"
  t.has(fs.read(root .. "/CHANGELOG.md"), "## " .. version)
end)

t.test("the man page names every command and option", function()
  local page = docs.man():gsub("\\%-", "-")
  for _, c in ipairs(require "ftrun.commands") do
    t.has(page, "ftrun " .. c.name)
    for _, o in ipairs(c.options) do t.has(page, (o[1]:gsub(" ", ", "))) end
  end
end)

t.test("the man page of recipes names and explains every key", function()
  local page = docs.recipe_man():gsub("\\%-", "-")
  for _, f in ipairs(require "ftrun.recipe.spec".fields(require "ftrun.recipe.schema")) do
    if not f.path:find "^gate%..*%." then -- of these one stands for all
      t.has(page, ".B " .. f.path:match "%S.*" .. "\n" .. f.doc)
    end
    t.ok(f.doc ~= "", f.path .. " has no explanation")
  end
  t.has(page, '"auto" or an integer from 1 to 50')
  t.has(page, ".B gate.f1.gain")
end)

t.test(".env.example is what init writes", function()
  t.eq(fs.read(root .. "/.env.example"), require("ftrun.share.templates").ENV)
end)
