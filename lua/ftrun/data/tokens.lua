--- Tokens of training rows, exactly as OpenAI's tokenizer counts a text, with the overhead of a chat as OpenAI's
--- cookbook counts it when fine-tuning data is prepared: 3 tokens a message, 1 for a `name`, 3 an example, and the
--- tokens of every string of a message (the role too).
---
--- What the cookbook does not count: of content that is a list of parts, their texts (a picture's tokens depend on its
--- size, so they are not in the number); `tools`, `functions`, `tool_calls` and `function_call` as the JSON text that
--- stands in the row. In a preference row the input and both outputs count. A row {"text": ...} or {"prompt": ...,
--- "completion": ...} has no overhead.
local tokenizer = require "ft.tokenizer"

local M = {}

--- The encodings, the newest first.
M.encodings = { "o200k_base", "cl100k_base" }

-- the beginning of a model's name, and its encoding; the first that fits
local MODELS = {
  { "gpt-4o", "o200k_base" }, { "chatgpt-4o", "o200k_base" }, { "gpt-4.1", "o200k_base" },
  { "gpt-4.5", "o200k_base" }, { "gpt-5", "o200k_base" }, { "gpt-oss", "o200k_base" },
  { "o1", "o200k_base" }, { "o3", "o200k_base" }, { "o4", "o200k_base" },
  { "gpt-4", "cl100k_base" }, { "gpt-3.5", "cl100k_base" }, { "gpt-35", "cl100k_base" },
  { "davinci-002", "cl100k_base" }, { "babbage-002", "cl100k_base" },
}

-- "o1" begins "o1-mini", not "o1x"
local function begins(model, name)
  return model:sub(1, #name) == name and not model:sub(#name + 1, #name + 1):find "^%w"
end

--- The encoding of a model, of a tuned one by its base model.
---@param model string
---@return "o200k_base"|"cl100k_base" encoding
---@return string? note  when the model is not known, so that the encoding is a guess
function M.encoding_of(model)
  local base = model:match "^ft:([^:]+)" or model
  for _, row in ipairs(MODELS) do
    if begins(base, row[1]) then return row[2] end
  end
  return "o200k_base", ("the encoding of %s is not known; counted with o200k_base"):format(base)
end

local TEXT, JSON = { count = "text" }, { count = "json" }

local PART = { count = "text", keys = { text = TEXT, refusal = TEXT } }

local MESSAGE = { add = 3, others = TEXT, keys = {
  name = { add = 1, count = "text" },
  content = { count = "text", each = PART },
  tool_calls = JSON, function_call = JSON,
} }

local MESSAGES = { add = 3, each = MESSAGE }

local ROW = { keys = {
  messages = MESSAGES, tools = JSON, functions = JSON,
  input = { keys = { messages = MESSAGES, tools = JSON } },
  preferred_output = { each = MESSAGE }, non_preferred_output = { each = MESSAGE },
  text = TEXT, prompt = TEXT, completion = TEXT,
} }

---@class ftrun.tokens.Counter  closable
---@field encoding string
---@field note string?  see encoding_of
local Counter = {}
Counter.__index = Counter

--- A counter for a model, or for an encoding. Keep it: it becomes faster with use.
---@param options { model: string?, encoding: string?, threads: integer? }
---@return ftrun.tokens.Counter
function M.counter(options)
  local encoding, note = options.encoding, nil
  if not encoding then encoding, note = M.encoding_of(options.model) end
  return setmetatable({ encoding = encoding, note = note, shape = tokenizer.shape(ROW),
    native = tokenizer.open(encoding, options.threads) }, Counter)
end

--- Tokens of a text, without any overhead.
---@param text string
---@return integer
function Counter:text(text) return self.native:count(text) end

--- Tokens of each row, by all cores; false for a row that is no JSON. Give some megabytes at a time.
---@param lines string[]
---@return (integer|false)[]
function Counter:rows(lines) return self.native:rows(lines, self.shape) end

--- Begins to count rows while the caller goes on; finish() on what this returns gives what rows() would. One at a time.
---@param lines string[]
---@param sound boolean?  each was found valid JSON before
---@return ft.tokenizer.Job
function Counter:start(lines, sound) return self.native:start(lines, self.shape, sound) end

--- Tokens of one row, or false.
---@param line string
---@return integer|false
function Counter:row(line) return self.native:rows({ line }, self.shape)[1] end

function Counter:close() self.native:close() end
Counter.__close = Counter.close

return M
