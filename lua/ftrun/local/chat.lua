--- POST /chat/completions: what a tuned model, one of its checkpoints or an untrained base model answers. The local
--- learner has one answer to a question: `n` repeats it, `stop` and `max_tokens` shorten it, and what steers sampling
--- has no effect.
local digest = require "ft.digest"
local time = require "ft.time"
local json = require "ftrun.json"
local answer = require "ftrun.local.answer"
local counted = require "ftrun.local.counted"
local models = require "ftrun.local.models"
local Store = require "ftrun.local.store"

local M = {}

local PIECE = 24 -- characters in a chunk of a stream
local LARGEST = 1 << 31
local MOST_STOPS = 4

local function invalid(param, message)
  answer.refuse(400, ("Invalid '%s': %s."):format(param, message), param, "invalid_value")
end

--- A message's text; the texts of a list of parts are joined.
local function text_of(content, param)
  if type(content) == "string" then return content end
  if content == nil then return "" end
  if type(content) ~= "table" then invalid(param, "expected a text or a list of parts") end
  local texts = {}
  for i, part in ipairs(content) do
    if type(part) ~= "table" or part.type ~= "text" or type(part.text) ~= "string" then
      invalid(("%s[%d]"):format(param, i - 1), "the local learner reads only parts of type 'text'")
    end
    texts[i] = part.text
  end
  return table.concat(texts, "\n")
end

local function read_messages(body)
  local list = body.messages
  if type(list) ~= "table" or #list == 0 then invalid("messages", "expected a list of at least one message") end
  local messages = {}
  for i, m in ipairs(list) do
    local param = ("messages[%d]"):format(i - 1)
    if type(m) ~= "table" then invalid(param, "expected an object") end
    if type(m.role) ~= "string" then invalid(param .. ".role", "expected a text") end
    messages[i] = { role = m.role, content = text_of(m.content, param .. ".content") }
  end
  return messages
end

local function pieces(text)
  local list, at = {}, 1
  while at <= #text do
    local stop = utf8.offset(text, PIECE + 1, at) or #text + 1
    list[#list + 1] = text:sub(at, stop - 1)
    at = stop
  end
  return list
end

--- The server-sent events of a streamed answer, n times side by side.
local function stream(common, text, n, finish, usage)
  local events = {}
  local function chunk(delta, finished)
    for i = 1, n do
      local event = { choices = json.array { { index = i - 1, delta = delta, finish_reason = finished or json.null,
                                               logprobs = json.null } } }
      if usage then event.usage = json.null end
      events[#events + 1] = event
    end
  end
  chunk { role = "assistant", content = "" }
  for _, piece in ipairs(pieces(text)) do chunk { content = piece } end
  chunk({}, finish)
  if usage then
    usage.completion_tokens = usage.completion_tokens * n
    usage.total_tokens = usage.prompt_tokens + usage.completion_tokens
    events[#events + 1] = { choices = json.array {}, usage = usage }
  end
  local i = 0
  return function()
    i = i + 1
    if i > #events + 1 then return nil end
    if i > #events then return "data: [DONE]\n\n" end
    local event = events[i]
    event.object = "chat.completion.chunk"
    for k, v in pairs(common) do event[k] = v end
    return "data: " .. json.encode(event) .. "\n\n"
  end
end

local function choices(text, n, finish)
  local list = {}
  for i = 1, n do
    list[i] = { index = i - 1, finish_reason = finish, logprobs = json.null, message = { role = "assistant",
                content = text, refusal = json.null, annotations = json.array {} } }
  end
  return json.array(list)
end

local function whole(body, name, least, most)
  local value = body[name]
  if value == nil then return nil end
  local n = type(value) == "number" and math.tointeger(value)
  if not n or n < least or n > most then
    invalid(name, ("expected an integer from %d to %d"):format(least, most))
  end
  return n
end

local function read_stop(body)
  local stop = body.stop
  if stop == nil then return {} end
  if type(stop) == "string" then return { stop } end
  local good = type(stop) == "table" and #stop <= MOST_STOPS
  for _, text in ipairs(good and stop or {}) do good = good and type(text) == "string" end
  if not good then invalid("stop", "expected a text, or a list of at most 4") end
  return stop
end

--- The text up to the first stop sequence, and of that what max_tokens leaves, in proportion.
local function cut(text, usage, stops, most)
  local full, finish = #text, "stop"
  for _, stop in ipairs(stops) do
    local at = stop ~= "" and text:find(stop, 1, true)
    if at then text = text:sub(1, at - 1) end
  end
  if #text < full then usage.completion_tokens = math.ceil(usage.completion_tokens * #text / full) end
  if most and usage.completion_tokens > most then
    local kept = utf8.len(text) * most // usage.completion_tokens
    text, finish, usage.completion_tokens = text:sub(1, utf8.offset(text, kept + 1) - 1), "length", most
  end
  usage.total_tokens = usage.prompt_tokens + usage.completion_tokens
  return text, finish
end

--- What a body asks for: what answers have in common, and the text with its usage.
local function think(ctx, body)
  local name = body.model
  if type(name) ~= "string" then
    answer.refuse(400, "Missing required parameter: 'model'.", "model", "missing_required_parameter")
  end
  local messages = read_messages(body)
  local most = whole(body, "max_completion_tokens", 1, LARGEST) or whole(body, "max_tokens", 1, LARGEST)
  local stops = read_stop(body)
  local ask, id = models.open(ctx, name)
  local text = ask(messages)
  local usage = counted.usage(id, messages, text)
  local finish
  text, finish = cut(text, usage, stops, most)
  return { id = Store.id("chatcmpl-", 29), created = math.floor(time.now()), model = id,
           system_fingerprint = "ftrun-local-" .. digest.sha256(id):sub(1, 10) }, text, usage, finish
end

--- A whole answer to a body; refuses one that asks for a stream.
---@return table completion
function M.complete(ctx, body)
  if body.stream == true then invalid("stream", "a stream is not possible here") end
  local n = whole(body, "n", 1, 128) or 1
  local common, text, usage, finish = think(ctx, body)
  usage.completion_tokens = usage.completion_tokens * n
  usage.total_tokens = usage.prompt_tokens + usage.completion_tokens
  common.object, common.choices, common.usage = "chat.completion", choices(text, n, finish), usage
  return common
end

function M.create(ctx, request)
  local body = answer.body(request)
  if body.stream ~= true then return M.complete(ctx, body) end
  local n = whole(body, "n", 1, 128) or 1
  local common, text, usage, finish = think(ctx, body)
  local wants = body.stream_options
  return { status = 200, headers = { ["content-type"] = "text/event-stream; charset=utf-8",
                                     ["cache-control"] = "no-cache" },
           chunks = stream(common, text, n, finish,
             type(wants) == "table" and wants.include_usage == true and usage or nil) }
end

return M
