--- What ft.files and `ftrun tune` take: a path, or the id of a file that is at the provider already.

--- Whether a text is such an id.
---@param text string
---@return boolean
return function(text) return text:find "^file%-[%w_-]+$" ~= nil end
