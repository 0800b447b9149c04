-- optim.Adam and optim.AdamW: steps scaled by running means of the gradient and its square.

local options = require "saros.options"
local Fused = require "saros.optim.fused"

---@class saros.optim.AdamOptions
---@field lr? number default 1e-3
---@field betas? number[] how much of the two means is kept, default {0.9, 0.999}
---@field eps? number default 1e-8
---@field weight_decay? number default 0: adds weight_decay * parameter to the gradient
---@field amsgrad? boolean default false: divide by the largest mean of squares so far
---@field maximize? boolean default false: climb instead

---@class saros.optim.Adam: saros.optim.Fused
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.AdamOptions): self

---@class saros.optim.AdamW: saros.optim.Adam weight_decay (default 0.01) shrinks the parameter
---@overload fun(params: saros.Tensor[]|table[], options?: saros.optim.AdamOptions): self

local kernels = {"adam", "adam_amsgrad"}

local function fields(weight_decay)
  return {
    {"lr", "number", 1e-3, "learning rate"}, {"betas", "table", {0.9, 0.999}},
    {"eps", "number", 1e-8, "epsilon value"},
    {"weight_decay", "number", weight_decay, "weight_decay value"},
    {"amsgrad", "boolean", false}, {"maximize", "boolean", false},
  }
end

local Adam = Fused:extend("Adam", kernels, fields(0))

function Adam:check(group)
  Fused.check(self, group)
  local betas = group.betas
  if #betas ~= 2 then
    options.fail("optim.%s: betas must be two numbers, got %d", self.__name, #betas)
  end
  for i, beta in ipairs(betas) do
    if type(beta) ~= "number" or not (beta >= 0 and beta < 1) then
      options.fail("optim.%s: Invalid beta parameter betas[%d]: %s (from 0 to below 1)",
        self.__name, i, tostring(beta))
    end
  end
  group.betas = {betas[1], betas[2]} -- a group's own
end

function Adam:kernel(group) return group.amsgrad and "adam_amsgrad" or "adam" end

local numbers = {}

-- The means begin at 0: divided by 1 - beta^step they have no bias to it.
function Adam:numbers(group, step)
  local beta1, beta2 = group.betas[1], group.betas[2]
  numbers.maximize, numbers.weight_decay, numbers.shrink = group.maximize, group.weight_decay, 1
  numbers.lr, numbers.eps = group.lr / (1 - beta1 ^ step), group.eps
  numbers.beta1, numbers.rest1, numbers.beta2, numbers.rest2 = beta1, 1 - beta1, beta2, 1 - beta2
  numbers.correction = math.sqrt(1 - beta2 ^ step)
  return numbers
end

local AdamW = Adam:extend("AdamW", kernels, fields(1e-2))

function AdamW:numbers(group, step)
  Adam.numbers(self, group, step)
  numbers.weight_decay, numbers.shrink = 0, 1 - group.lr * group.weight_decay
  return numbers
end

return {Adam = Adam, AdamW = AdamW}
