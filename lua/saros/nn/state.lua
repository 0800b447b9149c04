-- What nn.Module keeps and moves: state_dict, load_state_dict, to.

local core = require "saros.core"
local options = require "saros.options"
local ordered = require "saros.ordered"
local stateful = require "saros.stateful"
local parts = require "saros.nn.module"

local Module, Parameter = parts.Module, parts.Parameter
local each_field, each_module, need_self = parts.each_field, parts.each_module, parts.need_self
local fail, show = options.fail, options.show

-- Saved tensors in PyTorch's order: of each module its parameters, then its
-- buffers, then its children. Shared ones appear under each of their names.
local function each_saved(self, path, active, call)
  parts.enter(self, path, active)
  for _, wanted in ipairs {"parameter", "buffer", "module"} do
    each_field(self, function(name, value, kind)
      if kind ~= wanted then return end
      if kind == "module" then
        each_saved(value, parts.join(path, name), active, call)
      else
        call(parts.join(path, name), value)
      end
    end)
  end
  active[self] = nil
end

--- All parameters and persistent buffers by name, in order. The tensors share
--- the module's storage; saros.save writes them, load_state_dict reads them.
---@return table<string, saros.Tensor>
function Module:state_dict()
  need_self(self, "state_dict")
  local state = ordered.new()
  each_saved(self, "", {}, function(name, tensor) state[name] = tensor:detach() end)
  return state
end

local function quoted(names)
  return '"' .. table.concat(names, '", "') .. '"'
end

-- Names of the module that are missing, names that it lacks, and what does not fit.
local function compare(own, state)
  local missing, unexpected, misfits, known = {}, {}, {}, {}
  for _, entry in ipairs(own) do
    local given = state[entry.name]
    known[entry.name] = true
    if given == nil then
      missing[#missing + 1] = entry.name
    elseif not core.is_tensor(given) then
      misfits[#misfits + 1] = ("%s: a tensor expected, got %s"):format(entry.name, show(given))
    elseif given.shape ~= entry.tensor.shape then
      misfits[#misfits + 1] = ("size mismatch for %s: copying a parameter with shape %s from the "
        .. "state_dict, the shape in the model is %s"):format(entry.name, given.shape,
        entry.tensor.shape)
    end
  end
  for _, name in ipairs(ordered.keys(state)) do
    if not known[name] then unexpected[#unexpected + 1] = tostring(name) end
  end
  return missing, unexpected, misfits
end

local function check_state(self, state, opts)
  need_self(self, "load_state_dict")
  local o = options.reader("load_state_dict", {{"strict", "boolean", true}})(opts)
  if type(state) ~= "table" then
    fail("load_state_dict: a table of tensors expected, got %s", show(state))
  end
  local own = {}
  each_saved(self, "", {}, function(name, tensor)
    own[#own + 1] = {name = name, tensor = tensor}
  end)
  local missing, unexpected, problems = compare(own, state)
  if o.strict and #unexpected > 0 then
    table.insert(problems, 1, ("Unexpected key(s) in state_dict: %s."):format(quoted(unexpected)))
  end
  if o.strict and #missing > 0 then
    table.insert(problems, 1, ("Missing key(s) in state_dict: %s."):format(quoted(missing)))
  end
  if #problems > 0 then
    fail("Error(s) in loading state_dict for %s:\n\t%s", self.__name,
      table.concat(problems, "\n\t"))
  end
  local _ <close> = core.no_grad()
  for _, entry in ipairs(own) do
    local given = state[entry.name]
    if given ~= nil then
      entry.value = given:to {dtype = entry.tensor.dtype, device = entry.tensor.device}
    end
  end
  return own, missing, unexpected
end

--- Copy the tensors of a state_dict into the module's own: all of them or, if
--- anything does not fit, none. Other dtypes and devices are converted.
--- `state` is of state_dict() or saros.load(); the option strict = false allows missing and
--- unexpected names. Returns the names that the module has and `state` lacks, and those that
--- `state` has and the module lacks.
---@type fun(self: saros.nn.Module, state: table, opts?: {strict: boolean}): string[], string[]
Module.load_state_dict = stateful.loader(function(self, state, opts)
  local own, missing, unexpected = check_state(self, state, opts)
  return function()
    local _ <close> = core.no_grad()
    for _, entry in ipairs(own) do
      if entry.value then entry.tensor:copy_(entry.value) end
    end
    return missing, unexpected
  end
end)

-- ---- to ---------------------------------------------------------------------------------

local floating = {float32 = "float32", float = "float32", float64 = "float64", double = "float64"}
local other = {int64 = true, long = true, bool = true}

local function dtype_of(word)
  if floating[word] then return floating[word] end
  fail("Module.to: a floating dtype expected ('float32', 'float64'), got %s", show(word))
end

-- to("cuda", "float64"), to("float64"), to{device = ..., dtype = ...}
local function read_target(...)
  local target = {}
  if type((...)) == "table" then
    local o = options.reader("Module.to", {{"device", "string?"}, {"dtype", "string?"}})(...)
    return {device = o.device, dtype = o.dtype and dtype_of(o.dtype)}
  end
  for i = 1, select("#", ...) do
    local word = select(i, ...)
    if floating[word] or other[word] then
      target.dtype = dtype_of(word)
    elseif type(word) == "string" then
      target.device = word
    elseif word ~= nil then
      fail("Module.to: a device or a dtype expected, got %s", show(word))
    end
  end
  return target
end

local function wanted_dtype(tensor, target)
  return floating[tensor.dtype] and target.dtype or tensor.dtype
end

local function stays(tensor, target)
  return tensor.dtype == wanted_dtype(tensor, target)
    and (target.device == nil or tensor.device == target.device)
end

local function convert(tensor, target)
  return tensor:detach():to {
    dtype = wanted_dtype(tensor, target), device = target.device or tensor.device,
  }
end

local function move(tensor, kind, target)
  local new = convert(tensor, target)
  if kind ~= "parameter" then return new end
  new = Parameter(new, tensor.requires_grad)
  if tensor.grad then new.grad = convert(tensor.grad, target) end
  return new
end

--- Move to a device, to another floating dtype, or both: model:to("cuda"),
--- model:to("float64"), model:to{device = "cuda", dtype = "float64"}. Tensors that
--- change are replaced, so build the optimizer after the move.
---@param ... string|table
---@return saros.nn.Module self
function Module:to(...)
  need_self(self, "to")
  local target, moved = read_target(...), {}
  each_module(self, "", {}, function(_, module)
    for _, key in ipairs(module._keys) do
      local tensor, kind = rawget(module, key), module._kinds[key]
      if kind and core.is_tensor(tensor) and not stays(tensor, target) then
        moved[tensor] = moved[tensor] or move(tensor, kind, target) -- shared ones stay shared
        rawset(module, key, moved[tensor])
      end
    end
  end)
  return self
end

--- to("float32")
function Module:float() return Module.to(self, "float32") end

--- to("float64")
function Module:double() return Module.to(self, "float64") end

--- to("cuda")
function Module:cuda() return Module.to(self, "cuda") end

--- to("cpu")
function Module:cpu() return Module.to(self, "cpu") end

return Module
