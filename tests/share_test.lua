--- A run that leaves one machine and is repeated on another: export, import, verify, diff.
local t = require "harness"
local bundle = require "ftrun.share.bundle"
local digest = require "ft.digest"
local err = require "ftrun.err"
local fs = require "ft.fs"
local gzip = require "ft.gzip"
local json = require "ftrun.json"
local linediff = require "ftrun.share.linediff"
local program = require "program"
local tar = require "ftrun.share.tar"

local ftrun, in_project = program.run, program.in_project

local MEASURED = program.RECIPE:gsub("}\n$", '  evaluate = { score = ft.json_f1 { "number" } },\n}\n')
  :gsub('"Find the number."', 'ft.text "prompts/find.txt"')

-- A project whose recipe has run.
local function after_run(body)
  in_project(function(dir)
    assert(fs.mkdir(dir .. "/prompts"))
    assert(fs.write(dir .. "/prompts/find.txt", "Find the number.\n"))
    local r = ftrun(dir, {}, "--local", "toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    body(dir, program.result(r))
  end, 60, MEASURED)
end

local function exported(dir, ...)
  local r = ftrun(dir, {}, "export", "toy", "-o", "toy.ftrun", ...)
  t.eq(r.code, 0, r.err)
  return dir .. "/toy.ftrun"
end

-- ---- the story ----

t.test("a colleague with the file and the same rows repeats the run, and verify says what is the same", function()
  after_run(function(dir, result)
    local file = exported(dir)
    local other <close> = t.folder()
    assert(fs.mkdir(other.path .. "/work"))
    program.write_rows(other.path .. "/work", 60)
    local r = ftrun(other.path, {}, "import", file, "--into", "work")
    t.eq({ r.code, r.out }, { 0, "work/toy.lua\n" }, r.err)
    t.has(r.err, "ftrun --local work/toy.lua")
    t.eq(fs.read(other.path .. "/work/prompts/find.txt"), "Find the number.\n")

    r = ftrun(other.path, {}, "verify", result.run, "--json")
    t.eq(r.code, 0, r.err .. r.out)
    local found, by = json.decode(r.out), {}
    for _, c in ipairs(found.checks) do by[c.name] = c.result end
    t.eq({ found.matches, by.recipe, by.data, by.train, by.validation }, { true, "same", "same", "same", "same" })

    r = ftrun(other.path, {}, "chat", "text 3")
    t.eq(r.code, 2)
    t.has(r.err, "stayed where it was trained")
    t.has(r.err, "ftrun --local work/toy.lua")

    r = ftrun(other.path, {}, "run", "--local", "work/toy.lua", "--json")
    t.eq(r.code, 0, r.err)
    local own = program.result(r)
    t.ok(own.run ~= result.run)
    t.eq(own.evaluation.scores, result.evaluation.scores)
    r = ftrun(other.path, {}, "diff", result.run, own.run)
    t.eq(r.code, 0, r.out .. r.err)
    t.has(r.err, "no difference")
    r = ftrun(other.path, {}, "list")
    for line in r.out:gmatch "[^\n]+" do t.ok(utf8.len(line) <= 80, line) end
    t.has(r.out, result.run)
    t.has(r.out, ("%.3f"):format(result.evaluation.scores[1].tuned.value))
    t.eq(ftrun(other.path, {}, "list", "--names").out, own.run .. "\n" .. result.run .. "\n")
    t.eq(json.decode(ftrun(other.path, {}, "list", "--json").out)[2].score.name, "f1")
  end)
end)

t.test("verify says which rows are no longer what they were, and that the recipe was changed", function()
  after_run(function(dir)
    t.eq(ftrun(dir, {}, "verify", "toy.lua").code, 0)
    local lines = {}
    for line in fs.read(dir .. "/rows.jsonl"):gmatch "[^\n]+" do lines[#lines + 1] = line end
    table.remove(lines, 3)
    lines[5] = lines[5]:gsub('\\"number\\": \\"%d+', '\\"number\\": \\"9', 1)
    lines[#lines + 1] = json.encode { id = "new", text = "Стаття 5. Новий текст.", answer = '{"number": "5"}' }
    assert(fs.write(dir .. "/rows.jsonl", table.concat(lines, "\n") .. "\n"))
    local r = ftrun(dir, {}, "verify", "toy.lock.json", "--json")
    t.eq(r.code, 14, r.err)
    t.eq(json.decode(r.out).rows, { added = 1, removed = 1, changed = 1, moved = 0 })
    r = ftrun(dir, {}, "verify", "toy", "--set", "hyperparameters.n_epochs=1")
    t.eq(r.code, 14)
    t.has(r.out, "DIFFERS  settings from outside: none → hyperparameters.n_epochs=1")
    t.has(r.out, "1 added, 1 removed, 1 with another answer")
  end)
end)

t.test("verify names what is missing: a lock, a recipe", function()
  in_project(function(dir)
    local r = ftrun(dir, {}, "verify", "toy.lua")
    t.eq(r.code, 2)
    t.has(r.err, "toy.lock.json is not there")
    assert(fs.write(dir .. "/away.lock.json", '{"recipe_sha256":"ab"}'))
    r = ftrun(dir, {}, "verify", "away.lock.json")
    t.eq(r.code, 2)
    t.has(r.err, "the recipe of away.lock.json is not beside it")
    assert(fs.write(dir .. "/other.json", "[1"))
    t.eq(ftrun(dir, {}, "verify", "other.json").code, 4)
  end)
end)

-- ---- what an export holds ----

t.test("an export has no texts of rows unless they are asked for, and the same run gives the same bytes", function()
  after_run(function(dir)
    local file = exported(dir)
    local first = fs.read(file)
    exported(dir)
    t.ok(fs.read(file) == first)
    local names = io.popen("tar tzf " .. file):read "a"
    t.has(names, "/manifest.json")
    t.has(names, "/sources/prompts/find.txt")
    for _, name in ipairs { "train.jsonl", "validation.jsonl", "evaluation.jsonl" } do
      t.ok(not names:find("/" .. name, 1, true), name)
    end
    t.eq(os.execute(("cd %s && tar xOzf toy.ftrun | grep -q 'Текст закону'"):format(dir)), nil)
    exported(dir, "--with-data")
    names = io.popen("tar tzf " .. file):read "a"
    for _, name in ipairs { "train.jsonl", "validation.jsonl", "evaluation.jsonl" } do t.has(names, "/" .. name) end
    t.eq(os.execute(("cd %s && mkdir x && tar xzf toy.ftrun -C x && cmp -s x/*/train.jsonl .ftrun/runs/*/train.jsonl")
      :format(dir)), true)
  end)
end)

-- Everything in a bundle, unpacked, by name.
local function unpacked(file)
  local into <close> = t.folder()
  t.eq(os.execute(("tar xzf %s -C %s"):format(file, into.path)), true)
  local texts, p = {}, assert(io.popen(("cd %s && find . -type f"):format(into.path)))
  for name in p:lines() do texts[name:match "^%./[^/]+/(.*)$"] = fs.read(into.path .. name:sub(2)) end
  p:close()
  return texts
end

t.test("an export names no folder, home, user or host of its machine, and is an experiment all the same", function()
  local promoting = MEASURED:gsub("}\n$", [[
  gate = { f1 = { at_least = 0 } }, promote = { key = "TOY_MODEL" },
  on = { metrics = function(m) if m.step == 1 then ft.log { read = "/tmp/somebody/x.txt: read" } end end },
}
]])
  local away <close> = t.folder()
  local home <close> = t.folder()
  in_project(function(dir)
    assert(fs.mkdir(dir .. "/prompts"))
    assert(fs.write(dir .. "/prompts/find.txt", "Find the number.\n"))
    assert(fs.write(dir .. "/toy.lua", promoting))
    assert(fs.rename(dir .. "/rows.jsonl", away.path .. "/rows.jsonl"))
    local env = { HOME = home.path, FTRUN_DIR = home.path .. "/runs of mine" }
    local r = ftrun(dir, env, "--local", dir .. "/toy.lua", "--set", "dataset.path=" .. away.path .. "/rows.jsonl",
      "--json")
    t.eq(r.code, 0, r.err)
    local result = program.result(r)
    t.ok(fs.read(dir .. "/.env"):find("TOY_MODEL=ft:", 1, true))
    local own = fs.read(result.dir .. "/journal.jsonl")
    t.has(own, dir .. "/.env")
    r = ftrun(dir, env, "export", "-o", "toy.ftrun", "--with-data")
    t.eq(r.code, 0, r.err)
    t.eq(fs.read(result.dir .. "/journal.jsonl"), own)
    local texts, who = unpacked(dir .. "/toy.ftrun"), fs.whoami()
    local user, host = who:match "^(.-)@(.*)$"
    for name, text in pairs(texts) do
      for _, word in ipairs { dir, dir:match "[^/]*$", home.path, away.path, away.path:match "[^/]*$", "runs of mine",
        who, '"by":', "by " .. user } do
        t.ok(not text:find(word, 1, true), name .. " holds " .. word)
      end
      local named = host ~= "localhost" and text:find("%f[%w]" .. host:gsub("%p", "%%%0") .. "%f[%W]")
      t.ok(not named, name .. " holds " .. host)
    end
    local names = {}
    for name in pairs(texts) do names[name] = true end
    for _, name in ipairs { "journal.jsonl", "lock.json", "report.html", "result.json", "sources/prompts/find.txt" } do
      t.ok(names[name], name .. " is missing")
    end
    t.has(texts["run.json"], '"recipe":"toy.lua"')
    t.has(texts["run.json"], '["dataset.path","rows.jsonl"]')
    t.has(texts["journal.jsonl"], '"path":".ftrun/runs/' .. result.run .. '/train.jsonl"')
    t.has(texts["journal.jsonl"], '"env_file":".env"')
    t.has(texts["journal.jsonl"], digest.sha256(texts["lock.json"]), "the promotion knows the lock that goes along")
    t.eq(digest.sha256(texts["train.jsonl"]), json.decode(texts["lock.json"]).train.sha256)
    t.has(texts["events.jsonl"], '"x.txt: read"')
    t.has(texts["report.html"], "<details")

    r = ftrun(away.path, {}, "import", dir .. "/toy.ftrun", "--into", ".")
    t.eq(r.code, 0, r.err)
    t.ok(not r.err:find("is not the one", 1, true), r.err)
    r = ftrun(away.path, {}, "verify", result.run, "--json")
    t.eq({ r.code, json.decode(r.out).matches }, { 0, true }, r.out .. r.err)

    t.eq(ftrun(dir, env, "export", "-o", "mine.ftrun", "--keep-paths").code, 0)
    t.has(unpacked(dir .. "/mine.ftrun")["journal.jsonl"], dir .. "/.env")
  end, 60)
end)

t.test("an export names no folder above the current one either", function()
  in_project(function(dir)
    assert(fs.mkdir(dir .. "/sub"))
    local sub, env = dir .. "/sub", { FTRUN_DIR = "../anna/runs", HOME = "/nonexistent/anna/" }
    t.eq(ftrun(sub, env, "--local", "../toy.lua", "--json").code, 0)
    t.eq(ftrun(sub, env, "export", "-o", "toy.ftrun", "--with-data").code, 0)
    for name, text in pairs(unpacked(sub .. "/toy.ftrun")) do
      for _, word in ipairs { "anna", "../toy", dir } do
        t.ok(not text:find(word, 1, true), name .. " holds " .. word)
      end
    end
  end)
end)

t.test("a recipe that names a folder of its machine is not exported, and the message says where it does", function()
  in_project(function(dir)
    assert(fs.write(dir .. "/toy.lua", (program.RECIPE:gsub('"rows.jsonl"', ('"%s/rows.jsonl"'):format(dir)))))
    t.eq(ftrun(dir, {}, "--local", "toy.lua", "--json").code, 0)
    local r = ftrun(dir, {}, "export", "-o", "out.ftrun")
    t.eq({ r.code, (fs.stat(dir .. "/out.ftrun")) }, { 4, nil })
    t.has(r.err, "recipe.lua:6: holds " .. dir .. ", which is of this machine; nothing was exported")
    t.eq(ftrun(dir, {}, "export", "-o", "out.ftrun", "--keep-paths").code, 0)
  end)
end)

t.test("a run with a secret in it is not exported", function()
  after_run(function(dir)
    local events = dir .. "/.ftrun/runs/" .. fs.list(dir .. "/.ftrun/runs")[1] .. "/events.jsonl"
    local before = fs.read(events)
    assert(fs.write(events, before .. '{"message":"it was hunter2-hunter2"}\n'))
    assert(fs.write(dir .. "/.env", "MY_API_KEY=hunter2-hunter2\n"))
    local r = ftrun(dir, {}, "export", "-o", "out.ftrun")
    t.eq({ r.code, (fs.stat(dir .. "/out.ftrun")) }, { 4, nil })
    t.has(r.err, "events.jsonl:")
    assert(fs.write(events, before .. '{"message":"AKIAABCDEFGHIJKLMNOP"}\n'))
    r = ftrun(dir, {}, "export", "-o", "out.ftrun")
    t.eq({ r.code, (fs.stat(dir .. "/out.ftrun")) }, { 4, nil })
    t.has(r.err, "an AWS access key (AKIA***)")
  end)
end)

-- ---- what an import refuses ----

-- A bundle by hand: entries { name, bytes, kind?, size? } below run/, and what the manifest says.
local function make(path, entries, change)
  local manifest = { format = 1, ftrun = "0.1.0", run = "run", name = "toy", recipe = "toy.lua", with_data = false,
    files = json.array {} }
  for _, e in ipairs(entries) do
    if not e.unlisted then
      table.insert(manifest.files, { path = e[1], bytes = e.size or #e[2], sha256 = digest.sha256(e[2]) })
    end
  end
  if change then change(manifest) end
  local out <close> = assert(gzip.writer(path))
  local function add(name, bytes, kind)
    local header = tar.header(name, #bytes, 0)
    if kind then
      header = header:sub(1, 156) .. kind .. header:sub(158)
      local sum = 8 * 32
      for i = 1, 512 do if i < 149 or i > 156 then sum = sum + header:byte(i) end end
      header = header:sub(1, 148) .. ("%06o\0 "):format(sum) .. header:sub(157)
    end
    assert(out:add(header .. bytes .. tar.padding(#bytes)))
  end
  add("run/manifest.json", json.encode(manifest))
  for _, e in ipairs(entries) do add(e.as or "run/" .. e[1], e[2], e.kind) end
  assert(out:add(tar.tail))
  assert(out:commit())
end

local function refused(entries, change)
  local dir <close> = t.folder()
  local path, into = dir.path .. "/x.ftrun", dir.path .. "/into"
  make(path, entries, change)
  assert(fs.mkdir(into))
  local ok, e = pcall(bundle.read, path, into)
  t.ok(not ok, "nothing was refused")
  if not err.is(e) then error(e, 0) end
  t.eq({ e.kind, e.code }, { "data", "bundle" }, e.message)
  t.eq(fs.list(dir.path), { "into", "x.ftrun" })
  return e.message
end

t.test("a whole bundle is read, and every harmful or damaged one is refused", function()
  local dir <close> = t.folder()
  make(dir.path .. "/x.ftrun", { { "recipe.lua", "return 1" }, { "sources/a/b.txt", ("x"):rep(700) } })
  t.eq(bundle.read(dir.path .. "/x.ftrun", dir.path .. "/into").run, "run")
  t.eq(#fs.read(dir.path .. "/into/sources/a/b.txt"), 700)

  local good = { "recipe.lua", "return 1" }
  for _, name in ipairs { "../evil", "sources/../../evil", "/etc/evil", "sources//x", "sources/.git/hooks/pre-commit",
    "sources/prod.env", "sources/a\nb", "sources/a\\b", "other.sh", "sources/~x", "" } do
    t.has(refused { good, { name, "x" } }, "belongs into no run", name)
  end
  t.has(refused { good, { "sources/x", "", kind = "2" } }, "something else than a plain file")
  t.has(refused { good, { "sources/x", "", kind = "5" } }, "something else than a plain file")
  t.has(refused { good, { "sources/x", "y", unlisted = true } }, "does not name")
  t.has(refused { good, { "sources/x", "y", as = "run/../x" } }, "does not name")
  t.has(refused { good, { "sources/x", "y", as = "elsewhere/sources/x" } }, "does not name")
  t.has(refused({ good }, function(m) table.insert(m.files, { path = "run.json", bytes = 1, sha256 = "ab" }) end),
    "run.json is missing")
  t.has(refused({ good }, function(m) m.files[1].sha256 = ("0"):rep(64) end), "was changed after the export")
  t.has(refused({ good }, function(m) m.files[1].bytes = 9 end), "size")
  t.has(refused({ good }, function(m) m.files[1].bytes = 3 << 30 end), "more than 2 GiB")
  t.has(refused({ good }, function(m) m.format = 2 end), "reads format 1")
  t.has(refused({ good }, function(m) m.run = ".." end), "no usable run")
  t.has(refused({ good }, function(m) m.recipe = "../x.lua" end), "no usable recipe")
  t.has(refused({ good, good }), "belongs into no run", "twice the same name")
end)

t.test("a file that was cut off or changed anywhere is refused, or holds all that the export did", function()
  local dir <close> = t.folder()
  local path = dir.path .. "/x.ftrun"
  make(path, { { "recipe.lua", "return 1" }, { "sources/a.txt", ("text "):rep(200) } })
  local bytes = fs.read(path)
  for at = 1, #bytes - 1, 9 do
    for _, damaged in ipairs { bytes:sub(1, at),
      bytes:sub(1, at) .. string.char(bytes:byte(at + 1) ~ 0x10) .. bytes:sub(at + 2) } do
      assert(fs.write(path, damaged))
      local ok, e = pcall(bundle.read, path, dir.path .. "/into")
      if ok then
        t.eq(#fs.read(dir.path .. "/into/sources/a.txt"), 1000)
      elseif not err.is(e) then
        error(e, 0)
      end
      fs.remove(dir.path .. "/into", true)
    end
  end
  assert(fs.write(path, "no gzip"))
  t.has(tostring(select(2, pcall(bundle.read, path, dir.path .. "/into"))), "is no file of ftrun export")
end)

t.test("an import writes over nothing: no run, no recipe, no text", function()
  after_run(function(dir)
    local file = exported(dir)
    local r = ftrun(dir, {}, "import", file)
    t.eq(r.code, 2)
    t.has(r.err, "is here already")
    local other <close> = t.folder()
    assert(fs.mkdir(other.path .. "/prompts"))
    assert(fs.write(other.path .. "/prompts/find.txt", "mine"))
    r = ftrun(other.path, {}, "import", file, "--into", ".")
    t.eq(r.code, 2, r.err)
    t.has(r.err, "./prompts/find.txt")
    t.eq({ fs.read(other.path .. "/prompts/find.txt"), (fs.stat(other.path .. "/toy.lua")),
      #fs.list(other.path .. "/.ftrun/runs") }, { "mine", nil, 0 })
    r = ftrun(other.path, {}, "import", file)
    t.eq(r.code, 0, r.err)
    t.ok(fs.stat(other.path .. "/" .. r.out:sub(1, -2)))
    r = ftrun(other.path, {}, "eval", "--local")
    t.eq(r.code, 4)
    t.has(r.err, "the run's validation rows are not here")
    t.has(r.err, "ftrun export --with-data")
    r = ftrun(other.path, {}, "export", "-o", "/dev/full")
    t.eq(r.code, 11)
    t.has(r.err, "/dev/full: ")
    t.has(r.err, "Free some space")
  end)
end)

-- ---- diff ----

t.test("diff shows settings, texts and scores; 0 when nothing differs, 14 when something does", function()
  after_run(function(dir, first)
    t.eq(ftrun(dir, {}, "diff", "toy.lua", "toy.lua").code, 0)
    t.eq(ftrun(dir, {}, "diff", "toy.lua", "toy").code, 0)
    t.eq(ftrun(dir, {}, "diff", "toy.lua", "toy.lock.json").code, 0)
    assert(fs.write(dir .. "/prompts/find.txt", "Find the number.\nOnly the number.\n"))
    assert(fs.write(dir .. "/toy.lua", (MEASURED:gsub("n_epochs = 2", "n_epochs = 1"))))
    local r = ftrun(dir, {}, "diff", first.run, "toy.lua")
    t.eq(r.code, 14)
    t.has(r.out, "hyperparameters.n_epochs: 2 → 1")
    t.has(r.out, "prompts/find.txt\n@@ -1 +1,2 @@\n Find the number.\n+Only the number.\n")
    t.has(r.out, "-  hyperparameters = { n_epochs = 2, batch_size = 4 },")
    t.ok(not r.out:find("\27", 1, true), "colours are for terminals")
    local second = program.result(ftrun(dir, {}, "--local", "toy.lua", "--json"))
    r = ftrun(dir, {}, "diff", first.run, second.run, "--json")
    local d = json.decode(r.out)
    t.eq({ r.code, d.equal, d.same_rows, d.scores[1].name }, { 14, false, false, "f1" })
    t.eq(d.scores[1].difference, d.scores[1].b - d.scores[1].a)
    r = ftrun(dir, {}, "diff", "toy.lua", "nosuch")
    t.eq(r.code, 2)
    for _, words in ipairs { { "verify", "rows.jsonl" }, { "diff", "rows.jsonl", "toy.lua" } } do
      r = ftrun(dir, {}, table.unpack(words))
      t.eq({ r.code, r.err }, { 2, "ftrun: rows.jsonl: is neither a recipe (.lua) nor a lock file (.json)\n"
        .. "  Files of rows are checked with: ftrun validate rows.jsonl\n" })
    end
  end)
end)

t.test("hunks are those of diff -u: a shortest script that patch applies", function()
  local dir <close> = t.folder()
  local seed = 7
  local function random(n) seed = (seed * 1103515245 + 12345) % 2 ^ 31 // 1 | 0; return seed // 65536 % n end
  local function text()
    local lines = {}
    for i = 1, random(25) do lines[i] = string.char(97 + random(4)) end
    return #lines > 0 and table.concat(lines, "\n") .. "\n" or ""
  end
  local function changes(s) return select(2, ("\n" .. s):gsub("\n[+-]", "")) end
  for _ = 1, 25 do
    local a, b = text(), text()
    assert(fs.write(dir.path .. "/a", a))
    assert(fs.write(dir.path .. "/b", b))
    local p <close> = io.popen(("cd %s && diff -u a b | tail -n +3"):format(dir.path))
    local theirs, ours = p:read "a", table.concat(linediff.unified(a, b), "\n")
    if a == b then t.eq(ours, "") else t.ok(changes(ours) <= changes(theirs), a .. "---\n" .. b) end
    -- applied by hand: what is not taken out, and what is put in, is the second text
    local kept, left = {}, {}
    for _, s in ipairs(linediff.steps(linediff.lines(a), linediff.lines(b))) do
      if s.op ~= "-" then kept[#kept + 1] = s.line end
      if s.op ~= "+" then left[#left + 1] = s.line end
    end
    t.eq({ left, kept }, { linediff.lines(a), linediff.lines(b) })
  end
  local long = {}
  for i = 1, 4000 do long[i] = tostring(i) end
  t.eq(#linediff.unified("x\n", table.concat(long, "\n")), 4002)
end)
