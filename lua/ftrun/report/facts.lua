--- What a run's folder knows, read from its files alone; every file may be missing, and one that a crash cut off counts
--- as far as it goes.
local examples = require "ftrun.report.examples"
local fs = require "ft.fs"
local journal = require "ftrun.run.journal"
local json = require "ftrun.json"

local M = {}

local MAX_BYTES = 1 << 30
local MAX_ROWS, MAX_EVENTS = 20000, 300

---@class ftrun.Report.Facts
---@field dir string
---@field run table           run.json
---@field result table?       result.json
---@field prepared table?     of the journal, as the next three
---@field plan table?
---@field created table?
---@field job table?          as it was at the end
---@field gate table?         the gate's decision
---@field metrics table[]     rows of metrics.jsonl
---@field every integer       1: all rows; n: every n-th of them, and those with full validation
---@field events table[]      messages of the provider, the newest ones when there are many
---@field older integer       messages that were left out
---@field evaluation table?   evaluation.json
---@field cancelled string?    why the recipe's hook had the job cancelled
---@field examples ftrun.report.Example[]  none where texts are not wanted
---@field promotions ftrun.Promotion[]     of the run's journal, with rollbacks, oldest first
---@field lock string?        lock.json as it stands

local function object(path)
  local value = json.decode(fs.read(path) or "")
  return type(value) == "table" and value or nil
end

-- A long training has more steps than anybody sees in a curve: decoding all of them would take longer than drawing.
local function metrics(bytes)
  local _, count = bytes:gsub("\n", "")
  local every, rows, i = math.max(1, count // MAX_ROWS), {}, 0
  for line in bytes:gmatch "([^\n]*)\n" do
    if i % every == 0 or i == count - 1 or line:find('"full_valid', 1, true) then
      local row = json.decode(line)
      if type(row) == "table" and type(row.step) == "number" then rows[#rows + 1] = row end
    end
    i = i + 1
  end
  table.sort(rows, function(a, b) return a.step < b.step end)
  return rows, every
end

local function events(bytes)
  local lines, first = {}, 1
  for line in bytes:gmatch "([^\n]*)\n" do
    if line:find('"type":"message"', 1, true) then lines[#lines + 1] = line end
  end
  first = math.max(first, #lines - MAX_EVENTS + 1)
  local list = {}
  for i = first, #lines do list[#list + 1] = json.decode(lines[i]) end
  return list, first - 1
end

--- Reads a run's folder.
---@param dir string
---@param o { texts: boolean?, texts_of: string? }?  texts: false leaves out all texts of rows; texts_of: another
---  folder that holds them
---@return ftrun.Report.Facts
function M.read(dir, o)
  local records = journal.read(dir .. "/journal.jsonl")
  local function phase(name)
    for i = #records, 1, -1 do
      if records[i].phase == name then return records[i].data end
    end
  end
  local f = { dir = dir, run = object(dir .. "/run.json") or {}, result = object(dir .. "/result.json"),
    prepared = phase "prepare", plan = phase "plan", created = phase "create", job = phase "watch", gate = phase "gate",
    evaluation = object(dir .. "/evaluation.json"), lock = fs.read(dir .. "/lock.json") }
  f.promotions = {}
  for _, r in ipairs(records) do
    if r.intent == "cancel" and type(r.data) == "table" then f.cancelled = r.data.reason end
    if (r.phase == "promote" or r.phase == "rollback") and type(r.data) == "table" and not r.data.unchanged then
      f.promotions[#f.promotions + 1] = r.data
    end
  end
  f.examples = f.evaluation and not (o and o.texts == false) and examples.choose(o and o.texts_of or dir, f.evaluation)
    or {}
  f.metrics, f.every = metrics(fs.read(dir .. "/metrics.jsonl", MAX_BYTES) or "")
  f.events, f.older = events(fs.read(dir .. "/events.jsonl", MAX_BYTES) or "")
  return f
end

--- The name that people call the run by.
---@param f ftrun.Report.Facts
---@return string
function M.name(f)
  return f.run.name or f.plan and f.plan.recipe and f.plan.recipe.name or f.dir:match "[^/]*$"
end

---@param f ftrun.Report.Facts
---@return string
function M.state(f)
  return f.result and f.result.state or f.job and f.job.state or f.run.state or "unknown"
end

--- Whether no model came of the job.
---@param f ftrun.Report.Facts
function M.ended_badly(f)
  local state = M.state(f)
  return state == "failed" or state == "cancelled"
end

--- Why a job has failed, or was cancelled, as far as it is known.
---@param f ftrun.Report.Facts
---@return string?
function M.why(f)
  if not M.ended_badly(f) then return nil end
  local wrong = f.result and f.result.error or f.job and f.job.error
  if type(wrong) == "table" and (wrong.message or wrong.code) then return wrong.message or wrong.code end
  return M.state(f) == "cancelled" and f.cancelled and "The recipe cancelled it: " .. f.cancelled or nil
end

--- One metric as points { step, value }.
---@param f ftrun.Report.Facts
---@param name string
---@return number[][]
function M.points(f, name)
  local list = {}
  for _, row in ipairs(f.metrics) do
    local v = row[name]
    if type(v) == "number" and v == v then list[#list + 1] = { row.step, v } end
  end
  return list
end

--- The validation's own points: of all validation rows at the end of an epoch; else of the few that a step looks at.
---@param f ftrun.Report.Facts
---@param what "loss"|"mean_token_accuracy"
---@return number[][] points
---@return boolean full
function M.validation(f, what)
  local full = M.points(f, "full_valid_" .. what)
  if #full > 0 then return full, true end
  return M.points(f, "valid_" .. what), false
end

return M
