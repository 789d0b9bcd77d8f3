-- The extraction task on the shipped sample: no database, no account needed (ftrun --local recipes/from-jsonl.lua).
local PROMPT = ft.text "prompts/legal-extraction.txt"
local LONGEST = 30000 -- characters of an act that the model sees

local function question(title, text)
  return ("Назва: %s\n\nТекст:\n%s"):format(title, text)
end

return ft.recipe {
  name = "from-jsonl",
  base_model = "gpt-4o-mini-2024-07-18",
  suffix = "legal-sample",

  dataset = ft.jsonl {
    path = "data/legal_acts.jsonl",
    key = "nreg",
    example = function(row)
      if not row.text then return ft.skip "no text" end
      if not row.extracted_elements then return ft.skip "not processed" end
      return ft.chat {
        system = PROMPT,
        user = question(row.title, ft.truncate(row.text, LONGEST)),
        assistant = row.extracted_elements, -- the JSON as it stands in the file
      }
    end,
  },

  split = { validation = 0.1, group_by = "nreg" },
  hyperparameters = { n_epochs = 3 },

  -- ftrun extract recipes/from-jsonl.lua law.txt
  extract = {
    prompt = function(row) return ft.prompt { system = PROMPT, user = question(row.title, row.text) } end,
    piece = { characters = LONGEST },
    merge = {
      elements = { "type", "number", "text" },
      relations = { "type", "target_nreg" },
      ["metadata.total_elements_found"] = "count elements",
    },
  },
}
