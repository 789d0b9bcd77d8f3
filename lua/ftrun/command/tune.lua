--- ftrun tune: a run without a recipe. The recipe that its options amount to is written down and run like any other:
--- it can be read, continued, and kept as the beginning of one's own.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local is_file_id = require "ftrun.recipe.fileid"
local json = require "ftrun.json"
local run = require "ftrun.command.run"
local runs = require "ftrun.run.runs"

local command = {}

local NAME_CHARACTERS = 40

--- A value of --training-file: the id of an uploaded file as it is, else the absolute path of a local one.
local function file_of(args, name, option)
  local value = args[name]
  if not value or is_file_id(value) then return value end
  local path, message, code = fs.realpath(value)
  if not path then
    err.raise(code == "not_found" and "usage" or "system", ("%s: %s"):format(option, message),
      { advice = "Give the path of a JSONL file, or the id of an uploaded one (file-...)." })
  end
  if not args.upload and not args["local"] then
    err.raise("usage", ("%s: %s is a file of this machine"):format(option, value),
      { advice = "Add --upload to send it, or give the id of an uploaded file (file-...)." })
  end
  return path
end

local function name_of(file)
  local stem = file:match("[^/]*$"):gsub("%.jsonl?$", ""):gsub("%.gz$", ""):gsub("[^%w_-]+", "-"):gsub("^%-+", "")
  return "tune-" .. (stem == "" and "file" or stem:sub(1, NAME_CHARACTERS))
end

-- A JSON value as Lua text.
local function literal(value, indent)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value):gsub("\\\n", "\\n") or tostring(value)
  end
  local parts, inner = {}, indent .. "  "
  if #value > 0 then
    for i, item in ipairs(value) do parts[i] = literal(item, inner) end
  else
    for key, item in pairs(value) do parts[#parts + 1] = ("[%q] = %s"):format(key, literal(item, inner)) end
    table.sort(parts)
  end
  return ("{\n%s%s\n%s}"):format(inner, table.concat(parts, ",\n" .. inner), indent)
end

local GRADERS = { string_check = true, text_similarity = true, python = true, score_model = true }

--- The grader of a JSON file as a recipe says it: ft.string_check { ... }
local function grader_of(path)
  if not path then return nil end
  local text, message = fs.read(path)
  if not text then err.raise("usage", "--grader: " .. message) end
  local value, why = json.decode(text)
  if type(value) ~= "table" or type(value.type) ~= "string" or not value.type:find "^[%a_]+$" then
    err.raise("usage", ("--grader: %s is no grader: %s"):format(path, why or "it has no `type`"),
      { advice = 'Write {"type": "string_check", "input": "{{sample.output_text}}", ...} into it.' })
  end
  local kind = value.type
  if not GRADERS[kind] then
    err.raise("usage", ("--grader: ftrun knows no grader of the type '%s'"):format(kind),
      { advice = "Known are string_check, text_similarity, python and score_model." })
  end
  value.type = nil
  return ("ft.%s %s"):format(kind, literal(value, "  "))
end

--- The recipe's text: a pure function of the options. It names files without their folders, which are this machine's
--- own and go along as settings.
---@param o { train: string, validation: string?, base_model: string, suffix: string?, n_epochs: integer?,
---  batch_size: integer?, learning_rate: number?, method: string?, beta: number?, grader: string? }  grader: Lua text
---@return string
function command.recipe(o)
  local lines = { "-- Made by ftrun tune. Its files lie beside it, or where --set dataset.train=PATH says.",
    "return ft.recipe {" }
  local function add(form, value)
    if value ~= nil then lines[#lines + 1] = form:format(value) end
  end
  add("  name = %q,", name_of(o.train))
  add("  base_model = %q,", o.base_model)
  add("  suffix = %q,", o.suffix)
  add("  method = %q,", o.method ~= "supervised" and o.method or nil)
  add("  grader = %s,", o.grader)
  add("  dataset = ft.files {\n    train = %q,", o.train:match "[^/]*$")
  add("    validation = %q,", o.validation and o.validation:match "[^/]*$")
  add("  },\n  hyperparameters = {%s", "")
  add("    n_epochs = %d,", o.n_epochs)
  add("    batch_size = %d,", o.batch_size)
  add("    learning_rate_multiplier = %.14g,", o.learning_rate)
  add("    beta = %.14g,", o.beta)
  add("  },\n}%s", "")
  return table.concat(lines, "\n") .. "\n"
end

---@param args table
---@param state table
---@return integer exit_code
function command.main(args, state)
  local files = { train = file_of(args, "training_file", "--training-file"),
    validation = file_of(args, "validation_file", "--validation-file") }
  local text = command.recipe { train = files.train, validation = files.validation, base_model = args.base_model,
    suffix = args.suffix, n_epochs = args.n_epochs, batch_size = args.batch_size, learning_rate = args.learning_rate,
    method = args.method, beta = args.beta, grader = grader_of(args.grader) }
  local folder = runs.root() .. "/tune"
  local path = ("%s/%s-%s.lua"):format(folder, name_of(files.train),
    digest.sha256(table.concat({ text, files.train, files.validation }, "\n")):sub(1, 8))
  err.check("system", fs.mkdir(folder))
  err.check("system", fs.write(path, text))
  -- a recipe may read only below its own folder; what the command line names is the user's own word
  local set = {}
  for _, side in ipairs { "train", "validation" } do
    local file = files[side]
    if file and not is_file_id(file) then set[#set + 1] = ("dataset.%s=%s"):format(side, file) end
  end
  -- the local provider trains only while a process serves it
  local last = not args.monitor and not args["local"] and "create" or nil
  return run.main({ recipe = path, set = set, last = last, ["local"] = args["local"], yes = args.yes, new = args.new,
    json = args.json, quiet = args.quiet }, state)
end

return command
