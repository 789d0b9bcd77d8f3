--- The tracker that is always on: events.jsonl holds every event as it came, metrics.jsonl one line a step,
--- tables.jsonl the recipe's tables, and metrics.csv, written when the run ends or rests, the steps with what the
--- recipe logged to them. events.jsonl is the truth: the others are made from it when a run is taken up again, so a
--- crash between two writes loses and doubles nothing.
local err = require "ftrun.err"
local fs = require "ft.fs"
local json = require "ftrun.json"
local log = require "ft.log"

local files = {}

local MAX_BYTES = 1 << 30

local function metrics_line(event)
  local row = { step = event.step, created_at = event.created_at }
  for name, value in pairs(event.metrics) do row[name] = value end
  return json.encode(row) .. "\n"
end

-- The lines of tables.jsonl that an event makes.
local function table_lines(event)
  local lines = {}
  for _, item in ipairs(event.type == "said" and event.items or {}) do
    if item.say == "table" then
      lines[#lines + 1] = json.encode { name = item.name, step = event.step, columns = item.columns, rows = item.rows }
        .. "\n"
    end
  end
  return table.concat(lines)
end

-- Whole lines of a file as values; the place where the last of them ends.
local function each(bytes)
  return coroutine.wrap(function()
    for line, stop in bytes:gmatch "([^\n]*)\n()" do
      local event = json.decode(line)
      if not event then return end
      coroutine.yield(event, stop - 1)
    end
  end)
end

local function read(dir)
  local bytes, message, code = fs.read(dir .. "/events.jsonl", MAX_BYTES)
  if not bytes and code ~= "not_found" then err.raise("system", message, { code = code }) end
  return bytes or ""
end

--- The events of an earlier start, in order. A last line that a crash cut off is dropped, also on
--- disk.
local function recover(dir)
  local bytes = read(dir)
  local events, rows, tables, whole = {}, {}, {}, 0
  for event, stop in each(bytes) do
    events[#events + 1] = event
    if event.type == "metrics" then rows[#rows + 1] = metrics_line(event) end
    tables[#tables + 1] = table_lines(event)
    whole = stop
  end
  if whole < #bytes then err.check("system", fs.write(dir .. "/events.jsonl", bytes:sub(1, whole))) end
  err.check("system", fs.write(dir .. "/metrics.jsonl", table.concat(rows)))
  tables = table.concat(tables)
  if tables ~= "" then err.check("system", fs.write(dir .. "/tables.jsonl", tables)) end
  return events
end

local function csv_cell(v)
  local text = v == nil and "" or tostring(v)
  return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
end

-- The steps as a table for spreadsheets; a step's later values go before its earlier ones.
local function write_csv(dir)
  local rows, columns, seen, row = {}, {}, { step = true, created_at = true }, nil
  local function put(values)
    for name, value in pairs(values) do
      if not seen[name] then seen[name], columns[#columns + 1] = true, name end
      row[name] = value
    end
  end
  for event in each(read(dir)) do
    if event.type == "metrics" then
      row = { step = event.step, created_at = event.created_at }
      rows[#rows + 1] = row
      put(event.metrics)
    elseif event.type == "said" and row and event.step == row.step then
      for _, item in ipairs(event.items) do if item.say == "log" then put(item.values) end end
    end
  end
  if #rows == 0 then return end
  table.sort(columns)
  table.insert(columns, 1, "created_at")
  table.insert(columns, 1, "step")
  local names = {}
  for i, name in ipairs(columns) do names[i] = csv_cell(name) end
  local lines = { table.concat(names, ",") }
  for _, values in ipairs(rows) do
    local cells = {}
    for i, name in ipairs(columns) do cells[i] = csv_cell(values[name]) end
    lines[#lines + 1] = table.concat(cells, ",")
  end
  return fs.write(dir .. "/metrics.csv", table.concat(lines, "\n") .. "\n")
end

--- The events of a run, read only.
---@param dir string
---@return table[]
function files.events(dir)
  local events = {}
  for event in each(read(dir)) do events[#events + 1] = event end
  return events
end

---@param context { dir: string }
---@return table tracker  also `past`: the events of earlier starts
function files.open(context)
  local past = recover(context.dir)
  local events = err.check("system", fs.append(context.dir .. "/events.jsonl"))
  local metrics = err.check("system", fs.append(context.dir .. "/metrics.jsonl"))
  local tracker = { past = past }

  --- An event is on disk before anybody acts on it: a second start knows that it was seen.
  function tracker.event(event)
    err.check("system", events:write(json.encode(event) .. "\n", event.id ~= nil))
    if event.type == "metrics" then err.check("system", metrics:write(metrics_line(event))) end
    local tables = table_lines(event)
    if tables ~= "" then
      local file <close> = err.check("system", fs.append(context.dir .. "/tables.jsonl"))
      err.check("system", file:write(tables))
    end
  end

  function tracker.close()
    events:close()
    metrics:close()
    if not fs.stat(context.dir) then return end -- the run was not agreed to
    local ok, message = write_csv(context.dir)
    if ok == nil and message then log.warn("metrics.csv could not be written: " .. message) end
  end

  return tracker
end

return files
