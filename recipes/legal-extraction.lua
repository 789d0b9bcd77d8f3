-- Extracts the elements of Ukrainian legal acts (articles, cited acts, categories) as JSON, learnt from processed acts.
local PROMPT = ft.text "prompts/legal-extraction.txt"
local LONGEST = 30000 -- characters of an act that the model sees

-- Three validation losses in a row above the best one: the model learns the training acts by heart.
local function overfits(history)
  local best, worse = math.huge, 0
  for _, m in ipairs(history) do
    local loss = m.full_valid_loss
    if loss and loss < best then
      best, worse = loss, 0
    elseif loss then
      worse = worse + 1
    end
  end
  return worse >= 3
end

local function question(title, text)
  return ("Назва: %s\n\nТекст:\n%s"):format(title, text)
end

return ft.recipe {
  name = "legal-extraction",
  base_model = "gpt-4o-mini-2024-07-18",
  suffix = "legal-extraction",
  seed = 42,

  dataset = ft.postgres {
    url = ft.env "DATABASE_URL",
    query = [[SELECT nreg, title, text, extracted_elements FROM legal_acts
              WHERE is_processed AND extracted_elements IS NOT NULL ORDER BY id]],
    key = "nreg",
    example = function(row)
      if not row.text then return ft.skip "no text" end
      return ft.chat {
        system = PROMPT,
        user = question(row.title, ft.truncate(row.text, LONGEST)),
        assistant = row.extracted_elements,
      }
    end,
  },

  split = { validation = 0.1, group_by = "nreg" },
  hyperparameters = { n_epochs = 3 },
  budget = { max_usd = 20 },
  wandb = { project = ft.env("WANDB_PROJECT", "legal-graph-system"), entity = ft.env "WANDB_ENTITY",
    tags = { "legal", "uk" } },

  on = {
    metrics = function(_, history)
      if overfits(history) then return ft.cancel "the validation loss has been rising for three epochs" end
    end,
    event = function(e)
      if e.level == "error" then return ft.notify(e.message) end
    end,
  },

  evaluate = { score = ft.json_f1 { "elements[].number", "relations[].target_nreg", "categories[]" } },
  gate = { f1 = { at_least = 0.80, gain = 0.05 } },
  promote = { key = "OPENAI_MODEL" },

  -- acts that nobody has processed; a long one is cut at its articles into pieces as long as the model has learnt
  extract = {
    prompt = function(row) return ft.prompt { system = PROMPT, user = question(row.title, row.text) } end,
    piece = { characters = LONGEST },
    merge = {
      elements = { "type", "number", "text" },
      relations = { "type", "target_nreg" },
      ["metadata.total_elements_found"] = "count elements",
    },
    from = { query = [[SELECT nreg, title, text FROM legal_acts
                       WHERE extracted_elements IS NULL AND text IS NOT NULL ORDER BY id]] },
    write = { table = "legal_acts", column = "extracted_elements", set = { is_processed = true } },
  },
}
