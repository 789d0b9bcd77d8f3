--- A run in a few lines for a terminal, with its curves as blocks.
local amounts = require "ftrun.text.amounts"
local facts = require "ftrun.report.facts"
local promote = require "ftrun.run.promote"
local score_text = require "ftrun.score.text"
local scores = require "ftrun.report.scores"
local terminal = require "ftrun.text.terminal"

local M = {}

local WIDTH = 32

local function curve(points)
  if #points == 0 then return nil end
  local values = {}
  for i, p in ipairs(points) do values[i] = p[2] end
  local first, last = values[1], values[#values]
  if #values == 1 then return ("%.4f"):format(first) end
  return ("%.4f → %.4f  %s"):format(first, last, terminal.sparkline(values, WIDTH))
end

local function left_out(d)
  local parts = {}
  for i, s in ipairs(d and d.skipped or {}) do parts[i] = ("%s %s"):format(amounts.number(s.count), s.reason) end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

local function findings(f)
  local parts = {}
  for i, g in ipairs(f.plan and f.plan.findings or {}) do
    parts[i] = ("%s %s (%s)"):format(amounts.number(g.count), g.code, g.severity)
  end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

-- The same tables as `ftrun eval` shows.
local function measured(f, lines, add)
  local e = f.evaluation
  local own = {}
  for k, v in pairs(e or {}) do own[k] = v end
  own.others = {}
  local ok, list = pcall(score_text.lines, own)
  if e and ok then
    lines[#lines + 1] = ""
    table.move(list, 1, #list, #lines + 1, lines)
  else
    add("scores", scores.sentence(e)) -- a file that is not whole
  end
  for _, other in ipairs(e and e.others or {}) do
    local s = other.scores and other.scores[1]
    add("further model", ("%s: %s"):format(other.model, s and s.tuned and ("%s %.3f, %s than base"):format(s.name,
      s.tuned.value, s.verdict == "cannot tell" and "perhaps no better" or s.verdict) or "no scores"))
  end
  if e and e.problem then add("not scored", e.problem) end
  for _, bar in ipairs(type(f.gate) == "table" and f.gate.bars or {}) do
    add(bar.passed and "gate passed" or "gate not passed", bar.why)
  end
end

---@param f ftrun.Report.Facts
---@return string[] lines
function M.lines(f)
  local lines = {}
  local function add(name, text)
    if text then lines[#lines + 1] = ("%-16s %s"):format(name, text) end
  end
  local job, c = f.job or {}, f.plan and f.plan.cost or {}
  local used, wrong = f.result and f.result.usage or {}, f.result and f.result.error or job.error
  add("run", f.run.id or facts.name(f))
  add("state", facts.state(f))
  add("error", type(wrong) == "table" and (wrong.message or wrong.code) or nil)
  add("cancelled", facts.state(f) == "cancelled" and f.cancelled or nil)
  add("base model", f.plan and f.plan.base_model or f.run.base_model)
  add("model", f.result and f.result.model or job.model)
  add("loss", curve(facts.points(f, "train_loss")))
  add("  validation", curve((facts.validation(f, "loss"))))
  add("accuracy", curve(facts.points(f, "train_mean_token_accuracy")))
  add("  validation", curve((facts.validation(f, "mean_token_accuracy"))))
  local d = f.plan and f.plan.data or f.prepared
  add("examples", d and d.written and ("%s of %s rows"):format(amounts.number(d.written), amounts.number(d.rows)))
  add("tokens planned", c.billed_tokens and amounts.range(c.billed_tokens, amounts.number))
  add("tokens trained", used.trained_tokens and amounts.number(used.trained_tokens))
  add("cost planned", c.usd and amounts.range(c.usd, amounts.usd))
  local by = f.result and f.result.trained_by
  add("cost", used.usd and amounts.usd(used.usd) .. (by and ", paid by " .. by or ""))
  add("left out", left_out(d))
  add("findings", findings(f))
  measured(f, lines, add)
  for _, p in ipairs(f.promotions or {}) do
    add(p.action == "rollback" and "taken back" or "promoted", ("%s in %s, %s"):format(p.key, p.env_file,
      promote.when(p)))
  end
  return lines
end

return M
