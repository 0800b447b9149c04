-- nn.functional: what the modules compute, as functions.
--
-- The tensor comes first, the rest by position or name as in PyTorch:
-- F.cross_entropy(logits, target, {label_smoothing = 0.1}).

local core = require "saros.core"
local options = require "saros.options"
local losses = require "saros.nn.losses"

---@class saros.nn.functional
local F = {}

-- These take the same arguments here and in the core: no detour.
for _, name in ipairs {
  "linear", "relu", "tanh", "sigmoid", "leaky_relu", "elu", "gelu", "silu", "softplus",
  "logsigmoid",
} do
  F[name] = core[name]
end

-- ---- softmax, dropout -----------------------------------------------------

-- PyTorch's choice where no dim is given: the first of 0, 1 or 3 dimensions, else the second.
local function implicit_dim(x)
  local dims = (core.is_tensor(x) and x or x.data):dim()
  return (dims == 0 or dims == 1 or dims == 3) and 1 or 2
end

local core_softmax, core_log_softmax = core.softmax, core.log_softmax

local function check_tensor(where, name, x)
  if not (core.is_tensor(x) or options.stands_in(x)) then
    options.fail("%s: %s must be a tensor, got %s", where, name, options.show(x))
  end
end

local function check_dim(where, x, dim)
  check_tensor(where, "input", x)
  if type(dim) == "table" then dim = options.reader(where, {{"dim", "integer?"}})(dim).dim end
  return dim or implicit_dim(x)
end

--- exp(x) / sum exp(x) along `dim`.
---@param x saros.Tensor
---@param dim? integer
---@return saros.Tensor
function F.softmax(x, dim)
  if math.type(dim) == "integer" then return core_softmax(x, dim) end
  return core_softmax(x, check_dim("softmax", x, dim))
end

--- log(softmax(x)) along `dim`.
---@param x saros.Tensor
---@param dim? integer
---@return saros.Tensor
function F.log_softmax(x, dim)
  if math.type(dim) == "integer" then return core_log_softmax(x, dim) end
  return core_log_softmax(x, check_dim("log_softmax", x, dim))
end

local read_dropout = options.signature("dropout",
  {{"p", "number", 0.5}, {"training", "boolean", true}})

--- Zeroes elements with probability p and scales the rest by 1 / (1 - p).
---@param x saros.Tensor
---@param ... any p = 0.5, training = true; training = false gives x back
---@return saros.Tensor
function F.dropout(x, ...)
  local o = read_dropout(...)
  if not (o.p >= 0 and o.p <= 1) then
    options.fail("dropout: probability has to be between 0 and 1, got %s", o.p)
  end
  return core.dropout(x, o.p, o.training)
end

-- ---- embedding, normalization ----------------------------------------------------

local read_embedding = options.signature("embedding", {{"padding_idx", "integer?"}})

--- A row of `weight` for each id.
---@param ids saros.Tensor int64, from 1
---@param weight saros.Tensor (rows, width)
---@param ... any padding_idx: an id without gradient; 0 is a zero row
---@return saros.Tensor (.., width)
function F.embedding(ids, weight, ...)
  local padding_idx = read_embedding(...).padding_idx
  check_tensor("embedding", "weight", weight)
  if padding_idx and padding_idx < 0 then padding_idx = weight:size(1) + 1 + padding_idx end
  return core.embedding(weight, ids, padding_idx)
end

--- A 1 at the place of each id. F.one_hot(ids) takes the largest id as the number of classes.
---@param ids saros.Tensor int64, from 1
---@param num_classes? integer
---@return saros.Tensor int64 (.., num_classes)
function F.one_hot(ids, num_classes)
  if type(num_classes) == "table" then
    num_classes = options.reader("one_hot", {{"num_classes", "integer?"}})(num_classes).num_classes
  end
  return core.one_hot(ids, num_classes)
end

local read_layer_norm = options.signature("layer_norm", {
  {"normalized_shape", "integer|table"}, {"weight", "tensor?"}, {"bias", "tensor?"},
  {"eps", "number", 1e-5},
})

--- Mean 0, variance 1 over the last dimensions: F.layer_norm(x, {64}, {weight = w, bias = b}).
---@param x saros.Tensor
---@return saros.Tensor
function F.layer_norm(x, ...)
  local o = read_layer_norm(...)
  local shape = o.normalized_shape
  return core.layer_norm(x, type(shape) == "table" and shape or {shape}, o.weight, o.bias, o.eps)
end

local read_batch_norm = options.signature("batch_norm", {
  {"running_mean", "tensor?"}, {"running_var", "tensor?"}, {"weight", "tensor?"},
  {"bias", "tensor?"}, {"training", "boolean", false}, {"momentum", "number", 0.1},
  {"eps", "number", 1e-5},
})

--- Each feature to mean 0, variance 1 over the batch (training) or by the running statistics.
---@param x saros.Tensor (N, C) or (N, C, L)
---@return saros.Tensor
function F.batch_norm(x, ...)
  local o = read_batch_norm(...)
  return core.batch_norm(x, o.running_mean, o.running_var, o.weight, o.bias, o.training,
    o.momentum, o.eps)
end

-- ---- losses ------------------------------------------------------------------------

-- F.nll_loss(input, target, options) and so on.
for name, loss in pairs(losses.kinds) do
  local read = options.signature(name, loss.fields)
  F[name] = function(input, target, ...)
    local o = read(...)
    losses.check(name, o)
    return loss.compute(input, target, o)
  end
end

---@alias saros.unary fun(x: saros.Tensor): saros.Tensor
---@alias saros.loss fun(input: saros.Tensor, target: saros.Tensor, options?: table): saros.Tensor
---@class saros.nn.functional
---@field linear fun(x: saros.Tensor, weight: saros.Tensor, bias?: saros.Tensor): saros.Tensor
---@field relu saros.unary
---@field tanh saros.unary
---@field sigmoid saros.unary
---@field silu saros.unary
---@field gelu fun(x: saros.Tensor, approximate?: "none"|"tanh"): saros.Tensor
---@field logsigmoid saros.unary
---@field leaky_relu fun(x: saros.Tensor, negative_slope?: number): saros.Tensor
---@field elu fun(x: saros.Tensor, alpha?: number): saros.Tensor
---@field softplus fun(x: saros.Tensor, beta?: number, threshold?: number): saros.Tensor
---@field nll_loss saros.loss options as nn.NLLLoss
---@field cross_entropy saros.loss options as nn.CrossEntropyLoss
---@field mse_loss saros.loss options as nn.MSELoss
---@field l1_loss saros.loss options as nn.L1Loss
---@field smooth_l1_loss saros.loss options as nn.SmoothL1Loss
---@field binary_cross_entropy saros.loss options as nn.BCELoss
---@field binary_cross_entropy_with_logits saros.loss options as nn.BCEWithLogitsLoss

return F
