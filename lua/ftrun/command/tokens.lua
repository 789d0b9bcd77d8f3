--- ftrun tokens F...: exact tokens of JSONL files, row by row, with constant memory.
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local histogram = require "ftrun.data.histogram"
local json = require "ftrun.json"
local log = require "ft.log"
local progress = require "ft.progress"
local time = require "ft.time"
local tokens = require "ftrun.data.tokens"
local words = require "ftrun.recipe.words"

local command = {}

local BATCH_BYTES, BATCH_ROWS = 1 << 20, 4096
local SHOWN = 10 -- broken rows that are shown of each file
local MB = 1000000

local function encoding_of(args)
  if not args.encoding then return nil end
  for _, name in ipairs(tokens.encodings) do if name == args.encoding then return name end end
  local near = words.nearest(args.encoding, tokens.encodings)
  err.raise("usage", ("option '--encoding': unknown encoding '%s'"):format(args.encoding),
    { advice = near and ("did you mean %s?"):format(near) or "known are " .. table.concat(tokens.encodings, ", ") })
end

local function open(path)
  return err.check("system", dataset.reader(path == "-" and "/dev/stdin" or path))
end

-- The next rows of a file and their line numbers, or nil; blank lines are no rows.
local function next_batch(reader)
  local lines, numbers, bytes = {}, {}, 0
  while bytes < BATCH_BYTES and #lines < BATCH_ROWS do
    local line, number, code = reader:next()
    if not line then
      if code then err.unreadable(number, code) end
      break
    end
    if line:find "%S" then
      lines[#lines + 1], numbers[#numbers + 1] = line, number
      bytes = bytes + #line
    end
  end
  if #lines > 0 then return lines, numbers end
end

local function fault_of(line)
  local _, message, code, offset = dataset.check(line)
  return ("not JSON: %s at byte %d"):format(message, offset), code
end

local function show_file(file, encoding)
  local h, f = file.histogram, file.histogram:figures()
  local n = histogram.number
  log.out(("%s: %s rows, %s tokens (%s)\n"):format(file.path, n(f.count), n(f.sum), encoding))
  if f.count == 0 then return end
  log.out(("  tokens a row: min %s, median %s, p95 %s, max %s (line %d)\n"):format(n(f.min), n(f.median), n(f.p95),
    n(f.max), file.longest))
  for _, line in ipairs(h:lines()) do log.out("  " .. line .. "\n") end
end

local function summary(all, files, encoding)
  local f = all:figures()
  local list, errors = {}, 0
  for i, file in ipairs(files) do
    list[i] = { file = file.path, rows = file.rows, tokens = file.histogram.sum, errors = file.errors }
    errors = errors + file.errors
  end
  return { type = "summary", encoding = encoding, rows = f.count + errors, tokens = f.sum, errors = errors, min = f.min,
    median = f.median, p95 = f.p95, max = f.max, files = json.array(list) }
end

-- One JSON line a row of the batch.
local function print_rows(file, several, lines, numbers, counts)
  local out = {}
  local name = several and ('"file":%s,'):format(json.result(file.path)) or ""
  for i, count in ipairs(counts) do
    if count then
      out[i] = ('{%s"line":%d,"tokens":%d}\n'):format(name, numbers[i], count)
    else
      local message, code = fault_of(lines[i])
      out[i] = json.result { file = several and file.path or nil, line = numbers[i], tokens = json.null, code = code,
        message = message } .. "\n"
    end
  end
  log.out(table.concat(out))
end

local function count_file(counter, path, each)
  local file = { path = path, rows = 0, errors = 0, histogram = histogram.new(), longest = 0 }
  local most = -1
  local reader <close> = open(path)
  local lines, numbers = next_batch(reader)
  while lines do
    local job <close> = counter:start(lines)
    local next_lines, next_numbers = next_batch(reader) -- while the rows are counted
    local counts = job:finish()
    for i, count in ipairs(counts) do
      if count then
        file.histogram:add(count)
        if count > most then most, file.longest = count, numbers[i] end
      else
        file.errors = file.errors + 1
      end
    end
    file.rows = file.rows + #lines
    each(file, lines, numbers, counts)
    local done, total = reader:position()
    progress.update(path .. ", MB", done // (MB / 10) / 10, total > 0 and total // (MB / 10) / 10 or nil)
    lines, numbers = next_lines, next_numbers
    time.sleep(0) -- lets Ctrl-C in
  end
  progress.finish()
  return file
end

function command.main(args)
  local encoding = encoding_of(args)
  if args.json or args.quiet then progress.disable() end
  local counter <close> = tokens.counter { encoding = encoding, model = args.model }
  if counter.note then log.warn(counter.note) end
  local all, files = histogram.new(), {}

  local function each(file, lines, numbers, counts)
    if args.json then return print_rows(file, #args.file > 1, lines, numbers, counts) end
    for i, count in ipairs(counts) do
      if not count then
        file.shown = (file.shown or 0) + 1
        if file.shown <= SHOWN then
          progress.finish()
          log.error(("%s:%d: %s"):format(file.path, numbers[i], (fault_of(lines[i]))))
        end
      end
    end
  end

  for i, path in ipairs(args.file) do
    files[i] = count_file(counter, path, each)
    all:merge(files[i].histogram)
    if files[i].errors > SHOWN and not args.json then
      log.error(("%s: %d rows are not JSON and were not counted"):format(path, files[i].errors))
    end
    local empty = files[i].histogram.times[0]
    if empty and empty == files[i].rows and not args.json then
      log.warn(("%s: nothing in its rows is counted: they have no messages, input, text, prompt or completion\n"
        .. "  ftrun prepare makes examples of rows, as a recipe says."):format(path))
    end
    if not args.json then show_file(files[i], counter.encoding) end
  end
  local sum = summary(all, files, counter.encoding)
  if args.json then
    json.print(sum)
  elseif #files > 1 then
    log.out(("all %d files: %s rows, %s tokens\n"):format(#files, histogram.number(sum.rows),
      histogram.number(sum.tokens)))
  end
  return sum.errors > 0 and err.kinds.data or 0
end

return command
