---@meta ft.http
--- HTTP by libcurl's multi interface: one request, one answer. No retry, no JSON, no redirect, no cookie.

---@class ft.http
local http = {}

---@class ft.http.Part        one part of a multipart/form-data body
---@field name string
---@field value string?        a field's text
---@field path string?         or: a file, streamed from disk
---@field offset integer?      of the file only the bytes from here, default 0
---@field bytes integer?       and so many; default: to its end
---@field filename string?     default: the path's last component
---@field content_type string?

---@class ft.http.Auth         a header whose value never enters Lua
---@field secret string        name in the secrets store ("OPENAI_API_KEY")
---@field header string?       default "Authorization"
---@field prefix string?       default "Bearer "
---@field user string?         HTTP Basic instead, with this user and the secret as password

---@class ft.http.Options
---@field headers table<string, string>?
---@field auth ft.http.Auth?
---@field body string?
---@field parts ft.http.Part[]?    excludes body
---@field file string?             path: its bytes are the body, streamed from disk; excludes body and parts
---@field output string?           path: the body of a 2xx answer is written there (temporary file, fsync, rename), not returned
---@field timeout_s number?        whole request, default 60
---@field connect_timeout_s number? default 10
---@field stall_s number?          fail when nothing moved for so long after the connection stood; default 30
---@field max_bytes integer?       largest answer body, default 16 MiB; past it: "too_large"; counts decoded bytes
---@field on_progress (fun(sent: integer, total: integer, received: integer))?  called between loop turns, at most 10 times a second, by the waiting task
---@field on_data (fun(piece: string))?  gets the body of a 2xx answer as it comes, called by the waiting task; the
---                                answer's own body is "" then
---@field proxy boolean?           false: never use a proxy (loopback); default: the environment's, as curl knows them

---@class ft.http.Response
---@field status integer
---@field headers table<string, string>  names in lower case; repeated ones joined by ", "
---@field body string          "" when written to a file
---@field bytes integer        size of the body as received
---@field seconds number       time it took

--- Sends one request and waits. A failing status is an answer, not an error.
--- Codes: no_secret, bad_url, dns, refused, tls, timeout, stalled, reset (after the connection was made), too_large, io, proxy, cancelled.
--- `sent` tells whether any byte of the request left: when false, nothing can have been created.
---@param method string
---@param url string
---@param options ft.http.Options?
---@return ft.http.Response? response
---@return string? message
---@return string? code
---@return boolean? sent
function http.request(method, url, options) end

--- Percent-encodes a string for a path segment or a query value (RFC 3986 unreserved stay).
---@param s string
---@return string
function http.escape(s) end

return http
