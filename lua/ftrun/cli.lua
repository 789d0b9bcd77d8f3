--- The command line: parses what commands.lua describes, and turns orderly ends into messages and
--- exit codes.
local argparse = require "argparse"
local commands = require "ftrun.commands"
local dotenv = require "ftrun.dotenv"
local err = require "ftrun.err"
local fs = require "ft.fs"
local log = require "ft.log"
local progress = require "ft.progress"
local secrets = require "ft.secrets"
local task = require "ft.task"
local version = require "ft.version"
local wrap = require "ftrun.text.wrap"

local cli = {}

--- Raised by --help and --version: text for stdout, exit code 0.
local Shown = {}

local function show(text)
  error(setmetatable({ text = text .. "\n" }, Shown), 0)
end

local function exit_codes()
  local lines = { "Exit codes:" }
  for _, row in ipairs(err.table) do lines[#lines + 1] = ("  %-4d %s"):format(row[2], row[3]) end
  return table.concat(lines, "\n")
end

local function is_command(word)
  for _, c in ipairs(commands) do if c.name == word then return true end end
  return false
end

local function add_option(command, o)
  if not o.args then return command:flag(o[1]):description(o[2]) end
  local option = command:option(o[1]):description(o[2]):argname(o.args):default(o.default)
  if o.many then option:count("*") end
  if o.required then option:count(1) end
  if o.convert then option:convert(o.convert) end
  if o.choices then option:choices(o.choices) end
end

local function add_help(command)
  command:add_help(false)
  command:flag("-h --help"):description("show this help"):action(function()
    show(command:get_help())
  end)
end

-- Whether each part of a mistyped option begins a part of this one: --train-file is meant for --training-file.
local function alike(asked, option)
  local at = 1
  for part in asked:gmatch "[^-]+" do
    repeat
      local from, to = option:find("[^-]+", at)
      if not from then return false end
      at = to + 1
      local found = option:sub(from, from + #part - 1) == part
    until found
  end
  return true
end

-- What may have been meant where argparse has no idea.
local function meant(message, name)
  local command
  for _, c in ipairs(commands) do if c.name == name then command = c end end
  if not command then return "" end
  local missing = message:match "^missing argument '(.*)'$"
  for _, a in ipairs(command.args or {}) do
    if a[1] == missing and a.choices then return "There are: " .. table.concat(a.choices, ", ") end
  end
  local asked, found = message:match "^unknown option '(%-%-[^'=]+)", {}
  for _, o in ipairs(command.options) do
    local option = o[1]:match "%-%-[%w-]+"
    if asked and #asked > 4 and option and alike(asked, option) then found[#found + 1] = "'" .. option .. "'" end
    if message == "too many arguments" and not command.args and o.required then
      return ("It takes options only: %s %s"):format(option, o.args)
    end
  end
  if #found == 0 or #found > 3 then return "" end
  return "Did you mean " .. table.concat(found, " or ") .. "?"
end

--- The argparse parser made from commands.
---@param name string?  the command in use, for the advice of errors
function cli.parser(name)
  local parser = argparse("ftrun"):help_max_width(80)
    :description("Runs LLM fine-tuning experiments described as Lua recipes."):command_target("command")
    :usage("Usage: ftrun [--local] RECIPE.lua\n       ftrun COMMAND ...")
    :epilog(exit_codes() .. "\n\n`ftrun COMMAND --help` tells more.")
  add_help(parser)
  parser:flag("--version"):description("show the version"):action(function()
    show("ftrun " .. version)
  end)
  for flag, page in pairs { ["--man"] = "man", ["--man-recipe"] = "recipe_man" } do
    parser:flag(flag):hidden(true):action(function() show(require("ftrun.docs")[page]()) end)
  end
  for _, c in ipairs(commands) do
    local command = parser:command(c.name):help_max_width(80):description(c.does):epilog("Example:\n  " .. c.example)
    add_help(command)
    for _, a in ipairs(c.args or {}) do
      local argument = command:argument(a[1]):description(a[2])
      if a.many then argument:args(a.optional and "*" or "+") elseif a.optional then argument:args("?") end
      if a.choices then argument:choices(a.choices) end
    end
    for _, o in ipairs(c.options) do add_option(command, o) end
  end
  function parser.error(_, message)
    local hint
    message, hint = message:match "^([^\n]*)\n?(.*)$"
    if not hint:find "%-%-" and hint:find "'%-%a'" then hint = "" end -- no one meant -h or -q
    if hint == "" then hint = meant(message, name) end
    local advice = "See: ftrun " .. (is_command(name) and name .. " " or "") .. "--help"
    local unknown = message:match "^unknown command '(.*)'$"
    if unknown and fs.stat(unknown .. ".lua") then
      hint = ("A recipe is named by its path: %s.lua"):format(unknown)
    elseif unknown and hint == "" then
      hint = message:find "%.jsonl" and "A file of rows is checked with ftrun validate FILE,\n"
        .. "and trained on with ftrun tune --training-file FILE."
        or "A recipe is named by its path: ftrun recipes/from-jsonl.lua"
    end
    err.raise("usage", message, { advice = hint ~= "" and hint .. "\n" .. advice or advice })
  end
  return parser
end

--- `ftrun [options] RECIPE` means `ftrun run ...`; options may stand before the command.
local function with_command(argv)
  for i, word in ipairs(argv) do
    if is_command(word) then
      table.insert(argv, 1, table.remove(argv, i))
      return argv
    end
    if word == "-h" or word == "--help" or word == "--version" then return argv end
    local value = i > 1 and (argv[i - 1] == "--set" or argv[i - 1] == "--limit")
    if not word:match("^%-") and not value then
      if word:match("%.lua$") or word:find("/", 1, true) then
        table.insert(argv, 1, "run")
      else
        table.insert(argv, 1, table.remove(argv, i)) -- what is wrong is this word, not the options before it
      end
      return argv
    end
  end
  if #argv > 0 then table.insert(argv, 1, "run") end
  return argv
end

local function report(e)
  progress.finish()
  for _, one in ipairs(e.list or { e }) do log.error(tostring(one)) end
  return err.kinds[e.kind]
end

local SIGNAL_EXIT = { INT = 130, TERM = 143 }

--- Runs a command while a second task listens for Ctrl-C and SIGTERM: the command is cancelled
--- (what it opened is closed, what it created at the provider goes on), and told to say how to go
--- on.
local function run_command(module, args)
  local state = {}
  local work = task.spawn(function() return module.main(args, state) end)
  local name
  local listener = task.spawn(function()
    name = task.signal()
    work:cancel()
  end)
  local ok, result = pcall(work.join, work)
  -- a read that a signal has ended; the listener will hear of it in the loop's next turn
  if not ok and err.is(result) and result.code == "interrupted" then listener:join() end
  listener:cancel()
  if name then
    progress.finish()
    -- the terminal has written ^C at the beginning of the line
    log.info(wrap.text(state.detached and state.detached() or "interrupted", wrap.width "stderr",
      name == "INT" and #"^C" or 0))
    return SIGNAL_EXIT[name]
  end
  if ok then return result or 0 end
  error(result, 0)
end

--- The program: arguments of the process, answers the exit code.
return setmetatable(cli, { __call = function(_, ...)
  local argv = { ... }
  wrap.messages()
  local ok, result = pcall(function()
    local count, message, code = secrets.load(".env")
    if not count and not dotenv.PASSED[code] then dotenv.fail("setting", message, code) end
    if not count then log.warn(message .. dotenv.PASSED[code]) end
    if #argv == 0 then argv[1] = "--help" end
    local words = with_command(argv)
    local args = cli.parser(words[1]):parse(words)
    if args.quiet then log.level("warn") end
    for _, c in ipairs(commands) do
      if c.name == args.command then return run_command(require("ftrun.command." .. (c.module or c.name)), args) end
    end
  end)
  if not ok and getmetatable(result) == Shown then
    log.out(result.text)
    ok, result = true, 0
  end
  if ok then
    -- whoever closes a pipe has read enough; a full disk has lost what was asked for
    local written, message, code = log.out ""
    if written or code == "closed" then return result end
    local lost = report(err.new("system", message, { code = code }))
    return result ~= 0 and result or lost
  end
  if not err.is(result) and tostring(result):find "^[^\n]*not enough memory" then -- Lua's and the natives' own words
    result = err.new("system", "not enough memory for this", { code = "memory",
      advice = "See what else uses it, and whether a limit is set: ulimit -v" })
  end
  if err.is(result) then return report(result) end
  error(result, 0)
end })
