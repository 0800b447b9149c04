-- lr_scheduler.OneCycleLR: rates up to a maximum and down again, momentum the other way
-- (Smith and Topin 2017). It counts batches: step() after each optimizer:step().

local options = require "saros.options"
local LRScheduler = require "saros.optim.lr_scheduler.scheduler"

---@class saros.optim.OneCycleOptions
---@field total_steps? integer length of the cycle; or epochs and steps_per_epoch
---@field epochs? integer
---@field steps_per_epoch? integer
---@field pct_start? number share of the cycle in which rates rise, default 0.3
---@field anneal_strategy? "cos"|"linear" default "cos"
---@field cycle_momentum? boolean default true: of SGD and RMSprop the momentum, of Adam betas[1]
---@field base_momentum? number|number[] where rates are highest, default 0.85
---@field max_momentum? number|number[] at both ends, default 0.95
---@field div_factor? number rates begin with max_lr / div_factor, default 25
---@field final_div_factor? number and end with that / final_div_factor, default 1e4
---@field three_phase? boolean default false: down to the first rate before the last descent
---@field last_epoch? integer batches done, default -1

---@class saros.optim.OneCycleLR: saros.optim.LRScheduler
---@field total_steps integer
---@overload fun(optimizer: table, max_lr: number|number[], options?: saros.optim.OneCycleOptions)
local OneCycleLR = LRScheduler:extend("OneCycleLR", {
  {"max_lr", "number|table"}, {"total_steps", "integer?"}, {"epochs", "integer?"},
  {"steps_per_epoch", "integer?"}, {"pct_start", "number", 0.3},
  {"anneal_strategy", "string", "cos"}, {"cycle_momentum", "boolean", true},
  {"base_momentum", "number|table", 0.85}, {"max_momentum", "number|table", 0.95},
  {"div_factor", "number", 25}, {"final_div_factor", "number", 1e4},
  {"three_phase", "boolean", false}, {"last_epoch", "integer", -1},
})

-- ---- options ----------------------------------------------------------------------------

local function check_positive(self, name)
  if self[name] <= 0 or self[name] ~= self[name] then
    self:fail("expected positive %s, but got %s", name, options.show(self[name]))
  end
end

local function check_length(self)
  if not self.total_steps and not (self.epochs and self.steps_per_epoch) then
    self:fail("give total_steps, or epochs and steps_per_epoch")
  end
  for _, name in ipairs {"total_steps", "epochs", "steps_per_epoch"} do
    if self[name] then check_positive(self, name) end
  end
end

-- A number for all groups, or a list with one for each.
local function check_numbers(self, name)
  local given, groups = self[name], #self.optimizer.param_groups
  if type(given) == "number" then return end
  if #given ~= groups then
    self:fail("expected %d values for %s, got %d", groups, name, #given)
  end
  for i, value in ipairs(given) do
    if type(value) ~= "number" then
      self:fail("%s[%d] must be a number, got %s", name, i, options.show(value))
    end
  end
end

local function momentum_option(self)
  local defaults = self.optimizer.defaults
  return defaults.betas and "betas" or defaults.momentum and "momentum"
end

function OneCycleLR:check()
  check_length(self)
  check_positive(self, "div_factor")
  check_positive(self, "final_div_factor")
  if not (self.pct_start >= 0 and self.pct_start <= 1) then
    self:fail("expected pct_start between 0 and 1, but got %s", self.pct_start)
  end
  options.one_of("optim.lr_scheduler.OneCycleLR", "anneal_strategy", self.anneal_strategy,
    {"cos", "linear"})
  for _, name in ipairs {"max_lr", "base_momentum", "max_momentum"} do
    check_numbers(self, name)
  end
  if self.cycle_momentum and not momentum_option(self) then
    self:fail("%s has no momentum: give cycle_momentum = false", self.optimizer.__name)
  end
end

function OneCycleLR:start()
  self.total_steps = self.total_steps or self.epochs * self.steps_per_epoch
  if self.last_epoch == -1 then
    for i, group in ipairs(self.optimizer.param_groups) do
      group.initial_lr = self:of_group("max_lr", i) / self.div_factor
    end
  end
  LRScheduler.start(self)
end

function OneCycleLR:of_group(name, i)
  return type(self[name]) == "table" and self[name][i] or self[name]
end

-- ---- the cycle --------------------------------------------------------------------------

-- Last step of each phase, and what it goes to: 1 is the maximum, 0 the first rate, -1 the last.
local function phases(self)
  local rise, total = self.pct_start * self.total_steps - 1, self.total_steps - 1
  if self.three_phase then
    return {{rise, 0, 1}, {2 * self.pct_start * self.total_steps - 2, 1, 0}, {total, 0, -1}}
  end
  return {{rise, 0, 1}, {total, 1, -1}}
end

-- Where last_epoch is: share of its phase that is done, and the phase's ends. A phase of no
-- length is done.
local function position(self)
  local before, list = 0, phases(self)
  for i, phase in ipairs(list) do
    local last = phase[1]
    if self.last_epoch <= last or i == #list then
      local share = last == before and 1 or (self.last_epoch - before) / (last - before)
      return share, phase[2], phase[3]
    end
    before = last
  end
end

local anneal = {
  cos = function(from, to, share)
    return to + (from - to) / 2 * (math.cos(math.pi * share) + 1)
  end,
  linear = function(from, to, share) return (to - from) * share + from end,
}

local function lr_at(self, level, i)
  if level == 1 then return self:of_group("max_lr", i) end
  return level == 0 and self.base_lrs[i] or self.base_lrs[i] / self.final_div_factor
end

local function momentum_at(self, level, i)
  return self:of_group(level == 1 and "base_momentum" or "max_momentum", i)
end

function OneCycleLR:get_lr()
  local share, from, to = position(self)
  local between = anneal[self.anneal_strategy]
  return self:each_group(function(_, i)
    return between(lr_at(self, from, i), lr_at(self, to, i), share)
  end)
end

local function set_momentum(self)
  local share, from, to = position(self)
  local option, between = momentum_option(self), anneal[self.anneal_strategy]
  for i, group in ipairs(self.optimizer.param_groups) do
    local value = between(momentum_at(self, from, i), momentum_at(self, to, i), share)
    if option == "betas" then group.betas[1] = value else group.momentum = value end
  end
end

function OneCycleLR:advance()
  if self.last_epoch + 1 > self.total_steps then
    self:fail("tried to step %d times. The specified number of total steps is %d",
      self.last_epoch + 2, self.total_steps)
  end
  LRScheduler.advance(self)
  if self.cycle_momentum then set_momentum(self) end
end

return OneCycleLR
