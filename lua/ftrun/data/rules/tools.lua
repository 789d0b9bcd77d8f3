--- Rules of tools: what a row describes, what its messages call, and which message answers which call.
local codes = require "ftrun.data.rules.codes"
local dataset = require "ft.dataset"
local limits = require "ftrun.data.rules.limits"
local tree = require "ftrun.data.rules.tree"

local M = {}

-- ---- what a row describes ----

-- In a skeleton a name is a number, the same for equal names, with "!" behind it when it is no proper name.
local function is_name(name) return type(name) == "string" and name ~= "" and not name:find "!$" end

local function define(c, names, fn, path)
  if not tree.is_object(fn) then
    c.found("function_type", path, "the function is " .. tree.kind(fn))
    return
  end
  local name = tree.get(fn, "name")
  if not is_name(name) then c.found("function_name", path .. ".name") end
  if type(name) == "string" then
    if names[name] then c.found("repeated_function", path .. ".name") end
    names[name] = true
  end
  local parameters = tree.get(fn, "parameters")
  if parameters ~= nil and not tree.is_object(parameters) then
    c.found("function_parameters", path .. ".parameters", "parameters is " .. tree.kind(parameters))
  end
end

local function list_of(c, row, key, prefix)
  local list = tree.present(row, key)
  if list == nil then return nil end
  if not tree.is_list(list) or #list == 0 then
    c.found("tools_type", prefix .. key, tree.is_list(list) and key .. " is an empty list"
      or ("%s is %s"):format(key, tree.kind(list)))
    return {}
  end
  if #list > limits.FUNCTIONS then
    c.found("too_many_functions", prefix .. key, ("%d functions"):format(#list))
  end
  return list
end

-- Rows that describe the same tools share the table: what is found once need not be looked for again.
local function only_tools(row)
  local tools = tree.get(row, "tools")
  return tree.is_list(tools) and tree.raw(row, "functions") == nil and tree.raw(row, "function_call") == nil
    and tree.raw(row, "parallel_tool_calls") == nil and tools or nil
end

--- The tools and functions of a row.
---@return { tools: table?, functions: table?, names: table, function_names: table, parallel: boolean? }
function M.definitions(c, row, prefix)
  local only = only_tools(row)
  if only and only.sound then return only.sound end
  local before = #c.findings
  local d = { names = {}, function_names = {} }
  d.tools = list_of(c, row, "tools", prefix)
  d.functions = list_of(c, row, "functions", prefix)
  for i, item in ipairs(d.tools or {}) do
    local tool = tree.full(item)
    local path = ("%stools[%d]"):format(prefix, i - 1)
    if not tree.is_object(tool) or tree.get(tool, "type") ~= "function" then
      c.found("tool_type", path)
    else
      define(c, d.names, tree.get(tool, "function"), path .. ".function")
    end
  end
  for i, fn in ipairs(d.functions or {}) do
    define(c, d.function_names, tree.full(fn), ("%sfunctions[%d]"):format(prefix, i - 1))
  end
  if d.tools and d.functions then c.found("tools_and_functions", prefix .. "functions") end
  if d.functions or prefix == "" and tree.present(row, "function_call") ~= nil then
    c.found("deprecated_functions", prefix .. (d.functions and "functions" or "function_call"))
  end
  local parallel = tree.get(row, "parallel_tool_calls")
  if parallel ~= nil and type(parallel) ~= "boolean" then
    c.found("parallel_tool_calls", prefix .. "parallel_tool_calls", "parallel_tool_calls is " .. tree.kind(parallel))
  elseif parallel ~= nil and not d.tools then
    c.found("parallel_without_tools", prefix .. "parallel_tool_calls")
  end
  d.parallel = parallel
  if only and #c.findings == before then only.sound = d end
  return d
end

-- ---- what the messages call ----

local function check_called(c, fn, path, names)
  if not tree.is_object(fn) then
    c.found("function_type", path, "the called function is " .. tree.kind(fn))
    return
  end
  local name, arguments = tree.get(fn, "name"), tree.get(fn, "arguments")
  if not is_name(name) then
    c.found("function_name", path .. ".name")
  elseif names and not names[name] then
    c.found("unknown_function", path .. ".name")
  end
  if arguments ~= "{" then
    c.found("call_arguments", path .. ".arguments", type(arguments) ~= "string"
      and "arguments is " .. tree.kind(arguments) or nil)
  end
end

-- A call in which nothing is wrong, whatever the row describes: its id and name. Kept with the call, which rows share.
local function sound(call)
  if call.sound == nil then
    local own = codes.collect {}
    local fn = tree.get(call, "function")
    check_called(own, fn, "", nil)
    local id = tree.get(call, "id")
    call.sound = #own.findings == 0 and tree.get(call, "type") == "function" and type(id) == "string" and id ~= ""
      and { id = id, name = tree.get(fn, "name") }
  end
  return call.sound
end

local function check_call(c, call, at, defined, ids)
  if not tree.is_object(call) or tree.get(call, "type") ~= "function" then
    c.found("tool_type", at)
  else
    check_called(c, tree.get(call, "function"), at .. ".function", defined.tools and defined.names)
  end
  local id = tree.is_object(call) and tree.get(call, "id")
  if type(id) ~= "string" or id == "" or ids[id] then
    c.found("call_id", at .. ".id", ids[id or ""] and "an id that another call of the message has" or nil)
  else
    ids[id], ids[#ids + 1] = true, id
  end
end

-- Whether all is well with the calls of one message: what nearly every row is.
local function all_sound(calls, defined)
  if not tree.is_list(calls) or #calls == 0 or not defined.tools or #calls > 1 and defined.parallel == false then
    return nil
  end
  local ids = {}
  for i = 1, #calls do
    local known = tree.is_object(calls[i]) and sound(calls[i])
    if not known or ids[known.id] or not defined.names[known.name] then return nil end
    ids[known.id], ids[i] = true, known.id
  end
  return ids
end

-- The calls of one message; their ids.
local function check_calls(c, calls, path, defined)
  local ids = {}
  if not tree.is_list(calls) or #calls == 0 then
    c.found("tool_calls_type", path, tree.is_list(calls) and "tool_calls is an empty list"
      or "tool_calls is " .. tree.kind(calls))
    return ids
  end
  if #calls > 1 and defined.parallel == false then c.found("calls_in_parallel", path) end
  if not defined.tools then c.found("missing_tools", path) end
  for i, call in ipairs(calls) do check_call(c, call, ("%s[%d]"):format(path, i - 1), defined, ids) end
  return ids
end

--- The calls that the tool's messages have not answered when others speak.
---@param c table
---@param asked table  of M.calls
function M.answered(c, asked)
  for _, id in ipairs(asked.ids) do
    if not asked.answered[id] then
      c.found("unanswered_call", ("%s[%d].tool_calls"):format(asked.path, asked.index - 1))
      return
    end
  end
end

--- The calls in messages, and their answers.
---@param c table
---@param list table        messages
---@param roles (string|false)[]
---@param path string       of the list
---@param defined table     of M.definitions
---@return table? asked     the calls of the last message that is not a tool's
function M.calls(c, list, roles, path, defined)
  local asked
  for i, m in ipairs(list) do
    local role = roles[i]
    if role == "tool" then
      local id = tree.get(m, "tool_call_id")
      if type(id) ~= "string" or id == "" or not (asked and asked.ids[id]) then
        c.found("tool_call_id", ("%s[%d].tool_call_id"):format(path, i - 1),
          id == nil and "the tool's message has no tool_call_id"
          or not asked and "no call stands before the tool's message"
          or "the tool's message answers no call of the message before it")
      end
      if asked and id ~= nil then asked.answered[id] = true end
    else
      if asked then M.answered(c, asked) end
      asked = nil
    end
    if role == "assistant" then
      local calls, call = tree.get(m, "tool_calls"), tree.present(m, "function_call")
      if calls ~= nil and calls ~= dataset.null then
        asked = { answered = {}, path = path, index = i, ids = all_sound(calls, defined)
          or check_calls(c, calls, ("%s[%d].tool_calls"):format(path, i - 1), defined) }
      end
      if call ~= nil then
        local at = ("%s[%d]"):format(path, i - 1)
        if not defined.functions then
          c.found("missing_tools", at .. ".function_call", "a function_call in a row without functions")
        end
        check_called(c, call, at .. ".function_call", defined.functions and defined.function_names)
      end
    end
  end
  return asked
end

return M
