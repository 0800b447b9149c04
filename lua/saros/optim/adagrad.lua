-- optim.Adagrad: gradients divided by the root of the sum of all their squares.

local core = require "saros.core"
local Fused = require "saros.optim.fused"

---@class saros.optim.AdagradOptions
---@field lr? number default 1e-2
---@field lr_decay? number default 0: step t has the rate lr / (1 + (t - 1) lr_decay)
---@field weight_decay? number default 0: adds weight_decay * parameter to the gradient
---@field initial_accumulator_value? number default 0: what the sum begins with
---@field eps? number default 1e-10
---@field maximize? boolean default false: climb instead

---@class saros.optim.Adagrad: saros.optim.Fused
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.AdagradOptions): self
local Adagrad = Fused:extend("Adagrad", {"adagrad"}, {
  {"lr", "number", 1e-2, "learning rate"}, {"lr_decay", "number", 0, "lr_decay value"},
  {"weight_decay", "number", 0, "weight_decay value"},
  {"initial_accumulator_value", "number", 0, "initial_accumulator_value value"},
  {"eps", "number", 1e-10, "epsilon value"}, {"maximize", "boolean", false},
})

function Adagrad:kernel() return "adagrad" end

function Adagrad:initial(p, group)
  return core.full_like(p, group.initial_accumulator_value)
end

local numbers = {}

function Adagrad:numbers(group, step)
  numbers.maximize, numbers.weight_decay = group.maximize, group.weight_decay
  numbers.lr, numbers.eps = group.lr / (1 + (step - 1) * group.lr_decay), group.eps
  return numbers
end

return Adagrad
