--- Completion for shells, made from the table of commands. The program itself is asked for runs when the key is
--- pressed.
local commands = require "ftrun.commands"

local M = {}

local BY_NAME = { run = "runs", recipe = "recipes", file = "files", a = "experiments", b = "experiments",
  what = "experiments", path = "files", folder = "folders" }

-- What may stand for an argument or an option's value: a list of words, or one of the kinds above; nil: anything.
local function kind_of(name, choices) return choices or BY_NAME[(name:gsub("[<>]", ""))] end

local function flags_of(option)
  local list = {}
  for flag in option[1]:gmatch "%S+" do list[#list + 1] = flag end
  return list
end

-- Calls each(flag, option) for every flag of a command, --help too.
local function each_flag(command, each)
  for _, o in ipairs(command.options) do
    for _, flag in ipairs(flags_of(o)) do each(flag, o) end
  end
  each("--help", { "--help -h", "show this help" })
end

local function names(list)
  local words = {}
  for i, c in ipairs(list) do words[i] = c.name end
  return table.concat(words, " ")
end

-- ---- bash ----

local BASH_HEAD = [==[
# Completion of ftrun for bash, made by: ftrun completion bash
_ftrun_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur"); }
_ftrun_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$cur")
}
_ftrun_folders() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur"); }
_ftrun_recipes() {
  compopt -o filenames 2>/dev/null
  mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -X '!*.lua' -- "$cur"; compgen -d -- "$cur")
}
_ftrun_runs() { _ftrun_words "$("${COMP_WORDS[0]/#\~/$HOME}" list --names 2>/dev/null)"; }
_ftrun_experiments() { _ftrun_runs; _ftrun_files; }
_ftrun() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= place=0 word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ -z $command ]]; then
      case " $COMMANDS " in *" $word "*) command=$word ;; esac
      [[ $word == *.lua ]] && command=run place=1
    elif [[ $word != -* ]] && ! _ftrun_takes_value "$command" "${COMP_WORDS[i-1]}"; then
      place=$((place + 1))
    fi
  done
]==]

local function bash_call(kind)
  if type(kind) == "table" then return ('_ftrun_words "%s"'):format(table.concat(kind, " ")) end
  return kind and "_ftrun_" .. kind or ":"
end

function M.bash()
  local takes, values, options, places = {}, {}, {}, {}
  for _, c in ipairs(commands) do
    local flags = {}
    each_flag(c, function(flag, o)
      flags[#flags + 1] = flag
      if o.args then
        takes[#takes + 1] = c.name .. ":" .. flag
        values[#values + 1] = ("    %s:%s) %s; return ;;"):format(c.name, flag, bash_call(kind_of(o.args, o.choices)))
      end
    end)
    options[#options + 1] = ('    %s) words="%s" ;;'):format(c.name, table.concat(flags, " "))
    for i, a in ipairs(c.args or {}) do
      places[#places + 1] = ("    %s:%s) %s ;;"):format(c.name, a.many and "*" or i - 1,
        bash_call(kind_of(a[1], a.choices)))
    end
  end
  local function join(list, gap) return table.concat(list, gap or "\n") end
  return BASH_HEAD:gsub("%$COMMANDS", function() return names(commands) end) .. [==[
  if [[ -z $command ]]; then
    if [[ $cur == -* ]]; then _ftrun_words "--local --help --version"; return; fi
    _ftrun_words "]==] .. names(commands) .. [==["
    _ftrun_recipes
    return
  fi
  case $command:$prev in
]==] .. join(values) .. [==[

  esac
  if [[ $cur == -* ]]; then
    local words=
    case $command in
]==] .. join(options) .. [==[

    esac
    _ftrun_words "$words"
    return
  fi
  case $command:$place in
]==] .. join(places) .. [==[

  esac
}
_ftrun_takes_value() {
  case $1:$2 in
    ]==] .. join(takes, " | ") .. [==[) return 0 ;;
  esac
  return 1
}
complete -F _ftrun ftrun
]==]
end

-- ---- zsh ----

local function zsh_text(text) return (text:gsub("[%[%]:\\]", "\\%0"):gsub("'", "'\\''")) end

local ZSH = { runs = "_ftrun_runs", recipes = "_files -g '\\''*.lua'\\''", files = "_files", folders = "_files -/",
  experiments = "_ftrun_experiments" }

local function zsh_action(kind)
  if type(kind) == "table" then return "(" .. table.concat(kind, " ") .. ")" end
  return kind and ZSH[kind] or " "
end

function M.zsh()
  local out = { "#compdef ftrun", "# Completion of ftrun for zsh, made by: ftrun completion zsh", [==[
_ftrun_runs() {
  local -a list
  list=(${(f)"$(_call_program runs ftrun list --names 2>/dev/null)"})
  compadd -a list
}
_ftrun_experiments() { _alternative 'runs:run:_ftrun_runs' 'files:file:_files' }
_ftrun() {
  local curcontext="$curcontext" context state line ret=1
  typeset -A opt_args
  _arguments -C '--local[use the built-in local provider]' '--help[show help]' '--version[show the version]' \
    '1: :->command' '*:: :->rest' && ret=0
  case $state in
  command)
    local -a list
    list=(]==] }
  for _, c in ipairs(commands) do out[#out + 1] = ("      '%s:%s'"):format(c.name, zsh_text(c.does)) end
  out[#out + 1] = [==[
    )
    _describe -t commands command list && ret=0
    _files -g '*.lua' && ret=0 ;;
  rest)
    case $line[1] in]==]
  for _, c in ipairs(commands) do
    local parts = {}
    each_flag(c, function(flag, o)
      local kind = kind_of(o.args or "", o.choices)
      local value = o.args and (":%s:%s"):format(zsh_text(o.args:gsub("[<>]", "")), zsh_action(kind))
      parts[#parts + 1] = ("'%s%s[%s]%s'"):format(o.many and "*" or "", flag, zsh_text(o[2]), value or "")
    end)
    for i, a in ipairs(c.args or {}) do
      parts[#parts + 1] = ("'%s:%s:%s'"):format(a.many and "*" or i, zsh_text(a[1]),
        zsh_action(kind_of(a[1], a.choices)))
    end
    out[#out + 1] = ("    %s)\n      _arguments %s && ret=0 ;;"):format(c.name, table.concat(parts, " \\\n        "))
  end
  out[#out + 1] = [==[
    *.lua) _files && ret=0 ;;
    esac ;;
  esac
  return ret
}
if [ "$funcstack[1]" = "_ftrun" ]; then _ftrun "$@"; else compdef _ftrun ftrun; fi
]==]
  return table.concat(out, "\n")
end

-- ---- fish ----

local function fish_text(text) return "'" .. text:gsub("[\\']", "\\%0") .. "'" end

local FISH = { runs = "(ftrun list --names 2>/dev/null)", recipes = "(__fish_complete_suffix .lua)",
  folders = "(__fish_complete_directories)" }

-- Options of complete that offer what may stand there.
local function fish_values(kind)
  if type(kind) == "table" then return "-a " .. fish_text(table.concat(kind, " ")) end
  if kind == "files" then return "-F" end
  if kind == "experiments" then return "-F -a " .. fish_text(FISH.runs) end
  return kind and "-k -a " .. fish_text(FISH[kind]) or ""
end

function M.fish()
  local out = { "# Completion of ftrun for fish, made by: ftrun completion fish", "complete -c ftrun -f",
    "complete -c ftrun -n __fish_use_subcommand -k -a '(__fish_complete_suffix .lua)'" }
  for _, c in ipairs(commands) do
    out[#out + 1] = ("complete -c ftrun -n __fish_use_subcommand -a %s -d %s"):format(c.name, fish_text(c.does))
  end
  out[#out + 1] = "complete -c ftrun -n __fish_use_subcommand -l local -d 'use the built-in local provider'"
  out[#out + 1] = "complete -c ftrun -n __fish_use_subcommand -l version -d 'show the version'"
  out[#out + 1] = "complete -c ftrun -s h -l help -d 'show this help'"
  for _, c in ipairs(commands) do
    local when = ("complete -c ftrun -n '__fish_seen_subcommand_from %s'"):format(c.name)
    for _, o in ipairs(c.options) do
      local line = when
      for _, flag in ipairs(flags_of(o)) do
        line = line .. (flag:find "^%-%-" and " -l " .. flag:sub(3) or " -s " .. flag:sub(2))
      end
      local kind = kind_of(o.args or "", o.choices)
      local takes = (kind == "files" or kind == "experiments") and " -r " or " -x " -- -x: no files
      line = line .. (o.args and takes .. fish_values(kind) or "")
      out[#out + 1] = line:gsub(" +$", "") .. " -d " .. fish_text(o[2])
    end
    for _, a in ipairs(c.args or {}) do
      local values = fish_values(kind_of(a[1], a.choices))
      if values ~= "" then out[#out + 1] = when .. " " .. values end
    end
  end
  return table.concat(out, "\n") .. "\n"
end

return M
