--- Answers that every evaluation may use again: one file a model in .ftrun/answers, a line an answer, found by the
--- hash of all that was asked (messages, tools, temperature, seed). Only of models whose name stands for one state of
--- them: an answer of "gpt-4o-mini", or of the local provider, may be another tomorrow.
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"

local M = {}

local MAX_BYTES = 1 << 30

local Shared = {}
Shared.__index = Shared
Shared.__close = function(self) self:close() end

local function may(self, model)
  return self.dir ~= nil and self.provider.name ~= "local"
    and (model:find "^ft:" or model:find "%-%d%d%d%d%-%d%d%-%d%d$" or model:find "%-%d%d%d%d$") ~= nil
end

---@param dir string?   the folder; nil: nothing is shared
---@param provider ftrun.Provider
---@return ftrun.evaluate.Shared
function M.open(dir, provider)
  return setmetatable({ dir = dir, provider = provider, models = {} }, Shared)
end

local function path_of(self, model)
  local where = self.provider.name .. "\n" .. (self.provider.base_url or "") .. "\n" .. model
  return ("%s/%s.jsonl"):format(self.dir, digest.sha256(where):sub(1, 32))
end

local function of(self, model)
  local known = self.models[model]
  if known then return known end
  known = { answers = {}, path = path_of(self, model) }
  self.models[model] = known
  -- without its last line when a crash cut that off
  for line in (fs.read(known.path, MAX_BYTES) or ""):gmatch "([^\n]*)\n" do
    local record = json.decode(line)
    if type(record) == "table" and type(record.prompt_sha256) == "string" and type(record.answer) == "string" then
      known.answers[record.prompt_sha256] = record
    end
  end
  return known
end

--- What the model answered to the same question before; nil when it is not known, or may have changed.
---@param model string
---@param prompt_sha256 string
---@return ftrun.evaluate.Answer?
function Shared:find(model, prompt_sha256)
  return may(self, model) and of(self, model).answers[prompt_sha256] or nil
end

--- Keeps an answer for others.
---@param record ftrun.evaluate.Answer
function Shared:add(record)
  if not record.answer or not may(self, record.model) then return end
  local known = of(self, record.model)
  if known.answers[record.prompt_sha256] then return end
  known.answers[record.prompt_sha256] = record
  if not known.file then
    err.check("system", fs.mkdir(self.dir))
    known.file = err.check("system", fs.append(known.path))
    local bytes = fs.read(known.path, MAX_BYTES) or ""
    if bytes ~= "" and bytes:sub(-1) ~= "\n" then err.check("system", known.file:write "\n") end -- a crash's half line
  end
  err.check("system", known.file:write(json.encode { model = record.model, prompt_sha256 = record.prompt_sha256,
    answer = record.answer, finish_reason = record.finish_reason, usage = record.usage, seconds = record.seconds,
    batch = record.batch } .. "\n"))
end

function Shared:close()
  for _, known in pairs(self.models) do
    if known.file then known.file:close() end
    known.file = nil
  end
end

return M
