--- ftrun files [list|get|delete] [ID...]
local amounts = require "ftrun.text.amounts"
local things = require "ftrun.things"
local time = require "ft.time"

local function created(thing) return thing.created_at and time.iso8601(thing.created_at) or "" end

return { main = things.command {
  name = "file", none = "the provider has no files",
  list = function(provider, args) return provider:files(args.purpose) end,
  get = function(provider, id) return provider:file(id) end,
  row = function(file)
    return { file.id, created(file), file.bytes and amounts.size(file.bytes) or "", file.purpose or "",
      file.filename or "" }
  end,
  fetch = function(provider, id, path) provider:fetch_file(id, path) end,
  ends = { delete = { asks = "%s\nDelete this file?", did = "is deleted",
    run = function(provider, id) provider:delete_file(id) end } },
} }
