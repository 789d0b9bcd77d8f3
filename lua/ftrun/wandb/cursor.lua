--- How far the server has a run, on disk beside its log: a restart goes on from there. What was accepted but not noted
--- is sent again, under the same numbers, which changes nothing.
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"

local cursor = {}

local MAX_BYTES = 64 << 20

---@class ftrun.wandb.Cursor
---@field target string    server, team and project that the rest is about
---@field history integer  lines that were accepted
---@field output integer
---@field files table<string, string>     MD5 of run files that are there, by name
---@field artifacts table<string, boolean>  that are there, by what they are
---@field stopped boolean?   the stop button was honoured: a later start goes on
---@field complete boolean?  the end was accepted
local Cursor = {}
Cursor.__index = Cursor

local function fresh(path)
  return setmetatable({ path = path, history = 0, output = 0, files = {}, artifacts = {} }, Cursor)
end

--- The path of the cursor of a log.
---@param log_path string
---@return string
function cursor.path(log_path)
  return log_path .. ".sent.json"
end

--- What is known of a log; a file that cannot be read counts as none.
---@param log_path string
---@return ftrun.wandb.Cursor
function cursor.open(log_path)
  local self = fresh(cursor.path(log_path))
  local known = json.decode(fs.read(self.path, MAX_BYTES) or "")
  if type(known) ~= "table" or math.type(known.history) ~= "integer" or math.type(known.output) ~= "integer"
    or type(known.files) ~= "table" or type(known.artifacts) ~= "table" then
    return self
  end
  for _, name in ipairs { "target", "history", "output", "files", "artifacts", "stopped", "complete" } do
    self[name] = known[name]
  end
  return self
end

--- Says where the run is. Another place knows nothing yet, and the one that has less than was noted gets it again.
---@param target string
---@param lines integer?  of history that the server says to have
function Cursor:at(target, lines)
  if self.target and self.target ~= target then
    local new = fresh(self.path)
    for name in pairs(self) do self[name] = new[name] end
  end
  self.target = target
  if lines and lines < self.history then
    self.history, self.output, self.complete = math.max(0, lines), 0, nil
  end
end

--- Notes it on disk. Without that a restart sends more than it had to: no reason to stop.
function Cursor:save()
  local text = json.encode { target = self.target, history = self.history, output = self.output, files = self.files,
    artifacts = self.artifacts, stopped = self.stopped, complete = self.complete }
  local ok, message = fs.write(self.path, text .. "\n")
  if not ok and not self.told then
    self.told = true
    log.warn("W&B: what was sent cannot be noted: " .. message)
  end
end

return cursor
