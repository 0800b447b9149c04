-- nn.init: fill a tensor in place, drawing the same numbers as PyTorch.
--
-- Each function takes the tensor first and returns it, records no gradient, and
-- reads the rest by position or name: init.kaiming_uniform_(w, {nonlinearity = "relu"}).

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

---@class saros.nn.init
local init = {}

local function check_tensor(where, t)
  if not core.is_tensor(t) then fail("%s: a tensor expected, got %s", where, show(t)) end
end

-- Define init[name](tensor, ...): `fields` say what follows the tensor.
local function define(name, fields, fill)
  local where = "nn.init." .. name
  local read = options.signature(where, fields)
  init[name] = function(tensor, ...)
    check_tensor(where, tensor)
    local o = read(...)
    local _ <close> = core.no_grad()
    fill(tensor, o, where)
    return tensor
  end
end

local generator = {"generator", "generator?"}

-- ---- plain distributions ------------------------------------------------------

define("uniform_", {{"a", "number", 0.0}, {"b", "number", 1.0}, generator}, function(t, o)
  t:uniform_(o.a, o.b, o.generator)
end)

define("normal_", {{"mean", "number", 0.0}, {"std", "number", 1.0}, generator}, function(t, o)
  t:normal_(o.mean, o.std, o.generator)
end)

define("constant_", {{"val", "number|nan"}}, function(t, o) t:fill_(o.val) end)
define("zeros_", {}, function(t) t:fill_(0) end)
define("ones_", {}, function(t) t:fill_(1) end)

define("eye_", {}, function(t, _, where)
  if t:dim() ~= 2 then fail("%s: 2 dimensions expected, got %s", where, show(t)) end
  t:copy_(core.eye(t:size(1), t:size(2), {dtype = t.dtype, device = t.device}))
end)

-- ---- variance kept from layer to layer ---------------------------------------------

-- Inputs and outputs of one unit: dimensions from the third on are a receptive field.
local function fans(t, where)
  if t:dim() < 2 then
    fail("%s: fan in and fan out cannot be computed for a tensor with fewer than 2 dimensions, "
      .. "got %s", where, show(t))
  end
  local field = 1
  for i = 3, t:dim() do field = field * t:size(i) end
  return t:size(2) * field, t:size(1) * field
end

local unit_gain = {linear = true, sigmoid = true, conv1d = true, conv2d = true, conv3d = true}
local gains = {"linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"}

--- Factor by which a nonlinearity shrinks the standard deviation.
---@param nonlinearity "linear"|"sigmoid"|"tanh"|"relu"|"leaky_relu"|"selu"
---@param param? number negative slope of leaky_relu, default 0.01
---@return number
function init.calculate_gain(nonlinearity, param)
  if unit_gain[nonlinearity] then return 1 end
  if nonlinearity == "tanh" then return 5 / 3 end
  if nonlinearity == "relu" then return math.sqrt(2) end
  if nonlinearity == "selu" then return 3 / 4 end
  if nonlinearity == "leaky_relu" then
    if param ~= nil and type(param) ~= "number" then
      fail("nn.init.calculate_gain: negative slope %s is not a number", show(param))
    end
    return math.sqrt(2 / (1 + (param or 0.01) ^ 2))
  end
  options.one_of("nn.init.calculate_gain", "nonlinearity", nonlinearity, gains)
end

local xavier = {{"gain", "number", 1.0}, generator}

local function xavier_std(t, o, where)
  local fan_in, fan_out = fans(t, where)
  return o.gain * math.sqrt(2 / (fan_in + fan_out))
end

define("xavier_uniform_", xavier, function(t, o, where)
  local bound = math.sqrt(3) * xavier_std(t, o, where)
  t:uniform_(-bound, bound, o.generator)
end)

define("xavier_normal_", xavier, function(t, o, where)
  t:normal_(0, xavier_std(t, o, where), o.generator)
end)

local kaiming = {
  {"a", "number", 0}, {"mode", "string", "fan_in"}, {"nonlinearity", "string", "leaky_relu"},
  generator,
}

local function kaiming_std(t, o, where)
  options.one_of(where, "mode", o.mode, {"fan_in", "fan_out"})
  local fan_in, fan_out = fans(t, where)
  local gain = init.calculate_gain(o.nonlinearity, o.a)
  return gain / math.sqrt(o.mode == "fan_in" and fan_in or fan_out)
end

define("kaiming_uniform_", kaiming, function(t, o, where)
  if t:numel() == 0 then return end
  local bound = math.sqrt(3) * kaiming_std(t, o, where)
  t:uniform_(-bound, bound, o.generator)
end)

define("kaiming_normal_", kaiming, function(t, o, where)
  if t:numel() == 0 then return end
  t:normal_(0, kaiming_std(t, o, where), o.generator)
end)

-- ---- orthogonal -------------------------------------------------------------------

-- Orthonormal rows (n, m), n <= m, that span the rows of `a`, row i in the span of
-- the first i of `a` and on its side: Q^T of the QR factorisation of a^T with a
-- positive diagonal. Gram-Schmidt, twice, in float64.
local function orthonormal_rows(a)
  local n = a:size(1)
  local q = core.zeros_like(a)
  for i = 1, n do
    local row = a[i]
    if i > 1 then
      local done = q:narrow(1, 1, i - 1)
      for _ = 1, 2 do row = row - done:t():mv(done:mv(row)) end
    end
    q[i] = row / row:norm()
  end
  return q
end

define("orthogonal_", xavier, function(t, o, where)
  if t:dim() < 2 then fail("%s: at least 2 dimensions expected, got %s", where, show(t)) end
  if t:numel() == 0 then return end
  local rows = t:size(1)
  local columns = t:numel() // rows
  local drawn = core.empty(rows, columns, {dtype = t.dtype, device = "cpu"})
  drawn:normal_(0, 1, o.generator)
  local wide = drawn:to("float64")
  local q = rows > columns and orthonormal_rows(wide:t():contiguous()):t() or orthonormal_rows(wide)
  t:copy_((q * o.gain):reshape(t.shape))
end)

---@alias saros.nn.init.fill fun(tensor: saros.Tensor, ...): saros.Tensor
---@class saros.nn.init
---@field uniform_ saros.nn.init.fill (tensor, a = 0, b = 1, {generator})
---@field normal_ saros.nn.init.fill (tensor, mean = 0, std = 1, {generator})
---@field constant_ saros.nn.init.fill (tensor, val)
---@field zeros_ saros.nn.init.fill (tensor)
---@field ones_ saros.nn.init.fill (tensor)
---@field eye_ saros.nn.init.fill (tensor of 2 dimensions)
---@field xavier_uniform_ saros.nn.init.fill (tensor, gain = 1, {generator})
---@field xavier_normal_ saros.nn.init.fill (tensor, gain = 1, {generator})
---@field kaiming_uniform_ saros.nn.init.fill (tensor, a = 0, mode = "fan_in", nonlinearity)
---@field kaiming_normal_ saros.nn.init.fill (tensor, a = 0, mode = "fan_in", nonlinearity)
---@field orthogonal_ saros.nn.init.fill (tensor, gain = 1, {generator})

return init
