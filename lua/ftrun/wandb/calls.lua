--- Calls of models as a W&B run of their own: a row a call, with totals so far. A call costs a few microseconds; rows
--- are written together. A run that would hold no call is not made. No text of a question or an answer is in it.
---
--- Questions of `ftrun chat` come one at a time: those of a day are one run, until it is sent, whose calls are kept in
--- calls.jsonl beside its log. It is made anew with each question, and sent only when somebody asks for it: nobody
--- waits for a server at the prompt. Only WANDB_ENABLED=true asks for it, since a chat has no recipe that could.
local cursor = require "ftrun.wandb.cursor"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local prices = require "ftrun.plan.prices"
local places = require "ftrun.wandb.places"
local records = require "ftrun.wandb.records"
local settings = require "ftrun.wandb.settings"
local sink = require "ftrun.wandb.sink"
local time = require "ft.time"
local version = require "ft.version"

local calls = {}

--- Rows, or seconds, after which rows are written.
local ROWS, SECONDS = 200, 1
local TURNS, TURN_S = 100, 0.02 -- tries, and seconds between two, for the lock of a day's calls
local SAMPLE = 10000 -- latencies that are kept for their quantiles

---@class ftrun.wandb.Call
---@field model string?
---@field seconds number?   from question to answer
---@field usage { prompt_tokens: integer?, completion_tokens: integer? }?
---@field usd number?       counted by the provider's prices when left out
---@field error string?     why there is no answer; only that there was one is logged
---@field at number?        seconds since 1970; now, when left out

---@class ftrun.wandb.Calls
---@field call fun(call: ftrun.wandb.Call)
---@field close fun()

local Run = {}
Run.__index = Run

--- Where a run lies: as a new one of now, unless its folder is known.
local function place(job_type, started)
  local id = ("%s-%s-%s"):format(job_type, os.date("%Y%m%d-%H%M%S", math.floor(started)), digest.random_hex(4))
  return id, places.folder(places.root(), started, id)
end

---@param o { job_type: string, set: ftrun.wandb.Settings, recipe: table?, model: string?, run: string?,
---  started: number, id: string, folder: string }
local function new_run(o)
  local self = setmetatable({ o = o, started = o.started, total = { calls = 0, errors = 0, prompt_tokens = 0,
    completion_tokens = 0, tokens = 0, usd = 0 }, latencies = {}, heard = 0, waiting = {}, written = 0 }, Run)
  err.check("system", fs.mkdir(o.folder .. "/files"))
  self.sink = sink.create(("%s/run-%s.wandb"):format(o.folder, o.id), { set = o.set })
  local w = o.recipe and o.recipe.wandb or {}
  self.sink:add(records.header("ftrun-" .. version))
  self.sink:add(records.run { run_id = o.id, project = o.set.project, entity = o.set.entity, job_type = o.job_type,
    run_group = w.group, display_name = o.id, tags = settings.tags(w.tags), start_time = o.started,
    slot = "ftrun", config = { model = o.model, job_type = o.job_type, ftrun_version = version, ftrun_run = o.run,
      recipe = o.recipe and o.recipe.name, recipe_sha256 = o.recipe and o.recipe.sha256 } })
  return self
end

function Run:call(call)
  local t, usage, at = self.total, call.usage or {}, call.at or time.now()
  local prompt, completion = usage.prompt_tokens or 0, usage.completion_tokens or 0
  t.calls, t.errors = t.calls + 1, t.errors + (call.error and 1 or 0)
  t.prompt_tokens, t.completion_tokens = t.prompt_tokens + prompt, t.completion_tokens + completion
  t.tokens, t.usd = t.tokens + prompt + completion, t.usd + (call.usd or 0)
  self.priced = self.priced or call.usd ~= nil
  self.last = at
  if call.seconds then
    self.heard = self.heard + 1
    local i = self.heard <= SAMPLE and self.heard or math.random(self.heard)
    if i <= SAMPLE then self.latencies[i] = call.seconds end
  end
  self.waiting[#self.waiting + 1] = { ["call/model"] = call.model, ["call/latency_s"] = call.seconds,
    ["call/prompt_tokens"] = prompt, ["call/completion_tokens"] = completion, ["call/usd"] = call.usd,
    ["call/error"] = call.error and 1 or 0, ["total/calls"] = t.calls, ["total/errors"] = t.errors,
    ["total/tokens"] = t.tokens, ["total/usd"] = self.priced and t.usd or nil, _step = t.calls - 1, _timestamp = at,
    _runtime = math.max(0, at - self.started) }
end

function Run:summary()
  local t, sorted = self.total, table.move(self.latencies, 1, #self.latencies, 1, {})
  table.sort(sorted)
  local values = { ["total/calls"] = t.calls, ["total/errors"] = t.errors, ["total/tokens"] = t.tokens,
    ["total/prompt_tokens"] = t.prompt_tokens, ["total/completion_tokens"] = t.completion_tokens,
    ["total/usd"] = self.priced and t.usd or nil }
  if #sorted > 0 then
    local sum = 0
    for _, s in ipairs(sorted) do sum = sum + s end
    values["latency_s/mean"] = sum / #sorted
    values["latency_s/median"] = sorted[(#sorted + 1) // 2]
    values["latency_s/p95"] = sorted[math.max(1, math.ceil(#sorted * 0.95))]
  end
  return records.summary(values, math.floor((self.last or self.started) - self.started))
end

--- Writes the rows that wait.
function Run:flush()
  for _, row in ipairs(self.waiting) do self.sink:add(records.history(row)) end
  self.waiting, self.written = {}, time.monotonic()
end

function Run:finish()
  self:flush()
  self.sink:add(self:summary())
  local all_failed = self.total.calls > 0 and self.total.errors == self.total.calls
  self.sink:add(records.exit(all_failed and 1 or 0, math.floor((self.last or self.started) - self.started)))
  self.sink:add(records.final())
  self.sink:add(records.footer(), true)
end

-- What a call cost, by the prices that are known.
local function price(o, call)
  local usage = call.usage
  if call.usd or not (usage and call.model and o.provider) then return end
  local details = type(usage.prompt_tokens_details) == "table" and usage.prompt_tokens_details or {}
  call.usd = prices.answers(o.provider, call.model, { prompt_tokens = usage.prompt_tokens,
    completion_tokens = usage.completion_tokens, cached_tokens = usage.cached_tokens or details.cached_tokens },
    o.recipe and o.recipe.prices)
end

local NOTHING = { call = function() end, close = function() end }
setmetatable(NOTHING, { __close = function() end })

-- What fails here is told once, and the calls go on without it.
local function guarded(self)
  local broken = false
  local function try(fn, ...)
    if broken then return end
    local ok, e = pcall(fn, ...)
    if not ok then
      broken = true
      log.warn("W&B: calls are logged no longer: " .. tostring(e))
    end
  end
  local result = { call = function(call) try(self.call, call) end, close = function() try(self.close) end }
  return setmetatable(result, { __close = function() result.close() end })
end

-- ---- many calls of one command ----

local function live(o, set)
  local run
  local self = {}
  function self.call(call)
    price(o, call)
    if not run then
      local started = (call.at or time.now()) - (call.seconds or 0)
      local id, folder = place(o.job_type, started)
      run = new_run { job_type = o.job_type, set = set, recipe = o.recipe, model = o.model, run = o.run,
        started = started, id = id, folder = folder }
      run.sink:publish()
      run.written = time.monotonic()
    end
    run:call(call)
    if #run.waiting >= ROWS or time.monotonic() - run.written >= SECONDS then run:flush() end
  end
  function self.close()
    if not run then return end
    local ended = run
    run = nil
    ended:finish()
    log.info("W&B: " .. ended.sink:close("ftrun wandb sync " .. ended.o.id))
  end
  return guarded(self)
end

-- ---- chat: the calls of a day ----

local function day_run(root, job_type, now)
  local today = os.date("%Y%m%d", math.floor(now))
  for _, name in ipairs(fs.list(root) or {}) do
    local id = name:match(("^offline%%-run%%-%s_%%d+%%-(%s%%-.*)$"):format(today, job_type))
    local folder = root .. "/" .. name
    if id and fs.stat(folder .. "/calls.jsonl") and cursor.state(("%s/run-%s.wandb"):format(folder, id)) == "none" then
      return id, folder
    end
  end
  return place(job_type, now)
end

-- Another chat may be at it, for milliseconds.
local function take_turn(path)
  local lock, message, code
  for _ = 1, TURNS do
    lock, message, code = fs.lock(path)
    if lock or code ~= "busy" then break end
    time.sleep(TURN_S)
  end
  return lock or err.raise("system", message, { code = code })
end

local function daily(o, set)
  local self = {}
  set.online, set.offline_why = nil, "calls of a day are sent together"
  function self.call(call)
    local root = places.root()
    err.check("system", fs.mkdir(root))
    call.at = call.at or time.now()
    price(o, call)
    local lock = take_turn(("%s/%s.lock"):format(root, o.job_type))
    local _ <close> = setmetatable({}, { __close = function() lock:close() end })
    local id, folder = day_run(root, o.job_type, call.at)
    err.check("system", fs.mkdir(folder))
    local kept <close> = err.check("system", fs.append(folder .. "/calls.jsonl"))
    err.check("system", kept:write(json.encode { model = call.model, seconds = call.seconds, usd = call.usd,
      at = call.at,
      usage = { prompt_tokens = (call.usage or {}).prompt_tokens,
        completion_tokens = (call.usage or {}).completion_tokens }, error = call.error and "error" } .. "\n"))
    local list = {}
    for line in fs.read(folder .. "/calls.jsonl"):gmatch "([^\n]*)\n" do list[#list + 1] = json.decode(line) end
    local run = new_run { job_type = o.job_type, set = set, model = o.model, started = list[1].at, id = id,
      folder = folder }
    for _, c in ipairs(list) do run:call(c) end
    run:finish()
    run.sink:publish()
    run.sink:close()
  end
  function self.close() end
  return guarded(self)
end

--- Begins to log calls, when W&B is wanted: for a recipe as its runs are, for chats when WANDB_ENABLED says so. To be
--- closed.
---@param o { job_type: "chat"|"extract"|"eval", recipe: table?, model: string?, run: string?, provider: string? }
---@return ftrun.wandb.Calls
function calls.open(o)
  local set = settings.of(o.recipe)
  if not set.wanted or o.job_type == "chat" and not set.enabled then return NOTHING end
  return o.job_type == "chat" and daily(o, set) or live(o, set)
end

return calls
