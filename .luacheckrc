-- Style of the Lua side; `make lint` runs it.
std = "lua54"
max_line_length = 100
-- A method may ignore self, a loop its index.
self = false
unused_args = false
exclude_files = {"build/**"}
