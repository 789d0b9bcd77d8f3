--- Asks a model about one piece of a text until its answer can be used: an answer that is cut at the limit of length,
--- or no JSON, is not taken for the whole. Broken JSON is asked for once more, with what was wrong; then, and at once
--- where the answer was too long, the piece is cut in halves. All that is bounded.
local cut = require "ftrun.extract.cut"
local dataset = require "ft.dataset"
local err = require "ftrun.err"

local M = {}

M.EXTRA = 8            -- questions for one piece beyond the first, whatever happens
local LEAST = 200      -- characters of a piece that is still cut

local AGAIN = "That was not one valid JSON value (%s). Answer again: the same JSON, complete and valid, and nothing "
  .. "else."

-- The JSON in an answer: alone, in a code fence, or between other words.
local function json_of(text)
  local fault
  local function good(candidate)
    if not candidate then return nil end
    local ok, message, _, offset = dataset.check(candidate)
    if ok and candidate:find "^%s*[{%[]" then return candidate:match "^%s*(.-)%s*$" end
    fault = fault or (ok and "expected an object or a list" or ("%s at byte %d"):format(message, offset))
  end
  return good(text) or good(text:match "^%s*```%w*%s*\n(.-)\n?%s*```%s*$") or good(text:match "{.*}"), fault
end

--- What an answer is good for.
---@param answer ftrun.extract.Answer
---@param format "json"|"text"
---@return string? text
---@return "refused"|"truncated"|"not_json"|nil code
---@return string? message
local function judge(answer, format)
  if answer.refusal then return nil, "refused", "the model refuses: " .. answer.refusal end
  if answer.finish_reason == "content_filter" then
    return nil, "refused", "the provider's content filter stopped the answer"
  end
  local truncated = answer.finish_reason == "length"
  if format == "text" then
    if truncated then return nil, "truncated", "the answer was cut at the limit of length" end
    local text = answer.text:match "^%s*(.-)%s*$"
    if text == "" then return nil, "empty", "the answer is empty" end
    return text
  end
  local json, fault = json_of(answer.text)
  if json then return json end
  if truncated then return nil, "truncated", "the answer was cut at the limit of length" end
  return nil, "not_json", answer.text == "" and "the answer is empty" or "the answer is no JSON: " .. fault
end

local function again(prompt, answer, message)
  local messages = table.move(prompt, 1, #prompt, 1, {})
  messages[#messages + 1] = { role = "assistant", content = answer.text }
  messages[#messages + 1] = { role = "user", content = AGAIN:format(message:gsub("^the answer is ", "")) }
  return messages
end

---@class ftrun.extract.Asking
---@field say fun(messages: table[]): ftrun.extract.Answer?, ftrun.Error?  asks; or why that failed
---@field prompt fun(piece: ftrun.cut.Piece): table[]    the messages about a piece
---@field format "json"|"text"
---@field measure fun(text: string): integer

local function halves(a, piece)
  if utf8.len(piece.text) < LEAST then return nil end
  local list = cut.pieces(piece.text, { limit = a.measure(piece.text) // 2 + 1, measure = a.measure })
  for _, half in ipairs(list) do half.article = half.article or piece.article end
  return #list > 1 and list or nil
end

local function ask(a, piece, left, out)
  local messages = a.prompt(piece)
  local answer, e = a.say(messages)
  local text, code, message
  if answer then
    text, code, message = judge(answer, a.format)
  elseif e.code == "context_length_exceeded" then
    code, message = "truncated", e.message
  else
    return e
  end
  if code == "not_json" and answer.text ~= "" and left.n > 0 then
    left.n = left.n - 1
    answer, e = a.say(again(messages, answer, message))
    if not answer then return e end
    text, code, message = judge(answer, a.format)
  end
  if text then
    out[#out + 1] = text
    return nil
  end
  local parts = code ~= "refused" and halves(a, piece)
  if not parts or left.n < #parts then return err.new("data", message, { code = code }) end
  left.n = left.n - #parts
  for _, half in ipairs(parts) do
    e = ask(a, half, left, out)
    if e then return e end
  end
end

--- The usable answers to a piece, in the order of its parts; or why there is none.
---@param a ftrun.extract.Asking
---@param piece ftrun.cut.Piece
---@return string[]? answers
---@return ftrun.Error? e
function M.ask(a, piece)
  local out = {}
  local e = ask(a, piece, { n = M.EXTRA }, out)
  if e then return nil, e end
  return out
end

return M
