--- From a recipe's rows to JSONL files: one pass (pass.lua) makes and checks the examples, they are split and written.
--- All bad rows are reported together.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local is_file_id = require "ftrun.recipe.fileid"
local limits = require "ftrun.data.rules.limits"
local passes = require "ftrun.data.pass"
local source = require "ftrun.data.source"
local splits = require "ftrun.data.split"
local tally = require "ftrun.data.tally"
local words = require "ftrun.recipe.words"

local M = {}

local REASONS = 5    -- why rows were skipped, where all were
local NAMES = 50000 -- rows of a side whose names are remembered

---@class ftrun.Prepared
---@field train { path: string, rows: integer, bytes: integer, sha256: string }|{ file_id: string }
---@field validation table?     like train
---@field rows integer          rows that were read
---@field written integer       examples that were written
---@field skipped { reason: string, count: integer, first: string[] }[]  most frequent first
---@field duplicates { count: integer, first: string[] }  examples that are equal to an earlier one
---@field longest { bytes: integer, key: string }?
---@field warnings { code: string, message: string, count: integer, first: string[] }[]  of the format rules
---@field sha256 string         of all examples, a line each, in their order before the split
---@field strata { value: string, train: integer, validation: integer }[]?  of split.stratify_by, most rows first

-- ---- what must be true of the whole ----

local function count(n, word) return ("%d %s%s"):format(n, word, n == 1 and "" or "s") end

-- The files that a recipe names, for messages.
local function file_names(d)
  return d.paths and table.concat(d.paths, ", ") or d.path or d.train or "the file"
end

local function no_rows(recipe, after)
  if after then
    err.raise("data", ("no row stands behind the one with the key %s: there is nothing new"):format(words.show(after)),
      { where = recipe:where "dataset", code = "no_rows" })
  end
  local kind = recipe.dataset.kind
  local field = ({ postgres = "query", files = "train" })[kind] or recipe.dataset.path and "path" or "paths"
  err.raise("data", kind == "postgres" and "the query returned no rows"
    or ("there are no lines in %s"):format(file_names(recipe.dataset)), {
    where = recipe:where("dataset", field), code = "no_rows",
    advice = kind == "postgres" and "Run the query by hand, and try it with fewer conditions after WHERE." or nil,
  })
end

local function check_whole(self, recipe, after)
  if self.bad > 0 then
    local list = self:errors()
    if not recipe.dataset.example and self.bad_rows == self.rows then
      local last = list[#list]
      last.advice = (last.advice and last.advice .. "\n" or "") .. (recipe.dataset.kind == "jsonl"
        and "Lines that are no examples yet need `example = function(row) ... end` in ft.jsonl."
        or "Lines that are no examples yet need a recipe that makes them: ftrun init writes one to change.")
    end
    err.raise("data", ("%s in %s"):format(count(self.bad, "error"), count(self.rows, "row")), { list = list })
  end
  if self.rows == 0 then no_rows(recipe, after) end
  local columns = {}
  for name in pairs(self.columns) do columns[#columns + 1] = name end
  table.sort(columns)
  if #columns > 0 and recipe.dataset.kind == "jsonl" then source.check_columns(recipe, columns, "no row has") end
  if self.written == 0 then
    local reasons = self:skipped()
    for i, r in ipairs(reasons) do reasons[i] = ("%s (%d)"):format(r.reason, r.count) end
    err.raise("data", ("all %s were skipped: %s"):format(count(self.rows, "row"),
      table.concat(reasons, ", ", 1, math.min(#reasons, REASONS)) .. (#reasons > REASONS and ", ..." or "")), {
      where = recipe:where("dataset", "example"), code = "no_examples" })
  end
  for _, at in ipairs(self.fields.missing()) do
    local lines = not recipe.dataset.example
    local text = lines and "split.%s: no row has %s" or "split.%s: in all rows %s is NULL"
    err.raise("recipe", text:format(at[1], words.show(at[2])), { where = recipe:where("split", at[1]),
      advice = lines and "Fields of ready-made lines are paths, such as metadata.law." or nil })
  end
end

-- Some methods take only so many.
local function not_too_many(recipe, train, validation)
  for side, made in pairs { train = train, validation = validation } do
    local most = limits.most(recipe.method, side)
    if most and made.lines > most then
      err.raise("data", ("%s of %s rows; the method %s takes %d at most"):format(count(made.lines, "example"), side,
        recipe.method, most), { code = "invalid_n_examples", advice = "Take fewer rows: --limit N, or another split." })
    end
  end
end

local function enough(recipe, train, validation, self)
  not_too_many(recipe, train, validation)
  if train.lines >= limits.LEAST then return end
  local aside = {}
  if validation and validation.lines > 0 then aside[1] = ("%d validate"):format(validation.lines) end
  local skipped = self.rows - self.written
  if skipped > 0 then aside[#aside + 1] = ("%d were skipped"):format(skipped) end
  err.raise("data", ("%s for training%s; at least %d are needed"):format(count(train.lines, "example"),
    #aside > 0 and " (" .. table.concat(aside, ", ") .. ")" or "", limits.LEAST), {
    code = "invalid_n_examples", advice = "Widen the query (or --limit), or keep fewer rows for validation.",
  })
end

-- ---- prepare and export ----

local function file(path, summary)
  return { path = path, rows = summary.lines, bytes = summary.bytes, sha256 = summary.sha256 }
end

local function result(self, more)
  more.rows, more.written, more.skipped = self.rows, self.written, self:skipped()
  more.duplicates, more.longest = self.duplicates, self.longest
  more.warnings = self.findings:list "warning"
  more.sha256 = more.sha256 or self.hash and self.hash:sha256() or more.train.sha256 or digest.sha256 ""
  return more
end

-- Notes the name of the next row of a side.
local function name(list, label) if #list < NAMES then list[#list + 1] = label end end

-- The names after rows of train, by their lines, went over to validation.
local function move_names(names, chosen)
  local moved = { train = {}, validation = {} }
  for line, label in ipairs(names.train) do name(moved[chosen[line] and "validation" or "train"], label) end
  return moved
end

-- train and validation are both given as files
local function prepare_files(recipe, pass, options)
  local paths, sums, names = {}, {}, { train = {}, validation = {} }
  for _, field in ipairs { "train", "validation" } do
    paths[field] = ("%s/%s.jsonl"):format(options.dir, field)
    local writer <close> = splits.writer(paths[field])
    local limit = field == "train" and (options.limit or recipe.limit) or nil
    pass:read(recipe, field, { limit = limit, on_progress = options.on_progress }, function(json, label)
      writer.add(json)
      name(names[field], label)
    end)
    if pass.bad == 0 then sums[field] = writer.commit() end
  end
  check_whole(pass, recipe)
  enough(recipe, sums.train, sums.validation, pass)
  return result(pass, { train = file(paths.train, sums.train), validation = file(paths.validation, sums.validation) }),
    names
end

--- Writes dir/train.jsonl and, when the recipe splits, dir/validation.jsonl. The same rows and seed give the same files
--- on every machine. Raises err "data" with every bad row in `list` (the first 20), "recipe" when `example` fails, and
--- what the source raises. Waits: call it from a task.
---@param recipe ftrun.Recipe
---@param options { dir: string, limit: integer?, on_progress: fun(done: integer, total: integer?, unit: string)? }
---@return ftrun.Prepared
---@return { train: string[], validation: string[] }? names  of the first 50,000 rows of each file, by line
function M.prepare(recipe, options)
  local d, pass = recipe.dataset, passes.new { hash = (recipe.split or recipe.dataset.validation) ~= nil }
  if d.kind == "files" and is_file_id(d.train) then
    local validation = d.validation and { file_id = d.validation }
    return result(pass, { train = { file_id = d.train }, validation = validation })
  end
  err.check("system", fs.mkdir(options.dir))
  if d.kind == "files" and d.validation then return prepare_files(recipe, pass, options) end
  local train_path, validation_path = options.dir .. "/train.jsonl", options.dir .. "/validation.jsonl"
  local split = splits.new(recipe.split, recipe.seed)
  local train, validation
  local names = { train = {}, validation = {} }
  do
    local to <close> = splits.writer(train_path)
    local aside <close> = recipe.split and splits.writer(validation_path)
    pass:read(recipe, "train", { limit = options.limit or recipe.limit, on_progress = options.on_progress },
      function(json, label, ...)
        local side = split.side(...)
        local writer = side == "train" and to or aside
        writer.add(json)
        name(names[side], label)
      end)
    check_whole(pass, recipe)
    train = to.commit()
    validation = aside and aside.commit()
  end
  local chosen = split.chosen()
  if chosen then
    train, validation = splits.move(train_path, validation_path, chosen)
    names = move_names(names, chosen)
  end
  enough(recipe, train, validation, pass)
  validation = validation and file(validation_path, validation)
  return result(pass, { train = file(train_path, train), validation = validation, strata = split.shares() }), names
end

--- Writes every example to one file, without a split, however few there are. `tally` is what was counted.
---@param recipe ftrun.Recipe
---@param output string   path
---@param options { limit: integer?, after: string?, on_progress: fun(done: integer, total: integer?, unit: string)?,
---  counter: ftrun.tally.Counter? }?
---@return { rows: integer, written: integer, skipped: table[], sha256: string, bytes: integer, path: string,
---  tally: ftrun.Tally? }
function M.export(recipe, output, options)
  options = options or {}
  if recipe.dataset.kind == "files" and is_file_id(recipe.dataset.train) then
    err.raise("recipe", "the training file is at the provider already; there is nothing to prepare",
      { where = recipe:where("dataset", "train") })
  end
  local pass = passes.new { tokens = options.counter and tally.stream(options.counter, nil, true) }
  local writer <close> = splits.writer(output)
  pass:read(recipe, "train", { limit = options.limit or recipe.limit, after = options.after,
    on_progress = options.on_progress }, function(json) writer.add(json) end)
  check_whole(pass, recipe, options.after)
  local made = file(output, writer.commit())
  return result(pass, { bytes = made.bytes, path = output, sha256 = made.sha256,
    tally = pass.tokens and pass.tokens:finish() })
end

return M
