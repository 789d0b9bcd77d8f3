--- The parts of a report about money, data and settings: each from facts to markup, or nil when there is nothing to
--- say.
local amounts = require "ftrun.text.amounts"
local budget = require "ftrun.plan.budget"
local facts = require "ftrun.report.facts"
local h = require("ftrun.report.html").h

local M = {}

--- Rows of name and value; those without a value are left out.
---@param rows { [1]: string, [2]: any }[]
---@param class string?
function M.list(rows, class)
  local out = {}
  for _, row in ipairs(rows) do
    if row[2] then out[#out + 1] = { h.dt(row[1]), h.dd { row[2] } } end
  end
  return #out > 0 and h.dl { class = class, out } or nil
end

local function hash(text) return text and h.span { class = "hash", text } end

local function head(...)
  local cells = {}
  for i, text in ipairs { ... } do cells[i] = h.th { scope = "col", class = i > 1 and "n", text } end
  return h.thead { h.tr(cells) }
end

local function row(name, ...)
  local cells = {}
  for i, text in ipairs { ... } do cells[i] = h.td { class = "n", text } end
  return h.tr { h.th { scope = "row", name }, cells }
end

-- ---- money ----

---@param f ftrun.Report.Facts
function M.money(f)
  local c, used = f.plan and f.plan.cost, f.result and f.result.usage
  if not (c or used) then return nil end
  c, used = c or {}, used or {}
  local rows = {}
  local n = f.job and f.job.hyperparameters and math.tointeger(f.job.hyperparameters.n_epochs)
  -- what a job was asked for is not what it did, when it ended before
  local done = facts.state(f) == "succeeded" and n and amounts.number(n)
  if c.epochs then rows[1] = row("Epochs", amounts.range(c.epochs, amounts.number), done or "–") end
  if c.billed_tokens or used.trained_tokens then
    rows[#rows + 1] = row("Tokens trained", c.billed_tokens and amounts.range(c.billed_tokens, amounts.number) or "–",
      used.trained_tokens and amounts.number(used.trained_tokens) or "–")
  end
  if c.usd or used.usd then
    rows[#rows + 1] = row("Cost", c.usd and amounts.range(c.usd, amounts.usd) or "–",
      used.usd and amounts.usd(used.usd) or "–")
  end
  local price = used.price or c.price
  return h.section { h.h2 "Tokens and cost",
    h.table { class = "half", head("", "Planned", "Trained"), h.tbody(rows) },
    used.difference and h.p(("The provider counted %+.1f %% against our count for the epochs that were trained.")
      :format(used.difference * 100)),
    c.free and h.p { class = "soft", "The local provider takes no money, and counts words of its own." }
      or price and h.p { class = "soft", ("At %s per million tokens trained: %s."):format(
        amounts.usd(price.usd_per_million), budget.origin(price)) },
    facts.ended_badly(f) and not used.trained_tokens and not c.free and h.p { class = "soft",
      "The provider has not said what it trained until it ended; that much may be billed." },
    f.result and f.result.trained_by and h.p { class = "soft",
      "Another run trained this, and paid for it: " .. tostring(f.result.trained_by) },
    f.plan and f.plan.budget and h.p { class = "soft", "The recipe's budget: " .. amounts.usd(f.plan.budget.max_usd) } }
end

-- ---- data ----

local function split(f)
  local rows, hashes = {}, {}
  for _, side in ipairs { "train", "validation" } do
    local s = f.plan and f.plan[side] or f.prepared and f.prepared[side]
    if type(s) == "table" then
      local t = s.tokens or {}
      local function n(v) return v and amounts.number(v) or "–" end
      rows[#rows + 1] = row(side, n(s.rows), n(t.total), n(t.median), n(t.p95), n(t.max))
      hashes[#hashes + 1] = { (s.sha256 and "SHA-256 of " or "File of ") .. side, hash(s.sha256 or s.file_id) }
    end
  end
  return #rows > 0 and { h.h3 "Split",
    h.div { class = "scroll", tabindex = 0, role = "region", ["aria-label"] = "Split",
      h.table { f.plan and f.plan.encoding and h.caption(h.span("Tokens in " .. f.plan.encoding
        .. ": of all examples, the median, what 95 % do not exceed, the longest")),
      head("Side", "Rows", "Tokens", "Median", "95 %", "Longest"), h.tbody(rows) } },
    M.list(hashes, "facts") }
end

local function distribution(f)
  local bins = f.plan and f.plan.train and f.plan.train.tokens and f.plan.train.tokens.histogram
  if not (bins and #bins > 1) then return nil end
  local most, rows = 1, {}
  for _, bin in ipairs(bins) do most = math.max(most, bin.count) end
  for i, bin in ipairs(bins) do
    rows[i] = h.tr { h.th { scope = "row", class = "n",
        amounts.number(bin.from) .. (bin.to > bin.from and "–" .. amounts.number(bin.to) or "") },
      h.td { class = "n", amounts.number(bin.count) },
      h.td { class = "bar", ["aria-hidden"] = "true",
        bin.count > 0 and h.span { style = ("width:%.1f%%"):format(bin.count / most * 100), "" } } }
  end
  return { h.h3 "Tokens an example, training side", h.table { class = "half",
    h.thead { h.tr { h.th { scope = "col", class = "n", "Tokens" }, h.th { scope = "col", class = "n", "Examples" },
      h.td { ["aria-hidden"] = "true", "" } } }, h.tbody(rows) } }
end

local function joined(first) return type(first) == "table" and table.concat(first, ", ") or "" end

local function skipped(list)
  if #list == 0 then return nil end
  local rows = {}
  for i, s in ipairs(list) do
    rows[i] = h.tr { h.th { scope = "row", s.reason }, h.td { class = "n", amounts.number(s.count) },
      h.td(joined(s.first)) }
  end
  return { h.h3 "Rows left out", h.table { h.thead { h.tr { h.th { scope = "col", "Why" },
    h.th { scope = "col", class = "n", "Rows" }, h.th { scope = "col", "First" } } }, h.tbody(rows) } }
end

local function findings(f)
  local list, rows = f.plan and f.plan.findings or {}, {}
  for i, g in ipairs(list) do
    rows[i] = h.tr { h.th { scope = "row", h.span { class = g.severity == "error" and "bad", g.severity },
      h.span { class = "under path", g.code } }, h.td { class = "n", amounts.number(g.count) },
      h.td { g.message, h.span { class = "under", joined(g.first) } } }
  end
  return #rows > 0 and { h.h3 "What the data doctor found", h.table { h.thead { h.tr {
    h.th { scope = "col", "Finding" }, h.th { scope = "col", class = "n", "Times" }, h.th { scope = "col", "What" } } },
    h.tbody(rows) } } or nil
end

---@param f ftrun.Report.Facts
function M.data(f)
  local d = f.plan and f.plan.data or f.prepared
  if not d then return nil end
  local warnings = {}
  for i, text in ipairs(f.plan and f.plan.warnings or {}) do warnings[i] = h.p { class = "notice mild", text } end
  return h.section { h.h2 "Data",
    M.list({ { "Source", d.source }, { "Rows read", d.rows and amounts.number(d.rows) },
      { "Examples", d.written and amounts.number(d.written) },
      { "Equal to an earlier one", d.duplicates and d.duplicates.count > 0 and amounts.number(d.duplicates.count) },
      { "SHA-256 of all", hash(d.sha256) } }, "facts"),
    warnings, split(f) or false, skipped(d.skipped or {}) or false, findings(f) or false,
    distribution(f) or false }
end

-- ---- settings ----

---@param f ftrun.Report.Facts
function M.settings(f)
  local asked = f.plan and f.plan.request or {}
  local got = f.job and f.job.hyperparameters or f.created and f.created.hyperparameters or {}
  local wanted, names, rows = asked.hyperparameters or {}, {}, {}
  for name in pairs(got) do names[name] = true end
  for name in pairs(wanted) do names[name] = true end
  local sorted = {}
  for name in pairs(names) do sorted[#sorted + 1] = name end
  table.sort(sorted)
  for i, name in ipairs(sorted) do
    local function text(v) return type(v) ~= "table" and v ~= nil and tostring(v) or "–" end
    -- what a job that never ran was to choose was not chosen
    rows[i] = row(h.code(name), text(wanted[name]), got[name] ~= "auto" and text(got[name]) or "–")
  end
  local changed = {}
  for i, o in ipairs(f.plan and f.plan.recipe and f.plan.recipe.overrides or {}) do
    changed[i] = h.dd(h.code(("%s=%s"):format(tostring(o.path or o[1]), tostring(o.value or o[2]))))
  end
  local list = M.list({ { "Method", asked.method }, { "Seed", asked.seed or f.job and f.job.seed },
    { "Suffix", asked.suffix }, { "Recipe", f.plan and f.plan.recipe and f.plan.recipe.path },
    { "SHA-256 of the recipe", hash(f.plan and f.plan.recipe and f.plan.recipe.sha256) },
    { "Training file", hash(f.job and f.job.training_file) },
    { "Validation file", hash(f.job and f.job.validation_file) } }, "facts")
  if #rows == 0 and not list then return nil end
  return h.section { h.h2 "Settings",
    #rows > 0 and h.table { class = "half", head("Hyperparameter", "Asked for", "Used"), h.tbody(rows) },
    #changed > 0 and h.dl { class = "facts", h.dt "Set on the command line", changed }, list or false }
end

return M
