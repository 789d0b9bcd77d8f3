--- The lock file: with the recipe, an experiment that a colleague can repeat, compare and trust.
local json = require "ftrun.json"
local version = require "ft.version"

local lockfile = {}

--- The lock file beside the recipe: what exactly was run, without secrets and without times of this
--- machine.
---@return string json
function lockfile.text(c)
  local function side(name)
    local file, planned = c.prepare[name], c.plan[name]
    return file and { rows = file.rows, bytes = file.bytes, sha256 = file.sha256, file_id = file.file_id,
      tokens = planned and planned.tokens and planned.tokens.total }
  end
  local cost, judge = c.plan.cost or {}, c.evaluate and c.evaluate.judge
  return json.encode {
    ftrun = version, name = c.recipe.name, recipe_sha256 = c.recipe.sha256, overrides = json.array(c.recipe.overrides),
    limit = c.limit,
    query = c.recipe.dataset.query, data_sha256 = c.prepare.sha256, rows = c.prepare.written,
    train = side "train", validation = side "validation", seed = c.recipe.seed,
    method = c.recipe.method,
    grader = c.plan.request and c.plan.request.grader,
    provider = c.provider.name, base_model = c.watch.base_model, hyperparameters = c.watch.hyperparameters,
    judge = judge and { model = judge.model, prompt_sha256 = judge.prompt_sha256 },
    scores = c.evaluate and c.evaluate.scores, gate = c.gate and { passed = c.gate.passed },
    job = c.watch.id, model = c.choose and c.choose.model or c.watch.model, checkpoint = c.choose,
    state = c.watch.state, trained_tokens = c.watch.trained_tokens,
    encoding = c.plan.encoding, price = cost.price, budget = c.recipe.budget,
    estimate = { epochs = cost.epochs, billed_tokens = cost.billed_tokens, usd = cost.usd },
  }
end

return lockfile
