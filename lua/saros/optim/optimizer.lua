-- optim.Optimizer: parameter groups, state, and what all optimizers do alike.
--
-- A class below it says which options it has and how one parameter is updated:
--
--   local SGD = Optimizer:extend("SGD", {{"lr", "number", 1e-3, "learning rate"}, ...})
--   function SGD:check(group) ... end                  -- refuse bad values
--   function SGD:prepare(parameter, state, group) ... end
--   function SGD:update(parameter, grad, state, group) ... end
--
-- An option with a fourth entry, what it is in words, must not be negative.
--
-- `state` is a table for each parameter, empty at first; tensors, numbers and
-- booleans in it are what state_dict keeps. prepare makes what it needs: it is called
-- for all parameters before the first update, so that a step that runs out of memory
-- has changed nothing.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"
local stateful = require "saros.stateful"

local fail, show, is_tensor = options.fail, options.show, core.is_tensor

---@class saros.optim.Group
---@field params saros.Tensor[]
---@field lr number
---@field [string] any the other options of the optimizer

---@class saros.optim.Optimizer
---@field param_groups saros.optim.Group[] options may be changed between steps: param_groups[1].lr
---@field defaults table<string, any> options given to the constructor
---@field state table<saros.Tensor, table>
local Optimizer = class.extend(nil, "Optimizer")

-- ---- classes and construction --------------------------------------------------

--- A new class of optimizers.
---@param name string
---@param fields table[] options: {name, type, default, words}
---@return table
function Optimizer:extend(name, fields)
  local new = class.extend(self, name)
  local where = "optim." .. name
  new.fields = fields
  new._read = options.reader(where, fields)
  local group_fields = {{"params", "tensor|table"}}
  for i, field in ipairs(fields) do
    group_fields[i + 1] = {field[1], field[2]:gsub("%?$", "") .. "?"}
  end
  new._read_group = options.reader(where .. " (parameter group)", group_fields)
  return new
end

local function check_list(self, params)
  local where = "optim." .. self.__name
  if is_tensor(params) then
    fail("%s: params must be a list of tensors or of parameter groups, got a tensor", where)
  end
  if type(params) == "function" then
    fail("%s: params must be a list: give model:parameters(), not an iterator", where)
  end
  if type(params) ~= "table" or getmetatable(params) ~= nil then
    fail("%s: params must be a list of tensors or of parameter groups, got %s%s", where,
      show(params), type(params) == "table" and ": give its parameters()" or "")
  end
  if #params == 0 then fail("%s: got an empty parameter list", where) end
end

--- optim.SGD(model:parameters(), {lr = 0.1}), or with groups that have options of their own:
--- optim.SGD({{params = a}, {params = b, lr = 0.01}}, {lr = 0.1}).
---@param params saros.Tensor[]|saros.optim.Group[]
---@param opts? table
function Optimizer:init(params, opts)
  check_list(self, params)
  self.defaults = self._read(opts)
  self:check(self.defaults)
  self.param_groups, self.state = {}, {}
  if is_tensor(params[1]) then params = {{params = params}} end
  for _, group in ipairs(params) do self:add_param_group(group) end
end

--- Refuse bad option values; a class with other rules writes its own, which calls this one.
---@param group table
function Optimizer:check(group)
  for _, field in ipairs(self.fields) do
    local value, words = group[field[1]], field[4]
    if words and (value < 0 or value ~= value) then
      fail("optim.%s: Invalid %s: %s", self.__name, words, value)
    end
  end
end

--- Make what an update keeps in `state`; classes that keep something write their own.
---@param parameter saros.Tensor
---@param state table
---@param group saros.optim.Group
function Optimizer:prepare(parameter, state, group) end

--- Change one parameter; each class writes its own.
function Optimizer:update()
  fail("%s: update is not defined: write function %s:update(parameter, grad, state, group)",
    self.__name, self.__name)
end

local function check_parameter(self, p, known)
  local where = "optim." .. self.__name
  if not is_tensor(p) then fail("%s: can only optimize tensors, got %s", where, show(p)) end
  if not p.is_leaf then fail("%s: can't optimize a non-leaf tensor", where) end
  if known[p] then fail("%s: a parameter appears twice, or in more than one group", where) end
  known[p] = true
end

--- Add parameters with options of their own; what is not given is as in the constructor.
---@param group saros.optim.Group|{params: saros.Tensor[]|saros.Tensor}
function Optimizer:add_param_group(group)
  if is_tensor(group) then group = {params = {group}} end
  local given = self._read_group(group)
  local params = is_tensor(given.params) and {given.params} or given.params
  check_list(self, params)
  local known, new = {}, {params = {}}
  for _, other in ipairs(self.param_groups) do
    for _, p in ipairs(other.params) do known[p] = true end
  end
  for i, p in ipairs(params) do
    check_parameter(self, p, known)
    new.params[i] = p
  end
  for _, field in ipairs(self.fields) do
    local name = field[1]
    new[name] = given[name]
    if new[name] == nil then new[name] = self.defaults[name] end
  end
  self:check(new)
  self.param_groups[#self.param_groups + 1] = new
end

-- ---- steps ------------------------------------------------------------------------

-- Parameters that have a gradient, with it, their state and their group, prepared.
local function gather(self)
  local work, states, n = {}, self.state, 0
  for _, group in ipairs(self.param_groups) do
    for _, p in ipairs(group.params) do
      local grad = p.grad
      if grad then
        local state = states[p]
        if not state then
          state = {}
          states[p] = state
        end
        self:prepare(p, state, group)
        work[n + 1], work[n + 2], work[n + 3], work[n + 4] = p, grad, state, group
        n = n + 4
      end
    end
  end
  return work, n
end

--- Update all parameters that have a gradient.
---@param closure? fun(): any computes the loss and calls backward; its result is returned
---@return any
function Optimizer:step(closure)
  local result
  if closure ~= nil then
    if type(closure) ~= "function" then
      fail("%s.step: a function expected, got %s", self.__name, show(closure))
    end
    result = core.enable_grad(closure)
  end
  local work, n = gather(self)
  for i = 1, n, 4 do self:update(work[i], work[i + 1], work[i + 2], work[i + 3]) end
  return result
end

local read_zero = options.reader("zero_grad", {{"set_to_none", "boolean", true}})

--- Forget the gradients.
---@param opts? {set_to_none: boolean} default true; false fills them with zeros
function Optimizer:zero_grad(opts)
  local to_none = opts == nil or read_zero(opts).set_to_none
  for _, group in ipairs(self.param_groups) do
    for _, p in ipairs(group.params) do
      if to_none then
        p.grad = nil
      elseif p.grad then
        p.grad:detach_():zero_()
      end
    end
  end
end

-- ---- state ----------------------------------------------------------------------------

-- A copy, also of the tables in it (betas), down to `depth`.
local function copied(value, depth)
  if type(value) ~= "table" or getmetatable(value) ~= nil or depth == 0 then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = copied(item, depth - 1) end
  return copy
end

--- All that a resumed run needs: options of the groups (and what else was put there), and the
--- state of each parameter under its position (1, 2, ... through all groups). Tensors are not
--- copied.
---@return {state: table<integer, table>, param_groups: table[]}
function Optimizer:state_dict()
  local dict, at = {state = {}, param_groups = {}}, 0
  for i, group in ipairs(self.param_groups) do
    local packed = copied(group, 2)
    packed.params = {}
    for k, p in ipairs(group.params) do
      at = at + 1
      packed.params[k] = at
      local state = self.state[p]
      if state and next(state) ~= nil then dict.state[at] = copied(state, 2) end
    end
    dict.param_groups[i] = packed
  end
  return dict
end

local function check_dict(self, dict)
  local where = self.__name .. ".load_state_dict"
  if type(dict) ~= "table" or type(dict.param_groups) ~= "table" or type(dict.state) ~= "table" then
    fail("%s: a table of state_dict() expected, got %s", where, show(dict))
  end
  if #dict.param_groups ~= #self.param_groups then
    fail("%s: loaded state dict has a different number of parameter groups: %d, here %d", where,
      #dict.param_groups, #self.param_groups)
  end
  for i, group in ipairs(dict.param_groups) do
    local here = self.param_groups[i]
    if type(group) ~= "table" then
      fail("%s: a parameter group is a table, got %s", where, show(group))
    end
    if type(group.params) ~= "table" or #group.params ~= #here.params then
      fail("%s: loaded state dict contains a parameter group that doesn't match the size of "
        .. "optimizer's group %d: %d parameters, here %d", where, i,
        type(group.params) == "table" and #group.params or 0, #here.params)
    end
  end
end

-- A saved group with the parameters of the one here.
local function read_group(self, i, loaded)
  local group, own = copied(loaded, 2), {params = self.param_groups[i].params}
  for _, field in ipairs(self.fields) do own[field[1]] = group[field[1]] end
  for name, value in pairs(self._read_group(own)) do group[name] = value end
  for _, field in ipairs(self.fields) do
    if group[field[1]] == nil then
      fail("%s.load_state_dict: parameter group %d has no '%s': is it the state of another "
        .. "optimizer?", self.__name, i, field[1])
    end
  end
  self:check(group)
  return group
end

--- Refuse a saved state that does not fit; classes that keep something write their own.
---@param where string how a message begins
---@param parameter saros.Tensor
---@param state table
---@param group saros.optim.Group
function Optimizer:check_state(where, parameter, state, group) end

-- A copy of a parameter's state, tensors of its shape in its dtype and on its device.
local function read_state(self, p, at, state, group)
  local where = ("%s.load_state_dict: state of parameter %s"):format(self.__name, at)
  if type(state) ~= "table" then fail("%s: a table expected, got %s", where, show(state)) end
  self:check_state(where, p, state, group)
  local copy = {}
  for name, value in pairs(state) do
    if is_tensor(value) then
      value = value:detach()
      if value.shape == p.shape then value = value:to {dtype = p.dtype, device = p.device} end
      value = value:clone()
    end
    copy[name] = copied(value, 1)
  end
  return copy
end

--- Take over options and state of state_dict(). Nothing is changed if it does not fit.
---@type fun(self: saros.optim.Optimizer, dict: {state: table, param_groups: table[]})
Optimizer.load_state_dict = stateful.loader(function(self, dict)
  check_dict(self, dict)
  local groups, state = {}, {}
  for i, loaded in ipairs(dict.param_groups) do
    local group = read_group(self, i, loaded)
    for k, p in ipairs(group.params) do
      local at = loaded.params[k]
      local saved = dict.state[at]
      if saved ~= nil then state[p] = read_state(self, p, at, saved, group) end
    end
    groups[i] = group
  end
  return function()
    for i, group in ipairs(groups) do
      for name, value in pairs(group) do self.param_groups[i][name] = value end
    end
    self.state = state
  end
end)

-- As PyTorch prints it.
function Optimizer:__tostring()
  local lines = {self.__name .. " ("}
  for i, group in ipairs(self.param_groups) do
    lines[#lines + 1] = "Parameter Group " .. i - 1
    local names = {}
    for _, field in ipairs(self.fields) do names[#names + 1] = field[1] end
    table.sort(names)
    for _, name in ipairs(names) do
      local value = group[name]
      if type(value) == "table" then value = "(" .. table.concat(value, ", ") .. ")" end
      lines[#lines + 1] = ("    %s: %s"):format(name, tostring(value))
    end
    if i < #self.param_groups then lines[#lines + 1] = "" end
  end
  lines[#lines + 1] = ")"
  return table.concat(lines, "\n")
end

return Optimizer
