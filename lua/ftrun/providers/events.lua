--- A job's events oldest first, out of a list whose pages begin with the newest. Of a long list the pages in the middle
--- are forgotten on the way back and asked for again on the way forth, so that memory does not grow with it.
local values = require "ftrun.providers.values"

local LIMIT = 100
local KEPT_PAGES = 20

--- The events of a page that are not older than the known one; true when the known one, or what is older, was met.
local function fresh(items, known)
  local list = {}
  for _, w in ipairs(items) do
    local event = values.event(w)
    if known.met and event.created_at ~= known.created_at then return list, true end
    if event.id == known.id then
      known.met, known.created_at = true, event.created_at
      if not known.created_at then return list, true end
    else
      list[#list + 1] = event
    end
  end
  return list, false
end

--- Iterates over the events that came after a known one, oldest first. Providers promise no order within a second:
--- events as old as the known one come too, whether the caller has seen them or not; none comes twice on one page or on
--- two that are neighbours.
---@param wire ftrun.Wire
---@param path string
---@param known_id string?  the newest that the caller has seen
---@return fun(): ftrun.Event?
return function(wire, path, known_id)
  local pages, known = {}, { id = known_id }
  for items, after in wire:pages(path, { limit = LIMIT }) do
    local list, over = fresh(items, known)
    pages[#pages + 1] = { after = after, events = list }
    -- the first page stays: asked for again it would begin with what is newer
    if #pages - KEPT_PAGES > 1 then pages[#pages - KEPT_PAGES].events = nil end
    if over then break end
  end
  local list, at, told, before = {}, 0, {}, {} -- told: ids of this page; before: of the one before it
  return function()
    while true do
      while at > 0 do
        local event = list[at]
        at = at - 1
        if not told[event.id] and not before[event.id] then
          told[event.id] = true
          return event
        end
      end
      told, before = {}, told
      local page = table.remove(pages)
      if not page then return nil end
      list = page.events or fresh(wire:pages(path, { limit = LIMIT, after = page.after })() or {}, {})
      at = #list
    end
  end
end
