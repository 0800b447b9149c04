-- PackedSequence: made and converted; modules, functions, losses and arithmetic on its rows.
package.path = (arg[0]:match("^(.*)/") or "./") .. "/?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn = saros.nn
local rnn, F = nn.utils.rnn, nn.functional
local assert_close, assert_same = support.assert_close, support.assert_same

local example = saros.tensor {{1, 2, 3, 4, 5}, {6, 7, 8, 0, 0}, {9, 0, 0, 0, 0}}

-- ---- the class -------------------------------------------------------------------------------

TestPackedSequence = {}

local function packed_example()
  return rnn.pack_padded_sequence(example, {1, 5, 3}, {batch_first = true, enforce_sorted = false})
end

function TestPackedSequence.test_from_parts()
  local p = packed_example()
  local q = rnn.PackedSequence(p.data, p.batch_sizes, p.sorted_indices)
  assert_same(q.unsorted_indices, p.unsorted_indices)
  assert_same(rnn.pad_packed_sequence(q), rnn.pad_packed_sequence(p))
  q = rnn.PackedSequence(p.data, p.batch_sizes, nil, p.unsorted_indices)
  assert_same(q.sorted_indices, p.sorted_indices)
  q = rnn.PackedSequence {data = p.data, batch_sizes = {3, 3, 2, 1}, batch = 5}
  lu.assertEquals(select(2, rnn.pad_packed_sequence(q)):totable(), {4, 3, 2, 0, 0})
  q = rnn.PackedSequence(saros.ones(0, 2), saros.zeros(0):long())
  lu.assertEquals(q.batch, 0)
end

function TestPackedSequence.test_is_packed()
  local p = packed_example()
  lu.assertTrue(rnn.is_packed(p))
  lu.assertTrue(p:is_packed())
  for _, value in ipairs {saros.ones(2), {}, 1, "data", rnn.PackedSequence, nn.Tanh()} do
    lu.assertFalse(rnn.is_packed(value))
  end
  lu.assertFalse(rnn.is_packed(nil))
end

function TestPackedSequence.test_conversions()
  local p = packed_example()
  lu.assertEquals(p:double().data.dtype, "float64")
  lu.assertEquals(p:float().data.dtype, "float32")
  lu.assertEquals(p:float():long().data.dtype, "int64")
  lu.assertEquals(p:bool().data.dtype, "bool")
  lu.assertEquals(p:to("float64").data.dtype, "float64")
  lu.assertEquals(p:to {device = "cpu", dtype = "float32"}.data.dtype, "float32")
  lu.assertEquals(p:double().batch_sizes.dtype, "int64")
  lu.assertEquals(p:cpu().sorted_indices:totable(), {2, 3, 1})
  local x = p:float()
  x.data:requires_grad_()
  lu.assertTrue((x * 2).data.requires_grad)
  lu.assertFalse((x * 2):detach().data.requires_grad)
  lu.assertFalse(nn.detach {x * 2}[1].data.requires_grad)
  lu.assertTrue(rnn.is_packed(nn.detach {x}[1]))
end

function TestPackedSequence.test_apply()
  local p = packed_example()
  local q = p:apply(function(data) return data:view(9, 1) + saros.tensor {0, 10} end)
  lu.assertEquals(q.data[2]:totable(), {9, 19})
  lu.assertTrue(rawequal(q.batch_sizes, p.batch_sizes))
  lu.assertEquals(q.batch, 3)
end

function TestPackedSequence.test_printing()
  local text = tostring(packed_example())
  for _, part in ipairs {
    "PackedSequence: 3 sequences, 5 steps, 9 rows", "data: int64 [9]",
    "batch_sizes: int64 [5]\n[3, 2, 2, 1, 1]", "sorted_indices: int64 [3]\n[2, 3, 1]",
  } do
    lu.assertStrContains(text, part)
  end
end

-- ---- modules and functions on packed rows -------------------------------------------------------

TestRows = {}

local lengths = {2, 0, 5, 3}

-- The same by rows of data.
local function check_same_rows(name, f, p)
  local q = f(p)
  lu.assertTrue(rnn.is_packed(q), name)
  lu.assertTrue(rawequal(q.batch_sizes, p.batch_sizes), name)
  lu.assertTrue(rawequal(q.sorted_indices, p.sorted_indices), name)
  lu.assertEquals(q.batch, p.batch, name)
  assert_same(q.data, f(p.data), name)
end

local function packed_random(...)
  saros.manual_seed(1)
  return rnn.pack_padded_sequence(saros.randn(5, 4, ...), lengths, {enforce_sorted = false})
end

function TestRows.test_modules()
  local p = packed_random(6)
  for name, module in pairs {
    linear = nn.Linear(6, 3), plain = nn.Linear(6, 3, {bias = false}), identity = nn.Identity(),
    eval = nn.Dropout():eval(), layer_norm = nn.LayerNorm(6), tanh = nn.Tanh(),
    sigmoid = nn.Sigmoid(), relu = nn.ReLU(), leaky_relu = nn.LeakyReLU(0.2), elu = nn.ELU(2),
    gelu = nn.GELU(), gelu_tanh = nn.GELU("tanh"), silu = nn.SiLU(),
    softplus = nn.Softplus(2, 10), logsigmoid = nn.LogSigmoid(), softmax = nn.Softmax(-1),
    log_softmax = nn.LogSoftmax(2), implicit = nn.Softmax(),
    sequential = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)),
  } do
    check_same_rows(name, module, p)
  end
end

function TestRows.test_functions()
  local p, w, b = packed_random(6), saros.randn(3, 6), saros.randn(3)
  for name, f in pairs {
    linear = function(x) return F.linear(x, w, b) end, relu = F.relu, tanh = F.tanh,
    softmax = function(x) return F.softmax(x, -1) end, no_dim = F.log_softmax,
    named = function(x) return F.softmax(x, {dim = 2}) end,
    core_named = function(x) return saros.softmax(x, {dim = 2}) end,
    gelu = function(x) return F.gelu(x, "tanh") end,
    dropout = function(x) return F.dropout(x, 0.5, false) end,
    layer_norm = function(x) return F.layer_norm(x, {6}, {eps = 0.1}) end,
    leaky_relu = function(x) return F.leaky_relu(x, {negative_slope = 0.3}) end,
    no_slope = F.leaky_relu, clamp = function(x) return saros.clamp(x, {min = 0}) end,
    exp = saros.exp, abs = function(x) return x:abs() end,
    chain = function(x) return x:tanh():mul(2):log_softmax(-1) end,
  } do
    check_same_rows(name, f, p)
  end
end

function TestRows.test_ids()
  local ids = rnn.pack_padded_sequence(saros.randint(0, 7, {5, 4}), lengths,
    {enforce_sorted = false})
  local embedding = nn.Embedding(6, 3, {padding_idx = 0})
  check_same_rows("Embedding", embedding, ids)
  check_same_rows("F.embedding", function(x)
    return F.embedding(x, embedding.weight, {padding_idx = 0})
  end, ids)
  check_same_rows("one_hot", function(x) return F.one_hot(x, 7) end, ids + 1)
end

function TestRows.test_dropout()
  local p = packed_random(6)
  check_same_rows("Dropout", function(x)
    saros.manual_seed(5)
    return nn.Dropout(0.5)(x)
  end, p)
end

function TestRows.test_in_place()
  local p = packed_random(6)
  local wanted = p.data:clone():relu()
  local q = nn.ReLU {inplace = true}(p)
  assert_same(q.data, wanted)
  assert_same(p.data, wanted)
  local dropped = nn.Dropout(0.5, {inplace = true})(p)
  lu.assertTrue(rawequal(dropped.data, p.data))
  lu.assertTrue(p.data:ne(wanted):any():item())
end

function TestRows.test_own_module()
  local Gate = nn.Module:extend("Gate")
  function Gate:init(size)
    self.linear, self.scale = nn.Linear(size, size), nn.Parameter(saros.ones(size))
  end
  function Gate:forward(x) return self.scale * x * self.linear(x):sigmoid() end
  check_same_rows("Gate", Gate(6), packed_random(6))
end

function TestRows.test_arithmetic()
  local p = packed_random(6)
  local q = p:apply(function(data) return data:abs() + 1 end)
  local row, rows = saros.randn(6), saros.randn(10, 1)
  for name, f in pairs {
    add = function(a) return a + 2 end, radd = function(a) return 2 + a end,
    sub = function(a) return a - 2 end, rsub = function(a) return 2 - a end,
    mul = function(a) return a * row end, rmul = function(a) return row * a end,
    div = function(a) return a / rows end, rdiv = function(a) return rows / a end,
    pow = function(a) return a ^ 2 end, rpow = function(a) return 2 ^ a end,
    mod = function(a) return a % 2 end, idiv = function(a) return a // 2 end,
    unm = function(a) return -a end, alpha = function(a) return saros.add(a, 1, {alpha = 2}) end,
  } do
    check_same_rows(name, f, p)
  end
  for name, f in pairs {
    add = function(a, b) return a + b end, sub = function(a, b) return a - b end,
    mul = function(a, b) return a * b end, div = function(a, b) return a / b end,
    pow = function(a, b) return b ^ a end, gt = function(a, b) return a:gt(b) end,
    maximum = saros.maximum,
  } do
    assert_same(f(p, q).data, f(p.data, q.data), name)
  end
end

function TestRows.test_sorted_and_declared_sorted()
  local y = saros.randn(3, 2)
  local a, b = rnn.pack_padded_sequence(y, {3, 1}),
    rnn.pack_padded_sequence(y, {3, 1}, {enforce_sorted = false})
  assert_same((a + b).data, a.data * 2)
  assert_same((b + a).data, a.data * 2)
end

-- ---- losses ------------------------------------------------------------------------------------

TestLosses = {}

-- One batch of logits and targets, padded with 0, packed each by itself.
local function classified()
  saros.manual_seed(4)
  local logits = saros.randn(5, 4, 3, {requires_grad = true})
  local targets = saros.randint(1, 4, {5, 4})
  for i, length in ipairs(lengths) do
    for t = length + 1, 5 do targets[{t, i}] = 0 end
  end
  local function pack(x) return rnn.pack_padded_sequence(x, lengths, {enforce_sorted = false}) end
  return logits, targets, pack
end

function TestLosses.test_real_steps_only()
  local logits, targets, pack = classified()
  local padded = F.cross_entropy(logits:view(20, 3), targets:view(20), {ignore_index = 0})
  padded:backward()
  local wanted = logits.grad
  local log_probabilities = pack(logits):log_softmax(-1)
  for name, f in pairs {
    module = function() return nn.CrossEntropyLoss()(pack(logits), pack(targets)) end,
    plain = function() return nn.CrossEntropyLoss()(pack(logits), pack(targets).data) end,
    core = function() return saros.cross_entropy(pack(logits), pack(targets)) end,
    weight = function()
      return F.cross_entropy(pack(logits), pack(targets), {weight = saros.ones(3)})
    end,
    nll = function() return nn.NLLLoss()(log_probabilities, pack(targets)) end,
  } do
    logits.grad = nil
    local loss = f()
    lu.assertEquals(loss:dim(), 0)
    assert_close(loss, padded, 1e-6, name)
    loss:backward()
    assert_close(logits.grad, wanted, 1e-6, name)
  end
end

function TestLosses.test_each_step()
  local logits, targets, pack = classified()
  local p, t = pack(logits), pack(targets)
  local losses = F.cross_entropy(p, t, {reduction = "none"})
  assert_same(losses.data, F.cross_entropy(p.data, t.data, {reduction = "none"}))
  local steps = rnn.pad_packed_sequence(losses):sum(1) -- of each sequence
  lu.assertEquals(steps[2]:item(), 0)
  assert_close(steps:sum(), F.cross_entropy(p, t, {reduction = "sum"}), 1e-6)
end

function TestLosses.test_of_values()
  local p = packed_random(2)
  local q = p:apply(function(data) return data * 0.5 + 0.1 end)
  for name, loss in pairs {
    mse = nn.MSELoss(), l1 = nn.L1Loss(), smooth = nn.SmoothL1Loss(),
    logits = nn.BCEWithLogitsLoss(),
  } do
    assert_same(loss(p, q:sigmoid()), loss(p.data, q.data:sigmoid()), name)
  end
  assert_same(nn.BCELoss()(p:sigmoid(), q:sigmoid()), nn.BCELoss()(p.data:sigmoid(),
    q.data:sigmoid()))
end

function TestLosses.test_a_tagger_learns()
  saros.manual_seed(2)
  local ids = rnn.pack_sequence({saros.tensor {1, 2, 3}, saros.tensor {3, 1}, saros.tensor {2}})
  local tagger = nn.Sequential(nn.Embedding(3, 8), nn.Linear(8, 3), nn.LogSoftmax(-1))
  local criterion = nn.NLLLoss()
  local optimizer = saros.optim.SGD(tagger:parameters(), {lr = 1})
  local first, last
  for _ = 1, 30 do
    local loss = criterion(tagger(ids), ids)
    loss:backward()
    optimizer:step()
    optimizer:zero_grad()
    first, last = first or loss:item(), loss:item()
  end
  lu.assertTrue(last < 0.1 * first)
end

os.exit(lu.LuaUnit.run())
