-- optim.Adadelta: steps as large as the last ones were, against the size of the gradients.

local options = require "saros.options"
local Fused = require "saros.optim.fused"

---@class saros.optim.AdadeltaOptions
---@field lr? number default 1
---@field rho? number how much of the means is kept, default 0.9
---@field eps? number default 1e-6
---@field weight_decay? number default 0: adds weight_decay * parameter to the gradient
---@field maximize? boolean default false: climb instead

---@class saros.optim.Adadelta: saros.optim.Fused
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.AdadeltaOptions): self
local Adadelta = Fused:extend("Adadelta", {"adadelta"}, {
  {"lr", "number", 1, "learning rate"}, {"rho", "number", 0.9, "rho value"},
  {"eps", "number", 1e-6, "epsilon value"}, {"weight_decay", "number", 0, "weight_decay value"},
  {"maximize", "boolean", false},
})

function Adadelta:check(group)
  Fused.check(self, group)
  if group.rho > 1 then options.fail("optim.Adadelta: Invalid rho value: %s", group.rho) end
end

function Adadelta:kernel() return "adadelta" end

local numbers = {}

function Adadelta:numbers(group)
  numbers.maximize, numbers.weight_decay = group.maximize, group.weight_decay
  numbers.lr, numbers.eps = group.lr, group.eps
  numbers.beta2, numbers.rest2 = group.rho, 1 - group.rho
  return numbers
end

return Adadelta
