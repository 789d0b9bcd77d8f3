--- Whether an experiment can be repeated today: the recipe and the rows that it reads now against a lock file. The
--- source is read again, into a folder of its own; the provider is only asked what costs nothing.
local dataset = require "ftrun.data.dataset"
local dates = require "ftrun.plan.dates"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local ft_dataset = require "ft.dataset"
local json = require "ftrun.json"
local prices = require "ftrun.plan.prices"
local providers = require "ftrun.providers"
local secrets = require "ft.secrets"
local time = require "ft.time"
local version = require "ft.version"

local M = {}

local TURN = 5000 -- rows between two turns of the loop
local ASK_S, RETRY_S = 10, 0.5

---@class ftrun.Verify.Check
---@field name string
---@field result "same"|"differs"|"note"|"unknown"  a note does not keep anybody from repeating the experiment
---@field was string|number|nil
---@field is string|number|nil
---@field message string?

---@class ftrun.Verify
---@field matches boolean  no check differs
---@field checks ftrun.Verify.Check[]
---@field rows { added: integer, removed: integer, changed: integer, moved: integer }?  where both files are there

-- ---- rows ----

-- A row by what is asked, and by all of it: two short hashes. A row of another form is asked as a whole.
local function row_of(line)
  local picked = ft_dataset.pick(line, { "messages", "messages[-1]" })
  local all = digest.sha256(line):sub(1, 24)
  if not picked or not picked[1] or not picked[2] then return all, all end
  return digest.sha256(picked[1]:sub(1, -#picked[2] - 2)):sub(1, 24), all
end

-- Calls each(prompt, all, side) for every row of a folder; false when a file is not there.
local function each_row(dir, sides, each)
  for _, side in ipairs { "train", "validation" } do
    if sides[side] and sides[side].sha256 then
      local reader <close> = ft_dataset.reader(("%s/%s.jsonl"):format(dir, side))
      if not reader then return false end
      for line, number in function() return reader:next() end do
        local prompt, all = row_of(line)
        each(prompt, all, side)
        if number % TURN == 0 then time.sleep(0) end
      end
    end
  end
  return true
end

--- How the rows of two folders differ: with another answer to the same question, on the other side, gone, or new.
---@return { added: integer, removed: integer, changed: integer, moved: integer }?
local function compare_rows(old, old_sides, new, new_sides)
  local at, left = {}, {} -- the old rows: where each stands; how many ask the same
  local result = { added = 0, removed = 0, changed = 0, moved = 0 }
  local there = each_row(old, old_sides, function(prompt, all, side)
    local key = all .. side
    at[key] = (at[key] or 0) + 1
    left[#left + 1] = { prompt, all, side }
  end)
  if not there then return nil end
  local new_rows = {}
  each_row(new, new_sides, function(prompt, all, side)
    local key = all .. side
    if (at[key] or 0) > 0 then at[key] = at[key] - 1 else new_rows[#new_rows + 1] = { prompt, all } end
  end)
  local by_all, by_prompt, waiting = {}, {}, 0
  for _, row in ipairs(left) do
    local key = row[2] .. row[3]
    if (at[key] or 0) > 0 then
      at[key], waiting = at[key] - 1, waiting + 1
      by_all[row[2]] = (by_all[row[2]] or 0) + 1
      by_prompt[row[1]] = (by_prompt[row[1]] or 0) + 1
    end
  end
  local others = {}
  for _, row in ipairs(new_rows) do
    if (by_all[row[2]] or 0) > 0 then
      by_all[row[2]], by_prompt[row[1]] = by_all[row[2]] - 1, by_prompt[row[1]] - 1
      result.moved, waiting = result.moved + 1, waiting - 1
    else
      others[#others + 1] = row[1]
    end
  end
  for _, prompt in ipairs(others) do
    if (by_prompt[prompt] or 0) > 0 then
      by_prompt[prompt] = by_prompt[prompt] - 1
      result.changed, waiting = result.changed + 1, waiting - 1
    else
      result.added = result.added + 1
    end
  end
  result.removed = waiting
  return result
end

-- ---- the model ----

local function ask_model(lock)
  if lock.provider ~= "openai" or not secrets.origin "OPENAI_API_KEY" then return "unknown" end
  local ok, found = pcall(function()
    return providers.open { name = "openai", longest_s = ASK_S, backoff_s = RETRY_S }
      :preflight { model = lock.base_model, only_look = true }
  end)
  if ok then return "same", found.shutdown_date end
  if err.is(found) and (found.status == 404 or found.code == "model_shut_down") then return "differs" end
  return "unknown"
end

local function model_check(lock)
  local known = dates.model(lock.base_model)
  if lock.provider == "local" then
    return { result = "same", message = "the local provider in place of " .. lock.base_model
      .. (known and ", which is shut down on " .. known.date or "") }
  end
  local result, date = ask_model(lock)
  date = date or known and known.date
  local text = result == "same" and "is there" or result == "differs" and "is not there any more"
    or "was not asked for (no key, or the provider cannot be reached)"
  local ok, days = pcall(dates.days, date or "")
  if ok and days <= 0 then
    result, text = "differs", "was shut down on " .. date
  elseif ok then
    text = ("%s; shut down on %s, in %d days"):format(text, date, days)
  end
  return { result = result, message = lock.base_model .. " " .. text }
end

local function price_check(lock, recipe)
  local was = type(lock.price) == "table" and lock.price.usd_per_million or nil
  local now = prices.training(lock.provider, lock.base_model, recipe.prices)
  local is = now and now.usd_per_million
  return { result = was == is and "same" or "note", was = was, is = is }
end

-- ---- all of it ----

local function overrides_text(list)
  local words = {}
  for i, o in ipairs(list or {}) do words[i] = o[1] .. "=" .. tostring(o[2]) end
  return table.concat(words, " ")
end

--- Compares a lock with what is there today. Raises what dataset.prepare raises.
---@param lock table             the lock file
---@param recipe ftrun.Recipe    as it is now
---@param o { dir: string?, limit: integer?, on_progress: function? }  dir: folder of the lock's run, for its rows
---@return ftrun.Verify
function M.run(lock, recipe, o)
  local checks = json.array {}
  local function check(name, c)
    c.name = name
    checks[#checks + 1] = c
  end
  local function same(name, was, is, otherwise)
    if was == nil and is == nil then return end
    check(name, { result = was == is and "same" or otherwise or "differs", was = was, is = is })
  end
  same("recipe", lock.recipe_sha256, recipe.sha256)
  same("settings from outside", overrides_text(lock.overrides), overrides_text(recipe.overrides))
  same("query", lock.query, recipe.dataset.query)
  same("seed", lock.seed, recipe.seed)
  same("base model", lock.base_model, recipe.base_model)

  local dir = err.check("system", fs.temporary "ftrun-verify")
  local _ <close> = setmetatable({}, { __close = function() fs.remove(dir, true) end })
  local made = dataset.prepare(recipe, { dir = dir, limit = lock.limit or o.limit, on_progress = o.on_progress })
  same("rows", lock.rows, made.written)
  same("data", lock.data_sha256, made.sha256)
  local apart = lock.data_sha256 ~= made.sha256
  for _, side in ipairs { "train", "validation" } do
    local was, is = lock[side] or {}, made[side] or {}
    same(side .. " rows", was.rows, is.rows)
    same(side, was.sha256 or was.file_id, is.sha256 or is.file_id)
    apart = apart or was.sha256 ~= is.sha256
  end
  local rows = apart and o.dir and compare_rows(o.dir, lock, dir, made) or nil
  check("model", model_check(lock))
  check("price", price_check(lock, recipe))
  same("ftrun", lock.ftrun, version, "note")
  local matches = true
  for _, c in ipairs(checks) do matches = matches and c.result ~= "differs" end
  return { matches = matches, checks = checks, rows = rows }
end

return M
