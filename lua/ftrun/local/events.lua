--- The events of one job: an append-only log on disk. An event with a key is written once, however often the work that
--- causes it is repeated after a restart. In memory there are only the ids and where each event lies, so that a log of
--- a hundred thousand events is some megabytes; a page is read when it is asked for.
local dataset = require "ft.dataset"
local fs = require "ft.fs"
local time = require "ft.time"
local json = require "ftrun.json"
local err = require "ftrun.err"
local lines = require "ftrun.local.lines"
local Store = require "ftrun.local.store"

local Events = {}
Events.__index = Events

local function check(...) return err.check("system", ...) end

--- Steps come in order: of their keys only the last must be known.
local function step_of(key)
  return key and math.tointeger(tonumber(key:match "^step%-(%d+)$"))
end

local function is_known(self, key)
  local step = step_of(key)
  return key and (step and step <= self.last_step or self.keys[key] ~= nil)
end

local function keep(self, id, key, bytes)
  self.n = self.n + 1
  self.place[id], self.starts[self.n] = self.n, self.bytes
  self.bytes = self.bytes + bytes
  local step = step_of(key)
  if step then self.last_step = math.max(self.last_step, step) elseif key then self.keys[key] = true end
end

--- The log of one job; waits while a long one is read. A last line that a crash left unfinished is cut off.
---@param path string
---@return table events
function Events.open(path)
  local self = setmetatable({ path = path, n = 0, bytes = 0, place = {}, starts = {}, keys = {}, last_step = 0 },
    Events)
  lines.take_up(path, function(line)
    local values = dataset.pick(line, { "id", "key" })
    if not values or not values[1] then return false end
    keep(self, values[1], values[2] or nil, #line + 1)
  end)
  return self
end

--- Adds an event, unless one with this key is there.
---@param e { key: string?, level: string?, message: string, metrics: table? }
function Events:emit(e)
  if is_known(self, e.key) then return end
  local event = { id = Store.id("ftevent-", 24), created_at = math.floor(time.now()), level = e.level or "info",
                  message = e.message, data = e.metrics, key = e.key }
  local line = json.encode(event) .. "\n"
  self.file = self.file or check(fs.append(self.path))
  check(self.file:write(line, not e.metrics))
  keep(self, event.id, e.key, #line)
end

--- The newest events first, from the one behind `after`; see Index:page.
---@param o { after: string?, limit: integer }
---@return table[]? events  nil when `after` is unknown
---@return boolean has_more
function Events:page(o)
  local last = self.n
  if o.after then
    if not self.place[o.after] then return nil, false end
    last = self.place[o.after] - 1
  end
  local first = math.max(1, last - o.limit + 1)
  local found = {}
  if last >= 1 then
    local file <close> = check(io.open(self.path, "rb"))
    file:seek("set", self.starts[first])
    local text = file:read((self.starts[last + 1] or self.bytes) - self.starts[first])
    local at = last - first + 1
    for line in text:gmatch "([^\n]*)\n" do
      found[at], at = json.decode(line), at - 1
    end
  end
  return found, first > 1
end

--- An event as the client sees it.
function Events.public(event)
  return { object = "fine_tuning.job.event", id = event.id, created_at = event.created_at, level = event.level,
           type = event.data and "metrics" or "message", message = event.message, data = event.data or {} }
end

--- Calls fn for the metrics of each step, oldest first.
---@param fn fun(metrics: table)
function Events:each_metrics(fn)
  lines.each(self.path, function(line)
    local data = json.decode(line).data
    if data then fn(data) end
  end)
end

function Events:close()
  if self.file then self.file:close() end
end

return Events
