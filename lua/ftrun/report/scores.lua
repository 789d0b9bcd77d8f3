--- The scores of a report: base against tuned on rows that no training saw, each difference with its interval.
local amounts = require "ftrun.text.amounts"
local confusion = require "ftrun.report.confusion"
local h = require("ftrun.report.html").h

local M = {}

local CLASS = { better = "good", worse = "bad" }

local function value(side) return type(side) == "table" and (side.value or side.f1) or nil end

local function number(v, sign)
  if type(v) ~= "number" then return "–" end
  return ((sign and "%+.3f" or "%.3f"):format(v):gsub("^%-", "\u{2212}"))
end

-- Precision and recall under the value that is made of them.
local function cell(side)
  local parts = type(side) == "table" and side.p and side.r
  return h.td { class = "n", number(value(side)), parts and { h.span { class = "under", "P " .. number(side.p) },
    h.span { class = "under", "R " .. number(side.r) } } }
end

local function row(s)
  local i = s.interval
  local verdict = tostring(s.verdict or "–")
  return h.tr { h.th { scope = "row", s.name or "–", s.path and h.span { class = "path", " " .. s.path } },
    cell(s.base), cell(s.tuned),
    h.td { class = "n", number(s.difference, true),
      i and h.span { class = "under interval", ("%s … %s"):format(number(i.low, true), number(i.high, true)) } },
    h.td { class = CLASS[verdict], verdict } }
end

local function seconds(s)
  if s < 0.1 then return ("%.0f ms"):format(s * 1000) end
  return ("%.2f s"):format(s)
end

local function model_row(name, m, tokens, wait, usd)
  if type(m) ~= "table" then return nil end
  local used = (tokens.prompt or 0) + (tokens.completion or 0)
  return h.tr { h.th { scope = "row", name, h.span { class = "under model", m.title or m.model } },
    h.td { class = "n", m.answered or "–" }, h.td { class = "n", m.errors or "–" },
    h.td { class = "n", used > 0 and amounts.number(used) or "–" },
    h.td { class = "n", wait.median and seconds(wait.median) or "–" },
    h.td { class = "n", usd and amounts.usd(usd) or "–" } }
end

-- One line a model: what it was asked, what that took.
local function models(e)
  local rows = {}
  for _, name in ipairs { "base", "tuned" } do
    rows[#rows + 1] = model_row(name, (e.models or {})[name], (e.tokens or {})[name] or {},
      (e.latency or {})[name] or {}, (e.cost or {})[name])
  end
  for _, m in ipairs(e.others or {}) do
    rows[#rows + 1] = model_row("further", m, m.tokens or {}, m.latency or {}, m.usd)
  end
  local j = type(e.judge) == "table" and e.judge
  if j then rows[#rows + 1] = model_row("judge", j, j.tokens or {}, j.latency or {}, j.usd) end
  local function head(text) return h.th { scope = "col", class = "n", text } end
  return #rows > 0 and h.div { class = "scroll", tabindex = 0, role = "region", ["aria-label"] = "Models asked",
    h.table { h.caption(h.span "The models that were asked; the median is of the time an answer took"),
      h.thead { h.tr { h.th { scope = "col", "Model" },
      head "Answers", head "Errors", head "Tokens", head "Median", head "Cost" } }, h.tbody(rows) } }
end

--- The main score in words; nil when there is none.
---@return string?
function M.sentence(e)
  local s = e and e.scores and e.scores[1]
  if not (s and value(s.base) and value(s.tuned)) then return nil end
  local rows = type(s.tuned) == "table" and s.tuned.n or e.compared or e.rows or 0
  local known = s.verdict == "better" or s.verdict == "worse"
  local name = (s.name or "score") .. (s.path and " " .. s.path or "")
  local base = e.models and e.models.base or {}
  return ("%s %s on %s against %s of %s: %s."):format(name, number(value(s.tuned)), amounts.count(rows, "held-out row"),
    number(value(s.base)), base.title or base.model or "the base model",
    known and s.verdict or "the difference may be chance")
end

-- What the recipe asked for before the model is put to use, bar by bar.
local function gate(g)
  local items = {}
  for i, bar in ipairs(type(g) == "table" and g.bars or {}) do
    items[i] = h.li { h.span { class = bar.passed and "good" or "bad", bar.passed and "✓ " or "✗ " }, bar.why }
  end
  local passed = g and g.passed
  return g and { h.h3 { "Gate: ", h.span { class = passed and "good" or "bad", passed and "passed" or "not passed" } },
    h.ul { class = "bars", items } } or nil
end

-- Scores of one model against another.
local function against(list, first, second, caption, label)
  local rows = {}
  for i, s in ipairs(list or {}) do rows[i] = row(s) end
  return #rows > 0 and h.div { class = "scroll", tabindex = 0, role = "region", ["aria-label"] = label,
    h.table { h.caption(h.span(caption)), h.thead { h.tr { h.th { scope = "col", "Score" },
      h.th { scope = "col", class = "n", first }, h.th { scope = "col", class = "n", second },
      h.th { scope = "col", class = "n", "Difference" }, h.th { scope = "col", "Verdict" } } }, h.tbody(rows) } }
end

local function others(e)
  local out = {}
  for i, m in ipairs(e.others or {}) do
    local s = (m.scores or {})[1]
    out[i] = { h.h3 { "A further model: ", h.span { class = "hash", m.title or m.model or "?" } },
      s and h.p(("%s %s against %s of base: %s."):format(s.name or "score", number(value(s.tuned)),
        number(value(s.base)), s.verdict or "–")),
      h.details { class = "paper", h.summary "All its scores", against(m.scores, "Base", "Further",
        ("In place of the tuned model, on %s."):format(amounts.count(m.rows or 0, "row")),
        "Scores of a further model") or h.p "It has no scores." } }
  end
  return #out > 0 and out or nil
end

local function judge(j)
  if type(j) ~= "table" then return nil end
  local bad = type(j.unreadable) == "table" and j.unreadable
  return { h.p { "Graded by ", h.span { class = "hash", j.model or "?" },
    ", one answer at a time beside the expected one",
    (j.errors or 0) > 0 and (", but %d answers, about which it could not be asked"):format(j.errors),
    bad and ("; %d of its answers held no grade"):format(bad.count or 0), "." },
    h.details { class = "paper", h.summary "What the judge is told", h.pre(j.prompt or "") } }
end

-- Each time the model was put to use, or taken back.
local function promotions(list)
  local rows = {}
  for i, p in ipairs(list or {}) do
    local undone = p.action == "rollback"
    local what = undone and "taken back" or p.forced and "put to use past the gate" or "put to use"
    local at = tostring(p.at or "–"):gsub("T", " "):gsub("Z$", " UTC")
    rows[i] = h.tr { h.th { scope = "row", what, h.span { class = "under", at, p.by and " by " .. p.by } },
      h.td { h.code((p.key or "?") .. "="), h.span { class = "hash", p.model or "(not set)" },
        h.span { class = "under", "in ", p.env_file or "?" },
        not undone and h.span { class = "under hash", "before: ", p.previous or "not set" },
        p.recipe_sha256 and h.span { class = "under hash", "recipe ", p.recipe_sha256 },
        p.lock_sha256 and h.span { class = "under hash", "lock file ", p.lock_sha256 } } }
  end
  return #rows > 0 and { h.h3 "Promotion", h.table { h.thead { h.tr { h.th { scope = "col", "What, when, who" },
    h.th { scope = "col", "Setting" } } }, h.tbody(rows) } } or nil
end

---@param f ftrun.Report.Facts
function M.section(f)
  local e = f.evaluation
  if not e then
    local rest = { gate(f.gate) or false, promotions(f.promotions) or false }
    return (rest[1] or rest[2]) and h.section { h.h2 "Scores", rest } or nil
  end
  local left = type(e.unscorable) == "table" and e.unscorable
  return h.section { h.h2 "Scores",
    e.problem and h.p { class = "notice", "Nothing was scored: ", e.problem },
    against(e.scores, "Base", "Tuned", ("%s that no training saw. Below each value precision and recall, below each "
      .. "difference its 95 %% interval."):format(amounts.count(e.compared or e.rows or 0, "row")), "Scores") or false,
    judge(e.judge) or false,
    left and h.p { class = "soft", ("%s left out, as from line %s: %s"):format(amounts.count(left.count or 0, "row"),
      tostring(left.row), tostring(left.why)) },
    models(e), confusion.part(e.confusion) or false, others(e) or false, gate(f.gate) or false,
    promotions(f.promotions) or false }
end

return M
