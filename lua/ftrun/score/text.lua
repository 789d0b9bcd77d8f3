--- The table of scores for a person, in at most 80 columns.
local amounts = require "ftrun.text.amounts"
local bootstrap = require "ftrun.evaluate.bootstrap"
local confusion = require "ftrun.report.confusion"

local M = {}

local NAME = 27 -- columns of a score's name

local function padded(text, width)
  local n = utf8.len(text) or #text
  if n > width then
    -- the end of a path tells more than its beginning
    return "…" .. text:sub(utf8.offset(text, -(width - 1)))
  end
  return text .. (" "):rep(width - n)
end

local function number(v) return v and ("%6.3f"):format(v.value) or "     -" end

local function interval(s)
  if not s.difference then return "-" end
  if not s.interval then return ("%+.3f"):format(s.difference) end
  return ("%+.3f [%+.3f, %+.3f]"):format(s.difference, s.interval.low, s.interval.high)
end

--- "f1 elements[].number", as far as it is needed to tell scores apart.
local function title(s, before)
  if not s.path then return s.name end
  return before == s.name and "  " .. s.path or s.name .. " " .. s.path
end

-- Cost and latency of two models below their scores.
local function costs(rows)
  local lines = {}
  local function add(name, form, of)
    local cells, any = {}, false
    for i, side in ipairs(rows) do
      local v = of(side)
      any = any or v ~= nil
      cells[i] = v and form:format(v) or "     -"
    end
    if any then lines[#lines + 1] = padded(name, NAME) .. table.concat(cells, " ") end
  end
  add("median seconds an answer", "%6.3f", function(s) return s.latency and s.latency.median end)
  add("USD for 1,000 answers", "%6.2f", function(s) return s.model.usd_per_1000 end)
  return lines
end

--- A table of one comparison, or of one model alone.
---@param scores ftrun.evaluate.Score[]
---@param rows integer   compared
---@param names string[]  headings of the models
---@param sides { model: ftrun.evaluate.Side, latency: table? }[]
---@return string[]
function M.table(scores, rows, names, sides)
  local two = names[2] ~= nil
  local lines = { ("%s%6s%s"):format(padded(("score on %s"):format(amounts.count(rows, "row")), NAME),
    names[1]:sub(1, 6), two and (" %6s  %s"):format(names[2]:sub(1, 6), "difference [95 %]") or "") }
  for i, s in ipairs(scores) do
    lines[#lines + 1] = padded(title(s, i > 1 and scores[i - 1].name), NAME) .. number(s.base)
      .. (two and (" %s  %s %s"):format(number(s.tuned), padded(interval(s), 23), s.verdict) or "")
  end
  for _, line in ipairs(costs(sides)) do lines[#lines + 1] = line end
  return lines
end

local function tokens_of(e)
  local n = 0
  for _, t in pairs(e.tokens) do n = n + t.prompt + t.completion end
  return n
end

-- What asking took, and what is not known of it.
local function sum(e)
  local earlier, batch = 0, 0
  for _, side in pairs(e.models) do earlier, batch = earlier + side.earlier, batch + side.batch end
  local unknown = {}
  for _, name in ipairs { "base", "tuned" } do
    local side = e.models[name]
    if side and side.answered > 0 and not e.cost[name] then unknown[#unknown + 1] = side.model end
  end
  local text = ("asking took %s tokens"):format(amounts.number(tokens_of(e)))
  if e.cost.usd == 0 then
    text = text .. ", free"
  elseif e.cost.usd then
    text = text .. ", " .. amounts.usd(e.cost.usd)
  end
  local lines = { text }
  if batch > 0 then lines[#lines + 1] = amounts.count(batch, "answer") .. " came through the batch API" end
  if earlier > 0 then
    lines[#lines + 1] = amounts.count(earlier, "answer") .. " of earlier evaluations: nothing was paid for them now"
  end
  local judge = e.judge
  if judge then
    lines[#lines + 1] = ("judging by %s took %s tokens besides%s"):format(judge.model,
      amounts.number(judge.tokens.prompt + judge.tokens.completion),
      judge.usd and ", " .. amounts.usd(judge.usd) or "")
    if judge.answered > 0 and not judge.usd then unknown[#unknown + 1] = judge.model end
  end
  for _, model in ipairs(unknown) do lines[#lines + 1] = "no price is known of " .. model end
  return lines
end

--- Everything of an evaluation but its notes.
---@param e ftrun.Evaluation
---@return string[]
function M.lines(e)
  local lines, first = {}, e.data and "A" or "base"
  local sides = { { model = e.models.base, latency = e.latency.base },
    e.models.tuned and { model = e.models.tuned, latency = e.latency.tuned } or nil }
  if e.data then
    lines[1] = "A " .. e.models.base.title
    if e.models.tuned then lines[2] = "B " .. e.models.tuned.title end
  end
  if #e.scores > 0 then
    local names = { first, e.models.tuned and (e.data and "B" or "tuned") or nil }
    for _, line in ipairs(M.table(e.scores, e.compared, names, sides)) do lines[#lines + 1] = line end
    local s = e.scores[1]
    if e.models.tuned then
      lines[#lines + 1] = ("%s against %s: %s (%s)"):format(e.data and "B" or "the tuned model",
        e.data and "A" or e.models.base.title, bootstrap.sentence(s.verdict, e.compared), s.name)
    end
  end
  for _, line in ipairs(confusion.lines(e.confusion)) do lines[#lines + 1] = line end
  for _, other in ipairs(e.others) do
    lines[#lines + 1] = ("%s in place of %s:"):format(other.model, e.data and "B" or "the tuned model")
    for _, line in ipairs(M.table(other.scores, other.rows, { first, "other" },
      { sides[1], { model = other, latency = other.latency } })) do
      lines[#lines + 1] = line
    end
  end
  for _, line in ipairs(sum(e)) do lines[#lines + 1] = line end
  return lines
end

return M
