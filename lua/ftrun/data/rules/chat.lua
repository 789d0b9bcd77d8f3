--- Rules of chat rows: messages, their order, roles and contents; supervised and reinforcement rows.
local codes = require "ftrun.data.rules.codes"
local content = require "ftrun.data.rules.content"
local tools = require "ftrun.data.rules.tools"
local tree = require "ftrun.data.rules.tree"
local words = require "ftrun.recipe.words"

local M = {}

local ROLES = { "system", "developer", "user", "assistant", "tool", "function" }
local KEY_NAMES = { "messages", "tools", "parallel_tool_calls", "functions", "function_call" }
local ALL_KEYS = { "role", "content", "name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal" }

local IS_ROLE, IS_KEY = tree.set(ROLES), tree.set(ALL_KEYS)

--- Keys of a supervised row.
M.KEYS = tree.set(KEY_NAMES)

local SPEAKER = tree.set { "role", "content", "name" }
local KEYS_OF = {
  system = SPEAKER, developer = SPEAKER, user = SPEAKER, ["function"] = SPEAKER,
  assistant = tree.set { "role", "content", "name", "weight", "tool_calls", "function_call", "refusal" },
  tool = tree.set { "role", "content", "name", "tool_call_id" },
}

-- "messages[3]": the same few texts for every row
local indexed = {}

local function index(path, i)
  local list = indexed[path] or {}
  indexed[path] = list
  if i > 1000 then return ("%s[%d]"):format(path, i - 1) end
  list[i] = list[i] or ("%s[%d]"):format(path, i - 1)
  return list[i]
end

local function check_role(c, m, path)
  local role = tree.get(m, "role")
  if role == nil then
    c.found("missing_role", path)
  elseif type(role) ~= "string" or not IS_ROLE[role] then
    local near = type(role) == "string" and words.nearest(role, ROLES)
    c.found("unknown_role", path .. ".role", ("unknown role %s%s"):format(
      type(role) == "string" and words.show(role) or "(" .. tree.kind(role) .. ")",
      near and (", did you mean %s?"):format(near) or ""))
  else
    return role
  end
end

local function check_keys(c, m, path, role)
  tree.known(c, m, path .. ".", IS_KEY, ALL_KEYS, "unknown_message_key")
  for _, pair in ipairs(m) do
    local key = pair[1]
    if role and IS_KEY[key] and not KEYS_OF[role][key] then
      if key == "weight" then
        c.found("weight_role", path .. ".weight", ("a weight on a message of the role %s"):format(role))
      else
        c.found("misplaced_key", path .. "." .. key, ("messages of the role %s have no %s"):format(role, key))
      end
    end
  end
end

local function check_name(c, m, path, role)
  local name = tree.present(m, "name")
  if name == nil then
    if role == "function" then c.found("missing_name", path) end
  elseif type(name) ~= "string" then
    c.found("name_type", path .. ".name", "name is " .. tree.kind(name))
  elseif name == "" or name:find "!$" then
    c.found("bad_name", path .. ".name")
  end
end

-- The weight of an answer: 0, or else 1.
local function check_weight(c, m, path)
  local weight = tree.get(m, "weight")
  if weight == nil then return 1 end
  if weight ~= 0 and weight ~= 1 then
    local shown = (type(weight) == "number" or type(weight) == "string") and words.show(weight) or tree.kind(weight)
    c.found("weight_value", path .. ".weight", "expected 0 or 1, got " .. shown)
  end
  return weight == 0 and 0 or 1
end

local function check_message(c, m, path)
  if not tree.is_object(m) then
    c.found("message_type", path, "a message is " .. tree.kind(m))
    return nil, false
  end
  local role = check_role(c, m, path)
  check_keys(c, m, path, role)
  check_name(c, m, path, role)
  local weight = check_weight(c, m, path)
  local refusal = tree.present(m, "refusal")
  if refusal ~= nil and type(refusal) ~= "string" then
    c.found("refusal_type", path .. ".refusal", "refusal is " .. tree.kind(refusal))
  end
  local trained = role == "assistant" and weight == 1
  content.check(c, m, path, role, trained)
  return role, trained
end

--- One message. Returns its role (nil when unknown), and whether it is an answer to be learnt. What is found is kept
--- with the message, which the rows share.
---@param c table
---@param m any        a full value
---@param path string
---@return string? role
---@return boolean trained
function M.message(c, m, path)
  if not tree.is_object(m) then return check_message(c, m, path) end
  local own = m.checked
  if not own then
    own = codes.collect {}
    own.role, own.trained = check_message(own, m, "")
    m.checked = own
  end
  for _, f in ipairs(own.findings) do
    local found = { code = f.code, severity = f.severity, path = path .. f.path, message = f.message,
      fixable = f.fixable, member = f.member and { prefix = path .. f.member.prefix, key = f.member.key } }
    c.findings[#c.findings + 1] = found
  end
  c.images = c.images + own.images
  return own.role, own.trained
end

-- What must be true of the messages' order.
local function check_order(c, roles, path)
  local spoken, user, assistant = false, false, false
  for i, role in ipairs(roles) do
    if role == "system" or role == "developer" then
      if spoken then
        c.found("system_not_first", index(path, i), ("a %s message behind other messages"):format(role))
      end
    else
      spoken = true
    end
    user = user or role == "user"
    assistant = assistant or role == "assistant"
    if role == "assistant" and roles[i - 1] == "assistant" then
      c.found("repeated_assistant", index(path, i))
    end
  end
  return user, assistant
end

--- A row's or input's messages, with its tools. Returns the role of each (false when unknown; in `asked` the calls that
--- nobody has answered at the end); nil: there are none.
---@param c table
---@param row table
---@param prefix string   path of what holds the messages, with a dot, or ""
---@return (string|false)[]? roles
---@return boolean trained
---@return table defined  of tools.definitions
function M.messages(c, row, prefix)
  local list, path = tree.shallow(tree.raw(row, "messages")), prefix .. "messages"
  local defined = tools.definitions(c, row, prefix)
  if list == nil then
    c.found("missing_messages", path)
  elseif not tree.is_list(list) then
    c.found("messages_type", path, "messages is " .. tree.kind(list))
  elseif #list == 0 then
    c.found("no_messages", path)
  else
    local roles, learns = {}, false
    local messages = {}
    for i = 1, #list do
      messages[i] = tree.full(list[i])
      local role, trained = M.message(c, messages[i], index(path, i))
      roles[i], learns = role or false, learns or trained
    end
    roles.asked = tools.calls(c, messages, roles, path, defined)
    local user, assistant = check_order(c, roles, path)
    if not user then c.found("missing_user", path) end
    roles.assistant = assistant
    roles.all_known = true
    for _, role in ipairs(roles) do roles.all_known = roles.all_known and role ~= false end
    return roles, learns, defined
  end
  return nil, false, defined
end

-- What a row without messages was perhaps meant to be.
local function hint(row)
  if tree.get(row, "input") or tree.get(row, "preferred_output") then return "it looks like a preference row (DPO)" end
  if tree.get(row, "prompt") or tree.get(row, "completion") then return "it looks like a completions pair" end
end

-- True, with one finding in place of many, when the row is of another kind.
local function meant_otherwise(c, row)
  local like = not tree.raw(row, "messages") and hint(row)
  if like then c.found("missing_messages", "messages", "the row has no messages: " .. like) end
  return like
end

--- A supervised row.
function M.supervised(c, row)
  if meant_otherwise(c, row) then return end
  tree.known(c, row, "", M.KEYS, KEY_NAMES, "unknown_key")
  local roles, learns = M.messages(c, row, "")
  if not roles then return end
  local last = roles[#roles]
  if not roles.assistant then
    if roles.all_known then c.found("missing_assistant", "messages") end
  elseif last and last ~= "assistant" then
    c.found("last_not_assistant", ("messages[%d]"):format(#roles - 1), "the last message is of the role " .. last)
  elseif not learns and roles.all_known then
    c.found("nothing_to_learn", "messages")
  end
end

local FORMATS = tree.set { "text", "json_object", "json_schema" }

local function check_format(c, row)
  local format = tree.present(row, "response_format")
  if format == nil then return end
  local schema = tree.is_object(format) and tree.get(format, "json_schema")
  local kind = tree.is_object(format) and tree.get(format, "type")
  if not FORMATS[kind or ""] or kind == "json_schema" and
    not (tree.is_object(schema) and tree.get(schema, "name") and tree.is_object(tree.get(schema, "schema"))) then
    c.found("response_format", "response_format")
  end
end

--- A reinforcement row: it ends with the user, and has further keys for the grader.
function M.reinforcement(c, row)
  if meant_otherwise(c, row) then return end
  check_format(c, row)
  local roles = M.messages(c, row, "")
  local last = roles and roles[#roles]
  if last and last ~= "user" then
    c.found("last_not_user", ("messages[%d]"):format(#roles - 1), "the last message is of the role " .. last)
  end
end

return M
