--- ftrun validate F...: everything that is wrong with JSONL training files.
local codes = require "ftrun.data.rules.codes"
local deep = require "ftrun.data.deep"
local err = require "ftrun.err"
local findings = require "ftrun.data.findings"
local fs = require "ft.fs"
local json = require "ftrun.json"
local limits = require "ftrun.data.rules.limits"
local log = require "ft.log"
local mend = require "ftrun.data.mend"
local progress = require "ft.progress"
local validate = require "ftrun.data.validate"
local wrap = require "ftrun.text.wrap"

local command = {}

local SHOWN = 5 -- lines of a change
local SUMMARY_ORDER = { "type", "rows", "errors", "warnings" }
local CHANGE_ORDER = { "type", "line", "code", "path", "message" }

local function show_codes(as_json)
  for _, group in ipairs(codes.groups) do
    if not as_json then log.out(group[1] .. "\n") end
    for _, row in ipairs(group[2]) do
      local c = codes.all[row[1]]
      if as_json then
        json.print { code = c.code, severity = c.severity, what = c.what, mend = c.mend,
          fixable = c.fixable or false }
      else
        wrap.print(("  %-24s %-8s %s; %s"):format(c.code, c.severity, c.what, c.mend), 36)
      end
    end
  end
  return 0
end

-- Validates one file; its findings go to stdout at once (json), or collected at its end.
local function check(i, args, all)
  local own, path = findings.new(), args.file[i]
  local validation = args.validation or args.deep and deep.validates(args.file, i)
  local name = path == "-" and "standard input" or path
  local result = validate.file(path, { method = args.method, model = args.model, validation = validation,
    on_progress = function(done, total) progress.update(name, done, total > 0 and total or nil) end },
    function(finding)
      own:add(finding)
      all:add(finding)
      if args.json then log.out(findings.json(finding, #args.file > 1 and path or nil) .. "\n") end
    end)
  progress.finish()
  if not args.json and not (args.quiet and own.errors + own.warnings == 0) then
    log.out(("%s: %s in %d row%s (%s)\n"):format(name, own:summary(), result.rows, result.rows == 1 and "" or "s",
      result.method))
    own:print()
    if result.rows > 0 and own:rows_with "missing_messages" == result.rows then
      log.info("No row is an example yet. A recipe makes examples of rows: ftrun init writes one to change.")
    end
  end
  return result
end

-- --deep reads its files once more.
local function check_files(paths)
  for _, path in ipairs(paths) do
    if path == "-" or fs.stat(path) and not validate.is_file(path) then
      err.raise("usage", "--deep takes files, no pipes: it reads them twice", { where = path,
        advice = "Write the rows to a file first." })
    end
  end
end

-- Looks at the rows of all files together.
local function examine(args, all)
  local own = findings.new()
  deep.files(args.file, { validation = args.validation, model = args.model,
    on_progress = function(path, done, total) progress.update("looking deeper: " .. path, done, total) end },
    function(finding)
      own:add(finding)
      all:add(finding)
      if args.json then log.out(findings.json(finding, finding.file) .. "\n") end
    end)
  progress.finish()
  if not args.json and not (args.quiet and own.errors + own.warnings == 0) then
    log.out(("all rows together: %s\n"):format(own:summary()))
    own:print()
  end
end

-- Writes the corrected copy and tells each change; in json as {"type":"change",...}.
local function fix(args)
  local path = args.file[1]
  if #args.file > 1 or not validate.is_file(path) then
    err.raise("usage", "--fix takes one file", { advice = "Give each file a call and a copy of its own." })
  end
  local method = args.method or validate.file(path, {}, function() end).method
  local counts, order = {}, {}
  local made = mend.copy(path, args.fix, method, function(change)
    if args.json then
      json.print({ type = "change", line = change.line, code = change.code, path = change.path,
        message = change.message }, CHANGE_ORDER)
      return
    end
    local id = change.code .. ": " .. change.message
    if not counts[id] then
      counts[id] = { n = 0, first = {} }
      order[#order + 1] = id
    end
    local c = counts[id]
    c.n = c.n + 1
    if c.n <= SHOWN then
      c.first[c.n] = change.line .. (change.path ~= "" and " " .. change.path or "")
    end
  end)
  if not args.json then
    log.out(("%s -> %s: %d rows\n"):format(path, args.fix, made.rows))
    for _, id in ipairs(order) do
      local c = counts[id]
      log.out(("  %s (%d, line %s%s)\n"):format(id, c.n, table.concat(c.first, ", "), c.n > SHOWN and ", ..." or ""))
    end
    if #order == 0 then log.out "  nothing to correct\n" end
  end
  args.file, args.method = { args.fix }, method
end

function command.main(args)
  if args.codes then return show_codes(args.json) end
  if #args.file == 0 then err.raise("usage", "which file?", { advice = "See: ftrun validate --help" }) end
  if args.deep then check_files(args.file) end
  if args.json or args.quiet then progress.disable() end
  if args.model and not limits.model(args.model) then
    log.warn(("the limits of the model %s are not known; its rows are checked without them"):format(args.model))
  end
  if args.fix then fix(args) end
  local all, rows = findings.new(), 0
  for i in ipairs(args.file) do rows = rows + check(i, args, all).rows end
  if args.deep then examine(args, all) end
  if args.json then
    json.print({ type = "summary", rows = rows, errors = all.errors, warnings = all.warnings }, SUMMARY_ORDER)
  end
  return all:exit_code()
end

return command
