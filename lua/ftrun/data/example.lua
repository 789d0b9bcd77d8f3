--- One training example: its JSON, judged by the format rules before anything is sent. Content is bytes from the row to
--- the file: it is encoded once and never decoded again.
local codes = require "ftrun.data.rules.codes"
local dataset = require "ft.dataset"
local rules = require "ftrun.data.rules"
local words = require "ftrun.recipe.words"

local M = {}

local ORDER = { "input", "preferred_output", "non_preferred_output", "messages", "role", "name", "content", "weight",
  "tool_calls", "tool_call_id", "tools", "id", "type", "function", "arguments", "description", "parameters" }

local KEPT = 4096 -- verdicts; rows of a data set share a handful

-- ft.json "..." becomes raw JSON; what holds none stays as it is
local function prepare(v)
  if type(v) ~= "table" then return v end
  if v["@kind"] == "json" then return dataset.raw(v.text) end
  local result
  for key, item in next, v do
    local made = type(item) == "table" and prepare(item) or item
    if made ~= item then
      if not result then
        result = {}
        for k, other in next, v do result[k] = other end
      end
      result[key] = made
    end
  end
  return result or v
end

local function encode(value) return dataset.encode(prepare(value), ORDER) end

-- The encoder names places as Lua counts, findings as JSON does.
local function from_zero(path)
  return (path:gsub("%[(%d+)%]", function(n) return ("[%d]"):format(n - 1) end))
end

local function encode_fault(message, code)
  local path, rest = message:match "^([%w_.%[%]]+): (.*)$"
  code = codes.all[code or ""] and code or "not_object"
  return codes.finding(code, path and from_zero(path), rest or message)
end

local verdicts, count = {}, 0

local function judge(json, method, sound)
  local skeleton, message, code, offset = rules.shape():skeleton(json, sound)
  if not skeleton then
    local finding = codes.finding(code == "empty" and "empty_line" or code, "", message)
    finding.offset = offset
    return { finding }
  end
  local known = verdicts[method]
  if not known then
    known = {}
    verdicts[method] = known
  end
  local verdict = known[skeleton]
  if not verdict then
    if count >= KEPT then
      known = {}
      verdicts, count = { [method] = known }, 0
    end
    verdict = rules.judge(skeleton, method).findings
    known[skeleton] = verdict
    count = count + 1
  end
  return verdict
end

--- For Recipe:encode: writes what the recipe's `example` returned where it stands, when it has no marks of ft in it.
M.encoder = dataset.encoder(ORDER, "@")

--- Everything that is wrong with an example that M.encoder wrote. Shared: do not change it.
---@param json string
---@param method string?  default: supervised
---@return ftrun.Finding[] findings  without a line
function M.judge(json, method) return judge(json, method or "supervised", true) end

--- The JSON of an example, one line, and everything that is wrong with it. The findings are shared: do not change them.
---@param value any  what the recipe's `example` returned, or a ready-made line, which stays as it is
---@param method string?  of training, whose rows it belongs to; default: supervised
---@return string? json  nil when it cannot be written at all
---@return ftrun.Finding[] findings  without a line
function M.make(value, method)
  method = method or "supervised"
  if type(value) == "string" then
    -- a pattern with .- takes ten times as long as everything else does
    local line = value:find "^%S" and value:byte(-1) > 32 and value or value:match "^%s*(.*%S)" or ""
    return line, judge(line, method)
  elseif type(value) ~= "table" then
    return nil, { codes.finding("not_object", "",
      "expected an example (ft.chat { ... } or its like), got " .. words.show(value)) }
  end
  local ok, json, message, code = pcall(encode, value)
  if not ok then message, json = tostring(json), nil end
  if not json then return nil, { encode_fault(message, code) } end
  return json, judge(json, method, true)
end

return M
