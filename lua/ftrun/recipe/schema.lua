--- What may stand in a recipe: the one table that the checks, `--set`, and the reference are made from (see spec.lua).
local jsonschema = require "ftrun.score.jsonschema"
local merge = require "ftrun.extract.merge"
local values = require "ftrun.score.values"

local function value_path(text)
  local _, message = values.path(text)
  return message
end

local AUTO = { const = "auto" }
local function paths(name, doc, more)
  local field = { name, type = "list", what = 'paths like "elements[].number"', doc = doc, item = { type = "string",
    pattern = "^[%w_%.%[%]]+$", shape = 'like "elements[].number"', check = value_path } }
  for k, v in pairs(more or {}) do field[k] = v end
  return field
end

local function path(doc) return { "path", type = "string", check = value_path, doc = doc } end

local SCORE = {
  { tag = "json_f1", doc = "precision, recall and F1 of values in JSON answers", fields = {
    paths("paths", "which values count", { min = 1, required = true }),
    paths("sets", "of these, a value that comes again counts once"),
    paths("ordered", "of these, the order counts"),
    { "schema", type = "string", what = "JSON Schema as text", doc = "also count the answers that fit it",
      check = function(text)
        local _, message = jsonschema.read(text)
        return message
      end },
  } },
  { tag = "exact", doc = "the share of answers that equal the expected text", fields = {
    path "compare only this value of a JSON answer",
  } },
  { tag = "classification", doc = "accuracy, and precision and recall for each label", fields = {
    { "labels", type = "list", item = { type = "string" }, doc = "allowed answers; all that occur when left out" },
  } },
  { tag = "rouge_l", doc = "how many words the answer has in the order of the expected text (ROUGE-L)", fields = {
    path "compare only the text at this path of a JSON answer",
  } },
  { tag = "token_f1", doc = "how many words the answer shares with the expected text, in any order", fields = {
    path "compare only the text at this path of a JSON answer",
  } },
  { tag = "judge", doc = "another model grades each answer", fields = {
    { "model", type = "string", min = 1, max = 256, required = true, doc = "who grades, best with its date" },
    { "prompt", type = "string", min = 1, required = true, doc = "what makes an answer good" },
    { "labels", type = "map", item = { type = "number", min = 0, max = 1 },
      what = "a table such as { right = 1, partly = 0.5, wrong = 0 }",
      doc = "it chooses one of these, instead of a number from 0 to 1" },
  } },
  { type = "function", what = "function(answer, expected)" },
}

local function no_password(url)
  if url:find("://[^/@]*:[^/@]*@") or url:lower():find("password%s*=") then
    return 'holds a password; write url = ft.env "DATABASE_URL" and put the URL into the environment or .env'
  end
end

local function share_or_count(n)
  if n < 1 or math.tointeger(n) then return nil end
  return ("expected a share below 1 or a number of rows, got %.14g"):format(n)
end

local URL = { "url", type = "string", env = "reference", check = no_password, aliases = { "dsn", "conninfo" },
  what = 'ft.env "DATABASE_URL" (or a URL without a password)', doc = "where the database is" }
local PARAMS = { "params", type = "list", doc = "values of $1, $2, ... in the query",
  item = { any = { { type = "string" }, { type = "number" }, { type = "boolean" } } } }
local KEY = { type = "string", min = 1, doc = "column whose value names a row in messages" }
local EXAMPLE = { type = "function", what = "function(row)",
  doc = "makes an example of a row: ft.chat { ... }, or ft.skip \"reason\" or nil to leave it out" }

local function with(name, descriptor, more)
  local result = {}
  for k, v in pairs(descriptor) do result[k] = v end
  result[1] = name
  for k, v in pairs(more or {}) do result[k] = v end
  return result
end

local DATASET = {
  { tag = "postgres", doc = "rows of a query; values are text as PostgreSQL writes them, NULL is nil", fields = {
    with("url", URL, { required = true }),
    { "query", type = "string", min = 1, required = true, aliases = { "sql" },
      doc = "one SELECT; with ORDER BY, so that the data and its hash are the same each time" },
    with("params", PARAMS),
    with("key", KEY, { required = true }),
    with("example", EXAMPLE, { required = true }),
  } },
  { tag = "jsonl", doc = "rows of a JSONL file (or .gz); nested values are their own JSON text, null is nil", fields = {
    { "path", type = "string", min = 1, aliases = { "file" }, doc = "path from the recipe's folder" },
    { "paths", type = "list", min = 1, item = { type = "string", min = 1 }, aliases = { "files" },
      doc = "several files, read one after another" },
    with("key", KEY),
    with("example", EXAMPLE, { doc = EXAMPLE.doc .. "; without it each line is an example already" }),
  } },
  { tag = "files", doc = "ready-made training files", fields = {
    { "train", type = "string", min = 1, required = true, aliases = { "training_file" },
      doc = "path of a JSONL file from the recipe's folder, or the id of an uploaded file (file-...)" },
    { "validation", type = "string", min = 1, aliases = { "validation_file" }, doc = "the same for validation" },
  } },
}

local function bar(name)
  return { name, type = "table", doc = "bar for " .. name, fields = {
    { "at_least", type = "number", doc = "lowest value of the tuned model" },
    { "at_most", type = "number", doc = "highest value of the tuned model" },
    { "gain", type = "number", doc = "how much better than the compared model it must be" },
  } }
end

local function text(name, doc, more)
  local result = { name, type = "string", min = 1, required = true, doc = doc }
  for k, v in pairs(more or {}) do result[k] = v end
  return result
end

local GRADED = "what is graded, as a template: {{sample.output_text}} is the answer"
local REFERENCE = "what it is compared with: {{item.answer}} is the field `answer` of the row"
local NAME = { "name", type = "string", min = 1, default = "grader", doc = "names it in the provider's events" }
local ENOUGH = { any = { AUTO, { type = "integer", min = 1 } } }

-- A grader of several is not here: OpenAI's document, its example and its guide disagree about its form.
local GRADER = {
  { tag = "string_check", doc = "1 for an answer that matches the reference, else 0", fields = {
    NAME, text("input", GRADED), text("reference", REFERENCE),
    text("operation", "how they are compared", { enum = { "eq", "ne", "like", "ilike" } }),
  } },
  { tag = "text_similarity", doc = "how near the answer comes to the reference", fields = {
    NAME, text("input", GRADED), text("reference", REFERENCE),
    text("evaluation_metric", "how nearness is measured", { enum = { "cosine", "fuzzy_match", "bleu", "gleu", "meteor",
      "rouge_1", "rouge_2", "rouge_3", "rouge_4", "rouge_5", "rouge_l" } }),
  } },
  { tag = "python", doc = "a Python function grade(sample, item), which runs at the provider", fields = {
    NAME, text("source", 'its source: ft.text "grader.py"'),
    { "image_tag", type = "string", min = 1, doc = "the environment it runs in" },
  } },
  { tag = "score_model", doc = "a model that scores the answer", fields = {
    NAME, text("model", "which model scores"),
    { "input", type = "list", min = 1, required = true, doc = "what it is asked, as templates", item = {
      type = "table", fields = {
        text("role", "who says it", { enum = { "user", "assistant", "system", "developer" } }),
        text("content", "the text, a template"),
      } } },
    { "range", type = "list", min = 2, max = 2, item = { type = "number" }, doc = "lowest and highest score" },
    { "sampling_params", type = "table", doc = "how it answers", fields = {
      { "temperature", type = "number", min = 0, max = 2, doc = "0: always the likeliest word" },
      { "top_p", type = "number", above = 0, max = 1, doc = "share of likely words that is drawn from" },
      { "seed", type = "integer", doc = "of the drawing" },
      { "max_completions_tokens", type = "integer", min = 1, doc = "most tokens of its answer" },
      { "reasoning_effort", type = "string", enum = { "none", "minimal", "low", "medium", "high", "xhigh" },
        doc = "how much it thinks" },
    } },
  } },
}

local function usd(name, doc)
  return { name, type = "number", min = 0, doc = "US dollars per million tokens " .. doc }
end

local function setting(name, doc)
  return { name, type = "string", min = 1, env = "setting", doc = doc }
end

local SCALAR = { any = { { type = "string" }, { type = "number" }, { type = "boolean" } },
  what = "a string, a number, true or false" }

local EXTRACT = {
  { "prompt", type = "function", what = "function(row, piece)", required = true,
    doc = "what is asked about a row, whose text is one piece of it: ft.prompt { ... }, or ft.skip" },
  { "text", type = "string", min = 1, default = "text", doc = "column that is cut into pieces" },
  { "key", type = "string", min = 1, doc = "column that names a row in the results; default: the dataset's key" },
  { "answer", type = "string", enum = { "json", "text" }, default = "json", doc = "what the model answers with" },
  { "piece", type = "table", always = true, aliases = { "size", "chunk" },
    doc = "how long a piece may be; 6000 tokens when nothing is said", fields = {
      { "tokens", type = "integer", min = 100, doc = "as the base model counts them" },
      { "characters", type = "integer", min = 100, doc = "instead of tokens" },
    } },
  { "merge", type = "map", item = { what = "a list of keys, or a rule", any = {
      { type = "list", min = 1, item = { type = "string", min = 1 } }, { type = "string", check = merge.check } } },
    what = 'a table such as { elements = { "number" }, ["metadata.total"] = "count elements" }',
    doc = "how answers to the pieces of a text become one" },
  { "from", type = "table", aliases = { "source", "dataset" }, doc = "rows of the database to ask about", fields = {
    with("url", URL, { doc = "where the database is; default: the dataset's" }),
    { "query", type = "string", min = 1, required = true, aliases = { "sql" }, doc = "one SELECT" },
    with("params", PARAMS),
  } },
  { "write", type = "table", doc = "where `--write` puts the results", fields = {
    with("url", URL, { doc = "where the database is; default: that of `from`, or of the dataset" }),
    { "table", type = "string", min = 1, required = true, doc = "the table's name, or schema.table" },
    { "key", type = "string", min = 1, doc = "its column of keys; default: named like the key" },
    { "column", type = "string", min = 1, required = true,
      doc = "its column for results: json, jsonb or text; where it is not NULL it stays, without --overwrite" },
    { "set", type = "map", item = SCALAR, what = "a table such as { is_processed = true }",
      doc = "further columns that are set with it" },
    { "insert", type = "boolean", default = false, aliases = { "upsert" },
      doc = "also add rows whose key the table does not have" },
  } },
}

return {
  tag = "recipe",
  fields = {
    { "name", type = "string", required = true, min = 1, max = 64, pattern = "^%w[%w._-]*$",
      shape = "of letters, digits, '.', '_' and '-'", doc = "names the experiment and its runs" },
    { "base_model", type = "string", required = true, min = 1, max = 256, aliases = { "model", "base" },
      doc = "the model to tune, best with its date: gpt-4o-mini-2024-07-18" },
    { "suffix", type = "string", min = 1, max = 64, pattern = "^[%w_-]+$", shape = "of letters, digits, '_' and '-'",
      doc = "becomes part of the tuned model's name" },
    { "seed", type = "integer", min = 0, max = 2 ^ 31 - 1 | 0, default = 42, aliases = { "random_seed" },
      doc = "of the split and the training; the same seed gives the same run" },
    { "method", enum = { "supervised", "dpo", "reinforcement" }, type = "string", default = "supervised",
      doc = "how the model learns: from answers, from pairs of a better and a worse one, or from a grader" },
    { "dataset", any = DATASET, required = true, aliases = { "data", "source" }, doc = "where the examples come from" },
    { "split", type = "table", doc = "which rows validate; without time_by by hash of seed and group", fields = {
      { "validation", type = "number", above = 0, required = true, check = share_or_count, aliases = { "test_size" },
        what = "a share below 1 or a number of rows", doc = "how much is kept for validation" },
      { "group_by", type = "string", min = 1,
        doc = "column (of ready-made lines: a path) whose equal values never stand on both sides" },
      { "stratify_by", type = "string", min = 1, aliases = { "stratify" },
        doc = "column whose values have the same share on both sides" },
      { "time_by", type = "string", min = 1, doc = "column of a date or number: the newest rows validate" },
    } },
    { "hyperparameters", type = "table", always = true, aliases = { "params" }, doc = "of the training", fields = {
      { "n_epochs", any = { AUTO, { type = "integer", min = 1, max = 50 } }, default = "auto",
        aliases = { "epochs", "num_epochs", "num_train_epochs" }, doc = "passes over the training rows" },
      { "batch_size", any = { AUTO, { type = "integer", min = 1, max = 256 } }, default = "auto",
        doc = "rows in one step" },
      { "learning_rate_multiplier", any = { AUTO, { type = "number", above = 0 } }, default = "auto",
        aliases = { "learning_rate", "lr" }, doc = "scales the provider's own learning rate" },
      { "beta", any = { AUTO, { type = "number", above = 0, max = 2 } },
        doc = "dpo: how closely the model stays to what it was" },
      { "reasoning_effort", type = "string", enum = { "default", "low", "medium", "high" },
        doc = "reinforcement: how much the model thinks" },
      { "compute_multiplier", any = { AUTO, { type = "number", above = 0.00001, max = 10 } },
        doc = "reinforcement: how much is tried out" },
      { "eval_interval", any = ENOUGH.any, doc = "reinforcement: steps between two evaluations" },
      { "eval_samples", any = ENOUGH.any, doc = "reinforcement: answers of each evaluation" },
    } },
    { "grader", any = GRADER, doc = "what reinforcement rewards" },
    { "checkpoint", type = "table", doc = "which checkpoint is the tuned model; the last one when left out", fields = {
      { "metric", type = "string", min = 1, pattern = "^[%w_]+$", required = true, what = "a name like full_valid_loss",
        doc = "the number that decides" },
      { "best", type = "string", enum = { "lowest", "highest" },
        doc = "default: lowest of a loss, highest of anything else" },
    } },
    { "budget", type = "table", doc = "limits of what a run may cost", fields = {
      { "max_usd", type = "number", above = 0, required = true, aliases = { "usd" }, doc = "US dollars for training" },
    } },
    { "prices", type = "table", aliases = { "price" }, doc = "replaces prices that ftrun knows, or does not know",
      fields = {
        usd("training", "trained"),
        usd("input", "read by the tuned model"),
        usd("cached", "read from its cache"),
        usd("output", "written by it"),
        { "batch", type = "table", doc = "the same through the batch API", fields = {
          usd("input", "read"), usd("cached", "read from the cache"), usd("output", "written"),
        } },
        { "date", type = "string", min = 1, max = 40, doc = "when these prices were looked up: 2026-11-22" },
        { "source", type = "string", min = 1, max = 200, doc = "where they were found" },
      } },
    { "wandb", type = "table", doc = "logging to Weights & Biases", fields = {
      setting("project", "the project's name"),
      setting("entity", "the team or user it belongs to"),
      setting("group", "groups runs"),
      setting("run_name", "name of the run there; the run's own id when left out"),
      setting("notes", "a longer description"),
      { "tags", type = "list", item = { type = "string", min = 1 }, doc = "labels of the run" },
      { "openai_integration", type = "boolean", default = false,
        doc = "the provider logs the job there too; your W&B key lies in its account settings" },
      { "log_datasets", type = "boolean", default = false, doc = "also log texts of examples (never by itself)" },
      { "on_stop", type = "string", enum = { "detach", "cancel" }, default = "detach",
        doc = "what W&B's Stop button does: leave the job to the provider, or cancel it" },
    } },
    { "on", type = "table", aliases = { "hooks" }, doc = "hooks; they answer with ft.cancel, ft.pause, ft.notify",
      fields = {
        { "metrics", type = "function", what = "function(m, history)", doc = "after each step that reports numbers" },
        { "checkpoint", type = "function", what = "function(c)", doc = "when a checkpoint is there" },
        { "event", type = "function", what = "function(e)", doc = "for each message of the provider" },
        { "finished", type = "function", what = "function(result)", doc = "at the end, however it ended" },
      } },
    { "evaluate", type = "table", aliases = { "eval" }, doc = "how the tuned model is measured", fields = {
      { "on", type = "string", enum = { "validation" }, default = "validation", doc = "which rows are asked" },
      { "compare_with", type = "string", min = 1, default = "base", what = '"base" or a model',
        doc = "the model to beat" },
      { "score", any = SCORE, required = true, doc = "how an answer is scored" },
      { "limit", type = "integer", min = 1, doc = "at most so many rows" },
      { "batch", type = "boolean", default = false, doc = "ask through the batch API: half the price, within a day" },
    } },
    { "gate", type = "table", fields = {
      bar "f1", bar "precision", bar "recall", bar "macro_f1", bar "macro_precision", bar "macro_recall",
      bar "accuracy", bar "exact", bar "valid_json", bar "valid_schema", bar "rouge_l", bar "token_f1", bar "judge",
      bar "score",
    }, doc = "what must be reached before the model is promoted: at_least, at_most, gain of a score" },
    { "promote", type = "table", doc = "where the new model's id goes when the gate is passed", fields = {
      { "env_file", type = "string", min = 1, default = ".env", doc = "file of settings" },
      { "key", type = "string", required = true, pattern = "^[%a_][%w_]*$", what = "a name like OPENAI_MODEL",
        doc = "the setting that holds the model's id" },
    } },
    { "extract", type = "table", doc = "how the model is used on new texts: ftrun extract", fields = EXTRACT },
  },
}
