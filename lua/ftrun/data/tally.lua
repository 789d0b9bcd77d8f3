--- Counts the tokens of a JSONL file's examples: streamed, in batches that keep every core busy, with exact quantiles
--- in memory that grows with the different lengths and not with the rows.
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local histogram = require "ftrun.data.histogram"
local time = require "ft.time"

local M = {}

--- What the counter gets at once: enough to share among cores, little enough to hold.
local BATCH_BYTES, BATCH_ROWS = 2 << 20, 2000
local FIRST = 5 -- lines that are remembered for being too long

---@class ftrun.Tally
---@field histogram ftrun.Histogram  of the tokens of the examples
---@field billed integer       all tokens, each example cut at the limit: the provider reads no further
---@field longest { line: integer, tokens: integer }?
---@field over { count: integer, first: { line: integer, tokens: integer }[] }?  examples above the limit

local function note(tally, tokens, line, limit)
  tally.histogram:add(tokens)
  tally.billed = tally.billed + (limit and math.min(tokens, limit) or tokens)
  if not tally.longest or tokens > tally.longest.tokens then tally.longest = { line = line, tokens = tokens } end
  if limit and tokens > limit then
    tally.over = tally.over or { count = 0, first = {} }
    tally.over.count = tally.over.count + 1
    if #tally.over.first < FIRST then table.insert(tally.over.first, { line = line, tokens = tokens }) end
  end
end

-- ---- lines as they come ----

local Stream = {}
Stream.__index = Stream

---@class ftrun.tally.Counter  one without start counts while the caller waits
---@field rows fun(self, lines: string[]): (integer|false)[]
---@field start (fun(self, lines: string[], sound: boolean?): { finish: fun(self): (integer|false)[] })?

--- Counts lines in batches while the caller makes the next ones: add(line, number), then finish(). Holds two batches.
---@param counter ftrun.tally.Counter
---@param limit integer?  tokens that the provider reads of an example
---@param sound boolean?   each line was found valid JSON before
function M.stream(counter, limit, sound)
  return setmetatable({ counter = counter, limit = limit, sound = sound, bytes = 0, lines = {}, numbers = {},
    tally = { histogram = histogram.new(), billed = 0 } }, Stream)
end

-- Takes the batch that is being counted, if there is one.
function Stream:collect()
  if not self.job then return end
  local counts, numbers = self.job:finish(), self.counting
  self.job = nil
  for i, tokens in ipairs(counts) do
    if tokens then note(self.tally, tokens, numbers[i], self.limit) end
  end
end

function Stream:flush()
  self:collect()
  if #self.lines == 0 then return end
  local lines, counter = self.lines, self.counter
  self.counting = self.numbers
  self.job = counter.start and counter:start(lines, self.sound)
    or { finish = function() return counter:rows(lines) end }
  self.lines, self.numbers, self.bytes = {}, {}, 0
end

---@return boolean flushed  a batch is full and being counted
function Stream:add(line, number)
  local n = #self.lines + 1
  self.lines[n], self.numbers[n], self.bytes = line, number, self.bytes + #line
  if self.bytes < BATCH_BYTES and n < BATCH_ROWS then return false end
  self:flush()
  return true
end

---@return ftrun.Tally
function Stream:finish()
  self:flush()
  self:collect()
  return self.tally
end

-- ---- a file ----

--- Counts a file. Raises err "system" and "data". Waits: call it from a task.
---@param path string
---@param counter ftrun.tally.Counter
---@param options { limit: integer?, on_progress: fun(done: integer, total: integer)? }?
---@return ftrun.Tally
function M.file(path, counter, options)
  options = options or {}
  local reader <close> = err.check("system", dataset.reader(path))
  local stream = M.stream(counter, options.limit)
  while true do
    local line, number, code = reader:next()
    if not line then
      if code then err.unreadable(number, code, path) end
      return stream:finish()
    end
    if line:find "%S" and stream:add(line, number) then
      if options.on_progress then options.on_progress(reader:position()) end
      time.sleep(0) -- lets Ctrl-C in
    end
  end
end

return M
