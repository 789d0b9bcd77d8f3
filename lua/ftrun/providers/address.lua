--- Where a URL points.
local address = {}

--- "host" or "host:port" of a URL; "" when it has none.
---@param url string
---@return string
local function authority(url)
  return url:match "^%a+://([^/]*)" or ""
end

--- Whether it is this machine by its name: no proxy can help there, and waiting little.
---@param url string
---@return boolean
function address.is_loopback(url)
  local host = authority(url)
  host = host:match "^(%[.-%])" or host:match "^[^:]*"
  return host == "localhost" or host == "[::1]" or host:match "^127%." ~= nil
end

return address
