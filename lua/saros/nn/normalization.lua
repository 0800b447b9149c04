-- nn.LayerNorm, nn.BatchNorm1d.

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"

local Module, Parameter = parts.Module, parts.Parameter
local fail, show = options.fail, options.show

-- ---- LayerNorm --------------------------------------------------------------

---@class saros.nn.LayerNorm: saros.nn.Module
---@field weight saros.Tensor|nil of normalized_shape
---@field bias saros.Tensor|nil of normalized_shape
---@overload fun(shape: integer|integer[], options?: saros.nn.LayerNormOptions): self
local LayerNorm = Module:extend("LayerNorm")

---@class saros.nn.LayerNormOptions
---@field eps? number default 1e-5, added to the variance
---@field elementwise_affine? boolean default true: scale by weight, add bias
---@field bias? boolean default true
---@field device? string
---@field dtype? string

local read_layer_norm = options.signature("nn.LayerNorm", {
  {"normalized_shape", "integer|table"}, {"eps", "number", 1e-5},
  {"elementwise_affine", "boolean", true}, {"bias", "boolean", true},
  {"device", "string?"}, {"dtype", "string?"},
})

local function check_shape(shape)
  if type(shape) ~= "table" then return {shape} end
  for _, size in ipairs(shape) do
    if math.type(size) ~= "integer" then
      fail("nn.LayerNorm: normalized_shape must hold integers, got %s", show(size))
    end
  end
  if #shape == 0 then fail("nn.LayerNorm: normalized_shape is empty") end
  return shape
end

--- Mean 0 and variance 1 over the last dimensions, which have the given sizes.
function LayerNorm:init(...)
  local o = read_layer_norm(...)
  local made = {device = o.device, dtype = o.dtype}
  self.normalized_shape = check_shape(o.normalized_shape)
  self.eps, self.elementwise_affine = o.eps, o.elementwise_affine
  if not o.elementwise_affine then return end
  self.weight = Parameter(core.full(self.normalized_shape, 1.0, made))
  if o.bias then self.bias = Parameter(core.full(self.normalized_shape, 0.0, made)) end
end

--- weight to ones, bias to zeros.
function LayerNorm:reset_parameters()
  local _ <close> = core.no_grad()
  if self.weight then self.weight:fill_(1) end
  if self.bias then self.bias:fill_(0) end
end

---@param input saros.Tensor (.., normalized_shape)
---@return saros.Tensor of the same shape
function LayerNorm:forward(input)
  return core.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
end

function LayerNorm:extra_repr()
  local shape = table.concat(self.normalized_shape, ", ")
  if #self.normalized_shape == 1 then shape = shape .. "," end
  return ("(%s), eps=%s, elementwise_affine=%s"):format(shape, self.eps, self.elementwise_affine)
end

-- ---- BatchNorm1d ---------------------------------------------------------------

---@class saros.nn.BatchNorm1d: saros.nn.Module
---@field weight saros.Tensor|nil (num_features)
---@field bias saros.Tensor|nil (num_features)
---@field running_mean saros.Tensor|nil (num_features)
---@field running_var saros.Tensor|nil (num_features)
---@field num_batches_tracked saros.Tensor|nil int64, one number
---@overload fun(num_features: integer, options?: saros.nn.BatchNormOptions): self
local BatchNorm1d = Module:extend("BatchNorm1d")

---@class saros.nn.BatchNormOptions
---@field eps? number default 1e-5, added to the variance
---@field momentum? number|false default 0.1; false takes the mean of all batches so far
---@field affine? boolean default true: scale by weight, add bias
---@field track_running_stats? boolean default true: statistics for eval mode
---@field device? string
---@field dtype? string

local read_batch_norm = options.signature("nn.BatchNorm1d", {
  {"num_features", "integer"}, {"eps", "number", 1e-5}, {"momentum", "number|boolean", 0.1},
  {"affine", "boolean", true}, {"track_running_stats", "boolean", true},
  {"device", "string?"}, {"dtype", "string?"},
})

--- Each feature to mean 0 and variance 1 over the batch.
function BatchNorm1d:init(...)
  local o = read_batch_norm(...)
  if o.momentum == true then
    fail("nn.BatchNorm1d: momentum must be a number or false, got true")
  end
  if o.num_features < 1 then
    fail("nn.BatchNorm1d: num_features must be greater than 0, got %d", o.num_features)
  end
  local n, made = o.num_features, {device = o.device, dtype = o.dtype}
  self.num_features, self.eps, self.momentum = n, o.eps, o.momentum
  self.affine, self.track_running_stats = o.affine, o.track_running_stats
  if o.affine then
    self.weight = Parameter(core.ones(n, made))
    self.bias = Parameter(core.zeros(n, made))
  end
  if o.track_running_stats then
    self:register_buffer("running_mean", core.zeros(n, made))
    self:register_buffer("running_var", core.ones(n, made))
    local zero = core.tensor(0, {dtype = "int64", device = o.device})
    self:register_buffer("num_batches_tracked", zero)
  end
end

--- Forget what was seen so far.
function BatchNorm1d:reset_running_stats()
  if not self.running_mean then return end
  self.running_mean:zero_()
  self.running_var:fill_(1)
  self.num_batches_tracked:zero_()
end

--- weight to ones, bias to zeros, statistics forgotten.
function BatchNorm1d:reset_parameters()
  self:reset_running_stats()
  local _ <close> = core.no_grad()
  if self.weight then
    self.weight:fill_(1)
    self.bias:fill_(0)
  end
end

local function check_input(self, input)
  local dims = core.is_tensor(input) and input:dim()
  if dims ~= 2 and dims ~= 3 then
    fail("BatchNorm1d: expected input (batch, %d) or (batch, %d, length), got %s",
      self.num_features, self.num_features, show(input))
  end
  if input:size(2) ~= self.num_features then
    fail("BatchNorm1d: expected input (batch, %d%s), got %s: size %d is not num_features %d",
      self.num_features, dims == 3 and ", length" or "", input.shape, input:size(2),
      self.num_features)
  end
  if self.training and input:numel() == self.num_features then
    fail("BatchNorm1d: expected more than 1 value per channel when training, got input %s",
      input.shape)
  end
end

-- Weight of this batch in the running statistics; counts the batch.
local function next_momentum(self)
  if not (self.training and self.num_batches_tracked) then return self.momentum or 0.0 end
  self.num_batches_tracked:add_(1)
  return self.momentum or 1 / self.num_batches_tracked:item()
end

---@param input saros.Tensor (N, num_features) or (N, num_features, L)
---@return saros.Tensor of the same shape
function BatchNorm1d:forward(input)
  check_input(self, input)
  local momentum = next_momentum(self)
  return core.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias,
    self.training or self.running_mean == nil, momentum, self.eps)
end

function BatchNorm1d:extra_repr()
  return ("%d, eps=%s, momentum=%s, affine=%s, track_running_stats=%s"):format(self.num_features,
    self.eps, self.momentum, self.affine, self.track_running_stats)
end

return {LayerNorm = LayerNorm, BatchNorm1d = BatchNorm1d}
