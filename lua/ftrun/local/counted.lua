--- Tokens as the model has them that the learner stands in for: what a plan says before is what is counted after.
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local time = require "ft.time"
local tokens = require "ftrun.data.tokens"

local M = {}

local BATCH = 1 << 20 -- bytes that are counted in one go, while nobody is answered

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
function M.file(model, path)
  local reader <close> = setmetatable({ r = err.check("system", dataset.reader(path)) },
    { __close = function(s) s.r:close() end })
  local c, total, batch, bytes = counter(model), 0, {}, 0
  local function add()
    for _, n in ipairs(c:rows(batch)) do total = total + (n or 0) end
    batch, bytes = {}, 0
    time.sleep(0)
  end
  for line in reader.r.next, reader.r do
    batch[#batch + 1], bytes = line, bytes + #line
    if bytes >= BATCH then add() end
  end
  add()
  return total
end

return M
