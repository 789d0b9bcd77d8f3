--- New recipes, each with rows to try it with: what `ftrun init` writes.
local json = require "ftrun.json"

local M = {}

--- Messages of customers and the desk that answers them: few rows, but real ones.
local ROWS = {
  { "billing", "I was charged twice for the same month." },
  { "billing", "Please send me an invoice with our VAT number on it." },
  { "billing", "My card has expired, how do I add a new one?" },
  { "billing", "When will the refund be on my account?" },
  { "billing", "The amount on the invoice is not the one we agreed on." },
  { "billing", "Can we pay the invoice by bank transfer?" },
  { "billing", "Why was my card charged before the month has ended?" },
  { "billing", "I would like to pay once a year, not every month." },
  { "billing", "The discount is missing on our last invoice." },
  { "billing", "You have charged me although I cancelled in May." },
  { "delivery", "The parcel has not arrived yet." },
  { "delivery", "The tracking number shows nothing." },
  { "delivery", "Please change the delivery address to our new office." },
  { "delivery", "The courier left the parcel with a neighbour." },
  { "delivery", "One of the three boxes of the delivery is missing." },
  { "delivery", "The parcel arrived open and one item was broken." },
  { "delivery", "How long does the delivery to Odesa take?" },
  { "delivery", "Nobody was at home, when will the courier come again?" },
  { "delivery", "I need the parcel before Friday, is that possible?" },
  { "delivery", "The tracking says delivered, but there is no parcel." },
  { "technical", "The app closes as soon as I open it." },
  { "technical", "I cannot log in, the password is not accepted." },
  { "technical", "The page shows error 500 when I save." },
  { "technical", "Since the update the app no longer sends messages." },
  { "technical", "The link to reset my password does not work." },
  { "technical", "The export to a file stops with an error." },
  { "technical", "How do I log in on a second phone?" },
  { "technical", "The search on the page finds nothing any more." },
  { "technical", "The app is very slow since the last update." },
  { "technical", "I get an error when I upload a picture." },
}

local SYSTEM = "Name the desk for this message: billing, delivery or technical."

local function rows_as(make)
  local lines = {}
  for i, row in ipairs(ROWS) do lines[i] = json.encode(make(tostring(i), row[2], row[1])) end
  return table.concat(lines, "\n") .. "\n"
end

local function plain_rows()
  return rows_as(function(id, message, desk) return { id = id, message = message, desk = desk } end)
end

local function chat_rows()
  return rows_as(function(_, message, desk)
    return { messages = json.array { { role = "system", content = SYSTEM }, { role = "user", content = message },
      { role = "assistant", content = desk } } }
  end)
end

-- What all recipes have in common: $1 is the comment, $2 the dataset.
local RECIPE = [==[
$1
return ft.recipe {
  name = "$NAME",
  base_model = "gpt-4o-mini-2024-07-18", -- the model to tune
  seed = 42,                             -- the same seed, the same split

$2

  -- Rows that no training sees. group_by = "column" keeps rows that belong
  -- together on one side.
  split = { validation = 0.2 },
  hyperparameters = { n_epochs = 3 },
  budget = { max_usd = 5 },              -- more is never spent on the training

  -- on = { metrics = function(m, history) ... return ft.cancel "reason" end },

  -- Is it better than the base model? Here answers are labels; for answers in
  -- JSON there is ft.json_f1 { "items[].number" }.
  evaluate = { score = ft.classification() },
  -- Else exit code 13, and no model is promoted:
  -- gate = { accuracy = { at_least = 0.8, gain = 0.05 } },
  -- Writes the model's id into .env when the gate is passed:
  -- promote = { key = "OPENAI_MODEL" },
}
]==]

local EXAMPLE = [==[
    example = function(row)              -- values are texts; NULL is nil
      if not row.desk then return ft.skip "no desk" end
      return ft.chat { system = PROMPT, user = row.message,
        assistant = row.desk }
    end,
  },]==]

local PROMPT = ('local PROMPT = "%s"\n'):format(SYSTEM)

M.kinds = {}

M.kinds.jsonl = {
  comment = [==[
-- Rows of $NAME.jsonl. Try it now, without account or network:
--   ftrun --local $FILE
-- Then put your own rows into $NAME.jsonl; what would be sent, and its cost:
--   ftrun plan $FILE]==],
  prompt = PROMPT,
  dataset = [==[
  dataset = ft.jsonl {
    path = "$NAME.jsonl",                -- beside the recipe; .gz is read too
    key = "id",                          -- names a row in messages
]==] .. EXAMPLE,
  files = { { ".jsonl", plain_rows } },
}

M.kinds.postgres = {
  comment = [==[
-- Rows of a query. $NAME.sample.jsonl has rows as it returns them, for tries
-- without a database:
--   ftrun test $FILE
-- Put DATABASE_URL into .env and change the query; what would be sent, and its
-- cost:
--   ftrun plan $FILE]==],
  prompt = PROMPT,
  dataset = [==[
  dataset = ft.postgres {
    url = ft.env "DATABASE_URL",         -- its value never enters the recipe
    -- ORDER BY: the same rows give the same hashes
    query = [[SELECT id, message, desk FROM messages ORDER BY id]],
    key = "id",                          -- names a row in messages
]==] .. EXAMPLE,
  files = { { ".sample.jsonl", plain_rows } },
}

M.kinds.files = {
  comment = [==[
-- A training file that is there already, one example in OpenAI's chat format a
-- line. Try it now:
--   ftrun --local $FILE
-- What is wrong with such a file:
--   ftrun validate --deep $NAME.train.jsonl]==],
  prompt = "",
  dataset = [==[
  dataset = ft.files {
    train = "$NAME.train.jsonl",         -- or an uploaded file's id: file-...
    -- validation = "$NAME.validation.jsonl", -- in place of split
  },]==],
  files = { { ".train.jsonl", chat_rows } },
}

--- Settings without values, to be copied to .env.
M.ENV = [==[
# Copy this file to .env, which git should ignore, and fill in what you need.
# The environment goes first. ftrun doctor checks each of them.

# Fine-tuning at OpenAI; without it there is --local.
OPENAI_API_KEY=

# ft.postgres: postgresql://user:password@host:5432/database; in the password
# write % as %25, @ as %40, / as %2F, : as %3A, # as %23 and a space as %20.
DATABASE_URL=

# Logging to Weights & Biases: online with a key, else as runs on disk.
# WANDB_ENTITY is a team; WANDB_ENABLED=false switches it off, true logs chats
# too; WANDB_MODE=offline keeps runs here, WANDB_BASE_URL is your own server.
WANDB_API_KEY=
WANDB_PROJECT=
#WANDB_ENTITY=
#WANDB_ENABLED=true
#WANDB_MODE=online
#WANDB_BASE_URL=https://api.wandb.ai

# The model in use; recipes with promote = { key = "OPENAI_MODEL" } write it.
OPENAI_MODEL=
]==]

--- The files of a new recipe.
---@param kind "jsonl"|"postgres"|"files"
---@param name string  of the recipe
---@param folder string  "" or with a slash at its end
---@return { path: string, bytes: string }[]  the recipe first
function M.files(kind, name, folder)
  local k = M.kinds[kind]
  local text = RECIPE:gsub("%$1\n", function() return k.comment .. "\n" .. k.prompt .. "\n" end)
    :gsub("%$2", function() return k.dataset end)
    :gsub("%$(%u+)", { NAME = name, FILE = folder .. name .. ".lua" })
  local list = { { path = folder .. name .. ".lua", bytes = text } }
  for _, f in ipairs(k.files) do list[#list + 1] = { path = folder .. name .. f[1], bytes = f[2]() } end
  return list
end

return M
