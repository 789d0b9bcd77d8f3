--- Asks through the batch API: half the price, an answer within a day. What is asked, uploaded and created is in
--- batches.jsonl before it happens: after a crash the next start goes on with the same batches, and none is paid twice.
local amounts = require "ftrun.text.amounts"
local answers = require "ftrun.evaluate.answers"
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local log = require "ft.log"
local once = require "ftrun.run.once"
local questions = require "ftrun.providers.questions"
local time = require "ft.time"

local M = {}

-- Seconds between two looks: longer and longer. The local provider is asked often, it has nobody else.
local LOOK = { first = 5, longest = 60, loopback = 0.2 }

---@class ftrun.evaluate.Part     what the journal says of one batch
---@field key string              also in the batch's metadata
---@field model string
---@field filename string
---@field requests integer
---@field bytes integer

local Batches = {}
Batches.__index = Batches

local function path_of(dir) return dir .. "/batches.jsonl" end

local function open_parts(records)
  local parts, order = {}, {}
  for _, record in ipairs(records) do
    local what, key = (record.phase or ""):match "^(%a+):(%w+)$"
    if what == "part" then
      parts[key] = record.data
      order[#order + 1] = key
    elseif what == "merged" then
      parts[key] = nil
    end
  end
  local list = {}
  for _, key in ipairs(order) do list[#list + 1] = parts[key] end
  return list
end

--- Whether batches of an earlier start are not merged yet: they are paid.
---@param dir string
---@return boolean
function M.pending(dir) return #open_parts(journal.read(path_of(dir))) > 0 end

--- The batches of an evaluation's folder; to be closed.
---@param o { dir: string, provider: ftrun.Provider, progress: fun(label: string, done: integer, total: integer) }
---@return ftrun.evaluate.Batches
function M.open(o)
  local self = setmetatable({ dir = o.dir, provider = o.provider, progress = o.progress,
    journal = journal.open(path_of(o.dir)), ui = { note = log.warn } }, Batches)
  local open = {}
  for _, part in ipairs(open_parts(self.journal.records)) do open[part.key] = true end
  for _, name in ipairs(fs.list(o.dir) or {}) do -- what a crash left half written, of which nothing was sent
    local key = name:match "^batch%-(%w+)%.%a+%.jsonl$"
    if key and not open[key] then fs.remove(o.dir .. "/" .. name) end
  end
  return self
end

function Batches:__close() self.journal:close() end

function Batches:file(part, kind) return ("%s/batch-%s.%s.jsonl"):format(self.dir, part.key, kind) end

-- ---- writing ----

--- Cuts a list of questions into files that the provider takes: of one model each, not too many, not too large.
---@param list { model: string, row: ftrun.evaluate.Row }[]
---@param settings table
function Batches:write(list, settings)
  local dialect, by_model, models = self.provider.dialect, {}, {}
  for _, item in ipairs(list) do
    if not by_model[item.model] then
      by_model[item.model], models[#models + 1] = {}, item.model
    end
    table.insert(by_model[item.model], item)
  end
  for _, model in ipairs(models) do
    local part, file
    local function finish()
      if not part then return end
      err.check("system", file:write("", true))
      file:close()
      self.journal:done("part:" .. part.key, part)
      part = nil
    end
    local _ <close> = setmetatable({}, { __close = function() if part then file:close() end end })
    for i, item in ipairs(by_model[model]) do
      local row = item.row
      local line = questions.line(row.prompt_sha256, { model = model, messages = row.messages, tools = row.tools,
        temperature = settings.temperature, seed = settings.seed }) .. "\n"
      if part and (part.requests >= dialect.batch_requests or part.bytes + #line > dialect.batch_bytes) then
        finish()
      end
      if not part then
        local key = digest.random_hex(8)
        part = { key = key, model = model, filename = ("ftrun-batch-%s.jsonl"):format(key), requests = 0, bytes = 0 }
        file = err.check("system", fs.append(self:file(part, "input")))
      end
      err.check("system", file:write(line))
      part.requests, part.bytes = part.requests + 1, part.bytes + #line
      if i % 1000 == 0 then time.sleep(0) end
    end
    finish()
  end
end

-- ---- sending ----

local function start(self, part)
  local provider = self.provider
  local uploaded = once.ensure(self, "upload:" .. part.key, function()
    return provider:find_file { filename = part.filename, bytes = part.bytes, purpose = "batch" }
  end, provider.put_file, { path = self:file(part, "input"), filename = part.filename, purpose = "batch",
    on_progress = function(sent, total) self.progress("uploading a batch", sent, total) end })
  local metadata = { ftrun_batch = part.key }
  return once.ensure(self, "create:" .. part.key, function() return provider:find_batch(metadata) end,
    provider.create_batch, { input_file = uploaded.id, metadata = metadata }).id
end

-- ---- fetching ----

local function merge_file(self, part, id, keep, rows)
  if not id then return 0 end
  local path, count = self:file(part, "fetched"), 0
  self.provider:fetch_file(id, path)
  local reader = err.check("system", dataset.reader(path))
  local _ <close> = setmetatable({}, { __close = function()
    reader:close()
    fs.remove(path)
  end })
  while true do
    local line, number, code = reader:next()
    if not line then
      if code then err.raise("provider", "the batch's answers cannot be read: " .. number, { code = code }) end
      return count
    end
    local prompt, answer, message = questions.read(line)
    if prompt then
      local row = rows[prompt] or { prompt_sha256 = prompt }
      local record = answers.record({ model = part.model, row = row }, answer, { message = message })
      record.batch = true
      keep:put(record)
      count = count + 1
    end
    if number % 200 == 0 then time.sleep(0) end
  end
end

local function failure(batch)
  local e = batch.errors[1] or {}
  return ("the batch %s %s: %s%s"):format(batch.id, batch.status, e.message or e.code or "no reason is given",
    e.line and (" (line %d of its file)"):format(e.line) or "")
end

-- Merges what a batch has; the words of why it failed as a whole.
local function collect(self, part, batch, keep, rows)
  local answered = merge_file(self, part, batch.output_file, keep, rows)
  local failed = merge_file(self, part, batch.error_file, keep, rows)
  keep:sync()
  self.journal:done("merged:" .. part.key, { status = batch.status, answered = answered, failed = failed })
  fs.remove(self:file(part, "input"))
  if batch.status == "failed" then return failure(batch) end
  if batch.status ~= "completed" then
    log.warn(("the batch %s is %s: %d of %s have an answer; the same command asks the others"):format(batch.id,
      batch.status, answered, amounts.count(part.requests, "request")))
  end
end

--- Starts what is not started, and waits for all that is open: the answers are kept as each batch ends. Raises when one
--- was refused as a whole, after the others have ended.
---@param keep table                                     of answers.lua
---@param rows table<string, ftrun.evaluate.Row>         by prompt_sha256
function Batches:finish(keep, rows)
  local open, total, failed = {}, 0, nil
  for i, part in ipairs(open_parts(self.journal.records)) do
    open[i] = { part = part, id = start(self, part), done = 0 }
    total = total + part.requests
  end
  local loopback, done, pause = self.provider.name == "local", 0, LOOK.first
  while #open > 0 do
    local left, now = {}, done
    for _, one in ipairs(open) do
      local batch = self.provider:batch(one.id)
      if batch.open then
        left[#left + 1] = one
        now = now + (batch.counts.completed or 0) + (batch.counts.failed or 0)
      else
        local why = collect(self, one.part, batch, keep, rows)
        failed = failed or why
        done, now = done + one.part.requests, now + one.part.requests
      end
    end
    open = left
    self.progress("waiting for batches", now, total)
    if #open > 0 then
      time.sleep(loopback and LOOK.loopback or pause)
      pause = math.min(LOOK.longest, pause * 1.5)
    end
  end
  if failed then
    err.raise("provider", failed, { code = "batch_failed",
      advice = "Nothing of it was asked. The same command asks anew; without --batch, one by one." })
  end
end

return M
