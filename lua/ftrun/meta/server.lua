---@meta ft.server
--- An HTTP/1.1 server by libmicrohttpd inside the event loop. Every request runs its handler as a task of its own.

---@class ft.server
local server = {}

---@class ft.server.Request
---@field method string
---@field path string              percent-decoded, without the query
---@field query table<string, string>      decoded; a repeated name keeps its last value
---@field headers table<string, string>    names in lower case
---@field body string?             up to memory_bytes; nil for multipart
---@field form table<string, string|ft.server.Upload>?  multipart/form-data; a repeated name keeps its last value
---@field too_large boolean?       the body was past a limit: neither body nor form; answer 413 in your own shape
---@field unstored string?        why an uploaded file could not be written ("No space left on device"): neither body nor
---                                form; answer 500
---@field malformed boolean?       the form could not be read: neither body nor form; answer 400
---@field remote string            peer address

---@class ft.server.Upload
---@field path string       spooled file; removed after the handler unless it was renamed
---@field filename string?
---@field bytes integer
---@field sha256 string     of the content, hex

---@class ft.server.Response
---@field status integer              200 to 599
---@field headers table<string, string>?
---@field body string?
---@field path string?      a file to send instead of body
---@field chunks (fun(): string?)?  or: called as a task until nil, each string sent as it comes (SSE);
---                                    when it raises, the connection ends before the answer is complete
---@field abort boolean?               end the connection without an answer (to play faults)

---@class ft.server.Options
---@field host string?           default "127.0.0.1"; only loopback addresses unless any = true
---@field any boolean?
---@field port integer?          0 or nil: the system chooses
---@field handler fun(request: ft.server.Request): ft.server.Response
---@field spool string?          folder for uploaded files; without one, files are too_large
---@field memory_bytes integer?  largest body that is not multipart, default 64 MiB; larger: too_large
---@field upload_bytes integer?  largest uploaded file, default 512 MiB; larger: too_large
---@field timeout_s number?      idle connection, default 120
---@field head_s number?         longest time from connecting to the end of the request's head, default 10. From 675
---                              connections on, one that asks nothing is ended after a second
---@field body_s number?         longest time for 320 KiB of a body, or its end, default 20; one that comes more slowly is
---                              answered with 408, and its connection ends. 0: no limit
---@field late_body string?      body of that answer, JSON

--- A handler that raises makes a 500 answer and a line in the log. One whose client went away is cancelled where it
--- waits, within a quarter of a second; a client that will send no more (a half-closed connection) counts as gone.
---@param options ft.server.Options
---@return ft.server.Server? server
---@return string? message  "port 8080 is in use on 127.0.0.1"; "denied" also for an address that is not loopback
---@return string? code     "in_use", "denied", "io"
function server.listen(options) end

---@class ft.server.Server
local Server = {}

---@return integer
function Server:port() end

--- Stops listening, ends open connections, cancels handlers. Idempotent.
function Server:close() end

return server
