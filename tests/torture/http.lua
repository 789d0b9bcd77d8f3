-- A client and a server in one state: what fails in either must end both.
local fs = require "ft.fs"
local http = require "ft.http"
local server = require "ft.server"

return function()
  local dir <close> = setmetatable({ path = assert(fs.temporary("torture")) },
    { __close = function(self) assert(fs.remove(self.path, true)) end })
  local file <close> = assert(fs.append(dir.path .. "/f")) -- fs.write would wait for the disk a thousand times
  assert(file:write "some\n")
  local function handler() return { status = 200, body = "x" } end
  local s <close> = assert(server.listen { handler = handler, spool = dir.path })
  local url, told = ("http://127.0.0.1:%d/"):format(s:port()), 0
  local r = assert(http.request("POST", url, {
    proxy = false, timeout_s = 5, headers = { A = "b" }, output = dir.path .. "/out",
    parts = { { name = "v", value = "1" },
              { name = "f", path = dir.path .. "/f", offset = 1, bytes = 2, content_type = "text/plain" } },
    on_progress = function() told = told + 1 end,
  }))
  local pieces = ""
  assert(http.request("GET", url, { proxy = false, on_data = function(piece) pieces = pieces .. piece end }))
  assert(http.request("PUT", url, { proxy = false, file = dir.path .. "/f" }))
  local secret = select(3, http.request("GET", url, { auth = { secret = "FTRUN_NO_SUCH_KEY", user = "api" } }))
  local refused = select(3, http.request("GET", "http://127.0.0.1:1/", { proxy = false, body = "x" }))
  return r.status == 200 and r.headers["content-length"] == "1" and fs.read(dir.path .. "/out") == "x" and told > 0
    and pieces == "x" and refused == "refused"
    and secret == "no_secret" and 0 or 2
end
