---@meta ft.gzip
--- Gzip files as streams of bytes. The same bytes give the same file: it holds no name and no time.

---@class ft.gzip
local gzip = {}

--- Opens a gzip file to be written: add bytes, then commit (fsync, rename over path) or close (drop).
---@param path string
---@return ft.gzip.Writer? writer
---@return string? message
---@return string? code
function gzip.writer(path) end

---@class ft.gzip.Writer
local Writer = {}
---@param bytes string
---@return true? ok
---@return string? message
---@return string? code
function Writer:add(bytes) end
--- Adds the first `size` bytes of a file.
---@param path string
---@param size integer
---@return true? ok
---@return string? message
---@return string? code  also "changed": the file has fewer bytes
function Writer:copy(path, size) end
---@return true? ok
---@return string? message
---@return string? code
function Writer:commit() end
--- Drops the file unless committed. Idempotent.
function Writer:close() end

--- Opens a gzip file to be read.
---@param path string
---@return ft.gzip.Reader? reader
---@return string? message
---@return string? code  also "gzip": it is none
function gzip.reader(path) end

---@class ft.gzip.Reader
local Reader = {}
--- The next bytes: as many as asked for, fewer at the end, then nil; nil, message, code when the file is damaged or cut off.
---@param most integer  1 to 16 MiB
---@return string? bytes
---@return string? message
---@return string? code
function Reader:read(most) end
function Reader:close() end

return gzip
