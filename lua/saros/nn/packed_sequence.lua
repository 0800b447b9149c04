-- PackedSequence: the steps of a batch of sequences of different lengths, without padding.
--
-- Its rows are the steps 1 of all sequences, longest first, then the steps 2, ... It stands
-- for a tensor of these rows where each row is worked on by itself: linear, activations,
-- dropout, losses, arithmetic. Such a function of the core, whoever calls it, hands the call
-- to `__tensor_function` below when it meets one; the others refuse it.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"

local is_tensor, fail, show = core.is_tensor, options.fail, options.show

--- Steps of several sequences without padding. Made by pack_padded_sequence and pack_sequence.
---@class saros.nn.PackedSequence
---@field data saros.Tensor (N, ..): a row for each step of each sequence
---@field batch_sizes saros.Tensor (T) int64 on the CPU: how many sequences have step t
---@field sorted_indices saros.Tensor|nil (batch) int64: the sequences, longest first
---@field unsorted_indices saros.Tensor|nil (batch) int64: its inverse
---@field batch integer number of sequences, those of length 0 too
---@operator add(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator sub(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator mul(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator div(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator mod(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator idiv(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator pow(saros.Number|saros.nn.PackedSequence): saros.nn.PackedSequence
---@operator unm: saros.nn.PackedSequence
local PackedSequence = class.extend(nil, "PackedSequence")

PackedSequence.__shown =
  "a PackedSequence: take its data, or pad it first (nn.utils.rnn.pad_packed_sequence)"

-- ---- construction ------------------------------------------------------------------------

local function is_packed(value) return getmetatable(value) == PackedSequence end

local function inverse_of(permutation) return permutation and permutation:argsort() end

-- From parts that are known to fit. Indices follow the data's device.
local function make(data, batch_sizes, sorted, batch)
  sorted = sorted and sorted:to {device = data.device}
  return setmetatable({
    data = data, batch_sizes = batch_sizes, batch = batch,
    sorted_indices = sorted, unsorted_indices = inverse_of(sorted),
  }, PackedSequence)
end

-- Other rows in the same places.
local function with_data(packed, data)
  return setmetatable({
    data = data, batch_sizes = packed.batch_sizes, batch = packed.batch,
    sorted_indices = packed.sorted_indices, unsorted_indices = packed.unsorted_indices,
  }, PackedSequence)
end

-- The parts of a PackedSequence, for functions that take nothing else.
local function parts_of(where, packed)
  if not is_packed(packed) then
    fail("%s: a PackedSequence expected, got %s", where, show(packed))
  end
  return packed.data, packed.batch_sizes, packed.sorted_indices, packed.batch
end

-- On the CPU, where the sizes of steps are read.
local function integers(where, name, value)
  return options.integers(where, name, value):cpu()
end

local function check_inverse(where, sorted, unsorted)
  if sorted.shape ~= unsorted.shape
    or sorted:numel() > 0 and not inverse_of(sorted):eq(unsorted):all():item() then
    fail("%s: unsorted_indices is not the inverse of sorted_indices", where)
  end
end

local read_constructor = options.signature("PackedSequence", {
  {"data", "tensor"}, {"batch_sizes", "tensor|table"}, {"sorted_indices", "tensor|table?"},
  {"unsorted_indices", "tensor|table?"}, {"batch", "integer?"},
})

--- PackedSequence(data, batch_sizes, sorted_indices, unsorted_indices, {batch = ...}): from its
--- parts. batch_sizes are positive, do not grow, and sum to the rows of data; batch is by
--- default the number of sorted_indices, or the first of batch_sizes.
function PackedSequence:init(...)
  local where = "PackedSequence"
  local o = read_constructor(...)
  local sizes = integers(where, "batch_sizes", o.batch_sizes)
  local sorted = o.sorted_indices and integers(where, "sorted_indices", o.sorted_indices)
  local unsorted = o.unsorted_indices and integers(where, "unsorted_indices", o.unsorted_indices)
  sorted = sorted or inverse_of(unsorted)
  local batch = o.batch or sorted and sorted:size(1)
    or sizes:size(1) > 0 and sizes[1]:item() or 0
  core.packing_check(where, o.data, sizes, sorted, batch)
  if unsorted then check_inverse(where, sorted, unsorted) end
  for key, value in pairs(make(o.data, sizes, sorted, batch)) do self[key] = value end
end

-- ---- methods -----------------------------------------------------------------------------

--- true, of any other value false.
---@return boolean
function PackedSequence:is_packed() return is_packed(self) end

--- A PackedSequence with f(data): f works on the rows and keeps their number.
---@param f fun(data: saros.Tensor): saros.Tensor
---@return saros.nn.PackedSequence
function PackedSequence:apply(f)
  local where = "PackedSequence.apply"
  local rows = parts_of(where, self):size(1)
  if type(f) ~= "function" then fail("%s: a function expected, got %s", where, show(f)) end
  local data = f(self.data)
  if not is_tensor(data) or data:dim() == 0 or data:size(1) ~= rows then
    fail("%s: the function must give a tensor of %d rows, got %s", where, rows, show(data))
  end
  return with_data(self, data)
end

--- To another device, another dtype of data, or both, as a tensor's `to`.
---@param ... string|saros.Tensor|table
---@return saros.nn.PackedSequence
function PackedSequence:to(...)
  local data, sizes, sorted, batch = parts_of("PackedSequence.to", self)
  return make(data:to(...), sizes, sorted, batch)
end

--- to("cpu")
---@return saros.nn.PackedSequence
function PackedSequence:cpu() return self:to("cpu") end

--- The same steps in another dtype, or without history.
---@class saros.nn.PackedSequence
---@field float fun(self: saros.nn.PackedSequence): saros.nn.PackedSequence
---@field double fun(self: saros.nn.PackedSequence): saros.nn.PackedSequence
---@field long fun(self: saros.nn.PackedSequence): saros.nn.PackedSequence
---@field bool fun(self: saros.nn.PackedSequence): saros.nn.PackedSequence
---@field detach fun(self: saros.nn.PackedSequence): saros.nn.PackedSequence
for _, name in ipairs {"float", "double", "long", "bool", "detach"} do
  PackedSequence[name] = function(self) return self:apply(core.methods[name]) end
end

function PackedSequence:__tostring()
  local lines = {("PackedSequence: %d sequences, %d steps, %d rows"):format(self.batch,
    self.batch_sizes:size(1), self.data:size(1))}
  for _, name in ipairs {"data", "batch_sizes", "sorted_indices", "unsorted_indices"} do
    if self[name] then lines[#lines + 1] = ("%s: %s"):format(name, self[name]) end
  end
  return table.concat(lines, "\n")
end

-- ---- in place of a tensor ------------------------------------------------------------------

-- Do the sequences of a and b, as many of them, come in the same order?
local function same_order(a, b)
  local s, t = a.sorted_indices, b.sorted_indices
  if rawequal(s, t) or a.batch == 0 then return true end
  local function order(sorted) return sorted and sorted:cpu() or core.arange(1, a.batch + 1) end
  return order(s):eq(order(t)):all():item()
end

local function check_same_places(a, b)
  local s, t = a.batch_sizes, b.batch_sizes
  if not rawequal(s, t) and (s.shape ~= t.shape or s:numel() > 0 and not s:eq(t):all():item()) then
    fail("two PackedSequences with different batch_sizes:\n%s\n%s", s, t)
  end
  if a.batch ~= b.batch then
    fail("two PackedSequences of %d and %d sequences", a.batch, b.batch)
  end
  if not same_order(a, b) then
    fail("two PackedSequences that are sorted differently:\n%s\n%s", a.sorted_indices,
      b.sorted_indices)
  end
end

-- For each function that works on rows: refuses what would mix them. Called with the first
-- PackedSequence's data and the first two arguments.
local checks = {}

-- Only one of the two may be packed, the other is a weight or an option.
for name, place in pairs {linear = 1, dropout = 1, one_hot = 1, embedding = 2} do
  checks[core[name]] = function(_, ...)
    local other = select(3 - place, ...)
    if is_packed(other) then
      fail("%s: argument %d must not be %s", name, 3 - place, show(other))
    end
  end
end

for _, name in ipairs {
  "nll_loss", "cross_entropy", "mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy",
  "binary_cross_entropy_with_logits",
} do
  checks[core[name]] = function() end
end

local mixes = "%s: dimension 1 of a PackedSequence, whose data is %s, has the steps of all "
  .. "sequences; pad it first (nn.utils.rnn.pad_packed_sequence)"

for _, name in ipairs {"softmax", "log_softmax"} do
  checks[core[name]] = function(data, _, dim)
    if type(dim) == "table" then dim = dim.dim end
    if dim == 1 or dim == -data:dim() then fail(mixes, name, data.shape) end
  end
end

checks[core.layer_norm] = function(data, _, shape)
  local dims = type(shape) == "table" and #shape or 1
  if dims >= data:dim() then fail(mixes, "layer_norm", data.shape) end
end

-- Pointwise functions: what stands beside the rows is for each of them, or has as many.
local function check_operands(data, a, b)
  for _, x in pairs {a, b} do
    local packed = is_packed(x)
    local t = packed and x.data or x
    if is_tensor(t) and (t:dim() > data:dim() or packed and t:dim() ~= data:dim()) then
      fail("a PackedSequence whose data is %s and %s %s", data.shape,
        packed and "one whose data is" or "a tensor", t.shape)
    end
  end
end

--- f(...), where the first or second argument is a PackedSequence: f of its data. A result
--- with dimensions is a PackedSequence again.
function PackedSequence.__tensor_function(f, ...)
  local arguments, packed = table.pack(...), nil
  for i = 1, 2 do
    local x = arguments[i]
    if is_packed(x) then
      if packed then check_same_places(packed, x) end
      packed, arguments[i] = packed or x, x.data
    end
  end
  local check = checks[f] or check_operands
  check(packed.data, ...)
  local result = f(table.unpack(arguments, 1, arguments.n))
  if result:dim() == 0 then return result end
  return packed:apply(function() return result end)
end

for event, name in pairs {
  __add = "add", __sub = "sub", __mul = "mul", __div = "div", __pow = "pow", __mod = "remainder",
  __idiv = "floor_divide",
} do
  PackedSequence[event] = core[name]
end
function PackedSequence:__len()
  fail("a PackedSequence has no length: `batch` is the number of sequences, `data` has the %s rows",
    self.data:size(1))
end
function PackedSequence:__unm() return core.neg(self) end

-- packed:tanh(), packed:relu_(), packed:log_softmax(-1)
local rowwise = {softmax = true, log_softmax = true, copy_ = true}
for _, operation in ipairs(core.pointwise_operations) do
  rowwise[operation.name], rowwise[operation.name .. "_"] = true, true
end

-- Fields that may be absent.
local absent = {sorted_indices = true, unsorted_indices = true, data = true}
-- What a packed sequence shares with the tensor of its rows.
local shared = {dtype = true, device = true, requires_grad = true}

function PackedSequence:__index(key)
  local value = PackedSequence[key]
  if value ~= nil or absent[key] then return value end
  if shared[key] then return self.data[key] end
  local method = core.methods[key]
  if rowwise[key] then return method end
  if not method then
    fail("a PackedSequence has no '%s': it has data, batch_sizes, sorted_indices, "
      .. "unsorted_indices and batch, the number of sequences", tostring(key))
  end
  fail("a PackedSequence has no method '%s': use packed.data:%s, packed:apply(f), or pad it first "
    .. "(nn.utils.rnn.pad_packed_sequence)", key, key)
end

return {
  PackedSequence = PackedSequence, is_packed = is_packed, make = make, integers = integers,
  parts_of = parts_of,
}
