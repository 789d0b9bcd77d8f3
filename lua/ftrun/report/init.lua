--- A run as one HTML file that needs nothing else: no script, no network, no font. Made from the run's folder alone,
--- the same bytes for the same files.
local amounts = require "ftrun.text.amounts"
local compare = require "ftrun.report.compare"
local curves = require "ftrun.report.curves"
local err = require "ftrun.err"
local examples = require "ftrun.report.examples"
local facts = require "ftrun.report.facts"
local fs = require "ft.fs"
local html = require "ftrun.report.html"
local json = require "ftrun.json"
local scores = require "ftrun.report.scores"
local sections = require "ftrun.report.sections"
local style = require "ftrun.report.style"
local time = require "ft.time"
local version = require "ft.version"

local M = {}

local h = html.h

local MARK = { succeeded = { "✓ ", "good" }, failed = { "✗ ", "bad" }, cancelled = { "✗ ", "bad" } }

-- Seconds, or ISO 8601 as run.json has it.
local function moment(at)
  if type(at) == "number" then at = time.iso8601(at) end
  if type(at) ~= "string" then return nil end
  return h.time { datetime = at, (at:gsub("T", " "):gsub("Z$", " UTC")) }
end

-- What the local learner was to the run.
local function learner(f, base)
  return h.p { class = "notice mild", facts.ended_badly(f)
    and "Asked of ftrun's local learner, a small model of its own; no model came of it. It is not "
    or "Trained by ftrun's local learner, a small model of its own. It is not ", base or "the base model", "." }
end

local function headline(f)
  local state, name, run, job = facts.state(f), facts.name(f), f.run, f.job or {}
  local mark = MARK[state] or { "", false }
  local model = f.result and f.result.model or job.model or run.model
  local base = f.plan and f.plan.base_model or run.base_model or job.base_model
  local provider = f.plan and f.plan.provider or run.provider
  local wrong = f.result and f.result.error or job.error
  local shutdown = f.plan and f.plan.shutdown
  return h.header { h.h1(name),
    #f.examples > 0 and h.p { class = "notice mild",
      ("This page holds texts of %s of the data, and what models answered. "):format(amounts.count(#f.examples, "row")),
      "Without them: ", h.code("ftrun report " .. (f.run.id or "RUN") .. " --no-texts") },
    h.p { class = "lead", h.span { class = mark[2], mark[1] .. state },
      base and { provider == "local" and " · in place of " or " · tuned from ", base } },
    scores.sentence(f.evaluation) and h.p(scores.sentence(f.evaluation)),
    type(wrong) == "table" and h.p { class = "notice", wrong.message or wrong.code or "the job has failed" },
    f.cancelled and state == "cancelled" and h.p { class = "notice", "The recipe cancelled it: ", f.cancelled },
    provider == "local" and learner(f, base),
    sections.list({ { "Model", model and h.span { class = "hash", model } or facts.ended_badly(f) and "none" },
      { "Base model", base },
      { "Provider", provider and { provider, f.plan and f.plan.endpoint and { " at ", f.plan.endpoint } } },
      { "Run", run.id and h.span { class = "hash", run.id } },
      { "Job", (job.id or run.job) and h.span { class = "hash", job.id or run.job } },
      { "Started", moment(run.created) }, { "Job created", moment(job.created_at) },
      { "Job finished", moment(job.finished_at) },
      { "Shut down on", shutdown and shutdown.date } }, "facts") }
end

-- The lock file's bytes are one long line: people get one key a line, in the same order.
local function lock(f)
  if not f.lock then return nil end
  local value = json.decode(f.lock)
  local text = f.lock
  if type(value) == "table" then
    local keys, lines = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys)
    for i, key in ipairs(keys) do lines[i] = ("  %s: %s"):format(json.encode(key), json.encode(value[key])) end
    text = "{\n" .. table.concat(lines, ",\n") .. "\n}"
  end
  return h.section { h.h2 "Lock file", h.p { class = "soft", "What a colleague needs to repeat this run." },
    h.details { class = "paper", h.summary "lock.json", h.pre(text) } }
end

local NEWEST = 12 -- messages of a job that failed that nobody has to unfold

local function events(f)
  if #f.events == 0 then return nil end
  local items = {}
  for i, e in ipairs(f.events) do
    local level = e.level ~= "info" and e.level
    items[i] = h.li { moment(e.created_at) or h.span "", h.span { level and h.b(level .. ": "), e.message or "" } }
  end
  local older = f.older > 0 and h.p { class = "soft", ("%d older ones are in events.jsonl."):format(f.older) }
  local function list(first, last) return h.ol { class = "events", { table.unpack(items, first, last) } } end
  if not facts.ended_badly(f) then
    return h.section { class = "screen", h.h2 "Events",
      h.details { h.summary(("%d messages of the provider"):format(#items)), older, list(1, #items) } }
  end
  local first = math.max(1, #items - NEWEST + 1) -- they say why
  return h.section { h.h2 "Events", h.p { class = "soft", first > 1 and "The newest messages of the provider."
    or "The messages of the provider." }, list(first, #items),
    first > 1 and h.details { h.summary(("%d before them"):format(first - 1)), older, list(1, first - 1) } }
end

local PARTS = { scores.section, examples.section, curves.section, sections.money, sections.data, sections.settings,
  lock }

--- The page of one run.
---@param f ftrun.Report.Facts
---@return string
function M.html(f)
  local body = {}
  for i, part in ipairs(PARTS) do body[i] = part(f) or false end
  table.insert(body, facts.ended_badly(f) and 1 or #body + 1, events(f) or false)
  return M.page(facts.name(f) .. ": " .. facts.state(f), { headline(f), h.main(body) })
end

--- A whole page around its parts. The policy in it forbids the browser to load or run anything, whatever the parts
--- hold.
---@param title string
---@param body table
---@return string
function M.page(title, body)
  return "<!DOCTYPE html>\n" .. html.text(h.html { lang = "en",
    h.head { h.meta { charset = "utf-8" },
      h.meta { ["http-equiv"] = "Content-Security-Policy", content = "default-src 'none'; style-src 'unsafe-inline'" },
      h.meta { name = "viewport", content = "width=device-width, initial-scale=1" },
      h.meta { name = "color-scheme", content = "light dark" },
      h.meta { name = "robots", content = "noindex" },
      h.title(title), h.style { html.raw(style) } },
    h.body { body, h.footer { "Made by ftrun " .. version .. " from the run's own files." } } }) .. "\n"
end

--- Writes report.html in a run's folder. Raises err "system".
---@param dir string
---@param output string?  another place
---@param o { texts: boolean?, texts_of: string? }?  as for facts.read
---@return string path
function M.write(dir, output, o)
  local path = output or dir .. "/report.html"
  err.check("system", fs.write(path, M.html(facts.read(dir, o))))
  return path
end

--- Writes two runs in one page, into the folder of the first. Raises err "system".
---@param dirs string[]  two of them
---@param output string?  another place
---@return string path
function M.write_pair(dirs, output)
  local path = output or ("%s/with-%s.html"):format(dirs[1], dirs[2]:match "[^/]*$")
  err.check("system", fs.write(path, M.page(compare.parts(facts.read(dirs[1], { texts = false }),
    facts.read(dirs[2], { texts = false })))))
  return path
end

return M
