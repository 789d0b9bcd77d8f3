--- ftrun init [NAME]: a new recipe with rows to try it with.
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local templates = require "ftrun.share.templates"

local command = {}

local NEXT = {
  jsonl = { "ftrun --local %s", "trains on these rows, here and now" },
  postgres = { "ftrun test %s", "tries it on these rows; with DATABASE_URL in .env: ftrun plan %s" },
  files = { "ftrun --local %s", "trains on these rows, here and now" },
}

function command.main(args)
  local folder, name = (args.name or "first"):gsub("%.lua$", ""):match "^(.-)([^/]*)$"
  if not name:find "^%w[%w._-]*$" or #name > 64 then
    err.raise("usage", ("'%s' is no name for a recipe"):format(name),
      { advice = "Letters, digits, '.', '_' and '-': ftrun init support" })
  end
  local files = templates.files(args.from, name, folder)
  local there = {}
  for _, f in ipairs(files) do if fs.stat(f.path) then there[#there + 1] = f.path end end
  if #there > 0 then
    err.raise("usage", ("%s: there already; nothing was written"):format(table.concat(there, ", ")),
      { advice = "Choose another name: ftrun init NAME" })
  end
  if not fs.stat ".env.example" then files[#files + 1] = { path = ".env.example", bytes = templates.ENV } end
  if folder ~= "" then err.check("system", fs.mkdir(folder)) end
  local written = json.array {}
  for i, f in ipairs(files) do
    err.check("system", fs.write(f.path, f.bytes))
    written[i] = f.path
  end
  if args.json then
    json.print { type = "init", recipe = files[1].path, files = written }
    return 0
  end
  for _, path in ipairs(written) do log.out(path .. "\n") end
  local what = NEXT[args.from]
  log.info(what[1]:format(files[1].path) .. "   " .. what[2]:format(files[1].path))
  return 0
end

return command
