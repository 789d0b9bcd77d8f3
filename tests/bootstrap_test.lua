--- Intervals of differences: deterministic, paired, and covering the truth as often as they claim.
local t = require "harness"
local bootstrap = require "ftrun.evaluate.bootstrap"
local score = require "ftrun.score"

--- A scorer whose vectors are { number } and whose value is their mean.
local function mean_scorer()
  local scorer = score.new(function(answer) return tonumber(answer) end, function(fn, ...) return fn(...) end, {})
  scorer.row("0", "0")
  return scorer
end

-- another generator than the tested one: the share of covered truths must not depend on that
local function uniform(seed)
  math.randomseed(seed)
  return math.random
end

t.test("the same seed gives the same interval, another seed nearly the same", function()
  local a, b, random = {}, {}, uniform(3)
  for i = 1, 60 do a[i], b[i] = { random() < 0.5 and 1 or 0 }, { random() < 0.7 and 1 or 0 } end
  local scorer = mean_scorer()
  local first = bootstrap.intervals(scorer, a, b, { seed = 42 })
  t.eq(bootstrap.intervals(scorer, a, b, { seed = 42 }), first)
  local other = bootstrap.intervals(scorer, a, b, { seed = 43 })
  t.ok(math.abs(other[1].low - first[1].low) < 0.04 and math.abs(other[1].high - first[1].high) < 0.04)
end)

t.test("an interval of 95 % holds the true difference in about 95 of 100 simulated experiments", function()
  local scorer, random, covered, runs = mean_scorer(), uniform(11), 0, 400
  for run = 1, runs do
    local a, b = {}, {}
    for i = 1, 40 do -- answers to one row resemble each other, as two models' do
      local difficulty = random()
      a[i] = { difficulty + random() < 0.9 and 1 or 0 }
      b[i] = { difficulty + random() < 1.2 and 1 or 0 }
    end
    -- P(U + V < x) = x^2 / 2 for x <= 1 and 1 - (2 - x)^2 / 2 above
    local truth = (1 - 0.8 ^ 2 / 2) - 0.9 ^ 2 / 2
    local interval = bootstrap.intervals(scorer, a, b, { seed = run, resamples = 300 })[1]
    if interval.low <= truth and truth <= interval.high then covered = covered + 1 end
  end
  -- 400 experiments at 95 % have a standard deviation of 1.1 %; percentile intervals of 40 rows are somewhat short
  t.ok(covered / runs > 0.91 and covered / runs < 0.98, "covered: " .. covered / runs)
end)

t.test("so does that of a difference of F1, whose rows are of many sizes", function()
  local scorer, random, covered, runs = score.new({ kind = "json_f1", paths = { "a[]" } }, nil, {}), uniform(17), 0, 400
  for run = 1, runs do
    local a, b = {}, {}
    for i = 1, 50 do
      local size, found_a, found_b, hits_a, hits_b = 1 + math.floor(random() * 5), 0, 0, 0, 0
      local hard = random() < 0.3 -- for both
      for _ = 1, size do
        if random() < (hard and 0.4 or 0.7) then hits_a, found_a = hits_a + 1, found_a + 1 end
        if random() < (hard and 0.5 or 0.8) then hits_b, found_b = hits_b + 1, found_b + 1 end
        if random() < 0.2 then found_a = found_a + 1 end -- found, and not there
        if random() < 0.1 then found_b = found_b + 1 end
      end
      a[i], b[i] = { hits_a, found_a, size, 0, 1 }, { hits_b, found_b, size, 0, 1 }
    end
    -- of each expected value: hits 0.3 x 0.4 + 0.7 x 0.7 = 0.61 and 0.3 x 0.5 + 0.7 x 0.8 = 0.71
    local truth = 2 * 0.71 / (0.71 + 0.1 + 1) - 2 * 0.61 / (0.61 + 0.2 + 1)
    local interval = bootstrap.intervals(scorer, a, b, { seed = run, resamples = 500 })[1]
    if interval.low <= truth and truth <= interval.high then covered = covered + 1 end
  end
  t.ok(covered / runs > 0.91 and covered / runs < 0.98, "covered: " .. covered / runs)
end)

t.test("two equal models are called better or worse in about 5 of 100 experiments, not more", function()
  local scorer, random, wrong, runs = mean_scorer(), uniform(5), 0, 300
  for run = 1, runs do
    local a, b = {}, {}
    for i = 1, 40 do a[i], b[i] = { random() }, { random() } end
    local interval = bootstrap.intervals(scorer, a, b, { seed = run, resamples = 300 })[1]
    if bootstrap.verdict(interval, 40) ~= "cannot tell" then wrong = wrong + 1 end
  end
  t.ok(wrong / runs < 0.09, "wrong: " .. wrong / runs)
end)

t.test("rows are drawn in pairs: what makes both models fail alike does not widen the interval", function()
  local a, b, random = {}, {}, uniform(9)
  for i = 1, 50 do
    local difficulty = 100 * random()
    a[i], b[i] = { difficulty }, { difficulty + 1 }
  end
  local interval = bootstrap.intervals(mean_scorer(), a, b, { seed = 1 })[1]
  t.ok(math.abs(interval.low - 1) < 1e-9 and math.abs(interval.high - 1) < 1e-9)
end)

t.test("an F1 is computed anew in each draw, and one that mostly does not exist has no interval", function()
  local scorer = score.new({ kind = "json_f1", paths = { "a[]", "b[]" } }, nil, {})
  local base, tuned = {}, {}
  for i = 1, 30 do
    base[i] = scorer.row('{"a":["x"]}', '{"a":["y"],"b":[]}')
    tuned[i] = scorer.row(i <= 27 and '{"a":["y"]}' or "nonsense", '{"a":["y"],"b":[]}')
  end
  local list = bootstrap.intervals(scorer, base, tuned, { seed = 1 })
  t.ok(list[1].low > 0.85 and list[1].high <= 1, list[1].low)
  t.eq(list[3], false)
end)

t.test("the verdict is better, worse, or cannot tell with so many rows", function()
  local verdict, sentence = bootstrap.verdict, bootstrap.sentence
  t.eq(verdict({ low = 0.01, high = 0.2 }, 50), "better")
  t.eq(verdict({ low = -0.2, high = -0.01 }, 50), "worse")
  t.eq(verdict({ low = 0, high = 0.2 }, 50), "cannot tell")
  t.eq(verdict({ low = 0.5, high = 0.9 }, 9), "cannot tell")
  t.eq(verdict(nil, 50), "cannot tell")
  t.eq(sentence("cannot tell", 1), "cannot tell with 1 row, fewer than 10")
  t.eq(sentence("cannot tell", 10), "cannot tell with 10 rows")
  t.eq(sentence("better", 50), "better")
  t.eq(bootstrap.intervals(mean_scorer(), {}, {}, { seed = 1 }), { false })
end)
