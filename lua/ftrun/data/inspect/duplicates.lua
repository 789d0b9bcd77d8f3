--- Prompts that come more than once: the same row, the same prompt with another answer, nearly the same prompt, and any
--- of these on both sides of a split. linear time; memory up to a limit, some 350 bytes a row.
local Groups = require "ftrun.data.inspect.groups"
local Places = require "ftrun.data.inspect.places"
local similar = require "ft.similar"
local template = require "ftrun.data.inspect.template"

local M = {}
M.__index = M

local NEAR = 0.7            -- share of the runs of three words that two prompts have in common
local KNOWN = 0.95          -- so near to one that is remembered that it need not be remembered itself
local FIRST_ROWS = 256      -- wait for the template that is learned from them,
local FIRST_BYTES = 8 << 20 -- or so many bytes
local KEYS = 50000          -- rows whose keys are remembered; of later ones the line
local SYSTEMS = 64          -- system messages that are told apart
local EXACT_SHARE = 0.25    -- of the memory
local NONE = { head = "", tail = "" }

---@param options { memory_bytes: integer, near: number? }
function M.new(options)
  local exact = math.floor(options.memory_bytes * EXACT_SHARE)
  return setmetatable({
    ledger = similar.ledger(exact), index = similar.index(options.near or NEAR, KNOWN, options.memory_bytes - exact),
    exact = Groups.new(), near = Groups.new(), more = {},
    keys = {}, known = 0, nearest = {}, -- nearest: label of a remembered near duplicate -> that of its group's first
    files = { { base = 0 } }, highest = 0, systems = {}, nsystems = 0, waiting = {}, waiting_bytes = 0,
  }, M)
end

--- A new file begins: its lines count from 1 again.
---@param name string?
function M:begin(name)
  self.files[#self.files + 1] = { base = self.highest, name = name }
end

-- A row's side, file and line in one integer, and back.
function M:label_of(place)
  local number = self.files[#self.files].base + place.line
  if number > self.highest then self.highest = number end
  return number << 1 | (place.side == "validation" and 1 or 0)
end

function M:place_of(label)
  local number, i = label >> 1, #self.files
  while self.files[i].base >= number do i = i - 1 end
  local file = self.files[i]
  return { side = label & 1 == 1 and "validation" or "train", line = number - file.base, file = file.name,
    key = self.keys[label] }
end

-- Prompts of different tasks are not compared. Where system messages differ from row to row they are no tasks.
function M:kind(system)
  local kind = self.systems[system]
  if kind then return kind end
  if self.nsystems == SYSTEMS then return 0 end
  self.nsystems = self.nsystems + 1
  self.systems[system] = self.nsystems
  return self.nsystems
end

-- Rows of groups that are too many to remember.
function M:count(code) self.more[code] = (self.more[code] or 0) + 1 end

function M:compare(label, place, kind, text)
  local first, last = template.strip(self.templates[kind] or NONE, text)
  local word = text:find("[%w\x80-\xff]", first)
  if not word or word > last then return end
  local like, similarity = self.index:add(text, label, kind, first, last)
  if not like then return end
  local root = self.nearest[like] or like
  place.similarity = similarity
  local one = self:place_of(root)
  if not self.near:add(root, one, place, "near") then
    self:count(one.side == place.side and "near_duplicate" or "near_leak")
  end
  if similarity < KNOWN and not select(3, self.index:usage()) then self.nearest[label] = root end
end

-- The first rows have waited for the template of their task.
function M:flush()
  if self.templates then return end
  local texts = {}
  for _, w in ipairs(self.waiting) do
    texts[w.kind] = texts[w.kind] or {}
    table.insert(texts[w.kind], w.text)
  end
  self.templates = {}
  for kind, list in pairs(texts) do self.templates[kind] = template.learn(list) end
  for _, w in ipairs(self.waiting) do
    self:compare(w.label, w.place, w.kind, w.text)
  end
  self.waiting = nil
end

---@param row ftrun.Row
---@param place ftrun.Place
function M:add(row, place)
  local label = self:label_of(place)
  if place.key and self.known < KEYS then
    self.known = self.known + 1
    self.keys[label] = place.key
  end
  local own = row.answer_hash & 0xFFFFFFFF
  local first, answer = self.ledger:put(row.prompt, label, own)
  if first then
    local same = answer == own
    if same or row.single then
      local one = self:place_of(first)
      if not self.exact:add(first, one, place, same and "same" or "other", not same) then
        if one.side ~= place.side then self:count "leak" end
        if not same then self:count "contradiction" elseif one.side == place.side then self:count "duplicate_row" end
      end
    end
    return
  end
  local kind = self:kind(row.system)
  local text = kind == 0 and row.system .. "\n" .. row.asked or row.asked
  if self.templates then
    self:compare(label, place, kind, text)
    return
  end
  table.insert(self.waiting, { label = label, place = place, kind = kind, text = text })
  self.waiting_bytes = self.waiting_bytes + #text
  if #self.waiting == FIRST_ROWS or self.waiting_bytes > FIRST_BYTES then self:flush() end
end

-- ---- findings ----

local function percent(similarity) return ("%d %%"):format(math.floor(similarity * 100)) end

-- The places with their similarity.
local function alike(places)
  if places.rows == 1 then return percent(places.first[1].similarity) end
  local names = {}
  for i, place in ipairs(places.first) do names[i] = Places.name(place) .. " " .. percent(place.similarity) end
  if places.rows > #places.first then names[#names + 1] = "..." end
  return table.concat(names, ", ")
end

-- How near the two sides of a group are: the least and the most of what is known.
local function similarity(group)
  local least, most = 1, 0
  for _, side in ipairs { "train", "validation" } do
    for _, place in ipairs(group[side].first) do
      if place.similarity then least, most = math.min(least, place.similarity), math.max(most, place.similarity) end
    end
  end
  return least < most and ("%s to %s"):format(percent(least), percent(most)) or percent(least)
end

local function rows(n, one, many, ...)
  if n == 1 then return one:format(...) end
  return many:format(n, ...)
end

local function repeated(group, places)
  return places:finding { code = "duplicate_row", severity = "warning",
    message = rows(places.rows, "the same row as %s; keep one", "%d rows are the same as %s: %s; keep one",
      Places.name(group.first), places:text()) }
end

local function contradicting(group, places)
  return places:finding { code = "contradiction", severity = "warning",
    message = rows(places.rows, "asks the same as %s and has another answer; decide for one",
      "%d rows ask the same as %s and have other answers: %s; decide for one", Places.name(group.first),
      places:text()) }
end

local function leaked(group)
  return group.validation:finding { code = "leak", severity = "error",
    message = rows(group.validation.rows,
      "the prompt of this validation row is in train too (%s); take it out of one side",
      "the prompt of %d validation rows is in train too (%s); take it out of one side", group.train:text()) }
end

local function nearly(group, places)
  return places:finding { code = "near_duplicate", severity = "warning",
    message = rows(places.rows, "asks nearly the same as %s (alike: %s); keep one unless the difference matters",
      "%d rows ask nearly the same as %s (alike: %s); keep one unless the difference matters",
      Places.name(group.first), alike(places)) }
end

local function nearly_leaked(group)
  return group.validation:finding { code = "near_leak", severity = "warning",
    message = rows(group.validation.rows, "the prompt of this validation row is nearly in train (%s, alike: %s); "
      .. "split by a group that keeps such rows on one side",
      "the prompts of %d validation rows are nearly in train (%s, alike: %s); split by a group that keeps such rows on "
      .. "one side", group.train:text(), similarity(group)) }
end

local function both_sides(group) return group.train.rows > 0 and group.validation.rows > 0 end

---@param emit fun(finding: ftrun.Finding)
function M:findings(emit)
  self:flush()
  local exact, near = self.exact:sorted(), self.near:sorted()
  for _, g in ipairs(exact) do if both_sides(g) then emit(leaked(g)) end end
  for _, g in ipairs(exact) do if g.again.other then emit(contradicting(g, g.again.other)) end end
  for _, g in ipairs(exact) do if g.again.same then emit(repeated(g, g.again.same)) end end
  for _, g in ipairs(near) do if both_sides(g) then emit(nearly_leaked(g)) end end
  for _, g in ipairs(near) do if g.again.near then emit(nearly(g, g.again.near)) end end
  for _, code in ipairs { "leak", "contradiction", "duplicate_row", "near_leak", "near_duplicate" } do
    if self.more[code] then
      emit { code = code, severity = code == "leak" and "error" or "warning",
        message = ("%d more rows like these, too many to list"):format(self.more[code]) }
    end
  end
  local entries, _, exact_full = self.ledger:usage()
  local texts, _, near_full = self.index:usage()
  if exact_full or near_full then
    emit { code = "duplicates_unseen", severity = "note",
      message = ("prompts were compared with the first %d (exactly) and %d (nearly) different ones only: "
        .. "the memory for them is full"):format(entries, texts) }
  end
end

function M:close()
  self.ledger:close()
  self.index:close()
end

return M
