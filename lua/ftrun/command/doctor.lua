--- ftrun doctor: looks at keys, provider, models, database, W&B settings and the local provider. One line each, with
--- what to do. It changes nothing and costs nothing.
local dates = require "ftrun.plan.dates"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local postgres = require "ft.postgres"
local providers = require "ftrun.providers"
local runs = require "ftrun.run.runs"
local secrets = require "ft.secrets"
local source = require "ftrun.data.source"
local target = require "ftrun.target"
local wandb = require "ftrun.wandb.settings"
local wrap = require "ftrun.text.wrap"

local command = {}

---@class ftrun.doctor.Finding
---@field check string
---@field state "ok"|"note"|"bad"   bad: something that is set does not work
---@field message string
---@field advice string?

--- Runs one check; whatever it raises in an orderly way is its finding.
local function orderly(add, check, fn)
  local ok, e = pcall(fn)
  if ok then return end
  if not err.is(e) then error(e, 0) end
  add(check, "bad", e.message, e.advice)
end

local function look_at_models(add, provider)
  local there = {}
  for _, model in ipairs(provider:models()) do there[model.id] = model end
  local names = {}
  for id in pairs(dates.shutdown) do if there[id] then names[#names + 1] = id end end
  table.sort(names)
  for _, id in ipairs(names) do
    local date = there[id].shutdown_date or dates.shutdown[id]
    local days = dates.days(date)
    add("model", days > 0 and "ok" or "note", ("%s is shut down on %s, %s"):format(id, date,
      days > 0 and ("in %d days"):format(days) or "which is past"))
  end
  if #names == 0 then
    add("model", "note", "no model that ftrun knows as tunable is offered to this key",
      "Ask the provider, or use --local.")
  end
end

local function look_at_openai(add)
  if not secrets.origin "OPENAI_API_KEY" then
    return add("key", "note", "OPENAI_API_KEY is not set", "Put it into the environment or into .env, or use --local.")
  end
  orderly(add, "key", function()
    local provider = providers.open { name = "openai" }
    local at = provider.base_url
    provider:jobs { limit = 1 }
    add("key", "ok", ("OPENAI_API_KEY (from %s) is accepted by %s"):format(secrets.origin "OPENAI_API_KEY", at))
    look_at_models(add, provider)
    local warning = provider:may_train "gpt-4o-mini-2024-07-18"
    if warning then add("training", "note", warning) end
  end)
  local days = dates.days(dates.last_job)
  add("dates", days > 0 and "ok" or "note", days > 0
    and ("OpenAI takes new fine-tuning jobs until %s, %d more days"):format(dates.last_job, days)
    or ("OpenAI takes no new fine-tuning jobs since %s"):format(dates.last_job),
    days <= 0 and "Use --local, or another provider (OPENAI_BASE_URL)." or nil)
end

local function look_at_database(add)
  if not secrets.origin "DATABASE_URL" then
    return add("database", "note", "DATABASE_URL is not set; only recipes with ft.postgres need it")
  end
  local connection, message, code = postgres.connect { secret = "DATABASE_URL", read_only = true }
  if not connection then
    local advice = code == "auth" and "Check user and password." or code == "no_database" and "Check the name."
      or code == "bad_url" and source.URL_SIGNS or "Check DATABASE_URL: postgresql://user:password@host:5432/database"
    return add("database", "bad", message, advice)
  end
  connection:close()
  add("database", "ok", secrets.describe "DATABASE_URL" or "connected")
end

local function look_at_wandb(add)
  local set = wandb.of()
  local key = wandb.key_origin(set.base_url)
  local to = set.entity and ("project %s of %s"):format(set.project, set.entity) or "project " .. set.project
  if set.online then
    add("W&B", "ok", ("runs are logged online, to %s (key from %s)"):format(to, key))
  elseif set.wanted then
    add("W&B", key and "ok" or "note", ("runs are logged offline, to %s: %s"):format(to, set.offline_why),
      not key and "Take a key from https://wandb.ai/authorize into the environment or .env to log online." or nil)
  else
    add("W&B", "note", "runs are not logged: " .. set.why, set.silent
      and "Put WANDB_PROJECT or WANDB_API_KEY into the environment or .env, if you use W&B." or nil)
  end
end

local function look_at_local(add)
  orderly(add, "local", function()
    local t <close> = target.open "local"
    local n = #t.provider:models()
    add("local", "ok", ("the local provider answers%s, with %d models"):format(t.inside() and ""
      or " at " .. t.provider.base_url, n))
  end)
end

local function look_at_runs(add)
  local root = runs.root()
  local here = fs.stat(root) ~= nil
  local ok, message = fs.mkdir(root .. "/runs")
  if not ok then return add("folder", "bad", message, "Make it writable, or set FTRUN_DIR.") end
  if not here then return add("folder", "ok", root .. " (new)") end
  local open = 0
  for _, run in ipairs(runs.list()) do if run.state == "open" then open = open + 1 end end
  add("folder", "ok", ("%s: %d runs, %d of them open"):format(root, #runs.list(), open))
end

local MARGIN = 14 -- columns before a message
local MARKS = { ok = "ok  ", note = "note", bad = "BAD " }

function command.main(args)
  local list = {}
  local function add(check, state, message, advice)
    list[#list + 1] = { check = check, state = state, message = message, advice = advice }
    if args.json or args.quiet and state ~= "bad" then return end
    wrap.print(("%s %-8s %s"):format(MARKS[state], check, message), MARGIN)
    if advice then wrap.print((" "):rep(MARGIN) .. (advice:gsub("\n", " "))) end
  end
  look_at_runs(add)
  look_at_openai(add)
  look_at_database(add)
  look_at_wandb(add)
  look_at_local(add)
  if args.json then json.print(json.array(list)) end
  for _, finding in ipairs(list) do
    if finding.state == "bad" then return err.kinds.setting end
  end
  return 0
end

return command
