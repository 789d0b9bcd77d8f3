---@meta ft.fs
--- Files. Failures: nil, message ("path: reason"), code of not_found, exists, denied, disk_full, busy, too_large, io.

---@class ft.fs
local fs = {}

---@param path string
---@param max_bytes integer?  default 64 MiB
---@return string? bytes
---@return string? message
---@return string? code
function fs.read(path, max_bytes) end

--- Writes a whole file so that a crash leaves the old one or the new one: temporary file beside it, fsync, rename, fsync of the folder.
---@param path string
---@param bytes string
---@param mode integer?  permissions of a new file, default 0644; an existing file keeps its own
---@return true? ok
---@return string? message
---@return string? code
function fs.write(path, bytes, mode) end

--- Opens a file to append to, created when missing.
---@param path string
---@return ft.fs.Appender? appender
---@return string? message
---@return string? code
function fs.append(path) end

---@class ft.fs.Appender
local Appender = {}
--- Writes all bytes; with sync, returns after fsync. After a failed write what was written of it is cut off again.
---@param bytes string
---@param sync boolean?
---@return true? ok
---@return string? message
---@return string? code
function Appender:write(bytes, sync) end
--- Adds all bytes of a file; like write, all or nothing. Waits for no disk: end with write("", true).
---@param path string
---@return true? ok
---@return string? message
---@return string? code
function Appender:copy(path) end
function Appender:close() end

--- Takes an exclusive lock that dies with the process (flock). Busy: nil, message, "busy", with the text that the holder wrote.
---@param path string
---@param note string?   written into the file ("pid 4711")
---@return ft.fs.Lock? lock
---@return string? message
---@return string? code
---@return string? holder
function fs.lock(path, note) end

---@class ft.fs.Lock
local Lock = {}
function Lock:close() end

--- Makes a folder and its parents. An existing folder is no error.
---@param path string
---@return true? ok
---@return string? message
---@return string? code
function fs.mkdir(path) end

--- Names in a folder, sorted by bytes, without "." and "..".
---@param path string
---@return string[]? names
---@return string? message
---@return string? code
function fs.list(path) end

---@param path string
---@return { type: "file"|"directory"|"other", bytes: integer, modified: number }? info
---@return string? message
---@return string? code
function fs.stat(path) end

---@param from string
---@param to string
---@return true? ok
---@return string? message
---@return string? code
function fs.rename(from, to) end

--- Removes a file or an empty folder; with `tree`, everything below (symbolic links are not followed).
---@param path string
---@param tree boolean?
---@return true? ok
---@return string? message
---@return string? code
function fs.remove(path, tree) end

--- The absolute path without links.
---@param path string
---@return string? path
---@return string? message
---@return string? code
function fs.realpath(path) end

--- The process's user (its number, where it has no name) and this machine's name.
---@return string  "user@host"
function fs.whoami() end

--- A new private folder below TMPDIR.
---@param prefix string
---@return string? path
---@return string? message
---@return string? code
function fs.temporary(prefix) end

return fs
