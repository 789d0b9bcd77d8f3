--- Numbers that prove themselves: the Ukrainian tax number by its check digit, an IBAN by its remainder.
local M = {}

local WEIGHTS = { -1, 5, 7, 9, 4, 6, 10, 5, 7 }

--- The day of birth in a Ukrainian tax number (РНОКПП) of ten digits, counted from 1899-12-31; nil when its check digit
--- is wrong.
---@param digits string
---@return integer? day
function M.tax_number(digits)
  if not digits:find("^%d%d%d%d%d%d%d%d%d%d$") then return nil end
  local sum = 0
  for i, weight in ipairs(WEIGHTS) do sum = sum + weight * (digits:byte(i) - 48) end
  if sum % 11 % 10 ~= digits:byte(10) - 48 then return nil end
  return math.tointeger(digits:sub(1, 5))
end

-- Lengths by country, of those that are met most; for the others 15 to 34.
local LENGTHS = {}
for code, n in ([[AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BY28 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18
  FR27 GB22 GE22 GR27 HR21 HU28 IE22 IL23 IS26 IT27 KZ20 LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 MT31 NL18 NO15 PL28
  PT25 RO24 RS22 SA24 SE24 SI19 SK24 SM27 TR26 UA29 XK20
  ]]):gmatch "(%u%u)(%d+)" do LENGTHS[code] = math.tointeger(n) end

local function remainder(text)
  local rest = 0
  for c in (text:sub(5) .. text:sub(1, 4)):gmatch "." do
    local n = tonumber(c, 36)
    rest = (rest * (n > 9 and 100 or 10) + n) % 97
  end
  return rest
end

--- The IBAN with which the text begins, without spaces; nil when there is none. What follows it in the text, after a
--- space, is not looked at.
---@param text string  capital letters, digits and spaces
---@return string? iban
function M.iban(text)
  local length = LENGTHS[text:sub(1, 2)]
  local compact = text:gsub(" ", "")
  if not compact:find("^%u%u%d%d[%u%d]+$") then return nil end
  if length and #compact > length then
    local rest = text
    for _ = 1, length do rest = rest:gsub("^ *[%u%d]", "", 1) end
    if not rest:find("^ ") then return nil end
    compact = compact:sub(1, length)
  end
  if #compact < (length or 15) or #compact > (length or 34) then return nil end
  return remainder(compact) == 1 and compact or nil
end

return M
