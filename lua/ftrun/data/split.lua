--- Which rows validate. The order in which groups are taken is a hash of the seed and the group alone, so it is the
--- same on every machine, and equal groups never stand on both sides. A plain share is decided row by row, in constant
--- memory, and a row keeps its side when others come; a count, strata and time are decided when all rows are known.
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local time = require "ft.time"

local M = {}

local FULL = 1 << 52

---@class ftrun.SplitRule
---@field validation number      a share below 1, or a number of rows
---@field group_by string?       field whose equal values stay together
---@field stratify_by string?    field whose values have the same share on both sides
---@field time_by string?        field whose newest values validate

---@param seed integer
---@param group string
---@return integer hash  0 to 2^52 - 1
local function hash(seed, group)
  return tonumber(digest.sha256(seed .. ":" .. group):sub(1, 13), 16)
end

--- A moment as a number: seconds of an ISO date or time, or a number as it is.
---@param text string
---@return number?
---@return string? message
function M.moment(text)
  local n = tonumber(text) or time.parse(text)
  if n and n == n then return n end
  local shown = utf8.len(text) and text:sub(1, (utf8.offset(text, 41) or 0) - 1) or "bytes that are no text"
  return nil, ("expected a number, a date such as 2026-11-22, or a date and time, got '%s'"):format(shown)
end

-- ---- decided at the end ----

-- How many rows of each stratum validate: whole numbers, in all what is asked for, the largest remainders first.
local function targets(strata, wanted, total)
  local list, given = {}, 0
  for _, s in ipairs(strata) do
    local exact = wanted * s.rows / total
    s.target = math.floor(exact)
    given = given + s.target
    list[#list + 1] = { stratum = s, rest = exact - s.target }
  end
  table.sort(list, function(a, b)
    if a.rest ~= b.rest then return a.rest > b.rest end
    return a.stratum.value < b.stratum.value
  end)
  for i = 1, math.min(wanted - given, #list) do list[i].stratum.target = list[i].stratum.target + 1 end
end

-- newest first, and where that says nothing by the hash
local function before(a, b)
  if a.moment ~= b.moment then return a.moment > b.moment end
  return a.hash < b.hash
end

-- How many rows of a stratum a group has; nearly all groups have rows of one stratum only.
local function counts(g)
  return g.counts or { [g.stratum] = g.rows }
end

local function choose(g, by_value)
  g.chosen = true
  for value, n in next, counts(g) do
    local s = by_value[value]
    s.validation = s.validation + n
  end
  return g.rows
end

local function fits(g, by_value)
  for value, n in next, counts(g) do
    local s = by_value[value]
    if s.validation + n > s.target then return false end
  end
  return true
end

-- Whether the strata come nearer to their targets with a group than without it.
local function helps(g, by_value)
  local gain = 0
  for value, n in next, counts(g) do
    local s = by_value[value]
    local short = s.target - s.validation
    gain = gain + math.abs(short) - math.abs(short - n)
  end
  return gain > 0
end

local function late(rule, seed)
  local self, groups, list, lines = {}, {}, {}, {}

  function self.side(group, stratum, moment)
    local h = hash(seed, group)
    local g = groups[h]
    stratum = stratum or ""
    if not g then
      g = { hash = h, rows = 0, stratum = stratum, moment = moment or -math.huge }
      groups[h], list[#list + 1] = g, g
    end
    if g.stratum ~= stratum and not g.counts then g.counts = { [g.stratum] = g.rows } end
    if g.counts then g.counts[stratum] = (g.counts[stratum] or 0) + 1 end
    g.rows = g.rows + 1
    if moment and moment > g.moment then g.moment = moment end
    lines[#lines + 1] = g
    return "train"
  end

  function self.chosen()
    if #lines == 0 then return nil end
    table.sort(list, before)
    local strata, by_value = {}, {}
    for _, g in ipairs(list) do
      for value, n in next, counts(g) do
        local s = by_value[value]
        if not s then
          s = { value = value, rows = 0, validation = 0 }
          by_value[value], strata[#strata + 1] = s, s
        end
        s.rows = s.rows + n
      end
    end
    local wanted = rule.validation >= 1 and rule.validation or math.floor(rule.validation * #lines + 0.5)
    targets(strata, math.tointeger(wanted), #lines)
    -- whole groups in order as long as they fit, then those of several strata that bring more than they spoil
    local taken = 0
    for _, g in ipairs(list) do
      if fits(g, by_value) then taken = taken + choose(g, by_value) end
    end
    for _, g in ipairs(list) do
      if g.counts and not g.chosen and taken + g.rows <= wanted and helps(g, by_value) then
        taken = taken + choose(g, by_value)
      end
    end
    if taken == 0 then choose(list[1], by_value) end -- there must be something to validate with
    table.sort(strata, function(a, b) return a.rows > b.rows or a.rows == b.rows and a.value < b.value end)
    self.strata = rule.stratify_by and strata or nil
    local chosen = {}
    for i, g in ipairs(lines) do if g.chosen then chosen[i] = true end end
    return chosen
  end

  --- Rows of each value of stratify_by, most first.
  function self.shares()
    local shares = {}
    for i, s in ipairs(self.strata or {}) do
      shares[i] = { value = s.value, train = s.rows - s.validation, validation = s.validation }
    end
    return self.strata and shares
  end
  return self
end

-- ---- decided row by row ----

-- When no row at all was hit, the group with the smallest hash goes over.
local function streamed(rule, seed)
  local self, threshold = {}, rule.validation * FULL
  local line, hit, smallest = 0, false, nil

  function self.side(group)
    local h = hash(seed, group)
    if h < threshold then
      hit = true
      return "validation"
    end
    line = line + 1
    if not hit then
      if not smallest or h < smallest.hash then smallest = { hash = h, lines = {} } end
      if h == smallest.hash then smallest.lines[line] = true end
    end
    return "train"
  end

  function self.chosen() return not hit and smallest and smallest.lines or nil end
  function self.shares() return nil end
  return self
end

---@class ftrun.Split
---@field side fun(group: string, stratum: string?, moment: number?): "train"|"validation"  for the next example
---@field chosen fun(): table<integer, true>?  at the end: lines of the train file that have to move; nil when none has
---@field shares fun(): { value: string, train: integer, validation: integer }[]?  of the strata, after chosen

---@param rule ftrun.SplitRule?
---@param seed integer
---@return ftrun.Split
function M.new(rule, seed)
  if not rule then
    local function nothing() return nil end
    return { side = function() return "train" end, chosen = nothing, shares = nothing }
  end
  if rule.validation >= 1 or rule.stratify_by or rule.time_by then return late(rule, seed) end
  return streamed(rule, seed)
end

-- ---- the fields of a row ----

local FIELDS = { "group_by", "stratify_by", "time_by" }

--- Whether the fields of a rule can be paths in lines of JSON; else which one cannot, and why.
---@param rule ftrun.SplitRule?
---@return string? name
---@return string? message
function M.no_path(rule)
  for _, name in ipairs(FIELDS) do
    local ok, message = pcall(dataset.pick, "{}", { rule and rule[name] })
    if not ok then return name, "expected " .. tostring(message):match "%((.*)%)$" end
  end
end

--- Reads what a rule needs from rows: of(row, own) -> group, stratum, moment, or nil, message. A row is a table of
--- columns, or a line of JSON, whose fields are paths (see dataset.pick). A row without its group stands alone, as
--- `own`. missing() tells which fields no row had: { { name, field } ... }.
---@param rule ftrun.SplitRule?
function M.fields(rule)
  local self, names, paths, had, rows = {}, {}, {}, {}, 0
  for _, name in ipairs(FIELDS) do
    if rule and rule[name] then names[#names + 1], paths[#paths + 1] = name, rule[name] end
  end

  local function read(row, values)
    if type(row) == "table" then
      for i, path in ipairs(paths) do values[names[i]] = row[path] end
      return values
    end
    if #paths == 0 then return values end
    local list, message = dataset.pick(row, paths)
    if not list then return nil, message end
    for i, name in ipairs(names) do values[name] = list[i] or nil end
    return values
  end

  function self.of(row, own)
    local values, message = read(row, {})
    if not values then return nil, message end
    rows = rows + 1
    for name in next, values do had[name] = (had[name] or 0) + 1 end
    local moment
    if values.time_by then
      moment, message = M.moment(values.time_by)
      if not moment then return nil, ("%s: %s"):format(rule.time_by, message) end
    end
    return values.group_by or own, values.stratify_by, moment
  end

  function self.missing()
    local list = {}
    for i, name in ipairs(names) do if not had[name] then list[#list + 1] = { name, paths[i] } end end
    return list
  end

  --- Fields that some rows do not have: { field, rows } each.
  function self.lacking()
    local list = {}
    for i, name in ipairs(names) do
      if had[name] ~= rows then list[#list + 1] = { field = paths[i], rows = rows - (had[name] or 0) } end
    end
    return list
  end
  return self
end

-- ---- files ----

--- Moves lines of a JSONL file to another one: both are written anew, in order.
---@param from string   path
---@param to string     path
---@param lines table<integer, true>
---@return table kept   { lines, bytes, sha256 }
---@return table moved
function M.move(from, to, lines)
  local source = from .. ".all"
  err.check("system", fs.rename(from, source))
  local reader <close> = setmetatable({ r = err.check("system", dataset.reader(source)) },
    { __close = function(s)
      s.r:close()
      fs.remove(source)
      if not s.done then fs.remove(to) end -- one side without the other is no split
    end })
  local stay <close> = M.writer(from)
  local go <close> = M.writer(to)
  local line, number, code = reader.r:next()
  while line do
    local writer = lines[number] and go or stay
    writer.add(line)
    line, number, code = reader.r:next()
  end
  if code then err.raise("system", tostring(number), { code = code }) end
  local kept, moved = stay.commit(), go.commit()
  reader.done = true
  return kept, moved
end

--- A JSONL writer that raises err "system" (disk full) and drops its file unless committed.
---@param path string
---@return { add: fun(json: string), commit: fun(): table }
function M.writer(path)
  local writer = err.check("system", dataset.writer(path))
  return setmetatable({
    add = function(json) err.check("system", writer:add(json)) end,
    commit = function() return (err.check("system", writer:commit())) end,
  }, { __close = function() writer:close() end })
end

return M
