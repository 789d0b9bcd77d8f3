--- The records of a W&B run log: their fields and numbers (interface facts of W&B's record format), and how plain
--- values become them. Order in a log: header, run, then config, environment, files, history, summary, output in any
--- order, at last exit, final, footer.
local json = require "ftrun.json"
local native = require "ft.wandb"

local records = {}

--- Whom the log names as its writer, and the oldest reader that understands it.
local MIN_READER = "0.70.0"

-- what longer lines the server refuses
local LINE_MAX = 10383360

-- one shape for config, summary and history: a value by its name, or by the path to it
local ITEM, KEY, VALUE = 1, 1, 16
local item = { { KEY, "key", "string" }, { 2, "nested_key", "string", true }, { VALUE, "value_json", "string" } }
local changes = { { 1, "update", item, true }, { 2, "remove", item, true } }
local timestamp = { { 1, "seconds", "int" }, { 2, "nanos", "int" } }
local empty = {}

local telemetry = { { 5, "cli_version", "string" }, { 12, "core_version", "string" }, { 13, "platform", "string" } }

local run = { { 1, "run_id", "string" }, { 2, "entity", "string" }, { 3, "project", "string" },
  { 4, "config", changes }, { 5, "summary", changes }, { 6, "run_group", "string" }, { 7, "job_type", "string" },
  { 8, "display_name", "string" }, { 9, "notes", "string" }, { 10, "tags", "string", true }, { 13, "host", "string" },
  { 14, "starting_step", "int" }, { 17, "start_time", timestamp }, { 18, "resumed", "bool" },
  { 19, "telemetry", telemetry }, { 20, "runtime", "int" } }

local entry = { { 1, "path", "string" }, { 2, "digest", "string" }, { 3, "ref", "string" }, { 4, "size", "int" },
  { 6, "local_path", "string" }, { 8, "skip_cache", "bool" } }
local manifest = { { 1, "version", "int" }, { 2, "storage_policy", "string" },
  { 3, "storage_policy_config", { { 1, "key", "string" }, { 2, "value_json", "string" } }, true },
  { 4, "contents", entry, true } }
local artifact = { { 1, "run_id", "string" }, { 2, "project", "string" }, { 3, "entity", "string" },
  { 4, "type", "string" }, { 5, "name", "string" }, { 6, "digest", "string" }, { 7, "description", "string" },
  { 8, "metadata", "string" }, { 9, "user_created", "bool" }, { 10, "use_after_commit", "bool" },
  { 11, "aliases", "string", true }, { 12, "manifest", manifest }, { 14, "finalize", "bool" },
  { 15, "client_id", "string" }, { 16, "sequence_client_id", "string" } }
local aggregates = { { 1, "min", "bool" }, { 2, "max", "bool" }, { 3, "mean", "bool" }, { 5, "last", "bool" },
  { 6, "none", "bool" }, { 7, "copy", "bool" }, { 8, "first", "bool" } }
local metric = { { 1, "name", "string" }, { 4, "step_metric", "string" },
  { 6, "options", { { 1, "step_sync", "bool" }, { 2, "hidden", "bool" }, { 3, "defined", "bool" } } },
  { 7, "summary", aggregates } }

--- One record: a number that counts them, and one of the others.
local shape = {
  { 1, "num", "int" },
  { 2, "history", { { ITEM, "item", item, true }, { 2, "step", { { 1, "num", "int" } } } } },
  { 3, "summary", changes },
  { 5, "config", changes },
  { 6, "files", { { 1, "files", { { 1, "path", "string" }, { 2, "policy", "int" }, { 3, "type", "int" } }, true } } },
  { 7, "stats", { { 1, "stats_type", "int" }, { 2, "timestamp", timestamp }, { 3, "item", item, true } } },
  { 8, "artifact", artifact },
  { 11, "telemetry", telemetry },
  { 12, "metric", metric },
  { 13, "output_raw", { { 1, "output_type", "int" }, { 2, "timestamp", timestamp }, { 3, "line", "string" } } },
  { 16, "control", { { 4, "mailbox_slot", "string" } } },
  { 17, "run", run },
  { 18, "exit", { { 1, "exit_code", "int" }, { 2, "runtime", "int" } } },
  { 20, "final", empty },
  { 21, "header", { { 1, "version_info", { { 1, "producer", "string" }, { 2, "min_consumer", "string" } } } } },
  { 22, "footer", empty },
  { 26, "environment", { { 1, "os", "string" }, { 3, "started_at", timestamp }, { 6, "program", "string" },
    { 11, "root", "string" }, { 12, "host", "string" } } },
}

-- a history record's own fields: most records are one
local ROW = { shape[1], shape[2] }

--- Text that a record may hold: bytes that are no UTF-8 become "?".
---@param s string
---@return string
function records.text(s)
  local parts, from = {}, 1
  while true do
    local ok, bad = utf8.len(s, from)
    if ok then break end
    parts[#parts + 1] = s:sub(from, bad - 1) .. "?"
    from = bad + 1
  end
  return from == 1 and s or table.concat(parts) .. s:sub(from)
end

-- A value as JSON text; numbers that JSON has not are written as W&B reads them.
local function value_json(value)
  if type(value) == "number" then
    if value ~= value then return "NaN" end
    if value == math.huge then return "Infinity" end
    if value == -math.huge then return "-Infinity" end
  elseif type(value) == "string" then
    value = records.text(value)
  end
  return json.encode(value)
end

--- A table as items, sorted by name. A name with a value too long for the server is left out.
---@param values table<string, any>
---@param order string[]?  these names instead, in this order
local function items(values, order)
  local names, list = order or {}, {}
  if not order then
    for name in pairs(values) do names[#names + 1] = name end
    table.sort(names)
  end
  for _, name in ipairs(names) do
    local text = value_json(values[name])
    if #text < LINE_MAX then list[#list + 1] = { key = records.text(name), value_json = text } end
  end
  return list
end

local function stamp(seconds)
  local whole = math.floor(seconds)
  local nanos = math.floor((seconds - whole) * 1e9)
  return { seconds = whole, nanos = nanos > 0 and nanos or nil }
end

---@param producer string  "ftrun-0.1.0"
function records.header(producer)
  return { header = { version_info = { producer = producer, min_consumer = MIN_READER } } }
end

---@class ftrun.wandb.Run
---@field run_id string
---@field project string?
---@field entity string?
---@field run_group string?
---@field job_type string?
---@field display_name string?
---@field notes string?
---@field tags string[]?
---@field host string?
---@field start_time number        seconds since 1970
---@field config table<string, any>
---@field slot string?      any name: `wandb sync` of SDK 0.28 waits for ever for a run record without one

--- The run: the first record after the header, once in a log. `_wandb` must be in its config, or readers drop what they
--- would put there.
---@param o ftrun.wandb.Run
function records.run(o)
  local r = { run_id = o.run_id, tags = {}, start_time = stamp(o.start_time), telemetry = o.telemetry }
  for _, name in ipairs { "project", "entity", "run_group", "job_type", "display_name", "notes", "host" } do
    r[name] = o[name] and records.text(o[name])
  end
  for i, tag in ipairs(o.tags or {}) do r.tags[i] = records.text(tag) end
  local config = items(o.config)
  config[#config + 1] = { key = "_wandb", value_json = "{}" }
  r.config = { update = config }
  return { run = r, control = o.slot and { mailbox_slot = o.slot } }
end

--- One step. `_step`, `_timestamp` and `_runtime` are among the values: nobody derives them later.
---@param values table<string, any>
---@param order string[]?
function records.history(values, order)
  local list = not order and native.items(values, ITEM, KEY, VALUE) or items(values, order)
  return { history = { item = list, step = { num = values._step ~= 0 and values._step or nil } } }
end

--- Last values. `runtime`, in seconds, is what W&B shows as the run's duration.
---@param values table<string, any>
---@param runtime integer?
---@param order string[]?
function records.summary(values, runtime, order)
  local list = items(values, order)
  if runtime then
    list[#list + 1] = { nested_key = { "_wandb", "runtime" }, value_json = tostring(runtime) }
  end
  return { summary = { update = list } }
end

function records.config(values)
  return { config = { update = items(values) } }
end

--- A line of the console.
---@param line string
---@param at number  seconds since 1970
function records.output(line, at)
  return { output_raw = { output_type = 1, timestamp = stamp(at), line = records.text(line) .. "\n" } }
end

--- Files below the folder `files` that are uploaded at the end, or at once.
---@param paths string[]
---@param now boolean?
function records.files(paths, now)
  local list = {}
  for i, path in ipairs(paths) do list[i] = { path = records.text(path), policy = not now and 1 or nil } end
  return { files = { files = list } }
end

--- What W&B is to know of a metric's name: the metric it is drawn over, and what its summary keeps.
---@param o { name: string, step_metric: string?, summary: string?, hidden: boolean? }
function records.metric(o)
  return { metric = { name = records.text(o.name), step_metric = o.step_metric and records.text(o.step_metric),
    options = { step_sync = o.step_metric and true or nil, hidden = o.hidden or nil, defined = true },
    summary = o.summary and { [o.summary] = true } } }
end

--- An artifact, as artifact.lua makes it: its fields are the record's.
function records.artifact(fields)
  return { artifact = fields }
end

---@param o { os: string?, started_at: number, program: string?, root: string?, host: string? }
function records.environment(o)
  return { environment = { os = o.os, started_at = stamp(o.started_at), program = o.program and records.text(o.program),
    root = o.root and records.text(o.root), host = o.host } }
end

---@param code integer
---@param runtime integer  whole seconds
function records.exit(code, runtime)
  return { exit = { exit_code = code ~= 0 and code or nil, runtime = runtime } }
end

function records.final() return { final = {} } end
function records.footer() return { footer = {} } end

--- A record as bytes; raises where a value does not fit its field.
---@param number integer  from 1
---@return string? bytes
---@return string? message
---@return string? code
function records.encode(record, number)
  record.num = number
  return native.encode(record.history and ROW or shape, record)
end

---@return table? record
function records.decode(bytes)
  return native.decode(shape, bytes)
end

return records
