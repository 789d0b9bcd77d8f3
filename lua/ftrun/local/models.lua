--- GET /models, GET and DELETE /models/{id}: the base models by name, and what the jobs made.
local learn = require "ftrun.local.learn"
local answer = require "ftrun.local.answer"
local json = require "ftrun.json"

local M = {}

M.OWNER = "ftrun-local"

--- The names under which the local learner can be asked for; an alias stands for a dated name.
M.base = {
  ["gpt-4.1-2025-04-14"] = 1744588800, ["gpt-4.1-mini-2025-04-14"] = 1744588800,
  ["gpt-4.1-nano-2025-04-14"] = 1744588800, ["gpt-4o-2024-08-06"] = 1722902400,
  ["gpt-4o-mini-2024-07-18"] = 1721260800, ["gpt-3.5-turbo-0125"] = 1706140800,
}

local aliases = {
  ["gpt-4.1"] = "gpt-4.1-2025-04-14", ["gpt-4.1-mini"] = "gpt-4.1-mini-2025-04-14",
  ["gpt-4.1-nano"] = "gpt-4.1-nano-2025-04-14", ["gpt-4o"] = "gpt-4o-2024-08-06",
  ["gpt-4o-mini"] = "gpt-4o-mini-2024-07-18", ["gpt-3.5-turbo"] = "gpt-3.5-turbo-0125",
}

--- The dated name of a base model.
---@param name string
---@return string? id  nil when there is no such base model
function M.base_name(name)
  local id = aliases[name] or name
  return M.base[id] and id or nil
end

---@return string  the names, for messages
function M.base_names()
  local names = {}
  for id in pairs(M.base) do names[#names + 1] = id end
  table.sort(names)
  return table.concat(names, ", ")
end

local function entry(id, created)
  return { object = "model", id = id, created = created, owned_by = M.OWNER, shutdown_date = json.null }
end

local function has_model(record)
  return record.status == "succeeded" and not record.model_deleted
end

--- The job that made a tuned model or a checkpoint of it, and the state file that answers.
---@return table? record
---@return string? path
local function find(ctx, name)
  local model, step = name:match("^(ft:.+):ckpt%-step%-(%d+)$")
  local record = ctx.store.jobs:get(ctx.made[model or name])
  if not record or record.model_deleted then return nil end
  if not step and record.status ~= "succeeded" then return nil end
  local last = record.checkpoints[#record.checkpoints]
  for _, c in ipairs(record.checkpoints) do
    if c.step == tonumber(step or last.step) then return record, ctx.store:state_path(record.id, c.step) end
  end
end

local function no_model(name)
  answer.refuse(404, ("The model '%s' does not exist on this local provider."):format(name), "model",
    "model_not_found")
end

--- Refuses a name that is neither a tuned model nor a checkpoint of one.
function M.check(ctx, name)
  if not find(ctx, name) then no_model(name) end
end

local KEPT_OPEN = 4

--- What answers for a model name: fn(messages) -> text. Refuses an unknown name.
---@return fun(messages: table): string
---@return string id  the name to show
function M.open(ctx, name)
  local base = M.base_name(name)
  if base then return learn.untrained, base end
  local record, path = find(ctx, name)
  if not record then no_model(name) end
  local open = ctx.open
  for i, m in ipairs(open) do
    if m.path == path then
      table.insert(open, 1, table.remove(open, i))
      return m.fn, name
    end
  end
  local model = learn.open(path)
  table.insert(open, 1, { path = path, fn = function(messages) return model:answer(messages) end })
  open[KEPT_OPEN + 1] = nil
  return open[1].fn, name
end

function M.list(ctx)
  local list = {}
  for id, created in pairs(M.base) do list[#list + 1] = entry(id, created) end
  table.sort(list, function(a, b) return a.id < b.id end)
  local jobs = ctx.store.jobs:page { limit = math.huge, oldest_first = true, accept = has_model }
  for _, record in ipairs(jobs) do list[#list + 1] = entry(record.model, record.finished_at) end
  return { object = "list", data = json.array(list) }
end

function M.get(ctx, _, name)
  local base = M.base_name(name)
  if base then return entry(name, M.base[base]) end
  local record = find(ctx, name)
  if not record then no_model(name) end
  return entry(name, record.finished_at or record.created_at)
end

function M.delete(ctx, _, name)
  if M.base_name(name) then
    answer.refuse(403, ("'%s' is a base model and cannot be deleted."):format(name), "model",
      "insufficient_permissions")
  end
  local record = ctx.store.jobs:get(ctx.made[name])
  if not record or not has_model(record) then no_model(name) end
  record.model_deleted = true
  ctx.store:save("jobs", record)
  ctx.store:remove_states(record.id)
  for i = #ctx.open, 1, -1 do
    if ctx.open[i].path:find("/" .. record.id .. "/", 1, true) then table.remove(ctx.open, i) end
  end
  return { id = name, object = "model", deleted = true }
end

return M
