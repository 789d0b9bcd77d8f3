--- Writes results back into a table of PostgreSQL, a batch in one statement: all of it or nothing. Values are
--- parameters, names are quoted. What stands in the column already stays, unless it is to be overwritten; the same
--- result written again changes nothing.
local err = require "ftrun.err"
local json = require "ftrun.json"
local source = require "ftrun.data.source"

local M = {}

local AHEAD = 50 -- keys that are looked up at once

local Table = {}
Table.__index = Table

local function quoted(name) return '"' .. name:gsub('"', '""') .. '"' end

local function array(list)
  local items = {}
  for i, text in ipairs(list) do items[i] = '"' .. text:gsub('["\\]', "\\%0") .. '"' end
  return "{" .. table.concat(items, ",") .. "}"
end

-- The column's type as the table has it, and the column; raises when there is none.
local function type_of(self, at, column)
  for _, c in ipairs(self.columns) do if c.name == column then return c.type, c end end
  local names = {}
  for i, c in ipairs(self.columns) do names[i] = c.name end
  source.no_column(self.recipe, { "extract", "write", table.unpack(at) }, column, names,
    "the table " .. self.name .. " has no column")
end

local function query(self, sql, params)
  local result, message, code = self.connection:query(sql, params)
  if not result then
    err.raise("database", message, { code = code, where = self.recipe:where("extract", "write") })
  end
  return result
end

-- Types without a length: a longer key is no key of the table, and is not cut into one (NULL for -1 makes char(1) of
-- char(8)).
local function read_columns(self)
  local rows = query(self, [[SELECT a.attname AS name, format_type(t.oid, -1) AS type, t.typcategory AS category,
      format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, -1) AS base
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum]],
    { self.quoted }).rows
  if #rows == 0 then
    err.raise("recipe", ("extract.write.table: there is no table %s in the database"):format(self.name),
      { where = self.recipe:where("extract", "write", "table") })
  end
  self.columns = rows
end

-- The type of the column for results. One that takes none of them is told before anything is asked, and paid.
local function result_type(self)
  local column = self.write_to.column
  local name, c = type_of(self, { "column" }, column)
  local of_text = self.recipe.extract.answer == "text"
  if c.base == "json" or c.base == "jsonb" or c.category == "S" or of_text and c.category == "E" then
    self.is_json = c.base:find "^json" ~= nil
    return name
  end
  err.raise("recipe", ("extract.write.column: %s of %s has the type %s, which takes no %s"):format(column, self.name,
    name, of_text and "text" or "JSON"), { where = self.recipe:where("extract", "write", "column"),
    advice = "Results go into a column of the type json, jsonb or text: name another one, or change the type." })
end

-- The statement that writes keys ($1) and values ($2), and the further columns from $3 on.
local function statement(self)
  local w, key, column = self.write_to, quoted(self.key), quoted(self.write_to.column)
  local key_type, value_type = (type_of(self, { "key" }, self.key)), result_type(self)
  self.key_type = key_type
  local names, further = {}, {}
  for name in pairs(w.set or {}) do names[#names + 1] = name end
  table.sort(names)
  local sets, inserted = { column .. " = v.value" }, { column .. " = EXCLUDED." .. column }
  local columns, selected = { key, column }, { "v.key", "v.value" }
  for i, name in ipairs(names) do
    local value = ("$%d::%s"):format(i + 2, (type_of(self, { "set", name }, name)))
    further[i] = tostring(w.set[name])
    sets[#sets + 1] = quoted(name) .. " = " .. value
    inserted[#inserted + 1] = quoted(name) .. " = EXCLUDED." .. quoted(name)
    columns[#columns + 1], selected[#selected + 1] = quoted(name), value
  end
  self.further = further
  local rows = ("unnest($1::%s[], $2::%s[]) AS v(key, value)"):format(key_type, value_type)
  local function free(new)
    if not self.overwrite then return "t." .. column .. " IS NULL" end
    return ("t.%s::text IS DISTINCT FROM %s::text"):format(column, new)
  end
  local returning = " RETURNING t." .. key .. "::text AS key"
  if w.insert then
    return ("INSERT INTO %s AS t (%s) SELECT %s FROM %s ON CONFLICT (%s) DO UPDATE SET %s WHERE %s"):format(self.quoted,
      table.concat(columns, ", "), table.concat(selected, ", "), rows, key, table.concat(inserted, ", "),
      free("EXCLUDED." .. column)) .. returning
  end
  return ("UPDATE %s AS t SET %s FROM %s WHERE t.%s = v.key AND %s"):format(self.quoted, table.concat(sets, ", "), rows,
    key, free "v.value") .. returning
end

--- What would be refused when it is written is refused before anything is asked: permissions, views.
local function try(self)
  local more = {}
  for i, value in ipairs(self.further) do more[i] = value end
  local ok, message, code = self.connection:query("EXPLAIN " .. self.statement, { "{}", "{}", table.unpack(more) })
  if not ok then
    err.raise("database", message, { code = code, where = self.recipe:where("extract", "write"),
      advice = code == "42501" and ("Grant it: GRANT SELECT, UPDATE ON %s TO the user of the database's URL")
        :format(self.name) or nil })
  end
end

--- Opens the table that a recipe's extract.write names, and checks that it has the columns. To be closed.
---@param recipe ftrun.Recipe
---@param o { overwrite: boolean? }?
---@return ftrun.extract.Table
function M.open(recipe, o)
  local e = recipe.extract
  local w = e.write
  local url = w.url or e.from and e.from.url or recipe.dataset.url
  local connection = source.connect(url, "extract.write.url", false)
  local schema, name = w.table:match "^([^.]+)%.(.+)$"
  local self = setmetatable({ recipe = recipe, write_to = w, overwrite = o and o.overwrite or false, name = w.table,
    quoted = schema and quoted(schema) .. "." .. quoted(name) or quoted(w.table), connection = connection,
    key = w.key or e.key or recipe.dataset.key }, Table)
  local ok, fault = pcall(function()
    read_columns(self)
    self.statement = statement(self)
    try(self)
    local key = quoted(self.key)
    self.look = ("SELECT t.%s::text AS key, bool_or(t.%s IS NOT NULL) AS filled, count(*) AS rows FROM %s AS t "
      .. "WHERE t.%s = ANY($1::%s[]) GROUP BY 1"):format(key, quoted(w.column), self.quoted, key, self.key_type)
  end)
  if not ok then
    connection:close()
    error(fault, 0)
  end
  return self
end

-- A fault of the values, not of the statement or the connection: other rows are not concerned.
local function of_values(code) return code and (code:find "^22" or code:find "^23") ~= nil end

-- What the table says to keys: key -> "free" or "filled"; nil when it has no such row; a message when it can have none.
local function look(self, keys)
  local result, message, code = self.connection:query(self.look, { array(keys) })
  local found = {}
  if not result then
    if not of_values(code) then
      err.raise("database", message, { code = code, where = self.recipe:where("extract", "write") })
    end
    if #keys == 1 then return { [keys[1]] = message } end
    for _, key in ipairs(keys) do found[key] = look(self, { key })[key] end
    return found
  end
  for _, row in ipairs(result.rows) do
    found[row.key] = row.rows ~= "1" and ("%s has %s rows with this key, and a result belongs to one: the query's key "
      .. "is to be unique there"):format(self.name, row.rows) or row.filled == "t" and "filled" or "free"
  end
  return found
end

--- The documents without those for which the table has a result already: what cannot be written is not asked.
---@param documents table  see documents.lua
---@return table documents
function Table:filter(documents)
  local ahead, at = {}, 1
  local function fill()
    local keys, asked = {}, {}
    ahead, at = {}, 1
    while #ahead < AHEAD do
      local row, key, message, kind = documents.next()
      if row == nil then break end
      ahead[#ahead + 1] = { row, key, message, kind }
      if row and kind == "unkeyed" then
        ahead[#ahead] = { false, key,
          ("its %s is null: nothing says which row of %s it is"):format(self.key, self.name) }
      elseif row and not asked[key] then keys[#keys + 1], asked[key] = key, true end
    end
    local found = #keys > 0 and look(self, keys) or {}
    for i, d in ipairs(ahead) do
      local state = d[1] and found[d[2]]
      if not d[1] or state == "free" or state == "filled" and self.overwrite or not state and self.write_to.insert then
        goto continue
      end
      if state == "filled" then
        ahead[i] = { false, d[2], ("%s has a result already"):format(self.name), "skipped" }
      else
        ahead[i] = { false, d[2], state or ("%s has no row with this key"):format(self.name) }
      end
      ::continue::
    end
  end
  return { total = documents.total, close = documents.close, next = function()
    if not ahead[at] then fill() end
    local d = ahead[at]
    at = at + 1
    if d then return table.unpack(d, 1, 4) end
  end }
end

local function values_of(self, r)
  if self.is_json and self.recipe.extract.answer == "text" then return json.encode(r.result) end
  return r.result
end

local function write(self, results)
  local keys, values = {}, {}
  for i, r in ipairs(results) do keys[i], values[i] = r.key, values_of(self, r) end
  local params = { array(keys), array(values), table.unpack(self.further) }
  local result, message, code = self.connection:query(self.statement, params)
  if result then
    local changed = {}
    for _, row in ipairs(result.rows) do changed[row.key] = true end
    for _, r in ipairs(results) do r.written = changed[r.key] or false end
    return
  end
  if not of_values(code) then
    err.raise("database", message, { code = code, where = self.recipe:where("extract", "write"),
      advice = code == "lost" and "Start the same command again: it asks and writes only what is missing." or nil })
  end
  if #results > 1 then
    for _, r in ipairs(results) do write(self, { r }) end
  else
    results[1].error = err.new("data", message, { code = code })
  end
end

--- Writes results; each is told whether it was `written` (false: something stood there already), or what is wrong.
---@param results ftrun.extract.Result[]
function Table:write(results)
  local batch, keys = {}, {}
  for _, r in ipairs(results) do
    if keys[r.key] then -- one statement cannot change a row twice
      write(self, batch)
      batch, keys = {}, {}
    end
    batch[#batch + 1], keys[r.key] = r, true
  end
  if #batch > 0 then write(self, batch) end
end

function Table:close() self.connection:close() end
Table.__close = Table.close

return M
