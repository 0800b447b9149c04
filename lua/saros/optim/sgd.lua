-- optim.SGD: stochastic gradient descent, with momentum.

local core = require "saros.core"
local options = require "saros.options"
local Optimizer = require "saros.optim.optimizer"

local fail, sgd_step = options.fail, core.sgd_step

---@class saros.optim.SGDOptions
---@field lr? number default 1e-3
---@field momentum? number default 0
---@field dampening? number default 0
---@field weight_decay? number default 0: adds weight_decay * parameter to the gradient
---@field nesterov? boolean default false
---@field maximize? boolean default false: climb instead

---@class saros.optim.SGD: saros.optim.Optimizer
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.SGDOptions): self
local SGD = Optimizer:extend("SGD", {
  {"lr", "number", 1e-3}, {"momentum", "number", 0}, {"dampening", "number", 0},
  {"weight_decay", "number", 0}, {"nesterov", "boolean", false}, {"maximize", "boolean", false},
})

local function refuse_negative(group, name, words)
  local value = group[name]
  if value < 0 or value ~= value then fail("optim.SGD: Invalid %s: %s", words, value) end
end

function SGD:check(group)
  refuse_negative(group, "lr", "learning rate")
  refuse_negative(group, "momentum", "momentum value")
  refuse_negative(group, "weight_decay", "weight_decay value")
  if group.nesterov and (group.momentum <= 0 or group.dampening ~= 0) then
    fail("optim.SGD: Nesterov momentum requires a momentum and zero dampening")
  end
end

function SGD:prepare(p, state, group)
  if group.momentum ~= 0 and not state.momentum_buffer then
    state.momentum_buffer, state.first = core.zeros_like(p), true
  end
end

-- g = grad + weight_decay p; buffer = momentum buffer + (1 - dampening) g, at first g;
-- p = p - lr buffer, with nesterov p - lr (g + momentum buffer).
function SGD:update(p, grad, state, group)
  sgd_step(p, grad, state.momentum_buffer, group.lr, group.momentum, group.dampening,
    group.weight_decay, group.nesterov, group.maximize, state.first == true)
  state.first = nil
end

return SGD
