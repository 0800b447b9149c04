-- Schedules with a formula: StepLR, MultiStepLR, ExponentialLR, CosineAnnealingLR, LambdaLR.
--
-- All but LambdaLR go from the rates that the groups have now, as PyTorch's do: what a script
-- or another schedule changes in between stays. All take last_epoch (default -1), the epochs
-- that were done before.

local options = require "saros.options"
local LRScheduler = require "saros.optim.lr_scheduler.scheduler"

local last_epoch = {"last_epoch", "integer", -1}

local function current(group) return group.lr end

local function scaled(self, factor)
  return self:each_group(function(group) return group.lr * factor end)
end

-- ---- StepLR ------------------------------------------------------------------------

---@class saros.optim.StepLR: saros.optim.LRScheduler rates times gamma every step_size epochs
---@overload fun(optimizer: table, step_size: integer, options?: {gamma: number}): self
local StepLR = LRScheduler:extend("StepLR",
  {{"step_size", "integer"}, {"gamma", "number", 0.1}, last_epoch})

function StepLR:check()
  if self.step_size < 1 then self:fail("step_size must be positive, got %d", self.step_size) end
end

function StepLR:get_lr()
  if self.last_epoch == 0 or self.last_epoch % self.step_size ~= 0 then
    return self:each_group(current)
  end
  return scaled(self, self.gamma)
end

-- ---- MultiStepLR --------------------------------------------------------------------

---@class saros.optim.MultiStepLR: saros.optim.LRScheduler rates times gamma at each milestone
---@overload fun(optimizer: table, milestones: integer[], options?: {gamma: number}): self
local MultiStepLR = LRScheduler:extend("MultiStepLR",
  {{"milestones", "table"}, {"gamma", "number", 0.1}, last_epoch})

function MultiStepLR:check()
  for i, milestone in ipairs(self.milestones) do
    if math.type(milestone) ~= "integer" then
      self:fail("milestone %d must be an integer, got %s", i, options.show(milestone))
    end
  end
end

-- One that is there twice counts twice.
function MultiStepLR:get_lr()
  local count = 0
  for _, milestone in ipairs(self.milestones) do
    if milestone == self.last_epoch then count = count + 1 end
  end
  if count == 0 then return self:each_group(current) end
  return scaled(self, self.gamma ^ count)
end

-- ---- ExponentialLR ------------------------------------------------------------------

---@class saros.optim.ExponentialLR: saros.optim.LRScheduler rates times gamma every epoch
---@overload fun(optimizer: table, gamma: number): self
local ExponentialLR = LRScheduler:extend("ExponentialLR", {{"gamma", "number"}, last_epoch})

function ExponentialLR:get_lr()
  if self.last_epoch == 0 then return self:each_group(current) end
  return scaled(self, self.gamma)
end

-- ---- CosineAnnealingLR -----------------------------------------------------------------

---@class saros.optim.CosineAnnealingLR: saros.optim.LRScheduler to eta_min in T_max epochs, back
---@overload fun(optimizer: table, T_max: integer, options?: {eta_min: number}): self
local CosineAnnealingLR = LRScheduler:extend("CosineAnnealingLR",
  {{"T_max", "integer"}, {"eta_min", "number", 0}, last_epoch})

function CosineAnnealingLR:check()
  if self.T_max < 1 then self:fail("T_max must be positive, got %d", self.T_max) end
end

local cos, pi = math.cos, math.pi

-- rate = eta_min + (base - eta_min) (1 + cos(pi t / T_max)) / 2, from the rate before it;
-- where that was eta_min, from 0.
function CosineAnnealingLR:get_lr()
  local t, period, least, base = self.last_epoch, self.T_max, self.eta_min, self.base_lrs
  if t == 0 then return self:each_group(current) end
  if not self._last_lr then -- constructed with last_epoch
    return self:each_group(function(_, i)
      return least + (base[i] - least) * (1 + cos(t * pi / period)) / 2
    end)
  elseif (t - 1 - period) % (2 * period) == 0 then
    return self:each_group(function(group, i)
      return group.lr + (base[i] - least) * (1 - cos(pi / period)) / 2
    end)
  end
  local ratio = (1 + cos(pi * t / period)) / (1 + cos(pi * (t - 1) / period))
  return self:each_group(function(group) return ratio * (group.lr - least) + least end)
end

-- ---- LambdaLR ------------------------------------------------------------------------

---@class saros.optim.LambdaLR: saros.optim.LRScheduler first rates times lr_lambda(0, 1, ..)
---@overload fun(optimizer: table, lr_lambda: fun(epoch: integer): number): self or a list
local LambdaLR = LRScheduler:extend("LambdaLR",
  {{"lr_lambda", "function|table"}, last_epoch})

function LambdaLR:check()
  local given, groups = self.lr_lambda, #self.optimizer.param_groups
  if type(given) == "function" then return end
  if #given ~= groups then self:fail("expected %d lr_lambdas, but got %d", groups, #given) end
  for i, f in ipairs(given) do
    if type(f) ~= "function" then
      self:fail("lr_lambda %d must be a function, got %s", i, options.show(f))
    end
  end
end

function LambdaLR:get_lr()
  local list, given = {}, self.lr_lambda
  for i, base in ipairs(self.base_lrs) do
    local f = type(given) == "table" and given[i] or given
    local factor = f(self.last_epoch)
    if type(factor) ~= "number" then
      self:fail("lr_lambda must return a number, got %s for epoch %d", options.show(factor),
        self.last_epoch)
    end
    list[i] = base * factor
  end
  return list
end

return {
  StepLR = StepLR, MultiStepLR = MultiStepLR, ExponentialLR = ExponentialLR,
  CosineAnnealingLR = CosineAnnealingLR, LambdaLR = LambdaLR,
}
