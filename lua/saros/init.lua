-- saros: tensors, autograd and recurrent networks for Lua.
--
-- The functions of saros.core, and the library's parts, loaded when first named.

local core = require "saros.core"

---@class saros
---@field nn saros.nn
---@field optim saros.optim
---@field data saros.data
---@field text saros.text
---@field plot saros.plot
---@field progress saros.progress
---@field sequence_mask fun(lengths: integer[]|saros.Tensor, max_length?: integer): saros.Tensor
---@field version string
---@field cuda {is_available: fun(): boolean, device_count: fun(): integer}
local saros = {}
for name, value in pairs(core) do saros[name] = value end

local parts = {nn = true, optim = true, data = true, text = true, plot = true, progress = true}
-- Function -> the file that it is in.
local functions = {save = "archive", load = "archive", sequence_mask = "masks"}

local function load(self, name)
  local value
  if parts[name] then
    value = require("saros." .. name)
  elseif functions[name] then
    value = require("saros." .. functions[name])[name]
  else
    return nil
  end
  rawset(self, name, value)
  return value
end

-- core's save and load take lists; the library's take tables.
saros.save, saros.load = nil, nil

-- pairs(saros) shows everything, loaded or not.
local function iterate(self)
  for name in pairs(parts) do load(self, name) end
  for name in pairs(functions) do load(self, name) end
  return next, self, nil
end

return setmetatable(saros, {__index = load, __pairs = iterate})
