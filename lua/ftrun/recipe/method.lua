--- The methods of training, and which hyperparameters each takes.
local M = {}

local COMMON = { "n_epochs", "batch_size", "learning_rate_multiplier" }

--- Hyperparameters that only some methods take.
---@type table<string, string[]>
M.own = {
  supervised = {},
  dpo = { "beta" },
  reinforcement = { "reasoning_effort", "compute_multiplier", "eval_interval", "eval_samples" },
}

--- The method that a hyperparameter belongs to; nil for those of all.
---@param name string
---@return string?
function M.of(name)
  for method, names in pairs(M.own) do
    for _, own in ipairs(names) do if own == name then return method end end
  end
end

--- The hyperparameters of a method in their order.
---@param method string
---@return string[]
function M.names(method)
  local names = { table.unpack(COMMON) }
  for _, own in ipairs(M.own[method]) do names[#names + 1] = own end
  return names
end

return M
