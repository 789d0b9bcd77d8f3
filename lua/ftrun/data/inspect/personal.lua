--- Personal data and secrets in texts: what they look like, what proves them, and how they are shown without being
--- told. Official texts are full of numbers: every kind has a check besides its shape.
local checksums = require "ftrun.data.inspect.checksums"
local scan = require "ft.scan"

local M = {}

-- No digit or letter before or after; a Cyrillic letter is two bytes from 0xC3 on.
local START = "(?<![0-9A-Za-z]|[\\xC3-\\xDF][\\x80-\\xBF])"
local STOP = "(?![0-9A-Za-z]|[\\xC3-\\xDF][\\x80-\\xBF])"
local NUMBER_START = START .. "(?<![0-9][.,/\\-])"
local NUMBER_STOP = STOP .. "(?![.,/\\-][0-9])"
local DIGITS = "0123456789"
local CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
local TOKEN = DIGITS .. CAPITALS .. CAPITALS:lower() .. "_-"

-- ---- what proves a shape ----

-- Addresses that documents invent.
local INVENTED = { ["example"] = true, ["test"] = true, ["invalid"] = true, ["localhost"] = true, ["local"] = true }

local function email(value)
  local name, host = value:lower():match "^(.-)@(.*)$"
  local last, before = host:match "([^.]*)$", host:match "([^.]*)%.[^.]*$"
  if INVENTED[last] or before == "example" or name == "git" then return nil end
  return value:sub(1, 1) .. "***@***." .. last
end

-- Codes of Ukrainian networks: mobile, and of regions and services.
local MOBILE, AREA = {}, {}
for code in ("39 50 63 66 67 68 73 75 77 91 92 93 94 95 96 97 98 99"):gmatch "%d+" do MOBILE[code] = true end
for code in ("31 32 33 34 35 36 37 38 41 43 44 45 46 47 48 51 52 53 54 55 56 57 61 62 64 65 69 80"):gmatch "%d+" do
  AREA[code] = true
end

local function phone(value)
  local digits = value:gsub("%D", "")
  if value:find "^%+" then
    if digits:find "^380" and #digits ~= 12 then return nil end
    if #digits < 10 or #digits > 15 or digits:find "^0" or digits:find "00000" then return nil end
    return "+" .. digits:sub(1, 3) .. "***" .. digits:sub(-2)
  end
  local national = digits:match "^3?8(0%d+)$" or digits
  local code = national:sub(2, 3)
  if #national ~= 10 or national:find "0000" or not (MOBILE[code] or AREA[code]) then return nil end
  if not (MOBILE[code] or value:find "%D" or #digits == 12) then return nil end -- the number of something else
  return national:sub(1, 3) .. "***" .. national:sub(-2)
end

-- Words before a number that tell what it is.
local function named(text, first, words)
  local before = text:sub(math.max(1, first - 120), first - 1)
  for _, word in ipairs(words) do if before:find(word, 1, true) then return true end end
  return false
end

local TAX_WORDS = { "РНОКПП", "ІПН", "дентифікаційн", "ДЕНТИФІКАЦІЙН", "ИНН", "платника податк", "tax number",
  "Tax number", "tax ID", "taxpayer" }
local FIRST_BIRTH, LAST_BIRTH = 7306, 40908 -- 1920, 2011, as days from 1899-12-31

local function tax_number(value, text, first)
  local day = checksums.tax_number(value)
  if not day or not tonumber(value) or value:find "^(%d)%1+$" then return nil end
  if not named(text, first, TAX_WORDS) then
    -- one number in eleven has a right check digit: without a name it must also be somebody's birthday and no phone
    if day < FIRST_BIRTH or day > LAST_BIRTH or value:find "^0" or value:find "00000" then return nil end
  end
  return value:sub(1, 1) .. "*********"
end

local function iban(value)
  local found = checksums.iban(value)
  return found and found:sub(1, 4) .. "***"
end

local VENDORS = { -- the beginning of a key, and whose it is
  { "sk%-ant%-", "an Anthropic API key" }, { "sk%-", "an API key of OpenAI's form" },
  { "github_pat_", "a GitHub token" }, { "gh%l_", "a GitHub token" }, { "glpat%-", "a GitLab token" },
  { "AKIA", "an AWS access key" },
  { "ASIA", "an AWS access key" }, { "AIza", "a Google API key" }, { "xox%l%-", "a Slack token" },
  { "hf_", "a Hugging Face token" }, { "npm_", "an npm token" }, { "wandb_", "a W&B API key" },
  { "eyJ", "a JSON web token" },
}

local function key(value)
  local body = value:match "^sk%-(.*)$"
  -- words with dashes between them are no key
  if body and not (body:find "%d" and body:find "%a" and body:find(("%w"):rep(16))) then return nil end
  for _, vendor in ipairs(VENDORS) do
    if value:find("^" .. vendor[1]) then return value:sub(1, 4) .. "***", vendor[2] end
  end
end

local function wandb_key(value, text, first)
  if not named(text, first, { "wandb", "WANDB", "W&B" }) then return nil end -- else it is a commit's hash
  return value:sub(1, 2) .. "***", "a W&B API key"
end

local function url_password(value)
  local scheme, rest = value:match "^(%l[%w+.-]*)://(.*)$"
  local password = rest:match ":(.*)@$"
  if password:find "^[%*xX<{$%[]" or password:lower():find "^pass" then return nil end -- a place to be filled in
  return scheme .. "://***", "a password in a URL"
end

--- What is looked for, in order of weight: where two overlap, the first counts. A pattern with bytes, min and margin as
--- ft.scan takes them, and check(value, text, first): what may be shown, and what it is; or nil.
M.kinds = {
  { code = "secret_key", bytes = "-", min = 5, margin = 40, name = "private key",
    pattern = "-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----",
    check = function() return "-----BEGIN ***", "a private key" end },
  { code = "secret_key", bytes = TOKEN, min = 20, margin = 4, name = "API key", check = key,
    pattern = "(?<![A-Za-z0-9_\\-])(?:sk-[A-Za-z0-9_\\-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}"
      .. "|glpat-[A-Za-z0-9_\\-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_\\-]{35}|xox[abeprs]-[A-Za-z0-9\\-]{16,}"
      .. "|hf_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|wandb_[A-Za-z0-9_]{30,})(?![A-Za-z0-9_])" },
  { code = "secret_key", bytes = TOKEN .. ".", min = 36, margin = 4, name = "API key", check = key,
    pattern = START .. "eyJ[A-Za-z0-9_\\-]{10,}\\.eyJ[A-Za-z0-9_\\-]{10,}\\.[A-Za-z0-9_\\-]{10,}" },
  { code = "secret_key", bytes = DIGITS .. "abcdef", min = 40, margin = 4, name = "API key", check = wandb_key,
    pattern = START .. "[0-9a-f]{40}" .. STOP },
  { code = "secret_key", bytes = "@", margin = 160, name = "password", check = url_password,
    pattern = "[a-z][a-z0-9+.\\-]{1,20}://[^\\s:@/]{0,64}:[^\\s@/]{3,64}@" },
  { code = "personal_iban", bytes = DIGITS .. CAPITALS .. " ", min = 15, margin = 2, name = "IBAN", check = iban,
    pattern = START .. "[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,32}" .. STOP },
  { code = "personal_email", bytes = "@", margin = 260, name = "e-mail address", check = email,
    pattern = "(?<![A-Za-z0-9._%+\\-])[A-Za-z0-9][A-Za-z0-9._%+\\-]{0,63}@"
      .. "(?:[A-Za-z0-9](?:[A-Za-z0-9\\-]{0,61}[A-Za-z0-9])?\\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])" },
  { code = "personal_phone", bytes = DIGITS .. "+-() ", min = 10, margin = 3, name = "phone number", check = phone,
    pattern = NUMBER_START .. "(?:\\+[1-9][0-9 ()\\-]{8,20}[0-9]|(?:3?8[ \\-]?)?\\(?0[0-9]{2,4}\\)?[ \\-]?[0-9]{1,3}"
      .. "[ \\-]?[0-9]{2}[ \\-]?[0-9]{2})" .. NUMBER_STOP },
  { code = "personal_tax_number", bytes = DIGITS, min = 10, margin = 3, name = "tax number", check = tax_number,
    pattern = NUMBER_START .. "[0-9]{10}" .. NUMBER_STOP },
}

local scanner = scan.new((function()
  local patterns = {}
  for i, k in ipairs(M.kinds) do
    patterns[i] = { pattern = k.pattern, bytes = k.bytes, min = k.min, margin = k.margin }
  end
  return patterns
end)())

---@class ftrun.Personal
---@field code string    personal_email, personal_phone, personal_tax_number, personal_iban, secret_key
---@field name string    what it is: "phone number"
---@field detail string? more of it: "a GitHub token"
---@field masked string  how it may be shown
---@field first integer  bytes in the text
---@field last integer

--- What a text holds, in the order of its kinds; nil when there is nothing.
---@param text string
---@return ftrun.Personal[]?
function M.find(text)
  local hits = scanner:find(text)
  if not hits then return nil end
  local list = {}
  for i = 1, #hits, 3 do
    local kind, first, last = M.kinds[hits[i]], hits[i + 1], hits[i + 2]
    local free = true
    for _, other in ipairs(list) do free = free and (last < other.first or first > other.last) end
    local masked, detail
    if free then masked, detail = kind.check(text:sub(first, last), text, first) end
    if masked then
      list[#list + 1] = { code = kind.code, name = kind.name, detail = detail, masked = masked,
        first = first, last = last }
    end
  end
  return list[1] and list or nil
end

--- The text with what was found in it masked.
---@param text string
---@return string
function M.mask(text)
  local list = M.find(text)
  if not list then return text end
  table.sort(list, function(a, b) return a.first > b.first end)
  for _, p in ipairs(list) do text = text:sub(1, p.first - 1) .. p.masked .. text:sub(p.last + 1) end
  return text
end

return M
