--- Breaks long lines at spaces, where a terminal would break them anywhere. Pipes and files get lines as they are.
local log = require "ft.log"

local M = {}

local HANGING = 2 -- columns by which the rest of a broken line is set in

local function columns(text) return utf8.len(text) or #text end

-- A command is to be copied: it stays in one piece. Sentences may begin like one.
local function is_command(text)
  return (text:find "^ftrun " or text:find "^wandb sync ") and not text:find "%.$" and not text:find "%. "
end

local function one(line, width, taken, hang)
  if taken + columns(line) <= width or is_command(line:match "^ *(.*)$") then return line end
  local before, command = line:match "^(.-:) +(ftrun .*)$"
  if not command then before, command = line:match "^(.-:) +(wandb sync .*)$" end
  if command and is_command(command) then
    return one(before, width, taken, hang) .. "\n" .. (" "):rep(HANGING) .. command
  end
  local indent, first = line:match "^( *)(.*)$"
  local lines, current, used = {}, nil, taken
  -- the rest of an indented line stands below its beginning
  local hanging = hang and (" "):rep(hang) or indent ~= "" and indent or (" "):rep(HANGING)
  for gap, word in first:gmatch "(%s*)(%S+)" do
    local longer = current and current .. gap .. word or indent .. word
    if current and used + columns(longer) > width then
      lines[#lines + 1] = current
      longer, used = hanging .. word, 0
    end
    current = longer
  end
  lines[#lines + 1] = current
  return table.concat(lines, "\n")
end

--- Each line of the text in at most `width` columns; a word that is longer stays whole, and so does a command at the
--- end of a line ("go on with: ftrun ...").
---@param text string
---@param width number
---@param taken integer?  columns of the first line that are written already
---@param hang integer?    columns by which the rest of a broken line is set in; default: as its beginning, or 2
---@return string
function M.text(text, width, taken, hang)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = one(line, width, #lines == 0 and taken or 0, hang)
  end
  return table.concat(lines, "\n")
end

--- The width to keep to on a stream: that of the terminal, or none.
---@param stream "stdout"|"stderr"
---@return number
function M.width(stream)
  return log.is_terminal(stream) and log.columns() or math.huge
end

--- A line of a result to stdout, broken on a terminal.
---@param line string
---@param hang integer?  see text
function M.print(line, hang) log.out(M.text(line, M.width "stdout", nil, hang) .. "\n") end

local plain

--- From now on whatever is said through ft.log is broken on a terminal, whoever says it.
function M.messages()
  if plain then return end
  plain = { info = log.info, warn = log.warn, error = log.error }
  function log.info(text) plain.info(M.text(text, M.width "stderr")) end
  function log.warn(text) plain.warn(M.text(text, M.width "stderr", #"ftrun: ")) end
  function log.error(text) plain.error(M.text(text, M.width "stderr", #"ftrun: ")) end
end

return M
