---@meta ft.sandbox
--- A recipe's own Lua state. Text chunks only; an allow-list of library functions; a memory cap; an instruction budget that cannot be
--- caught; a watchdog in wall-clock time for loops inside C (patterns), which ends the process with exit code 3 and one line.
--- Only plain values cross, copied by raw access: nil, booleans, numbers, strings, tables of these (depth 32, 100,000 entries, no cycles, no
--- NaN). A function in a result crosses as a Function handle.

---@class ft.sandbox
local sandbox = {}

---@class ft.sandbox.Options
---@field root string           folder below which `include` and `text` may read (symbolic links resolved)
---@field memory_bytes integer? default 64 MiB
---@field instructions integer? default 50 million, for each run and call
---@field seconds number?       default 5, for each run and call; a quarter more inside one library call ends the process
---@field fail_allocation integer?  for torture tests: the box's allocation of this number fails

---@param options ft.sandbox.Options
---@return ft.sandbox.Box? box
---@return string? message
---@return "not_found"|"denied"|"io"|"memory"|nil code
function sandbox.new(options) end

---@class ft.sandbox.Box
local Box = {}

--- Runs trusted source (the DSL) in the box before the recipe; what it returns (a table of functions) becomes the recipe's
--- global `ft`, and its extra argument is a table of natives: `include(path)`, `text(path)`, `line()` (current line of
--- the recipe's nearest Lua frame outside the prelude), `chunk()` (its file, without "@"), `truncate(s, n)`.
--- The prelude has an environment of its own with the same library functions. Between the recipe and a function of `ft` stands
--- one C frame, which keeps the line of `return ft.recipe {...}`: use line(), not levels of error. Raises when the source fails.
---@param chunkname string  "@..." for messages
---@param source string
function Box:prelude(chunkname, source) end

--- Runs a recipe. So that it makes the same data every time, `pairs` goes in the order of the keys there (numbers, then strings by
--- their bytes), and no text holds an address: tostring of a table is "table", string.format refuses one, and nil. Files whose name, or a
--- folder's, begins with a dot, and those that end in ".env", cannot be read.
---@param chunkname string  "@recipes/x.lua"
---@param source string
---@return any value
---@return string? message  "file:line: ..." without traceback
---@return "syntax"|"runtime"|"memory"|"instructions"|"result"|nil code
function Box:run(chunkname, source) end

--- Calls a function of the recipe with copies of the arguments.
---@param fn ft.sandbox.Function
---@return any value   first result
---@return string? message
---@return string? code
function Box:call(fn, ...) end

--- As call, but a result that is a table leaves the box as the bytes that the encoder makes of it, which spares a copy.
---@param encoder userdata  of ft.dataset's encoder
---@param fn ft.sandbox.Function
---@return boolean? encoded  false: the result is no table, or cannot be encoded, and comes as call gives it
---@return any value         the bytes, or the result; the message of a failure
---@return string? code
function Box:encode(encoder, fn, ...) end

--- Files read through include and text: list of { path = relative path, bytes = content }.
---@return { path: string, bytes: string }[]
function Box:files() end

--- What the state uses now and used at most, and how many allocations it made.
---@return { memory_bytes: integer, peak_bytes: integer, allocations: integer }
function Box:usage() end

--- Frees the state; handles become dead. Idempotent.
function Box:close() end

---@class ft.sandbox.Function
local Function = {}

--- Where it was defined.
---@return string chunk  file as in the chunk name, without "@"
---@return integer line
function Function:where() end

return sandbox
