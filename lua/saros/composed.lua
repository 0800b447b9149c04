-- Functions of tensors that are made of others: saros.isclose(a, b) and a:isclose(b), ...
-- Loaded when one of them is first called.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local composed = {}

local function check(where, name, x)
  if not core.is_tensor(x) then
    fail("%s: %s must be a tensor, got %s", where, name, show(x))
  end
end

-- ---- comparing --------------------------------------------------------------------

local closeness = {
  {"rtol", "number", 1e-5}, {"atol", "number", 1e-8}, {"equal_nan", "boolean", false},
}
local read_isclose = options.signature("isclose", closeness)
local read_allclose = options.signature("allclose", closeness)

local function close(where, a, b, o)
  check(where, "input", a)
  check(where, "other", b)
  local _ <close> = core.no_grad()
  local difference = (a - b):abs()
  local near = difference:le(b:abs() * o.rtol + o.atol)
  local result = a:eq(b):logical_or(near:logical_and(difference:isfinite()))
  if o.equal_nan then result = result:logical_or(a:isnan():logical_and(b:isnan())) end
  return result
end

--- |a - b| <= atol + rtol |b|, element by element; infinities are close to themselves only.
---@param a saros.Tensor
---@param b saros.Tensor
---@param ... any rtol = 1e-5, atol = 1e-8, equal_nan = false
---@return saros.Tensor bool
function composed.isclose(a, b, ...) return close("isclose", a, b, read_isclose(...)) end

--- Are all elements close?
---@param a saros.Tensor
---@param b saros.Tensor
---@param ... any as isclose
---@return boolean
function composed.allclose(a, b, ...)
  return close("allclose", a, b, read_allclose(...)):all():item()
end

--- The same shape and the same elements?
---@param a saros.Tensor
---@param b saros.Tensor
---@return boolean
function composed.equal(a, b)
  check("equal", "input", a)
  check("equal", "other", b)
  return a.shape == b.shape and a:eq(b):all():item()
end

-- ---- triangles ---------------------------------------------------------------------

-- x where wanted(column - row) of its last two dimensions, else 0.
local function triangle(where, x, diagonal, wanted)
  check(where, "input", x)
  local k = options.reader(where, {{"diagonal", "integer", 0}})(
    type(diagonal) == "table" and diagonal or {diagonal = diagonal}).diagonal
  if x:dim() < 2 then fail("%s: 2 dimensions or more expected, got %s", where, show(x)) end
  local at = {device = x.device}
  local columns = core.arange(1, x:size(-1) + 1, at)
  local rows = core.arange(1, x:size(-2) + 1, at):unsqueeze(2)
  return x:masked_fill(wanted(columns - rows, k), 0)
end

--- The elements on and below a diagonal (0 the main one, 1 above it), the others 0.
---@param x saros.Tensor (.., n, m)
---@param diagonal? integer default 0
---@return saros.Tensor
function composed.tril(x, diagonal)
  return triangle("tril", x, diagonal, function(d, k) return d:gt(k) end)
end

--- The elements on and above a diagonal, the others 0.
---@param x saros.Tensor (.., n, m)
---@param diagonal? integer default 0
---@return saros.Tensor
function composed.triu(x, diagonal)
  return triangle("triu", x, diagonal, function(d, k) return d:lt(k) end)
end

-- ---- counting ------------------------------------------------------------------------

local read_bincount = options.signature("bincount",
  {{"weights", "tensor?"}, {"minlength", "integer", 0}})

--- How often 1, 2, ... occur, or the sums of their weights: counts[k] belongs to k.
---@param x saros.Tensor int64, one dimension, from 1
---@param ... any weights = nil (of x's shape), minlength = 0
---@return saros.Tensor (largest value)
function composed.bincount(x, ...)
  check("bincount", "input", x)
  local o = read_bincount(...)
  if x:dim() ~= 1 or x.dtype ~= "int64" then
    fail("bincount: int64 values in one dimension expected, got %s %s", x.dtype, x.shape)
  end
  local size = math.max(o.minlength, 0)
  if x:numel() > 0 then
    local least = x:min():item()
    if least < 1 then fail("bincount: value %d: values count from 1", least) end
    size = math.max(size, x:max():item())
  end
  local weights = o.weights or core.ones_like(x)
  if weights.shape ~= x.shape then
    fail("bincount: weights of shape %s for values of shape %s", weights.shape, x.shape)
  end
  return core.zeros(size, {dtype = weights.dtype, device = x.device}):scatter_add(1, x, weights)
end

local read_unique = options.signature("unique", {
  {"sorted", "boolean", true}, {"return_inverse", "boolean", false},
  {"return_counts", "boolean", false},
})

--- The different elements, in rising order; each NaN is one of its own.
---@param x saros.Tensor
---@param ... any sorted = true (always so), return_inverse = false, return_counts = false
---@return saros.Tensor values (count)
---@return saros.Tensor|nil inverse of x's shape: values[inverse] is x
---@return saros.Tensor|nil counts
function composed.unique(x, ...)
  check("unique", "input", x)
  local o = read_unique(...)
  local _ <close> = core.no_grad()
  local in_order, places = x:detach():reshape(-1):sort()
  local n = in_order:numel()
  local is_new = core.ones(n, {dtype = "bool", device = x.device})
  if n > 1 then is_new[{ {2, -1} }] = in_order[{ {2, -1} }]:ne(in_order[{ {1, -2} }]) end
  local number = is_new:long():cumsum(1) -- of the value that each is
  local results = {in_order[is_new]}
  if o.return_inverse then
    results[#results + 1] = core.zeros_like(number):scatter(1, places, number):view(x.shape)
  end
  if o.return_counts then results[#results + 1] = composed.bincount(number) end
  return table.unpack(results)
end

-- ---- making -----------------------------------------------------------------------------

--- Coordinates of a grid: local y, x = saros.meshgrid(ys, xs), each of shape (#ys, #xs).
---@param ... saros.Tensor one-dimensional, or a list of them; then {indexing = "ij" or "xy"}
---@return saros.Tensor ...
function composed.meshgrid(...)
  local list, o = {...}, {}
  local last = list[#list]
  if type(last) == "table" and last[1] == nil then list[#list], o = nil, last end
  if type(list[1]) == "table" then list = list[1] end
  local indexing = options.reader("meshgrid", {{"indexing", "string", "ij"}})(o).indexing
  options.one_of("meshgrid", "indexing", indexing, {"ij", "xy"})
  local sizes, grid = {}, {}
  for i, t in ipairs(list) do
    check("meshgrid", "item " .. i, t)
    if t:dim() > 1 then fail("meshgrid: item %d has more than one dimension: %s", i, t.shape) end
    sizes[i] = t:numel()
  end
  if #list == 0 then fail("meshgrid: at least one tensor expected") end
  for i, t in ipairs(list) do
    local view = {}
    for d = 1, #list do view[d] = d == i and sizes[i] or 1 end
    grid[i] = t:reshape(view):expand(sizes)
    if indexing == "xy" and #list > 1 then grid[i] = grid[i]:transpose(1, 2) end
  end
  return table.unpack(grid)
end

--- base ^ start, ..., base ^ stop in `steps` steps of equal ratio.
---@param start number
---@param stop number
---@param steps integer
---@param opts? table base = 10 and as saros.linspace: dtype, device, requires_grad
---@return saros.Tensor
function composed.logspace(start, stop, steps, opts)
  local o, base = {}, 10.0
  for name, value in pairs(type(opts) == "table" and opts or {base = opts}) do
    if name == "base" then base = value else o[name] = value end
  end
  if type(base) ~= "number" then fail("logspace: base must be a number, got %s", show(base)) end
  local leaf = o.requires_grad
  o.requires_grad = nil
  local values = core.pow(base, core.linspace(start, stop, steps, o))
  return leaf == nil and values or values:requires_grad_(leaf)
end

return composed
