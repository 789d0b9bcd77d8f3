--- Uses a model on new texts with the recipe's own prompt: long ones are cut, the pieces are asked side by side, and
--- their answers merged into one result a row. Results come in the order of the rows.
local cut = require "ftrun.extract.cut"
local err = require "ftrun.err"
local keep = require "ftrun.extract.answers"
local json = require "ftrun.json"
local merge = require "ftrun.extract.merge"
local question = require "ftrun.extract.question"
local task = require "ft.task"

local M = {}

local TOKENS = 6000    -- of a piece, when the recipe says nothing
local ROWS = 128       -- that are worked on at the same time, or twice as many as may be asked at once
local PIECES = 16      -- of one row
local GIVE_UP = 20     -- rows that the provider failed in a row

---@class ftrun.extract.Result
---@field key string
---@field result string?          JSON, or the text of an answer
---@field error ftrun.Error?      then `result` is that of the pieces without fault, if there are such
---@field failed_pieces integer[]?
---@field skipped string?         why nothing was asked
---@field pieces integer?
---@field requests integer        that were answered, also earlier
---@field earlier integer         of these, answered at an earlier start
---@field usage table             prompt_tokens, completion_tokens
---@field spent table             the same, of the answers of this start
---@field seconds number          of waiting for answers, one after another
---@field prompt_tokens integer?  dry: of the first questions

-- ---- one question ----

local function count(r, answer)
  r.requests, r.seconds = r.requests + 1, r.seconds + (answer.seconds or 0)
  if not answer.fresh then r.earlier = r.earlier + 1 end
  for _, name in ipairs { "prompt_tokens", "completion_tokens" } do
    local n = answer.usage and answer.usage[name] or 0
    r.usage[name] = r.usage[name] + n
    if answer.fresh then r.spent[name] = r.spent[name] + n end
  end
end

-- What every further question would meet ends the command: it can be started again.
local function fatal(self, e)
  return not err.is(e) or self.asker.fatal ~= nil or e.kind ~= "provider" and e.kind ~= "network" and e.kind ~= "data"
    or e.status == 403 or e.status == 404
end

local function say(self, r, messages)
  local o = self.options
  local key = keep.key { model = o.model, messages = messages, settings = o.settings }
  local answer = o.answers:find(key)
  if answer then
    count(r, answer)
    return answer
  end
  local ok, got = pcall(self.asker.chat, self.asker, { model = o.model, messages = messages,
    temperature = o.settings.temperature, seed = o.settings.seed })
  if not ok then
    if fatal(self, got) then error(got, 0) end
    o.calls.call { model = o.model, error = got.message }
    return nil, got
  end
  answer = { key = key, model = o.model, text = got.text, refusal = got.refusal, finish_reason = got.finish_reason,
    usage = got.usage, seconds = got.seconds }
  o.answers:keep(answer)
  o.calls.call { model = o.model, seconds = got.seconds, usage = got.usage }
  answer.fresh = true
  count(r, answer)
  return answer
end

-- ---- one row ----

local function messages_of(recipe, made)
  local at = recipe:where("extract", "prompt")
  local messages = type(made) == "table" and made.messages
  if type(messages) ~= "table" or #messages == 0 then
    err.raise("recipe", "extract.prompt must return ft.prompt { ... }, ft.skip or nil", { where = at })
  end
  local ok, message = pcall(json.encode, messages)
  if not ok then err.raise("recipe", "extract.prompt: " .. tostring(message), { where = at }) end
  return messages
end

local function prompt_of(self, row, piece, number, total)
  local recipe, copy = self.options.recipe, {}
  for k, v in pairs(row) do copy[k] = v end
  copy[recipe.extract.text] = piece.text
  local made = recipe:call(recipe.extract.prompt, copy, { number = number, count = total, article = piece.article })
  if made == nil then return nil, "skipped by the recipe" end
  if type(made) == "table" and made["@kind"] == "skip" then return nil, made.reason end
  return messages_of(recipe, made)
end

-- The answers to each piece, or why there is none; several pieces at once. `first`: the messages about the first.
local function ask_pieces(self, r, row, pieces, first)
  local answers, faults, next_one, workers, failed = {}, {}, 1, {}, nil
  local _ <close> = setmetatable({}, { __close = function()
    for _, worker in ipairs(workers) do worker:cancel() end
  end })
  local function one(i)
    answers[i], faults[i] = question.ask({
      format = self.options.recipe.extract.answer, measure = self.options.measure,
      say = function(messages) return say(self, r, messages) end,
      prompt = function(piece)
        if piece == pieces[1] then return first end
        local messages, reason = prompt_of(self, row, piece, i, #pieces)
        if not messages then err.raise("data", reason, { code = "skipped" }) end
        return messages
      end,
    }, pieces[i])
  end
  local function work()
    while next_one <= #pieces and not failed do
      local i = next_one
      next_one = next_one + 1
      local ok, e = pcall(one, i)
      if not ok and err.is(e) and e.code == "skipped" then
        answers[i] = {}
      elseif not ok then
        failed = failed or e
      end
    end
  end
  if #pieces == 1 then
    work()
  else
    for k = 1, math.min(PIECES, #pieces) do workers[k] = task.spawn(work) end
    for _, worker in ipairs(workers) do worker:join() end
  end
  if failed then error(failed, 0) end
  return answers, faults
end

local function new_result(key)
  return { key = key, requests = 0, earlier = 0, seconds = 0.0, usage = { prompt_tokens = 0, completion_tokens = 0 },
    spent = { prompt_tokens = 0, completion_tokens = 0 } }
end

local function extract(self, row, key)
  local o, r = self.options, new_result(key)
  local e = o.recipe.extract
  local text = row[e.text]
  if not text or not text:find "%S" then
    r.skipped = "no " .. e.text
    return r
  end
  local pieces = cut.pieces(text, { limit = o.limit, measure = o.measure })
  r.pieces = #pieces
  local first, reason = prompt_of(self, row, pieces[1], 1, #pieces)
  if not first then
    r.skipped = reason
    return r
  end
  if not self.asker then
    r.prompt_tokens = 0
    for i, piece in ipairs(pieces) do
      local messages = prompt_of(self, row, piece, i, #pieces)
      if messages then
        local n = o.tokens(messages) or 0
        local known = o.answers:find(keep.key { model = o.model, messages = messages, settings = o.settings })
        r.prompt_tokens, r.earlier = r.prompt_tokens + n, r.earlier + (known and 1 or 0)
        if not known then r.spent.prompt_tokens = r.spent.prompt_tokens + n end
      end
    end
    return r
  end
  local answers, faults = ask_pieces(self, r, row, pieces, first)
  local good = {}
  for i = 1, #pieces do
    for _, answer in ipairs(answers[i] or {}) do good[#good + 1] = answer end
    if faults[i] then
      r.failed_pieces = r.failed_pieces or {}
      r.failed_pieces[#r.failed_pieces + 1] = i
      r.error = r.error or faults[i]
    end
  end
  if #good > 0 then r.result = e.answer == "text" and merge.texts(good) or merge.answers(good, e.merge) end
  if not r.result and not r.error then r.skipped = "skipped by the recipe" end
  return r
end

-- ---- all rows ----

---@class ftrun.extract.Options
---@field recipe ftrun.Recipe      with `extract`
---@field documents table          see extract/documents.lua
---@field model string
---@field settings table           what else decides an answer: temperature, seed
---@field asker ftrun.Asker?       nil: nothing is asked, and only counted
---@field answers ftrun.extract.Answers
---@field limit integer            of a piece, as `measure` counts
---@field measure fun(text: string): integer
---@field tokens fun(messages: table[]): integer?
---@field calls { call: fun(call: table) }
---@field rows integer?            at most
---@field at_once integer?         questions on their way
---@field on_result fun(r: ftrun.extract.Result)  in the order of the rows
---@field on_progress fun(done: integer, total: integer?)?

--- How long a piece of this recipe may be, and the way to count.
---@param recipe ftrun.Recipe
---@param counter ftrun.tokens.Counter
---@return integer limit
---@return fun(text: string): integer measure
function M.limit(recipe, counter)
  local piece = recipe.extract.piece
  if piece.characters then return piece.characters, utf8.len end
  return piece.tokens or TOKENS, function(text) return counter:text(text) end
end

--- Extracts. Waits; call it from a task. Raises what ends all questions; what was answered is kept.
---@param o ftrun.extract.Options
function M.run(o)
  local self = { options = o, asker = o.asker }
  local flying, first, last, done, failures, over = {}, 1, 0, 0, 0, false
  local most = math.max(ROWS, 2 * (o.at_once or 0))
  local _ <close> = setmetatable({}, { __close = function()
    for i = first, last do
      if flying[i] and flying[i].work then flying[i].work:cancel() end
    end
  end })
  local function start()
    local row, key, message, kind = nil, nil, nil, nil
    if not over and last < (o.rows or math.huge) then row, key, message, kind = o.documents.next() end
    if row == nil then
      over = true
      return
    end
    last = last + 1
    if row then
      -- an error is kept for the one that waits for this row: it may end before with that of another
      flying[last] = { work = task.spawn(pcall, extract, self, row, key) }
    else
      local r = new_result(key)
      if kind == "skipped" then r.skipped = message else r.error = err.new("data", message, { code = "row" }) end
      flying[last] = { result = r }
    end
  end
  while true do
    while not over and last - first + 1 < most do start() end
    local one = flying[first]
    if not one then break end
    local ok, r = true, one.result
    if one.work then ok, r = one.work:join() end
    if not ok then error(r, 0) end
    flying[first] = nil
    first = first + 1
    local e = r.error
    failures = e and (e.kind == "provider" or e.kind == "network") and failures + 1 or 0
    o.on_result(r)
    if failures >= GIVE_UP then
      err.raise(e.kind, ("%d rows failed one after another; the last: %s"):format(GIVE_UP, e.message),
        { code = e.code, status = e.status,
          advice = "Start the same command again later: it asks only what is missing." })
    end
    done = done + 1
    if o.on_progress then
      local total = over and last or o.documents.total(last)
      o.on_progress(done, total and math.min(total, o.rows or math.huge))
    end
  end
end

return M
