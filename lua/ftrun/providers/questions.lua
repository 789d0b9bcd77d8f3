--- Chat requests as the OpenAI wire has them: the body of one, and the lines of a batch's files.
local json = require "ftrun.json"
local values = require "ftrun.providers.values"

local M = {}

local URL = "/v1/chat/completions"

--- The body of a request.
---@param o table  as for Provider:chat
---@return table
function M.body(o)
  return { model = o.model, messages = json.array(o.messages), temperature = o.temperature, max_tokens = o.max_tokens,
    response_format = o.response_format, seed = o.seed, tools = o.tools }
end

--- A request as a line of a batch's input, without its end.
---@param id string  comes back with the answer
---@param o table    as for Provider:chat
---@return string
function M.line(id, o)
  return json.encode { custom_id = id, method = "POST", url = URL, body = M.body(o) }
end

--- Reads a line of a batch's output or errors.
---@param line string
---@return string? id             nil: the line cannot be read
---@return ftrun.Answer? answer
---@return string? message        why there is no answer
function M.read(line)
  local w = values.object((json.decode(line)))
  local id, response = values.text(w.custom_id), values.object(w.response)
  if not id then return nil end
  local status, body = values.integer(response.status_code), values.object(response.body)
  if status and status < 300 then return id, values.answer(body) end
  local e = values.object(next(values.object(w.error)) and w.error or body.error)
  return id, nil, ("%s%s"):format(values.text(e.message) or values.text(e.code) or "the batch has no answer",
    status and (" (HTTP %d)"):format(status) or "")
end

return M
