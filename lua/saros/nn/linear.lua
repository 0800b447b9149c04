-- nn.Linear, nn.Identity, nn.Flatten.

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"
local initializers = require "saros.nn.initializers"

local Module, Parameter = parts.Module, parts.Parameter
local linear = core.linear

-- ---- Linear ----------------------------------------------------------------

---@class saros.nn.Linear: saros.nn.Module
---@field weight saros.Tensor (out_features, in_features)
---@field bias saros.Tensor|nil (out_features)
---@overload fun(inputs: integer, outputs: integer, options?: saros.nn.LinearOptions): self
local Linear = Module:extend("Linear")

---@class saros.nn.LinearOptions
---@field bias? boolean default true
---@field device? string
---@field dtype? string

local read_linear = options.signature("nn.Linear", {
  {"in_features", "integer"}, {"out_features", "integer"}, {"bias", "boolean", true},
  {"device", "string?"}, {"dtype", "string?"},
})

--- y = x W^T + b over the last dimension: (.., in_features) -> (.., out_features).
function Linear:init(...)
  local o = read_linear(...)
  if o.in_features < 0 or o.out_features < 0 then
    options.fail("nn.Linear: sizes must not be negative, got %d and %d", o.in_features,
      o.out_features)
  end
  local made = {device = o.device, dtype = o.dtype}
  self.in_features, self.out_features = o.in_features, o.out_features
  self.weight = Parameter(core.empty(o.out_features, o.in_features, made))
  if o.bias then self.bias = Parameter(core.empty(o.out_features, made)) end
  self:reset_parameters()
end

--- Draw new values, as PyTorch draws them.
function Linear:reset_parameters()
  initializers.kaiming_uniform_(self.weight, math.sqrt(5))
  if self.bias then
    local bound = self.in_features > 0 and 1 / math.sqrt(self.in_features) or 0
    initializers.uniform_(self.bias, -bound, bound)
  end
end

---@param input saros.Tensor (.., in_features)
---@return saros.Tensor (.., out_features)
function Linear:forward(input)
  return linear(input, self.weight, self.bias)
end

function Linear:extra_repr()
  return ("in_features=%d, out_features=%d, bias=%s"):format(self.in_features,
    self.out_features, self.bias ~= nil)
end

-- ---- Identity, Flatten --------------------------------------------------------

--- Gives back what it gets. Arguments of its construction are ignored.
---@class saros.nn.Identity: saros.nn.Module
---@overload fun(...): self
local Identity = Module:extend("Identity")

function Identity:forward(...) return ... end

---@class saros.nn.Flatten: saros.nn.Module
---@overload fun(start_dim?: integer, end_dim?: integer): self
local Flatten = Module:extend("Flatten")

local read_flatten = options.signature("nn.Flatten",
  {{"start_dim", "integer", 2}, {"end_dim", "integer", -1}})

--- Makes one dimension of several: by default all but the first, which is the batch.
function Flatten:init(...)
  local o = read_flatten(...)
  self.start_dim, self.end_dim = o.start_dim, o.end_dim
end

---@param input saros.Tensor
---@return saros.Tensor
function Flatten:forward(input)
  return core.flatten(input, self.start_dim, self.end_dim)
end

function Flatten:extra_repr()
  return ("start_dim=%d, end_dim=%d"):format(self.start_dim, self.end_dim)
end

return {Linear = Linear, Identity = Identity, Flatten = Flatten}
