---@meta ft.tokenizer
--- Tokens of OpenAI's encodings, exactly as tiktoken's encode_ordinary gives them. Special tokens that stand in a text
--- ("<|endoftext|>") are ordinary text. Bytes that are no UTF-8 count as U+FFFD, one for each part that cannot be a
--- character, as after Python's decode("utf-8", "replace").

---@class ft.tokenizer
local tokenizer = {}

--- An encoding. Costs nothing until it is used; then 8 MiB for all threads together, in which it keeps what it has
--- counted: the longer it is used, the faster it is.
---@param encoding "o200k_base"|"cl100k_base"
---@param threads integer?  at most so many (8 at most); default: one a core
---@return ft.tokenizer.Encoding
function tokenizer.open(encoding, threads) end

--- Which strings of a JSON row are counted. A node says what a value adds by being there, whether a string is counted
--- ("text"), or also objects and arrays, as their JSON text ("json"), and what is below: the items of an array, named keys
--- of an object, its other keys. What no node stands for is not counted.
---@class ft.tokenizer.Node
---@field add integer?
---@field count "text"|"json"|nil
---@field each ft.tokenizer.Node?
---@field keys table<string, ft.tokenizer.Node>?   at most 256 nodes in all, 16 deep
---@field others ft.tokenizer.Node?

---@param node ft.tokenizer.Node
---@return userdata shape
function tokenizer.shape(node) end

---@class ft.tokenizer.Encoding  closable
local Encoding = {}

--- How many tokens a text has.
---@param text string
---@return integer
function Encoding:count(text) end

--- The tokens of a text.
---@param text string
---@return integer[]
function Encoding:encode(text) end

--- Tokens of each JSON row, counted by several threads within this call: about 5 ms a megabyte, in which nothing else
--- runs, so give some megabytes at most. false for a row that dataset.check would refuse.
---@param rows string[]
---@param shape userdata
---@return (integer|false)[]
function Encoding:rows(rows, shape) end

--- Begins to count rows in threads of its own, one fewer than the encoding has, while the caller goes on: finish() gives
--- what rows() would. One at a time; raises when there is another.
---@param rows string[]
---@param shape userdata
---@param sound boolean?  each row was found valid before (dataset.check or encode): must be true, strings are not looked at again
---@return ft.tokenizer.Job
function Encoding:start(rows, shape, sound) end

--- Frees its memory; gives up what is being counted. Idempotent.
function Encoding:close() end

---@class ft.tokenizer.Job
local Job = {}

--- Helps to count what is left, and ends the job.
---@return (integer|false)[]
function Job:finish() end

return tokenizer
