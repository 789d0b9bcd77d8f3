--- ftrun split F...: JSONL rows into train and validation.
local amounts = require "ftrun.text.amounts"
local columns = require "ftrun.text.columns"
local err = require "ftrun.err"
local json = require "ftrun.json"
local log = require "ft.log"
local progress = require "ft.progress"
local splitfile = require "ftrun.data.splitfile"

local command = {}

local SHOWN = 20  -- strata that are shown
local LETTERS = 40 -- of their values

local function share(text)
  local n = tonumber(text)
  if not n or n <= 0 or n ~= n or n >= 1 and not math.tointeger(n) then
    err.raise("usage", ("option '--validation': expected a share below 1 or a number of rows, got '%s'"):format(text))
  end
  return n >= 1 and math.tointeger(n) or n
end

local function shorten(value)
  if (utf8.len(value) or 0) <= LETTERS then return value end
  return value:sub(1, utf8.offset(value, LETTERS) - 1) .. "…"
end

local function show(made)
  local number = amounts.number
  for _, side in ipairs { "train", "validation" } do
    local file = made[side]
    log.out(("%-11s %s, %s, sha256 %s  %s\n"):format(side, amounts.count(file.rows, "row"), amounts.size(file.bytes),
      file.sha256:sub(1, 16), file.path))
  end
  local list, strata = {}, made.strata or {}
  for i = 1, math.min(#strata, SHOWN) do
    local s = strata[i]
    list[i] = { "  " .. (s.value == "" and "(none)" or shorten(s.value)), "train " .. number(s.train) .. ",",
      ("validation %s (%.0f %%)"):format(number(s.validation), 100 * s.validation / (s.train + s.validation)) }
  end
  if list[1] then columns(list, 1) end
  if #strata > SHOWN then log.out(("  and %d more values\n"):format(#strata - SHOWN)) end
end

function command.main(args)
  if args.json or args.quiet then progress.disable() end
  local dir = args.output_dir or args.file[1]:match("^(.*)/[^/]*$") or "."
  local made = splitfile.run(args.file, {
    rule = { validation = share(args.validation), group_by = args.group_by, stratify_by = args.stratify_by,
      time_by = args.time_by },
    seed = args.seed, dir = dir == "" and "/" or dir,
    on_progress = function(done, total)
      progress.update("splitting, MB", done // 1e5 / 10, total > 0 and total // 1e5 / 10 or nil)
    end,
  })
  progress.finish()
  for _, l in ipairs(made.lacking) do
    log.warn(("%s %s no %s"):format(amounts.count(l.rows, "row"), l.rows == 1 and "has" or "have", l.field))
  end
  for _, path in ipairs(made.replaced) do
    log.warn(("%s was there already and is replaced; --output-dir writes elsewhere"):format(path))
  end
  if made.train.rows == 0 then log.warn("no row is left for training") end
  if args.json then
    json.print { type = "summary", rows = made.rows, seed = args.seed, train = made.train,
      validation = made.validation, strata = made.strata and json.array(made.strata) }
  elseif not args.quiet then
    show(made)
  end
  return 0
end

return command
