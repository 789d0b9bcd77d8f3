---@meta ft.secrets
--- Settings and secrets out of the environment and `.env` files. Secrets stay in C: Lua can ask whether one is there and pass its
--- name to a binding (http's auth, postgres.connect), never read it.
--- A name is secret when it contains KEY, TOKEN, SECRET, PASSWORD, PASSWD, CREDENTIAL or DSN, or is DATABASE_URL; a value is
--- secret too when it is a URL with a password in it. Secret values of 4 bytes or more are masked in all output;
--- of such a URL the whole and the password alone (also percent-decoded), unless that is also its user, host or database.
--- No secrets: true, false, none, null, auto, yes, no, on, off; and a number of up to 7 digits under a name with KEY or
--- TOKEN only (MAX_TOKENS=4096).

---@class ft.secrets
local secrets = {}

--- Reads a `.env` file as python-dotenv does (export, quotes, escapes in double quotes, comments, CRLF, `#` inside values,
--- ${NAME} and ${NAME:-default}). The process environment wins over the file, also with an empty value; among several files
--- the first wins; the same file read again replaces what it held. A missing file is no error: returns 0.
--- Broken lines are skipped: at "syntax" (the first of them) all others have been read, so a caller may warn and go on.
---@param path string
---@return integer? count  names read
---@return string? message  path:line: what is wrong
---@return string? code     "syntax", "io", "denied", "too_large" (past 1 MiB), "folder", "encoding" (UTF-16), "dangling" (a link to
---  a file that is not there)
function secrets.load(path) end

--- Where the value comes from: "environment", the `.env` path, or nil when it is not set. An empty value counts as not set.
---@param name string
---@return string? origin
function secrets.origin(name) end

---@param name string
---@return boolean
function secrets.is_secret(name) end

--- The value of a setting. Raises when the name (or the value) is secret.
---@param name string
---@return string? value  nil when not set
function secrets.setting(name) end

--- Where a database URL points, without what is secret: "user@host:port/dbname". nil when not set.
---@param name string
---@return string?
function secrets.describe(name) end

--- The value of a setting as a file has it, unquoted and with ${...} as it stands, and as it is written there. Raises when it
--- is secret.
---@param path string
---@param name string
---@return string? value    nil alone when the file or the setting is not there
---@return string? raw      or the message
---@return string? code     as load, and "too_large" for a value, "nul" for one with a zero byte
function secrets.read_setting(path, name) end

--- Takes a setting of a file as a secret, whose value Lua does not see, and to be found under another name.
---@param path string
---@param name string  in the file
---@param as string    the name of a secret (it holds KEY, say)
---@return boolean? found   nil when the file cannot be read; one that is not there holds nothing
---@return string? message
---@return string? code     as load
function secrets.adopt(path, name, as) end

--- Changes one setting of a file, in one step and without touching any other byte; a new file is its owner's alone. Of several
--- bindings of the name the last one, which counts, is changed. Raises when it is secret.
---@param path string
---@param name string
---@param raw string?  the value as it is to be written, with quotes where it needs them; nil takes the line out
---@return true? ok
---@return string? message
---@return string? code     as read_setting, and "disk_full"; then the file is as it was
function secrets.write_setting(path, name, raw) end

--- Whether a netrc file has a password for a machine. The password stays in C, is masked in all output, and is a
--- secret for http's auth under the name that is returned.
---@param path string
---@param machine string  host, or host:port
---@return string|false|nil secret  false when there is none
---@return string? message
---@return string? code  not_found, denied, io, and those of read_setting
function secrets.netrc(path, machine) end

return secrets
