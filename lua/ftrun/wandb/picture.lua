--- What the records of a log say so far, as the server should have it: the run, its configuration and summary as a
--- whole, and of the streams what has not been sent.
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"
local wire = require "ftrun.wandb.wire"

local picture = {}

local HISTORY, OUTPUT, SUMMARY = "wandb-history.jsonl", "output.log", "wandb-summary.json"

local AT_ONCE = 0 -- policy of a files record; the others wait for the end

---@class ftrun.wandb.Picture
---@field run table?         the run record
---@field exit table?        the exit record
---@field program string?
---@field history integer    lines of history in the log so far
---@field output integer     lines of console so far
---@field queue table[]      to upload: { files = names } or { artifact = record }
---@field lines integer      that wait to be sent
---@field bytes integer      of them
---@field config_changed boolean?
local Picture = {}
Picture.__index = Picture

---@param writer string
---@param folder string  for the files that the SDK makes of every run
---@return ftrun.wandb.Picture
function picture.new(writer, folder)
  return setmetatable({ writer = writer, folder = folder, console = io.open(folder .. "/" .. OUTPUT, "w"),
    config_tree = {}, summary_tree = {}, metrics = {}, queue = {}, at_end = {},
    history = 0, output = 0, lines = 0, bytes = 0, new_history = {}, new_output = {}, from_history = 0,
    from_output = 0 }, Picture)
end

--- Lines up to these numbers are at the server.
function Picture:resume(history, output)
  self.from_history, self.from_output = history, output
end

local function add(self, list, line)
  list[#list + 1] = line
  self.lines, self.bytes = self.lines + 1, self.bytes + #line
end

local take = {}

function take:run(r)
  self.run = r
  if r.config then wire.change(self.config_tree, r.config) end
  if r.summary then wire.change(self.summary_tree, r.summary) end
end

function take:config(r)
  wire.change(self.config_tree, r)
  self.config_changed = true
end

function take:history(r)
  local line = wire.history(r)
  if #line > wire.LINE_MAX then -- the server would refuse it, and W&B's SDK leaves it out too
    return log.warn("W&B: a step is too large and left out: its numbers stay in metrics.jsonl")
  end
  self.history = self.history + 1
  if self.history > self.from_history then add(self, self.new_history, line) end
end

function take:summary(r)
  wire.change(self.summary_tree, r)
  self.summary_changed = true
end

function take:output_raw(r)
  if self.console then self.console:write(r.line or "") end
  for _, line in ipairs(wire.console(r)) do
    self.output = self.output + 1
    if self.output > self.from_output then add(self, self.new_output, line) end
  end
end

function take:metric(r)
  local list = self.metrics
  for i, m in ipairs(list) do
    if m.name == r.name and m.glob_name == r.glob_name then
      list[i], self.config_changed = r, true
      return
    end
  end
  list[#list + 1], self.config_changed = r, true
end

function take:files(r)
  local now = json.array {}
  for _, file in ipairs(r.files or {}) do
    local list = (file.policy or 0) == AT_ONCE and now or self.at_end
    list[#list + 1] = file.path
  end
  if #now > 0 then self.queue[#self.queue + 1] = { files = now } end
end

function take:artifact(r)
  self.queue[#self.queue + 1] = { artifact = r }
end

function take:environment(r) self.program = r.program end
function take:exit(r) self.exit = r end

--- Takes one record up.
function Picture:take(record)
  for kind, fn in pairs(take) do
    if record[kind] then return fn(self, record[kind]) end
  end
end

--- The configuration as it stands; from now on it counts as told.
---@return string json
function Picture:config()
  self.config_changed = nil
  return wire.config(self.config_tree, self.metrics, self.writer)
end

---@return boolean
function Picture:news()
  return self.lines > 0 or self.summary_changed == true
end

--- The body of a post.
---@return table
function Picture:body()
  local files = {}
  local function lines(name, list, last)
    if #list > 0 then files[name] = { offset = last - #list, content = json.array(list) } end
  end
  lines(HISTORY, self.new_history, self.history)
  lines(OUTPUT, self.new_output, self.output)
  if self.summary_changed then
    files[SUMMARY] = { offset = 0, content = json.array { wire.text(self.summary_tree) } }
  end
  return next(files) and { files = files } or {}
end

--- Notes that the body was accepted.
function Picture:sent()
  self.new_history, self.new_output, self.lines, self.bytes, self.summary_changed = {}, {}, 0, 0, nil
end

--- Ends the files that the SDK makes of every run.
---@return string[] names  of all files that go up at the end
function Picture:keep()
  local names = json.array { "config.yaml", SUMMARY }
  fs.write(self.folder .. "/config.yaml", wire.config_file(self.config_tree))
  fs.write(self.folder .. "/" .. SUMMARY, wire.text(self.summary_tree))
  if self.output > 0 and self.console and self.console:flush() then names[#names + 1] = OUTPUT end
  table.move(self.at_end, 1, #self.at_end, #names + 1, names)
  if fs.stat(self.folder .. "/wandb-metadata.json") then names[#names + 1] = "wandb-metadata.json" end
  return names
end

function Picture:close()
  if self.console then self.console:close() end
end

return picture
