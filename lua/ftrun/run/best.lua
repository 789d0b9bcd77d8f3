--- Which of a job's checkpoints is the tuned model, when the recipe says by which number.
local M = {}

--- What "best" means of a metric when nobody says it: of a loss less is better.
---@param metric string
---@return "lowest"|"highest"
function M.direction(metric)
  return metric:find "loss" and "lowest" or "highest"
end

---@class ftrun.Best
---@field metric string
---@field best "lowest"|"highest"
---@field value number
---@field model string    the checkpoint's name
---@field step integer?
---@field of integer      checkpoints that have the metric

--- The best of a list; nil when none has the metric. Of equals the later one has seen more.
---@param checkpoints ftrun.Checkpoint[]  by step
---@param wanted { metric: string, best: "lowest"|"highest"? }
---@return ftrun.Best?
function M.pick(checkpoints, wanted)
  local best = wanted.best or M.direction(wanted.metric)
  local chosen, value, count = nil, nil, 0
  for _, c in ipairs(checkpoints) do
    local v = c.metrics[wanted.metric]
    if c.model and type(v) == "number" and v == v then
      count = count + 1
      if not chosen or (best == "lowest" and v <= value) or (best == "highest" and v >= value) then
        chosen, value = c, v
      end
    end
  end
  return chosen and { metric = wanted.metric, best = best, value = value, model = chosen.model, step = chosen.step,
    of = count }
end

--- Names of the metrics that checkpoints have, in order.
---@param checkpoints ftrun.Checkpoint[]
---@return string[]
function M.metrics(checkpoints)
  local names, seen = {}, {}
  for _, c in ipairs(checkpoints) do
    for name, value in pairs(c.metrics) do
      if type(value) == "number" and not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names)
  return names
end

--- "step 30, full_valid_loss 0.1234, the lowest of 3 checkpoints"
---@param b ftrun.Best
---@return string
function M.line(b)
  return ("step %d, %s %.4f, the %s of %d checkpoint%s"):format(b.step or 0, b.metric, b.value, b.best, b.of,
    b.of == 1 and "" or "s")
end

return M
