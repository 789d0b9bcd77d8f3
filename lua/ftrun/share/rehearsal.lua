--- A recipe tried offline, as a whole and small: loaded, its hooks called (numbers.lua says with what), its rows
--- prepared and planned, a model trained and measured by the local provider in a folder of its own. Nothing is sent, no
--- lock file is written, nothing is promoted, nothing is left.
local amounts = require "ftrun.text.amounts"
local dataset = require "ftrun.data.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local is_file_id = require "ftrun.recipe.fileid"
local journal = require "ftrun.run.journal"
local numbers = require "ftrun.share.numbers"
local promote = require "ftrun.run.promote"
local recipe = require "ftrun.recipe"
local run = require "ftrun.run"
local runs = require "ftrun.run.runs"
local secrets = require "ft.secrets"
local source = require "ftrun.data.source"
local target = require "ftrun.target"
local time = require "ft.time"

local M = {}

---@class ftrun.Rehearsal
---@field recipe string
---@field result "ok"|"failed"|"skipped"
---@field message string?   why it failed or was skipped
---@field error ftrun.Error?
---@field data string?      file that stood in for the query's rows
---@field rows integer?     examples
---@field train integer?
---@field validation integer?
---@field score { name: string, value: number }?
---@field hooks { run: string?, steps: integer? }?  the run whose numbers they were called with, besides made-up ones
---@field notes string[]
---@field seconds number

-- ---- hooks ----

-- A recipe's hooks with made-up numbers, and with those of its last real run; answers which they were.
local function call_hooks(loaded, report)
  if not next(loaded.on or {}) then return end
  local d = loaded.dataset
  numbers.call(loaded, numbers.made_up((loaded.split or d.validation) ~= nil))
  local last = numbers.last(loaded.name)
  if last then numbers.call(loaded, last) end
  report.hooks = { run = last and last.run, steps = last and last.steps }
  report.notes[#report.notes + 1] = "hooks called with made-up numbers" .. (last
    and (", and with %s%s of run %s"):format(last.steps < last.of and amounts.number(last.steps) .. " of " or "",
      amounts.count(last.of, "step"), last.run) or "")
end

-- ---- rows ----

-- A file that stands in for the rows of a query: a path from the command line is the user's own word.
local function stand_in(loaded, path)
  local d = loaded.dataset
  local real = err.check("usage", fs.realpath(path))
  loaded.dataset = { kind = "jsonl", path = real, key = d.key, example = d.example }
  loaded.overrides = { table.unpack(loaded.overrides) }
  table.insert(loaded.overrides, { "dataset.path", real })
end

-- Sees to the rows; answers the file that stands in for them, or nil and why there are none.
local function find_rows(loaded, data)
  local d = loaded.dataset
  if d.kind == "files" and is_file_id(d.train) then
    return nil, "its training file is at the provider, and cannot be read here"
  end
  if d.kind == "files" and not fs.stat(source.resolve(loaded, d.train)) then
    return nil, ("%s is not there (yet)"):format(d.train)
  end
  if d.kind ~= "postgres" then return nil end
  local sample = data or loaded.path:gsub("%.lua$", "") .. ".sample.jsonl"
  local name = type(d.url) == "table" and d.url.env
  local reachable = not name or secrets.origin(name) or d.url.default
  if data or not reachable and fs.stat(sample) then
    stand_in(loaded, sample)
    return sample
  end
  if reachable then return nil end
  return nil, ("%s is not set; put rows as the query returns them into %s, or name a file: --data"):format(name, sample)
end

-- ---- the run ----

local SILENT = setmetatable({ confirm = function() return true end },
  { __index = function() return function() end end })

local function train(loaded, dir, limit)
  local t <close> = target.open "local"
  loaded.path = dir .. "/" .. loaded.path:match "[^/]*$" -- the lock file goes there
  loaded.on, loaded.gate, loaded.promote, loaded.wandb, loaded.budget = nil, nil, nil, nil, nil
  loaded.hyperparameters.n_epochs = 1
  return run.start { recipe = loaded, provider = t.provider, ui = SILENT, limit = limit, new = true, private = true }
end

local function counted(prepared, report)
  report.rows, report.train = prepared.written, prepared.train.rows
  report.validation = prepared.validation and prepared.validation.rows
end

-- What the run had prepared, however it ended.
local function count_rows(dir, report)
  for _, id in ipairs(fs.list(dir .. "/runs") or {}) do
    for _, record in ipairs(journal.read(("%s/runs/%s/journal.jsonl"):format(dir, id))) do
      if record.phase == "prepare" then
        counted(record.data, report)
      end
    end
  end
end

local function rehearse(path, o, report)
  local loaded <close> = recipe.load(path, { set = o.set })
  local why
  report.data, why = find_rows(loaded, o.data)
  if why then
    report.result, report.message = "skipped", why
    return
  end
  call_hooks(loaded, report)
  if loaded.promote then promote.locate(loaded) end
  local dir = err.check("system", fs.temporary "ftrun-test")
  local _ <close> = setmetatable({}, { __close = function()
    runs.keep_in(nil)
    fs.remove(dir, true)
  end })
  runs.keep_in(dir)
  local ok, result = pcall(train, loaded, dir, o.limit)
  count_rows(dir, report)
  -- a method that is not learnt here: the plan has said so, and its run is gone
  if not ok and err.is(result) and result.code == "method_not_supported" then
    counted(dataset.prepare(loaded, { dir = dir, limit = o.limit }), report)
  end
  if not ok then
    -- prepared and planned, but of a kind that the local provider does not learn: that is no fault of the recipe
    if not (err.is(result) and result.kind == "provider" and report.rows) then error(result, 0) end
    report.notes[#report.notes + 1] = "not trained: " .. result.message
  elseif result.state ~= "succeeded" then
    local message = type(result.error) == "table" and result.error.message or result.state
    report.notes[#report.notes + 1] = "not trained: " .. tostring(message)
  elseif result.evaluation and result.evaluation.problem then
    report.notes[#report.notes + 1] = "not measured: " .. result.evaluation.problem
  elseif result.evaluation and result.evaluation.scores[1] then
    local s = result.evaluation.scores[1]
    report.score = s.tuned and { name = s.name, value = s.tuned.value }
  end
end

--- Tries one recipe. Raises nothing for what is wrong with it.
---@param path string
---@param o { data: string?, limit: integer, set: string[]? }
---@return ftrun.Rehearsal
function M.of(path, o)
  local report, began = { recipe = path, result = "ok", notes = {} }, time.monotonic()
  local ok, e = pcall(rehearse, path, o, report)
  if not ok then
    if not err.is(e) then error(e, 0) end
    local messages = {}
    for i, one in ipairs(e.list or { e }) do messages[i] = tostring(one) end
    report.result, report.message, report.error = "failed", table.concat(messages, "\n"), e
  end
  report.seconds = time.monotonic() - began
  return report
end

return M
