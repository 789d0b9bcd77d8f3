local t = require "harness"
local child = require "child"
local log = require "ft.log"
local secrets = require "ft.secrets"

local SECRET = "sk-proj-" .. ("x1Y2"):rep(6)

--- What a child writes to stderr for log.info(text).
local function shown(text, env)
  local r = child.run(("require('ft.log').info(%q)"):format(text), { env = env })
  t.eq(r.code, 0, r.err)
  return r.err
end

t.test("errors and warnings carry the program's name, others do not", function()
  local r = child.run [[local l = require "ft.log"; l.error "one\n  two"; l.warn "w"; l.info "i"; l.debug "d"]]
  t.eq(r.err, "ftrun: one\n  two\nftrun: w\ni\n")
  t.eq(r.out, "")
end)

t.test("FTRUN_LOG and log.level choose what is written", function()
  local say = [[local l = require "ft.log"; l.error "e"; l.warn "w"; l.info "i"; l.debug "d"]]
  t.eq(child.run(say, { env = { FTRUN_LOG = "debug" } }).err, "ftrun: e\nftrun: w\ni\nd\n")
  t.eq(child.run(say, { env = { FTRUN_LOG = "error" } }).err, "ftrun: e\n")
  t.eq(child.run(say, { env = { FTRUN_LOG = "loud" } }).err, "ftrun: e\nftrun: w\ni\n")
  t.eq(child.run([[require "ft.log".level "warn" ]] .. say).err, "ftrun: e\nftrun: w\n")
  t.raises("invalid option 'loud'", log.level, "loud")
end)

t.test("a secret is masked wherever it stands", function()
  local env = { OPENAI_API_KEY = SECRET }
  t.eq(shown("Bearer " .. SECRET .. ", " .. SECRET .. SECRET, env), "Bearer ***, ******\n")
  t.eq(shown(SECRET:sub(1, -2) .. "!", env), SECRET:sub(1, -2) .. "!\n")
  t.eq(shown("a" .. SECRET:sub(1, 9) .. "\27[0m" .. SECRET:sub(10) .. "b", env), "a***b\n")
  t.eq(shown("a" .. SECRET:sub(1, 9) .. "\0" .. SECRET:sub(10) .. "b", env), "a***b\n")
end)

t.test("of secrets that contain or overlap each other nothing is left", function()
  local env = { A_KEY = "abcdef", B_KEY = "abcdefgh", C_TOKEN = "ghijkl", D_SECRET = "def" }
  t.eq(shown("1 abcdef 2 abcdefgh 3 abcdefghijkl 4 def", env), "1 *** 2 *** 3 *** 4 def\n")
end)

t.test("a secret of several lines is masked as a whole and line by line", function()
  local env = { TLS_KEY = "first-line-of-it\nsecond-line-of-it\n--" }
  t.eq(shown("first-line-of-it\nsecond-line-of-it\n--", env), "***\n")
  t.eq(shown("> second-line-of-it <", env), "> *** <\n")
end)

t.test("a secret is masked in the forms that JSON gives it", function()
  local env = { A_KEY = [[ab/cd"ef\gh]] }
  t.eq(shown([["ab/cd\"ef\\gh" "ab\/cd\"ef\\gh"]], env), [["***" "***"]] .. "\n")
end)

t.test("numbers and booleans under a secret-looking name garble nothing", function()
  local env = { MAX_TOKENS = "4096", TOKENIZERS_PARALLELISM = "false", PGPASSWORD = "4097" }
  t.eq(shown("4096 false 4097", env), "4096 false ***\n")
end)

t.test("what steers a terminal is removed, text in any script stays", function()
  for _, case in ipairs {
    { "\27[31mred\27[0m\27[2J", "red" },
    { "\27]0;title\7after", "after" }, { "\27]8;;http://x\27\\link", "link" },
    { "\27]0;never ends", "0;never ends" }, { "\27Pq\27\\x", "x" }, { "\27(Bx\27", "x" },
    { "a\bb\127c\7d", "abcd" }, { "50%\r60%", "50% 60%" }, { "crlf\r\nline", "crlf\nline" },
    { "a\u{9b}31mb\u{85}c", "abc" }, { "\u{202e}txt.exe\u{2066}\u{200f}", "txt.exe" },
    { "tab\there", "tab\there" }, { "Закон № 1 — «Про їжу» 🇺🇦 漢", "Закон № 1 — «Про їжу» 🇺🇦 漢" },
    { "\xff\xfe \xc0\xaf \xed\xa0\x80 \xd0", "?? ?? ??? ?" },
  } do
    t.eq(shown(case[1]), case[2] .. "\n", ("%q"):format(case[1]))
  end
end)

t.test("a long message is cut visibly, never inside a secret or a character", function()
  local r = child.run([[require "ft.log".info(("ї"):rep(131071) .. "abc" .. os.getenv "A_KEY" .. ("b"):rep(1000))]],
    { env = { A_KEY = SECRET } })
  t.eq(r.err:sub(1, 4), "її")
  t.ok(not r.err:find("sk%-"), "no part of the secret")
  t.has(r.err, "… (1004 bytes more)\n")
  t.eq(#shown(("x"):rep(200000)), 200001)
end)

t.test("out writes to stdout as it is, but masked", function()
  local r = child.run([[return require "ft.log".out("a\27[1m\r" .. os.getenv "A_KEY" .. "\0b") and 7]],
    { env = { A_KEY = SECRET } })
  t.eq({ r.out, r.err, r.code }, { "a\27[1m\r***\0b", "", 7 })
end)

t.test("out reports a reader that went away, and a full device", function()
  local say = [[local log, big = require "ft.log", ("x"):rep(300000)
    local _, message, code = log.out(big)
    log.error(code .. "; " .. tostring(message))]]
  local r = child.run([[
    local f = io.open("say.lua", "w")
    f:write("return function() ]] .. say:gsub("\n", " "):gsub('"', '\\"') .. [[ end") f:close()
    os.execute("mkdir ftrun2; mkdir ftrun2/ftrun; mv say.lua ftrun2/ftrun/cli.lua")
    local run = "FTRUN_LUA=ftrun2 " .. os.getenv "FTRUN_BIN"
    os.execute("(" .. run .. " | true); " .. run .. " >/dev/full")]])
  t.eq(r.err, "ftrun: closed; standard output: Broken pipe\nftrun: io; standard output: No space left on device\n")
end)

t.test("mask hides what the settings hold, also the password of a database URL alone", function()
  local dir <close> = t.folder()
  local file = io.open(dir.path .. "/.env", "w")
  file:write("DATABASE_URL=postgresql://u:p%40ss-word@db.example/laws\nSHOP_URL=https://me:hush-hush@x.example/\n",
    "OTHER_URL=postgresql://same:same@h/d\n")
  file:close()
  t.ok(secrets.load(dir.path .. "/.env"))
  t.eq(log.mask("at postgresql://u:p%40ss-word@db.example/laws with p%40ss-word, p@ss-word, hush-hush"),
    "at *** with ***, ***, ***")
  t.eq(log.mask("the same postgresql://same:same@h/d"), "the same ***")
  t.eq(log.mask(""), "")
end)

t.test("columns and is_terminal answer without a terminal", function()
  t.eq(child.run([[local l = require "ft.log"; l.out(l.columns() .. tostring(l.is_terminal "stderr"))]]).out, "80false")
  t.raises("invalid option", log.is_terminal, "nowhere")
end)
