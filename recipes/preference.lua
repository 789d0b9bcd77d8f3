-- Preference tuning: of two answers to each question the model learns to give the better one. Here both name the same
-- acts, and only one keeps to the form that was asked for. The files are there already, with validation rows of their
-- own (data/README.md says how they were made). The local provider does not learn preferences and refuses: `ftrun plan`
-- and `ftrun test` try this recipe without a key, the training is OpenAI's.
return ft.recipe {
  name = "preference",
  base_model = "gpt-4.1-mini-2025-04-14",
  suffix = "bare-json",
  method = "dpo",

  dataset = ft.files {
    train = "data/preference_train.jsonl",
    validation = "data/preference_validation.jsonl",
  },

  hyperparameters = { n_epochs = 2, beta = 0.1 }, -- a lower beta lets the model go further from what it was
  budget = { max_usd = 2 },

  on = {
    metrics = function(m)
      if m.train_loss and m.train_loss > 5 then return ft.cancel "the loss explodes" end
    end,
  },
}
