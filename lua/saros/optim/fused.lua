-- optim.Fused: base of the optimizers whose step is one kernel, a line of
-- src/backend/optimizers.def.
--
-- A class below it says which kernel, and with which numbers (sr_optimizer_numbers):
--
--   local Adam = Fused:extend("Adam", {"adam", "adam_amsgrad"}, {{"lr", "number", 1e-3}, ...})
--   function Adam:kernel(group) return group.amsgrad and "adam_amsgrad" or "adam" end
--   function Adam:numbers(group, step, state) ... return {lr = ..., beta1 = ...} end
--
-- The state of a parameter is the kernel's tensors and `step`, how many were taken.

local core = require "saros.core"
local options = require "saros.options"
local Optimizer = require "saros.optim.optimizer"

local fail, is_tensor, optimizer_step = options.fail, core.is_tensor, core.optimizer_step

---@class saros.optim.Fused: saros.optim.Optimizer
local Fused = Optimizer:extend("Fused", {})

Fused.counts_steps = true

local states = {} -- by kernel: names of its tensors

--- A new class of optimizers.
---@param name string
---@param kernels string[] those that `kernel` may name
---@param fields table[] options, as of Optimizer:extend
---@return table
function Fused:extend(name, kernels, fields)
  local new = Optimizer.extend(self, name, fields)
  new.keeps = {}
  for _, kernel in ipairs(kernels) do
    states[kernel] = core.optimizer_states(kernel)
    for _, tensor in ipairs(states[kernel]) do new.keeps[tensor] = true end
  end
  return new
end

--- What a state tensor is at first.
---@param parameter saros.Tensor
---@param group saros.optim.Group
---@return saros.Tensor
function Fused:initial(parameter, group) return core.zeros_like(parameter) end

function Fused:prepare(p, state, group)
  if self.counts_steps then state.step = state.step or 0 end
  for _, name in ipairs(states[self:kernel(group)]) do
    state[name] = state[name] or self:initial(p, group)
  end
end

function Fused:update(p, grad, state, group)
  local step = self.counts_steps and state.step + 1 or nil
  optimizer_step(self:kernel(group), p, grad, state, self:numbers(group, step, state))
  state.step = step
end

function Fused:check_state(where, p, state, group)
  for name in pairs(state) do
    if not (self.keeps[name] or name == "step" and self.counts_steps) then
      fail("%s has '%s', which %s does not keep: is it the state of another optimizer?", where,
        tostring(name), self.__name)
    end
  end
  for _, name in ipairs(states[self:kernel(group)]) do
    local tensor = state[name]
    if not is_tensor(tensor) then
      fail("%s: '%s' must be a tensor, got %s", where, name, options.show(tensor))
    elseif tensor.shape ~= p.shape then
      fail("%s: size mismatch for %s: shape %s in the state dict, the parameter here has %s", where,
        name, tensor.shape, p.shape)
    end
  end
  if self.counts_steps and not (math.type(state.step) == "integer" and state.step >= 0) then
    fail("%s: step must be a count, got %s", where, options.show(state.step))
  end
end

return Fused
