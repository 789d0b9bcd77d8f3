--- Completion scripts: whole for every shell that is here, and in bash really asked.
local t = require "harness"
local commands = require "ftrun.commands"
local completion = require "ftrun.completion"
local fs = require "ft.fs"
local json = require "ftrun.json"

local BIN = os.getenv "FTRUN_BIN"

local function there(shell) return os.execute("command -v " .. shell .. " >/dev/null 2>&1") end

for shell, check in pairs { bash = "bash -n", zsh = "zsh -n", fish = "fish -n" } do
  t.test("the script for " .. shell .. " knows every command and option", function()
    local script = completion[shell]()
    for _, c in ipairs(commands) do
      t.has(script, c.name)
      for _, o in ipairs(c.options) do
        local long = o[1]:match "%-%-(%S+)"
        t.has(script, shell == "fish" and "-l " .. long or "--" .. long)
      end
    end
  end)

  t.test(shell .. " reads its script", function()
    if not there(shell) then t.skip(shell .. " is not installed; .ci/setup installs it") end
    local dir <close> = t.folder()
    assert(fs.write(dir.path .. "/script", completion[shell]()))
    t.eq(os.execute(("%s %s/script"):format(check, dir.path)), true)
  end)
end

-- What bash offers for the last word of a line.
local function offered(dir, line)
  local p <close> = io.popen(([[cd %s && PATH=%s:$PATH bash --norc -c '
    source ./script; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ftrun
    printf "%%s\n" "${COMPREPLY[@]}"']]):format(dir, BIN:match "^(.*)/", line))
  local words = {}
  for word in p:lines() do if word ~= "" then words[#words + 1] = word end end
  table.sort(words)
  return table.concat(words, " ")
end

t.test("bash completes commands, options, values, recipes, runs and files", function()
  local dir <close> = t.folder()
  local path = dir.path
  assert(fs.write(path .. "/script", completion.bash()))
  assert(fs.write(path .. "/my recipe.lua", ""))
  assert(fs.write(path .. "/rows.jsonl", ""))
  assert(fs.mkdir(path .. "/.ftrun/runs/toy-1"))
  assert(fs.write(path .. "/.ftrun/runs/toy-1/run.json", json.encode { id = "toy-1", number = 1, name = "toy",
    state = "open", phase = "plan" }))
  for line, words in pairs {
    ["ftrun pla"] = "plan",
    ["ftrun --"] = "--help --local --version",
    ["ftrun my"] = "my recipe.lua",
    ["ftrun plan --li"] = "--limit",
    ["ftrun plan r"] = "",
    ['ftrun plan ""'] = ".ftrun my recipe.lua",
    ['ftrun validate --method ""'] = "completions dpo reinforcement supervised",
    ["ftrun validate ro"] = "rows.jsonl",
    ['ftrun validate --model gpt ro'] = "rows.jsonl",
    ['ftrun status ""'] = "toy-1",
    ['ftrun chat --run ""'] = "toy-1",
    ["ftrun diff t"] = "toy-1",
    ["ftrun diff toy-1 ro"] = "rows.jsonl",
    ['ftrun completion ""'] = "bash fish zsh",
    ["ftrun my.lua --ye"] = "--yes",
  } do t.eq(offered(path, line), words, line) end
end)
