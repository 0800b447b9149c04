-- optim.Optimizer: parameter groups, state, and what all optimizers do alike.
--
-- A class below it says which options it has and how one parameter is updated:
--
--   local SGD = Optimizer:extend("SGD", {{"lr", "number", 1e-3}, ...})
--   function SGD:check(group) ... end                  -- refuse bad values
--   function SGD:prepare(parameter, state, group) ... end
--   function SGD:update(parameter, grad, state, group) ... end
--
-- `state` is a table for each parameter, empty at first; tensors, numbers and
-- booleans in it are what state_dict keeps. prepare makes what it needs: it is called
-- for all parameters before the first update, so that a step that runs out of memory
-- has changed nothing.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"

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
---@param fields table[] options: {name, type, default}
---@return table
function Optimizer:extend(name, fields)
  local new = class.extend(self, name)
  local where = "optim." .. name
  new.fields = fields
  new._read = options.reader(where, fields)
  local group_fields = {{"params", "any"}}
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

--- Refuse bad option values; each class writes its own.
---@param group table
function Optimizer:check(group) end

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

-- call(self, parameter, grad, state, group) for all parameters that have a gradient.
local function each_gradient(self, call)
  local states = self.state
  for _, group in ipairs(self.param_groups) do
    for _, p in ipairs(group.params) do
      local grad = p.grad
      if grad then
        local state = states[p]
        if not state then
          state = {}
          states[p] = state
        end
        call(self, p, grad, state, group)
      end
    end
  end
end

local function prepare(self, p, _, state, group) self:prepare(p, state, group) end

local function update(self, p, grad, state, group) self:update(p, grad, state, group) end

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
  each_gradient(self, prepare)
  each_gradient(self, update)
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

--- All that a resumed run needs: options of the groups, and the state of each parameter
--- under its position (1, 2, ... through all groups). Tensors are not copied.
---@return {state: table<integer, table>, param_groups: table[]}
function Optimizer:state_dict()
  local dict, at = {state = {}, param_groups = {}}, 0
  for i, group in ipairs(self.param_groups) do
    local packed = {params = {}}
    for _, field in ipairs(self.fields) do packed[field[1]] = group[field[1]] end
    for k, p in ipairs(group.params) do
      at = at + 1
      packed.params[k] = at
      if self.state[p] and next(self.state[p]) ~= nil then
        local copy = {}
        for name, value in pairs(self.state[p]) do copy[name] = value end
        dict.state[at] = copy
      end
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

-- The options of a saved group, those that it lacks from the group here.
local function complete_group(self, here, loaded)
  local known = {params = here.params}
  for _, field in ipairs(self.fields) do known[field[1]] = loaded[field[1]] end
  local group = self._read_group(known)
  for _, field in ipairs(self.fields) do
    local name = field[1]
    if group[name] == nil then group[name] = here[name] end
  end
  self:check(group)
  return group
end

-- A copy of a parameter's state, tensors of its shape in its dtype and on its device.
local function copy_state(self, p, state)
  if type(state) ~= "table" then
    fail("%s.load_state_dict: the state of a parameter is a table, got %s", self.__name,
      show(state))
  end
  local copy = {}
  for name, value in pairs(state) do
    if is_tensor(value) then
      value = value:detach()
      if value.shape == p.shape then value = value:to {dtype = p.dtype, device = p.device} end
      value = value:clone()
    end
    copy[name] = value
  end
  return copy
end

--- Take over options and state of state_dict(). Nothing is changed if it does not fit.
---@param dict {state: table<integer, table>, param_groups: table[]}
function Optimizer:load_state_dict(dict)
  check_dict(self, dict)
  local groups, state = {}, {}
  for i, loaded in ipairs(dict.param_groups) do
    local group = complete_group(self, self.param_groups[i], loaded)
    for k, p in ipairs(group.params) do
      local saved = dict.state[loaded.params[k]]
      if saved ~= nil then state[p] = copy_state(self, p, saved) end
    end
    groups[i] = group
  end
  for i, group in ipairs(groups) do
    for name, value in pairs(group) do self.param_groups[i][name] = value end
  end
  self.state = state
end

-- As PyTorch prints it.
function Optimizer:__tostring()
  local lines = {self.__name .. " ("}
  for i, group in ipairs(self.param_groups) do
    lines[#lines + 1] = "Parameter Group " .. i - 1
    local names = {}
    for _, field in ipairs(self.fields) do names[#names + 1] = field[1] end
    table.sort(names)
    for _, name in ipairs(names) do
      lines[#lines + 1] = ("    %s: %s"):format(name, tostring(group[name]))
    end
    if i < #self.param_groups then lines[#lines + 1] = "" end
  end
  lines[#lines + 1] = ")"
  return table.concat(lines, "\n")
end

return Optimizer
