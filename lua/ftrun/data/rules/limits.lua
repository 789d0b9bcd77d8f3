--- Limits of files, examples and models, as OpenAI's guides state them (read on 2026-11-22).
local codes = require "ftrun.data.rules.codes"

local M = {}

local FILES_BYTES = 512 * 1024 * 1024        -- one request to /files
local UPLOADS_BYTES = 8 * 1024 * 1024 * 1024 -- assembled through /uploads
local IMAGE_ROWS = 50000                     -- examples with images

M.LEAST = 10                         -- examples of a training file
M.IMAGES = 10                        -- in one example
M.IMAGE_BASE64 = (10 * 1024 * 1024 + 2) // 3 * 4 + 64 -- characters of a data URL of 10 MB
M.FUNCTIONS = 128                    -- in one row

-- examples at most: nothing is published for the others
local MOST = { reinforcement = { train = 50000, validation = 1000 } }

---@class ftrun.ModelFacts
---@field name string        the family that was recognised
---@field example_tokens integer?  longest example; nil: not known
---@field vision boolean?    nil: not known
---@field methods table<string, boolean>  false: known to be refused

-- the first prefix that fits
local MODELS = {
  { "gpt-4.1-nano", 65536, vision = false, methods = { supervised = true, dpo = true, reinforcement = false } },
  { "gpt-4.1", 65536, vision = false, methods = { supervised = true, dpo = true, reinforcement = false } },
  { "gpt-4o-mini", 65536, vision = false, methods = { supervised = true, reinforcement = false } },
  { "gpt-4o", 65536, vision = true, methods = { supervised = true, dpo = true, reinforcement = false } },
  { "gpt-3.5-turbo", 16385, vision = false, methods = { supervised = true, dpo = false, reinforcement = false } },
  { "o4-mini", nil, methods = { supervised = false, dpo = false, reinforcement = true } },
  { "babbage-002", nil, vision = false, methods = { completions = true, supervised = false, dpo = false } },
  { "davinci-002", nil, vision = false, methods = { completions = true, supervised = false, dpo = false } },
}

--- What is known of a model; nil when nothing is.
---@param name string  also a tuned model's: "ft:gpt-4o-mini-2024-07-18:org::id"
---@return ftrun.ModelFacts?
function M.model(name)
  name = name:gsub("^ft:", "")
  for _, row in ipairs(MODELS) do
    if name:sub(1, #row[1]) == row[1] and not name:sub(#row[1] + 1):find "^%w" then
      return { name = row[1], example_tokens = row[2], vision = row.vision, methods = row.methods }
    end
  end
end

--- How many examples a file of a method may have; nil: nothing is published.
---@param method string
---@param side "train"|"validation"
---@return integer?
function M.most(method, side) return MOST[method] and MOST[method][side] end

local function count(n) return n == 1 and "1 example" or ("%d examples"):format(n) end

--- What is wrong with a file as a whole.
---@param method string
---@param file { rows: integer, bytes: integer?, image_rows: integer, validation: boolean? }
---@param model ftrun.ModelFacts?
---@return ftrun.Finding[]
function M.check(method, file, model)
  local list = {}
  local function found(code, detail) list[#list + 1] = codes.finding(code, "", detail) end
  local role = file.validation and "validation" or "train"
  local most = M.most(method, role)
  if file.rows == 0 then
    found "no_rows"
  elseif not file.validation and file.rows < M.LEAST then
    found("invalid_n_examples", ("%s, a training file needs at least %d"):format(count(file.rows), M.LEAST))
  elseif most and file.rows > most then
    found("invalid_n_examples", ("%s, a %s file of the method %s may have %d"):format(count(file.rows),
      file.validation and "validation" or "training", method, most))
  elseif file.image_rows > IMAGE_ROWS then
    found("invalid_n_examples", ("%s with images, %d are allowed"):format(count(file.image_rows), IMAGE_ROWS))
  end
  local bytes = file.bytes or 0
  if bytes > UPLOADS_BYTES then
    found("file_too_large", ("%.1f GB, uploads take 8 GB"):format(bytes / 1024 ^ 3))
  elseif bytes > FILES_BYTES then
    found("file_needs_upload", ("%.0f MB, /files takes 512 MB"):format(bytes / 1024 ^ 2))
  end
  if model and (model.methods[method] == false or method == "completions" and not model.methods.completions) then
    found("method_not_offered", ("%s cannot be tuned by the method %s"):format(model.name, method))
  end
  return list
end

return M
