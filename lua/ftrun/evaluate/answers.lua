--- Answers of models, each kept on disk as soon as it is there: evaluation.jsonl in the run's folder. What was answered
--- is not asked, and not paid for, again; what failed is.
local ask = require "ftrun.ask"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local shared = require "ftrun.evaluate.shared"
local time = require "ft.time"

local M = {}

local MAX_BYTES = 1 << 30
local SYNC_S = 1        -- a crash of the machine (not of ftrun) may cost the answers of so long
local GIVE_UP = 20      -- failures in a row, after which a model's other rows are not asked

---@class ftrun.evaluate.Answer  a line of evaluation.jsonl
---@field row integer
---@field model string
---@field prompt_sha256 string
---@field answer string?
---@field finish_reason string?
---@field usage table?
---@field seconds number?       from question to answer
---@field error string?         instead of an answer: nobody knows what the model would have said
---@field batch boolean?        it came through the batch API, at its price
---@field earlier boolean?      an earlier evaluation had asked the same: nothing was paid for it now
---@field scores table?         by name

local Answers = {}
Answers.__index = Answers

local function id(model, prompt_sha256) return model .. "\n" .. prompt_sha256 end

--- Opens the file, and drops a last line that a crash cut off.
---@param path string
---@return ftrun.evaluate.Answers
function M.open(path)
  local bytes, message, code = fs.read(path, MAX_BYTES)
  if not bytes and code ~= "not_found" then err.raise("system", message, { code = code }) end
  local self = setmetatable({ path = path, known = {}, order = {} }, Answers)
  local whole = 0
  for line, stop in (bytes or ""):gmatch("([^\n]*)\n()") do
    local record = json.decode(line)
    if type(record) == "table" and type(record.model) == "string" and type(record.prompt_sha256) == "string" then
      self:remember(record)
    end
    whole = stop - 1
  end
  if bytes and whole < #bytes then err.check("system", fs.write(path, bytes:sub(1, whole))) end
  return self
end

function Answers:remember(record)
  local key = id(record.model, record.prompt_sha256)
  if not self.known[key] then self.order[#self.order + 1] = key end
  if not (self.known[key] and self.known[key].answer and not record.answer) then self.known[key] = record end
end

--- What a model said to a row, or how asking it failed; nil when it was never asked.
---@return ftrun.evaluate.Answer?
function Answers:of(model, row)
  return self.known[id(model, row.prompt_sha256)]
end

-- ---- keeping ----

local Keeper = {}
Keeper.__index = Keeper

--- Puts answers on disk as they come; to be closed.
---@param o { shared: string?, provider: ftrun.Provider, on_record: fun(record: table)? }
function Answers:keeper(o)
  return setmetatable({ answers = self, file = err.check("system", fs.append(self.path)),
    shared = shared.open(o.shared, o.provider), synced = time.monotonic(),
    on_record = o.on_record or function() end }, Keeper)
end

function Keeper:put(record)
  local now = time.monotonic()
  local sync = now - self.synced > SYNC_S
  if sync then self.synced = now end
  err.check("system", self.file:write(json.encode(record) .. "\n", sync))
  self.answers:remember(record)
  if record.earlier then return end
  self.shared:add(record)
  self.on_record(record)
end

--- Takes what earlier evaluations know; gives what is left to ask.
---@param list { model: string, row: ftrun.evaluate.Row }[]
function Keeper:earlier(list)
  local left = {}
  for _, item in ipairs(list) do
    local known = self.shared:find(item.model, item.row.prompt_sha256)
    if known then
      self:put { row = item.row.row, model = item.model, prompt_sha256 = known.prompt_sha256, answer = known.answer,
        finish_reason = known.finish_reason, usage = known.usage, seconds = known.seconds, batch = known.batch,
        earlier = true }
    else
      left[#left + 1] = item
    end
  end
  return left
end

--- Returns when all is on disk.
function Keeper:sync() err.check("system", self.file:write("", true)) end

function Keeper:__close()
  self.file:write("", true)
  self.file:close()
  self.shared:close()
end

-- ---- asking ----

--- What became of one question, as a line of the file.
---@param item { model: string, row: ftrun.evaluate.Row }
---@param answer ftrun.Answer?
---@param e { message: string }?
---@return ftrun.evaluate.Answer
function M.record(item, answer, e)
  local record = { row = item.row.row, model = item.model, prompt_sha256 = item.row.prompt_sha256 }
  if not answer then
    record.error = e.message
  elseif answer.text == "" and not answer.refusal and not answer.finish_reason then
    record.error = "the provider's answer holds no choice"
  else
    -- a refusal is what the model said: it was asked, and did not do it
    record.answer, record.finish_reason, record.usage, record.seconds = answer.refusal or answer.text,
      answer.finish_reason, answer.usage, answer.seconds
  end
  return record
end

local function missing(self, models, rows)
  local list, seen = {}, {}
  for _, row in ipairs(rows) do
    for _, model in ipairs(models) do
      local key = id(model, row.prompt_sha256)
      if not seen[key] and not (self.known[key] and self.known[key].answer) then
        list[#list + 1], seen[key] = { model = model, row = row }, true
      end
    end
  end
  return list
end

--- Asks models what is missing, several questions at once. Raises what makes every question fail: no network, no key,
--- no money.
---@param o { provider: table, models: string[], rows: ftrun.evaluate.Row[], settings: table,
---  progress: fun(done: integer, total: integer), shared: string?, at_once: integer?, before: fun(keep: table)?,
---  batch: fun(list: table[], keep: table)?, on_record: fun(record: table)? }  before: what earlier starts left undone;
---  batch: asks all at once, as batches.lua does
---@return integer asked
function Answers:ask(o)
  local keep <close> = self:keeper(o)
  if o.before then o.before(keep) end
  local list = keep:earlier(missing(self, o.models, o.rows))
  if #list == 0 then return 0 end
  if o.batch then
    o.batch(list, keep)
    return #list
  end
  local asker <close> = ask.open { provider = o.provider, at_once = o.at_once, on_wait = log.warn }
  local at, done, failures = 0, 0, {}
  local function count()
    done = done + 1
    o.progress(done, #list)
  end
  local function next_request()
    while at < #list do
      at = at + 1
      local item = list[at]
      local row, model = item.row, item.model
      if (failures[model] or 0) < GIVE_UP then
        return { model = model, messages = row.messages, tools = row.tools, temperature = o.settings.temperature,
          seed = o.settings.seed, item = item }
      end
      self:remember(M.record(item, nil, { message = ("not asked after %d failures in a row"):format(GIVE_UP) }))
      count()
    end
  end
  asker:each(next_request, function(request, answer, e)
    local record = M.record(request.item, answer, e)
    failures[record.model] = record.error and (failures[record.model] or 0) + 1 or 0
    keep:put(record)
    count()
  end)
  return #list
end

--- Writes the file anew, an answer a line, each with its scores.
---@param scores table<ftrun.evaluate.Answer, table>
---@param partial boolean?  the other answers keep the scores that they have
function Answers:save(scores, partial)
  local lines = {}
  for i, key in ipairs(self.order) do
    local record = self.known[key]
    record.scores = scores[record] or partial and record.scores or nil
    lines[i] = json.encode(record) .. "\n"
  end
  err.check("system", fs.write(self.path, table.concat(lines)))
end

return M
