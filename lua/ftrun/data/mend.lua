--- `validate --fix`: a corrected copy of a JSONL file. Corrected is only what cannot change the meaning of a row: byte
--- order mark, line ends, empty lines, keys that the format does not know. Rows that are equal to an earlier one, to
--- the byte, are left out. All other bytes stay as they are.
local dataset = require "ft.dataset"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local jsontext = require "ftrun.data.jsontext"
local rules = require "ftrun.data.rules"
local splits = require "ftrun.data.split"
local time = require "ft.time"

local M = {}

local KEPT = 4096 -- verdicts
local TURN = 500  -- rows between two turns of the loop

---@class ftrun.Change
---@field line integer    of the input
---@field code string     that of the finding; duplicate_row: the line was left out
---@field path string
---@field message string  what was done

-- "messages[1]." as { "messages", 1 }
local function steps_of(prefix)
  local steps = {}
  for name, index in prefix:gmatch "([^.%[%]]*)%[?(%d*)%]?%.?" do
    if name ~= "" then steps[#steps + 1] = name end
    if index ~= "" then steps[#steps + 1] = math.tointeger(tonumber(index)) end
  end
  return steps
end

-- Rows that were there, by 120 bits of their hash.
local function new_memory()
  local seen = {}
  return function(line)
    local hex = digest.sha256(line)
    local a, b = tonumber(hex:sub(1, 15), 16), tonumber(hex:sub(16, 30), 16)
    if seen[a] == b then return true end
    seen[a] = seen[a] or b
    return false
  end
end

local function judge_by(method)
  local verdicts, count, shape = {}, 0, rules.shape()
  return function(line)
    local skeleton = shape:skeleton(line)
    if not skeleton then return {} end
    local findings = verdicts[skeleton]
    if not findings then
      if count == KEPT then verdicts, count = {}, 0 end
      findings = rules.judge(skeleton, method).findings
      verdicts[skeleton], count = findings, count + 1
    end
    return findings
  end
end

local function check_paths(input, output)
  if output:find "%.gz$" then
    err.raise("usage", "--fix writes plain JSONL; name a file without .gz")
  end
  local real = fs.realpath(output)
  if real and real == fs.realpath(input) then
    err.raise("usage", "--fix never writes over its input; name another file")
  end
end

--- Copies a file with its corrections. Raises err "usage", "data" (broken gzip, too long a line) and "system".
---@param input string
---@param output string
---@param method string
---@param emit fun(change: ftrun.Change)
---@return { rows: integer, lines: integer }  rows written, lines read
function M.copy(input, output, method, emit)
  check_paths(input, output)
  local reader <close> = setmetatable({ r = err.check("system", dataset.reader(input)) },
    { __close = function(s) s.r:close() end })
  local writer <close> = splits.writer(output)
  local judge, is_known, number = judge_by(method), new_memory(), 0
  local function changed(code, path, message)
    emit { line = number, code = code, path = path, message = message }
  end
  while true do
    local line, at, code, line_end = reader.r:next()
    if not line then
      if at then err.unreadable(at, code) end
      break
    end
    number = at
    if number == 1 and line:sub(1, 3) == "\xEF\xBB\xBF" then
      line = line:sub(4)
      changed("bom", "", "byte order mark removed")
    end
    if line_end == 2 then changed("crlf", "", "line end made LF") end
    if not line:find "[^ \t\r]" then
      changed("empty_line", "", "empty line removed")
    else
      for _, f in ipairs(judge(line)) do
        if f.fixable and f.member then
          line = jsontext.without(line, steps_of(f.member.prefix), f.member.key)
          changed(f.code, f.path, "key removed")
        end
      end
      if is_known(line) then
        changed("duplicate_row", "", "left out: equal to an earlier row")
      else
        writer.add(line)
      end
    end
    if number % TURN == 0 then time.sleep(0) end
  end
  return { rows = writer.commit().lines, lines = number }
end

return M
