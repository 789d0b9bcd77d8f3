--- The format rules: what is wrong with a row. They look at a row's skeleton (see ft.dataset.shape), never at its
--- texts, so rows with the same skeleton share a verdict; a data set has a handful of them.
local chat = require "ftrun.data.rules.chat"
local codes = require "ftrun.data.rules.codes"
local dataset = require "ft.dataset"
local limits = require "ftrun.data.rules.limits"
local preference = require "ftrun.data.rules.preference"
local tree = require "ftrun.data.rules.tree"

local M = {}

---@class ftrun.Finding
---@field line integer?     number from 1; nil: the file as a whole
---@field key string?       what names the row of a recipe: "nreg=254к/96-вр"
---@field code string       stable word, see ftrun.rules.codes
---@field severity "error"|"warning"|"note"
---@field path string       JSON path in the row, indices from 0: "messages[1].role"
---@field message string    what is wrong; what to do
---@field offset integer?   byte in the line, from 0
---@field fixable boolean?  --fix mends it
---@field member { prefix: string, key: string }?  the key that --fix removes, and the path of its object with a dot

---@type string[]
M.METHODS = { "supervised", "dpo", "reinforcement", "completions" }

local shape

--- What of a row the rules look at.
---@return ft.dataset.Shape
function M.shape()
  shape = shape or dataset.shape {
    open = { "messages", "input", "preferred_output", "non_preferred_output", "tools", "functions", "tool_calls",
      "function", "function_call", "content", "image_url", "response_format", "json_schema" },
    value = { "role", "type", "weight", "detail" },
    link = { "id", "tool_call_id" },
    link2 = { "name" },
    json = { "content", "text", "arguments", "completion" },
    head = { "url" },
    long = limits.IMAGE_BASE64,
  }
  return shape
end

local judges = {
  supervised = chat.supervised,
  reinforcement = chat.reinforcement,
  dpo = preference.row,
  completions = preference.completion,
}

---@class ftrun.Verdict
---@field findings ftrun.Finding[]  without line
---@field images integer

--- The verdict on a skeleton.
---@param skeleton string
---@param method string    one of METHODS
---@param model table?     facts of limits.model
---@return ftrun.Verdict
function M.judge(skeleton, method, model)
  local c = codes.collect {}
  local row = tree.decode(skeleton)
  if not tree.is_object(row) then
    c.found("not_object", "", "expected a JSON object, got " .. tree.kind(row))
  else
    judges[method](c, row)
    if c.images > limits.IMAGES then
      c.found("too_many_images", "messages", ("%d images in one example"):format(c.images))
    end
    if c.images > 0 and model and model.vision == false then c.found("images_not_supported", "messages") end
  end
  return { findings = c.findings, images = c.images }
end

-- What a row looks like; nil: like nothing known.
local function kind_of(row)
  if not tree.is_object(row) then return nil end
  if tree.get(row, "input") or tree.get(row, "preferred_output") then return "dpo" end
  local messages = tree.shallow(tree.raw(row, "messages"))
  if not messages then
    return (tree.get(row, "prompt") or tree.get(row, "completion")) and "completions" or nil
  end
  local last = tree.is_list(messages) and tree.full(messages[#messages])
  local role = tree.is_object(last) and tree.get(last, "role")
  if role == "user" or role == "developer" then
    for _, pair in ipairs(row) do if not chat.KEYS[pair[1]] then return "reinforcement" end end
  end
  return "supervised"
end

--- The method that most of the rows look like they were made for.
---@param skeletons string[]
---@return string method
function M.detect(skeletons)
  local votes = {}
  for _, skeleton in ipairs(skeletons) do
    local kind = kind_of(tree.decode(skeleton))
    if kind then votes[kind] = (votes[kind] or 0) + 1 end
  end
  local best = "supervised"
  for _, method in ipairs(M.METHODS) do
    if (votes[method] or 0) > (votes[best] or 0) then best = method end
  end
  return best
end

return M
