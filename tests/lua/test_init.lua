-- Initial values: PyTorch's from the same seed, and the functions of nn.init.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn, init = saros.nn, saros.nn.init
local assert_close, assert_error = support.assert_close, support.assert_error

-- ---- golden: default initial values --------------------------------------------

local function check_seed(seed)
  local case = support.golden("init_seed" .. seed)
  saros.manual_seed(seed)
  local modules = { -- in the order of the file
    {"linear_7_4", nn.Linear(7, 4)},
    {"embedding_9_3", nn.Embedding(9, 3)},
    {"rnn_5_6", nn.RNN(5, 6)},
    {"lstm_3_4_2layer_bi", nn.LSTM(3, 4, {num_layers = 2, bidirectional = true})},
    {"gru_4_5", nn.GRU(4, 5)},
  }
  local count = 0
  for _, entry in ipairs(modules) do
    for name, parameter in entry[2]:named_parameters() do
      local key = entry[1] .. "." .. name
      count = count + 1
      if entry[1] == "embedding_9_3" then -- normal values
        assert_close(parameter, case[key], 1e-6, key)
      else
        support.assert_same(parameter, case[key], key)
      end
    end
  end
  lu.assertEquals(count, #case)
end

local TestGolden = {}

for _, seed in ipairs {0, 7, 2024} do
  TestGolden["test_seed_" .. seed] = function() check_seed(seed) end
end

-- ---- nn.init -------------------------------------------------------------------------

local TestInit = {}

local function fresh(...) return nn.Parameter(saros.empty(...)) end

function TestInit:test_returns_the_tensor_and_records_nothing()
  local w = fresh(3, 4)
  lu.assertIs(init.uniform_(w), w)
  lu.assertTrue(w.is_leaf and w.requires_grad)
end

function TestInit:test_plain_ones()
  lu.assertEquals(init.constant_(fresh(2), 0.5):totable(), {0.5, 0.5})
  lu.assertEquals(init.zeros_(fresh(2)):totable(), {0, 0})
  lu.assertEquals(init.ones_(fresh(2)):totable(), {1, 1})
  lu.assertEquals(init.eye_(fresh(2, 3)):totable(), {{1, 0, 0}, {0, 1, 0}})
end

function TestInit:test_bounds()
  local w = fresh(50, 30)
  local function bound(fill, ...)
    fill(w, ...)
    return w:abs():max():item()
  end
  local function check(limit, found)
    lu.assertTrue(found <= limit and found > 0.98 * limit, ("%g of %g"):format(found, limit))
  end
  check(math.sqrt(6 / 80), bound(init.xavier_uniform_))
  check(2 * math.sqrt(6 / 80), bound(init.xavier_uniform_, {gain = 2}))
  check(math.sqrt(2) * math.sqrt(3 / 30), bound(init.kaiming_uniform_))
  check(math.sqrt(2) * math.sqrt(3 / 50), bound(init.kaiming_uniform_, {mode = "fan_out"}))
  check(5 / 3 * math.sqrt(3 / 30), bound(init.kaiming_uniform_, {nonlinearity = "tanh"}))
  check(math.sqrt(2 / 6) * math.sqrt(3 / 30), bound(init.kaiming_uniform_, math.sqrt(5)))
  init.uniform_(w, -3, -1)
  lu.assertTrue(w:max():item() < -1 and w:min():item() >= -3)
end

function TestInit:test_deviations()
  local w = fresh(200, 100)
  local function check(wanted, fill, ...)
    fill(w, ...)
    lu.assertAlmostEquals(w:std():item() / wanted, 1, 0.03)
  end
  check(2, init.normal_, {mean = 1, std = 2})
  check(math.sqrt(2 / 300), init.xavier_normal_)
  check(math.sqrt(2 / 100), init.kaiming_normal_, {nonlinearity = "relu"})
end

function TestInit:test_generator()
  local a = init.normal_(fresh(5), {generator = saros.Generator():manual_seed(3)})
  local b = init.normal_(fresh(5), 0, 1, saros.Generator():manual_seed(3))
  support.assert_same(a, b)
end

function TestInit:test_orthogonal()
  for _, shape in ipairs {{6, 6}, {4, 9}, {9, 4}, {4, 3, 3}} do
    local w = init.orthogonal_(fresh(table.unpack(shape)), {gain = 2})
    local flat = w:detach():reshape(shape[1], -1):double()
    local product = shape[1] <= flat:size(2) and flat:mm(flat:t()) or flat:t():mm(flat)
    assert_close(product, 4 * saros.eye(product:size(1), {dtype = "float64"}), 1e-6)
  end
end

-- torch.manual_seed(1); torch.nn.init.orthogonal_(torch.empty(2, 3)) spans the same rows
-- as the normal values drawn, the first in their direction.
function TestInit:test_orthogonal_follows_the_drawn_values()
  local drawn = saros.empty(2, 3):normal_(0, 1, {generator = saros.Generator():manual_seed(1)})
  local w = init.orthogonal_(fresh(2, 3), {generator = saros.Generator():manual_seed(1)})
  assert_close(w[1]:detach(), drawn[1] / drawn[1]:norm(), 1e-6)
  lu.assertTrue(w[2]:dot(drawn[2]):item() > 0)
end

function TestInit:test_gains()
  lu.assertEquals(init.calculate_gain("linear"), 1)
  lu.assertAlmostEquals(init.calculate_gain("tanh"), 5 / 3, 1e-12)
  lu.assertAlmostEquals(init.calculate_gain("leaky_relu", 0.2), math.sqrt(2 / 1.04), 1e-12)
  assert_error("nonlinearity must be one of", init.calculate_gain, "swish")
end

function TestInit:test_wrong_use()
  assert_error("nn.init.uniform_: a tensor expected, got table", init.uniform_, {1})
  assert_error("fan in and fan out cannot be computed", init.xavier_uniform_, fresh(3))
  assert_error("mode must be one of 'fan_in', 'fan_out'", init.kaiming_normal_, fresh(2, 2),
    {mode = "fan"})
  assert_error("unknown option 'men', did you mean 'mean'?", init.normal_, fresh(2), {men = 1})
  assert_error("val is missing", init.constant_, fresh(2))
  assert_error("2 dimensions expected", init.eye_, fresh(2))
  assert_error("at least 2 dimensions expected", init.orthogonal_, fresh(2))
end

support.run {TestGolden = TestGolden, TestInit = TestInit}
