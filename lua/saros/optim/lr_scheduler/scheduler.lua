-- lr_scheduler.LRScheduler: base of the schedules of learning rates.
--
--   local scheduler = optim.lr_scheduler.StepLR(optimizer, 30, {gamma = 0.1})
--   for epoch = 1, 90 do
--     train()              -- optimizer:step() in it
--     scheduler:step()
--   end
--
-- last_epoch counts the steps taken: 0 after construction, so that the formulas are PyTorch's.
-- A class below it has options, checks them, and computes the rates from last_epoch and
-- what the groups have now:
--
--   local Halving = LRScheduler:extend("Halving", {{"every", "integer", 10}})
--   function Halving:check() ... end           -- refuse bad options
--   function Halving:get_lr() ... end          -- a list, one rate for each group
--
-- The options become fields of the object; numbers, strings, booleans and tables of them in
-- it are what state_dict keeps.

local class = require "saros.class"
local options = require "saros.options"
local stateful = require "saros.stateful"
local Optimizer = require "saros.optim.optimizer"

local fail, show = options.fail, options.show

---@class saros.optim.LRScheduler
---@field optimizer saros.optim.Optimizer
---@field last_epoch integer
---@field base_lrs number[] rates of the groups at the start
local LRScheduler = class.extend(nil, "LRScheduler")

LRScheduler.last_epoch = -1 -- before the start; an option of PyTorch's classes

--- A new class of schedules.
---@param name string
---@param fields table[] options: {name, type, default}
---@return table
function LRScheduler:extend(name, fields)
  local new = class.extend(self, name)
  new._read = options.signature("optim.lr_scheduler." .. name,
    {{"optimizer", "any"}, table.unpack(fields)})
  return new
end

--- Raise an error that begins with the name of the class.
---@param format string
function LRScheduler:fail(format, ...)
  fail("optim.lr_scheduler." .. self.__name .. ": " .. format, ...)
end

function LRScheduler:init(...)
  for name, value in pairs(self._read(...)) do self[name] = value end
  if not class.is(self.optimizer, Optimizer) then
    self:fail("an optimizer expected, got %s", show(self.optimizer))
  end
  self:check()
  self:start()
end

LRScheduler._read = options.signature("optim.lr_scheduler.LRScheduler", {{"optimizer", "any"}})

--- Refuse bad options; each class writes its own. Also called on a state that is to be loaded.
function LRScheduler:check() end

--- Set the groups up: note their rates, or with a last_epoch those they once started with.
function LRScheduler:start()
  self.base_lrs = {}
  for i, group in ipairs(self.optimizer.param_groups) do
    if self.last_epoch == -1 then
      group.initial_lr = group.initial_lr or group.lr
    elseif not group.initial_lr then
      self:fail("'initial_lr' is not there in param_groups[%d], which last_epoch = %d needs: load "
        .. "the state of the optimizer first", i, self.last_epoch)
    end
    self.base_lrs[i] = group.initial_lr
  end
  self:advance()
end

-- One epoch on: new rates into the groups.
function LRScheduler:advance()
  local groups = self.optimizer.param_groups
  self.last_epoch = self.last_epoch + 1
  for i, lr in ipairs(self:get_lr()) do groups[i].lr = lr end
  self:note_lr()
end

function LRScheduler:note_lr()
  self._last_lr = self:each_group(function(group) return group.lr end)
end

--- f(group, i) of all groups of the optimizer, as a list.
---@param f fun(group: saros.optim.Group, i: integer): number
---@return number[]
function LRScheduler:each_group(f)
  local list = {}
  for i, group in ipairs(self.optimizer.param_groups) do list[i] = f(group, i) end
  return list
end

--- The rates that get_lr gives for now, a list; each class writes its own.
---@return number[]
function LRScheduler:get_lr()
  fail("%s: get_lr is not defined: write function %s:get_lr()", self.__name, self.__name)
end

--- One epoch (or batch, where the schedule counts batches) is done: set the new rates.
function LRScheduler:step(...)
  if select("#", ...) > 0 then
    fail("%s.step: takes no argument, got %s: it counts by itself", self.__name, show((...)))
  end
  self:advance()
end

--- The rates last set, a list with one for each group.
---@return number[]
function LRScheduler:get_last_lr()
  return table.move(self._last_lr, 1, #self._last_lr, 1, {})
end

-- ---- state ----------------------------------------------------------------------------

local scalar = {number = true, string = true, boolean = true}

-- A copy of a value of numbers, strings, booleans and tables of them; nil for another one.
local function plain(value)
  if scalar[type(value)] then return value end
  if type(value) ~= "table" or getmetatable(value) ~= nil then return nil end
  local copy = {}
  for key, item in pairs(value) do
    copy[key] = plain(item)
    if copy[key] == nil then return nil end
  end
  return copy
end

--- All that a resumed run needs, options too; not the optimizer, which has a state of its own,
--- and no functions (LambdaLR).
---@return table<string, any>
function LRScheduler:state_dict()
  local state = {}
  for name, value in pairs(self) do state[name] = plain(value) end
  return state
end

local function check_entries(self, where, state)
  local own = self:state_dict()
  for name in pairs(state) do
    if own[name] == nil then
      fail("%s: '%s' is unknown: is it the state of another schedule?", where, tostring(name))
    end
  end
  for name, value in pairs(own) do
    if type(state[name]) ~= type(value) then
      fail("%s: '%s' must be a %s, got %s", where, name, type(value), show(state[name]))
    end
  end
  for _, name in ipairs {"base_lrs", "_last_lr"} do
    if own[name] and #state[name] ~= #own[name] then
      fail("%s: %s has %d parameter groups, here are %d", where, name, #state[name], #own[name])
    end
  end
end

--- Take over a state_dict(). Nothing is changed if it does not fit.
---@type fun(self: saros.optim.LRScheduler, state: table<string, any>)
LRScheduler.load_state_dict = stateful.loader(function(self, state)
  local where = self.__name .. ".load_state_dict"
  if type(state) ~= "table" then
    fail("%s: a table of state_dict() expected, got %s", where, show(state))
  end
  check_entries(self, where, state)
  local new = setmetatable({}, getmetatable(self))
  for name, value in pairs(self) do new[name] = value end
  for name, value in pairs(state) do
    new[name] = plain(value)
    if new[name] == nil then fail("%s: '%s' holds what no schedule keeps", where, name) end
  end
  new:check()
  return function()
    for name, value in pairs(new) do self[name] = value end
  end
end)

return LRScheduler
