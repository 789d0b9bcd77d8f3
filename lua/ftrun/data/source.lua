--- Where rows come from: a query, JSONL files, ready-made examples. Each source is a table with
---   next() -> row, label      the next row and what names it in messages ("nreg=254к/96-вр"); nil at the end
---          -> false, label, message   a row that cannot be read; the next one may be
---   position(rows) -> done, total, unit   after so many rows; total may be nil
---   close()                   idempotent
--- A row is a table of text values, a missing one is NULL; of ready-made examples it is the line itself. Raises err
--- "setting", "database", "recipe" or "system" for what ends the whole pass.
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local jsontext = require "ftrun.data.jsontext"
local postgres = require "ft.postgres"
local reach = require "ftrun.recipe.reach"
local secrets = require "ft.secrets"
local words = require "ftrun.recipe.words"

local M = {}

--- Raises that a column is not there.
---@param recipe ftrun.Recipe
---@param at string[]      where the recipe names it
---@param column string
---@param columns string[] that are there
---@param problem string   "the query has no column"
function M.no_column(recipe, at, column, columns, problem)
  local near = words.nearest(column, columns)
  err.raise("recipe", ("%s: %s %s"):format(table.concat(at, "."), problem, words.show(column)), {
    where = recipe:where(table.unpack(at)),
    advice = near and ("Did you mean %s?"):format(near) or "There are " .. table.concat(columns, ", ") .. ".",
  })
end

--- The columns that the recipe names must be there; a misspelt one would silently group or name nothing.
---@param recipe ftrun.Recipe
---@param columns string[]
---@param problem string  "the query has no column"
function M.check_columns(recipe, columns, problem)
  for _, at in ipairs { { "dataset", "key" }, { "split", "group_by" }, { "split", "stratify_by" },
    { "split", "time_by" } } do
    local column, known = recipe[at[1]] and recipe[at[1]][at[2]], false
    for _, name in ipairs(columns) do known = known or name == column end
    if column and not known then M.no_column(recipe, at, column, columns, problem) end
  end
end

-- ---- PostgreSQL ----

--- What a URL that cannot be read most often lacks.
M.URL_SIGNS = "In a password, write % as %25, @ as %40, / as %2F, : as %3A, # as %23 and a space as %20."

local URL_ADVICE = "Put %s=postgresql://user:password@host:5432/database into the environment or into .env."

local function target(url)
  if type(url) == "string" then return { conninfo = url }, "the database" end
  if secrets.origin(url.env) then return { secret = url.env }, secrets.describe(url.env) or url.env end
  if url.default then return { conninfo = url.default }, "the database" end
  err.raise("setting", url.env .. " is not set", { code = "no_secret", advice = URL_ADVICE:format(url.env) })
end

-- what the messages of ft.postgres do not say already
local DATABASE_ADVICE = {
  lost = "The connection to %s broke; start again, nothing was sent.",
  ["25006"] = "A recipe's query can only read, whatever the user of %s may do.",
  ["42P01"] = "Check the table's name, and that %s points to the right database.",
}

--- Connects to a recipe's database. Raises err "setting" or "database".
---@param url string|{ env: string, default: string? }
---@param field string     its place in the recipe, for messages
---@param read_only boolean
---@return ft.postgres.Connection
---@return string name     of the setting that holds the URL, or the field
function M.connect(url, field, read_only)
  local name = type(url) == "table" and url.env or field
  local to = target(url)
  to.read_only = read_only
  local connection, message, code = postgres.connect(to)
  if not connection then
    if code == "no_secret" or code == "bad_url" then
      err.raise("setting", message, { code = code,
        advice = code == "bad_url" and M.URL_SIGNS or URL_ADVICE:format(name) })
    end
    err.raise("database", message, { code = code })
  end
  return connection, name
end

--- Streams the rows of a query: a source. A recipe reads; whatever its query calls cannot change the database.
---@param q { url: string|table, query: string, params: table?, key: string? }
---@param field string   its place in the recipe: "dataset"
---@param o { where: (fun(): string), columns: fun(columns: string[]) }  of the query; columns: looks at them once
function M.query(q, field, o)
  local connection, name = M.connect(q.url, field .. ".url", true)
  local self = { count = 0 }
  function self.close()
    if self.rows then self.rows:close() end
    connection:close()
  end
  local function check(value, message, code)
    if value == nil and message then
      self.close()
      local advice = DATABASE_ADVICE[code]
      err.raise("database", message, { code = code, where = o.where(), advice = advice and advice:format(name) })
    end
    return value
  end
  -- How many rows the planner expects, for the time left; what is wrong with the query is told by the query itself.
  local plan = connection:query("EXPLAIN (FORMAT JSON) " .. q.query, q.params)
  local expected = plan and plan.rows[1] and tonumber((plan.rows[1]["QUERY PLAN"] or ""):match('"Plan Rows": (%d+)'))
  function self.position(rows) return rows, expected and rows <= expected and expected or nil, "rows" end
  self.rows = check(connection:rows(q.query, q.params))
  function self.next()
    local row = check(self.rows:next())
    if not row then return nil end
    self.count = self.count + 1
    if self.count == 1 then o.columns(self.rows:columns()) end
    return row, row[q.key] and q.key .. "=" .. row[q.key] or tostring(self.count)
  end
  return self
end

local function from_postgres(recipe)
  return M.query(recipe.dataset, "dataset", {
    where = function() return recipe:where("dataset", "query") end,
    columns = function(columns) M.check_columns(recipe, columns, "the query has no column") end,
  })
end

-- ---- JSONL ----

local function text_of(json)
  if json:sub(1, 1) ~= '"' then
    if json == "null" then return nil end
    return json
  end
  if not json:find("\\", 1, true) then return json:sub(2, -2) end
  return (dataset.decode_ordered(json))
end

--- A JSON object as a row: texts as they are, nested values and numbers as their own JSON text, null absent.
---@param line string
---@return table<string, string>? row
---@return string? message
function M.row(line)
  local ok, message = dataset.check(line)
  if not ok then return nil, "not JSON: " .. message end
  local pos = line:find("%S")
  if line:sub(pos, pos) ~= "{" then return nil, "expected a JSON object" end
  local row = {}
  while true do
    pos = line:find('["}]', pos + 1)
    if line:sub(pos, pos) == "}" then return row end
    local last = jsontext.value_end(line, pos)
    local key = text_of(line:sub(pos, last))
    pos = line:find("%S", line:find(":", last + 1, true) + 1)
    last = jsontext.value_end(line, pos)
    row[key] = text_of(line:sub(pos, last))
    pos = last
  end
end

-- a path of the recipe: from its folder unless absolute
local function resolve(recipe, path)
  return path:sub(1, 1) == "/" and path or recipe.dir .. "/" .. path
end
M.resolve = resolve

-- A path of this machine as it is typed in the current folder; others as they stand.
local function shown(path)
  local here = path:sub(1, 1) == "/" and (fs.realpath "." or ""):gsub("/$", "") .. "/"
  return here and path:sub(1, #here) == here and path:sub(#here + 1) or path
end

-- A recipe is other people's code, and what it reads may go to a provider: it reaches only what lies below its own
-- folder or below the folder where ftrun was started, and nothing hidden. A path from --set is the user's own word.
local function check_reach(recipe, path, field)
  for _, o in ipairs(recipe.overrides) do if o[1] == "dataset." .. field then return end end
  local inside, outside = reach.within(resolve(recipe, path), { recipe.dir, "." })
  if inside or not outside then return end -- not there: told where it is opened
  err.raise("recipe", ("dataset.%s: %s lies outside the folders that a recipe may read"):format(field, path), {
    where = recipe:where("dataset", field),
    advice = ("A recipe reads below its own folder or the current one, and no hidden files. "
      .. "If you trust it: --set dataset.%s=%s"):format(field, path) })
end

-- Lines of several files, without blank ones: next() -> line, "acts.jsonl:17"
local function lines(recipe, paths, field)
  local self, current, before, names = { total = 0 }, 0, 0, {}
  for i, path in ipairs(paths) do
    names[i] = shown(path)
    check_reach(recipe, path, field)
    local info, message, code = fs.stat(resolve(recipe, path))
    if not info then
      err.raise(code == "not_found" and "recipe" or "system", ("%s: %s: %s"):format("dataset." .. field, path,
        code == "not_found" and "there is no such file (the path starts at the recipe's folder)" or message),
        { where = recipe:where("dataset", field), code = code })
    end
    if info.type ~= "file" then -- a pipe would wait for ever, and cannot be read twice
      err.raise("recipe", ("dataset.%s: %s is not a file"):format(field, path),
        { where = recipe:where("dataset", field) })
    end
    self.total = self.total + info.bytes
  end
  function self.close()
    if self.reader then self.reader:close() end
    self.reader = nil
  end
  function self.position()
    local done = before + (self.reader and self.reader:position() or 0)
    return done // 1e5 / 10, self.total // 1e5 / 10, "MB"
  end
  function self.next()
    while true do
      if not self.reader then
        current = current + 1
        if not paths[current] then return nil end
        local message, code
        self.reader, message, code = dataset.reader(resolve(recipe, paths[current]))
        if not self.reader then err.raise("system", message, { code = code }) end
      end
      local line, number, code = self.reader:next()
      if line == nil then
        if code then err.unreadable(tostring(number), code, names[current]) end
        before = before + (self.reader:position())
        self.close()
      elseif line:find("%S") then
        if number == 1 then line = line:gsub("^\xEF\xBB\xBF", "") end
        return line, ("%s:%d"):format(names[current], number)
      end
    end
  end
  return self
end

local function from_jsonl(recipe)
  local d = recipe.dataset
  local input = lines(recipe, d.paths or { d.path }, d.paths and "paths" or "path")
  local self = { close = input.close, position = input.position }
  function self.next()
    local line, place = input.next()
    if not line then return nil end
    if not d.example then return line, place end
    local row, message = M.row(line)
    if not row then return false, place, message end
    return row, d.key and row[d.key] and d.key .. "=" .. row[d.key] or place
  end
  return self
end

-- ---- which one ----

--- Opens a recipe's rows. For ft.files, `field` names which file ("train" or "validation").
---@param recipe ftrun.Recipe
---@param field string?
---@return { next: (fun(): any, string?, string?), position: (fun(rows: integer): number, number?, string),
---  close: fun() }
function M.open(recipe, field)
  local d = recipe.dataset
  if d.kind == "postgres" then return from_postgres(recipe) end
  if d.kind == "jsonl" then return from_jsonl(recipe) end
  return lines(recipe, { d[field or "train"] }, field or "train")
end

--- Where the rows come from, in words and without secrets.
---@param recipe ftrun.Recipe
---@return string
function M.describe(recipe)
  local d = recipe.dataset
  if d.kind == "postgres" then
    local url = d.url
    if type(url) == "string" then return "PostgreSQL" end
    return "PostgreSQL " .. (secrets.describe(url.env) or url.env)
  end
  local names = {}
  for _, path in ipairs(d.paths or { d.path or d.train, d.validation }) do names[#names + 1] = shown(path) end
  return table.concat(names, ", ")
end

return M
