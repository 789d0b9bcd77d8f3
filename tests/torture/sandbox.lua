local dataset = require "ft.dataset"
local sandbox = require "ft.sandbox"

return function()
  local box <close> = assert(sandbox.new { root = os.getenv "FTRUN_TESTS" .. "/cases/sandbox" })
  box:prelude("@prelude.lua", "local n = ...; return { text = n.text, include = n.include }")
  local recipe = assert(box:run("@recipes/x.lua", [[
    return { name = "x", list = { 1, 2.5, { deep = true } }, text = ft.text "prompt.txt",
      f = function(row) return { row, row.text .. ft.include("common.lua").answer } end,
      g = function() error "no" end, h = function(s) return { a = { s, s }, b = { c = 1 } } end }]]))
  local got = assert(box:call(recipe.f, { id = 1, text = "row" }))
  local encoded, json = box:encode(dataset.encoder({ "b", "a" }, "@"), recipe.h, ("x"):rep(3000))
  local _, message, code = box:call(recipe.g)
  local files = box:files()
  return got[2] == "row42" and code == "runtime" and message and recipe.f:where() == "recipes/x.lua" and #files == 2
    and encoded and #json == 6025 and box:usage().memory_bytes > 0 and 0 or 2
end
