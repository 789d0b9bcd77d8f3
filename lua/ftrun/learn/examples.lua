--- Chat examples out of a JSONL file: the last user text, and the answer that is to be learnt.
local dataset = require "ft.dataset"
local err = require "ftrun.err"

local M = {}

--- The value of a key in an object of dataset.decode_ordered.
---@param object table
---@param key string
---@return any
function M.get(object, key)
  for _, pair in ipairs(object) do
    if pair[1] == key then return pair[2] end
  end
end
local get = M.get

--- The text of a message's content, a string or a list of text parts; nil when there is none.
---@param content any
---@return string?
function M.text(content)
  if type(content) == "string" then return content end
  if type(content) ~= "table" or not content.array then return nil end
  local parts = {}
  for _, part in ipairs(content) do
    local text = type(part) == "table" and part.object and get(part, "text")
    if type(text) == "string" then parts[#parts + 1] = text end
  end
  return table.concat(parts, "\n")
end

--- The example of one line: { text, answer }, or false when the line has no target (weights of 0, tool calls alone).
--- nil and a message when it is no chat example.
---@param line string
---@return { text: string, answer: string }|false|nil example
---@return string? message
local function parse(line)
  local row, message = dataset.decode_ordered(line)
  if type(row) ~= "table" or not row.object then return nil, message or "expected a JSON object" end
  local messages = get(row, "messages")
  if type(messages) ~= "table" or not messages.array or #messages == 0 then
    return nil, 'expected a list "messages" that is not empty'
  end
  local text, example
  for i, m in ipairs(messages) do
    local role = type(m) == "table" and m.object and get(m, "role")
    if type(role) ~= "string" then return nil, ("messages[%d]: expected an object with a role"):format(i - 1) end
    local content = M.text(get(m, "content"))
    if role == "user" then
      text = content or text
    elseif role == "assistant" and content and text and get(m, "weight") ~= 0 then
      example = { text = text, answer = content }
    end
  end
  return example or false
end

--- Reads all examples. Raises "data" with code invalid_training_file where a line is no chat example.
---@param path string
---@param pause fun()  called after each line
---@return { text: string, answer: string }[]
function M.read(path, pause)
  local reader = err.check("system", dataset.reader(path))
  local _ <close> = setmetatable({}, { __close = function() reader:close() end })
  local examples = {}
  while true do
    local line, number = reader:next()
    if not line then
      if not number then return examples end
      err.raise("data", tostring(number), { where = path, code = "invalid_training_file" })
    end
    if line:find("%S") then
      local example, message = parse(line)
      if example == nil then
        err.raise("data", message, { where = ("%s:%d"):format(path, number), code = "invalid_training_file" })
      end
      if example then examples[#examples + 1] = example end
    end
    pause()
  end
end

return M
