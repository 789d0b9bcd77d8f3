--- The words that all prompts begin and end with. They say nothing about what a row asks: two short questions in one
--- long form would look alike. Learned from the first rows.
local M = {}

local LONGEST = 8192   -- bytes of a template that are looked at
local SHARE = 0.8      -- of the rows have it
local FEWEST = 8       -- rows to learn it from

-- The length of what two strings begin with.
local function common(a, b)
  local low, high = 0, math.min(#a, #b)
  while low < high do
    local middle = (low + high + 1) // 2
    if a:sub(1, middle) == b:sub(1, middle) then low = middle else high = middle - 1 end
  end
  return low
end

-- The longest beginning that enough of the sorted strings share: they stand together.
local function shared(list)
  table.sort(list)
  local window, best = math.ceil(#list * SHARE), ""
  for i = 1, #list - window + 1 do
    local n = common(list[i], list[i + window - 1])
    if n > #best then best = list[i]:sub(1, n) end
  end
  return best
end

---@param texts string[]
---@return { head: string, tail: string }  both may be empty
function M.learn(texts)
  if #texts < FEWEST then return { head = "", tail = "" } end
  local heads, tails = {}, {}
  for i, text in ipairs(texts) do
    heads[i] = text:sub(1, LONGEST)
    tails[i] = text:sub(-LONGEST):reverse()
  end
  -- both end where a word ends, so that no half of one is left
  return { head = shared(heads):match "^.*%s" or "", tail = (shared(tails):match "^.*%s" or ""):reverse() }
end

--- Where the text without the template is.
---@param template { head: string, tail: string }
---@param text string
---@return integer first
---@return integer last
function M.strip(template, text)
  local first, last = 1, #text
  if template.head ~= "" and text:sub(1, #template.head) == template.head then first = #template.head + 1 end
  local tail = #template.tail
  if tail > 0 and last - tail >= first - 1 and text:sub(-tail) == template.tail then last = last - tail end
  return first, last
end

return M
