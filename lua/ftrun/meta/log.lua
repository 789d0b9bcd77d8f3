---@meta ft.log
--- The one way to the terminal's stderr. Every line is masked (registered secrets become "***") and freed from control
--- bytes. The levels are: error, warn, info, debug.

---@class ft.log
local log = {}

--- Each writes one line (or several, split at "\n") to stderr; errors and warnings carry the prefix "ftrun: ".
---@param message string
function log.error(message) end
---@param message string
function log.warn(message) end
---@param message string
function log.info(message) end
---@param message string
function log.debug(message) end

--- Sets the lowest level that is written. Default "info"; `--quiet` sets "warn", FTRUN_LOG=debug sets "debug".
---@param level "error"|"warn"|"info"|"debug"
function log.level(level) end

--- Writes a result to stdout, masked; control bytes other than "\n" and "\t" removed when stdout is a terminal. Nothing else writes there.
--- After a failure every later call fails the same way: log.out "" tells at the end whether all is written.
--- @param text string  written as it is, no newline added
---@param colour "red"|"green"|"cyan"|"bold"|nil  on a terminal that has colours and without NO_COLOR; else it changes nothing
---@return true? ok
---@return string? message
---@return string? code  "io" and "closed" (the reader of a pipe went away)
function log.out(text, colour) end

--- The text with every registered secret replaced by "***". Files that hold foreign messages go through it too.
---@param text string
---@return string
function log.mask(text) end

--- True when the stream is a terminal.
---@param stream "stdin"|"stdout"|"stderr"
---@return boolean
function log.is_terminal(stream) end

--- Width of the terminal behind stderr in columns; 80 when there is none.
---@return integer
function log.columns() end

return log
