-- What is done with a model as a whole: training mode, apply, gradients forgotten or off.

local options = require "saros.options"
local parts = require "saros.nn.module"

local Module, need_self, each_child = parts.Module, parts.need_self, parts.each_child
local fail, show = options.fail, options.show

--- Set training mode here and below (dropout works, batch norm uses the batch).
---@param mode? boolean default true
---@return saros.nn.Module self
function Module:train(mode)
  need_self(self, "train")
  if mode ~= nil and type(mode) ~= "boolean" then
    fail("%s.train: a boolean expected, got %s", self.__name, show(mode))
  end
  parts.each_module(self, "", {}, function(_, module) rawset(module, "training", mode ~= false) end)
  return self
end

--- train(false)
---@return saros.nn.Module self
function Module:eval()
  need_self(self, "eval")
  return self:train(false)
end

local function apply(self, path, active, fn)
  parts.enter(self, path, active)
  each_child(self, function(name, child) apply(child, parts.join(path, name), active, fn) end)
  active[self] = nil
  fn(self)
end

--- Call fn(module) on all modules below and then on this one.
---@param fn fun(module: saros.nn.Module)
---@return saros.nn.Module self
function Module:apply(fn)
  need_self(self, "apply")
  if type(fn) ~= "function" then
    fail("%s.apply: a function expected, got %s", self.__name, show(fn))
  end
  apply(self, "", {}, fn)
  return self
end

--- Forget the gradients of all parameters.
---@param opts? {set_to_none: boolean} default true; false fills them with zeros
function Module:zero_grad(opts)
  need_self(self, "zero_grad")
  local o = options.reader("zero_grad", {{"set_to_none", "boolean", true}})(opts)
  for _, p in ipairs(self:parameters()) do
    if o.set_to_none then
      p.grad = nil
    elseif p.grad then
      p.grad:detach():zero_()
    end
  end
end

--- Whether the parameters are trained.
---@param requires_grad? boolean default true
---@return saros.nn.Module self
function Module:requires_grad_(requires_grad)
  need_self(self, "requires_grad_")
  for _, p in ipairs(self:parameters()) do p:requires_grad_(requires_grad ~= false) end
  return self
end

return Module
