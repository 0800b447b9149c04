-- nn.utils: gradients clipped, parameters as one vector; nn.utils.rnn.

local core = require "saros.core"
local namespace = require "saros.namespace"
local options = require "saros.options"

local fail, show = options.fail, options.show

---@class saros.nn.utils
---@field rnn saros.nn.utils.rnn
local utils = {}

-- One tensor or a list of them, as a list.
local function tensor_list(where, parameters)
  if core.is_tensor(parameters) then return {parameters} end
  if type(parameters) ~= "table" or getmetatable(parameters) ~= nil then
    fail("%s: a list of tensors expected, as model:parameters() gives, got %s", where,
      show(parameters))
  end
  for i, p in ipairs(parameters) do
    if not core.is_tensor(p) then
      fail("%s: item %d must be a tensor, got %s", where, i, show(p))
    end
  end
  return parameters
end

local function gradients(where, parameters)
  local list = {}
  for _, p in ipairs(tensor_list(where, parameters)) do
    local grad = p.grad
    if grad then list[#list + 1] = grad end
  end
  return list
end

local read_norm = options.signature("clip_grad_norm_", {
  {"max_norm", "number"}, {"norm_type", "number", 2.0}, {"error_if_nonfinite", "boolean", false},
})

--- Scale all gradients so that their norm, as of one vector, is at most max_norm.
---@param parameters saros.Tensor[]|saros.Tensor
---@param ... any max_norm, {norm_type = 2 (math.huge for the largest), error_if_nonfinite = false}
---@return number norm before
function utils.clip_grad_norm_(parameters, ...)
  local o = read_norm(...)
  local grads = gradients("clip_grad_norm_", parameters)
  if #grads == 0 then return 0.0 end
  if o.error_if_nonfinite then
    local norm = utils.get_total_norm(grads, o.norm_type)
    if norm ~= norm or norm == math.huge then
      fail("clip_grad_norm_: the total norm of order %s of the gradients is %s, so they cannot be "
        .. "clipped", o.norm_type, norm)
    end
  end
  return core.clip_grad_norm(grads, o.max_norm, o.norm_type)
end

local read_total = options.signature("get_total_norm", {{"norm_type", "number", 2.0}})

--- Norm of several tensors as of one vector.
---@param tensors saros.Tensor[]
---@param ... any norm_type = 2
---@return number
function utils.get_total_norm(tensors, ...)
  local p = read_total(...).norm_type
  local _ <close> = core.no_grad()
  local norms = {}
  for i, t in ipairs(tensor_list("get_total_norm", tensors)) do norms[i] = t:norm(p):item() end
  if #norms == 0 then return 0.0 end
  return core.tensor(norms, {dtype = "float64", device = "cpu"}):norm(p):item()
end

local read_value = options.signature("clip_grad_value_", {{"clip_value", "number"}})

--- Clamp each element of the gradients to -clip_value .. clip_value.
---@param parameters saros.Tensor[]|saros.Tensor
---@param ... any clip_value
---@return number norm before, over all elements
function utils.clip_grad_value_(parameters, ...)
  local limit = read_value(...).clip_value
  local grads = gradients("clip_grad_value_", parameters)
  local norm = utils.get_total_norm(grads)
  core.clip_grad_value(grads, limit)
  return norm
end

--- All parameters behind one another in a vector.
---@param parameters saros.Tensor[]
---@return saros.Tensor
function utils.parameters_to_vector(parameters)
  local list, pieces = tensor_list("parameters_to_vector", parameters), {}
  for i, p in ipairs(list) do pieces[i] = p:reshape(-1) end
  return core.cat(pieces, 1)
end

--- The reverse of parameters_to_vector: copies the values into the parameters.
---@param vector saros.Tensor
---@param parameters saros.Tensor[]
function utils.vector_to_parameters(vector, parameters)
  local where = "vector_to_parameters"
  local list, total = tensor_list(where, parameters), 0
  for _, p in ipairs(list) do total = total + p:numel() end
  if not core.is_tensor(vector) or vector:dim() ~= 1 or vector:numel() ~= total then
    fail("%s: a vector of %d elements expected, got %s", where, total, show(vector))
  end
  local _ <close> = core.no_grad()
  local at = 1
  for _, p in ipairs(list) do
    p:copy_(vector:narrow(1, at, p:numel()):view(p.shape))
    at = at + p:numel()
  end
end

return namespace.lazy("saros.nn.utils", utils, {
  rnn = function() return namespace.strict("saros.nn.utils.rnn", require "saros.nn.packing") end,
})
