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

support.run {TestEinsum = TestEinsum, TestArithmetic = TestArithmetic, TestIndexing = TestIndexing}
