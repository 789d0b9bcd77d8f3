-- Classifies how complex a legal act is: one word as the answer. The label is taken out of the JSON by the database.
local PROMPT = [[
Оціни складність нормативно-правового акта України за його структурою та кількістю посилань на інші акти.
Відповідай одним словом: простий, середній або складний.]]

local function question(title, text)
  return ("Назва: %s\n\nТекст:\n%s"):format(title, text)
end

return ft.recipe {
  name = "complexity",
  base_model = "gpt-4o-mini-2024-07-18",
  suffix = "complexity",

  dataset = ft.postgres {
    url = ft.env "DATABASE_URL",
    query = [[SELECT nreg, title, text, extracted_elements->'metadata'->>'complexity' AS complexity
              FROM legal_acts WHERE is_processed AND text IS NOT NULL ORDER BY id]],
    key = "nreg",
    example = function(row)
      if not row.complexity then return ft.skip "no complexity" end
      return ft.chat {
        system = PROMPT,
        user = question(row.title, ft.truncate(row.text, 8000)),
        assistant = row.complexity,
      }
    end,
  },

  split = { validation = 0.2, group_by = "nreg" },
  hyperparameters = { n_epochs = 3 },
  budget = { max_usd = 8 },
  evaluate = { score = ft.classification { "простий", "середній", "складний" } },
  gate = { accuracy = { at_least = 0.85, gain = 0.05 } },
  promote = { key = "OPENAI_COMPLEXITY_MODEL" },
  extract = {
    answer = "text",
    prompt = function(row) return ft.prompt { system = PROMPT, user = question(row.title, row.text) } end,
    piece = { characters = 8000 },
  },
}
