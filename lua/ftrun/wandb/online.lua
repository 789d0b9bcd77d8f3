--- Sends a run to W&B's server while it is written: out of its log on disk, by a task of its own, so that the run never
--- waits for the network. A line's number is its place in the log; the server takes the same line twice for one. The
--- cursor (cursor.lua) tells how far it got: a kill, a lost answer and an outage cost nothing but time.
local Api = require "ftrun.wandb.api"
local cursor = require "ftrun.wandb.cursor"
local err = require "ftrun.err"
local log = require "ft.log"
local picture = require "ftrun.wandb.picture"
local reader = require "ftrun.wandb.reader"
local settings = require "ftrun.wandb.settings"
local task = require "ft.task"
local time = require "ft.time"
local upload = require "ftrun.wandb.upload"
local version = require "ft.version"

local online = {}

--- Seconds: between posts, at least between full ones, without a sign of life, and for all that is left at the end.
local INTERVAL_S, GAP_S, HEARTBEAT_S, LAST_S = 5, 0.5, 30, 600

--- Seconds for a request that is under way when the run ends.
local SETTLE_S = 5

-- lines and bytes of one post; the server refuses more than 10 MiB
local LINES, BYTES = 10000, 4 << 20

-- records between two turns of the loop
local TURN = 200

local UPSERT = [[
mutation UpsertBucket($id: String, $name: String, $project: String, $entity: String, $groupName: String,
    $displayName: String, $notes: String, $config: JSONString, $host: String, $program: String, $jobType: String,
    $tags: [String!]) {
  upsertBucket(input: {id: $id, name: $name, modelName: $project, entityName: $entity, groupName: $groupName,
      displayName: $displayName, notes: $notes, config: $config, host: $host, jobProgram: $program, jobType: $jobType,
      tags: $tags}) {
    bucket { id name displayName project { id name entity { id name } } historyLineCount }
    inserted
  }
}]]

---@class ftrun.wandb.Stream
---@field where table?    { entity, project, id }: what the server calls the run
---@field why string?     why nothing more is sent
---@field lost integer    files and artifacts that the server refused
local Stream = {}
Stream.__index = Stream

-- ---- the run ----

function Stream:upsert(variables)
  local data = self.api:graphql("UpsertBucket", UPSERT, variables)
  local bucket = data.upsertBucket and data.upsertBucket.bucket
  if type(bucket) ~= "table" or type(bucket.project) ~= "table" then
    err.raise("provider", "W&B: UpsertBucket: the answer names no run")
  end
  return bucket
end

--- Creates the run, or takes it up again.
function Stream:connect()
  local p = self.picture
  local run = p.run
  local config = p:config()
  local bucket = self:upsert { name = run.run_id, project = run.project, entity = run.entity, groupName = run.run_group,
    displayName = run.display_name, notes = run.notes, jobType = run.job_type, tags = run.tags, host = run.host,
    program = p.program, config = config }
  local entity = bucket.project.entity and bucket.project.entity.name or run.entity
  self.bucket = bucket.id
  self.where = { entity = entity, project = bucket.project.name, id = bucket.name or run.run_id }
  self.cursor:at(("%s/%s/%s"):format(self.api.base_url, entity, bucket.project.name), bucket.historyLineCount)
  p:resume(self.cursor.history, self.cursor.output)
  self.url = settings.run_url(self.set, self.where)
  if self.on_url then self.on_url(self.url) end
end

function Stream:tell_config()
  local config = self.picture:config()
  self:upsert { id = self.bucket, name = self.where.id, project = self.where.project, entity = self.where.entity,
    config = config }
end

-- ---- the streams ----

--- Reads on, until a post is full or the log has no more for now. True when there is more.
function Stream:gather()
  local p, n = self.picture, 0
  while p.lines < LINES and p.bytes < BYTES do
    local record, message = self.reader:next()
    if not record then
      if message then err.raise("system", message) end
      return false
    end
    p:take(record)
    if p.run and not self.where then return true end
    n = n + 1
    if n % TURN == 0 then time.sleep(0) end
  end
  return true
end

-- what the server's quota asks to wait
local function pause(headers)
  local left, reset = tonumber(headers["ratelimit-remaining"]), tonumber(headers["ratelimit-reset"])
  return left and reset and reset > 1 and math.min(60, reset / math.max(1, left)) or 0
end

--- Posts what was gathered; only an answer makes it sent.
function Stream:post(extra)
  local p, told = self.picture, #self.uploaded
  local body = p:body()
  -- a copy: uploads go on while this waits
  if told > 0 then body.uploaded = table.move(self.uploaded, 1, told, 1, {}) end
  for name, value in pairs(extra or {}) do body[name] = value end
  local answer, headers = self.api:stream(self.where, body)
  self.posted, self.pause = time.monotonic(), pause(headers)
  self.uploaded = table.move(self.uploaded, told + 1, #self.uploaded, 1, {})
  p:sent()
  self.cursor.history, self.cursor.output = p.history, p.output
  self.cursor.complete = extra and extra.complete or nil
  if answer.stopped == true and not self.cursor.stopped then
    self.cursor.stopped = true
    if self.on_stop then self.on_stop() end
  end
  self.cursor:save()
end

--- One turn: reads, and sends what there is. True when there is more to read.
function Stream:step()
  local more = self:gather()
  if not self.where then
    if not self.picture.run then return false end
    self:connect()
    more = self:gather()
  end
  if self.picture.config_changed then self:tell_config() end
  local quiet = time.monotonic() - (self.posted or 0) >= HEARTBEAT_S
  if self.picture:news() or #self.uploaded > 0 or quiet then self:post() end
  return more
end

-- ---- files and artifacts ----

local function artifact_key(a)
  return ("%s/%s:%s:%s:%s"):format(a.type, a.name, a.digest, a.use_after_commit and "in" or "out",
    table.concat(a.aliases or {}, ","))
end

function Stream:bring(item)
  local done, folder = self.cursor, self.folder .. "/files"
  if item.artifact then
    local key = artifact_key(item.artifact)
    if done.artifacts[key] then return end
    upload.artifact(self.api, self.where, item.artifact, self.folder .. "/manifest.new")
    done.artifacts[key] = true
  else
    for _, name in ipairs(upload.files(self.api, self.where, folder, item.files, done.files)) do
      self.uploaded[#self.uploaded + 1] = name
    end
  end
  done:save()
end

--- Brings up what waits, in order. What the server refuses stays here, and the rest goes on.
function Stream:bring_all()
  local queue = self.picture.queue
  while queue[1] do
    local ok, e = pcall(self.bring, self, queue[1])
    if not ok then
      if not err.is(e) or e.kind == "network" then error(e, 0) end
      self.lost = self.lost + 1
      log.warn(tostring(e))
    end
    table.remove(queue, 1)
  end
end

-- ---- life ----

-- Nothing that happens here may end the run.
function Stream:failed(e)
  if not err.is(e) then log.error("W&B: " .. tostring(e)) end
  self.why = err.is(e) and e.message:gsub("^W&B: ", "") or "an internal error in ftrun"
end

--- The task: sends until it is cancelled, or refused for good.
function Stream:live()
  local ok, e = pcall(function()
    while true do
      local more = self:step()
      local uploading = self.uploader and self.uploader:status() == "running"
      if self.where and self.picture.queue[1] and not uploading then
        self.uploader = task.spawn(function()
          local ok, e = pcall(self.bring_all, self)
          if not ok then self:failed(e) end
        end)
      end
      time.sleep(math.max(more and GAP_S or self.interval_s, self.pause or 0))
    end
  end)
  if not ok then
    self:failed(e)
    log.warn(("W&B: %s; the run goes on, and is kept as an offline run%s"):format(self.why,
      err.is(e) and e.advice and "\n  " .. e.advice or ""))
  end
end

--- All that is left, and the end of the run when the log has one.
function Stream:finish()
  while self:step() do time.sleep(math.max(GAP_S, self.pause or 0)) end
  if not self.where then return end
  if self.uploader then pcall(self.uploader.join, self.uploader) end
  if self.why then return end
  self:bring_all()
  local exit = self.picture.exit
  if not exit then
    if #self.uploaded > 0 then self:post() end
    return
  end
  table.insert(self.picture.queue, { files = self.picture:keep() })
  self:bring_all()
  self.cursor.lost = self.lost > 0 and self.lost or nil
  self:post { complete = true, exitcode = exit.exit_code or 0 }
end

--- Lets a request that is under way come to its end: cut off, it could arrive after what is sent next, and be older.
function Stream:settle()
  local started = time.monotonic()
  while self.api.busy > 0 and time.monotonic() - started < SETTLE_S do time.sleep(0.01) end
end

--- Stops sending beside the run, sends the rest while that is possible in time, and says how far it got.
---@return { url: string?, complete: boolean, why: string?, history: integer, lost: integer }
function Stream:close()
  local waits = coroutine.isyieldable()
  if self.task and waits then self:settle() end
  if self.task then self.task:cancel() end
  -- an upload goes on, unless it waits for a server that is away
  if self.uploader and self.api.since then self.uploader:cancel() end
  if not waits then
    self.why = self.why or "interrupted"
  elseif not self.why then
    self.api.last = true
    local last = task.spawn(function()
      local ok, e = pcall(self.finish, self)
      if not ok then self:failed(e) end
    end)
    local timer = task.spawn(function()
      time.sleep(LAST_S)
      self.why = ("not done after %d s"):format(LAST_S)
      last:cancel()
    end)
    pcall(last.join, last)
    timer:cancel()
  end
  if self.uploader then self.uploader:cancel() end
  self.reader:close()
  self.picture:close()
  return { url = self.url, complete = self.cursor.complete == true, why = self.why, history = self.cursor.history,
    lost = self.lost }
end

local function open(o)
  local input = err.check("system", reader.open(o.path))
  local folder = o.path:match "^(.*)/" or "."
  local _, _, secret = settings.key_origin(o.set.base_url)
  local self = setmetatable({ path = o.path, folder = folder, set = o.set, reader = input, lost = 0, uploaded = {},
    cursor = cursor.open(o.path), picture = picture.new("ftrun-" .. version, folder .. "/files"), on_stop = o.on_stop,
    on_url = o.on_url,
    interval_s = o.set.interval_s or INTERVAL_S }, Stream)
  self.api = Api.new { base_url = o.set.base_url, secret = secret or "WANDB_API_KEY" }
  return self
end

--- Starts to send a log that is being written. Never waits.
---@param o { path: string, set: ftrun.wandb.Settings, on_stop: fun()?, on_url: fun(url: string)? }
---@return ftrun.wandb.Stream
function online.start(o)
  local self = open(o)
  self.task = task.spawn(function() self:live() end)
  return self
end

--- Sends a log that is there, from where the server has it, and waits for that.
---@param o { path: string, set: ftrun.wandb.Settings, on_url: fun(url: string)? }
---@return { url: string?, complete: boolean, why: string?, history: integer, lost: integer }
function online.send(o)
  return open(o):close()
end

return online
