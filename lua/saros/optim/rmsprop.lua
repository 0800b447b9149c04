-- optim.RMSprop: gradients divided by the root of a running mean of their squares.

local Fused = require "saros.optim.fused"

---@class saros.optim.RMSpropOptions
---@field lr? number default 1e-2
---@field alpha? number how much of the means is kept, default 0.99
---@field eps? number default 1e-8
---@field weight_decay? number default 0: adds weight_decay * parameter to the gradient
---@field momentum? number default 0
---@field centered? boolean default false: divide by an estimate of the standard deviation
---@field maximize? boolean default false: climb instead

---@class saros.optim.RMSprop: saros.optim.Fused
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.RMSpropOptions): self
local RMSprop = Fused:extend("RMSprop",
  {"rmsprop", "rmsprop_momentum", "rmsprop_centered", "rmsprop_centered_momentum"}, {
    {"lr", "number", 1e-2, "learning rate"}, {"alpha", "number", 0.99, "alpha value"},
    {"eps", "number", 1e-8, "epsilon value"},
    {"weight_decay", "number", 0, "weight_decay value"},
    {"momentum", "number", 0, "momentum value"},
    {"centered", "boolean", false}, {"maximize", "boolean", false},
  })

function RMSprop:kernel(group)
  if group.momentum > 0 then
    return group.centered and "rmsprop_centered_momentum" or "rmsprop_momentum"
  end
  return group.centered and "rmsprop_centered" or "rmsprop"
end

local numbers = {}

function RMSprop:numbers(group)
  numbers.maximize, numbers.weight_decay = group.maximize, group.weight_decay
  numbers.lr, numbers.eps, numbers.beta1 = group.lr, group.eps, group.momentum
  numbers.beta2, numbers.rest2 = group.alpha, 1 - group.alpha
  return numbers
end

return RMSprop
