-- optim.SGD: stochastic gradient descent, with momentum.

local options = require "saros.options"
local Fused = require "saros.optim.fused"

---@class saros.optim.SGDOptions
---@field lr? number default 1e-3
---@field momentum? number default 0
---@field dampening? number default 0
---@field weight_decay? number default 0: adds weight_decay * parameter to the gradient
---@field nesterov? boolean default false
---@field maximize? boolean default false: climb instead

---@class saros.optim.SGD: saros.optim.Fused
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.SGDOptions): self
local SGD = Fused:extend("SGD", {"sgd", "sgd_momentum", "sgd_nesterov"}, {
  {"lr", "number", 1e-3, "learning rate"}, {"momentum", "number", 0, "momentum value"},
  {"dampening", "number", 0}, {"weight_decay", "number", 0, "weight_decay value"},
  {"nesterov", "boolean", false}, {"maximize", "boolean", false},
})

SGD.counts_steps = false
SGD.keeps.first = true -- the buffer is new: dampening begins with the next step

function SGD:check(group)
  Fused.check(self, group)
  if group.nesterov and (group.momentum <= 0 or group.dampening ~= 0) then
    options.fail("optim.SGD: Nesterov momentum requires a momentum and zero dampening")
  end
end

function SGD:kernel(group)
  if group.momentum == 0 then return "sgd" end
  return group.nesterov and "sgd_nesterov" or "sgd_momentum"
end

function SGD:prepare(p, state, group)
  local first = group.momentum ~= 0 and not state.momentum_buffer
  Fused.prepare(self, p, state, group)
  if first then state.first = true end
end

local numbers = {}

function SGD:numbers(group, _, state)
  numbers.maximize, numbers.lr, numbers.weight_decay = group.maximize, group.lr, group.weight_decay
  numbers.beta1, numbers.rest1 = group.momentum, state.first and 1 or 1 - group.dampening
  return numbers
end

function SGD:update(p, grad, state, group)
  Fused.update(self, p, grad, state, group)
  state.first = nil
end

return SGD
