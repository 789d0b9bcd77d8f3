--- The learner of the local provider: trains linear classifiers on chat examples, measures them, answers with them.
--- Everything it reports is counted on the data: loss is the mean cross entropy of a decision, accuracy the share of
--- right ones.
local reply = require "ftrun.learn.reply"
local examples = require "ftrun.learn.examples"
local err = require "ftrun.err"
local gold = require "ftrun.learn.gold"
local learner = require "ft.learner"
local modelfile = require "ftrun.learn.modelfile"
local schema = require "ftrun.learn.schema"
local time = require "ft.time"

local M = {}

local BITS = 20          -- of the table of weights
local RATE = 0.2         -- AdaGrad's step at multiplier 1
local MIN_EXAMPLES = 10
local SLICE_S = 0.02     -- other tasks get their turn after so long

M.untrained = reply.untrained

-- Gives other tasks a turn now and then. Where nothing can wait it does nothing.
local function pauser()
  local since = time.monotonic()
  return function()
    if coroutine.isyieldable() and time.monotonic() - since > SLICE_S then
      time.sleep(0)
      since = time.monotonic()
    end
  end
end

-- --- random order: SplitMix64, the same on every machine ----------------------------------------------------------

local function shuffled(n, seed, epoch)
  local state = seed * 0x9E3779B97F4A7C15 + epoch * 0x632BE59BD9B4E019
  local function random()
    state = state + 0x9E3779B97F4A7C15
    local z = state
    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return (z ~ (z >> 31)) >> 1
  end
  local order = {}
  for i = 1, n do order[i] = i end
  for i = n, 2, -1 do
    local k = random() % i + 1
    order[i], order[k] = order[k], order[i]
  end
  return order
end

-- --- one example -----------------------------------------------------------------------------------------------------

local Tally = {}
Tally.__index = Tally

local function tally() return setmetatable({ loss = 0, right = 0, count = 0 }, Tally) end

function Tally:add(loss, right, count)
  self.loss, self.right, self.count = self.loss + loss, self.right + right, self.count + count
end

function Tally:means()
  local n = math.max(1, self.count)
  return self.loss / n, self.right / n
end

-- Runs the decisions of an example; with `learn` their gradients are collected.
local function run(model, example, learn, sum)
  local words <close> = learner.text(example.text)
  for _, op in ipairs(example.ops) do
    local kind, of = op.kind, op.of
    if kind == "tag" then
      sum:add(model:tag(words, op.track.head, op.track.shapes, op.at, learn))
    elseif kind == "stop" then
      sum:add(model:seek(words, op.head, op.first, op.first, op.first, op.first + of.length - 1, op.gold, learn))
    elseif kind == "near" then
      sum:add(model:seek(words, op.head, op.first, op.last, op.last + 1, op.last + of.reach, op.gold, learn))
    elseif kind == "span" then
      sum:add(model:span(words, op.head, op.classes, op.first, op.last, op.gold, learn))
    else
      sum:add(model:text(words, op.head, op.classes, example.counts, op.scale, op.gold, learn))
    end
  end
end

-- Adds ops and counts to the examples; returns how many words they have.
local function prepare(plan, list, grow, pause)
  local total = 0
  for _, example in ipairs(list) do
    local words <close> = learner.text(example.text)
    local built = gold.build(plan, example, words, grow)
    example.ops, example.counts = built.ops, built.counts
    local answer <close> = learner.text(example.answer)
    total = total + words:count() + answer:count()
    example.answer = nil
    pause()
  end
  return total
end

-- --- training --------------------------------------------------------------------------------------------------------

---@class ftrun.Trainer
---@field total_steps integer
---@field n_epochs integer
---@field examples integer
---@field tokens integer            words of the training examples, questions and answers, for one epoch
---@field hyperparameters { n_epochs: integer, batch_size: integer, learning_rate_multiplier: number }
local Trainer = {}
Trainer.__index = Trainer

local function auto(value, default)
  if value == nil or value == "auto" then return default end
  return math.tointeger(value) or value
end

--- Passes over the data that "auto" stands for.
---@param n integer  training examples
---@return integer
function M.auto_epochs(n)
  return math.max(3, math.min(8, 1500 // math.max(1, n)))
end

local function batch(order, from, size)
  local list = {}
  for i = from, math.min(from + size - 1, #order) do list[#list + 1] = order[i] end
  return list
end

function Trainer:measure(numbers)
  local sum = tally()
  for _, i in ipairs(numbers) do
    run(self.model, self.valid[i], false, sum)
    self.pause()
  end
  return sum:means()
end

--- One minibatch: its loss before the weights change, then the change. nil after the last step.
---@return table? metrics
function Trainer:step()
  if self.done >= self.total_steps then return nil end
  local epoch, within = self.done // self.per_epoch + 1, self.done % self.per_epoch
  if not self.order or within == 0 then self.order = shuffled(self.examples, self.seed, epoch) end
  local size = self.hyperparameters.batch_size
  local sum = tally()
  for _, i in ipairs(batch(self.order, within * size + 1, size)) do run(self.model, self.train[i], true, sum) end
  local decay = 1 - 0.9 * self.done / self.total_steps
  self.model:update(RATE * self.hyperparameters.learning_rate_multiplier * decay)
  local metrics = { step = self.done + 1, total_steps = self.total_steps, epoch = epoch,
    epoch_end = within + 1 == self.per_epoch }
  metrics.train_loss, metrics.train_mean_token_accuracy = sum:means()
  if #self.valid > 0 then
    local numbers = {}
    for i = 1, math.min(size, #self.valid) do numbers[i] = (self.done * size + i - 1) % #self.valid + 1 end
    metrics.valid_loss, metrics.valid_mean_token_accuracy = self:measure(numbers)
    if metrics.epoch_end then
      for i = 1, #self.valid do numbers[i] = i end
      metrics.full_valid_loss, metrics.full_valid_mean_token_accuracy = self:measure(numbers)
    end
  end
  self.done = self.done + 1
  return metrics
end

--- Writes the model, and what is needed to go on from here. Raises "system".
---@param path string
function Trainer:save(path)
  modelfile.write(path, { plan = self.plan, done = self.done, fingerprint = self.fingerprint }, self.model:dump())
end

--- Frees the weights. Idempotent.
function Trainer:close() self.model:close() end

---@class ftrun.TrainOptions
---@field train string                path of a JSONL file of chat examples
---@field validation string?
---@field seed integer?
---@field n_epochs integer|"auto"|nil
---@field batch_size integer|"auto"|nil
---@field learning_rate_multiplier number|"auto"|nil

--- Reads the examples and finds out what can be learnt from them. Raises "data" with code invalid_training_file,
--- invalid_n_examples or unlearnable.
---@param options ftrun.TrainOptions
---@return ftrun.Trainer
function M.start(options)
  local pause = pauser()
  local train = examples.read(options.train, pause)
  local valid = options.validation and examples.read(options.validation, pause) or {}
  if #train < MIN_EXAMPLES then
    err.raise("data", ("%d examples to learn from; at least %d are needed"):format(#train, MIN_EXAMPLES),
      { where = options.train, code = "invalid_n_examples" })
  end
  local plan = schema.infer(train, pause)
  local tokens = prepare(plan, train, true, pause)
  for _, track in ipairs(plan.tracks) do
    local shapes = {}
    for shape in pairs(track.shapes) do shapes[#shapes + 1] = shape end
    track.shapes = learner.shapes(shapes)
  end
  prepare(plan, valid, false, pause)
  for _, track in ipairs(plan.tracks) do track.contexts = nil end
  local n = #train
  local hyper = {
    n_epochs = auto(options.n_epochs, M.auto_epochs(n)),
    batch_size = math.min(n, auto(options.batch_size, math.max(1, math.min(16, n // 200)))),
    learning_rate_multiplier = auto(options.learning_rate_multiplier, 1.0),
  }
  local per_epoch = (n + hyper.batch_size - 1) // hyper.batch_size
  return setmetatable({
    train = train, valid = valid, plan = plan, model = learner.model(BITS), pause = pause, done = 0,
    seed = options.seed or 0, examples = n, tokens = tokens, hyperparameters = hyper, n_epochs = hyper.n_epochs,
    per_epoch = per_epoch, total_steps = per_epoch * hyper.n_epochs,
    fingerprint = ("%d %d %d %d %g %d"):format(n, tokens, hyper.n_epochs, hyper.batch_size,
      hyper.learning_rate_multiplier, options.seed or 0),
  }, Trainer)
end

local function load_model(path, weights, learns)
  local model, message, code = learner.load(weights, learns)
  if not model then err.raise("system", message, { where = path, code = code }) end
  return model
end

--- The trainer of start, as it was when it saved. The options and files must be the same.
---@param path string
---@param options ftrun.TrainOptions
---@return ftrun.Trainer
function M.resume(path, options)
  local state, weights = modelfile.read(path)
  local trainer = M.start(options)
  if state.fingerprint ~= trainer.fingerprint then
    err.raise("data", "the training files or settings changed since this state was saved",
      { where = path, code = "changed" })
  end
  trainer.model:close()
  trainer.model = load_model(path, weights, true)
  trainer.done = state.done
  return trainer
end

-- --- answering -------------------------------------------------------------------------------------------------------

---@class ftrun.LocalModel
local Model = {}
Model.__index = Model

--- Answers the last user message.
---@param messages { role: string, content: string? }[]
---@return string text
function Model:answer(messages)
  local text = ""
  for _, message in ipairs(messages) do
    if message.role == "user" then text = type(message.content) == "string" and message.content or "" end
  end
  return (reply.give(self.plan, self.model, text))
end

function Model:close() self.model:close() end

--- Opens a saved model to answer with. Raises "system", with code damaged when the file is not whole.
---@param path string
---@return ftrun.LocalModel
function M.open(path)
  local state, weights = modelfile.read(path)
  return setmetatable({ plan = state.plan, model = load_model(path, weights, false) }, Model)
end

return M
