-- Operations on tensors, by PyTorch's results (positions counted from 1).
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local T = saros.tensor
local nan = 0 / 0

local function equals(got, wanted, dtype)
  lu.assertEquals(got:totable(), wanted)
  if dtype then lu.assertEquals(got.dtype, dtype) end
end

local TestArithmetic = {}

function TestArithmetic:test_div_rounding()
  local a, b = T {7, -7, 7, -7}, T {2, 2, -2, -2}
  equals(a:div(b, {rounding_mode = "trunc"}), {3, -3, -3, 3}, "int64")
  equals(a:div(b, {rounding_mode = "floor"}), {3, -4, -4, 3}, "int64")
  equals(a:div(b), {3.5, -3.5, -3.5, 3.5}, "float32")
  equals(saros.div(7, T {2, -2}, {rounding_mode = "trunc"}), {3, -3}, "int64")
  equals(T {7.5, -7.5}:div(2, "trunc"), {3, -3}, "float32")
  equals(T {7.5, -7.5}:div(2, "floor"), {3, -4}, "float32")
  local x, y = T {7.5, -7.5}, T {7, -7}
  equals(x:div_(2, {rounding_mode = "trunc"}), {3, -3})
  equals(x, {3, -3})
  equals(y:div_(2, {rounding_mode = "floor"}), {3, -4}, "int64")
  support.assert_error("div: rounding_mode must be one of 'floor', 'trunc', got 'round'", x.div, x,
    2, "round")
  support.assert_error("div: division by zero", a.div, a, 0, "trunc")
  support.assert_error("div_: a tensor is needed", x.div_, 3, x, "trunc")
end

function TestArithmetic:test_fmod()
  equals(T {7, -7, 7, -7}:fmod(T {2, 2, -2, -2}), {1, -1, 1, -1}, "int64")
  equals(T {math.mininteger}:fmod(-1), {0})
  equals(T {-7.5, 7.5}:fmod(2), {-1.5, 1.5})
  support.assert_error("fmod: division by zero", saros.fmod, T {1}, 0)
end

function TestArithmetic:test_clamp_by_tensors()
  local x = T {1.0, 5.0, 9.0}
  equals(x:clamp(T {2.0, 2.0, 2.0}, 7), {2, 5, 7})
  equals(x:clamp {max = T {3.0}}, {1, 3, 3})
  equals(x:clamp(T {6.0}, T {4.0}), {4, 4, 4}) -- the upper bound wins
  equals(x:clamp_min(T {3.0, 6.0, 3.0}), {3, 6, 9})
  equals(x:clamp_max(4), {1, 4, 4})
  equals(x:clip_(T {2.0}, 6), {2, 5, 6})
  equals(x, {2, 5, 6})
  equals(T {1, 5}:clamp(T {2, 2}), {2, 5}, "int64")
  lu.assertTrue(T {nan}:clamp(T {0.0}):isnan():item())
  lu.assertTrue(T {0.0}:clamp(T {nan}):isnan():item())
end

function TestArithmetic:test_bool_stays_bool()
  local a, b = T {true, true, false, false}, T {true, false, true, false}
  equals(a + b, {true, true, true, false}, "bool")
  equals(a * b, {true, false, false, false}, "bool")
  equals(a:maximum(b), {true, true, true, false}, "bool")
  equals(a:minimum(b), {true, false, false, false}, "bool")
  equals(a + 1, {2, 2, 1, 1}, "int64")
  equals(a + T {1, 1, 1, 1}, {2, 2, 1, 1}, "int64")
  equals(a * 0.5, {0.5, 0.5, 0, 0}, "float32")
  equals(a:clone():mul_(b), {true, false, false, false}, "bool")
end

function TestArithmetic:test_gelu()
  local x = T({-2.0, 0.0, 1.0}, {dtype = "float64"})
  support.assert_close(x:gelu {approximate = "tanh"},
    T({-0.04540230591, 0.0, 0.84119199061}, {dtype = "float64"}), 1e-9)
  support.assert_close(x:gelu(), T({-0.04550026390, 0.0, 0.84134474607}, {dtype = "float64"}), 1e-9)
  lu.assertTrue(x:gelu("none"):eq(saros.nn.functional.gelu(x)):all():item())
  support.assert_error("gelu: approximate must be one of 'none', 'tanh', got 'tan', did you mean",
    x.gelu, x, "tan")
end

local TestIndexing = {}

function TestIndexing:test_rows_by_ids()
  local x = saros.zeros(4, 2)
  x[T {1, 3}] = T {{1.0, 2.0}, {3.0, 4.0}}
  x[T {-1}] = 7
  equals(x, {{1, 2}, {0, 0}, {3, 4}, {7, 7}})
  x[T {2, 4}] = T {9.0, 8.0}
  equals(x, {{1, 2}, {9, 8}, {3, 4}, {9, 8}})
  x[T {{1, 2}, {3, 4}}] = T {{{1.0, 1.0}, {2.0, 2.0}}, {{3.0, 3.0}, {4.0, 4.0}}}
  equals(x, {{1, 1}, {2, 2}, {3, 3}, {4, 4}})
  x[T {1, 1}] = T {{5, 5}, {6, 6}} -- int64 values; the last one stays
  equals(x[1], {6, 6})
  x[T(2)] = 0
  equals(x[2], {0, 0})
  x[saros.empty(0, {dtype = "int64"})] = 1
  equals(x, {{6, 6}, {0, 0}, {3, 3}, {4, 4}})
  local column = saros.zeros(2, 3):t() -- not dense
  column[T {1, 3}] = T {{1.0, 2.0}, {3.0, 4.0}}
  equals(column, {{1, 2}, {0, 0}, {3, 4}})
  x[T {1, 2}] = x[T {3, 4}] -- reads itself
  equals(x, {{3, 3}, {4, 4}, {3, 3}, {4, 4}})
  local ids = T {5, 6, 7}
  ids[T {1, 3}] = {1, 2}
  equals(ids, {1, 6, 2}, "int64")
end

function TestIndexing:test_masks_over_the_first_dimensions()
  local x = saros.arange(12):view(3, 2, 2)
  local rows = T {true, false, true}
  equals(x[rows], {{{0, 1}, {2, 3}}, {{8, 9}, {10, 11}}}, "int64")
  equals(x[T {{true, false}, {false, false}, {false, true}}], {{0, 1}, {10, 11}})
  lu.assertEquals(tostring(x[T {false, false, false}].shape), "[0, 2, 2]")
  lu.assertEquals(tostring(saros.zeros(3, 0)[rows].shape), "[2, 0]")
  local y = x:clone()
  y[rows] = 0
  equals(y, {{{0, 0}, {0, 0}}, {{4, 5}, {6, 7}}, {{0, 0}, {0, 0}}})
  y[rows] = T {1, 2}
  equals(y[3], {{1, 2}, {1, 2}})
  y[rows] = T {{{1}}, {{2}}}
  equals(y, {{{1, 1}, {1, 1}}, {{4, 5}, {6, 7}}, {{2, 2}, {2, 2}}})
  y[T {false, false, false}] = T {1, 2}
  y[T {{true, true}, {false, false}, {false, false}}] = T {{3, 4}, {5, 6}}
  equals(y[1], {{3, 4}, {5, 6}})
end

function TestIndexing:test_scatter_in_place()
  local x = saros.zeros(2, 3)
  local result = x:scatter_(2, T {{1}, {3}}, 5)
  equals(x, {{5, 0, 0}, {0, 0, 5}})
  lu.assertTrue(rawequal(result, x))
  x:scatter_add_(2, T {{1, 1}, {2, 3}}, saros.ones(2, 2))
  equals(x, {{7, 0, 0}, {0, 1, 6}})
  x:t():scatter_(1, T {{2, 2}}, T {{1.0, 2.0}}) -- through a view that is not dense
  equals(x, {{7, 1, 0}, {0, 2, 6}})
  support.assert_error("scatter_: index 4 in dimension 2 of size 3", x.scatter_, x, 2, T {{1, 4}},
    9)
  equals(x, {{7, 1, 0}, {0, 2, 6}}) -- nothing is written
end

local TestEinsum = {}

function TestEinsum:test_dots()
  local einsum = saros.einsum
  local a, b = saros.arange(24.0):reshape(2, 3, 4), saros.arange(8.0):reshape(4, 2)
  local c = saros.arange(12.0):reshape(3, 4)
  lu.assertTrue(einsum("...ij,jk->...ik", a, b):eq(a:matmul(b)):all():item())
  lu.assertTrue(einsum("...j, jk", a, b):eq(a:matmul(b)):all():item())
  equals(einsum("...i->i", a), {60, 66, 72, 78})
  equals(einsum("...i->...", a), {{6, 22, 38}, {54, 70, 86}})
  equals(einsum("i...,i...->...", c, c), {80, 107, 140, 179})
  lu.assertEquals(tostring(einsum("...,...", a, c).shape), "[2, 3, 4]")
  equals(einsum("...ii->...i", saros.arange(8.0):reshape(2, 2, 2)), {{0, 3}, {4, 7}})
  equals(einsum("b...,b...->b", a, a), {506, 3818})
  lu.assertTrue(einsum("ij->...ij", c):eq(c):all():item())
  lu.assertTrue(einsum("...ij->j...i", a):eq(a:permute(3, 1, 2)):all():item())
  equals(einsum("...i,...i->...", saros.ones(2, 1, 4), saros.ones(3, 4)), {{4, 4, 4}, {4, 4, 4}})
  for equation, message in pairs {
    ["...ijkl->..."] = "operand 1 of '...ijkl->...' has 4 labels",
    ["i...j...->ij"] = "'...' twice", ["..i->i"] = "'.' that is not part",
    ["ij->i"] = "has 2 labels, but shape [2, 3, 4]",
  } do
    support.assert_error("einsum: ", einsum, equation, a)
    support.assert_error(message, einsum, equation, a)
  end
  support.assert_error("label '...' of", einsum, "...i,...i->...", a, saros.ones(5, 4))
end

-- ---- comparing -----------------------------------------------------------------------

local TestComparing = {}

function TestComparing:test_isclose()
  local inf = math.huge
  local a = T {1.0, 1.0, inf, inf, nan, 0.0}
  local b = T {1.0 + 5e-6, 1.0 + 5e-5, inf, -inf, nan, 1e-9}
  equals(a:isclose(b), {true, false, true, false, false, true}, "bool")
  equals(a:isclose(b, {rtol = 1e-4, equal_nan = true}), {true, true, true, false, true, true})
  equals(saros.isclose(T {1.0, inf}, T {inf, 1.0}), {false, false})
  equals(T {100, 200}:isclose(T {101, 203}, 0, 2), {true, false})
  lu.assertTrue(saros.allclose(T {1.0, 2.0}, T {1.0, 2.00001}))
  lu.assertFalse(T {1.0, 2.0}:allclose(T {1.0, 2.0001}))
  lu.assertTrue(saros.ones(2, 2, {requires_grad = true}):allclose(T {1.0, 1.0}))
  support.assert_error("allclose: other must be a tensor, got number 1", saros.allclose, a, 1)
  support.assert_error("isclose: unknown option 'rtoll', did you mean 'rtol'?", a.isclose, a, b,
    {rtoll = 1})
end

function TestComparing:test_equal()
  lu.assertTrue(T {1, 2}:equal(T {1.0, 2.0}))
  lu.assertFalse(T {1, 2}:equal(T {1, 3}))
  lu.assertFalse(T {1, 2}:equal(T {{1, 2}}))
  lu.assertFalse(T {nan}:equal(T {nan}))
  lu.assertTrue(saros.zeros(0):equal(saros.zeros(0)))
end

function TestComparing:test_where_and_nonzero()
  local x = T {{0, 5}, {6, 0}}
  local rows, columns = saros.where(x:gt(0))
  equals(rows, {1, 2}, "int64")
  equals(columns, {2, 1}, "int64")
  equals(x:nonzero(), {{1, 2}, {2, 1}})
  local r, c = x:nonzero {as_tuple = true}
  equals(r, {1, 2})
  equals(c, {2, 1})
  equals(saros.where(T(true)), {1})
  equals(saros.where(x:gt(5), x, -1), {{-1, -1}, {6, -1}})
  support.assert_error("where: argument 'other'", saros.where, x:gt(0), 1)
end

-- ---- shapes -----------------------------------------------------------------------------

local TestShapes = {}

function TestShapes:test_in_place()
  local x = saros.arange(6):view(2, 3)
  local same = x
  lu.assertTrue(rawequal(x:t_(), x))
  equals(x, {{0, 3}, {1, 4}, {2, 5}})
  lu.assertEquals(tostring(same.shape), "[3, 2]")
  x:transpose_(1, -1):unsqueeze_(1):unsqueeze_(-1)
  lu.assertEquals(tostring(x.shape), "[1, 2, 3, 1]")
  x:squeeze_(1)
  lu.assertEquals(tostring(x.shape), "[2, 3, 1]")
  equals(x:squeeze_(), {{0, 1, 2}, {3, 4, 5}})
  local leaf = saros.ones(2, 3, {requires_grad = true})
  local y = leaf * T {{1.0, 2.0, 3.0}}
  y:t_()
  y[1]:sum():backward()
  equals(leaf.grad, {{1, 0, 0}, {1, 0, 0}})
  support.assert_error("t_: a tensor that requires gradients keeps its shape: use t", leaf.t_, leaf)
  support.assert_error("keeps its shape inside no_grad: use squeeze", function()
    saros.no_grad(function() y:squeeze_() end)
  end)
  support.assert_error("unsqueeze_: dimension 5", x.unsqueeze_, x, 5)
end

function TestShapes:test_tile_and_repeat()
  local x = T {{1, 2}}
  equals(x:tile(2), {{1, 2, 1, 2}})
  equals(x:tile(2, 1), {{1, 2}, {1, 2}})
  equals(x:tile {2, 1, 1}, {{{1, 2}}, {{1, 2}}})
  equals(x["repeat"](x, 2, 2), {{1, 2, 1, 2}, {1, 2, 1, 2}})
  support.assert_error("repeat: shape [1, 2] has 2 dimensions, only 1 counts", x["repeat"], x, 2)
end

function TestShapes:test_roll()
  local x = saros.arange(6):view(2, 3)
  equals(x:roll(1), {{5, 0, 1}, {2, 3, 4}})
  equals(x:roll({1, -1}, {1, 2}), {{4, 5, 3}, {1, 2, 0}})
  equals(x:roll(1, -1), {{2, 0, 1}, {5, 3, 4}})
  equals(x:roll {shifts = {2}, dims = {2}}, {{1, 2, 0}, {4, 5, 3}})
  support.assert_error("roll: as many dims as shifts are needed, got 1 and 2", x.roll, x, {1, 2}, 1)
  support.assert_error("roll: as many dims as shifts are needed, got 0 and 2", x.roll, x, {1, 2})
end

-- The last dimension by its number and as -1, the first as -3: the same everywhere.
function TestShapes:test_dimensions_from_the_end()
  local x = saros.randn(2, 3, 4)
  local ids, mask = T {2, 1}, saros.ones(2, 3, 4):long()
  local calls = {
    function(d) return x:sum(d) end, function(d) return x:mean(d) end,
    function(d) return x:max(d) end, function(d) return x:min(d) end,
    function(d) return x:argmax(d) end, function(d) return x:amax(d) end,
    function(d) return x:prod(d) end, function(d) return x:var(d) end,
    function(d) return x:norm(2, d) end, function(d) return x:logsumexp(d) end,
    function(d) return x:gt(0):any(d) end, function(d) return x:gt(0):all(d) end,
    function(d) return x:cumsum(d) end, function(d) return x:cumprod(d) end,
    function(d) return x:sort(d) end, function(d) return x:argsort(d) end,
    function(d) return x:topk(2, d) end, function(d) return x:softmax(d) end,
    function(d) return x:log_softmax(d) end, function(d) return x:flip(d) end,
    function(d) return x:roll(1, d) end, function(d) return x:transpose(d, 2) end,
    function(d) return x:select(d, 1) end, function(d) return x:narrow(d, 2, 1) end,
    function(d) return x:index_select(d, ids) end, function(d) return x:gather(d, mask) end,
    function(d) return x:scatter(d, mask, 0.5) end,
    function(d) return x:scatter_add(d, mask, x) end,
    function(d) return x:unbind(d)[2] end, function(d) return x:split(1, d)[2] end,
    function(d) return x:chunk(2, d)[1] end, function(d) return saros.cat({x, x}, d) end,
    function(d) return x[{ {1, 1} }]:squeeze(d) end, function(d) return saros.tensor(x:size(d)) end,
  }
  for i, call in ipairs(calls) do
    for d = 1, 3 do
      lu.assertTrue(call(d):equal(call(d - 4)), ("call %d, dimension %d"):format(i, d))
    end
    lu.assertFalse(pcall(call, 4), i)
    lu.assertFalse(pcall(call, -4), i)
    lu.assertFalse(pcall(call, 0), i)
  end
  for d = 1, 4 do
    lu.assertTrue(x:unsqueeze(d):equal(x:unsqueeze(d - 5)))
    lu.assertTrue(saros.stack({x, x}, d):equal(saros.stack({x, x}, d - 5)))
  end
  lu.assertTrue(x:permute(3, 1, 2):equal(x:permute(-1, 1, -2)))
  lu.assertTrue(x:flatten(2, 3):equal(x:flatten(-2, -1)))
  lu.assertTrue(x:sum({1, 3}):equal(x:sum({-3, -1})))
  lu.assertTrue(x:diagonal(1, 3):equal(x:diagonal(-3, -1)))
end

function TestShapes:test_softmax_needs_a_dimension()
  for _, name in ipairs {"softmax", "log_softmax"} do
    support.assert_error(name .. ": the dimension is missing: x:" .. name .. "(-1)", saros[name],
      T {1.0})
  end
end

function TestShapes:test_dtypes()
  local x = T {1.5}
  lu.assertEquals({x:type(), x:type("float64").dtype, x:type_as(T {1}).dtype, x:int().dtype},
    {"float32", "float64", "int64", "int64"})
  lu.assertTrue(x.dtype == saros.float32)
  lu.assertEquals(saros.zeros(1, {dtype = saros.int64}).dtype, "int64")
  lu.assertEquals(x:tolist(), {1.5})
end

-- ---- made of others -------------------------------------------------------------------------

local TestComposed = {}

function TestComposed:test_cumprod()
  equals(T {2.0, 3.0, 4.0}:cumprod(1), {2, 6, 24})
  equals(T {{1, 2}, {3, 4}}:cumprod(1), {{1, 2}, {3, 8}}, "int64")
  equals(T {true, false, true}:cumprod(1), {1, 0, 0}, "int64")
end

function TestComposed:test_triangles()
  local x = saros.arange(1, 13):view(3, 4)
  equals(x:tril(), {{1, 0, 0, 0}, {5, 6, 0, 0}, {9, 10, 11, 0}}, "int64")
  equals(x:triu(), {{1, 2, 3, 4}, {0, 6, 7, 8}, {0, 0, 11, 12}})
  equals(x:tril(-1), {{0, 0, 0, 0}, {5, 0, 0, 0}, {9, 10, 0, 0}})
  equals(saros.triu(x, {diagonal = 1}), {{0, 2, 3, 4}, {0, 0, 7, 8}, {0, 0, 0, 12}})
  equals(saros.ones(2, 2, 2, {dtype = "bool"}):tril(),
    {{{true, false}, {true, true}}, {{true, false}, {true, true}}}, "bool")
  support.assert_error("tril: 2 dimensions or more expected, got tensor [3]", saros.tril,
    saros.ones(3))
end

function TestComposed:test_bincount()
  equals(T {3, 1, 3}:bincount(), {1, 0, 2}, "int64")
  equals(T {3, 1, 3}:bincount {minlength = 5}, {1, 0, 2, 0, 0})
  equals(T {3, 1, 3}:bincount(T {0.5, 1.0, 2.0}), {1, 0, 2.5}, "float32")
  equals(saros.empty(0, {dtype = "int64"}):bincount(nil, 2), {0, 0})
  support.assert_error("bincount: value 0: values count from 1", saros.bincount, T {1, 0})
  support.assert_error("bincount: value -1", saros.bincount, T {1, -1})
  support.assert_error("bincount: int64 values in one dimension", saros.bincount, T {1.0})
end

function TestComposed:test_unique()
  local values, inverse, counts = T {{3, 1}, {3, 2}}:unique {
    return_inverse = true, return_counts = true,
  }
  equals(values, {1, 2, 3}, "int64")
  equals(inverse, {{3, 1}, {3, 2}}, "int64")
  equals(counts, {1, 1, 2}, "int64")
  equals(values[inverse], {{3, 1}, {3, 2}})
  local v, c = T {0.5, 0.5}:unique {return_counts = true}
  equals(v, {0.5})
  equals(c, {2})
  equals(T {true, false, true}:unique(), {false, true}, "bool")
  equals(T(7):unique(), {7})
  lu.assertEquals(saros.empty(0):unique():numel(), 0)
  lu.assertEquals(T {nan, 1.0, nan}:unique():numel(), 3)
end

function TestComposed:test_meshgrid()
  local a, b = saros.meshgrid(T {1, 2}, T {3, 4, 5})
  equals(a, {{1, 1, 1}, {2, 2, 2}})
  equals(b, {{3, 4, 5}, {3, 4, 5}})
  local x, y = saros.meshgrid({T {1, 2}, T {3, 4, 5}}, {indexing = "xy"})
  equals(x, {{1, 2}, {1, 2}, {1, 2}})
  equals(y, {{3, 3}, {4, 4}, {5, 5}})
  equals(saros.meshgrid(T {1, 2}), {1, 2})
  support.assert_error("meshgrid: item 1 has more than one dimension", saros.meshgrid, T {{1}})
  support.assert_error("meshgrid: at least one tensor", saros.meshgrid)
end

function TestComposed:test_logspace()
  support.assert_close(saros.logspace(0, 2, 3), T {1.0, 10.0, 100.0}, 1e-6)
  local x = saros.logspace(0, 3, 4, {base = 2, dtype = "float64", requires_grad = true})
  equals(x:detach(), {1, 2, 4, 8}, "float64")
  lu.assertTrue(x.requires_grad and x.is_leaf)
  equals(saros.logspace(1, 2, 2, 3.0), {3, 9})
  support.assert_error("logspace: base must be a number", saros.logspace, 0, 1, 2, {base = "e"})
end

support.run {
  TestEinsum = TestEinsum, TestArithmetic = TestArithmetic, TestIndexing = TestIndexing,
  TestComparing = TestComparing, TestShapes = TestShapes, TestComposed = TestComposed,
}
