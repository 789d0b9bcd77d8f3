--- ftrun test [RECIPE...]: recipes tried offline, for CI.
local amounts = require "ftrun.text.amounts"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local progress = require "ft.progress"
local rehearsal = require "ftrun.share.rehearsal"
local wrap = require "ftrun.text.wrap"

local command = {}

local MARGIN = 9 -- columns of "skipped  "

-- Recipes of ./recipes, or else of the current folder: Lua files that make one.
local function all_recipes()
  for _, folder in ipairs { "recipes/", "" } do
    local list = {}
    for _, name in ipairs(fs.list(folder == "" and "." or folder) or {}) do
      local text = name:find "%.lua$" and fs.read(folder .. name)
      if text and text:find("ft.recipe", 1, true) then list[#list + 1] = folder .. name end
    end
    if #list > 0 then return list end
  end
  err.raise("usage", "there is no recipe in ./recipes or here", { advice = "Name one, or make one: ftrun init" })
end

local MARKS = { ok = { "ok       ", "green" }, failed = { "not ok   ", "red" }, skipped = { "skipped  " } }

local function told(r)
  if r.result ~= "ok" then return ("%s: %s"):format(r.recipe, r.message) end
  local parts = { ("%s train"):format(amounts.count(r.train, "row")) }
  if r.validation then parts[#parts + 1] = ("%d validate"):format(r.validation) end
  if r.score then parts[#parts + 1] = ("%s %.3f"):format(r.score.name, r.score.value) end
  if r.data then parts[#parts + 1] = "rows of " .. r.data end
  parts[#parts + 1] = ("%.1f s"):format(r.seconds)
  local text = ("%s: %s"):format(r.recipe, table.concat(parts, ", "))
  for _, note in ipairs(r.notes) do text = text .. "\n  " .. note end
  return text
end

local function print_one(r)
  local mark = MARKS[r.result]
  log.out(mark[1], mark[2])
  local text = wrap.text(told(r), wrap.width "stdout" - MARGIN)
  log.out(text:gsub("\n", "\n" .. (" "):rep(MARGIN)) .. "\n")
end

local function print_json(r)
  local e = r.error
  json.print { type = "recipe", recipe = r.recipe, result = r.result, message = r.message, rows = r.rows,
    train = r.train, validation = r.validation, score = r.score, data = r.data, hooks = r.hooks,
    notes = json.array(r.notes), seconds = r.seconds, kind = e and e.kind, code = e and e.code, where = e and e.where }
end

function command.main(args)
  progress.disable()
  local recipes = #(args.recipe or {}) > 0 and args.recipe or all_recipes()
  local counts = { ok = 0, failed = 0, skipped = 0 }
  local _ <close> = setmetatable({}, { __close = function() log.level(args.quiet and "warn" or "info") end })
  log.level "error" -- warnings of a run that is none would only be in the way
  for _, path in ipairs(recipes) do
    local r = rehearsal.of(path, { data = args.data, limit = args.limit, set = args.set })
    counts[r.result] = counts[r.result] + 1
    if args.json then print_json(r) elseif not args.quiet or r.result == "failed" then print_one(r) end
  end
  if args.json then
    json.print { type = "summary", recipes = #recipes, ok = counts.ok, failed = counts.failed,
      skipped = counts.skipped }
  elseif not args.quiet then
    log.out(("%s: %d ok, %d not ok, %d skipped\n"):format(amounts.count(#recipes, "recipe"), counts.ok, counts.failed,
      counts.skipped))
  end
  if counts.failed > 0 or args.strict and counts.skipped > 0 then return err.kinds.failed end
  return 0
end

return command
