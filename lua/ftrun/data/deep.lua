--- The data doctor on files, for `validate --deep` and for plans: which file is which side, and what was found.
local codes = require "ftrun.data.rules.codes"
local inspect = require "ftrun.data.inspect"
local places = require "ftrun.data.inspect.places"
local tokens = require "ftrun.data.tokens"

local M = {}

---@class ftrun.deep.Options
---@field validation boolean?  a file alone is the validation side
---@field model string?        whose tokens say what escapes cost; default: the newest encoding
---@field on_progress (fun(path: string, done: integer, total: integer))?

-- The tokenizer is opened when something has to be counted: hardly ever.
local function count_tokens(model)
  local counter
  return function(text)
    counter = counter or tokens.counter(model and { model = model } or { encoding = tokens.encodings[1] })
    return counter:text(text)
  end
end

--- Whether a file is the validation side: of two the second, one alone when it is said, and none of more.
---@param paths string[]
---@param i integer
---@param validation boolean?
---@return boolean
function M.validates(paths, i, validation) return #paths == 2 and i == 2 or #paths == 1 and validation or false end

--- Looks at all rows of the files together. Raises what Inspector:file raises. Waits: call it from a task.
---@param paths string[]
---@param options ftrun.deep.Options
---@param emit fun(finding: ftrun.Finding)  with `file` when there are several
---@return table summary  of Inspector:summary
function M.files(paths, options, emit)
  local inspector <close> = inspect.new { count_tokens = count_tokens(options.model) }
  for i, path in ipairs(paths) do
    local side = M.validates(paths, i, options.validation) and "validation" or "train"
    inspector:file(side, path, { name = #paths > 1 and path or nil,
      on_progress = options.on_progress and function(done, total) options.on_progress(path, done, total) end })
  end
  for _, finding in ipairs(inspector:findings()) do emit(finding) end
  return inspector:summary()
end

---@class ftrun.deep.Group
---@field code string
---@field severity "error"|"warning"|"note"
---@field count integer    findings
---@field first string[]   the first places
---@field message string   of the first finding, or what all of them say

local FIRST = 5

--- What was found in a recipe's prepared files, by code, in brief. Waits: call it from a task.
---@param prepared ftrun.Prepared
---@param options { names: table?, count_tokens: (fun(text: string): integer)?, on_progress: fun(done: integer,
---  total: integer)? }  names: second result of dataset.prepare
---@return ftrun.deep.Group[]
function M.prepared(prepared, options)
  local inspector <close> = inspect.new { count_tokens = options.count_tokens }
  for _, side in ipairs { "train", "validation" } do
    local names = options.names and options.names[side] or {}
    if prepared[side] and prepared[side].path then
      inspector:file(side, prepared[side].path, { on_progress = options.on_progress,
        keys = function(line) return names[line] end })
    end
  end
  local groups, by_code = {}, {}
  for _, f in ipairs(inspector:findings()) do
    local group = by_code[f.code]
    if not group then
      group = { code = f.code, severity = f.severity, count = 0, first = {}, message = f.message }
      by_code[f.code] = group
      groups[#groups + 1] = group
    end
    group.count = group.count + 1
    if #group.first < FIRST and f.line then group.first[#group.first + 1] = places.name(f) end
    local code = codes.all[f.code]
    if group.count == 2 then group.message = ("%s; %s"):format(code.what, code.mend) end
  end
  return groups
end

return M
