--- The data doctor: what is wrong with rows that are each well formed. It sees every row once and then tells what it
--- found: prompts that come again, exactly or nearly, leaks between train and validation, contradictions, labels,
--- answers that are no JSON, text escaped twice, personal data and secrets. What it finds private is in no message.
local Answers = require "ftrun.data.inspect.answers"
local Duplicates = require "ftrun.data.inspect.duplicates"
local Escapes = require "ftrun.data.inspect.escapes"
local Places = require "ftrun.data.inspect.places"
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local personal = require "ftrun.data.inspect.personal"
local row = require "ftrun.data.inspect.row"
local time = require "ft.time"

local M = {}

local Inspector = {}
Inspector.__index = Inspector

local MEMORY = 64 << 20 -- bytes to remember prompts by: exactly some 780,000, nearly some 200,000 of them
local LISTED = 1000     -- findings of one code

---@class ftrun.InspectOptions
---@field memory_bytes integer?  to remember prompts by, at least 1 MiB, default 64 MiB; when it is full, a note says so
---@field near number?           similarity from which on prompts are near duplicates, default 0.7
---@field count_tokens (fun(text: string): integer)?  for the cost of escapes; else it is told in characters

---@param options ftrun.InspectOptions?
---@return ftrun.Inspector
function M.new(options)
  options = options or {}
  return setmetatable({
    duplicates = Duplicates.new { memory_bytes = options.memory_bytes or MEMORY, near = options.near },
    answers = Answers.new(), escapes = Escapes.new(options.count_tokens),
    personal = {}, kinds = {}, rows = { train = 0, validation = 0 }, unread = 0, repeated = {},
  }, Inspector)
end

-- Long texts that come in many rows at one place (system messages, tools) are looked into once.
function Inspector:is_new(text, path)
  if #text < 64 then return true end
  local seen, second = self.repeated[path[1]], path[2] or 0
  if not seen then
    seen = {}
    self.repeated[path[1]] = seen
  end
  if seen[second] == text then return false end
  seen[second] = text
  return true
end

-- Looks into one text of a row.
local function look(text, path, n, self, place)
  if not self:is_new(text, path) then return end
  for _, p in ipairs(personal.find(text) or {}) do
    local id = p.code .. (p.detail or "")
    local found = self.personal[id]
    if not found then
      found = { code = p.code, name = p.name, detail = p.detail, masked = p.masked, places = Places.new() }
      self.personal[id] = found
      self.kinds[#self.kinds + 1] = found
    end
    found.places:add(setmetatable({ path = row.path(path, n) }, { __index = place }))
  end
  self.escapes:add(text, place, path, n)
end

--- Looks at one row. Lines that are no JSON are left to the format rules.
---@param side "train"|"validation"
---@param line_number integer  of the row in its file or source, from 1; within a file no two rows of a side share it
---@param key string?          name of the row in messages, for rows that have a better one than their line
---@param line string          the row's JSON
function Inspector:add(side, line_number, key, line)
  local value = row.decode(line)
  if value ~= nil or line:find "%S" then self.rows[side] = self.rows[side] + 1 end
  if value == nil then
    self.unread = self.unread + 1
    return
  end
  local place = { side = side, line = line_number, key = key, file = self.name }
  local r = row.read(value)
  self.duplicates:add(r, place)
  self.answers:add(r, place)
  row.texts(value, look, self, place)
end

local GARBAGE_KIB = 16 << 10 -- that rows leave behind before it is collected: full collections are rare then,
local PAUSE = 200            -- and worth more than Lua's own small steps
local TURN_S = 0.1           -- between two turns of the loop
local TURN, LONG = 64, 4096  -- rows, or bytes of one, after which the clock is read

---@class ftrun.InspectFile
---@field name string?   of the file in messages; give one when a side has several files
---@field keys (fun(line: integer): string?)?  names of the rows
---@field on_progress (fun(done: integer, total: integer))?  bytes

--- Looks at all rows of a JSONL file. Raises err "system" or "data" when it cannot be read. Waits: call it from a task.
---@param side "train"|"validation"
---@param path string
---@param options ftrun.InspectFile?
function Inspector:file(side, path, options)
  options = options or {}
  local reader = err.check("system", dataset.reader(path))
  self.name = options.name
  self.duplicates:begin(options.name)
  collectgarbage("incremental", 1000)
  local _ <close> = setmetatable({}, { __close = function()
    collectgarbage("incremental", PAUSE)
    reader:close()
  end })
  local last, kib = time.monotonic(), collectgarbage "count"
  while true do
    local line, number, code = reader:next()
    if not line then
      if code then err.unreadable(number, code) end
      return
    end
    self:add(side, number, options.keys and options.keys(number), line)
    if collectgarbage "count" - kib > math.max(GARBAGE_KIB, kib) then
      collectgarbage()
      kib = collectgarbage "count"
    end
    if (number % TURN == 0 or #line > LONG) and time.monotonic() - last > TURN_S then
      if options.on_progress then options.on_progress(reader:position()) end
      time.sleep(0)
      last = time.monotonic()
    end
  end
end

local PLURAL = { ["e-mail address"] = "e-mail addresses" }
local WHAT_TO_DO = {
  secret_key = "revoke it if it is real, and take it out: what is uploaded cannot be taken back",
  personal = "take such data out, or put something invented in its place, unless the model must learn it",
}

function Inspector:personal_findings(emit)
  table.sort(self.kinds, function(a, b)
    if a.code ~= b.code then return a.code > b.code end -- secret_key first
    return (a.detail or "") < (b.detail or "")
  end)
  for _, f in ipairs(self.kinds) do
    local n, secret = f.places.count, f.code == "secret_key"
    local name = n == 1 and (f.detail or f.name) or f.detail and f.detail .. " or the like"
      or PLURAL[f.name] or f.name .. "s"
    emit(f.places:finding { code = f.code, severity = secret and "error" or "warning",
      message = ("%s: %d in %d row%s (%s), the first is %s; %s"):format(name, n, f.places.rows,
        f.places.rows == 1 and "" or "s", f.places:text(), f.masked, WHAT_TO_DO[f.code] or WHAT_TO_DO.personal) })
  end
end

--- Everything that was found so far, the gravest kinds first; at most 1,000 of one code, then how many more there are.
---@return ftrun.Finding[]
function Inspector:findings()
  local list, counts, order, severity = {}, {}, {}, {}
  local function emit(finding)
    local n = (counts[finding.code] or 0) + 1
    counts[finding.code] = n
    if n == 1 then order[#order + 1], severity[finding.code] = finding.code, finding.severity end
    if n <= LISTED then list[#list + 1] = finding end
  end
  self.duplicates:findings(emit)
  self:personal_findings(emit)
  self.escapes:findings(emit)
  self.answers:findings(emit)
  for _, code in ipairs(order) do
    if counts[code] > LISTED then
      list[#list + 1] = { code = code, severity = severity[code],
        message = ("and %d more of these"):format(counts[code] - LISTED) }
    end
  end
  return list
end

--- What is known of the whole: rows by side, lines that could not be read, and the labels when the answers are labels.
---@return { rows: table<string, integer>, unread: integer, labels: { label: string, count: integer }[]? }
function Inspector:summary()
  return { rows = self.rows, unread = self.unread, labels = self.answers:counts "train" }
end

--- Frees what was remembered. Idempotent.
function Inspector:close() self.duplicates:close() end

Inspector.__close = Inspector.close

return M
