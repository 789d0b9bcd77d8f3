--- A streamed chat answer: server-sent events, put together again into one answer.
local err = require "ftrun.err"
local json = require "ftrun.json"
local values = require "ftrun.providers.values"

local Stream = {}
Stream.__index = Stream

---@class ftrun.Stream
---@field text string      so far
---@field begun boolean    something has been shown

---@param title string                   the provider's name in messages
---@param on_text fun(piece: string)     gets the answer's text as it comes
---@return ftrun.Stream
function Stream.new(title, on_text)
  return setmetatable({ title = title, on_text = on_text, pending = "", text = "", begun = false, usage = {} }, Stream)
end

local function fail(self, message, code)
  err.raise("provider", ("%s: the answer's stream %s"):format(self.title, message), { code = code,
    advice = "Ask again." })
end

local function take(self, w)
  local e = values.object(w.error)
  if values.text(e.message) then fail(self, "ends with an error: " .. e.message, values.text(e.code)) end
  self.id, self.model = self.id or values.text(w.id), self.model or values.text(w.model)
  if type(w.usage) == "table" then self.usage = w.usage end
  local choice = values.object(values.object(w.choices)[1])
  local delta = values.object(choice.delta)
  self.finish_reason = values.text(choice.finish_reason) or self.finish_reason
  local refusal, piece = values.text(delta.refusal), values.text(delta.content)
  if refusal then self.refusal = (self.refusal or "") .. refusal end
  if piece then
    self.text, self.begun = self.text .. piece, true
    self.on_text(piece)
  end
end

--- Takes bytes of the body as they come; an event may be cut anywhere.
---@param bytes string
function Stream:add(bytes)
  self.pending = self.pending .. bytes
  while true do
    local line, rest = self.pending:match("^([^\n]*)\n(.*)$")
    if not line then return end
    self.pending = rest
    local data = line:match("^data:%s*(.-)\r?$")
    if data == "[DONE]" then
      self.done = true
    elseif data then
      self.events = true
      local w, message = json.decode(data)
      if type(w) ~= "table" then fail(self, "holds no JSON: " .. (message or "another value")) end
      take(self, w)
    elseif not self.events then
      self.plain = (self.plain or "") .. line .. "\n"
    end
  end
end

--- The whole answer, after the last byte. A server that does not stream has sent it in one piece.
---@return ftrun.Answer
function Stream:finish()
  if not self.events then
    local w = json.decode((self.plain or "") .. self.pending)
    if type(w) ~= "table" then fail(self, "is neither events nor JSON") end
    local answer = values.answer(w)
    if answer.text ~= "" then self.on_text(answer.text) end
    return answer
  end
  if not self.done and not self.finish_reason then fail(self, "broke off") end
  return { id = self.id, model = self.model, text = self.text, refusal = self.refusal,
    finish_reason = self.finish_reason, usage = values.usage(self.usage) }
end

return Stream
