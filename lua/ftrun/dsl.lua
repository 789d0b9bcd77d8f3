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

constructor "recipe"
constructor "postgres"
constructor "files"
constructor "string_check"
constructor "text_similarity"
constructor "python"
constructor "score_model"
short_constructor("jsonl", "path")
short_constructor("json_f1", "paths", true)
short_constructor("classification", "labels", true)
short_constructor("exact", "path")

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
  if type(content) ~= "string" and type(content) ~= "table" then
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

return ft
