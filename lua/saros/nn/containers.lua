-- nn.Sequential, nn.ModuleList, nn.ModuleDict.
--
-- Their parts are seq[1], seq[2], ..., the last one seq[-1]; printed and in a state_dict
-- they have the names that PyTorch gives them: "0", "1", ...

local options = require "saros.options"
local parts = require "saros.nn.module"
local printing = require "saros.nn.printing"

local Module, is_module = parts.Module, parts.is_module
local fail, show = options.fail, options.show

-- The modules among the arguments: nn.Sequential(a, b), nn.Sequential{a, b}.
local function read_modules(where, ...)
  local list, first = {...}, ...
  if select("#", ...) == 1 and type(first) == "table" and not is_module(first) then
    for key in pairs(first) do
      if math.type(key) ~= "integer" then
        fail("%s: a list of modules expected, got a value named '%s'", where, tostring(key))
      end
    end
    list = first
  end
  for i = 1, #list do
    if not is_module(list[i]) then
      fail("%s: item %d must be a module, got %s", where, i, show(list[i]))
    end
  end
  return list
end

local function append(self, module)
  if not is_module(module) then
    fail("%s.append: a module expected, got %s", self.__name, show(module))
  end
  self[#self + 1] = module
  return self
end

local function extend_with(self, modules)
  local where = self.__name .. ".extend"
  for _, module in ipairs(read_modules(where, modules)) do append(self, module) end
  return self
end

-- list[-1] is the last module.
local function index_of(c)
  return function(self, key)
    if math.type(key) == "integer" and key < 0 then return rawget(self, #self + 1 + key) end
    return c[key]
  end
end

local function assign(self, key, value)
  if math.type(key) == "integer" and key < 0 then
    if key < -#self then fail("%s: item %d of %d modules", self.__name, key, #self) end
    key = #self + 1 + key
  end
  Module.__newindex(self, key, value)
end

local function with_items(c)
  c._index_of, c.__index, c.__newindex = index_of, index_of(c), assign
  return c
end

-- ---- Sequential --------------------------------------------------------------------

---@class saros.nn.Sequential: saros.nn.Module
---@overload fun(...: saros.nn.Module): self
local Sequential = with_items(Module:extend("Sequential"))

--- Modules that run one after the other, each on what the one before gave.
function Sequential:init(...)
  for i, module in ipairs(read_modules("nn.Sequential", ...)) do self[i] = module end
end

--- Add a module at the end.
---@param module saros.nn.Module
---@return saros.nn.Sequential self
function Sequential:append(module) return append(self, module) end

---@param input any
---@return any
function Sequential:forward(input)
  for _, key in ipairs(self._keys) do
    local module = rawget(self, key)
    if is_module(module) then input = module(input) end
  end
  return input
end

-- ---- ModuleList -----------------------------------------------------------------------

---@class saros.nn.ModuleList: saros.nn.Module
---@overload fun(modules?: saros.nn.Module[]): self
local ModuleList = with_items(Module:extend("ModuleList"))

--- A list of modules: list[i], #list, ipairs(list).
function ModuleList:init(...)
  for i, module in ipairs(read_modules("nn.ModuleList", ...)) do self[i] = module end
end

--- Add a module at the end.
---@param module saros.nn.Module
---@return saros.nn.ModuleList self
function ModuleList:append(module) return append(self, module) end

--- Add the modules of a list at the end; on the class, make a class below it.
---@param modules saros.nn.Module[]|string
---@return saros.nn.ModuleList self
function ModuleList:extend(modules)
  if rawget(self, "_keys") == nil then return Module.extend(self, modules) end
  return extend_with(self, modules)
end
Sequential.extend = ModuleList.extend

-- Equal neighbours are printed once: "(0-2): 3 x Linear(...)".
ModuleList.__tostring = printing.printer(function(self)
  local lines, first, last, text = {}, 0, -1, nil
  local function flush()
    if not text then return end
    local shown = first == last and ("(%d): %s"):format(first, text)
      or ("(%d-%d): %d x %s"):format(first, last, last - first + 1, text)
    lines[#lines + 1] = shown
  end
  for i, module in ipairs(self) do
    local here = tostring(module)
    if here == text then
      last = i - 1
    else
      flush()
      first, last, text = i - 1, i - 1, here
    end
  end
  flush()
  return printing.block(self.__name, lines)
end)

-- ---- ModuleDict ------------------------------------------------------------------------

---@class saros.nn.ModuleDict: saros.nn.Module
---@overload fun(modules?: table<string, saros.nn.Module>): self
local ModuleDict = Module:extend("ModuleDict")

--- Modules by name: dict.encoder, dict["decoder"]. A table's names are taken in
--- sorted order; assign them one by one for another.
function ModuleDict:init(modules)
  if modules == nil then return end
  if type(modules) ~= "table" or is_module(modules) then
    fail("nn.ModuleDict: a table of modules by name expected, got %s", show(modules))
  end
  local names = {}
  for name in pairs(modules) do names[#names + 1] = tostring(name) end
  table.sort(names)
  for _, name in ipairs(names) do self:add_module(name, modules[name]) end
end

return {Sequential = Sequential, ModuleList = ModuleList, ModuleDict = ModuleDict}
