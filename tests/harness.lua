--- What a test file needs: t.test(name, fn) registers; the rest checks. The runner (run.lua) runs
--- what was registered.
local fs = require "ft.fs"

local t = { tests = {} }

---@param name string  names the behaviour, as a sentence
---@param fn fun()     runs as a task of its own
function t.test(name, fn)
  t.tests[#t.tests + 1] = { name = name, fn = fn }
end

local skipped = setmetatable({}, { __name = "skip" })

--- Ends a test that cannot be made here; the reason is printed.
---@param reason string
function t.skip(reason)
  skipped.reason = reason
  error(skipped, 0)
end

--- Why a test that ended with this error was not made; nil when it has failed.
---@return string?
function t.skipped(e) return rawequal(e, skipped) and skipped.reason or nil end

local function show(v, depth)
  if type(v) == "string" then return ("%q"):format(v) end
  if type(v) ~= "table" or depth > 4 then return tostring(v) end
  local keys = {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  local parts = {}
  for _, k in ipairs(keys) do parts[#parts + 1] = ("[%s]=%s"):format(show(k, depth), show(v[k], depth + 1)) end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

--- Fails unless both are the same, tables by content, numbers with their subtype.
function t.eq(got, expected, what)
  if not same(got, expected) then
    error(("%sexpected %s\n     got %s"):format(what and what .. ": " or "", show(expected, 1), show(got, 1)), 2)
  end
end

function t.ok(value, what)
  if not value then
    error(("expected a true value, got %s%s"):format(show(value, 1), what and ": " .. tostring(what) or ""), 2)
  end
  return value
end

--- Fails unless the text holds the plain substring.
function t.has(text, part)
  if type(text) ~= "string" or not text:find(part, 1, true) then
    error(("expected a text with %q\n     got %s"):format(part, show(text, 1)), 2)
  end
end

--- Fails unless the results are `nil, message, code`; returns the message.
function t.fails(expected_code, value, message, code)
  if value ~= nil or code ~= expected_code or type(message) ~= "string" then
    error(("expected nil, message, %q\n     got %s, %s, %s")
      :format(expected_code, show(value, 1), show(message, 1), show(code, 1)), 2)
  end
  return message
end

--- Fails unless fn raises an error whose text holds the plain substring; returns the error.
function t.raises(part, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error(("expected an error with %q, but none was raised"):format(part), 2) end
  t.has(tostring(err), part)
  return err
end

--- A folder that is removed when the variable goes out of scope: local dir <close> = t.folder();
--- use dir.path.
function t.folder()
  local path = assert(fs.temporary("ftrun-test"))
  return setmetatable({ path = path }, { __close = function() assert(fs.remove(path, true)) end })
end

return t
