--- Collects findings while a file is read, in memory that does not grow with their number: counts by severity and code,
--- and of each code the first places.
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local wrap = require "ftrun.text.wrap"

local M = {}

local FIRST = 5 -- places of a code that are kept
local ORDER = { "type", "file", "line", "key", "code", "severity", "path", "message", "offset", "fixable" }
local RANK = { error = 1, warning = 2, note = 3 }

local Findings = {}
Findings.__index = Findings

---@class ftrun.Findings
---@field errors integer
---@field warnings integer
---@field notes integer

--- An empty collection.
---@return ftrun.Findings
function M.new()
  return setmetatable({ errors = 0, warnings = 0, notes = 0, groups = {}, by_code = {} }, Findings)
end

---@param finding ftrun.Finding
function Findings:add(finding)
  local field = finding.severity .. "s"
  self[field] = self[field] + 1
  local group = self.by_code[finding.code]
  if not group then
    group = { code = finding.code, severity = finding.severity, count = 0, first = {} }
    self.by_code[finding.code] = group
    self.groups[#self.groups + 1] = group
  end
  group.count = group.count + 1
  if #group.first < FIRST then group.first[#group.first + 1] = finding end
end

--- How many rows have this finding, at most once a row.
---@param code string
---@return integer
function Findings:rows_with(code)
  local n = 0
  for _, group in ipairs(self.groups) do if group.code == code then n = n + group.count end end
  return n
end

--- The exit code that says what was found: that of "data" when there are errors.
---@return integer
function Findings:exit_code() return err.kinds[self.errors > 0 and "data" or "ok"] end

--- A finding as one line of NDJSON: line (null: the file as a whole), code, severity, path, message, and what else is
--- known of it.
---@param finding ftrun.Finding
---@param file string?   named when there are several
---@return string
function M.json(finding, file)
  return json.result({ line = finding.line or not finding.key and json.null or nil, key = finding.key,
    code = finding.code, severity = finding.severity, path = finding.path or "", message = finding.message,
    offset = finding.offset, fixable = finding.fixable, file = file }, ORDER)
end

--- What was found of one severity, as plain values: a code with its first message, its count, and the first places.
---@param severity string
---@return { code: string, message: string, count: integer, first: string[] }[]
function Findings:list(severity)
  local list = {}
  for _, group in ipairs(self.groups) do
    if group.severity == severity then
      local first = {}
      for i, finding in ipairs(group.first) do
        first[i] = finding.key or finding.line and "line " .. finding.line or finding.path
      end
      list[#list + 1] = { code = group.code, message = group.first[1].message, count = group.count, first = first }
    end
  end
  return list
end

-- ---- for people ----

local function plural(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

--- "3 errors, 1 warning", or "no errors".
---@return string
function Findings:summary()
  local parts = { self.errors == 0 and "no errors" or plural(self.errors, "error") }
  if self.warnings > 0 then parts[#parts + 1] = plural(self.warnings, "warning") end
  if self.notes > 0 then parts[#parts + 1] = plural(self.notes, "note") end
  return table.concat(parts, ", ")
end

local function place(finding)
  local parts = { finding.line and "line " .. finding.line .. (finding.file and " of " .. finding.file or "")
    or finding.key or nil }
  if finding.path and finding.path ~= "" then
    parts[#parts + 1] = finding.path
  elseif finding.offset and finding.offset > 0 then
    parts[#parts + 1] = "byte " .. finding.offset
  end
  return table.concat(parts, ", ")
end

-- What is wrong, and what to do.
local function halves(message)
  local wrong, mend = message:match "^(.-); (.*)$"
  return wrong or message, mend
end

local function show_group(group, columns, lines)
  local wrong, mend = halves(group.first[1].message)
  local function add(text, hang)
    for line in wrap.text(text, columns, nil, hang):gmatch "[^\n]+" do lines[#lines + 1] = line end
  end
  add(("%s: %s (%s): %s"):format(group.severity, group.code, group.count == 1 and "once" or group.count .. " times",
    wrong), 4)
  local where, same = {}, true
  for i, finding in ipairs(group.first) do
    where[i] = place(finding)
    same = same and halves(finding.message) == wrong
  end
  local more = group.count > #where and (" and %d more"):format(group.count - #where) or ""
  if same then
    local text = table.concat(where, "; "):gsub("^; $", "")
    if text:find "%w" then add("    " .. text .. more, 6) end
  else
    for i, finding in ipairs(group.first) do
      local text = i == 1 and "as above" or (halves(finding.message))
      add(("    %s: %s"):format(where[i], text), 6)
    end
    if more ~= "" then add("   " .. more) end
  end
  if mend then add("    -> " .. mend, 7) end
end

--- The findings grouped by code, errors first, for a terminal of so many columns.
---@param columns integer?  default 80
---@return string[]
function Findings:lines(columns)
  local order, lines = {}, {}
  for i, group in ipairs(self.groups) do order[i] = { RANK[group.severity], i, group } end
  table.sort(order, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  for _, row in ipairs(order) do show_group(row[3], columns or 80, lines) end
  return lines
end

--- Writes the groups to stdout.
function Findings:print()
  for _, line in ipairs(self:lines(math.max(40, log.columns()))) do log.out(line .. "\n") end
end

return M
