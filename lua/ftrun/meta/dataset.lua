---@meta ft.dataset
--- Datasets as bytes: a strict JSON encoder and scanner. Nothing here decodes and encodes again.

---@class ft.dataset
local dataset = {}

--- JSON text of a plain value: strings must be UTF-8 (raises no error: nil, message, "utf8"), integers exact, floats shortest
--- round trip, NaN and infinities refused ("number"). A table with keys 1..n, n >= 1, is an array; dataset.array marks an empty one. Keys come in the order
--- of `order` (a list that does not change, of 200 names at most), the others after them sorted by bytes. Non-ASCII stays as it is.
---@param value any
---@param order string[]?
---@return string? json
---@return string? message  with the path: "messages[2].content: invalid UTF-8 at byte 17"
---@return "utf8"|"number"|"type"|"depth"|nil code
function dataset.encode(value, order) end

--- An encoder for Box:encode of ft.sandbox: as encode, without array marks and raw values.
---@param order string[]
---@param refused string?  a byte: a table with a key that begins with it is not written
---@return userdata encoder
function dataset.encoder(order, refused) end

--- Marks a table as an array for encode (an empty one would be an object).
---@param t table
---@return table t
function dataset.array(t) end

--- A value that encode writes as it is, after the checks of dataset.check. Line breaks in it become spaces, so that it fits
--- into a line of JSONL.
---@param json string
---@return userdata? raw
---@return string? message
---@return string? code
---@return integer? offset
function dataset.raw(json) end

--- JSON null, for encode and from decode.
---@type userdata
dataset.null = nil

--- Checks one JSON text (RFC 8259, UTF-8, no duplicate keys, depth 512) without building anything.
---@param text string
---@return true? ok
---@return string? message  what is wrong
---@return string? code   syntax, utf8, duplicate_key, depth, surrogate, control, number, nul, bom, empty, trailing
---@return integer? offset  0-based byte offset of the fault
function dataset.check(text) end

--- Decodes one JSON text after the same checks: objects as { {key, value}, ... } pairs in order with `object = true`, arrays as lists with
--- `array = true`, null as dataset.null; integers exact up to 64 bits, others the nearest float. For the code that must know order and emptiness.
---@param text string
---@param max_depth integer?  objects and arrays deeper than so many levels become { raw = their text }
---@return any value
---@return string? message
---@return string? code
---@return integer? offset
function dataset.decode_ordered(text, max_depth) end

--- Values of a JSON text by their paths, after the same checks: the text of a string, the JSON text of anything else, false
--- for null and for what is not there. A path is names and indices from 0, as in metadata.law, messages[0].content,
--- messages[-1].content (the last); names that hold a dot or a bracket cannot be said. Raises for a path that is none.
---@param text string
---@param paths string[]  at most 8
---@return (string|false)[]? values
---@return string? message
---@return string? code
---@return integer? offset
function dataset.pick(text, paths) end

--- Remembers texts by a 64-bit hash, in 16 MiB at most (1.5 million texts or more): what comes when it is full is
--- compared, but not remembered.
---@return ft.dataset.Seen
function dataset.seen() end

---@class ft.dataset.Seen
local Seen = {}
---@param text string
---@return boolean known  whether it was added before
function Seen:add(text) end
--- Whether every text was remembered.
---@return boolean
function Seen:complete() end

--- Opens a JSONL file to be written: append lines, then commit (fsync, rename over path) or close (drop). A path that names
--- a device or pipe (/dev/stdout) is written directly.
---@param path string
---@return ft.dataset.Writer? writer
---@return string? message
---@return string? code
function dataset.writer(path) end

---@class ft.dataset.Writer
local Writer = {}
--- Adds one line; `json` must hold no newline byte (raises). Lines are written behind the caller's back: a failure may
--- be that of a line before, some megabytes ago. After it the temporary file is gone, and the same failure comes again.
---@param json string
---@return true? ok
---@return string? message
---@return string? code  "disk_full", "io"
function Writer:add(json) end
---@return { lines: integer, bytes: integer, sha256: string }? summary
---@return string? message
---@return string? code
function Writer:commit() end
--- Drops the temporary file unless committed. Idempotent.
function Writer:close() end

--- Reads a JSONL file (plain or gzip, by its first bytes) line by line with constant memory.
---@param path string  "-": standard input
---@param max_line_bytes integer?  default 64 MiB
---@return ft.dataset.Reader? reader
---@return string? message
---@return string? code
function dataset.reader(path, max_line_bytes) end

---@class ft.dataset.Reader
local Reader = {}
--- The next line without its end ("\n", also "\r\n"), its number from 1, its byte offset and the bytes of its end (0 to 2); nil at the end; nil, message,
--- code on a fault ("too_long", "io", "gzip", "interrupted").
---@return string? line
---@return integer|string number_or_message
---@return integer|string|nil offset_or_code
---@return integer? end_bytes
function Reader:next() end
--- Bytes read so far and the file's size on disk, for progress.
---@return integer done
---@return integer total
function Reader:position() end
function Reader:close() end

--- What of a row's contents matters to rules. `open`: keys below which objects and arrays are walked into (the top always
--- is); `value`: keys whose strings and numbers stay; `link`: keys whose strings are numbered, equal ones alike (`link2`: the same, numbered apart); `json`:
--- keys whose strings are checked when they begin like a JSON object or array; `head`: keys of which the text up to the first comma (or
--- colon) stays, with "!" behind it when there are more than `long` bytes. See bindings/skeleton.h for what each becomes.
---@param keys { open: string[]?, value: string[]?, link: string[]?, link2: string[]?, json: string[]?, head: string[]?, long: integer? }
---@return ft.dataset.Shape
function dataset.shape(keys) end

---@class ft.dataset.Shape
local Shape = {}
--- The skeleton of one JSON text, itself a JSON text: rows that have the same one cannot be told apart by rules that look at nothing else.
---@param text string
---@param sound boolean?  the text was found valid before (encode made it), so its strings need no second look
---@return string? skeleton
---@return string? message  and code and offset as from dataset.check
---@return string? code
---@return integer? offset
function Shape:skeleton(text, sound) end

--- Scans a JSONL file (plain or gzip) at the speed of the JSON scanner: Lua hears only of faults and of rows whose skeleton it has not accepted.
---@param path string  "-": standard input
---@param shape ft.dataset.Shape
---@param max_line_bytes integer?  default 64 MiB
---@param tell_from integer?  accepted rows are told of too when they have at least so many bytes
---@return ft.dataset.Scan? scan
---@return string? message
---@return string? code
function dataset.scan(path, shape, max_line_bytes, tell_from) end

---@class ft.dataset.Scan
local Scan = {}
--- What comes next: a kind and the line's number, then
---   "new"       the number of the skeleton and the skeleton: a row with a skeleton that was not seen before, or was forgotten. The
---               memory for skeletons is bounded: when it is full all are forgotten and numbers begin again at 1 (0: too long to be remembered).
---   "known"     the number of the skeleton: a row with a skeleton that was seen and not accepted
---   "accepted"  the same, with one that was accepted (with `tell_from`)
---   "fault"     message, code, 0-based byte offset in the line: of a line that is no strict JSON; a line may have several. Codes
---               are those of dataset.check, and crlf (the row follows), empty (a blank line), too_long, bom (at the file's beginning; the row follows), utf16 (the end)
---   "turn"      some megabytes were read: let other tasks run
--- nil at the end; nil, message, code when the file cannot be read on.
---@return "new"|"known"|"accepted"|"fault"|"turn"|nil kind
---@return integer|string line_or_message
---@return integer|string|nil number_or_message_or_code
---@return string? skeleton_or_code
---@return integer? offset
function Scan:next() end
--- Rows with this skeleton need not be told of again.
---@param number integer
function Scan:accept(number) end
--- The current line, without its end and a byte order mark.
---@return string? line
function Scan:line() end
--- Bytes read so far, the file's size on disk (0: not known), and rows so far (lines that are not blank).
---@return integer done
---@return integer total
---@return integer rows
function Scan:position() end
function Scan:close() end

return dataset
