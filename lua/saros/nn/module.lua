-- nn.Module: a part of a network that owns parameters, buffers and other modules.
--
--   local Net = nn.Module:extend("Net")
--   function Net:init(inputs, outputs)
--     self.linear = nn.Linear(inputs, outputs)
--   end
--   function Net:forward(x) return self.linear(x):tanh() end
--   local net = Net(4, 2)          -- net(x) calls net:forward(x)
--
-- An instance is a plain table. The first time a field is assigned, its name
-- goes to the end of `_keys`; walking over these names and looking at what the
-- fields hold now gives parameters, buffers and children in PyTorch's order.
-- A position has the name PyTorch gives it: self[1] is "0" in a state_dict.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"
local printing = require "saros.nn.printing"

local is_tensor, fail, show = core.is_tensor, options.fail, options.show

---@class saros.nn.Module
---@field training boolean true after train(), false after eval()
local Module = class.extend(nil, "Module")

Module._is_module = true

function Module._prepare()
  return {training = true, _keys = {}, _kinds = {}}
end

--- A tensor that modules register and optimizers change. It shares the storage of `t`.
---@param t saros.Tensor
---@param requires_grad? boolean default true
---@return saros.Tensor
local function Parameter(t, requires_grad)
  if not is_tensor(t) then fail("nn.Parameter: a tensor expected, got %s", show(t)) end
  local p = t:detach()
  p.is_parameter = true
  if requires_grad ~= false then p:requires_grad_(true) end
  return p
end

local function is_module(value)
  local c = type(value) == "table" and getmetatable(value)
  return type(c) == "table" and c._is_module == true
end

-- model.train() instead of model:train(): say so.
local function need_self(self, method)
  if not is_module(self) then
    fail("Module.%s: call it with a colon, model:%s(), not model.%s() (got %s)",
      method, method, method, show(self))
  end
end

-- ---- registration ---------------------------------------------------------------

-- As PyTorch calls them, and what it takes in their place.
local roles = {
  parameter = {"parameter", "an nn.Parameter"}, buffer = {"buffer", "a tensor"},
  transient = {"buffer", "a tensor"}, module = {"child module", "a module"},
}

local function refuse(self, key, value, kind)
  local role, expected = table.unpack(roles[kind])
  fail("%s: cannot assign '%s' as %s '%s' (%s or nil expected)", self.__name,
    is_tensor(value) and "tensor" or type(value), role, tostring(key), expected)
end

-- What a field is now: "parameter", "buffer", "transient", "module", or false. What it was
-- before, as _kinds has it, must not be lost unseen. A field that has a value is assigned
-- without our knowledge, so a wrong value is found when the fields are next walked over.
local function kind_of(self, key, value)
  local kinds = self._kinds
  local was = kinds[key]
  if is_module(value) then
    kinds[key] = "module"
  elseif is_tensor(value) then
    if value.is_parameter then
      kinds[key] = "parameter"
    elseif was == "parameter" then
      fail("%s: '%s' was a parameter and now holds a plain tensor: assign nn.Parameter(t), "
        .. "or copy values with copy_", self.__name, tostring(key))
    elseif was == "module" then
      refuse(self, key, value, was)
    end
  elseif was then
    refuse(self, key, value, was)
  end
  return kinds[key]
end

-- _kinds[key]: "parameter", "buffer", "transient" (a buffer that is not saved) or "module"
-- where the field was one, false for anything else that was assigned.
function Module:__newindex(key, value)
  if value == nil then return end
  local kinds = self._kinds
  if kinds[key] == nil then
    kinds[key] = false
    self._keys[#self._keys + 1] = key
  end
  kind_of(self, key, value)
  rawset(self, key, value)
end

-- self[1] is called "0", as PyTorch names the parts of a Sequential.
local function name_of(key)
  return math.type(key) == "integer" and tostring(key - 1) or key
end

-- All registered fields in order: call(name, value, kind).
local function each_field(self, call)
  for _, key in ipairs(self._keys) do
    local value = rawget(self, key)
    if value ~= nil then
      local kind = kind_of(self, key, value)
      if kind then call(name_of(key), value, kind) end
    end
  end
end

local function check_name(self, method, name)
  if type(name) ~= "string" or name == "" or name:find(".", 1, true) then
    fail("%s.%s: a name without dots expected, got %s", self.__name, method, show(name))
  end
  local taken = rawget(self, name)
  if taken == nil and self[name] ~= nil or name == "training" then
    fail("%s.%s: '%s' is a method of the module", self.__name, method, name)
  end
end

--- Register a tensor that is saved and moved with the module but not trained.
---@param name string
---@param tensor saros.Tensor|nil
---@param opts? {persistent: boolean} persistent = false leaves it out of state_dict
function Module:register_buffer(name, tensor, opts)
  need_self(self, "register_buffer")
  check_name(self, "register_buffer", name)
  local o = options.reader("register_buffer", {{"persistent", "boolean", true}})(opts)
  if tensor ~= nil and not is_tensor(tensor) then
    fail("%s.register_buffer: '%s' must be a tensor, got %s", self.__name, name, show(tensor))
  end
  if tensor == nil then return end
  self[name] = tensor
  self._kinds[name] = o.persistent and "buffer" or "transient"
end

--- Register a parameter under a name that is computed; else assign it: self.w = nn.Parameter(t).
---@param name string
---@param parameter saros.Tensor|nil
function Module:register_parameter(name, parameter)
  need_self(self, "register_parameter")
  check_name(self, "register_parameter", name)
  if parameter ~= nil and not (is_tensor(parameter) and parameter.is_parameter) then
    fail("%s.register_parameter: '%s' must be an nn.Parameter, got %s", self.__name, name,
      show(parameter))
  end
  self[name] = parameter
end

--- Register a module under a name that is computed; else assign it: self.rnn = nn.RNN(4, 8).
---@param name string
---@param module saros.nn.Module|nil
function Module:add_module(name, module)
  need_self(self, "add_module")
  check_name(self, "add_module", name)
  if module ~= nil and not is_module(module) then
    fail("%s.add_module: '%s' must be a module, got %s", self.__name, name, show(module))
  end
  self[name] = module
end
Module.register_module = Module.add_module

-- ---- walking -----------------------------------------------------------------------

local function join(prefix, name)
  return prefix == "" and name or prefix .. "." .. name
end

-- This module and all below it, each once, parents first: call(path, module).
local function each_module(self, path, seen, call)
  if seen[self] then return end
  seen[self] = true
  call(path, self)
  each_field(self, function(name, value, kind)
    if kind == "module" then each_module(value, join(path, name), seen, call) end
  end)
end

-- Walks that come to a module once for each of its places would not end in one that contains
-- itself: they note in `active` where they are.
local function enter(self, path, active)
  if active[self] then fail("%s contains itself (at '%s')", self.__name, path) end
  active[self] = true
end

-- An iterator over pairs (name, value) that `fill(add)` adds.
local function pairs_of(fill)
  local names, values, at = {}, {}, 0
  fill(function(name, value) names[#names + 1], values[#values + 1] = name, value end)
  return function()
    at = at + 1
    return names[at], values[at]
  end
end

local function values_of(fill)
  local values, at = {}, 0
  fill(function(_, value) values[#values + 1] = value end)
  return function()
    at = at + 1
    return values[at]
  end
end

local read_walk = options.reader("named_parameters",
  {{"prefix", "string", ""}, {"recurse", "boolean", true}})

-- Tensors of the given kinds in this module and below, shared ones once.
local function each_tensor(self, wanted, opts, call)
  local o, seen = read_walk(opts), {}
  local function own(path, module)
    each_field(module, function(name, value, kind)
      if wanted[kind] and not seen[value] then
        seen[value] = true
        call(join(path, name), value)
      end
    end)
  end
  if o.recurse then each_module(self, o.prefix, {}, own) else own(o.prefix, self) end
end

local parameters_only, buffers_only = {parameter = true}, {buffer = true, transient = true}

--- for name, p in model:named_parameters() do: names as in state_dict, shared ones once.
---@param opts? {prefix: string, recurse: boolean}
---@return fun(): string, saros.Tensor
function Module:named_parameters(opts)
  need_self(self, "named_parameters")
  return pairs_of(function(add) each_tensor(self, parameters_only, opts, add) end)
end

--- All parameters as a list, shared ones once.
---@param opts? {recurse: boolean}
---@return saros.Tensor[]
function Module:parameters(opts)
  need_self(self, "parameters")
  local list = {}
  each_tensor(self, parameters_only, opts, function(_, p) list[#list + 1] = p end)
  return list
end

--- for name, tensor in model:named_buffers() do
---@param opts? {prefix: string, recurse: boolean}
---@return fun(): string, saros.Tensor
function Module:named_buffers(opts)
  need_self(self, "named_buffers")
  return pairs_of(function(add) each_tensor(self, buffers_only, opts, add) end)
end

--- All buffers as a list.
---@param opts? {recurse: boolean}
---@return saros.Tensor[]
function Module:buffers(opts)
  need_self(self, "buffers")
  local list = {}
  each_tensor(self, buffers_only, opts, function(_, b) list[#list + 1] = b end)
  return list
end

--- How many numbers the parameters hold.
---@return integer
function Module:num_parameters()
  need_self(self, "num_parameters")
  local count = 0
  for _, p in ipairs(self:parameters()) do count = count + p:numel() end
  return count
end

local function each_child(self, add)
  local seen = {}
  each_field(self, function(name, value, kind)
    if kind == "module" and not seen[value] then
      seen[value] = true
      add(name, value)
    end
  end)
end

--- for name, child in model:named_children() do: direct children only.
---@return fun(): string, saros.nn.Module
function Module:named_children()
  need_self(self, "named_children")
  return pairs_of(function(add) each_child(self, add) end)
end

--- for child in model:children() do
---@return fun(): saros.nn.Module
function Module:children()
  need_self(self, "children")
  return values_of(function(add) each_child(self, add) end)
end

--- for path, module in model:named_modules() do: the module itself (path "") and all below.
---@return fun(): string, saros.nn.Module
function Module:named_modules()
  need_self(self, "named_modules")
  return pairs_of(function(add) each_module(self, "", {}, add) end)
end

--- for module in model:modules() do
---@return fun(): saros.nn.Module
function Module:modules()
  need_self(self, "modules")
  return values_of(function(add) each_module(self, "", {}, add) end)
end

-- ---- use -------------------------------------------------------------------------------

function Module:__call(...)
  return self:forward(...)
end

--- What the module computes; each class writes its own.
function Module:forward()
  need_self(self, "forward")
  fail("%s: forward is not defined: write function %s:forward(...)", self.__name, self.__name)
end

-- ---- printing ------------------------------------------------------------------------

--- Text between the parentheses when the module is printed; classes replace it.
---@return string
function Module:extra_repr() return "" end

Module.__tostring = printing.printer(function(self)
  local lines = {}
  local extra = self:extra_repr()
  for line in extra:gmatch("[^\n]+") do lines[#lines + 1] = line end
  local own = #lines
  each_field(self, function(name, value, kind)
    if kind == "module" then
      lines[#lines + 1] = ("(%s): %s"):format(name, tostring(value))
    end
  end)
  if own == 1 and #lines == 1 then return ("%s(%s)"):format(self.__name, extra) end
  return printing.block(self.__name, lines)
end)

-- ---- classes ---------------------------------------------------------------------------

--- A new class of modules. Give it `init` and `forward`.
---@param name string shown when a model is printed
---@return table
function Module:extend(name)
  if type(self) ~= "table" or not self._is_module then
    fail("extend: call it with a colon, nn.Module:extend(\"Name\")")
  end
  if type(name) ~= "string" or name == "" then
    fail("extend: the name of the new class expected, got %s", show(name))
  end
  return class.extend(self, name)
end

return {
  Module = Module, Parameter = Parameter, is_module = is_module,
  each_field = each_field, each_module = each_module, need_self = need_self, join = join,
  each_child = each_child, enter = enter,
}
