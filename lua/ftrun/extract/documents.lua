--- What is asked about: rows of the recipe's query, files, or standard input. Each is a table with
---   next() -> row, key              the next one; nil at the end
---          -> row, place, nil, "unkeyed"   one whose key is null or missing
---          -> false, key, message   one that cannot be used
---   total(rows) -> number?          how many there will be, after so many, as far as that can be told
---   close()                         idempotent
--- A row is a table of texts; of a text file it has the recipe's text column, `title` and `path`.
local cut = require "ftrun.extract.cut"
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local source = require "ftrun.data.source"
local task = require "ft.task"

local M = {}

local BOM = "^\xEF\xBB\xBF"

local function text_row(recipe, path, text)
  text = text:gsub(BOM, "")
  local _, bad = utf8.len(text)
  if bad then
    return false, path, ("not UTF-8 at byte %d; convert it, for example: iconv -f CP1251 -t UTF-8"):format(bad)
  end
  return { [recipe.extract.text] = text, title = cut.title(text), path = path }, path
end

local function line_row(recipe, line, place)
  local row, message = source.row(line)
  if not row then return false, place, ("the line is no JSON object: %s; mend it, or take it out"):format(message) end
  local column = recipe.extract.key or recipe.dataset.key
  if column and not row[column] then return row, place, nil, "unkeyed" end
  return row, column and row[column] or place
end

-- ---- rows of a query ----

local function from_query(recipe)
  local e = recipe.extract
  local q = { url = e.from.url or recipe.dataset.url, query = e.from.query, params = e.from.params }
  local key = e.key or recipe.dataset.key
  local rows = source.query(q, "extract.from", {
    where = function() return recipe:where("extract", "from", "query") end,
    columns = function(columns)
      for _, at in ipairs { { "text", e.text }, { "key", key } } do
        local known = false
        for _, name in ipairs(columns) do known = known or name == at[2] end
        if not known then
          source.no_column(recipe, { "extract", at[1] }, at[2], columns, "the query of extract.from has no column")
        end
      end
    end,
  })
  return { close = rows.close, total = function(n) return select(2, rows.position(n)) end, next = function()
    local row, label = rows.next()
    if not row then return nil end
    if key and not row[key] then return row, label, nil, "unkeyed" end
    return row, key and row[key] or label
  end }
end

-- ---- files ----

local function is_jsonl(path)
  return path:find "%.jsonl$" or path:find "%.ndjson$" or path:find "%.jsonl%.gz$"
end

local function missing(message, code)
  err.raise("system", message, { code = code,
    advice = code == "not_found" and "Name files of text or of JSONL; - is standard input." or nil })
end

-- Standard input is a text, or JSONL when its first line is an object.
local function from_input(recipe)
  local first, number, done = task.read_line(), 0, false
  local jsonl = first and first:find "^%s*{" and dataset.check((first:gsub(BOM, "")))
  local function read()
    local line = first or task.read_line()
    first = nil
    number = number + 1
    return line
  end
  return { total = function() end, close = function() end, next = function()
    if done then return nil end
    if jsonl then
      local line = read()
      while line and not line:find "%S" do line = read() end
      if line then return line_row(recipe, line, "-:" .. number) end
    else
      local lines = {}
      for line in read do lines[#lines + 1] = line end
      done = true
      if #lines > 0 then return text_row(recipe, "-", table.concat(lines, "\n")) end
    end
  end }
end

local function from_lines(recipe, path)
  local reader, message, code = dataset.reader(path)
  if not reader then missing(message, code) end
  return { close = function() reader:close() end,
    total = function(n)
      local done, total = reader:position()
      return done > 0 and total > 0 and math.max(n, math.ceil(n * total / done)) or nil
    end,
    next = function()
      while true do
        local line, number, fault = reader:next()
        if not line then
          if fault then err.raise("data", tostring(number), { code = fault, where = path }) end
          return nil
        end
        if number == 1 then line = line:gsub(BOM, "") end
        if line:find "%S" then return line_row(recipe, line, ("%s:%d"):format(path, number)) end
      end
    end }
end

local function from_file(recipe, path)
  local done = false
  return { close = function() end, total = function() return 1 end, next = function()
    if done then return nil end
    done = true
    local text, message, code = fs.read(path)
    if not text then missing(message, code) end
    return text_row(recipe, path, text)
  end }
end

-- A name is wrong before anything is asked, not after an hour.
local function check(path)
  if path == "-" then return end
  local info, message, code = fs.stat(path)
  if not info then missing(message, code) end
  if info.type == "directory" then
    err.raise("usage", path .. " is a folder", { advice = "Name its files: " .. path:gsub("/$", "") .. "/*.txt" })
  end
end

local function from_files(recipe, paths)
  for _, path in ipairs(paths) do check(path) end
  local i, current = 0, nil
  local self = {}
  function self.total(n)
    if #paths == 1 then return current and current.total(n) end
    for _, path in ipairs(paths) do if path == "-" or is_jsonl(path) then return nil end end
    return #paths
  end
  function self.close()
    if current then current.close() end
    i = #paths
  end
  function self.next()
    while true do
      if current then
        local row, key, message = current.next()
        if row ~= nil then return row, key, message end
        current.close()
        current = nil
      end
      i = i + 1
      local path = paths[i]
      if not path then return nil end
      current = path == "-" and from_input(recipe) or is_jsonl(path) and from_lines(recipe, path)
        or from_file(recipe, path)
    end
  end
  return self
end

--- Opens what a command names: files, or without any the recipe's query.
---@param recipe ftrun.Recipe  with `extract`
---@param paths string[]
---@return { next: fun(): (table|false|nil), string?, string?; total: (fun(rows: integer): number?); close: fun() }
function M.open(recipe, paths)
  if #paths > 0 then return from_files(recipe, paths) end
  if not recipe.extract.from then
    err.raise("usage", "no text is named, and the recipe has no rows to ask about", {
      advice = "Name files (- is standard input), or add to the recipe's extract:\n"
        .. 'from = { query = "SELECT ... WHERE ... IS NULL" }' })
  end
  return from_query(recipe)
end

return M
