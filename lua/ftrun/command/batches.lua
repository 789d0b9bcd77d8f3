--- ftrun batches [list|get|cancel] [ID...]: requests that are answered within a day at half the price.
local things = require "ftrun.things"
local time = require "ft.time"

local function progress(batch)
  local counts = batch.counts
  if not counts.total then return "" end
  return ("%d of %d"):format(counts.completed or 0, counts.total)
    .. ((counts.failed or 0) > 0 and (", %d failed"):format(counts.failed) or "")
end

return { main = things.command {
  name = "batch", none = "the provider has no batches",
  list = function(provider) return provider:batches() end,
  get = function(provider, id) return provider:batch(id) end,
  row = function(batch)
    return { batch.created_at and time.iso8601(batch.created_at) or "", batch.status, progress(batch), batch.id }
  end,
  lines = function(batch)
    local rows = { { "batch", batch.id }, { "status", batch.status }, { "requests", progress(batch) } }
    for _, key in ipairs { "input_file", "output_file", "error_file" } do
      if batch[key] then rows[#rows + 1] = { (key:gsub("_", " ")), batch[key] } end
    end
    for _, e in ipairs(batch.errors) do
      rows[#rows + 1] = { "error", (e.line and ("line %d: "):format(e.line) or "") .. (e.message or e.code or "") }
    end
    return rows
  end,
  ends = { cancel = { asks = "%s\nCancel this batch? What is answered already stays, and is billed.",
    did = "is asked to end", run = function(provider, id) return provider:cancel_batch(id) end } },
} }
