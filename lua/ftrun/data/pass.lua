--- One pass over a recipe's rows: each through the recipe's `example`, checked, counted, handed on as a line of JSON.
--- All that grows with the rows is a bounded memory of hashes, which finds equal examples.
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local example = require "ftrun.data.example"
local findings = require "ftrun.data.findings"
local source = require "ftrun.data.source"
local splits = require "ftrun.data.split"
local time = require "ft.time"
local words = require "ftrun.recipe.words"

local SHOWN = 20       -- kinds of faults that are shown
local FIRST = 5        -- keys that are remembered with a reason, or a kind of faults
local REASONS = 50     -- different reasons; the others are counted together
local REASON_BYTES = 200
local TURN = 200       -- rows between two turns of the loop, or
local TURN_S = 0.1     -- so much time: an example may be slow, and Ctrl-C must work
local GARBAGE_KIB = 16 << 10 -- that rows leave behind before it is collected
local PAUSE = 200           -- Lua's own, for everything else

---@class ftrun.Pass
---@field rows integer       that were read
---@field written integer    examples that were handed on
---@field bad integer        errors
---@field bad_rows integer   examples with errors
---@field faults table[]     their kinds: { code, count, first = { { label, message } ... } }
---@field columns table<string, true>  of all rows
---@field findings ftrun.Findings      warnings and notes on examples that are good enough
local Pass = {}
Pass.__index = Pass
local M = {}

--- `hash`: also the digest of all examples, a line each. `tokens`: a stream that counts them (tally.stream).
---@param options { hash: boolean?, tokens: table? }?
---@return ftrun.Pass
function M.new(options)
  options = options or {}
  return setmetatable({ hash = options.hash and digest.stream(), tokens = options.tokens, rows = 0, written = 0,
    seen = dataset.seen(), faults = {}, kinds = {}, bad = 0, bad_rows = 0, reasons = {}, columns = {},
    findings = findings.new(),
    duplicates = { count = 0, first = {} } }, Pass)
end

function Pass:fault(label, message, code)
  self.bad = self.bad + 1
  local kind = code or message:match "^[^:;]*"
  local group = self.kinds[kind]
  if not group then
    if #self.faults == SHOWN then return end
    group = { code = code, count = 0, first = {} }
    self.kinds[kind] = group
    self.faults[#self.faults + 1] = group
  end
  group.count = group.count + 1
  if #group.first < FIRST then table.insert(group.first, { label = label, message = message }) end
end

-- "acts.jsonl:17" is a place; any other label is a row's key
local function place_of(label) return label:match "^[^=]+:%d+$" end

-- The other places of a kind of faults, as validate tells them: those with the same message in one line.
local function others(group)
  local first, same, lines = group.first[1], {}, {}
  local file = place_of(first.label) and first.label:match "^(.*):"
  for i = 2, #group.first do
    local f = group.first[i]
    local number = file and f.label:sub(1, #file + 1) == file .. ":" and f.label:match "%d+$"
    if f.message == first.message then
      same[#same + 1] = number or f.label
    else
      lines[#lines + 1] = ("%s: %s"):format(number and "line " .. number or place_of(f.label) or "row " .. f.label,
        (f.message:gsub("; .*", "")))
    end
  end
  if #same > 0 then
    local word = not file and "row" or same[1]:find "%D" and "" or "line"
    table.insert(lines, 1, ("also %s%s %s"):format(word, #same > 1 and word ~= "" and "s" or "",
      table.concat(same, ", ")))
  end
  local more = group.count - #group.first
  if more > 0 then lines[#lines] = ("%s and %d more"):format(lines[#lines], more) end
  return table.concat(lines, "\n")
end

--- What is wrong with the rows, an error for each kind of fault with its first places.
---@return ftrun.Error[]
function Pass:errors()
  local list, left = {}, self.bad
  for i, group in ipairs(self.faults) do
    local first = group.first[1]
    local place = place_of(first.label)
    local times = group.count > 1 and (" (%d times)"):format(group.count) or ""
    list[i] = err.new("data", (place and "" or ("row %s: "):format(first.label)) .. first.message .. times,
      { where = place, code = group.code, advice = group.count > 1 and others(group) or nil })
    left = left - group.count
  end
  if left > 0 then
    list[#list + 1] = err.new("data", ("and %s"):format(left == 1 and "1 more error" or left .. " more errors"))
  end
  return list
end

-- Warnings stop nothing; they are told at the end.
function Pass:warn(label, finding)
  self.findings:add { key = label, code = finding.code, severity = finding.severity, path = finding.path,
    message = finding.message }
end

function Pass:skip(label, reason)
  if #reason > REASON_BYTES then reason = reason:sub(1, utf8.offset(reason, 0, REASON_BYTES) - 1) .. "..." end
  local r = self.reasons[reason]
  if not r then
    self.different = (self.different or 0) + 1
    if self.different > REASONS then reason = "other reasons" end
    r = self.reasons[reason] or { reason = reason, count = 0, first = {} }
    self.reasons[reason] = r
  end
  r.count = r.count + 1
  if #r.first < FIRST then r.first[#r.first + 1] = label end
end

-- Notes which columns a JSONL row has: only all rows together tell whether one is misspelt.
function Pass:look(row)
  for name in pairs(row) do self.columns[name] = true end
end

-- Notes an example that will be written.
function Pass:note(label, json)
  self.written = self.written + 1
  if self.hash then self.hash:add(json, "\n") end
  if self.seen:add(json) then
    self.duplicates.count = self.duplicates.count + 1
    if #self.duplicates.first < FIRST then table.insert(self.duplicates.first, label) end
  end
  if self.tokens then self.tokens:add(json, self.written) end
  if not self.longest or #json > self.longest.bytes then self.longest = { bytes = #json, key = label } end
end

function Pass:skipped()
  local list = {}
  for _, r in pairs(self.reasons) do list[#list + 1] = r end
  table.sort(list, function(a, b) return a.count > b.count or a.count == b.count and a.reason < b.reason end)
  return list
end

local NAMED = 12 -- columns of a row that are named

-- What to do about a nil: a column that is NULL, or one that is misspelt.
local function nil_advice(row, message)
  local names = {}
  for name in pairs(row) do names[#names + 1] = name end
  table.sort(names)
  local asked = message:match "field '([^']+)'"
  local near = asked and row[asked] == nil and words.nearest(asked, names)
  local there = table.concat(names, ", ", 1, math.min(#names, NAMED)) .. (#names > NAMED and ", ..." or "")
  return (near and ("Did you mean %s?\n"):format(near) or ("This row has %s.\n"):format(there))
    .. "A NULL column arrives as nil: leave such rows out in the query, or return ft.skip \"...\"."
end

-- The recipe's own function on one row: an example's JSON; or nil and its value; or nil, nil and why it is left out.
local function evaluate(recipe, row, label)
  local ok, json, value = pcall(recipe.encode, recipe, example.encoder, recipe.dataset.example, row)
  if not ok then
    value = json
    if err.is(value) then
      value.message = ("%s (row %s)"):format(value.message, label)
      local text = value.message
      if text:find("nil", 1, true) and not text:find("(global '", 1, true) and not value.advice then
        value.advice = nil_advice(row, text)
      end
    end
    error(value, 0)
  end
  if json then return json end
  if not value then return nil, nil, "example returned nothing" end
  if type(value) == "table" and value["@kind"] == "skip" then return nil, nil, tostring(value.reason) end
  return nil, value
end

local MAKERS = { supervised = { "chat", "system, user, assistant" },
  dpo = { "preference", "user, preferred, non_preferred" }, reinforcement = { "reinforcement", "user, item" } }

-- A table with what ft.chat takes, returned as it is.
local function check_maker(recipe, label, found)
  local maker, bare = MAKERS[recipe.method or "supervised"], nil
  for _, f in ipairs(found) do
    if f.code == "unknown_key" and (" " .. maker[2] .. ","):find(" " .. f.path .. ",", 1, true) then bare = true end
  end
  if not bare then return end
  err.raise("recipe", ("example returned a table of its own, not one of ft.%s (row %s)"):format(maker[1], label), {
    where = recipe:where("dataset", "example"),
    advice = ("Write: return ft.%s { %s = ... }"):format(maker[1], (maker[2]:gsub(",", " = ...,"))) })
end

-- One row to JSON; nil when it was skipped or faulty (noted then).
function Pass:example(recipe, row, label)
  local json, value, reason = nil, row, nil -- a ready-made line is written as it is
  if type(row) ~= "string" then json, value, reason = evaluate(recipe, row, label) end
  if reason then self:skip(label, reason) return nil end
  local found
  if json then
    found = example.judge(json, recipe.method)
  else
    json, found = example.make(value, recipe.method)
  end
  if found[1] and type(row) ~= "string" then check_maker(recipe, label, found) end
  local broken = false
  for _, f in ipairs(found) do
    if f.severity == "error" then
      broken = true
      self:fault(label, f.path ~= "" and f.path .. ": " .. f.message or f.message, f.code)
    else
      self:warn(label, f)
    end
  end
  if broken then self.bad_rows = self.bad_rows + 1 end
  return not broken and json or nil
end

-- Hands an accepted example on, with the fields that the split needs.
function Pass:hand(emit, fields, row, label, json, key)
  local group, stratum, moment = fields.of(row, type(row) == "table" and row[key] or json)
  if not group then return self:fault(label, stratum) end
  self:note(label, json)
  emit(json, label, group, stratum, moment)
end

---@class ftrun.ReadOptions
---@field limit integer?   examples
---@field after string?    the key of a row: it and those before it are passed over
---@field on_progress fun(done: integer, total: integer?, unit: string)?

--- Reads a source to its end, or to `limit` examples. Waits.
---@param recipe ftrun.Recipe
---@param field "train"|"validation"
---@param options ftrun.ReadOptions
---@param emit fun(json: string, label: string, group: string, stratum: string?, moment: number?)
function Pass:read(recipe, field, options, emit)
  if not recipe.dataset.example then
    local name, message = splits.no_path(recipe.split)
    if name then
      err.raise("recipe", ("split.%s: %s"):format(name, message), { where = recipe:where("split", name) })
    end
  end
  self.fields = self.fields or splits.fields(recipe.split)
  collectgarbage("incremental", 1000) -- the small steps come in only if the full collections below do not
  local rows <close> = setmetatable({ source = source.open(recipe, field) },
    { __close = function(s)
      collectgarbage("incremental", PAUSE)
      s.source.close()
    end })
  local key = recipe.dataset.key or ""
  local after = options.after and key .. "=" .. options.after
  local last, kib = time.monotonic(), collectgarbage "count"
  while not options.limit or self.written < options.limit do
    local row, label, message = rows.source.next()
    if row == nil then break end
    if after then
      if label == after then after = nil end
    else
      self.rows = self.rows + 1
      if not row then
        self:fault(label, message)
      else
        if type(row) == "table" then self:look(row) end
        local json = self:example(recipe, row, label)
        if json then self:hand(emit, self.fields, row, label, json, key) end
      end
    end
    -- a full collection now and then costs less than the usual small steps
    if collectgarbage "count" - kib > GARBAGE_KIB then
      collectgarbage()
      kib = collectgarbage "count"
    end
    if self.rows % TURN == 0 or time.monotonic() - last > TURN_S then
      self:tell(rows.source, options)
      time.sleep(0)
      last = time.monotonic()
    end
  end
  self:tell(rows.source, options)
  if after then
    err.raise("data", ("no row has %s"):format(after), { code = "no_rows", where = recipe:where "dataset" })
  end
end

-- Of a limit or a file it is known how much there is; of a query, what the database expects.
function Pass:tell(from, options)
  if not options.on_progress then return end
  if options.limit then return options.on_progress(self.written, options.limit, "examples") end
  local done, total, unit = self.rows, nil, "rows"
  if from.position then done, total, unit = from.position(self.rows) end
  options.on_progress(done, total, unit)
end

return M
