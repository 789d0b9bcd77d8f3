--- Answers of models to pieces of texts, each on disk before it is used: what was answered is not asked, and not paid
--- for, again. A question is the hash of all that decides the answer: model, messages, settings. Memory holds where
--- each answer stands in the file, not the answers.
local digest = require "ft.digest"
local dataset = require "ft.dataset"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"

local M = {}

local SYNC = 32 -- answers between two waits for the disk; a process that is killed loses none of them
local ORDER = { "key" }

---@class ftrun.extract.Answer  a line of the file
---@field key string            of the question
---@field model string
---@field text string
---@field refusal string?
---@field finish_reason string?
---@field usage table?
---@field seconds number?
---@field fresh boolean?        asked just now, not read

local Answers = {}
Answers.__index = Answers

--- The key of a question.
---@param question table  model, messages and settings
---@return string
function M.key(question)
  return (digest.sha256(json.encode(question)):sub(1, 32))
end

--- Opens the file, which is made when there is something to keep. To be closed.
---@param path string
---@return ftrun.extract.Answers
function M.open(path)
  local self = setmetatable({ path = path, places = {}, unsynced = 0 }, Answers)
  local file = io.open(path, "rb")
  if not file then return self end
  local _ <close> = file
  local at = 0
  for line in file:lines "L" do
    local key = line:match '^{"key":"(%x+)"'
    if key and line:byte(-1) == 10 then self.places[key] = at end
    at = at + #line
    self.torn = line:byte(-1) ~= 10 -- the last line of a process that was killed
  end
  return self
end

--- What a model has answered; nil when it was never asked, or the line cannot be read.
---@param key string
---@return ftrun.extract.Answer?
function Answers:find(key)
  local place = self.places[key]
  if not place then return nil end
  self.reader = self.reader or io.open(self.path, "rb")
  if not self.reader or not self.reader:seek("set", place) then return nil end
  local record = json.decode(self.reader:read "l" or "")
  return type(record) == "table" and record.key == key and type(record.text) == "string" and record or nil
end

--- Keeps an answer.
---@param record ftrun.extract.Answer
function Answers:keep(record)
  if not self.file then
    err.check("system", fs.mkdir(self.path:match "^(.*)/"))
    self.file = err.check("system", fs.append(self.path))
    if self.torn then err.check("system", self.file:write "\n") end
    self.size = err.check("system", fs.stat(self.path)).bytes
  end
  local line = err.check("system", dataset.encode(record, ORDER)) .. "\n"
  self.unsynced = (self.unsynced + 1) % SYNC
  err.check("system", self.file:write(line, self.unsynced == 0))
  self.places[record.key] = self.size
  self.size = self.size + #line
end

--- Idempotent.
function Answers:close()
  if self.reader then self.reader:close() end
  if self.file then
    self.file:write("", true)
    self.file:close()
  end
  self.reader, self.file = nil, nil
end
Answers.__close = Answers.close

return M
