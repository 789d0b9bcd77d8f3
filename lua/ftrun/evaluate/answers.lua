--- Answers of models, each kept on disk as soon as it is there: evaluation.jsonl in the run's folder. What was answered
--- is not asked, and not paid for, again; what failed is.
local ask = require "ftrun.ask"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"

local M = {}

local MAX_BYTES = 1 << 30
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

local function record_of(item, answer, e)
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
---  progress: fun(done: integer, total: integer), at_once: integer?, on_record: fun(record: table)? }
---@return integer asked
function Answers:ask(o)
  local list = missing(self, o.models, o.rows)
  if #list == 0 then return 0 end
  local file = err.check("system", fs.append(self.path))
  local _ <close> = setmetatable({}, { __close = function() file:close() end })
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
      self:remember(record_of(item, nil, { message = ("not asked after %d failures in a row"):format(GIVE_UP) }))
      count()
    end
  end
  asker:each(next_request, function(request, answer, e)
    local record = record_of(request.item, answer, e)
    failures[record.model] = record.error and (failures[record.model] or 0) + 1 or 0
    err.check("system", file:write(json.encode(record) .. "\n", true))
    self:remember(record)
    if o.on_record then o.on_record(record) end
    count()
  end)
  return #list
end

--- Writes the file anew, an answer a line, each with its scores.
---@param scores table<ftrun.evaluate.Answer, table>
function Answers:save(scores)
  local lines = {}
  for i, key in ipairs(self.order) do
    local record = self.known[key]
    record.scores = scores[record]
    lines[i] = json.encode(record) .. "\n"
  end
  err.check("system", fs.write(self.path, table.concat(lines)))
end

return M
