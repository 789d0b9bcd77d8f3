--- Questions and expected answers out of a validation file: each row's messages up to its last assistant message, and
--- that message's text.
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local json = require "ftrun.json"

local M = {}

---@class ftrun.evaluate.Row
---@field row integer          line of the file
---@field messages table[]     what is asked
---@field tools table?
---@field expected string      what the answer should be
---@field prompt_sha256 string of all that is asked, but for the model

-- decode_ordered's tables as those that json.encode takes
local function plain(value)
  if type(value) ~= "table" then return value end
  local result = {}
  if value.array then
    for i, item in ipairs(value) do result[i] = plain(item) end
    return json.array(result)
  end
  for _, pair in ipairs(value) do result[pair[1]] = plain(pair[2]) end
  return result
end

-- of the text, or of a list of text parts; nil when there is none
local function text_of(content)
  if type(content) == "string" then return content end
  local texts = {}
  for _, part in ipairs(type(content) == "table" and content or {}) do
    if type(part) ~= "table" or type(part.text) ~= "string" then return nil end
    texts[#texts + 1] = part.text
  end
  return #texts > 0 and table.concat(texts) or nil
end

--- A row as plain tables; what stands in it stays as it is. Of a preference row the better answer is the last message.
---@param line string  JSON
---@return any
function M.decode(line)
  local row = plain((dataset.decode_ordered(line)))
  local pair = type(row) == "table" and type(row.input) == "table" and row.preferred_output
  if pair then
    row = row.input
    row.messages[#row.messages + 1] = pair[1]
  end
  return row
end

local function read_row(line, number, settings)
  local row = M.decode(line)
  local messages = type(row) == "table" and row.messages
  local last = type(messages) == "table" and #messages or 0
  while last > 0 and messages[last].role ~= "assistant" do last = last - 1 end
  local expected = last > 1 and text_of(messages[last].content)
  if not expected then return nil end
  local asked = {}
  for i = 1, last - 1 do
    asked[i] = messages[i]
    asked[i].weight = nil -- belongs to training alone
  end
  local tools = row.tools
  return { row = number, messages = json.array(asked), tools = tools, expected = expected,
    prompt_sha256 = digest.sha256(json.encode { messages = asked, tools = tools, settings = settings }) }
end

--- Reads the rows of a validation file; of those without an assistant text there are only so many.
---@param path string
---@param settings table   what else decides the answers: seed, temperature
---@param limit integer?   rows at most
---@return ftrun.evaluate.Row[]
---@return integer silent  rows whose assistant says no text
function M.read(path, settings, limit)
  local reader <close> = err.check("system", dataset.reader(path))
  local rows, silent = {}, 0
  while #rows < (limit or math.huge) do
    local line, number, code = reader:next()
    if not line then
      if code then err.raise("system", number, { code = code, where = path }) end
      break
    end
    local row = read_row(line, number, settings)
    if row then rows[#rows + 1] = row else silent = silent + 1 end
  end
  return rows, silent
end

return M
