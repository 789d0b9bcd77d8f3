--- What the W&B run of a fine-tuning job holds besides its numbers: what it was made from (recipe, data), what came of
--- it (model, scores), and how they belong together: dataset -> run -> model. Texts of examples are in none of it,
--- unless the recipe says `log_datasets`.
local artifact = require "ftrun.wandb.artifact"
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local records = require "ftrun.wandb.records"
local rows = require "ftrun.evaluate.rows"
local tables = require "ftrun.wandb.table"

local content = {}

local SIDES = {
  train = { type = "training_files", table = "train_data" },
  validation = { type = "validation_files", table = "valid_data", prefix = "valid" },
}
local ROLES = { "system", "user", "assistant" }
local EVALUATION_MAX = 1 << 30

--- What is known of a file of examples, without a word of it.
---@return table?
function content.file_facts(c, side)
  local file, planned = c.prepare[side], c.plan[side]
  if not file then return nil end
  return { rows = file.rows, bytes = file.bytes, sha256 = file.sha256,
    file_id = c.upload and c.upload[side] and c.upload[side].id or file.file_id,
    tokens = planned and planned.tokens and planned.tokens.total }
end

-- The first rows of a file of chats, a column a role; texts of one role are put together.
local function table_of(path)
  local reader = err.check("system", dataset.reader(path))
  local _ <close> = setmetatable({}, { __close = function() reader:close() end })
  local data = {}
  while #data < tables.ROWS_MAX do
    local line, message, code = reader:next()
    if not line then
      if code then err.raise("system", message, { code = code, where = path }) end
      break
    end
    local row, messages = {}, rows.decode(line)
    messages = type(messages) == "table" and messages.messages or {}
    for i, role in ipairs(ROLES) do
      local texts = {}
      for _, m in ipairs(messages) do
        if m.role == role then
          texts[#texts + 1] = type(m.content) == "string" and m.content or json.encode(m.content or m.tool_calls or "")
        end
      end
      row[i] = #texts > 0 and table.concat(texts, "\n\n") or nil
    end
    data[#data + 1] = row
  end
  local columns = {}
  for i, role in ipairs(ROLES) do columns[i] = "role: " .. role end
  return columns, data
end

--- Files of the run: the recipe always, what it read only where texts may go along.
local function keep_recipe(t)
  local names, from = {}, t.c.dir
  if not from or not fs.stat(from .. "/recipe.lua") then return end
  local function keep(name)
    artifact.copy(from .. "/" .. name, t.folder .. "/files/" .. name)
    names[#names + 1] = name
  end
  keep "recipe.lua"
  if t.open then
    for i, source in ipairs(t.c.recipe.sources or {}) do
      if i > 1 then keep("sources/" .. source.path) end
    end
  end
  t:add(records.files(names, true))
end

local function log_dataset(t, side)
  local c, kind, facts = t.c, SIDES[side], content.file_facts(t.c, side)
  if not facts then return end
  local id = facts.file_id or facts.sha256 and facts.sha256:sub(1, 16) or "unknown"
  facts.items = facts.rows
  local files = { { path = "dataset.json", bytes = json.encode(facts) .. "\n" } }
  local path = c.prepare[side].path
  if t.open and path and fs.stat(path) then
    files[2] = { path = id, from = path }
    local columns, data = table_of(path)
    t:table { key = kind.table, columns = columns, rows = data }
  end
  t:add((artifact.make(t.place, { name = ("%s-%s"):format(kind.prefix or side, id), type = kind.type, metadata = facts,
    aliases = { id }, input = true, files = files })))
end

--- What is known before the job says anything. `t` is the tracker: its place, and its ways to add.
function content.opening(t)
  keep_recipe(t)
  log_dataset(t, "train")
  log_dataset(t, "validation")
end

-- ---- at the end ----

local function keep_lock(t)
  local path = t.c.dir and t.c.dir .. "/lock.json"
  if not path or not fs.stat(path) then return end
  artifact.copy(path, t.folder .. "/files/recipe.lock.json")
  t:add(records.files({ "recipe.lock.json" }, true))
end

-- "2026-11-22 09:00:00" of this machine, as W&B's own integration writes times
local function date(seconds)
  return seconds and os.date("%Y-%m-%d %H:%M:%S", math.floor(seconds)) or nil
end

--- The job as the provider has it, by the provider's own names.
---@param job table  canonical; see providers/values.lua
---@return table
local function job_facts(job)
  return { id = job.id, object = "fine_tuning.job", created_at = date(job.created_at),
    finished_at = date(job.finished_at), estimated_finish = job.estimated_finish, model = job.base_model,
    fine_tuned_model = job.model, status = job.status, seed = job.seed, trained_tokens = job.trained_tokens,
    training_file = job.training_file, validation_file = job.validation_file, organization_id = job.organization_id,
    hyperparameters = job.hyperparameters, metadata = job.metadata,
    result_files = job.result_files and job.result_files[1],
    error = job.error and { code = job.error.code, message = job.error.message, param = job.error.param } }
end

local function log_model(t, job)
  local facts = job_facts(job)
  local c = t.c
  facts.ftrun = { run = c.summary and c.summary.id, recipe = c.recipe.name, recipe_sha256 = c.recipe.sha256,
    data_sha256 = c.prepare.sha256, provider = c.provider and c.provider.name }
  t:add((artifact.make(t.place, { name = "model-metadata", type = "model", metadata = facts, aliases = { job.id },
    files = { { path = "model_metadata.json", bytes = json.encode(facts) .. "\n" } } })))
end

local function log_scores(t, evaluation)
  local data, summary = {}, {}
  for i, s in ipairs(evaluation.scores) do
    local base, tuned, interval = s.base or {}, s.tuned or {}, s.interval or {}
    data[i] = { s.name, s.path, base.value, tuned.value, s.difference, interval.low, interval.high, s.verdict, tuned.n }
    local name = "eval/" .. s.name .. (s.path and "/" .. s.path or "")
    summary[name .. "/base"], summary[name .. "/tuned"], summary[name .. "/difference"] = base.value, tuned.value,
      s.difference
  end
  t:sum_up(summary)
  t:table { key = "eval/scores", rows = data,
    columns = { "score", "path", "base", "tuned", "difference", "low", "high", "verdict", "rows" } }
end

-- evaluation.jsonl as a table: a row an answer, without the answers unless texts may go along
local function log_answers(t)
  local bytes = t.c.dir and fs.read(t.c.dir .. "/evaluation.jsonl", EVALUATION_MAX)
  local list, names, seen = {}, {}, {}
  for line in (bytes or ""):gmatch "[^\n]+" do
    if #list == tables.ROWS_MAX then break end
    local answer = json.decode(line)
    if type(answer) == "table" then list[#list + 1] = answer end
  end
  if #list == 0 then return end
  local columns = { "row", "model", "seconds", "prompt_tokens", "completion_tokens", "finish_reason", "failed" }
  if t.open then columns[#columns + 1] = "answer" end
  for _, answer in ipairs(list) do
    for name in pairs(answer.scores or {}) do
      if not seen[name] then seen[name], names[#names + 1] = true, name end
    end
  end
  table.sort(names)
  local data = {}
  for i, a in ipairs(list) do
    local usage = a.usage or {}
    local row = { a.row, a.model, a.seconds, usage.prompt_tokens, usage.completion_tokens, a.finish_reason,
      a.answer == nil }
    if t.open then row[8] = a.answer end
    for k, name in ipairs(names) do row[#columns + k] = (a.scores or {})[name] end
    data[i] = row
  end
  table.move(names, 1, #names, #columns + 1, columns)
  t:table { key = "eval/answers", columns = columns, rows = data }
end

--- What came of the run.
---@param event table  the result
function content.closing(t, event)
  local c = t.c
  keep_lock(t)
  if c.watch and c.watch.id then
    t:add(records.config(job_facts(c.watch)))
    if event.model then log_model(t, c.watch) end
  end
  if c.evaluate and c.evaluate.scores then
    log_scores(t, c.evaluate)
    log_answers(t)
  end
end

return content
