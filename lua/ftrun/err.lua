--- Orderly ends. A policy module that cannot go on raises an error of one kind; the kind decides
--- the exit code, and cli.lua prints it: one message, where it happened, what to do. Any other
--- raised value is a bug in ftrun.
local err = {}

---@class ftrun.Error
---@field kind string        a key of err.kinds
---@field message string     one clear sentence: what happened, what was expected
---@field where string?      "recipe.lua:12" or "train.jsonl:7"
---@field advice string?     what to do now
---@field code string?       stable word of the layer below ("insufficient_quota", "42P01")
---@field status integer?    HTTP status
---@field request_id string? the provider's x-request-id
---@field sent boolean?      false: no byte of the request left this machine
---@field list ftrun.Error[]? several faults found at once

--- The one table of exit codes; README, --help and the man page are made from it.
---@type { [1]: string, [2]: integer, [3]: string }[]  kind, exit code, meaning
err.table = {
  { "ok", 0, "done" },
  { "bug", 1, "internal error in ftrun; please report it" },
  { "usage", 2, "wrong command line" },
  { "recipe", 3, "the recipe has errors, or ran too long" },
  { "data", 4, "the data cannot be used: no rows, too few examples, broken labels" },
  { "setting", 5, "a setting or key is missing or wrong (OPENAI_API_KEY, DATABASE_URL)" },
  { "database", 6, "the database cannot be reached or refused the query" },
  { "network", 7, "the provider cannot be reached" },
  { "provider", 8, "the provider refused the request (quota, limits, permissions)" },
  { "job", 9, "the fine-tuning job failed or was cancelled" },
  { "busy", 10, "another process holds this run, or the port is in use" },
  { "system", 11, "this machine: disk full, no permission, file missing" },
  { "declined", 12, "not confirmed, or over the budget" },
  { "gate", 13, "the gate was not passed; nothing was promoted" },
  { "differs", 14, "diff: the two differ; verify: something is not as the lock file says" },
  { "failed", 15, "test: a recipe has failed" },
  { "partial", 16, "some rows failed; their lines say why, and all others are there" },
  { "detached", 130, "interrupted by Ctrl-C; the job goes on (143 for SIGTERM)" },
}

---@type table<string, integer>
err.kinds = {}
for _, row in ipairs(err.table) do err.kinds[row[1]] = row[2] end

local Error = {}
Error.__index = Error

--- "where: message", with the advice on the next line.
function Error:__tostring()
  local text = self.where and self.where .. ": " .. self.message or self.message
  if self.advice then text = text .. "\n  " .. self.advice:gsub("\n", "\n  ") end
  return text
end

---@param kind string
---@param message string
---@param fields table?  further fields of ftrun.Error
---@return ftrun.Error
function err.new(kind, message, fields)
  assert(err.kinds[kind], kind)
  local e = { kind = kind, message = message }
  for k, v in pairs(fields or {}) do e[k] = v end
  return setmetatable(e, Error)
end

--- Raises err.new(...).
function err.raise(kind, message, fields)
  error(err.new(kind, message, fields))
end

---@return boolean
function err.is(e)
  return getmetatable(e) == Error
end

-- What can be done about the machine's own refusals.
local MACHINE = { disk_full = "Free some space there, then start the same command again.",
  denied = "Look who owns it and may write there: ls -ld" }

--- Turns the `nil, message, code` of a native call into a raised error of a kind; passes anything
--- else through.
function err.check(kind, value, message, code, ...)
  if value == nil and message ~= nil then
    err.raise(kind, message, { code = code, advice = kind == "system" and MACHINE[code] or nil })
  end
  return value, message, code, ...
end

--- Raises what a reader of lines ran into: the machine's fault, or the file's.
---@param message string
---@param code string    as ft.dataset.reader gives it
---@param where string?  the file
function err.unreadable(message, code, where)
  err.raise(code == "io" and "system" or "data", message, { code = code, where = where })
end

return err
