-- What a tensor does in Lua: indexing, assignment, operators, comparison.
local lu = require "luaunit"
local saros = require "saros"

TestIndexing = {}

function TestIndexing.test_read()
  local x = saros.arange(12):view(3, 4)
  lu.assertEquals(x[2]:totable(), {4, 5, 6, 7})
  lu.assertEquals(x[-1]:totable(), {8, 9, 10, 11})
  lu.assertEquals(x[{2, 3}]:item(), 6)
  lu.assertEquals(x[{{1, 3, 2}, {}, }]:totable(), {{0, 1, 2, 3}, {8, 9, 10, 11}})
  lu.assertEquals(x[{{}, -1}]:totable(), {3, 7, 11})
  lu.assertEquals(x[{{2}, {2, 3}}]:totable(), {{5, 6}})
  lu.assertEquals(x[saros.tensor {3, 1}]:totable(), {{8, 9, 10, 11}, {0, 1, 2, 3}})
  lu.assertEquals(x[x:gt(9)]:totable(), {10, 11})
  lu.assertEquals(#x, 3)
end

function TestIndexing.test_write()
  local x = saros.zeros(3, 4)
  x[1] = 1
  x[{2, {2, 3}}] = saros.tensor {5, 6}
  x[3] = {1, 2, 3, 4}
  lu.assertEquals(x:totable(), {{1, 1, 1, 1}, {0, 5, 6, 0}, {1, 2, 3, 4}})
end

-- As PyTorch: the values go to the chosen elements in order.
function TestIndexing.test_write_by_mask()
  local x = saros.zeros(2, 2)
  x[saros.tensor {{true, false}, {true, false}}] = saros.tensor {1., 2.}
  lu.assertEquals(x:totable(), {{1, 0}, {2, 0}})
  local y = saros.arange(4)
  y[y:gt(1)] = saros.tensor {7, 8}
  lu.assertEquals(y:totable(), {0, 1, 7, 8})
  y[y:gt(6)] = 0
  lu.assertEquals(y:totable(), {0, 1, 0, 0})
  lu.assertErrorMsgContains("shape [3], which does not broadcast to [2]", function()
    x[saros.tensor {{true, false}, {true, false}}] = saros.ones(3)
  end)
end

function TestIndexing.test_rows()
  local seen = {}
  for i, row in saros.arange(4):view(2, 2):rows() do seen[i] = row:totable() end
  lu.assertEquals(seen, {{0, 1}, {2, 3}})
end

TestOperators = {}

function TestOperators.test_arithmetic()
  local x = saros.tensor {1., 2., 4.}
  lu.assertEquals((0.5 * x):totable(), {0.5, 1, 2})
  lu.assertEquals((x - 1):totable(), {0, 1, 3})
  lu.assertEquals((1 / x):totable(), {1, 0.5, 0.25})
  lu.assertEquals((-x ^ 2):totable(), {-1, -4, -16})
  lu.assertEquals((saros.tensor {7, -7} // 2):totable(), {3, -4})
  lu.assertEquals((saros.tensor {7, -7} % 4):totable(), {3, 1})
  lu.assertEquals((saros.tensor {1, 2} / 2):totable(), {0.5, 1})
  lu.assertEquals("loss: " .. saros.tensor(0.5), "loss: 0.5000")
end

function TestOperators.test_comparison_of_single_values()
  lu.assertTrue(saros.tensor(2) == saros.tensor(2))
  lu.assertTrue(saros.tensor {{.1, .9}}:argmax(2) == saros.tensor(2))
  lu.assertFalse(saros.tensor(2) == saros.tensor(3))
  lu.assertTrue(saros.tensor(2) < 3 and 3 <= saros.tensor(3.))
  lu.assertErrorMsgContains("a:eq(b)", function() return saros.ones(2) == saros.ones(2) end)
end

function TestOperators.test_clamp()
  lu.assertEquals(saros.tensor {-1., 0, 2}:clamp(2, 1):totable(), {1, 1, 1}) -- PyTorch's
  lu.assertEquals(saros.tensor {-1., 0, 2}:clamp {max = 1}:totable(), {-1, 0, 1})
  lu.assertTrue(saros.tensor {0 / 0}:clamp(0, 1):isnan():item())
end

function TestOperators.test_roll_and_where()
  lu.assertEquals(saros.arange(6):view(2, 3):roll(1):totable(), {{5, 0, 1}, {2, 3, 4}})
  lu.assertEquals(saros.ones(2):where(saros.tensor {true, false}, 0):totable(), {1, 0})
end

TestLeaves = {}

function TestLeaves.test_a_leaf_cannot_be_its_own_gradient()
  local x = saros.ones(3, {requires_grad = true})
  x.grad = x;
  (x * 2):sum():backward()
  lu.assertEquals(x:totable(), {1, 1, 1})
  lu.assertEquals(x.grad:totable(), {3, 3, 3})
end

function TestLeaves.test_cross_entropy_of_probabilities()
  local target = saros.tensor {{1., 0, 0}, {0, .5, .5}}
  local loss = saros.nn.CrossEntropyLoss()(saros.zeros(2, 3), target)
  lu.assertAlmostEquals(loss:item(), math.log(3), 1e-6)
end

os.exit(lu.LuaUnit.run())
