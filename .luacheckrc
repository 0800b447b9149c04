-- Style of the Lua side; `make lint` runs it.
std = "lua54"
max_line_length = 100
self = false -- a method need not use it
unused_args = false
exclude_files = {"build/**"}
-- LuaUnit finds its test classes among the globals.
files["tests/lua"] = {ignore = {"111/Test.*", "112/Test.*", "113/Test.*", "131/Test.*"}}
