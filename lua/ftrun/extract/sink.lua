--- Where results go: lines of JSON on standard output or in a file, and a table. The file appears when all is done.
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local time = require "ft.time"

local M = {}

local ROWS, BYTES, SECONDS = 100, 4 << 20, 5 -- of a batch for the table
local ORDER = { "key", "result", "error", "skipped", "failed_pieces", "pieces", "requests", "model", "usage", "seconds",
  "written" }

---@class ftrun.extract.Sink
---@field usage table   tokens of all answers
---@field spent table   tokens of the answers of this start; dry: of the questions that would be asked
---@field counts { rows: integer, extracted: integer, failed: integer, skipped: integer, written: integer,
---  unchanged: integer, pieces: integer, requests: integer, earlier: integer }
local Sink = {}
Sink.__index = Sink

--- Opens it. To be closed; what is not finished leaves no file.
---@param o { model: string, format: "json"|"text", output: string?, table: ftrun.extract.Table?, dry: boolean?,
---  quiet: boolean? }  quiet: only errors on standard output
---@return ftrun.extract.Sink
function M.open(o)
  local self = setmetatable({ options = o, batch = {}, bytes = 0, counts = { rows = 0, extracted = 0, failed = 0,
    skipped = 0, written = 0, unchanged = 0, pieces = 0, requests = 0, earlier = 0 },
    usage = { prompt_tokens = 0, completion_tokens = 0 }, spent = { prompt_tokens = 0, completion_tokens = 0 } }, Sink)
  if o.output then
    local message, code
    self.file, message, code = dataset.writer(o.output)
    if not self.file then err.raise("system", message, { code = code }) end
  end
  return self
end

--- A result as it is printed.
---@param r ftrun.extract.Result
---@return string json
function Sink:line(r)
  local o = self.options
  if o.dry then
    return json.encode { key = r.key, pieces = r.pieces, prompt_tokens = r.prompt_tokens,
      answered = r.pieces and r.earlier, skipped = r.skipped,
      error = r.error and { code = r.error.code, message = r.error.message } }
  end
  local asked = r.pieces ~= nil and not r.skipped
  local value = r.result
  if value and o.format == "json" then value = err.check("system", dataset.raw(value)) end
  return (err.check("system", dataset.encode({ key = r.key, result = value, skipped = r.skipped,
    error = r.error and { code = r.error.code, message = r.error.message }, failed_pieces = r.failed_pieces,
    pieces = asked and r.pieces or nil, requests = asked and r.requests or nil, model = asked and o.model or nil,
    usage = asked and r.usage or nil, seconds = asked and tonumber(("%.3f"):format(r.seconds)) or nil,
    written = r.written }, ORDER)))
end

local function emit(self, r)
  local c = self.counts
  c.rows, c.pieces, c.requests, c.earlier = c.rows + 1, c.pieces + (r.pieces or 0), c.requests + r.requests,
    c.earlier + r.earlier
  local kind = r.error and "failed" or r.skipped and "skipped" or "extracted"
  c[kind] = c[kind] + 1
  if r.written ~= nil and not r.error then
    kind = r.written and "written" or "unchanged"
    c[kind] = c[kind] + 1
  end
  for name in pairs(self.usage) do
    self.usage[name] = self.usage[name] + r.usage[name] + (name == "prompt_tokens" and r.prompt_tokens or 0)
    self.spent[name] = self.spent[name] + r.spent[name]
  end
  local line = self:line(r)
  if self.file then err.check("system", self.file:add(line)) end
  if not self.file and not self.options.table or r.error and not self.file then log.out(line .. "\n") end
end

local function flush(self)
  local whole = {}
  for _, r in ipairs(self.batch) do if r.result and not r.error then whole[#whole + 1] = r end end
  if #whole > 0 then self.options.table:write(whole) end
  for _, r in ipairs(self.batch) do emit(self, r) end
  self.batch, self.bytes, self.since = {}, 0, nil
end

---@param r ftrun.extract.Result
function Sink:add(r)
  if not self.options.table then return emit(self, r) end
  self.batch[#self.batch + 1] = r
  self.bytes = self.bytes + #(r.result or "")
  self.since = self.since or time.monotonic()
  if #self.batch >= ROWS or self.bytes >= BYTES or time.monotonic() - self.since >= SECONDS then flush(self) end
end

--- Writes what is left, and the file.
function Sink:finish()
  if #self.batch > 0 then flush(self) end
  if self.file then err.check("system", self.file:commit()) end
end

function Sink:close()
  if self.file then self.file:close() end
end
Sink.__close = Sink.close

return M
