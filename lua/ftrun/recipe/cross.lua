--- What keys of a recipe must be to each other; spec.lua has looked at each by itself.
local is_file_id = require "ftrun.recipe.fileid"
local methods = require "ftrun.recipe.method"

local M = {}

local OTHER_METHOD = 'belongs to method = "%s"; this recipe has method = "%s"'

local function extraction(e, d, report)
  if e.piece.tokens and e.piece.characters then
    report({ "extract", "piece" }, "tokens and characters exclude each other")
  end
  if e.write and not (e.key or d.key) then
    report({ "extract", "write" }, "needs extract.key: nothing says which row a result belongs to")
  end
  for _, part in ipairs { "from", "write" } do
    if e[part] and not (e[part].url or e.from and e.from.url or d.url) then
      report({ "extract", part }, 'has no url, and the dataset has none; write url = ft.env "DATABASE_URL"')
    end
  end
end

--- Reports every key that does not go with another.
---@param r table                                      a recipe, each key of which is right by itself
---@param report fun(at: string[], message: string)    at: the path of the key
function M.check(r, report)
  local d = r.dataset
  if d.kind == "jsonl" and not d.path == not d.paths then
    report({ "dataset" }, d.path and "path and paths exclude each other"
      or 'missing path; write ft.jsonl { path = "..." }')
  end
  if d.kind == "files" and r.split then
    if d.validation then
      report({ "split" }, "ft.files has a validation file already; leave one of the two out")
    elseif is_file_id(d.train) then
      report({ "split" }, "an uploaded file cannot be split here; give dataset.validation a file")
    end
  end
  if d.kind == "files" and d.validation and is_file_id(d.train) ~= is_file_id(d.validation) then
    report({ "dataset" }, "train and validation must be both paths or both ids of uploaded files")
  end
  if r.evaluate and not r.split and not d.validation then
    report({ "evaluate" }, "there are no validation rows; add split = { validation = 0.1 }")
  elseif r.evaluate and d.kind == "files" and is_file_id(d.train) then
    report({ "evaluate" }, "the rows of an uploaded file cannot be read here; give dataset the paths of files")
  end
  for name in pairs(r.hyperparameters) do
    local of = methods.of(name)
    if of and of ~= r.method then
      report({ "hyperparameters", name }, OTHER_METHOD:format(of, r.method))
    end
  end
  if r.method == "reinforcement" then
    if not r.grader then
      report({ "method" }, "reinforcement needs grader = ft.string_check { ... }, or another: it says what is rewarded")
    end
    if not r.split and not d.validation then
      report({ "method" }, "reinforcement needs validation rows; add split = { validation = 0.1 }")
    end
    if r.evaluate then
      report({ "evaluate" }, "rows of reinforcement hold no answers to compare with; the grader's scores are metrics")
    end
  elseif r.grader then
    report({ "grader" }, OTHER_METHOD:format("reinforcement", r.method))
  end
  if r.checkpoint and r.checkpoint.metric:find "valid" and not r.split and not d.validation then
    report({ "checkpoint", "metric" },
      "there are no validation rows to measure it on; add split = { validation = 0.1 }")
  end
  if r.extract then extraction(r.extract, d, report) end
  for _, key in ipairs { "gate", "promote" } do
    if r[key] and not r.evaluate then
      report({ key }, "needs evaluate = { score = ... }: nothing measures the model")
    end
  end
end

return M
