std = "lua54"
max_line_length = 120
self = false                           -- a method need not use its object
unused_args = true
ignore = { "21./_.*" }                 -- unused names that begin with _ are meant
exclude_files = { "build*/**", "tests/fuzz/corpus/**", "tests/cases/sandbox/**" }
files["lua/ftrun/meta"] = { ignore = { "111", "112", "113", "131", "211", "212", "241", "631" } }
files["recipes"] = { read_globals = { "ft" } }
files["tests/cases"] = { read_globals = { "ft" } }
files["lua/ftrun/recipe/dsl.lua"] = { globals = { "ft" } }
