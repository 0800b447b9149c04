-- Activations as modules. What each computes is in nn.functional.

local options = require "saros.options"
local parts = require "saros.nn.module"
local functional = require "saros.nn.functional"

local Module = parts.Module

local classes = {}

-- One class: the option fields that it keeps and prints (those of `silent` it prints only
-- where they are not the default), and how it computes.
local function define(name, fields, compute)
  local class = Module:extend(name)
  local read = options.signature("nn." .. name, fields)
  function class:init(...)
    local o = read(...)
    for _, field in ipairs(fields) do self[field[1]] = o[field[1]] end
  end
  class.forward = compute
  function class:extra_repr()
    local words = {}
    for _, field in ipairs(fields) do
      local key, value = field[1], self[field[1]]
      if not (key == "inplace" and value == false) then
        words[#words + 1] = ("%s=%s"):format(key,
          type(value) == "string" and "'" .. value .. "'" or tostring(value))
      end
    end
    return table.concat(words, ", ")
  end
  classes[name] = class
end

local inplace = {"inplace", "boolean", false}

local relu, tanh, sigmoid = functional.relu, functional.tanh, functional.sigmoid
local softmax, log_softmax = functional.softmax, functional.log_softmax

define("Tanh", {}, function(_, x) return tanh(x) end)
define("Sigmoid", {}, function(_, x) return sigmoid(x) end)
define("ReLU", {inplace}, function(self, x)
  if self.inplace then return x:relu_() end
  return relu(x)
end)
define("LeakyReLU", {{"negative_slope", "number", 0.01}, inplace}, function(self, x)
  if self.inplace then return x:leaky_relu_(self.negative_slope) end
  return functional.leaky_relu(x, self.negative_slope)
end)
define("ELU", {{"alpha", "number", 1.0}, inplace}, function(self, x)
  if self.inplace then return x:elu_(self.alpha) end
  return functional.elu(x, self.alpha)
end)
define("GELU", {{"approximate", "string", "none"}}, function(self, x)
  return functional.gelu(x, self.approximate)
end)
define("SiLU", {inplace}, function(self, x)
  if self.inplace then return x:silu_() end
  return functional.silu(x)
end)
define("Softplus", {{"beta", "number", 1.0}, {"threshold", "number", 20.0}}, function(self, x)
  return functional.softplus(x, self.beta, self.threshold)
end)
define("LogSigmoid", {}, function(_, x) return functional.logsigmoid(x) end)
define("Softmax", {{"dim", "integer?"}}, function(self, x) return softmax(x, self.dim) end)
define("LogSoftmax", {{"dim", "integer?"}}, function(self, x) return log_softmax(x, self.dim) end)

---@class saros.nn.Tanh: saros.nn.Module
---@overload fun(): self
---@class saros.nn.Sigmoid: saros.nn.Module
---@overload fun(): self
---@class saros.nn.ReLU: saros.nn.Module
---@overload fun(options?: {inplace: boolean}): self
---@class saros.nn.LeakyReLU: saros.nn.Module
---@overload fun(negative_slope?: number, options?: {inplace: boolean}): self
---@class saros.nn.ELU: saros.nn.Module
---@overload fun(alpha?: number, options?: {inplace: boolean}): self
---@class saros.nn.GELU: saros.nn.Module
---@overload fun(approximate?: "none"|"tanh"): self
---@class saros.nn.SiLU: saros.nn.Module
---@overload fun(options?: {inplace: boolean}): self
---@class saros.nn.Softplus: saros.nn.Module
---@overload fun(beta?: number, threshold?: number): self
---@class saros.nn.LogSigmoid: saros.nn.Module
---@overload fun(): self
---@class saros.nn.Softmax: saros.nn.Module
---@overload fun(dim?: integer): self
---@class saros.nn.LogSoftmax: saros.nn.Module
---@overload fun(dim?: integer): self

return classes
