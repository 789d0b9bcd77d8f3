--- A file at the provider, once: its name carries the hash of its content, it is looked for before it is sent, and the
--- intent is on disk before that.
local digest = require "ft.digest"
local err = require "ftrun.err"
local once = require "ftrun.run.once"

local M = {}

---@class ftrun.Upload
---@field name string      of the intent: "train"
---@field path string
---@field filename string  at the provider, with the hash in it
---@field bytes integer
---@field sha256 string
---@field purpose string
---@field changed string   what is said when the file is no longer what was hashed
---@field advice string    what to do then

-- What was agreed to is what is sent: a file that was changed since is not.
local function check_content(o)
  if err.check("system", digest.sha256_file(o.path)) ~= o.sha256 then
    err.raise("data", o.changed, { where = o.path, advice = o.advice })
  end
end

-- Whether an upload that was begun may have made a file: one in parts makes none before its last part is there.
local function may_have_arrived(c, name)
  if not c.journal:pending("upload:" .. name) then return false end
  local state, known = c.journal:last("phase", "parts:" .. name), 0
  if not state then return true end
  for _ in pairs(state.parts) do known = known + 1 end
  return known * state.part_bytes >= state.bytes
end

--- Sends a file, unless it is there already. Recorded in the journal.
---@param c { provider: ftrun.Provider, journal: ftrun.Journal, ui: { note: fun(text: string), progress: function } }
---@param o ftrun.Upload
---@return { id: string, filename: string, bytes: integer } record
---@return boolean sent
function M.once(c, o)
  local intent, parts = "upload:" .. o.name, "parts:" .. o.name
  local function find() return c.provider:find_file { filename = o.filename, bytes = o.bytes, purpose = o.purpose } end
  local there, sent = once.look(c, intent, may_have_arrived(c, o.name), find), false
  if there then
    c.ui.note(("%s: already uploaded as %s"):format(o.filename, there.id))
  else
    check_content(o)
    c.journal:intend(intent, { filename = o.filename, bytes = o.bytes, sha256 = o.sha256 })
    there = once.make(c, intent, find, c.provider.put_file, { path = o.path, filename = o.filename,
      purpose = o.purpose, state = c.journal:last("phase", parts),
      on_state = function(state) c.journal:done(parts, state) end,
      on_progress = function(done, total) c.ui.progress("uploading " .. o.name, done, total) end })
    c.ui.note(("%s: uploaded as %s"):format(o.filename, there.id))
    sent = true
  end
  local record = { id = there.id, filename = o.filename, bytes = o.bytes }
  c.journal:done(intent, record)
  return record, sent
end

return M
