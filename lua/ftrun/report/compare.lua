--- Two runs in one page: what differs, what came of it, and their curves over each other.
local amounts = require "ftrun.text.amounts"
local chart = require "ftrun.report.chart"
local curves = require "ftrun.report.curves"
local facts = require "ftrun.report.facts"
local h = require("ftrun.report.html").h

local M = {}

local function number(v) return type(v) == "number" and ("%.4f"):format(v) or nil end

local function last(points) return #points > 0 and number(points[#points][2]) or nil end

-- What was asked for, by name, as text: the rows of the table of settings.
local function settings(f)
  local out = {}
  local p = f.plan or {}
  local asked, data = p.request or {}, p.data or f.prepared or {}
  local function set(name, value) if value ~= nil and type(value) ~= "table" then out[name] = tostring(value) end end
  set("provider", p.provider or f.run.provider)
  set("base model", p.base_model or f.run.base_model)
  set("recipe", p.recipe and p.recipe.path or f.run.recipe)
  set("SHA-256 of the recipe", p.recipe and p.recipe.sha256)
  set("source", data.source)
  set("SHA-256 of the data", data.sha256)
  for _, key in ipairs { "method", "seed", "suffix" } do set(key, asked[key]) end
  for _, side in ipairs { "train", "validation" } do
    local s = p[side] or f.prepared and f.prepared[side] or {}
    set(side .. " rows", s.rows)
    set("SHA-256 of " .. side, s.sha256 or s.file_id)
  end
  for name, value in pairs(asked.hyperparameters or {}) do set(name, value) end
  for name, value in pairs(f.job and f.job.hyperparameters or {}) do set(name .. ", used", value) end
  for _, o in ipairs(p.recipe and p.recipe.overrides or {}) do
    set("--set " .. tostring(o.path or o[1]), o.value or o[2])
  end
  return out
end

local function row(name, a, b)
  return h.tr { h.th { scope = "row", name }, h.td { class = "side", a or "–" }, h.td { class = "side", b or "–" } }
end

local function columns(first)
  return h.thead { h.tr { h.th { scope = "col", first }, h.th { scope = "col", class = "train", "A" },
    h.th { scope = "col", class = "valid", "B" } } }
end

local function differences(a, b)
  local left, right, names, differ, same = settings(a), settings(b), {}, {}, {}
  for name in pairs(left) do names[#names + 1] = name end
  for name in pairs(right) do if not left[name] then names[#names + 1] = name end end
  table.sort(names)
  for _, name in ipairs(names) do
    local list = left[name] == right[name] and same or differ
    list[#list + 1] = row(name, left[name], right[name])
  end
  return h.section { h.h2 "Settings that differ",
    #differ > 0 and h.table { columns "Setting", h.tbody(differ) } or h.p "None: both runs were asked for the same.",
    #same > 0 and h.details { class = "paper", h.summary(amounts.count(#same, "setting") .. " alike"),
      h.table { columns "Setting", h.tbody(same) } } }
end

local function outcome(a, b)
  local rows = {}
  local function add(name, of)
    local left, right = of(a), of(b)
    if left or right then rows[#rows + 1] = row(name, left, right) end
  end
  local function used(f) return f.result and f.result.usage or {} end
  add("State", facts.state)
  add("Why", facts.why)
  add("Model", function(f) return f.result and f.result.model or f.job and f.job.model end)
  add("Loss, train", function(f) return last(facts.points(f, "train_loss")) end)
  add("Loss, validation", function(f) return last((facts.validation(f, "loss"))) end)
  add("Accuracy, train", function(f) return last(facts.points(f, "train_mean_token_accuracy")) end)
  add("Accuracy, validation", function(f) return last((facts.validation(f, "mean_token_accuracy"))) end)
  add("Tokens trained", function(f) return used(f).trained_tokens and amounts.number(used(f).trained_tokens) end)
  add("Cost", function(f) return used(f).usd and amounts.usd(used(f).usd) end)
  return h.section { h.h2 "What came of it", h.table { columns "At the end", h.tbody(rows) } }
end

-- The tuned models' scores by name, in the order of A and then of B.
local function scores(a, b)
  local by, order = {}, {}
  for i, f in ipairs { a, b } do
    for _, s in ipairs(f.evaluation and f.evaluation.scores or {}) do
      local name = (s.name or "score") .. (s.path and " " .. s.path or "")
      if not by[name] then
        by[name] = {}
        order[#order + 1] = name
      end
      local v = type(s.tuned) == "table" and s.tuned.value
      by[name][i] = type(v) == "number" and ("%.3f"):format(v)
    end
  end
  if #order == 0 then return nil end
  local rows = {}
  for i, name in ipairs(order) do rows[i] = row(name, by[name][1], by[name][2]) end
  local function asked(f)
    return f.evaluation and "was asked " .. amounts.count(f.evaluation.compared or f.evaluation.rows or 0, "row")
      or "was not measured"
  end
  return h.section { h.h2 "Scores of the tuned models", h.p { class = "soft",
    ("A %s, B %s. Without the same rows the numbers cannot be compared: the hashes below tell."):format(asked(a),
      asked(b)) },
    h.table { columns "Score", h.tbody(rows) } }
end

local FIGURES = {
  { "train-loss", "Loss, train", function(f) return facts.points(f, "train_loss") end, "loss" },
  { "valid-loss", "Loss, validation", function(f) return facts.validation(f, "loss") end, "loss" },
  { "train-accuracy", "Accuracy, train", function(f) return facts.points(f, "train_mean_token_accuracy") end },
  { "valid-accuracy", "Accuracy, validation", function(f) return facts.validation(f, "mean_token_accuracy") end },
}

local function overlay(a, b)
  local list = {}
  for _, figure in ipairs(FIGURES) do
    local id, title, of, loss = table.unpack(figure)
    local left, full_left = of(a)
    local right, full_right = of(b)
    local log = loss and curves.wants_log { left, right }
    local svg = chart.lines({ { name = "A", class = "train", points = left, marks = full_left },
      { name = "B", class = "valid", points = right, marks = full_right } }, { id = id, title = title, x = "step",
      points = 60, log = log, zero = loss and not log, most = not loss and 1 or nil,
      description = ("A ends at %s, B at %s."):format(last(left) or "no value", last(right) or "no value") })
    if svg then list[#list + 1] = h.figure { h.figcaption { h.b(title), log and ", powers of ten" }, svg } end
  end
  return #list > 0 and h.section { h.h2 "Training", h.div { class = "pair", list } } or nil
end

--- Title and parts of the page.
---@param a ftrun.Report.Facts
---@param b ftrun.Report.Facts
---@return string title
---@return table body
function M.parts(a, b)
  local function who(f) return f.run.id or facts.name(f) end
  return who(a) .. " and " .. who(b), { h.header { h.h1 "Two runs", h.dl { class = "facts",
    h.dt { class = "train", h.b "A" }, h.dd { facts.name(a), h.span { class = "under hash", who(a) } },
    h.dt { class = "valid", h.b "B" }, h.dd { facts.name(b), h.span { class = "under hash", who(b) } } } },
    h.main { outcome(a, b), overlay(a, b), scores(a, b), differences(a, b) } }
end

return M
