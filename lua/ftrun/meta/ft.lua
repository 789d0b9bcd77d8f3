---@meta
--- The language of recipes, for editors: completion, types and the reference on hover (LuaLS and what is built on it).
--- Nothing runs this file. The classes marked (exact) are printed from the program's own schema.

---@class ft
ft = {}

-- ---- what a recipe says ----

--- What ft.recipe takes.
---@class (exact) ft.Recipe
---@field name string  names the experiment and its runs
---@field base_model string  the model to tune, best with its date: gpt-4o-mini-2024-07-18
---@field suffix? string  becomes part of the tuned model's name
---@field seed? integer  of the split and the training; the same seed gives the same run (default 42)
---@field method? "supervised"|"dpo"|"reinforcement"  how the model learns: from answers, from pairs of a better and a worse one, or from a grader (default "supervised")
---@field dataset ft.Source  where the examples come from
---@field split? ft.Recipe.Split  which rows validate; without time_by by hash of seed and group
---@field hyperparameters? ft.Recipe.Hyperparameters  of the training
---@field grader? ft.Grader  what reinforcement rewards
---@field checkpoint? ft.Recipe.Checkpoint  which checkpoint is the tuned model; the last one when left out
---@field budget? ft.Recipe.Budget  limits of what a run may cost
---@field prices? ft.Recipe.Prices  replaces prices that ftrun knows, or does not know
---@field wandb? ft.Recipe.Wandb  logging to Weights & Biases
---@field on? ft.Recipe.On  hooks; they answer with ft.cancel, ft.pause, ft.notify
---@field evaluate? ft.Recipe.Evaluate  how the tuned model is measured
---@field gate? ft.Recipe.Gate  what must be reached before the model is promoted: at_least, at_most, gain of a score
---@field promote? ft.Recipe.Promote  where the new model's id goes when the gate is passed
---@field extract? ft.Recipe.Extract  how the model is used on new texts: ftrun extract

--- rows of a query; values are text as PostgreSQL writes them, NULL is nil
---@class (exact) ft.Postgres
---@field url string|ft.Env  where the database is
---@field query string  one SELECT; with ORDER BY, so that the data and its hash are the same each time
---@field params? (string|number|boolean)[]  values of $1, $2, ... in the query
---@field key string  column whose value names a row in messages
---@field example fun(row: table<string, string>): ft.Example|ft.Skip|nil  makes an example of a row: ft.chat { ... }, or ft.skip "reason" or nil to leave it out

--- rows of a JSONL file (or .gz); nested values are their own JSON text, null is nil
---@class (exact) ft.Jsonl
---@field path? string  path from the recipe's folder
---@field paths? string[]  several files, read one after another
---@field key? string  column whose value names a row in messages
---@field example? fun(row: table<string, string>): ft.Example|ft.Skip|nil  makes an example of a row: ft.chat { ... }, or ft.skip "reason" or nil to leave it out; without it each line is an example already

--- ready-made training files
---@class (exact) ft.Files
---@field train string  path of a JSONL file from the recipe's folder, or the id of an uploaded file (file-...)
---@field validation? string  the same for validation

--- which rows validate; without time_by by hash of seed and group
---@class (exact) ft.Recipe.Split
---@field validation number  how much is kept for validation
---@field group_by? string  column (of ready-made lines: a path) whose equal values never stand on both sides
---@field stratify_by? string  column whose values have the same share on both sides
---@field time_by? string  column of a date or number: the newest rows validate

--- of the training
---@class (exact) ft.Recipe.Hyperparameters
---@field n_epochs? "auto"|integer  passes over the training rows (default "auto")
---@field batch_size? "auto"|integer  rows in one step (default "auto")
---@field learning_rate_multiplier? "auto"|number  scales the provider's own learning rate (default "auto")
---@field beta? "auto"|number  dpo: how closely the model stays to what it was
---@field reasoning_effort? "default"|"low"|"medium"|"high"  reinforcement: how much the model thinks
---@field compute_multiplier? "auto"|number  reinforcement: how much is tried out
---@field eval_interval? "auto"|integer  reinforcement: steps between two evaluations
---@field eval_samples? "auto"|integer  reinforcement: answers of each evaluation

--- 1 for an answer that matches the reference, else 0
---@class (exact) ft.StringCheck
---@field name? string  names it in the provider's events (default "grader")
---@field input string  what is graded, as a template: {{sample.output_text}} is the answer
---@field reference string  what it is compared with: {{item.answer}} is the field `answer` of the row
---@field operation "eq"|"ne"|"like"|"ilike"  how they are compared

--- how near the answer comes to the reference
---@class (exact) ft.TextSimilarity
---@field name? string  names it in the provider's events (default "grader")
---@field input string  what is graded, as a template: {{sample.output_text}} is the answer
---@field reference string  what it is compared with: {{item.answer}} is the field `answer` of the row
---@field evaluation_metric "cosine"|"fuzzy_match"|"bleu"|"gleu"|"meteor"|"rouge_1"|"rouge_2"|"rouge_3"|"rouge_4"|"rouge_5"|"rouge_l"  how nearness is measured

--- a Python function grade(sample, item), which runs at the provider
---@class (exact) ft.Python
---@field name? string  names it in the provider's events (default "grader")
---@field source string  its source: ft.text "grader.py"
---@field image_tag? string  the environment it runs in

--- a model that scores the answer
---@class (exact) ft.ScoreModel
---@field name? string  names it in the provider's events (default "grader")
---@field model string  which model scores
---@field input ft.ScoreModel.Input[]  what it is asked, as templates
---@field range? number[]  lowest and highest score
---@field sampling_params? ft.ScoreModel.SamplingParams  how it answers

--- what it is asked, as templates
---@class (exact) ft.ScoreModel.Input
---@field role "user"|"assistant"|"system"|"developer"  who says it
---@field content string  the text, a template

--- how it answers
---@class (exact) ft.ScoreModel.SamplingParams
---@field temperature? number  0: always the likeliest word
---@field top_p? number  share of likely words that is drawn from
---@field seed? integer  of the drawing
---@field max_completions_tokens? integer  most tokens of its answer
---@field reasoning_effort? "none"|"minimal"|"low"|"medium"|"high"|"xhigh"  how much it thinks

--- which checkpoint is the tuned model; the last one when left out
---@class (exact) ft.Recipe.Checkpoint
---@field metric string  the number that decides
---@field best? "lowest"|"highest"  default: lowest of a loss, highest of anything else

--- limits of what a run may cost
---@class (exact) ft.Recipe.Budget
---@field max_usd number  US dollars for training

--- replaces prices that ftrun knows, or does not know
---@class (exact) ft.Recipe.Prices
---@field training? number  US dollars per million tokens trained
---@field input? number  US dollars per million tokens read by the tuned model
---@field cached? number  US dollars per million tokens read from its cache
---@field output? number  US dollars per million tokens written by it
---@field batch? ft.Recipe.Prices.Batch  the same through the batch API
---@field date? string  when these prices were looked up: 2026-11-22
---@field source? string  where they were found

--- the same through the batch API
---@class (exact) ft.Recipe.Prices.Batch
---@field input? number  US dollars per million tokens read
---@field cached? number  US dollars per million tokens read from the cache
---@field output? number  US dollars per million tokens written

--- logging to Weights & Biases
---@class (exact) ft.Recipe.Wandb
---@field project? string|ft.Env  the project's name
---@field entity? string|ft.Env  the team or user it belongs to
---@field group? string|ft.Env  groups runs
---@field run_name? string|ft.Env  name of the run there; the run's own id when left out
---@field notes? string|ft.Env  a longer description
---@field tags? string[]  labels of the run
---@field openai_integration? boolean  the provider logs the job there too; your W&B key lies in its account settings (default false)
---@field log_datasets? boolean  also log texts of examples (never by itself) (default false)
---@field on_stop? "detach"|"cancel"  what W&B's Stop button does: leave the job to the provider, or cancel it (default "detach")

--- hooks; they answer with ft.cancel, ft.pause, ft.notify
---@class (exact) ft.Recipe.On
---@field metrics? fun(m: ft.Metrics, history: ft.Metrics[]): ft.Decision?  after each step that reports numbers
---@field checkpoint? fun(c: ft.Checkpoint): ft.Decision?  when a checkpoint is there
---@field event? fun(e: ft.Event): ft.Decision?  for each message of the provider
---@field finished? fun(result: ft.Result): ft.Decision?  at the end, however it ended

--- how the tuned model is measured
---@class (exact) ft.Recipe.Evaluate
---@field on? "validation"  which rows are asked (default "validation")
---@field compare_with? string  the model to beat (default "base")
---@field score ft.Score|fun(answer: string, expected: string): any  how an answer is scored
---@field limit? integer  at most so many rows
---@field batch? boolean  ask through the batch API: half the price, within a day (default false)

--- precision, recall and F1 of values in JSON answers
---@class (exact) ft.JsonF1
---@field paths string[]  which values count
---@field sets? string[]  of these, a value that comes again counts once
---@field ordered? string[]  of these, the order counts
---@field schema? string  also count the answers that fit it

--- the share of answers that equal the expected text
---@class (exact) ft.Exact
---@field path? string  compare only this value of a JSON answer

--- accuracy, and precision and recall for each label
---@class (exact) ft.Classification
---@field labels? string[]  allowed answers; all that occur when left out

--- how many words the answer has in the order of the expected text (ROUGE-L)
---@class (exact) ft.RougeL
---@field path? string  compare only the text at this path of a JSON answer

--- how many words the answer shares with the expected text, in any order
---@class (exact) ft.TokenF1
---@field path? string  compare only the text at this path of a JSON answer

--- another model grades each answer
---@class (exact) ft.Judge
---@field model string  who grades, best with its date
---@field prompt string  what makes an answer good
---@field labels? table<string, number>  it chooses one of these, instead of a number from 0 to 1

--- what must be reached before the model is promoted: at_least, at_most, gain of a score
---@class (exact) ft.Recipe.Gate
---@field f1? ft.Recipe.Bar  bar for f1
---@field precision? ft.Recipe.Bar  bar for precision
---@field recall? ft.Recipe.Bar  bar for recall
---@field macro_f1? ft.Recipe.Bar  bar for macro_f1
---@field macro_precision? ft.Recipe.Bar  bar for macro_precision
---@field macro_recall? ft.Recipe.Bar  bar for macro_recall
---@field accuracy? ft.Recipe.Bar  bar for accuracy
---@field exact? ft.Recipe.Bar  bar for exact
---@field valid_json? ft.Recipe.Bar  bar for valid_json
---@field valid_schema? ft.Recipe.Bar  bar for valid_schema
---@field rouge_l? ft.Recipe.Bar  bar for rouge_l
---@field token_f1? ft.Recipe.Bar  bar for token_f1
---@field judge? ft.Recipe.Bar  bar for judge
---@field score? ft.Recipe.Bar  bar for score

--- A bar of the gate.
---@class (exact) ft.Recipe.Bar
---@field at_least? number  lowest value of the tuned model
---@field at_most? number  highest value of the tuned model
---@field gain? number  how much better than the compared model it must be

--- where the new model's id goes when the gate is passed
---@class (exact) ft.Recipe.Promote
---@field env_file? string  file of settings (default ".env")
---@field key string  the setting that holds the model's id

--- how the model is used on new texts: ftrun extract
---@class (exact) ft.Recipe.Extract
---@field prompt fun(row: table<string, string>, piece: ft.Piece): ft.Prompt|ft.Skip|nil  what is asked about a row, whose text is one piece of it: ft.prompt { ... }, or ft.skip
---@field text? string  column that is cut into pieces (default "text")
---@field key? string  column that names a row in the results; default: the dataset's key
---@field answer? "json"|"text"  what the model answers with (default "json")
---@field piece? ft.Recipe.Extract.Piece  how long a piece may be; 6000 tokens when nothing is said
---@field merge? table<string, string[]|string>  how answers to the pieces of a text become one
---@field from? ft.Recipe.Extract.From  rows of the database to ask about
---@field write? ft.Recipe.Extract.Write  where `--write` puts the results

--- how long a piece may be; 6000 tokens when nothing is said
---@class (exact) ft.Recipe.Extract.Piece
---@field tokens? integer  as the base model counts them
---@field characters? integer  instead of tokens

--- rows of the database to ask about
---@class (exact) ft.Recipe.Extract.From
---@field url? string|ft.Env  where the database is; default: the dataset's
---@field query string  one SELECT
---@field params? (string|number|boolean)[]  values of $1, $2, ... in the query

--- where `--write` puts the results
---@class (exact) ft.Recipe.Extract.Write
---@field url? string|ft.Env  where the database is; default: that of `from`, or of the dataset
---@field table string  the table's name, or schema.table
---@field key? string  its column of keys; default: named like the key
---@field column string  its column for results: json, jsonb or text; where it is not NULL it stays, without --overwrite
---@field set? table<string, string|number|boolean>  further columns that are set with it
---@field insert? boolean  also add rows whose key the table does not have (default false)

-- ---- what is made and handed on ----

--- A reference to a setting; its value never enters the recipe.
---@class ft.Env

--- Made by ft.postgres, ft.jsonl or ft.files.
---@class ft.Source

--- Made by ft.json_f1, ft.exact, ft.classification, ft.rouge_l, ft.token_f1 or ft.judge.
---@class ft.Score

--- Made by ft.string_check, ft.text_similarity, ft.python or ft.score_model.
---@class ft.Grader

--- Made by ft.chat, ft.preference or ft.reinforcement.
---@class ft.Example

--- Made by ft.prompt.
---@class ft.Prompt

--- Made by ft.skip.
---@class ft.Skip

--- JSON text that goes into an example as it stands.
---@class ft.Json

--- Made by ft.cancel, ft.pause or ft.notify.
---@class ft.Decision

--- What ft.chat takes: a user's and an assistant's text, or several turns.
---@class ft.Chat
---@field system? string
---@field user? string
---@field assistant? string  the answer that is learnt
---@field weight? 0|1  of the last answer; 0: it is not learnt
---@field messages? ft.Message[]  several turns instead of user and assistant
---@field tools? ft.Json|table[]  as in OpenAI's format
---@field parallel_tool_calls? boolean

--- What ft.preference takes: what is asked, and two answers.
---@class ft.Preference
---@field system? string
---@field user? string
---@field messages? ft.Message[]  several turns instead of user
---@field preferred string  the better answer
---@field non_preferred string  the worse one
---@field tools? ft.Json|table[]  as in OpenAI's format
---@field parallel_tool_calls? boolean

--- What ft.reinforcement takes: what is asked, and what the grader needs.
---@class ft.Reinforcement
---@field system? string
---@field user? string
---@field messages? ft.Message[]  several turns instead of user
---@field item? table<string, any>  fields that graders see as {{item.NAME}}
---@field tools? ft.Json|table[]  as in OpenAI's format

--- One turn: { user = "..." }, or { role = "user", content = "..." }.
---@class ft.Message
---@field system? string
---@field developer? string
---@field user? string
---@field assistant? string
---@field tool? string
---@field role? "system"|"developer"|"user"|"assistant"|"tool"
---@field content? string|table[]
---@field name? string
---@field weight? 0|1  of an answer; 0: it is not learnt
---@field tool_calls? table[]
---@field tool_call_id? string

--- What a prompt of `extract` is told of the piece that it asks about.
---@class ft.Piece
---@field number integer  from 1
---@field count integer  so many pieces the text has
---@field article? string  heading of the article in whose middle it begins

-- ---- what hooks see ----

--- The numbers of one step, as far as the provider reports them.
---@class ft.Metrics
---@field step? integer
---@field total_steps? integer
---@field train_loss? number
---@field train_mean_token_accuracy? number  from 0 to 1
---@field valid_loss? number  of a few validation rows
---@field valid_mean_token_accuracy? number
---@field full_valid_loss? number  of all validation rows, at the end of an epoch
---@field full_valid_mean_token_accuracy? number

--- A state of the model during training that can be used.
---@class ft.Checkpoint
---@field type "checkpoint"
---@field id string
---@field created_at? integer  seconds since 1970
---@field model? string
---@field step? integer
---@field metrics ft.Metrics

--- A message of the provider.
---@class ft.Event
---@field type "message"
---@field id? string
---@field created_at? integer  seconds since 1970
---@field level "info"|"warn"|"error"|string
---@field message string

--- How a run ended.
---@class ft.Result
---@field type "result"
---@field run string
---@field state "succeeded"|"failed"|"cancelled"|string
---@field job string
---@field model? string  the tuned model
---@field dir string  the run's folder
---@field trained_tokens? integer
---@field usage? table  what was billed
---@field checkpoints? table[]
---@field checkpoint? table  the one that the recipe asked for, and the number that decided
---@field error? { code: string?, message: string }

-- ---- functions ----

--- The recipe itself; a recipe's file ends with `return ft.recipe { ... }`.
---@param fields ft.Recipe
---@return table
function ft.recipe(fields) end

--- Rows of a PostgreSQL query.
---@param fields ft.Postgres
---@return ft.Source
function ft.postgres(fields) end

--- Rows of a JSONL file, plain or gzip.
---@param fields ft.Jsonl|string  a string is the path
---@return ft.Source
function ft.jsonl(fields) end

--- Training files that are there already.
---@param fields ft.Files
---@return ft.Source
function ft.files(fields) end

--- A setting or a secret by name.
---@param name string  of an environment variable, or of a line in .env
---@param default? string
---@return ft.Env
function ft.env(name, default) end

--- Runs another Lua file below the recipe's folder and returns what it returns.
---@param path string
---@return any
function ft.include(path) end

--- The content of a text file below the recipe's folder.
---@param path string
---@return string
function ft.text(path) end

--- The first n characters of a text.
---@param text string
---@param n integer
---@return string
function ft.truncate(text, n) end

--- One example: system, user and assistant texts; or messages = { ... } for several turns.
---@param fields ft.Chat
---@return ft.Example
function ft.chat(fields) end

--- One example of method = "dpo".
---@param fields ft.Preference
---@return ft.Example
function ft.preference(fields) end

--- One example of method = "reinforcement".
---@param fields ft.Reinforcement
---@return ft.Example
function ft.reinforcement(fields) end

--- Rewards an answer that matches the reference.
---@param fields ft.StringCheck
---@return ft.Grader
function ft.string_check(fields) end

--- Rewards nearness to the reference.
---@param fields ft.TextSimilarity
---@return ft.Grader
function ft.text_similarity(fields) end

--- Rewards what a Python function at the provider returns.
---@param fields ft.Python
---@return ft.Grader
function ft.python(fields) end

--- Rewards what a model says.
---@param fields ft.ScoreModel
---@return ft.Grader
function ft.score_model(fields) end

--- What is asked about a new text: as ft.chat, without the answer.
---@param fields ft.Chat
---@return ft.Prompt
function ft.prompt(fields) end

--- Leaves the row out, with a reason that the plan counts.
---@param reason? string
---@return ft.Skip
function ft.skip(reason) end

--- JSON text that goes into the example as it stands (the schema of a tool).
---@param text string
---@return ft.Json
function ft.json(text) end

--- Scores values in JSON answers.
---@param fields ft.JsonF1|string[]|string  strings are the paths: "elements[].number"
---@return ft.Score
function ft.json_f1(fields) end

--- Scores answers that equal the expected text.
---@param fields? ft.Exact|string  a string is the path
---@return ft.Score
function ft.exact(fields) end

--- Scores answers that are one of a few labels.
---@param fields? ft.Classification|string[]|string  strings are the labels
---@return ft.Score
function ft.classification(fields) end

--- Scores how many words an answer has in the order of the expected text: ROUGE-L.
---@param fields? ft.RougeL|string  a string is the path
---@return ft.Score
function ft.rouge_l(fields) end

--- Scores how many words an answer shares with the expected text, in any order.
---@param fields? ft.TokenF1|string  a string is the path
---@return ft.Score
function ft.token_f1(fields) end

--- Has another model grade each answer, from 0 to 1 or by labels.
---@param fields ft.Judge
---@return ft.Score
function ft.judge(fields) end

--- A hook's answer: cancel the job.
---@param reason? string
---@return ft.Decision
function ft.cancel(reason) end

--- A hook's answer: pause the job.
---@param reason? string
---@return ft.Decision
function ft.pause(reason) end

--- A hook's answer: tell the user something; the run goes on.
---@param text string
---@return ft.Decision
function ft.notify(text) end

-- ---- for the log: in hooks, and where the recipe itself runs ----

--- What ft.define_metric takes.
---@class ft.Metric
---@field name string
---@field step_metric? string  the metric that it is drawn over
---@field summary? "min"|"max"|"mean"|"first"|"last"|"none"  what the summary keeps of it; else the newest value
---@field hidden? boolean

--- What ft.artifact takes.
---@class ft.Artifact
---@field files string[]|string  paths below the recipe's folder, or below the run's
---@field type? string  default "artifact"
---@field metadata? table<string, number|string|boolean>
---@field description? string
---@field aliases? string[]  besides "latest"

--- Logs values under names, at the newest step.
---@param values table<string, number|string|boolean>
function ft.log(values) end

--- Sets values of the run's summary.
---@param values table<string, number|string|boolean>
function ft.summary(values) end

--- Says how a metric is drawn and summed up.
---@param metric ft.Metric|string  a string is the name
function ft.define_metric(metric) end

--- Logs a table; rows are lists in the columns' order, or tables by the columns' names.
---@param name string
---@param columns string[]
---@param rows table[]
function ft.table(name, columns, rows) end

--- Logs files as one artifact; they are copied into the run's folder.
---@param name string
---@param artifact ft.Artifact
function ft.artifact(name, artifact) end
