--- Every command as data: parsing, help, completion, man page and README come from this table.
local function whole_number(option, least, most)
  return function(text)
    local n = math.tointeger(tonumber(text))
    if n and n >= least and n <= (most or n) then return n end
    return nil, ("option '%s': expected a whole number %s, got '%s'"):format(option,
      most and ("from %d to %d"):format(least, most) or "of at least " .. least, text)
  end
end

local function above_zero(option)
  return function(text)
    local n = tonumber(text)
    if n and n > 0 and n < math.huge then return n end
    return nil, ("option '%s': expected a number above 0, got '%s'"):format(option, text)
  end
end

local LOCAL = { "--local", "use the built-in local provider: no account, no network, no cost" }
local JSON = { "--json", "machine-readable output on stdout" }
local QUIET = { "--quiet -q", "errors and warnings only" }
local SET = { "--set", "override a setting, as hyperparameters.n_epochs=1 (may be repeated)",
  args = "<path=value>", many = true }
local YES = { "--yes -y", "do not ask before something is deleted or ended" }
local LIMIT = { "--limit", "take at most N rows", args = "<N>", convert = whole_number("--limit", 1) }
local FILES = { "file", "JSONL files, plain or gzip; - is standard input", many = true }
local RECIPE = { "recipe", "the recipe's file" }
local RUN = { "run", "a run, a job, or a recipe's name; default: the newest run", optional = true }
local RUN_WITH_JOB = { RUN[1], RUN[2] .. " that has a job", optional = true }

---@class ftrun.Command
---@field name string        also the module below ftrun.command
---@field module string?    its name there, where init.lua would mean something else
---@field does string
---@field args table[]?      { name, text, optional = boolean?, many = boolean?, choices = string[]? }
---@field options table[]    { flags, text, args = "<x>"?, default?, many?, required?, convert?, choices? }
---@field example string

---@type ftrun.Command[]
return {
  {
    name = "init", module = "new", does = "Make a new recipe here, with comments and a few rows, that works at once.",
    args = { { "name", "of the recipe, or its path; default: first", optional = true } },
    options = { { "--from", "where its rows come from: jsonl, postgres or files", args = "<kind>", default = "jsonl",
      choices = { "jsonl", "postgres", "files" } }, JSON, QUIET },
    example = "ftrun init support --from postgres",
  },
  {
    name = "run", does = "Run a recipe to the end; run again, it continues where it stopped.",
    args = { RECIPE },
    options = { LOCAL, { "--yes -y", "do not ask before the job is started" },
      { "--new", "begin a new run even if one can be continued" }, SET, LIMIT, JSON, QUIET },
    example = "ftrun run --local recipes/legal-extraction.lua",
  },
  {
    name = "plan", does = "Show rows, tokens, cost, dates and what is wrong. Sends nothing.",
    args = { RECIPE },
    options = { LOCAL, SET, LIMIT, JSON, QUIET },
    example = "ftrun plan recipes/legal-extraction.lua",
  },
  {
    name = "prepare", does = "Write a recipe's examples to a JSONL file.",
    args = { RECIPE },
    options = { { "--output -o", "where to write", args = "<file>", default = "training_data.jsonl" },
      { "--after", "begin behind the row with this key", args = "<key>" }, SET, LIMIT, JSON, QUIET },
    example = "ftrun prepare recipes/legal-extraction.lua --limit 100 -o training_data.jsonl",
  },
  {
    name = "tokens", does = "Count the tokens of JSONL rows, exactly as OpenAI's tokenizer does.",
    args = { FILES },
    options = {
      { "--model -m", "whose encoding to take; default: the newest, o200k_base", args = "<id>", default = "gpt-4o" },
      { "--encoding -e", "o200k_base or cl100k_base", args = "<name>" }, JSON, QUIET },
    example = "ftrun tokens --model gpt-4o-mini train.jsonl validation.jsonl",
  },
  {
    name = "validate", does = "Find everything that is wrong with JSONL training files.",
    args = { { "file", "JSONL, plain or gzip; - is standard input", optional = true, many = true } },
    options = {
      { "--method", "supervised, dpo, reinforcement or completions; default: what the rows look like",
        args = "<name>", choices = { "supervised", "dpo", "reinforcement", "completions" } },
      { "--model -m", "check the limits of this model too", args = "<name>" },
      { "--validation", "a validation file: fewer examples are enough" },
      { "--deep", "look at all rows together too: duplicates, leaks into the second of two files, contradictions, "
        .. "labels, double escapes, personal data, secrets" },
      { "--fix", "write a corrected copy, where a correction cannot change meaning; the findings are then the copy's",
        args = "<file>" },
      { "--codes", "list every code with what it means and how to mend it" }, JSON, QUIET },
    example = "ftrun validate --model gpt-4o-mini-2024-07-18 train.jsonl",
  },
  {
    name = "tune", does = "Run a fine-tuning job on ready JSONL files, without a recipe.",
    options = {
      { "--training-file -t", "a JSONL file, or the id of an uploaded one (file-...)", args = "<file>",
        required = true },
      { "--validation-file", "the same for validation", args = "<file>" },
      { "--base-model -m", "the model to tune", args = "<id>", default = "gpt-4o-mini-2024-07-18" },
      { "--suffix", "becomes part of the tuned model's name", args = "<text>" },
      { "--method", "supervised, dpo or reinforcement: what the rows are for", args = "<name>",
        choices = { "supervised", "dpo", "reinforcement" }, default = "supervised" },
      { "--beta", "dpo: how closely the model stays to what it was; default: the provider decides", args = "<x>",
        convert = above_zero "--beta" },
      { "--grader", "reinforcement: a JSON file with the grader, as in OpenAI's API", args = "<file>" },
      { "--upload", "send local files to the provider" },
      { "--monitor", "follow the job to its end; without it, the command ends when the job is created" },
      { "--n-epochs", "passes over the file; default: the provider decides", args = "<N>",
        convert = whole_number("--n-epochs", 1, 50) },
      { "--batch-size", "rows in one step; default: the provider decides", args = "<N>",
        convert = whole_number("--batch-size", 1, 256) },
      { "--learning-rate", "multiplier of the learning rate; default: the provider decides", args = "<x>",
        convert = above_zero "--learning-rate" },
      { "--yes -y", "do not ask before the job is started" },
      { "--new", "begin a new run even if one can be continued" }, LOCAL, JSON, QUIET },
    example = "ftrun tune --training-file train.jsonl --validation-file validation.jsonl --upload --monitor",
  },
  {
    name = "split", does = "Split JSONL rows into train.jsonl and validation.jsonl.",
    args = { FILES },
    options = {
      { "--validation", "a share below 1, or a number of rows", args = "<N>", default = "0.1" },
      { "--seed", "the same seed gives the same split on every machine", args = "<N>",
        convert = whole_number("--seed", 0, 2 ^ 31 - 1 | 0), default = "42" },
      { "--group-by", "rows with the same value stay on one side (a path such as metadata.law)", args = "<field>" },
      { "--stratify-by", "each value has the same share on both sides", args = "<field>" },
      { "--time-by", "the newest rows validate: a field of dates or numbers", args = "<field>" },
      { "--output-dir", "where to write; default: beside the first file", args = "<folder>" }, JSON, QUIET },
    example = "ftrun split rows.jsonl --validation 0.1 --group-by metadata.law --output-dir data",
  },
  {
    name = "list", does = "List the runs of this folder, or the provider's jobs.",
    options = { { "--jobs", "the provider's jobs instead of this folder's runs" },
      { "--names", "only the runs' ids, one a line" }, LOCAL, JSON, QUIET },
    example = "ftrun list",
  },
  {
    name = "status", does = "Show where a run or job is.",
    args = { RUN }, options = { LOCAL, JSON, QUIET },
    example = "ftrun status",
  },
  {
    name = "events", does = "Show the events of a run or job, oldest first.",
    args = { RUN_WITH_JOB }, options = { LOCAL, JSON, QUIET },
    example = "ftrun events legal-extraction",
  },
  {
    name = "checkpoints", does = "Show the models that a job has kept, with their numbers.",
    args = { RUN_WITH_JOB },
    options = { { "--by", "mark the best by this metric; default: the recipe's", args = "<metric>" },
      LOCAL, JSON, QUIET },
    example = "ftrun checkpoints legal-extraction --by full_valid_loss",
  },
  {
    name = "watch", does = "Follow a run or job to its end.",
    args = { RUN_WITH_JOB }, options = { LOCAL, JSON, QUIET },
    example = "ftrun watch ftjob-abc123",
  },
  {
    name = "cancel", does = "Cancel a run's job.",
    args = { RUN }, options = { LOCAL, JSON, QUIET },
    example = "ftrun cancel legal-extraction",
  },
  {
    name = "pause", does = "Pause a run's job; it keeps what it has learnt.",
    args = { RUN_WITH_JOB }, options = { LOCAL, JSON, QUIET },
    example = "ftrun pause legal-extraction",
  },
  {
    name = "resume", does = "Let a paused job go on.",
    args = { RUN_WITH_JOB }, options = { LOCAL, JSON, QUIET },
    example = "ftrun resume legal-extraction",
  },
  {
    name = "files", does = "List the provider's files, look at them, upload or delete them.",
    args = { { "action", "list (the default), get, upload or delete", optional = true,
      choices = { "list", "get", "upload", "delete" } },
      { "id", "of files; with upload: paths of files here", optional = true, many = true } },
    options = { { "--purpose", "list: only files for this; upload: what it is for; fine-tune, batch, ...",
        args = "<word>" },
      { "--output -o", "with get: write the file's content here", args = "<path>" }, YES, LOCAL, JSON, QUIET },
    example = "ftrun files upload train.jsonl",
  },
  {
    name = "models", does = "List tuned and tunable models with their days left, look at them, or delete them.",
    args = { { "action", "list (the default), get or delete", optional = true,
      choices = { "list", "get", "delete" } }, { "id", "of models", optional = true, many = true } },
    options = { { "--all", "all models of the provider" }, YES, LOCAL, JSON, QUIET },
    example = "ftrun models get gpt-4o-mini-2024-07-18",
  },
  {
    name = "batches", does = "List batches of requests, look at them, or cancel them.",
    args = { { "action", "list (the default), get or cancel", optional = true,
      choices = { "list", "get", "cancel" } }, { "id", "of batches", optional = true, many = true } },
    options = { YES, LOCAL, JSON, QUIET },
    example = "ftrun batches get batch_abc123",
  },
  {
    name = "permissions", does = "List, give or take back what other projects may use of a tuned model.",
    args = { { "action", "list, create or delete", choices = { "list", "create", "delete" } },
      { "model", "a tuned model, or a checkpoint of one" },
      { "id", "create: projects (proj_...); delete: permissions (cp_...)", optional = true, many = true } },
    options = { YES, LOCAL, JSON, QUIET },
    example = "ftrun permissions create ft:gpt-4o-mini-2024-07-18:org::abc123 proj_abc123",
  },
  {
    name = "eval", does = "Measure a run's model against its base model, or any models on any rows.",
    args = { { RUN[1], "a run, or a recipe's name; default: the newest run with a model", optional = true } },
    options = {
      { "--model -m", "measure this model too (may be repeated); with --data, the first is the one to beat",
        args = "<id>", many = true },
      { "--data", "rows of chat with the expected answer last (JSONL), instead of a run's validation rows",
        args = "<file>" },
      { "--score",
        "json_f1=path,path, exact, classification, rouge_l or token_f1; default: as the recipe says",
        args = "<score>" },
      { "--recipe", "with --data: the recipe whose score counts", args = "<file>" },
      { "--seed", "with --data: sent with each question", args = "<N>",
        convert = whole_number("--seed", 0, 2 ^ 31 - 1 | 0), default = "42" },
      { "--batch", "ask through the batch API: half the price, within a day; the same command goes on waiting" },
      { "--at-once", "at most so many requests on their way; default: 8, and more as the provider lets them through",
        args = "<N>", convert = whole_number("--at-once", 1, 256) },
      { "--limit", "ask only the first N rows; the run's evaluation stays as it was", args = "<N>",
        convert = whole_number("--limit", 1) }, LOCAL, JSON, QUIET },
    example = "ftrun eval legal-extraction --model gpt-4.1-mini",
  },
  {
    name = "promote", does = "Write a run's model into the recipe's .env file, if its gate is passed.",
    args = { { RUN[1], "a run, or a recipe's name; default: the newest run with a model", optional = true } },
    options = { { "--force", "also when the gate is not passed; the record says so" }, JSON, QUIET },
    example = "ftrun promote legal-extraction",
  },
  {
    name = "rollback", does = "Undo the newest promotion.",
    options = { JSON, QUIET },
    example = "ftrun rollback",
  },
  {
    name = "chat", does = "Ask a model a question.",
    args = { { "message", "the question; without it, standard input is read", optional = true } },
    options = { { "--model -m", "model id; default: that of the newest run with one", args = "<id>" },
      { "--system -s", "system prompt", args = "<text>" },
      { "--run", "use this run's model", args = "<run>" }, LOCAL, JSON, QUIET },
    example = 'ftrun chat --run legal-extraction "Стаття 5. ..."',
  },
  {
    name = "extract", does = "Extract from new texts with a recipe's own prompt and its model.",
    args = { RECIPE, { "file", "texts, or JSONL with the recipe's columns; - is standard input; without any, the rows "
      .. "of the recipe's extract.from", optional = true, many = true } },
    options = {
      { "--model -m", "model id; default: the promoted one, or that of the recipe's newest run", args = "<id>" },
      { "--run", "use this run's model", args = "<run>" }, LOCAL,
      { "--output -o", "write results to this file when all are there, not to stdout", args = "<file>" },
      { "--write", "write results into the table of the recipe's extract.write" },
      { "--overwrite", "with --write: also where the table has a result already" },
      { "--dry-run", "ask and write nothing: show rows, pieces and tokens" },
      { "--at-once", "requests on their way; default: 8, and more as the provider's limits allow", args = "<N>",
        convert = whole_number("--at-once", 1, 1000) },
      SET, LIMIT, JSON, QUIET },
    example = "ftrun extract recipes/legal-extraction.lua law.txt -o elements.jsonl",
  },
  {
    name = "report", does = "Write a run, or two beside each other, as one HTML file.",
    args = { { "run", RUN[2] .. "; two are compared", optional = true, many = true } },
    options = { { "--output -o", "where to write; default: report.html in the run's folder", args = "<file>" },
      { "--text", "show it in brief here, and write nothing" },
      { "--no-texts", "leave out the examples, which hold texts of rows" }, JSON, QUIET },
    example = "ftrun report legal-extraction -o report.html",
  },
  {
    name = "diff", does = "Show what differs between two recipes, lock files or runs.",
    args = { { "a", "a recipe, a lock file, a run, or a recipe's name (its newest run)" }, { "b", "the same" } },
    options = { JSON, QUIET },
    example = "ftrun diff recipes/legal-extraction.lua legal-extraction",
  },
  {
    name = "verify", does = "Check whether today's data and recipe are those of a lock file. Sends nothing that costs.",
    args = { { "what", "a lock file, a run, or a recipe with its lock beside it; default: the newest run with one",
      optional = true } },
    options = { SET, JSON, QUIET },
    example = "ftrun verify recipes/legal-extraction.lua",
  },
  {
    name = "test", does = "Try recipes offline on the local provider, as CI does: load, hooks, plan, train, measure.",
    args = { { "recipe", "recipes; default: all in ./recipes, or else here", optional = true, many = true } },
    options = { { "--data", "a JSONL file in place of a query's rows; default: NAME.sample.jsonl beside the recipe, "
        .. "when the database is not set", args = "<file>" },
      { "--limit", "examples at most", args = "<N>", convert = whole_number("--limit", 10), default = "60" },
      { "--strict", "a recipe that was skipped counts as failed" }, SET, JSON, QUIET },
    example = "ftrun test recipes/*.lua",
  },
  {
    name = "export", does = "Write a run as one file, for a colleague or an archive.",
    args = { { RUN[1], "a run, or a recipe's name; default: the newest run", optional = true } },
    options = { { "--output -o", "where to write; default: the run's id with .ftrun", args = "<file>" },
      { "--with-data", "also training and validation rows, and the answers of the evaluation" },
      { "--keep-paths", "leave what names this machine, its paths and users, in it: for an archive of your own" },
      JSON, QUIET },
    example = "ftrun export legal-extraction -o legal.ftrun",
  },
  {
    name = "import", does = "Take a run out of an exported file, with its recipe.",
    args = { { "file", "a file of ftrun export" } },
    options = { { "--into", "folder for the recipe; nothing in it is written over; default: a new one, the run's id",
      args = "<folder>" }, JSON, QUIET },
    example = "ftrun import legal.ftrun --into recipes",
  },
  {
    name = "serve", does = "Run the local provider as an OpenAI-compatible server on loopback.",
    options = {
      { "--port", "port; 0: the system chooses", args = "<N>", convert = whole_number("--port", 0, 65535),
        default = "8080" },
      { "--host", "loopback address to listen on", args = "<address>", default = "127.0.0.1" },
      { "--dir", "where files, jobs and models are kept", args = "<folder>" }, JSON, QUIET },
    example = "ftrun serve --port 8080",
  },
  {
    name = "doctor", does = "Check keys, models and their dates, database, W&B settings and the local provider.",
    options = { JSON, QUIET },
    example = "ftrun doctor",
  },
  {
    name = "wandb", does = "Log runs and jobs to Weights & Biases; explain what is set and missing.",
    args = { { "action", "status: settings, key, and runs that are to be sent; sync: log runs and jobs that are there, "
        .. "and send what waits", choices = { "status", "sync" } },
      { "job", "sync: runs, jobs (ftjob-...), or W&B runs of .ftrun/wandb", optional = true, many = true } },
    options = { { "--all", "sync: all that is not logged yet: runs of this folder, the provider's jobs" },
      { "--overwrite", "sync: log again what was logged" },
      { "--log-datasets", "sync: fetch the files of examples of jobs and log their texts" }, LOCAL, JSON, QUIET },
    example = "ftrun wandb sync ftjob-abc123",
  },
  {
    name = "completion", does = "Print what a shell needs to complete ftrun's commands, options, runs and recipes.",
    args = { { "shell", "bash, zsh or fish", choices = { "bash", "zsh", "fish" } } }, options = { JSON, QUIET },
    example = 'eval "$(ftrun completion bash)"',
  },
}
