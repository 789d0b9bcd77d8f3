--- Amounts as people read them: counts, bytes, US dollars, shares, durations.
local M = {}

--- 12345 -> "12 345"; a fraction is rounded.
---@param n number
---@return string
function M.number(n)
  local text = ("%.0f"):format(n)
  while true do
    local more, found = text:gsub("^(%-?%d+)(%d%d%d)", "%1 %2")
    if found == 0 then return text end
    text = more
  end
end

--- "412 B", "8.4 MB"; units of 1000.
---@param bytes number
---@return string
function M.size(bytes)
  if bytes < 1000 then return ("%.0f B"):format(bytes) end
  for _, unit in ipairs { "kB", "MB", "GB" } do
    bytes = bytes / 1000
    if bytes < 999.5 or unit == "GB" then return ("%.1f %s"):format(bytes, unit) end
  end
end

--- "$28.10"; below ten cents up to four digits ("$0.0371"), so that small sums do not look like nothing.
---@param usd number
---@return string
function M.usd(usd)
  if usd == 0 then return "$0" end
  if usd >= 0.1 then
    local whole, cents = ("%.2f"):format(usd):match("^(%d+)%.(%d+)$")
    return "$" .. M.number(tonumber(whole)) .. "." .. cents
  end
  if usd < 0.0001 then return "less than $0.0001" end
  return "$" .. ("%.4f"):format(usd):gsub("^(%d+%.%d%d%d-)0+$", "%1")
end

--- One amount, or "from A to B" with what is likely in between.
---@param range { min: number, max: number, likely: number }
---@param format fun(n: number): string
---@return string
function M.range(range, format)
  local min, max, likely = format(range.min), format(range.max), format(range.likely)
  if min == max then return max end
  if likely == min or likely == max then return ("%s to %s"):format(min, max) end
  return ("%s to %s, likely %s"):format(min, max, likely)
end

--- "5 s", "12 min", "3 h"; whole units, never less than a second.
---@param seconds number
---@return string
function M.duration(seconds)
  if seconds < 90 then return ("%d s"):format(math.max(1, math.floor(seconds + 0.5))) end
  if seconds < 90 * 60 then return ("%d min"):format(math.floor(seconds / 60 + 0.5)) end
  return ("%d h"):format(math.floor(seconds / 3600 + 0.5))
end

--- "1 example", "3 examples".
---@return string
function M.count(n, word)
  return ("%s %s%s"):format(M.number(n), word, n == 1 and "" or "s")
end

return M
