--- What a recipe sees as `ft`. This source runs inside the recipe's box, before it, and can do nothing that the recipe
--- could not: constructors make plain tables that remember their kind and the recipe's line; schema.lua says what may
--- stand in them, and spec.lua checks it outside. Only what a row needs at once (ft.chat, ft.truncate) is checked here.
local native = ...
local ft = {}

-- raises at the recipe's line
local function fail(name, message, ...)
  error(("%s:%d: ft.%s: " .. message):format(native.chunk() or "?", native.line() or 0, name, ...), 0)
end

local function show(v)
  return type(v) == "string" and '"' .. v .. '"' or tostring(v)
end

local function tagged(kind, fields)
  fields["@kind"], fields["@file"], fields["@line"] = kind, native.chunk(), native.line()
  return fields
end

local function copy(t)
  local result = {}
  for k, v in next, t do result[k] = v end
  return result
end

-- ft.NAME { key = value, ... }
local function constructor(kind)
  ft[kind] = function(fields)
    if type(fields) ~= "table" then fail(kind, "expected a table, ft.%s { ... }, got %s", kind, show(fields)) end
    return tagged(kind, copy(fields))
  end
end

-- ft.NAME { key = value, ... } where one text, or texts without keys, may stand for { KEY = ... }
local function short_constructor(kind, key, list)
  ft[kind] = function(fields)
    if fields == nil then fields = {} end
    if type(fields) == "string" then fields = { fields } end
    if type(fields) ~= "table" then fail(kind, "expected a table or a text, got %s", show(fields)) end
    local result, items = {}, {}
    for k, v in pairs(fields) do if math.type(k) == "integer" then items[k] = v else result[k] = v end end
    if list then result[key] = result[key] or items
    elseif items[1] ~= nil then result[key] = items[1] end
    return tagged(kind, result)
  end
end

constructor "postgres"
constructor "files"
constructor "string_check"
constructor "text_similarity"
constructor "python"
constructor "score_model"
constructor "judge"
short_constructor("jsonl", "path")
short_constructor("json_f1", "paths", true)
short_constructor("classification", "labels", true)
short_constructor("exact", "path")
short_constructor("rouge_l", "path")
short_constructor("token_f1", "path")

--- A setting or a secret by name: a reference, its value never comes in here.
function ft.env(name, default)
  if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    fail("env", "expected the name of an environment variable, got %s", show(name))
  end
  if default ~= nil and type(default) ~= "string" then fail("env", "the default must be a string") end
  return tagged("env", { name = name, default = default })
end

--- Runs another Lua file below the recipe's folder and returns what it returns.
function ft.include(path)
  if type(path) ~= "string" then fail("include", "expected a path below the recipe's folder, got %s", show(path)) end
  return (native.include(path))
end

--- The content of a text file below the recipe's folder.
function ft.text(path)
  if type(path) ~= "string" then fail("text", "expected a path below the recipe's folder, got %s", show(path)) end
  return (native.text(path))
end

--- The first n characters (code points) of a text.
function ft.truncate(text, n)
  if type(text) ~= "string" then
    fail("truncate", "expected a text, got %s%s", show(text), text == nil and " (is the column NULL?)" or "")
  end
  if math.type(n) ~= "integer" or n < 0 then fail("truncate", "expected a number of characters, got %s", show(n)) end
  return (native.truncate(text, n))
end

-- ---- what `example` returns ----

--- Leaves the row out, with a reason that the plan counts.
function ft.skip(reason)
  if reason ~= nil and type(reason) ~= "string" then fail("skip", "expected a reason, got %s", show(reason)) end
  return { ["@kind"] = "skip", reason = reason or "skipped by the recipe" }
end

--- JSON text that goes into the example as it is (the schema of a tool).
function ft.json(text)
  if type(text) ~= "string" then fail("json", "expected JSON text, got %s", show(text)) end
  return { ["@kind"] = "json", text = text }
end

local CHAT = { "system", "user", "assistant", "weight", "messages", "tools", "parallel_tool_calls" }
local PREFERENCE = { "system", "user", "messages", "preferred", "non_preferred", "tools", "parallel_tool_calls" }
local REINFORCEMENT = { "system", "user", "messages", "item", "tools" }
local PROMPT = { "system", "user", "messages" }
for _, keys in pairs { CHAT, PREFERENCE, REINFORCEMENT, PROMPT } do
  for _, key in ipairs(keys) do keys[key] = true end
end
local SPEAKERS = { "system", "developer", "user", "assistant", "tool" }

-- { user = "..." } and { assistant = "...", weight = 0 } as messages; { role =, content = } stays
local function message(name, m, i)
  if type(m) ~= "table" then fail(name, "messages[%d]: expected a table, got %s", i, show(m)) end
  if m.role ~= nil then return m end
  local result
  for _, role in ipairs(SPEAKERS) do
    if m[role] ~= nil then
      if result then fail(name, "messages[%d] has two roles: %s and %s", i, result.role, role) end
      result = copy(m)
      result[role], result.role, result.content = nil, role, m[role]
    end
  end
  if not result then fail(name, 'messages[%d] has no role; write { user = "..." } or { role = "user", ... }', i) end
  return result
end

-- A text that an example must have, or may leave out.
local function content_of(name, t, key, required)
  local content = t[key]
  if content == nil and not required then return nil end
  if type(content) == "table" and content["@kind"] == nil and #content == 0 then
    fail(name, "%s: expected a text, got a table; an answer in JSON is given as its text", key)
  elseif type(content) ~= "string" and type(content) ~= "table" then
    fail(name, "%s: expected a text, got %s%s", key, show(content), content == nil and " (is the column NULL?)" or "")
  end
  return content
end

-- The messages of an example; of those that `says` names each is a text of its own.
local function conversation(name, t, keys, says)
  if type(t) ~= "table" then fail(name, "expected a table, got %s", show(t)) end
  for k in next, t do -- not in order, but a row needs no order until something is wrong
    if not keys[k] then
      for key in pairs(t) do if not keys[key] then k = key break end end
      fail(name, "unknown key %s; allowed are %s", show(k), table.concat(keys, ", "))
    end
  end
  local messages = {}
  local function say(role, required)
    local content = content_of(name, t, role, required)
    if content ~= nil then messages[#messages + 1] = { role = role, content = content } end
  end
  say("system")
  if t.messages ~= nil then
    if type(t.messages) ~= "table" then fail(name, "messages: expected a list, got %s", show(t.messages)) end
    for i, m in ipairs(t.messages) do messages[#messages + 1] = message(name, m, i) end
  end
  for _, role in ipairs(says) do say(role, t.messages == nil) end
  return messages
end

local ALL_SAY, USER_SAYS = { "user", "assistant" }, { "user" }

--- One example: system, user and assistant texts; or messages = { ... } for several turns, with tools, weights, names.
function ft.chat(t)
  local messages = conversation("chat", t, CHAT, ALL_SAY)
  if t.weight ~= nil then messages[#messages].weight = t.weight end
  return { messages = messages, tools = t.tools, parallel_tool_calls = t.parallel_tool_calls }
end

--- One example of method = "dpo": what is asked, a better answer and a worse one.
function ft.preference(t)
  local messages = conversation("preference", t, PREFERENCE, USER_SAYS)
  local function answer(key) return { { role = "assistant", content = content_of("preference", t, key, true) } } end
  return { input = { messages = messages, tools = t.tools, parallel_tool_calls = t.parallel_tool_calls },
    preferred_output = answer "preferred", non_preferred_output = answer "non_preferred" }
end

--- One example of method = "reinforcement": what is asked, and in `item` what the grader sees as {{item.NAME}}.
function ft.reinforcement(t)
  local result = { messages = conversation("reinforcement", t, REINFORCEMENT, USER_SAYS), tools = t.tools }
  if t.item ~= nil and type(t.item) ~= "table" then
    fail("reinforcement", "item: expected a table, got %s", show(t.item))
  end
  for k, v in pairs(t.item or {}) do
    if type(k) ~= "string" or result[k] ~= nil then fail("reinforcement", "item: %s cannot be a field", show(k)) end
    result[k] = v
  end
  return result
end

--- What is asked about a new text, for `extract`: as ft.chat, without an answer.
function ft.prompt(t)
  return { messages = conversation("prompt", t, PROMPT, USER_SAYS) }
end

-- ---- what hooks return ----

local function decision(name)
  ft[name] = function(reason)
    if reason ~= nil and type(reason) ~= "string" then fail(name, "expected a text, got %s", show(reason)) end
    return { decision = name, reason = reason }
  end
end

decision "cancel"
decision "pause"

--- Tells the user something; the run goes on.
function ft.notify(text)
  if type(text) ~= "string" then fail("notify", "expected a text, got %s", show(text)) end
  return { decision = "notify", message = text }
end


-- ---- what a recipe says for the log ----
-- Calls are collected as plain values; the host takes them after a hook (and after the recipe itself) has run, and
-- judges them. While anything else of the recipe runs - example, score - nobody would take them.

local SAID_MAX, CELLS_MAX, TEXT_MAX = 200, 50000, 1 << 16
local said, open, cells = {}, true, 0

local function say(name, item)
  if not open then fail(name, "can be called in hooks (on = { ... }) and where the recipe itself runs, not here") end
  if #said == SAID_MAX then fail(name, "more than %d calls at once", SAID_MAX) end
  item.say = name
  said[#said + 1] = item
end

local function take(from_now_on)
  local list = said
  said, open, cells = {}, from_now_on == true, 0
  return list
end

-- a number, text, true or false; numbers that JSON has not become the texts by which W&B knows them
local function scalar(name, key, v)
  local kind = type(v)
  if kind == "number" then
    if v ~= v then return "NaN" end
    if v == math.huge then return "Infinity" end
    if v == -math.huge then return "-Infinity" end
  elseif kind == "string" then
    if #v > TEXT_MAX then fail(name, "%s: a text of more than 64 KiB", key) end
  elseif kind ~= "boolean" then
    fail(name, "%s: expected a number, a text, true or false, got %s", key, show(v))
  end
  cells = cells + 1
  if cells > CELLS_MAX then fail(name, "more than %d values at once", CELLS_MAX) end
  return v
end

local function label(name, what, v)
  if type(v) ~= "string" or v == "" or #v > 128 then
    fail(name, "%s: expected a text of 1 to 128 bytes, got %s", what, show(v))
  end
  return v
end

local function known_keys(name, t, allowed)
  for k in pairs(t) do
    if not allowed[k] then fail(name, "unknown key %s", show(k)) end
  end
end

-- { name = value, ... }; names that begin with "_" are W&B's own
local function scalars(name, t)
  if type(t) ~= "table" then fail(name, "expected { name = value, ... }, got %s", show(t)) end
  local result = {}
  for k, v in pairs(t) do
    label(name, "a name", k)
    if k:find("^_") then fail(name, "%s: names that begin with _ are taken", k) end
    result[k] = scalar(name, k, v)
  end
  return result
end

--- Logs numbers, texts, true or false under names, at the newest step.
function ft.log(values)
  say("log", { values = scalars("log", values) })
end

--- Sets values of the run's summary.
function ft.summary(values)
  say("summary", { values = scalars("summary", values) })
end

local SUMMARIES = { min = true, max = true, mean = true, first = true, last = true, none = true }

--- Says how a metric is drawn and summed up.
function ft.define_metric(t)
  if type(t) == "string" then t = { name = t } end
  if type(t) ~= "table" then fail("define_metric", 'expected { name = "...", ... }, got %s', show(t)) end
  known_keys("define_metric", t, { name = true, step_metric = true, summary = true, hidden = true })
  label("define_metric", "name", t.name)
  if t.step_metric ~= nil then label("define_metric", "step_metric", t.step_metric) end
  if t.summary ~= nil and not SUMMARIES[t.summary] then
    fail("define_metric", "summary: expected min, max, mean, first, last or none, got %s", show(t.summary))
  end
  say("define_metric", { name = t.name, step_metric = t.step_metric, summary = t.summary, hidden = t.hidden and true })
end

--- Logs a table: rows are lists in the columns' order, or tables by the columns' names.
function ft.table(name, columns, rows)
  label("table", "name", name)
  if type(columns) ~= "table" or type(rows) ~= "table" then
    fail("table", 'expected ft.table("%s", { "column", ... }, { row, ... })', name)
  end
  local names, seen, list = {}, {}, {}
  for i, column in ipairs(columns) do
    names[i] = label("table", "a column", column)
    if seen[column] then fail("table", "there are two columns %s", show(column)) end
    seen[column] = true
  end
  if #names == 0 then fail("table", "there are no columns") end
  for i, row in ipairs(rows) do
    if type(row) ~= "table" then fail("table", "row %d: expected a table, got %s", i, show(row)) end
    local copied = {}
    for k, column in ipairs(names) do
      local v = row[column]
      if v == nil then v = row[k] end
      if v ~= nil then copied[column] = scalar("table", column, v) end
    end
    list[i] = copied
  end
  say("table", { name = name, columns = names, rows = list })
end

--- Logs files below the recipe's folder or the run's as one artifact.
function ft.artifact(name, t)
  label("artifact", "name", name)
  if type(t) ~= "table" then fail("artifact", 'expected ft.artifact("%s", { files = { "..." } })', name) end
  known_keys("artifact", t, { type = true, files = true, metadata = true, description = true, aliases = true })
  local function texts(key, v)
    if type(v) == "string" then v = { v } end
    if type(v) ~= "table" then fail("artifact", "%s: expected a list of texts, got %s", key, show(v)) end
    local list = {}
    for i, item in ipairs(v) do
      if type(item) ~= "string" then fail("artifact", "%s: expected texts, got %s", key, show(item)) end
      list[i] = item
    end
    return list
  end
  local files = texts("files", t.files)
  if #files == 0 or #files > 100 then fail("artifact", "files: expected 1 to 100 paths") end
  if t.description ~= nil then scalar("artifact", "description", t.description) end
  say("artifact", { name = name, type = label("artifact", "type", t.type or "artifact"), files = files,
    metadata = t.metadata and scalars("artifact", t.metadata), aliases = t.aliases and texts("aliases", t.aliases),
    description = t.description and tostring(t.description) })
end

--- The recipe itself. With it goes the way for the host to what was said.
function ft.recipe(fields)
  if type(fields) ~= "table" then fail("recipe", "expected a table, ft.recipe { ... }, got %s", show(fields)) end
  local result = tagged("recipe", copy(fields))
  result["@take"] = take
  return result
end

return ft
