--- A row as the doctor sees it: what is asked, what is answered, and every text in it with its place.
local dataset = require "ft.dataset"
local similar = require "ft.similar"

local M = {}

local hash = similar.hash

---@class ftrun.Row
---@field prompt integer     hash of all that is asked, tools and system message too
---@field answer string?     what is to be learned; nil when the row has none
---@field answer_path string?
---@field answer_hash integer  of all that is not asked
---@field single boolean     a prompt has one right answer (in preferences it may have many pairs)
---@field system string      the system's messages
---@field asked string       the other messages before the answer

--- The text without white space around it.
---@param text string
---@return string
function M.trim(text) return text:find "^%s*$" and "" or text:match "^%s*(.*%S)" end

-- The value of a key in an ordered object.
local function get(object, name)
  if type(object) ~= "table" or not object.object then return nil end
  for _, pair in ipairs(object) do if pair[1] == name then return pair[2] end end
end

-- The text of a content: a string, or a list of parts of which only texts count.
local function text_of(content)
  if type(content) == "string" then return content end
  if type(content) ~= "table" or not content.array then return "" end
  local parts = {}
  for _, part in ipairs(content) do
    local text = get(part, "text")
    if type(text) == "string" then parts[#parts + 1] = text end
  end
  return table.concat(parts, "\n")
end

-- One text alone is not copied.
local function joined(list) return #list == 1 and list[1] or table.concat(list, "\n") end

local NOT_ASKED = { system = true, developer = true }

-- Messages up to `last` are asked.
local function conversation(row, messages, last)
  local system, asked = {}, {}
  for i = 1, last do
    local text, role = text_of(get(messages[i], "content")), get(messages[i], "role")
    local list = NOT_ASKED[role] and system or asked
    list[#list + 1] = text
    row.prompt = hash(row.prompt, messages[i])
  end
  row.system, row.asked = joined(system), joined(asked)
end

local function chat(row, value, messages)
  local last = #messages
  local final = messages[last]
  for _, pair in ipairs(value) do
    if pair[1] == "tools" or pair[1] == "functions" then row.prompt = hash(row.prompt, pair[2]) end
  end
  if get(final, "role") ~= "assistant" then -- what is to be reached stands beside the messages
    conversation(row, messages, last)
    for _, pair in ipairs(value) do
      if pair[1] ~= "messages" then row.answer_hash = hash(row.answer_hash, pair) end
    end
    return
  end
  conversation(row, messages, last - 1)
  local content = get(final, "content")
  row.answer = type(content) == "string" and content or nil
  row.answer_path = ("messages[%d].content"):format(last - 1)
  row.answer_hash = hash(0, row.answer and M.trim(row.answer) or final)
end

local function preference(row, value, input)
  local messages = get(input, "messages")
  row.prompt = hash(row.prompt, get(input, "tools"))
  conversation(row, type(messages) == "table" and messages or {}, type(messages) == "table" and #messages or 0)
  row.answer_hash = hash(hash(0, get(value, "preferred_output")), get(value, "non_preferred_output"))
  row.single = false
end

--- What a decoded line asks and answers. A row of no known shape is all question.
---@param value any  from dataset.decode_ordered
---@return ftrun.Row
function M.read(value)
  local row = { prompt = 0, answer_hash = 0, single = true, system = "", asked = "" }
  local messages, prompt, input = get(value, "messages"), get(value, "prompt"), get(value, "input")
  if type(messages) == "table" and messages.array and messages[1] then
    chat(row, value, messages)
  elseif type(input) == "table" and get(value, "preferred_output") then
    preference(row, value, input)
  elseif type(prompt) == "string" then
    local completion = get(value, "completion")
    row.prompt, row.asked = hash(0, prompt), prompt
    row.answer, row.answer_path = type(completion) == "string" and completion or nil, "completion"
    row.answer_hash = hash(0, completion)
  else
    local text = get(value, "text")
    row.prompt, row.asked = hash(0, value), type(text) == "string" and text or ""
  end
  return row
end

--- A path in words: messages[0].content. Places count from 0, as those of the format rules.
---@param path (string|integer)[]
---@param n integer  its length
---@return string
function M.path(path, n)
  local parts = {}
  for i = 1, n do
    local key = path[i]
    if math.type(key) == "integer" then parts[i] = ("[%d]"):format(key - 1)
    elseif key:find "^[%a_][%w_]*$" then parts[i] = (i > 1 and "." or "") .. key
    else parts[i] = '["?"]' end -- a name may be as private as a value
  end
  return table.concat(parts)
end

local SHORTEST = 8 -- bytes of a text that can hold something

--- Calls visit(text, path, n, ...) for every string in a value that is long enough to hold something; its place are the
--- first n items of path. Images and files that stand in the row as data are left out.
---@param value any
---@param visit fun(text: string, path: (string|integer)[], n: integer, ...)
function M.texts(value, visit, ...)
  local path = {}
  local function walk(v, n, ...)
    if type(v) == "string" then
      if #v >= SHORTEST and not v:find "^data:[%w/+.-]+;base64," then visit(v, path, n, ...) end
    elseif type(v) == "table" then
      local object = v.object
      for i, item in ipairs(v) do
        if object then
          path[n + 1] = item[1]
          item = item[2]
        else
          path[n + 1] = i
        end
        walk(item, n + 1, ...)
      end
    end
  end
  walk(value, 0, ...)
end

--- A line as an ordered value; nil when it is no JSON.
---@param line string
---@return any value
function M.decode(line)
  local value, message = dataset.decode_ordered(line)
  if message then return nil end
  return value
end

return M
