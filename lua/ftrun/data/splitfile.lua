--- Splits JSONL files into train and validation: rows stay as they are, byte by byte.
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local splits = require "ftrun.data.split"
local time = require "ft.time"
local words = require "ftrun.recipe.words"

local M = {}

local SHOWN = 20 -- faults that are shown
local TURN = 1000 -- rows between two turns of the loop

---@class ftrun.SplitFiles
---@field rule ftrun.SplitRule  its fields are paths
---@field seed integer
---@field dir string            takes train.jsonl and validation.jsonl
---@field on_progress fun(done: integer, total: integer)?  bytes

-- The outputs that are there already, with their hashes.
local function there(outputs)
  local list = {}
  for _, path in ipairs(outputs) do
    local info = fs.stat(path)
    list[path] = info and info.type == "file" and digest.sha256_file(path) or nil
  end
  return list
end

-- No output may be an input: it would be gone before it was read.
local function check_outputs(paths, outputs)
  for _, path in ipairs(paths) do
    for _, output in ipairs(outputs) do
      if path ~= "-" and fs.realpath(path) == (fs.realpath(output) or output) then
        err.raise("usage", ("%s would be written over itself"):format(path), { advice = "Say another --output-dir." })
      end
    end
  end
end

-- Calls each(line, place) for every row; blank lines are none.
local function rows(paths, on_progress, each)
  local before, total, n = 0, 0, 0
  for _, path in ipairs(paths) do
    local info = path ~= "-" and fs.stat(path)
    total = total + (info and info.bytes or 0)
  end
  for _, path in ipairs(paths) do
    local reader = err.check("system", dataset.reader(path))
    local _ <close> = setmetatable({}, { __close = function() reader:close() end })
    local name = path == "-" and "standard input" or path
    local function tell()
      if on_progress then on_progress(before + (reader:position()), total) end
      time.sleep(0)
    end
    while true do
      local line, number, code = reader:next()
      if not line then
        if code then err.unreadable(tostring(number), code) end
        break
      end
      if number == 1 then line = line:gsub("^\xEF\xBB\xBF", "") end
      if line:find("%S") then
        each(line, ("%s:%d"):format(name, number))
        n = n + 1
        if n % TURN == 0 then tell() end
      end
    end
    tell()
    before = before + (reader:position())
  end
  return n
end

local function keys_of(line)
  local value = dataset.decode_ordered(line)
  local keys = {}
  if type(value) == "table" and value.object then for i, pair in ipairs(value) do keys[i] = pair[1] end end
  return keys
end

local function check_fields(fields, first)
  for _, at in ipairs(fields.missing()) do
    local keys = keys_of(first)
    local near = words.nearest(at[2]:match "^[^.%[]*", keys)
    err.raise("data", ("no row has %s (--%s)"):format(words.show(at[2]), at[1]:gsub("_", "-")), {
      advice = near and ("Did you mean %s?"):format(near)
        or "The first row has " .. table.concat(keys, ", ") .. "; a path goes on as in messages[0].content." })
  end
end

---@class ftrun.SplitResult
---@field rows integer
---@field train { path: string, rows: integer, bytes: integer, sha256: string }
---@field validation table  the same
---@field strata { value: string, train: integer, validation: integer }[]?
---@field replaced string[]  outputs that were there and were others
---@field lacking { field: string, rows: integer }[]  fields that some rows do not have

--- Splits; nothing is written when a row cannot be read. Raises err "data", "system", "usage". Waits.
---@param paths string[]  "-" is standard input
---@param options ftrun.SplitFiles
---@return ftrun.SplitResult
function M.run(paths, options)
  local outputs = { options.dir .. "/train.jsonl", options.dir .. "/validation.jsonl" }
  local name, message = splits.no_path(options.rule)
  if name then err.raise("usage", ("option '--%s': %s"):format(name:gsub("_", "-"), message)) end
  err.check("system", fs.mkdir(options.dir))
  check_outputs(paths, outputs)
  local before = there(outputs)
  local split, fields = splits.new(options.rule, options.seed), splits.fields(options.rule)
  local faults, bad, first = {}, 0, nil
  local train, validation, count
  do
    local to <close> = splits.writer(outputs[1])
    local aside <close> = splits.writer(outputs[2])
    count = rows(paths, options.on_progress, function(line, place)
      first = first or line
      local group, stratum, moment = fields.of(line, line)
      if group then
        (split.side(group, stratum, moment) == "train" and to or aside).add(line)
      else
        bad = bad + 1
        if bad <= SHOWN then faults[bad] = err.new("data", stratum, { where = place }) end
      end
    end)
    if bad > SHOWN then faults[#faults + 1] = err.new("data", ("and %d more errors"):format(bad - SHOWN)) end
    if bad > 0 then err.raise("data", ("%d errors in %d rows"):format(bad, count), { list = faults }) end
    if count == 0 then err.raise("data", "there are no rows", { code = "no_rows" }) end
    check_fields(fields, first)
    train, validation = to.commit(), aside.commit()
  end
  local chosen = split.chosen()
  if chosen then train, validation = splits.move(outputs[1], outputs[2], chosen) end
  local function file(path, sum) return { path = path, rows = sum.lines, bytes = sum.bytes, sha256 = sum.sha256 } end
  local replaced = {}
  for i, sum in ipairs { train, validation } do
    if before[outputs[i]] and before[outputs[i]] ~= sum.sha256 then replaced[#replaced + 1] = outputs[i] end
  end
  return { rows = count, train = file(outputs[1], train), validation = file(outputs[2], validation),
    replaced = replaced, strata = split.shares(), lacking = fields.lacking() }
end

return M
