--- How far the server has a run, on disk beside its log: a restart goes on from there. What was accepted but not noted
--- is sent again, under the same numbers, which changes nothing.
---
--- W&B's own sync knows no numbers: it adds all steps after those that are there already. So the mark by which it
--- passes a log over, and which it leaves itself, is set as soon as the first line was accepted.
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"

local cursor = {}

local MAX_BYTES = 64 << 20

local NAMES = { "target", "history", "output", "files", "artifacts", "stopped", "complete", "lost" }

---@class ftrun.wandb.Cursor
---@field target string    server, team and project that the rest is about
---@field history integer  lines that were accepted
---@field output integer
---@field files table<string, string>     MD5 of run files that are there, by name
---@field artifacts table<string, boolean>  that are there, by what they are
---@field stopped boolean?   the stop button was honoured: a later start goes on
---@field complete boolean?  the end was accepted
---@field lost integer?      files and artifacts of it that were refused
local Cursor = {}
Cursor.__index = Cursor

--- The path of the cursor of a log.
---@param log_path string
---@return string
local function path(log_path)
  return log_path .. ".sent.json"
end

local function fresh(log_path)
  return setmetatable({ log_path = log_path, path = path(log_path), history = 0, output = 0, files = {},
    artifacts = {} }, Cursor)
end

--- What is known of a log; a file that cannot be read counts as none.
---@param log_path string
---@return ftrun.wandb.Cursor
function cursor.open(log_path)
  local self = fresh(log_path)
  local known = json.decode(fs.read(self.path, MAX_BYTES) or "")
  if type(known) ~= "table" or math.type(known.history) ~= "integer" or math.type(known.output) ~= "integer"
    or type(known.files) ~= "table" or type(known.artifacts) ~= "table" then
    return self
  end
  for _, name in ipairs(NAMES) do self[name] = known[name] end
  return self
end

--- The mark of W&B's own tools: they have nothing to do with this log.
---@param log_path string
---@return string
function cursor.mark(log_path)
  return log_path .. ".synced"
end

--- What a server has of a log.
---@param log_path string
---@return "none"|"part"|"all"
function cursor.state(log_path)
  if not fs.stat(cursor.mark(log_path)) then return "none" end
  if not fs.stat(path(log_path)) then return "all" end -- W&B's own sync was here
  local self = cursor.open(log_path)
  return self.complete and (self.lost or 0) == 0 and "all" or "part"
end

--- There is more in a log than there was: what was sent is not all any longer.
---@param log_path string
function cursor.grown(log_path)
  if cursor.state(log_path) ~= "all" then return end
  local self = cursor.open(log_path)
  self.complete = nil
  self:save()
end

--- Nothing is known of a log any more.
---@param log_path string
function cursor.forget(log_path)
  fs.remove(cursor.mark(log_path))
  fs.remove(path(log_path))
  fs.remove(log_path .. ".syncstate")
end

--- Says where the run is. Another place knows nothing yet, and the one that has less than was noted gets it again.
---@param target string
---@param lines integer?  of history that the server says to have
function Cursor:at(target, lines)
  if self.target and self.target ~= target then
    local new = fresh(self.log_path)
    for name in pairs(self) do self[name] = new[name] end
  end
  self.target = target
  if lines and lines < self.history then
    self.history, self.output, self.complete, self.lost = math.max(0, lines), 0, nil, nil
  end
end

--- Notes it on disk. Without that a restart sends more than it had to: no reason to stop.
function Cursor:save()
  local known = {}
  for _, name in ipairs(NAMES) do known[name] = self[name] end
  local ok, message = fs.write(self.path, json.encode(known) .. "\n")
  local mark = cursor.mark(self.log_path)
  if ok and self.history + self.output > 0 and not fs.stat(mark) then ok, message = fs.write(mark, "") end
  if not ok and not self.told then
    self.told = true
    log.warn("W&B: what was sent cannot be noted: " .. message)
  end
end

return cursor
