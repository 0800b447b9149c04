-- lr_scheduler.ReduceLROnPlateau: lower rates when a number has stopped getting better.

local core = require "saros.core"
local options = require "saros.options"
local LRScheduler = require "saros.optim.lr_scheduler.scheduler"

local fail, show = options.fail, options.show

---@class saros.optim.PlateauOptions
---@field mode? "min"|"max" which way is better, default "min"
---@field factor? number rates are multiplied by it, default 0.1
---@field patience? integer epochs without getting better that are let pass, default 10
---@field threshold? number smaller changes do not count, default 1e-4
---@field threshold_mode? "rel"|"abs" of the best number, or absolute, default "rel"
---@field cooldown? integer epochs after a reduction in which none is counted, default 0
---@field min_lr? number|number[] no lower, default 0; a list has one for each group
---@field eps? number smaller reductions are left out, default 1e-8

---@class saros.optim.ReduceLROnPlateau: saros.optim.LRScheduler
---@field best number
---@field num_bad_epochs integer
---@overload fun(optimizer: table, mode?: string, options?: saros.optim.PlateauOptions): self
local ReduceLROnPlateau = LRScheduler:extend("ReduceLROnPlateau", {
  {"mode", "string", "min"}, {"factor", "number", 0.1}, {"patience", "integer", 10},
  {"threshold", "number", 1e-4}, {"threshold_mode", "string", "rel"}, {"cooldown", "integer", 0},
  {"min_lr", "number|table", 0}, {"eps", "number", 1e-8},
})

function ReduceLROnPlateau:check()
  local where, groups = "optim.lr_scheduler.ReduceLROnPlateau", #self.optimizer.param_groups
  options.one_of(where, "mode", self.mode, {"min", "max"})
  options.one_of(where, "threshold_mode", self.threshold_mode, {"rel", "abs"})
  if self.factor >= 1 then self:fail("factor should be < 1, got %s", self.factor) end
  for _, name in ipairs {"patience", "cooldown"} do
    if self[name] < 0 then self:fail("%s should be at least 0, got %d", name, self[name]) end
  end
  if type(self.min_lr) == "number" then return end
  if #self.min_lr ~= groups then
    self:fail("expected %d min_lrs, got %d", groups, #self.min_lr)
  end
  for i, least in ipairs(self.min_lr) do
    if type(least) ~= "number" then
      self:fail("min_lr %d must be a number, got %s", i, show(least))
    end
  end
end

function ReduceLROnPlateau:start()
  self.last_epoch = 0
  self.best = self.mode == "min" and math.huge or -math.huge
  self.num_bad_epochs, self.cooldown_counter = 0, 0
  self:note_lr()
end

local function is_better(self, value)
  local best, threshold = self.best, self.threshold
  if self.mode == "min" then
    if self.threshold_mode == "rel" then return value < best * (1 - threshold) end
    return value < best - threshold
  end
  if self.threshold_mode == "rel" then return value > best * (threshold + 1) end
  return value > best + threshold
end

local function reduce(self)
  for i, group in ipairs(self.optimizer.param_groups) do
    local least = type(self.min_lr) == "table" and self.min_lr[i] or self.min_lr
    local lr = math.max(group.lr * self.factor, least)
    if group.lr - lr > self.eps then group.lr = lr end
  end
end

--- An epoch is done: look at what it gave, and reduce the rates if it is time.
---@param metric number|saros.Tensor a loss, an accuracy, ...
function ReduceLROnPlateau:step(metric)
  local value = metric
  if core.is_tensor(metric) and metric:numel() == 1 then value = metric:item() end
  if type(value) ~= "number" then
    fail("ReduceLROnPlateau.step: a number or a tensor of one element expected, got %s",
      show(metric))
  end
  self.last_epoch = self.last_epoch + 1
  if is_better(self, value) then
    self.best, self.num_bad_epochs = value, 0
  else
    self.num_bad_epochs = self.num_bad_epochs + 1
  end
  if self.cooldown_counter > 0 then
    self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
  end
  if self.num_bad_epochs > self.patience then
    reduce(self)
    self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
  end
  self:note_lr()
end

return ReduceLROnPlateau
