--- Builds HTML that can hold anybody's text: what is not made here is escaped, and freed from registered secrets.
--- Every element is closed, void ones too, so that a page is also well-formed XML.
local log = require "ft.log"

local html = {}

local Markup = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }
local VOID = { br = true, meta = true }

--- Text for between tags and in attributes. Control bytes, which no page may hold, become U+FFFD.
---@param text string
---@return string
function html.escape(text)
  text = log.mask(text):gsub("[^%C\n\t]", "\u{FFFD}")
  return (text:gsub("[&<>\"']", ENTITIES))
end

--- Text that is markup already: for constants of this program only.
---@param text string
function html.raw(text)
  return setmetatable({ text }, Markup)
end

-- Children may be absent: a list has its end at the last one that is there.
local function last(list)
  local n = 0
  for key in pairs(list) do
    if math.type(key) == "integer" and key > n then n = key end
  end
  return n
end

local function put(out, child)
  if getmetatable(child) == Markup then
    out[#out + 1] = child[1]
  elseif type(child) == "table" then
    for i = 1, last(child) do put(out, child[i]) end
  elseif child then
    out[#out + 1] = html.escape(tostring(child))
  end
end

local function element(name, content)
  if type(content) ~= "table" or getmetatable(content) == Markup then content = { content } end
  local names, out = {}, { "<", name }
  for key, value in pairs(content) do
    if type(key) == "string" and value then names[#names + 1] = key end
  end
  table.sort(names)
  for _, key in ipairs(names) do
    local value = content[key]
    out[#out + 1] = (' %s="%s"'):format(key, value == true and key or html.escape(tostring(value)))
  end
  if VOID[name] then
    out[#out + 1] = "/>"
  else
    out[#out + 1] = ">"
    for i = 1, last(content) do put(out, content[i]) end
    out[#out + 1] = "</" .. name .. ">"
  end
  return html.raw(table.concat(out))
end

--- Elements by name: h.p { class = "note", "text", h.b "bold", { list, of, children } }. Strings are escaped; nil and
--- false stand for nothing; attributes come in the order of their names.
html.h = setmetatable({}, { __index = function(self, name)
  local function make(content) return element(name, content) end
  rawset(self, name, make)
  return make
end })

--- The markup of children that stand beside each other.
---@return string
function html.text(...)
  local out = {}
  put(out, { ... })
  return table.concat(out)
end

return html
