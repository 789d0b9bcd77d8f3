--- ftrun export RUN: a run as one file, for a colleague or an archive.
local amounts = require "ftrun.text.amounts"
local bundle = require "ftrun.share.bundle"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local leak = require "ftrun.share.leak"
local log = require "ft.log"
local portable = require "ftrun.share.portable"
local runs = require "ftrun.run.runs"

local command = {}

-- Paths of all files below a folder, sorted.
local function walk(folder, prefix, list)
  for _, name in ipairs(fs.list(folder) or {}) do
    local path = folder .. "/" .. name
    if err.check("system", fs.stat(path)).type == "directory" then
      walk(path, prefix .. name .. "/", list)
    else
      list[#list + 1] = { path = prefix .. name, from = path }
    end
  end
  return list
end

--- The files of a run that an export takes.
local function files_of(dir, with_data)
  local list, left = {}, {}
  for _, f in ipairs(bundle.files) do
    local from = dir .. "/" .. f[1]
    local there = fs.stat(from)
    if there and f.texts and not with_data then
      left[#left + 1] = f[1]
    elseif there then
      list[#list + 1] = { path = f[1], from = from }
    end
  end
  return walk(dir .. "/sources", "sources/", list), left
end

local function check_secrets(files)
  for _, f in ipairs(files) do
    local line, what = leak.find(f.from)
    if line then
      err.raise("data", ("holds %s; nothing was exported"):format(what), { where = ("%s:%d"):format(f.from, line),
        code = "secret_key", advice = "Take it out (a recipe names settings: ft.env \"NAME\"), and run again." })
    end
  end
end

function command.main(args)
  local summary = runs.resolve(args.run)
  if summary.state == "open" then
    err.raise("usage", ("run %s has not ended (last phase: %s)"):format(summary.id, summary.phase),
      { advice = "Continue it: " .. runs.command(summary) })
  end
  local dir = runs.dir(summary.id)
  local files, left = files_of(dir, args.with_data)
  check_secrets(files)
  local copies <close> = not args.keep_paths and portable.of(summary, dir, files) or nil
  local path = args.output or summary.id .. ".ftrun"
  if fs.stat(path) and not args.output then
    err.raise("usage", path .. " is there already", { advice = "Choose another name: --output FILE" })
  end
  local manifest = bundle.write(path, { run = summary.id, name = summary.name, recipe = summary.recipe:match "[^/]*$",
    created = summary.created, with_data = args.with_data or false,
    files = copies and copies.files or files })
  if args.json then
    json.print { type = "export", run = summary.id, path = path, with_data = manifest.with_data,
      bytes = err.check("system", fs.stat(path)).bytes, files = manifest.files, left_out = json.array(left) }
    return 0
  end
  if #left > 0 then
    log.info(("left out, for they hold texts of rows and answers: %s (--with-data takes them along)")
      :format(table.concat(left, ", ")))
  end
  log.out(("%s  %s, %s\n"):format(path, amounts.count(#files, "file"),
    amounts.size(err.check("system", fs.stat(path)).bytes)))
  return 0
end

return command
