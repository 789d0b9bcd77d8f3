--- Promotions: one value of a file of settings changes, and nothing else.
local t = require "harness"
local child = require "child"
local fs = require "ft.fs"
local json = require "ftrun.json"
local promote = require "ftrun.run.promote"
local runs = require "ftrun.run.runs"
local secrets = require "ft.secrets"

local MODEL = "ft:gpt-4o-mini-2024-07-18:org:x:AbC123"

local function recipe(path, o)
  o = o or {}
  return { promote = { env_file = path, key = o.key or "OPENAI_MODEL" }, sha256 = ("a"):rep(64), path = "r.lua",
    overrides = o.given and { { "promote.env_file", path } } or {}, where = function() return "r.lua:9" end }
end

--- Runs body(dir, put) with runs in a folder of their own; put(model?, options?) promotes into dir/.env.
local function in_folder(body)
  local folder <close> = t.folder()
  local dir, root = fs.realpath(folder.path), runs.root
  runs.root = function() return dir .. "/.ftrun" end
  local _ <close> = setmetatable({}, { __close = function() runs.root = root end })
  body(dir, function(model, o)
    return promote.run { recipe = recipe(dir .. "/.env", { given = true }), run = "run-1", model = model or MODEL,
      forced = o and o.forced, lock_sha256 = ("b"):rep(64),
      evaluation = { compared = 20, scores = { { name = "f1", base = { value = 0.1 }, tuned = { value = 0.9 },
        verdict = "better" } } } }
  end)
end

local function lines(...) return table.concat({ ... }, "\n") .. "\n" end

t.test("only the value changes, and rollback gives back every byte", function()
  local model = "@"
  for _, case in ipairs {
    { "A=1\nOPENAI_MODEL=old\nB=2\n", "A=1\nOPENAI_MODEL=@\nB=2\n" },
    { "export OPENAI_MODEL = 'old one' # why\nB=2", "export OPENAI_MODEL = @ # why\nB=2" },
    { "\xEF\xBB\xBFOPENAI_MODEL=\"old\"\r\n\r\nB=2\r\n", "\xEF\xBB\xBFOPENAI_MODEL=@\r\n\r\nB=2\r\n" },
    { "# OPENAI_MODEL=no\nX='\nOPENAI_MODEL=inside\n'\n  OPENAI_MODEL=old   \n",
      "# OPENAI_MODEL=no\nX='\nOPENAI_MODEL=inside\n'\n  OPENAI_MODEL=@   \n" },
    { "OPENAI_MODEL=first\nOPENAI_MODEL=last\n", "OPENAI_MODEL=first\nOPENAI_MODEL=@\n" },
    { "OPENAI_MODEL=\nB=2\n", "OPENAI_MODEL=@\nB=2\n" },
    { "OPENAI_MODEL= # none\n", "OPENAI_MODEL=@ # none\n" },
    { "OPENAI_MODEL=\"two\nlines\"\nB=2\n", "OPENAI_MODEL=@\nB=2\n" },
    { "broken line here\nOPENAI_MODEL=${HOME}/x\n\xff\xfe=3\n", "broken line here\nOPENAI_MODEL=@\n\xff\xfe=3\n" },
    { "MY_OPENAI_MODEL=a\nOPENAI_MODELS=b\n", "MY_OPENAI_MODEL=a\nOPENAI_MODELS=b\nOPENAI_MODEL=@\n" },
    { "A=1\r\n", "A=1\r\nOPENAI_MODEL=@\r\n" },
    { "", "OPENAI_MODEL=@\n" },
  } do
    in_folder(function(dir, put)
      assert(fs.write(dir .. "/.env", case[1]))
      put()
      t.eq(fs.read(dir .. "/.env"), (case[2]:gsub(model, MODEL)), case[1])
      t.eq(secrets.read_setting(dir .. "/.env", "OPENAI_MODEL"), MODEL)
      promote.rollback()
      t.eq(fs.read(dir .. "/.env"), case[1])
    end)
  end
end)

t.test("a file that was not there is made for its owner alone, and is gone after a rollback", function()
  in_folder(function(dir, put)
    put()
    t.eq(fs.read(dir .. "/.env"), "OPENAI_MODEL=" .. MODEL .. "\n")
    local mode = io.popen(("stat -c %%a '%s/.env'"):format(dir)):read "a"
    t.eq(mode, "600\n")
    promote.rollback()
    t.eq(fs.stat(dir .. "/.env"), nil)
  end)
end)

t.test("an empty value is called so, and a second promotion at the same time is told what to do", function()
  in_folder(function(dir, put)
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL=\n"))
    t.has(promote.line(put()), "(before: empty)")
    t.eq(promote.shown(promote.rollback().previous), "empty")
    local _ <close> = runs.hold "promotions"
    local e = t.raises("another promotion is being written", put)
    t.eq({ e.kind, e.advice }, { "busy", "Start the same command again." })
  end)
end)

t.test("the record is there before the file is changed, with scores and what stood there", function()
  in_folder(function(dir, put)
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL='old'\n"))
    put(nil, { forced = true })
    local record = json.decode(fs.read(dir .. "/.ftrun/promotions.jsonl"))
    t.eq({ record.action, record.run, record.model, record.previous, record.previous_raw, record.forced,
      record.recipe_sha256, record.scores[1].tuned },
      { "promote", "run-1", MODEL, "old", "'old'", true, ("a"):rep(64), 0.9 })
    t.has(promote.line(record), "(before: old)")
    t.ok(record.by:find "^[^@]+@." and record.ftrun and record.at, "who, with what, when")
    t.eq({ record.recipe, record.rows, record.lock_sha256 }, { "r.lua", 20, ("b"):rep(64) })
    t.eq(promote.when(record), record.at .. " by " .. record.by .. ", f1 0.900 on 20 rows, past the gate")
    t.eq(put().unchanged, true)
    t.eq(#promote.records(), 1)
  end)
end)

t.test("promotions are undone newest first, each once, and not over somebody else's change", function()
  in_folder(function(dir, put)
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL=a\n"))
    put "ft:one"
    put "ft:two"
    t.eq(promote.rollback().model, "ft:two")
    t.eq(fs.read(dir .. "/.env"), "OPENAI_MODEL=ft:one\n")
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL=mine\n"))
    local e = t.raises("changed by somebody else", promote.rollback)
    t.eq(e.kind, "setting")
    t.eq(fs.read(dir .. "/.env"), "OPENAI_MODEL=mine\n")
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL=ft:one\n"))
    promote.rollback()
    t.eq(fs.read(dir .. "/.env"), "OPENAI_MODEL=a\n")
    t.eq(t.raises("no promotion to undo", promote.rollback).kind, "usage")
  end)
end)

t.test("what became of a run's promotion is known, also that it was undone, and its journal says so", function()
  in_folder(function(dir, put)
    t.eq(promote.of(promote.records(), "run-1"), nil)
    assert(fs.mkdir(dir .. "/.ftrun/runs/run-1"))
    assert(fs.write(dir .. "/.ftrun/runs/run-1/journal.jsonl", ""))
    promote.tell(put())
    local record, undone = promote.of(promote.records(), "run-1")
    t.eq({ record.model, undone }, { MODEL })
    promote.rollback()
    record, undone = promote.of(promote.records(), "run-1")
    t.eq({ record.model, undone.action, undone.run }, { MODEL, "rollback", "run-1" })
    local phases = {}
    for line in fs.read(dir .. "/.ftrun/runs/run-1/journal.jsonl"):gmatch "[^\n]+" do
      phases[#phases + 1] = json.decode(line).phase
    end
    t.eq(phases, { "promote", "rollback" })
  end)
end)

t.test("a promotion that a crash ended before the file was written can be undone", function()
  in_folder(function(dir, put)
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL=a\n"))
    put()
    assert(fs.write(dir .. "/.env", "OPENAI_MODEL=a\n"))
    promote.rollback()
    t.eq(fs.read(dir .. "/.env"), "OPENAI_MODEL=a\n")
  end)
end)

t.test("a recipe reaches only files of settings below the current folder, unless who starts it says so", function()
  local folder <close> = t.folder()
  local function where(path, o) return promote.locate(recipe(path, o)) end
  local here = fs.realpath "."
  t.eq(where ".env", here .. "/.env")
  t.eq(where "./prod.env", here .. "/prod.env")
  for _, path in ipairs { "../.env", folder.path .. "/.env", "/.env" } do
    t.eq(t.raises("does not lie below the current folder", where, path).kind, "recipe")
  end
  t.raises("not named like a file of settings", where, "Makefile")
  t.raises("not named like a file of settings", where, ".git")
  t.raises("there is no folder", where, "no/such/.env")
  t.eq(where(folder.path .. "/settings", { given = true }), fs.realpath(folder.path) .. "/settings")
end)

t.test("a link that leads out of the current folder is no way out, and one that is meant stays a link", function()
  in_folder(function(dir, put)
    assert(fs.mkdir(dir .. "/b"))
    assert(fs.write(dir .. "/b/.env", "A=1\n"))
    local r = child.run [[
      os.execute "ln -s /dev/null .env"
      local promote = require "ftrun.run.promote"
      print(pcall(promote.locate, { promote = { env_file = ".env", key = "OPENAI_MODEL" }, overrides = {},
        where = function() return "r.lua:9" end })) return 0]]
    t.has(r.out .. r.err, "does not lie below the current folder")
    os.execute(("ln -s b/.env '%s/.env'"):format(dir))
    put()
    t.eq(fs.read(dir .. "/b/.env"), "A=1\nOPENAI_MODEL=" .. MODEL .. "\n")
  end)
end)

t.test("a file that cannot be changed without losing something stays as it is, with a word on what to do", function()
  for _, case in ipairs {
    { "ln -s conf/real.env .env", "dangling", "is a link to a file that is not there", "Make the file" },
    { "ln -s .env .env", "dangling", "is a link to a file that is not there", "remove the link" },
    { "mkdir .env", "folder", "is a folder, not a file", "remove the folder" },
    { "head -c 1100000 /dev/zero | tr '\\0' '#' >.env", "too_large", "is over 1 MiB", "right file" },
    { "printf 'OPENAI_MODEL=a\\0b\\n' >.env", "nul", "the value of OPENAI_MODEL holds a zero byte", "editor" },
    { "printf '\\377\\376A\\0=\\0001\\0\\n\\0' >.env", "encoding", "is UTF-16", "UTF-8" },
  } do
    in_folder(function(dir, put)
      local function look()
        local command = "cd '%s' && stat -c '%%F %%s' .env && readlink .env; cat .env 2>&1 | cksum"
        return io.popen(command:format(dir)):read "a"
      end
      os.execute(("cd '%s' && %s"):format(dir, case[1]))
      local before = look()
      t.raises(case[3], promote.check, recipe(dir .. "/.env", { given = true })) -- before anything is paid
      local e = t.raises(case[3], put)
      t.eq({ e.kind, e.code }, { "system", case[2] })
      t.has(e.advice, case[4])
      t.fails(case[2], secrets.write_setting(dir .. "/.env", "OPENAI_MODEL", "x"))
      t.eq(look(), before)
      t.eq(promote.records(), {})
    end)
  end
end)

t.test("zero bytes elsewhere in the file stay where they are", function()
  in_folder(function(dir, put)
    local text = "A=1\0x\nOPENAI_MODEL=old # c\0d\nB=2\0"
    assert(fs.write(dir .. "/.env", text))
    put()
    t.eq(fs.read(dir .. "/.env"), "A=1\0x\nOPENAI_MODEL=" .. MODEL .. " # c\0d\nB=2\0")
    promote.rollback()
    t.eq(fs.read(dir .. "/.env"), text)
  end)
end)

t.test("a key that is a secret or a setting of ftrun is no place for a model's id", function()
  for _, key in ipairs { "OPENAI_API_KEY", "DATABASE_URL", "OPENAI_BASE_URL", "NO_PROXY", "MY_TOKEN", "FTRUN_LUA" } do
    t.eq(t.raises(key .. " is a secret, or a setting of ftrun", promote.locate, recipe(".env", { key = key })).kind,
      "recipe")
  end
end)

t.test("secrets of the file stay in C: reading one, or a URL with a password, raises", function()
  in_folder(function(dir, put)
    local path = dir .. "/.env"
    assert(fs.write(path, "OPENAI_API_KEY=sk-very-secret-1\nOPENAI_MODEL=postgres://u:pass1word@h/d\n"))
    t.raises("is a secret", secrets.read_setting, path, "OPENAI_API_KEY")
    t.raises("is a secret", secrets.read_setting, path, "OPENAI_MODEL")
    t.eq(t.raises("OPENAI_MODEL holds a secret", put).kind, "setting")
    t.raises("is a secret", secrets.write_setting, path, "OPENAI_API_KEY", "x")
    t.raises("is a secret", secrets.write_setting, path, "OPENAI_MODEL", "x")
    t.raises("a name of letters", secrets.write_setting, path, "A=1\nB", "b")
    t.eq(fs.read(path), "OPENAI_API_KEY=sk-very-secret-1\nOPENAI_MODEL=postgres://u:pass1word@h/d\n")
    t.fails("folder", secrets.read_setting(dir, "OTHER"))
    t.eq(secrets.read_setting(dir .. "/none", "OTHER"), nil)
  end)
end)

t.test("an id that a file of settings could read otherwise is not written", function()
  in_folder(function(_, put)
    for _, bad in ipairs { "a b", "a#b", "a\nB=1", "$HOME", "" } do t.raises("cannot be written", put, bad) end
  end)
end)

t.test("bytes of a file are kept whatever they are", function()
  in_folder(function(dir, put)
    local text = lines("A=\0x", "", "  # c", "OPENAI_MODEL=x")
    assert(fs.write(dir .. "/.env", text))
    put()
    t.eq(fs.read(dir .. "/.env"), (text:gsub("x\n$", MODEL .. "\n")))
  end)
end)
