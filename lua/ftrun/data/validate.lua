--- Validates a JSONL file in one pass and constant memory. C reads, checks the JSON and reduces each row to its
--- skeleton; the rules judge each skeleton once, and C passes over rows whose skeleton was found good without telling.
local codes = require "ftrun.data.rules.codes"
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local limits = require "ftrun.data.rules.limits"
local rules = require "ftrun.data.rules"
local time = require "ft.time"
local tokens = require "ftrun.data.tokens"

local M = {}

local VOTERS = 100 -- rows that decide what the file is for
local OFTEN = 2000 -- events between two turns of the loop
local BATCH_BYTES = 4 << 20

---@class ftrun.validate.Options
---@field method string?      supervised, dpo, reinforcement, completions; nil: what most of the first rows look like
---@field model string?       its limits count
---@field validation boolean? a validation file: few examples are enough
---@field on_progress fun(done: integer, total: integer)?

---@class ftrun.validate.Result
---@field rows integer     lines that are not blank
---@field method string
---@field bytes integer    on disk (of standard input: read)

local FAULTS = { empty = "empty_line" } -- other codes are the scanner's own

local function fault(line, message, code, offset)
  code = FAULTS[code] or code
  local finding = codes.finding(code, "", code ~= "empty_line" and message or nil)
  finding.line, finding.offset = line, offset
  return finding
end

-- ---- one pass ----

local Pass = {}
Pass.__index = Pass

-- The verdict on skeleton `number`, made when it is new. The scan forgets all numbers when it runs out of room.
function Pass:verdict(number, skeleton)
  if skeleton then
    if number == 1 then self.verdicts = {} end
    local verdict = rules.judge(skeleton, self.method, self.model)
    if number == 0 then return verdict end
    self.verdicts[number] = verdict
    if #verdict.findings == 0 and verdict.images == 0 then self.scan:accept(number) end
  end
  return self.verdicts[number]
end

function Pass:row(line, number, skeleton)
  local verdict = self:verdict(number, skeleton)
  if verdict.images > 0 then self.image_rows = self.image_rows + 1 end
  for _, f in ipairs(verdict.findings) do
    self.emit { line = line, code = f.code, severity = f.severity, path = f.path, message = f.message,
      fixable = f.fixable }
  end
end

function Pass:say(kind, line, a, b, c)
  if kind == "fault" then
    self.emit(fault(line, a, b, c))
  elseif kind ~= "accepted" then
    self:row(line, a, b)
  end
end

-- A row has at least one byte for each of its tokens, so only long ones need counting; batches use all cores.
function Pass:count(line)
  local text = self.limit and self.scan:line()
  if not text or #text <= self.limit then return end
  local batch = self.batch
  batch[#batch + 1], batch.lines[#batch + 1], batch.bytes = text, line, batch.bytes + #text
  if batch.bytes > BATCH_BYTES then self:flush() end
end

function Pass:flush()
  if not self.batch or #self.batch == 0 then return end
  for i, n in ipairs(self.counter:rows(self.batch)) do
    if n and n > self.limit then
      local finding = codes.finding("example_too_long", "",
        ("%d tokens, %s takes %d and cuts the end off, the answer"):format(n, self.model.name, self.limit))
      finding.line = self.batch.lines[i]
      self.emit(finding)
    end
  end
  self.batch = { lines = {}, bytes = 0 }
end

-- Events wait until enough rows were seen to tell what the file is for.
function Pass:decide()
  local skeletons, by_number = {}, {}
  for _, event in ipairs(self.waiting) do
    if event[1] ~= "fault" then
      by_number[event[3]] = event[4] or by_number[event[3]]
      skeletons[#skeletons + 1] = by_number[event[3]]
    end
  end
  self.method = rules.detect(skeletons)
  local waiting = self.waiting
  self.waiting = nil
  for _, event in ipairs(waiting) do self:say(table.unpack(event, 1, 5)) end
end

function Pass:event(kind, line, a, b, c)
  if kind ~= "fault" then self:count(line) end
  if self.waiting then
    self.waiting[#self.waiting + 1] = { kind, line, a, b, c }
    if #self.waiting == VOTERS then self:decide() end
  else
    self:say(kind, line, a, b, c)
  end
end

function Pass:read(on_progress)
  local count = 0
  while true do
    local kind, line, a, b, c = self.scan:next()
    if kind == nil then
      if line then err.unreadable(line, a) end
      break
    end
    if kind ~= "turn" then self:event(kind, line, a, b, c) end
    count = count + 1
    if kind == "turn" or count % OFTEN == 0 then
      if on_progress then on_progress(self.scan:position()) end
      time.sleep(0)
    end
  end
  if self.waiting then self:decide() end
  self:flush()
end

--- Reads a file (plain or gzip, "-": standard input) and gives every finding to `emit`, in the order of the lines
--- (examples that are too long: a little later); those of the file as a whole come last. Raises err "system" or "data"
--- when it cannot be read. Waits: call it from a task.
---@param path string
---@param options ftrun.validate.Options
---@param emit fun(finding: ftrun.Finding)
---@return ftrun.validate.Result
function M.file(path, options, emit)
  local model = options.model and limits.model(options.model)
  local limit = model and model.example_tokens
  local scan, message, code = dataset.scan(path, rules.shape(), nil, limit)
  if not scan then err.raise(code == "gzip" and "data" or "system", message, { code = code }) end
  local pass = setmetatable({ scan = scan, emit = emit, method = options.method, verdicts = {}, image_rows = 0,
    model = model, limit = limit, batch = { lines = {}, bytes = 0 }, waiting = not options.method and {} or nil },
    Pass)
  local counter <close> = limit and tokens.counter { model = options.model } or nil
  local _ <close> = setmetatable({}, { __close = function() scan:close() end })
  pass.counter = counter
  pass:read(options.on_progress)
  local done, total, rows = scan:position()
  local file = { rows = rows, bytes = math.max(done, total), image_rows = pass.image_rows,
    validation = options.validation }
  for _, finding in ipairs(limits.check(pass.method, file, pass.model)) do emit(finding) end
  return { rows = rows, method = pass.method, bytes = file.bytes }
end

--- True when the path names a file that can be read again (not standard input or a pipe).
---@param path string
---@return boolean
function M.is_file(path)
  local info = path ~= "-" and fs.stat(path)
  return info and info.type == "file" or false
end

return M
