--- Reads the body of POST /fine_tuning/jobs: every field is checked before anything is made.
local digest = require "ft.digest"
local json = require "ftrun.json"
local answer = require "ftrun.local.answer"
local models = require "ftrun.local.models"

local known = { model = true, training_file = true, validation_file = true, suffix = true, seed = true, method = true,
                hyperparameters = true, integrations = true, metadata = true }

local ranges = {
  n_epochs = { low = 1, high = 50, expected = "'auto' or an integer from 1 to 50" },
  batch_size = { low = 1, high = 256, expected = "'auto' or an integer from 1 to 256" },
  learning_rate_multiplier = { low = 1e-6, high = 1000, real = true,
                               expected = "'auto' or a number from 0.000001 to 1000" },
}

local invalid = answer.invalid

local function text(body, name, expected)
  local value = body[name]
  if value ~= nil and (type(value) ~= "string" or value == "") then invalid(name, value, expected) end
  return value
end

local function required(body, name, expected)
  return text(body, name, expected)
    or answer.refuse(400, ("Missing required parameter: '%s'."):format(name), name, "missing_required_parameter")
end

local function check_known(object, allowed, where)
  for key in pairs(object) do
    if not allowed[key] then
      local path = where .. tostring(key)
      answer.refuse(400, ("Unknown parameter: '%s'."):format(path), path, "unknown_parameter")
    end
  end
end

local function in_range(value, range)
  if value == "auto" then return "auto" end
  local n = type(value) == "number" and (range.real and value or math.tointeger(value))
  return n and n >= range.low and n <= range.high and n or nil
end

local function read_hyperparameters(object, where)
  if object == nil then return nil end
  if type(object) ~= "table" then invalid(where, object, "an object") end
  check_known(object, ranges, where .. ".")
  local read = {}
  for name, range in pairs(ranges) do
    local value = object[name]
    if value ~= nil then
      read[name] = in_range(value, range) or invalid(where .. "." .. name, value, range.expected)
    end
  end
  return read
end

local function read_method(body)
  local method = body.method
  if method == nil then return nil end
  if type(method) ~= "table" then invalid("method", method, "an object") end
  if method.type == "dpo" or method.type == "reinforcement" then
    answer.refuse(400, ("The method '%s' is not available here: the local provider learns from answers only "
      .. "('supervised')."):format(method.type), "method.type", "method_not_supported")
  elseif method.type ~= "supervised" then
    invalid("method.type", method.type or json.null, "'supervised', the only method of the local provider")
  end
  check_known(method, { type = true, supervised = true }, "method.")
  local supervised = method.supervised or {}
  if type(supervised) ~= "table" then invalid("method.supervised", supervised, "an object") end
  check_known(supervised, { hyperparameters = true }, "method.supervised.")
  return read_hyperparameters(supervised.hyperparameters, "method.supervised.hyperparameters")
end

local function all_hyperparameters(body)
  local new, old = read_method(body), read_hyperparameters(body.hyperparameters, "hyperparameters")
  if new and old then
    answer.refuse(400, "Give the hyperparameters once: in 'method.supervised.hyperparameters' ('hyperparameters' is "
      .. "deprecated).", "hyperparameters", "invalid_value")
  end
  local all = new or old or {}
  for name in pairs(ranges) do all[name] = all[name] or "auto" end
  return all
end

local function read_file(ctx, id, param)
  if not id then return nil end
  local file = ctx.store.files:get(id)
  if not file then
    answer.refuse(400, ("Invalid '%s': the file '%s' does not exist."):format(param, id), param, "file_not_found")
  end
  if file.purpose ~= "fine-tune" then
    answer.refuse(400, ("Invalid '%s': the file '%s' has the purpose '%s'; expected 'fine-tune'."):format(param, id,
      file.purpose), param, "invalid_file_purpose")
  end
  return id
end

local function read_seed(body)
  local seed = body.seed
  if seed == nil then return tonumber(digest.random_hex(4), 16) & 0x7fffffff end
  local n = type(seed) == "number" and math.tointeger(seed)
  if not n or n < 0 or n > 2147483647 then invalid("seed", seed, "an integer from 0 to 2147483647") end
  return n
end

local function read_model(body)
  local name = required(body, "model", "the name of a base model")
  local base = models.base_name(name)
  if base then return base end
  local why = name:find "^ft:" and "the local learner cannot continue from a fine-tuned model; it starts anew from"
    or "the local provider knows"
  answer.refuse(400, ("Model '%s' is not available for fine-tuning or does not exist: %s %s."):format(name, why,
    models.base_names()), "model", "model_not_available")
end

local function read_suffix(body)
  local suffix = text(body, "suffix", "a text of 1 to 64 characters")
  if suffix and (utf8.len(suffix) or 65) > 64 then invalid("suffix", suffix, "a text of 1 to 64 characters") end
  return suffix
end

local function read_integrations(body)
  local list = body.integrations or {}
  if type(list) ~= "table" or #list > 5 then invalid("integrations", list, "a list of at most 5") end
  for i, item in ipairs(list) do
    if type(item) ~= "table" or item.type ~= "wandb" or type(item.wandb) ~= "table"
      or type(item.wandb.project) ~= "string" then
      invalid(("integrations[%d]"):format(i - 1), item, "{type: 'wandb', wandb: {project: ...}}")
    end
  end
  return list
end

--- The request as a plain table of checked values. Refuses what OpenAI would refuse and what the learner cannot do.
---@param ctx table
---@param body table  the decoded JSON
return function(ctx, body)
  check_known(body, known, "")
  return {
    base = read_model(body),
    training_file = read_file(ctx, required(body, "training_file", "the id of a file"), "training_file"),
    validation_file = read_file(ctx, text(body, "validation_file", "the id of a file"), "validation_file"),
    suffix = read_suffix(body),
    seed = read_seed(body),
    hyperparameters = all_hyperparameters(body),
    integrations = read_integrations(body),
    metadata = answer.metadata(body),
  }
end
