-- saros.so under stock lua5.4. Argument: the folder that holds it.
local folder = assert(arg[1], "folder of saros.so expected")
package.path = ""
package.cpath = folder .. "/?.so"
local globals = {}
for name in pairs(_G) do globals[name] = true end

local saros = require "saros"
local x = saros.tensor({{1.0, 2.0}, {3.0, 4.0}})
assert(x:matmul(x):sum():item() == 54)
assert(saros.nn.RNN(2, 3)(saros.ones(4, 1, 2)).shape[3] == 3)
for name in pairs(_G) do assert(globals[name], "require made the global " .. name) end
