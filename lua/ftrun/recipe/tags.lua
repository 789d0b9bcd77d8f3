--- The marks that `ft.NAME` puts on its tables: "@kind", "@file", "@line". They cross out of the recipe's box as plain
--- fields, so a recipe can forge them: whatever comes out is looked at once, before anybody relies on their types.
local M = {}

local FIELDS = {
  env = { name = "string" },
  skip = { reason = "string" },
  json = { text = "string" },
}

local function genuine(v)
  local kind, file, line = v["@kind"], v["@file"], v["@line"]
  if kind ~= nil and type(kind) ~= "string" then return false end
  if file ~= nil and type(file) ~= "string" then return false end
  if line ~= nil and math.type(line) ~= "integer" then return false end
  for field, expected in pairs(FIELDS[kind] or {}) do
    if type(v[field]) ~= expected then return false end
  end
  return kind ~= "env" or v.name:find("^[%a_][%w_]*$") ~= nil
end

--- True when all marks in a plain value are such as ft makes them. The value is as deep as the box lets out.
---@param v any
---@return boolean
function M.genuine(v)
  if type(v) ~= "table" then return true end
  if not genuine(v) then return false end
  for _, item in pairs(v) do
    if type(item) == "table" and not M.genuine(item) then return false end
  end
  return true
end

M.message = "keys that begin with \"@\" are ftrun's own; make such tables with ft.NAME"

return M
