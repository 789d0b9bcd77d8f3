--- The fault matrix for what is asked beside a run: each kind of request meets each kind of fault. What changes
--- nothing, or changes the same again, is asked again; what makes something is looked for first. No text of an answer
--- comes twice.
local t = require "harness"
local fs = require "ft.fs"
local task = require "ft.task"
local err = require "ftrun.err"
local faults = require "faults.kinds"
local json = require "ftrun.json"
local providers = require "ftrun.providers"
local server = require "ftrun.local.server"

local LONGEST_S = 0.6 -- no request takes longer

local MODEL = "gpt-4o-mini-2024-07-18"
local QUESTION = { model = MODEL, messages = { { role = "user", content = "Стаття 107." } } }

local function rows(n)
  local list = {}
  for i = 1, n do
    list[i] = json.encode { messages = { { role = "user", content = ("Стаття %d. Текст закону."):format(100 + i) },
      { role = "assistant", content = ('{"number": "%d"}'):format(100 + i) } } }
  end
  return table.concat(list, "\n") .. "\n"
end

local function put(p, dir, purpose, text)
  assert(fs.write(dir .. "/put.jsonl", text))
  return p:put_file { path = dir .. "/put.jsonl", filename = "put.jsonl", purpose = purpose }.id
end

--- A job: it is at the provider's for a while, or (quick) its model is there.
local function job(p, dir, quick)
  local made = p:create { model = MODEL, training_file = put(p, dir, "fine-tune", rows(quick and 12 or 300)),
    hyperparameters = { n_epochs = quick and 1 or 50, batch_size = quick and 12 or 1 } }
  while quick and made.state ~= "succeeded" do
    t.ok(made.state ~= "failed")
    made = p:get(made.id)
  end
  return made
end

local function batch(p, dir)
  return put(p, dir, "batch", json.encode { custom_id = "r1", method = "POST", url = "/v1/chat/completions",
    body = QUESTION } .. "\n")
end

--- Sends what makes something as everybody does: after a failure that leaves it open, it looks first.
local function once(find, make)
  local ok, made = pcall(make)
  if ok then return made end
  if not (err.is(made) and made.sent) then error(made, 0) end
  return find() or make()
end

--- What is asked of a provider: a route, what is there before (it returns what the call gets), and the call, which
--- checks what has come of it.
local requests = {
  { "a question to a model", "POST /chat/completions", nil, function(p)
    t.ok(#p:chat(QUESTION).text > 0)
  end },
  { "a streamed question", "POST /chat/completions", nil, function(p)
    local whole, pieces = p:chat(QUESTION).text, {}
    -- once a piece has been shown, nothing is asked again: the end is then right, or an orderly error
    local ok, e = pcall(p.chat, p, { model = MODEL, messages = QUESTION.messages,
      on_text = function(piece) pieces[#pieces + 1] = piece end })
    if not ok and not err.is(e) then error(e, 0) end
    local text = table.concat(pieces)
    t.eq(ok and text or whole:sub(1, #text), ok and whole or text)
  end, from = 2 },
  { "a cancel", "POST /fine_tuning/jobs/*/cancel", job, function(p, made)
    t.eq(p:cancel(made.id).state, "cancelled")
    t.eq(p:get(made.id).state, "cancelled")
  end },
  { "a pause", "POST /fine_tuning/jobs/*/pause", job, function(p, made)
    t.eq(p:pause(made.id).state, "paused")
    t.eq(p:get(made.id).state, "paused")
  end },
  { "a resume", "POST /fine_tuning/jobs/*/resume", function(p, dir) return p:pause(job(p, dir).id) end,
    function(p, made)
      p:resume(made.id)
      t.ok(p:get(made.id).state ~= "paused")
      p:cancel(made.id)
    end },
  { "a batch", "POST /batches", batch, function(p, file)
    local metadata = { which = "one" }
    local function find() return p:find_batch(metadata) end
    once(find, function() return p:create_batch { input_file = file, metadata = metadata } end)
    t.eq(#p:batches(), 1)
  end },
  { "the deletion of a file", "DELETE /files/*", batch, function(p, file)
    p:delete_file(file)
    t.eq(p:files(), {})
  end },
  { "the deletion of a model", "DELETE /models/*", function(p, dir) return job(p, dir, true) end, function(p, made)
    p:delete_model(made.model)
    t.eq(select(2, pcall(p.model, p, made.model)).status, 404)
  end },
  { "a permission", "POST /fine_tuning/checkpoints/*/permissions", function(p, dir) return job(p, dir, true) end,
    function(p, made)
      local function permit() return p:permit(made.model, { "proj_a", "proj_b" }) end
      local ok, list = pcall(permit)
      if not ok then
        t.ok(err.is(list) and list.sent, tostring(list))
        list = permit()
      end
      t.eq({ list[1].project, list[2].project, #p:permissions(made.model) }, { "proj_a", "proj_b", 2 })
    end },
  { "the list of permissions", "GET /fine_tuning/checkpoints/*/permissions",
    function(p, dir) return job(p, dir, true) end, function(p, made)
      t.eq(p:permissions(made.model), {})
    end },
  { "the end of a permission", "DELETE /fine_tuning/checkpoints/*/permissions/*",
    function(p, dir)
      local made = job(p, dir, true)
      return { model = made.model, id = p:permit(made.model, { "proj_a" })[1].id }
    end,
    function(p, there)
      p:forbid(there.model, there.id)
      t.eq(p:permissions(there.model), {})
    end },
}

local function suffer(dir, request, fault)
  local played = { route = request[2], from = request.from }
  for k, v in pairs(fault) do played[k] = v end
  local running = server.start { dir = dir .. "/local", faults = { played } }
  local _ <close> = setmetatable({}, { __close = function() running.close() end })
  local p = providers.open { name = "local", base_url = running.url, auth_secret = false, longest_s = LONGEST_S,
    backoff_s = 0.01 }
  local before = request[3]
  request[4](p, before and before(p, dir))
end

-- The calls of one kind share the time that they wait.
for _, request in ipairs(requests) do
  t.test(("%s meets each fault"):format(request[1]), function()
    local folder <close> = t.folder()
    local tasks = {}
    for i, fault in ipairs(faults) do
      local dir = ("%s/%d"):format(folder.path, i)
      t.ok(fs.mkdir(dir))
      tasks[i] = task.spawn(function() return pcall(suffer, dir, request, fault[2]) end)
    end
    local wrong = {}
    for i, fault in ipairs(faults) do
      local ok, e = tasks[i]:join()
      if not ok then wrong[#wrong + 1] = ("%s: %s"):format(fault[1], err.is(e) and e.message or tostring(e)) end
    end
    t.eq(wrong, {})
  end)
end
