--- Rules of preference rows (DPO) and of completions pairs.
local chat = require "ftrun.data.rules.chat"
local tools = require "ftrun.data.rules.tools"
local tree = require "ftrun.data.rules.tree"

local M = {}

local KEYS = { "input", "preferred_output", "non_preferred_output" }
local INPUT_KEYS = { "messages", "tools", "parallel_tool_calls" }
local PAIR_KEYS = { "prompt", "completion" }
local IS_KEY, IS_INPUT_KEY, IS_PAIR_KEY = tree.set(KEYS), tree.set(INPUT_KEYS), tree.set(PAIR_KEYS)

local function check_output(c, row, key, defined)
  local output = tree.get(row, key)
  if output == nil then
    c.found("missing_output", key, key .. " is missing")
  elseif not tree.is_list(output) or #output ~= 1 then
    c.found("output_type", key, tree.is_list(output) and ("%s has %d messages"):format(key, #output)
      or ("%s is %s"):format(key, tree.kind(output)))
  else
    local path = key .. "[0]"
    local message = tree.full(output[1])
    local role = chat.message(c, message, path)
    if role and role ~= "assistant" then c.found("output_role", path .. ".role", "the output's role is " .. role) end
    if role == "assistant" and defined then tools.calls(c, { message }, { role }, key, defined) end
  end
end

--- A preference row: an input and two answers to it.
function M.row(c, row)
  tree.known(c, row, "", IS_KEY, KEYS, "unknown_key")
  local input = tree.get(row, "input")
  local defined
  if not tree.is_object(input) then
    c.found("missing_input", "input", input and "input is " .. tree.kind(input)
      or tree.raw(row, "messages") and "the row has messages, and no input: it looks like a supervised row" or nil)
  else
    tree.known(c, input, "input.", IS_INPUT_KEY, INPUT_KEYS, "unknown_key")
    local roles, _
    roles, _, defined = chat.messages(c, input, "input.")
    if roles and roles.asked then tools.answered(c, roles.asked) end
  end
  check_output(c, row, "preferred_output", defined)
  check_output(c, row, "non_preferred_output", defined)
  if c.images > 0 then c.found("text_only", "input.messages") end
  c.images = 0 -- said already
end

--- A completions pair.
function M.completion(c, row)
  tree.known(c, row, "", IS_PAIR_KEY, PAIR_KEYS, "unknown_key")
  local prompt, completion = tree.get(row, "prompt"), tree.get(row, "completion")
  if type(prompt) ~= "string" then
    c.found("missing_prompt", "prompt", prompt ~= nil and "prompt is " .. tree.kind(prompt) or nil)
  end
  if type(completion) ~= "string" then
    c.found("missing_completion", "completion", completion ~= nil and "completion is " .. tree.kind(completion) or nil)
  elseif completion == "" or completion == " " then
    c.found("empty_completion", "completion")
  end
end

return M
