---@meta ft.embedded
--- The text of a Lua module that is compiled into the program; nil when there is none of that name.
---@param name string  "ftrun.recipe.dsl"
---@return string? source
local function source(name) end
return source
