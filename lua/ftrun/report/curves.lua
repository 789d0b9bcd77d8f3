--- The training part of a report: curves of loss and accuracy, and the same as a table.
local chart = require "ftrun.report.chart"
local facts = require "ftrun.report.facts"
local h = require("ftrun.report.html").h

local M = {}

local TABLE_ROWS = 16
local LOG_FROM = 50 -- the largest loss is so many times the least: only powers of ten show both

local function number(v) return v and ("%.4f"):format(v) or "–" end

local function ends(name, points)
  if #points == 0 then return nil end
  return ("%s from %s to %s"):format(name, number(points[1][2]), number(points[#points][2]))
end

--- Whether losses need a scale of powers of ten. Means of many steps decide: a single lucky step does not.
---@param lists number[][][]
---@return boolean
function M.wants_log(lists)
  local low, high = math.huge, 0
  for _, points in ipairs(lists) do
    for _, p in ipairs(chart.thin(points, 180)) do low, high = math.min(low, p.y), math.max(high, p.y) end
  end
  return low > 0 and high / low > LOG_FROM
end

local function figure(f, id, title, what, options)
  local train = facts.points(f, "train_" .. what)
  local valid, full = facts.validation(f, what)
  options.id, options.title, options.x = id, title, "step"
  options.description = table.concat({ ends("Training", train) or "No training values", ends("validation", valid) },
    ", ") .. ". The values are in the table below."
  if what == "loss" then
    options.log = M.wants_log { train, valid }
    options.zero = not options.log
  end
  local svg = chart.lines({ { name = "train", class = "train", points = train },
    { name = "validation", class = "valid", points = valid, marks = full } }, options)
  if not svg then return nil end
  local note = (options.log and ", powers of ten" or "")
    .. (#train > 180 and "; the band spans single steps, the line is their mean" or "")
  return h.figure { h.figcaption { h.b(title), h.span(note) }, svg }
end

-- Ends of epochs, and single steps in between, evenly.
local function chosen(rows)
  local full, out = 0, {}
  for _, row in ipairs(rows) do if row.full_valid_loss then full = full + 1 end end
  local every = math.max(1, #rows // math.max(1, TABLE_ROWS - full))
  for i, row in ipairs(rows) do
    local even = i % every == 0 and full < TABLE_ROWS
    if row.full_valid_loss or i == 1 or i == #rows or even then out[#out + 1] = row end
  end
  return out, full > 0
end

local function values(f)
  local rows = {}
  local steps, full = chosen(f.metrics)
  local side = full and "full_valid_" or "valid_" -- of all validation rows, or of a few: never both in one column
  for i, row in ipairs(steps) do
    rows[i] = h.tr { h.th { scope = "row", class = "n", row.step }, h.td { class = "n", number(row.train_loss) },
      h.td { class = "n", number(row[side .. "loss"]) },
      h.td { class = "n", number(row.train_mean_token_accuracy) },
      h.td { class = "n", number(row[side .. "mean_token_accuracy"]) } }
  end
  local function head(text) return h.th { scope = "col", class = "n", text } end
  return h.details { class = "paper", h.summary(("Values of %d steps as a table"):format(#rows)),
    h.div { class = "scroll", tabindex = 0, role = "region", ["aria-label"] = "Values of steps",
      h.table { h.thead { h.tr { head "Step", head "Loss, train", head "Loss, validation", head "Accuracy, train",
        head "Accuracy, validation" } }, h.tbody(rows) } } }
end

local function checkpoints(f)
  local list, rows = f.result and f.result.checkpoints or {}, {}
  for i, c in ipairs(list) do
    local m = c.metrics or {}
    rows[i] = h.tr { h.th { scope = "row", class = "n", c.step }, h.td { class = "n", number(m.full_valid_loss) },
      h.td { class = "hash", c.model } }
  end
  return #rows > 0 and h.details { class = "paper", h.summary(("%d checkpoints"):format(#rows)),
    h.table { h.thead { h.tr { h.th { scope = "col", class = "n", "Step" },
      h.th { scope = "col", class = "n", "Loss, validation" }, h.th { scope = "col", "Model" } } }, h.tbody(rows) } }
end

---@param f ftrun.Report.Facts
function M.section(f)
  if #f.metrics == 0 then return nil end
  local last = f.metrics[#f.metrics]
  local total = math.tointeger(last.total_steps)
  return h.section { h.h2 "Training",
    total and last.step < total
      and h.p(("Step %d of %d was the last one that reported numbers."):format(last.step, total)),
    h.div { class = "pair", { figure(f, "loss", "Loss", "loss", {}) or false,
      figure(f, "accuracy", "Accuracy of tokens", "mean_token_accuracy", { most = 1 }) or false } },
    f.every > 1 and h.p { class = "soft", ("Drawn from every %dth step."):format(f.every) },
    values(f), checkpoints(f) }
end

return M
