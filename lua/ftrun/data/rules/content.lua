--- Rules of a message's content: texts, parts, images.
local codes = require "ftrun.data.rules.codes"
local dataset = require "ft.dataset"
local tree = require "ftrun.data.rules.tree"
local words = require "ftrun.recipe.words"

local M = {}

-- parts that the API knows and training does not
local NOT_TRAINABLE = tree.set { "input_audio", "file" }
local DETAILS = tree.set { "auto", "low", "high" }
local FORMATS = tree.set { "data:image/jpeg;base64,", "data:image/png;base64,", "data:image/webp;base64," }

-- A text of a skeleton is "", " " or "x"; what begins like JSON is "{", "[", "!{code:offset" or "![code:offset".
local function check_text(c, text, path, role, trained)
  if role == "assistant" and text == "" then
    c.found("empty_answer", path)
  elseif text == "" or text == " " then
    c.found("empty_content", path)
  end
  local bracket, code, offset = text:match "^!([{%[])([%w_]+):(%d+)$"
  if bracket and trained then
    local known = codes.all[code]
    c.found(bracket == "{" and "label_json" or "label_list", path,
      ("broken JSON in the answer: %s (byte %s of the text)"):format(known and known.what or code, offset))
  end
end

local function check_image(c, part, path)
  c.images = c.images + 1
  local image = tree.get(part, "image_url")
  local url = tree.is_object(image) and tree.get(image, "url")
  if type(url) ~= "string" then
    c.found("image_url", path .. ".image_url")
    return
  end
  local large = url:sub(-1) == "!"
  local head = large and url:sub(1, -2) or url
  if head:sub(1, 5) == "data:" then
    if not FORMATS[head:lower()] then c.found("image_format", path .. ".image_url.url", "got " .. words.show(head)) end
    if large then c.found("image_too_large", path .. ".image_url.url") end
  elseif not (head:find "^https?:") then
    c.found("image_format", path .. ".image_url.url", "the image's address is no URL")
  end
  local detail = tree.present(image, "detail")
  if detail ~= nil and not DETAILS[detail] then c.found("image_detail", path .. ".image_url.detail") end
end

local function check_part(c, part, path, role, trained)
  local kind = tree.is_object(part) and tree.get(part, "type")
  if kind == "text" or kind == "refusal" and role == "assistant" then
    local text = tree.get(part, kind)
    if type(text) ~= "string" then
      c.found("missing_text", path .. "." .. kind)
    else
      check_text(c, text, path .. "." .. kind, role, trained)
    end
  elseif kind == "image_url" then
    if role ~= "user" then
      c.images = c.images + 1
      c.found("misplaced_part", path, ("an image in a message of the role %s"):format(role))
    else
      check_image(c, part, path)
    end
  elseif NOT_TRAINABLE[kind] then
    c.found("part_not_trainable", path, ("a part of the type %s"):format(kind))
  elseif kind == "refusal" then
    c.found("misplaced_part", path, ("a refusal in a message of the role %s"):format(role))
  else
    c.found("part_type", path, type(kind) == "string" and "unknown type " .. words.show(kind)
      or tree.is_object(part) and "a part without a type" or "a part is " .. tree.kind(part))
  end
end

--- The content of a message. Without a role nothing can be said about what it may hold.
---@param c table
---@param m table
---@param path string      of the message
---@param role string?
---@param trained boolean  the answer is learnt
function M.check(c, m, path, role, trained)
  local content = tree.get(m, "content")
  path = path .. ".content"
  if content == nil or content == dataset.null then
    local instead = role == "assistant" and (tree.present(m, "tool_calls") or tree.present(m, "function_call")
      or tree.present(m, "refusal")) or role == "function" and content == dataset.null
    if not instead then c.found("missing_content", path, content and "content is null" or nil) end
  elseif type(content) == "string" then
    local calls = tree.present(m, "tool_calls") or tree.present(m, "function_call")
    if not (calls and role == "assistant") then check_text(c, content, path, role, trained) end
  elseif not tree.is_list(content) then
    c.found("content_type", path, "content is " .. tree.kind(content))
  elseif #content == 0 then
    c.found("no_parts", path)
  elseif role then
    for i, part in ipairs(content) do check_part(c, part, ("%s[%d]"):format(path, i - 1), role, trained) end
  end
end

return M
