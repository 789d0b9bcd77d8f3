--- Tokens as the model has them that the learner stands in for: what a plan says before is what is counted after.
local tally = require "ftrun.data.tally"
local tokens = require "ftrun.data.tokens"

local M = {}

local counters = {}

local function counter(model)
  local encoding = tokens.encoding_of(model)
  counters[encoding] = counters[encoding] or tokens.counter { encoding = encoding, threads = 1 }
  return counters[encoding]
end

--- Of a question and its answer: 3 a message and 3 for the whole, as in training rows.
---@param model string
---@param messages { role: string, content: string }[]
---@param answer string
---@return { prompt_tokens: integer, completion_tokens: integer, total_tokens: integer }
function M.usage(model, messages, answer)
  local c, prompt = counter(model), 3
  for _, m in ipairs(messages) do prompt = prompt + 3 + c:text(m.role) + c:text(m.content) end
  local completion = c:text(answer)
  return { prompt_tokens = prompt, completion_tokens = completion, total_tokens = prompt + completion }
end

--- Of a training file, for one epoch. Waits now and then: call it from a task.
---@param model string
---@param path string
---@return integer
function M.file(model, path) return tally.file(path, counter(model)).billed end

return M
