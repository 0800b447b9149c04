-- Layers, activations, losses, utilities: golden cases, shapes, wrong input.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn = saros.nn
local F = nn.functional
local assert_close, assert_error = support.assert_close, support.assert_error

-- ---- recurrent layers ------------------------------------------------------------

local TestRecurrent = {}

function TestRecurrent:test_shapes()
  local cases = {
    {{}, {5, 2, 3}, {5, 2, 4}, {1, 2, 4}},
    {{num_layers = 2}, {5, 2, 3}, {5, 2, 4}, {2, 2, 4}},
    {{bidirectional = true, num_layers = 2}, {5, 2, 3}, {5, 2, 8}, {4, 2, 4}},
    {{batch_first = true}, {2, 5, 3}, {2, 5, 4}, {1, 2, 4}},
    {{}, {5, 3}, {5, 4}, {1, 4}},
    {{batch_first = true, bidirectional = true}, {5, 3}, {5, 8}, {2, 4}},
  }
  for _, case in ipairs(cases) do
    local out, hn = nn.RNN(3, 4, case[1])(saros.rand(table.unpack(case[2])))
    lu.assertEquals(table.concat(out.shape, " "), table.concat(case[3], " "))
    lu.assertEquals(table.concat(hn.shape, " "), table.concat(case[4], " "))
  end
end

function TestRecurrent:test_state_carries_on()
  local rnn = nn.RNN(3, 4, {num_layers = 2})
  local x = saros.rand(6, 2, 3)
  local whole, last = rnn(x)
  local first, state = rnn(x:narrow(1, 1, 2))
  local rest, final = rnn(x:narrow(1, 3, 4), state)
  assert_close(saros.cat({first, rest}, 1), whole, 1e-6)
  assert_close(final, last, 1e-6)
end

function TestRecurrent:test_unbatched_equals_batch_of_one()
  local rnn = nn.RNN(3, 4, {bidirectional = true})
  local x, h = saros.rand(5, 3), saros.rand(2, 4)
  local out, hn = rnn(x, h)
  local out2, hn2 = rnn(x:unsqueeze(2), h:unsqueeze(2))
  support.assert_same(out, out2:squeeze(2))
  support.assert_same(hn, hn2:squeeze(2))
end

function TestRecurrent:test_any_strides()
  local rnn = nn.RNN(3, 4)
  local x = saros.rand(2, 5, 3)
  support.assert_same((rnn(x:transpose(1, 2))), (rnn(x:transpose(1, 2):contiguous())))
end

function TestRecurrent:test_dropout_only_while_training()
  saros.manual_seed(1)
  local rnn = nn.RNN(3, 16, {num_layers = 2, dropout = 0.5})
  local x = saros.rand(4, 2, 3)
  local a, b = rnn(x), rnn(x)
  lu.assertFalse(a:eq(b):all():item())
  rnn:eval()
  support.assert_same((rnn(x)), (rnn(x)))
end

function TestRecurrent:test_float64()
  local rnn = nn.RNN(3, 4, {dtype = "float64"})
  lu.assertEquals((rnn(saros.rand(2, 1, 3, {dtype = "float64"}))).dtype, "float64")
end

function TestRecurrent:test_names_and_sizes()
  local lstm = nn.LSTM(3, 4, {num_layers = 2, bidirectional = true})
  lu.assertEquals(support.names(lstm:named_parameters()), {
    "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
    "weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse",
    "weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1",
    "weight_ih_l1_reverse", "weight_hh_l1_reverse", "bias_ih_l1_reverse", "bias_hh_l1_reverse",
  })
  lu.assertEquals(tostring(lstm.weight_ih_l1.shape), "[16, 8]")
  lu.assertEquals(tostring(nn.GRU(3, 4).weight_hh_l0.shape), "[12, 4]")
end

function TestRecurrent:test_wrong_input()
  local rnn = nn.RNN(64, 8)
  assert_error("RNN: expected input (seq, batch, 64), got (16, 40, 100): last size 100 is not "
    .. "input_size 64", rnn, saros.zeros(16, 40, 100))
  assert_error("RNN: expected input (seq, 64), got (16, 100)", rnn, saros.zeros(16, 100))
  assert_error("got (64): 1 dimensions", rnn, saros.zeros(64))
  assert_error("got table", rnn, {1, 2})
  assert_error("got nil", rnn)
  assert_error("at least one step", rnn, saros.zeros(0, 1, 64))
  assert_error("RNN: expected h0 (1, 40, 8), got (1, 16, 8)", rnn, saros.zeros(2, 40, 64),
    saros.zeros(1, 16, 8))
  assert_error("RNN: expected h0 (1, 8), got (1, 1, 8)", rnn, saros.zeros(2, 64),
    saros.zeros(1, 1, 8))
  assert_error("the state is a table {h, c}", nn.LSTM(64, 8), saros.zeros(2, 1, 64),
    saros.zeros(1, 1, 8))
  lu.assertErrorMsgContains("float", rnn, saros.zeros(2, 1, 64, {dtype = "float64"}))
  assert_error("hidden_size must be greater than 0, got 0", nn.RNN, 3, 0)
  assert_error("num_layers must be at most 1000, got 1099511627776", nn.LSTM, 4, 5, 1 << 40)
  assert_error("forget_bias must be a number, got NaN", nn.LSTM, 4, 5, {forget_bias = 0 / 0})
  assert_error("dropout should be a probability in range [0, 1]", nn.RNN, 3, 4, {dropout = 1.5})
end

-- ---- other layers ------------------------------------------------------------

local TestLayers = {}

function TestLayers:test_linear()
  local case = support.golden("linear_3d")
  local layer = nn.Linear(case.w:size(2), case.w:size(1))
  layer:load_state_dict {weight = case.w, bias = case.b}
  assert_close(layer(case.x), case.y, 1e-5)
  assert_error("nn.Linear: sizes must not be negative", nn.Linear, -1, 2)
  lu.assertError(layer, saros.zeros(2, case.w:size(2) + 1))
end

-- What a batch-first layer gives is a view of (T, B, H); the gradient may be such a view, too.
function TestLayers:test_linear_of_a_view()
  local layer = nn.Linear(5, 4)
  local x, g = saros.randn(7, 3, 5), saros.randn(3, 7, 4)
  local results = {}
  for i, dense in ipairs {true, false} do
    local input = x:detach():requires_grad_()
    local view = input:transpose(1, 2)
    layer:zero_grad()
    local y = layer(dense and view:contiguous() or view)
    if dense then y:backward(g) else y:transpose(1, 2):backward(g:transpose(1, 2)) end
    results[i] = {y, input.grad, layer.weight.grad, layer.bias.grad}
  end
  for k, wanted in ipairs(results[1]) do support.assert_same(results[2][k], wanted) end
end

function TestLayers:test_embedding()
  local case = support.golden("embedding_padding")
  local layer = nn.Embedding(11, 5, {padding_idx = 4}) -- 3 in the 0-based file
  layer:load_state_dict {weight = case.weight}
  local y = layer(case.ids + 1)
  support.assert_same(y, case.y)
  y:backward(case["cot.y"])
  assert_close(layer.weight.grad, case["grad.weight"], 1e-6)
end

function TestLayers:test_embedding_padding()
  lu.assertEquals(nn.Embedding(4, 2, {padding_idx = 2}).weight[2]:totable(), {0, 0})
  local zero = nn.Embedding(4, 2, {padding_idx = 0})
  local y = zero(saros.tensor({1, 0, 4}))
  lu.assertEquals(y[2]:totable(), {0, 0})
  y:sum():backward()
  lu.assertEquals(zero.weight.grad:sum(2):totable(), {2, 0, 0, 2})
  assert_error("padding_idx must be within num_embeddings (4), got 5", nn.Embedding, 4, 2,
    {padding_idx = 5})
  lu.assertErrorMsgContains("padding_idx", nn.Embedding(4, 2), saros.tensor({0}))
  lu.assertError(nn.Embedding(4, 2), saros.tensor({5}))
end

function TestLayers:test_embedding_from_pretrained()
  local rows = saros.rand(3, 2)
  local layer = nn.Embedding.from_pretrained(rows)
  lu.assertFalse(layer.weight.requires_grad)
  support.assert_same(layer(saros.tensor({3, 1})), rows:index_select(1, saros.tensor({3, 1})))
  lu.assertTrue(nn.Embedding.from_pretrained(rows, {freeze = false}).weight.requires_grad)
  lu.assertEquals(tostring(layer), "Embedding(3, 2)")
end

function TestLayers:test_layer_norm()
  local case = support.golden("layer_norm")
  local layer = nn.LayerNorm(6)
  lu.assertEquals(layer.weight:totable(), {1, 1, 1, 1, 1, 1})
  layer:load_state_dict {weight = case.w, bias = case.b}
  assert_close(layer(case.x), case.y, 1e-5)
  lu.assertEquals(#nn.LayerNorm({2, 3}, {bias = false}):parameters(), 1)
  lu.assertEquals(#nn.LayerNorm(3, {elementwise_affine = false}):parameters(), 0)
  assert_error("must hold integers", nn.LayerNorm, {2, "3"})
end

function TestLayers:test_batch_norm_golden()
  local case = support.golden("batch_norm_1d")
  local layer = nn.BatchNorm1d(6)
  layer:load_state_dict({weight = case["weight.weight"], bias = case["weight.bias"]},
    {strict = false})
  local x = case.x:requires_grad_(true)
  local y = layer(x)
  assert_close(y, case.y, 1e-5, "y")
  y:backward(case["cot.y"])
  assert_close(x.grad, case["grad.x"], 1e-5, "grad x")
  assert_close(layer.weight.grad, case["grad.weight"], 1e-5, "grad weight")
  assert_close(layer.bias.grad, case["grad.bias"], 1e-5, "grad bias")
  assert_close(layer.running_mean, case.running_mean, 1e-5, "running_mean")
  assert_close(layer.running_var, case.running_var, 1e-5, "running_var")
  assert_close(layer:eval()(case.x), case.y_eval, 1e-5, "y in eval mode")
end

function TestLayers:test_batch_norm()
  local x = saros.rand(6, 3) * 4 + 1
  local layer = nn.BatchNorm1d(3)
  local y = layer(x)
  assert_close(y:mean(1) + 1, saros.ones(3), 1e-5)
  assert_close(y:var(1, {correction = 0}), saros.ones(3), 1e-3)
  lu.assertEquals(layer.num_batches_tracked:item(), 1)
  assert_close(layer.running_mean, 0.1 * x:mean(1), 1e-5)
  assert_close(layer.running_var, 0.9 + 0.1 * x:var(1), 1e-5)
  layer:eval()
  local wanted = (x - layer.running_mean) / (layer.running_var + 1e-5):sqrt()
  assert_close(layer(x), wanted, 1e-5)
  lu.assertEquals(layer.num_batches_tracked:item(), 1)
end

function TestLayers:test_batch_norm_options()
  local mean_of_all = nn.BatchNorm1d(2, {momentum = false})
  local x = saros.rand(4, 2)
  mean_of_all(x)
  mean_of_all(x)
  assert_close(mean_of_all.running_mean, x:mean(1), 1e-5)
  local untracked = nn.BatchNorm1d(2, {track_running_stats = false, affine = false}):eval()
  lu.assertEquals(#untracked:parameters() + #untracked:buffers(), 0)
  assert_close(untracked(x):mean(1) + 1, saros.ones(2), 1e-5)
  lu.assertEquals(tostring(nn.BatchNorm1d(2)(saros.rand(4, 2, 5)).shape), "[4, 2, 5]")
  assert_error("more than 1 value per channel", nn.BatchNorm1d(2), saros.rand(1, 2))
  assert_error("size 3 is not num_features 2", nn.BatchNorm1d(2), saros.rand(4, 3))
end

function TestLayers:test_dropout()
  saros.manual_seed(3)
  local dropout, x = nn.Dropout(0.5), saros.ones(1000)
  local y = dropout(x)
  local kept = y:gt(0):sum():item()
  lu.assertTrue(kept > 400 and kept < 600)
  lu.assertEquals(y:max():item(), 2)
  dropout:eval()
  lu.assertIs(dropout(x), x)
  lu.assertEquals(nn.Dropout {p = 0.1}.p, 0.1)
  local inplace = nn.Dropout(1, {inplace = true})
  inplace(x)
  lu.assertEquals(x:sum():item(), 0)
  assert_error("dropout probability has to be between 0 and 1, got 1.5", nn.Dropout, 1.5)
end

function TestLayers:test_containers()
  local a, b = nn.Linear(2, 3), nn.Linear(3, 1)
  local x = saros.rand(4, 2)
  local wanted = b(a(x):tanh())
  support.assert_same(nn.Sequential(a, nn.Tanh(), b)(x), wanted)
  support.assert_same(nn.Sequential {a, nn.Tanh(), b}(x), wanted)
  local named = nn.Sequential()
  named:add_module("first", a)
  named:add_module("tanh", nn.Tanh())
  named:append(b)
  support.assert_same(named(x), wanted)
  local list = nn.ModuleList {a}
  list:append(b):extend {nn.Tanh(), nn.Tanh()}
  lu.assertEquals(#list, 4)
  for i, module in ipairs(list) do lu.assertIs(list[i], module) end
  local dict = nn.ModuleDict {b = b, a = a}
  lu.assertEquals(support.names(dict:named_children()), {"a", "b"})
  assert_error("item 1 must be a module, got function", nn.Sequential, print)
  assert_error("a list of modules expected, got a value named 'x'", nn.ModuleList, {x = a})
  assert_error("forward is not defined", function() list(x) end)
  local MyList = nn.ModuleList:extend("MyList")
  lu.assertEquals(tostring(MyList {nn.Tanh()}), "MyList(\n  (0): Tanh()\n)")
end

function TestLayers:test_items_from_the_end()
  local first, last, other = nn.Linear(2, 3), nn.Tanh(), nn.ReLU()
  for _, class in ipairs {nn.Sequential, nn.ModuleList, nn.Sequential:extend("Mine")} do
    local seq = class {first, last}
    lu.assertIs(seq[-1], last)
    lu.assertIs(seq[-2], first)
    lu.assertNil(seq[-3])
    lu.assertNil(seq[3])
    seq[-1] = other
    lu.assertIs(seq[2], other)
    lu.assertEquals(#seq, 2)
    lu.assertEquals(support.names(seq:named_children()), {"0", "1"})
    assert_error("item -3 of 2 modules", function() seq[-3] = other end)
  end
end

function TestLayers:test_flatten_and_identity()
  lu.assertEquals(tostring(nn.Flatten()(saros.rand(2, 3, 4)).shape), "[2, 12]")
  lu.assertEquals(tostring(nn.Flatten(1, 2)(saros.rand(2, 3, 4)).shape), "[6, 4]")
  local x = saros.rand(1)
  lu.assertIs(nn.Identity()(x), x)
end

-- ---- activations ------------------------------------------------------------

local TestActivations = {}

function TestActivations:test_values()
  local x = saros.tensor({-2.0, -0.5, 0.0, 1.5})
  local cases = {
    {nn.Tanh(), {-0.9640276, -0.4621172, 0, 0.9051483}},
    {nn.ReLU(), {0, 0, 0, 1.5}},
    {nn.Sigmoid(), {0.1192029, 0.3775407, 0.5, 0.8175745}},
    {nn.LeakyReLU(0.1), {-0.2, -0.05, 0, 1.5}},
    {nn.ELU {alpha = 2}, {-1.7293294, -0.7869387, 0, 1.5}},
    {nn.GELU(), {-0.0455003, -0.1542687, 0, 1.3997892}},
    {nn.GELU("tanh"), {-0.0454023, -0.1542860, 0, 1.3995717}},
    {nn.SiLU(), {-0.2384058, -0.1887703, 0, 1.2263618}},
    {nn.Softplus(), {0.1269280, 0.4740770, 0.6931472, 1.7014133}},
    {nn.Softplus {beta = 2}, {0.0090750, 0.1566309, 0.3465736, 1.5242937}},
    {nn.LogSigmoid(), {-2.1269280, -0.9740770, -0.6931472, -0.2014133}},
    {nn.Softmax(-1), {0.0217460, 0.0974589, 0.1606825, 0.7201126}},
    {nn.Softmax(), {0.0217460, 0.0974589, 0.1606825, 0.7201126}},
  }
  for _, case in ipairs(cases) do
    assert_close(case[1](x), saros.tensor(case[2], {dtype = "float32"}), 2e-4, tostring(case[1]))
  end
end

function TestActivations:test_in_place()
  local x = saros.tensor({-1.0, 2.0})
  lu.assertIs(nn.ReLU {inplace = true}(x), x)
  lu.assertEquals(x:totable(), {0, 2})
end

function TestActivations:test_softmax_golden()
  local case = support.golden("softmax_dim1_3d")
  assert_close(nn.Softmax(2)(case.x), case.y, 1e-5)
  case = support.golden("log_softmax")
  assert_close(nn.LogSoftmax(-1)(case.x), case.y, 1e-5)
  assert_close(F.log_softmax(case.x, {dim = -1}), case.y, 1e-5)
end

function TestActivations:test_wrong_input()
  lu.assertErrorMsgContains("tanh", nn.Tanh(), "x")
  lu.assertErrorMsgContains("softmax", nn.Softmax(3), saros.zeros(2, 2))
  assert_error("approximate must be one of", nn.GELU("exact"), saros.zeros(2))
end

-- ---- losses ------------------------------------------------------------

local TestLosses = {}

local function check_loss(name, loss)
  local case = support.golden(name)
  local x = case.x:requires_grad_(true)
  local classes = case.target.dtype == "int64"
  local y = loss(x, classes and saros.data.from0(case.target) or case.target)
  assert_close(y, case.y, 1e-5, name)
  y:backward(case["cot.y"])
  assert_close(x.grad, case["grad.x"], 1e-5, name .. " gradient")
end

function TestLosses:test_golden()
  local nll = support.golden("nll_weight_sum")
  check_loss("nll_weight_sum", nn.NLLLoss {weight = nll.weight, reduction = "sum"})
  check_loss("cross_entropy", nn.CrossEntropyLoss())
  check_loss("cross_entropy", F.cross_entropy)
  check_loss("cross_entropy_ignore_smooth",
    nn.CrossEntropyLoss {ignore_index = 2, label_smoothing = 0.1}) -- 1 in the 0-based file
  check_loss("mse_loss", nn.MSELoss())
  check_loss("mse_loss", F.mse_loss)
  check_loss("l1_loss", nn.L1Loss())
  check_loss("smooth_l1_loss", nn.SmoothL1Loss())
  check_loss("binary_cross_entropy_with_logits", nn.BCEWithLogitsLoss())
end

function TestLosses:test_values()
  local p = saros.tensor({{0.7, 0.2, 0.1}, {0.1, 0.8, 0.1}}):log()
  local target = saros.tensor({1, 3})
  local a, b = -math.log(0.7), -math.log(0.1)
  lu.assertAlmostEquals(nn.NLLLoss()(p, target):item(), (a + b) / 2, 1e-5)
  lu.assertAlmostEquals(nn.NLLLoss {reduction = "sum"}(p, target):item(), a + b, 1e-5)
  assert_close(nn.NLLLoss {reduction = "none"}(p, target), saros.tensor({a, b}), 1e-5)
  local weight = saros.tensor({1.0, 1.0, 3.0})
  lu.assertAlmostEquals(nn.NLLLoss {weight = weight}(p, target):item(), (a + 3 * b) / 4, 1e-5)
  lu.assertAlmostEquals(nn.NLLLoss {ignore_index = 3}(p, target):item(), a, 1e-5)
  lu.assertAlmostEquals(nn.NLLLoss {ignore_index = 0}(p, saros.tensor({1, 0})):item(), a, 1e-5)
  lu.assertAlmostEquals(nn.NLLLoss()(p, saros.tensor({1, -100})):item(), a, 1e-5)
  local probability = saros.tensor({0.2, 0.9})
  local y = saros.tensor({0.0, 1.0})
  local bce = -(math.log(0.8) + math.log(0.9)) / 2
  lu.assertAlmostEquals(nn.BCELoss()(probability, y):item(), bce, 1e-5)
  local logits = (probability / (1 - probability)):log()
  lu.assertAlmostEquals(nn.BCEWithLogitsLoss()(logits, y):item(), bce, 1e-5)
  local positive = nn.BCEWithLogitsLoss {pos_weight = saros.tensor({2.0, 2.0})}
  lu.assertAlmostEquals(positive(logits, y):item(), -(math.log(0.8) + 2 * math.log(0.9)) / 2, 1e-5)
  lu.assertAlmostEquals(nn.SmoothL1Loss {beta = 0.5}(saros.tensor({0.1, 2.0}),
    saros.zeros(2)):item(), (0.01 + 1.75) / 2, 1e-5)
end

function TestLosses:test_weight_is_a_buffer()
  local loss = nn.CrossEntropyLoss {weight = saros.ones(3), label_smoothing = 0.1}
  lu.assertEquals(support.names(pairs(loss:state_dict())), {"weight"})
  lu.assertEquals(loss:double().weight.dtype, "float64")
end

function TestLosses:test_wrong_use()
  assert_error("reduction must be one of 'mean', 'sum', 'none', got string 'avg'", nn.MSELoss,
    {reduction = "avg"})
  assert_error("label_smoothing must be between 0 and 1, got 2", nn.CrossEntropyLoss,
    {label_smoothing = 2})
  assert_error("cross_entropy: unknown option 'weigth', did you mean 'weight'?", F.cross_entropy,
    saros.zeros(1, 2), saros.tensor({1}), {weigth = 1})
  lu.assertErrorMsgContains("ignore_index", nn.NLLLoss(), saros.zeros(1, 3), saros.tensor({0}))
  lu.assertErrorMsgContains("4", nn.NLLLoss(), saros.zeros(1, 3), saros.tensor({4}))
end

-- ---- functional ------------------------------------------------------------

local TestFunctional = {}

function TestFunctional:test_dropout()
  local x = saros.ones(10)
  lu.assertIs(F.dropout(x, 0.5, false), x)
  lu.assertEquals(F.dropout(x, {p = 1}):sum():item(), 0)
  assert_error("between 0 and 1", F.dropout, x, 2)
end

function TestFunctional:test_embedding_and_one_hot()
  local w = saros.rand(3, 2)
  support.assert_same(F.embedding(saros.tensor({2}), w), w[2]:unsqueeze(1))
  F.embedding(saros.tensor({0}), w, {padding_idx = 0})
  lu.assertEquals(F.one_hot(saros.tensor({2, 1}), 3):totable(), {{0, 1, 0}, {1, 0, 0}})
  lu.assertEquals(F.one_hot(saros.tensor({2, 1}), {num_classes = 3}):totable(),
    {{0, 1, 0}, {1, 0, 0}})
end

function TestFunctional:test_norms()
  local x = saros.rand(4, 3)
  assert_close(F.layer_norm(x, 3), nn.LayerNorm(3)(x), 1e-6)
  assert_close(F.layer_norm(x, {3}, {eps = 0.1}), nn.LayerNorm(3, {eps = 0.1})(x), 1e-6)
  assert_close(F.batch_norm(x, {training = true}), nn.BatchNorm1d(3)(x), 1e-6)
end

-- ---- utils ------------------------------------------------------------

local TestUtils = {}

function TestUtils:test_clip_grad_norm()
  local case = support.golden("clip_grad_norm")
  local first, second = nn.Parameter(saros.zeros(4, 3)), nn.Parameter(saros.zeros(7))
  local without = nn.Parameter(saros.zeros(2))
  first.grad, second.grad = case.g0:clone(), case.g1:clone()
  local norm = nn.utils.clip_grad_norm_({first, without, second}, 3)
  assert_close(saros.tensor(norm), case.total_norm, 1e-5)
  assert_close(first.grad, case.clipped0, 1e-5)
  assert_close(second.grad, case.clipped1, 1e-5)
end

local function with_gradient(values)
  local p = nn.Parameter(saros.zeros(#values))
  p.grad = saros.tensor(values)
  return p
end

function TestUtils:test_clip_forms()
  local p = with_gradient {3.0, -4.0}
  lu.assertAlmostEquals(nn.utils.clip_grad_norm_(p, 10), 5, 1e-6)
  lu.assertEquals(p.grad:totable(), {3, -4})
  lu.assertAlmostEquals(nn.utils.clip_grad_norm_({p}, {max_norm = 2, norm_type = math.huge}), 4,
    1e-6)
  lu.assertAlmostEquals(p.grad[2]:item(), -2, 1e-4)
  lu.assertEquals(nn.utils.clip_grad_norm_({nn.Parameter(saros.zeros(1))}, 1), 0)
  local q = with_gradient {3.0, -4.0}
  lu.assertAlmostEquals(nn.utils.clip_grad_value_({q}, 3.5), 5, 1e-6)
  lu.assertEquals(q.grad:totable(), {3, -3.5})
  assert_error("max_norm is missing", nn.utils.clip_grad_norm_, {p})
  assert_error("a list of tensors expected", nn.utils.clip_grad_norm_, 3, 1)
  assert_error("a list of tensors expected", nn.utils.clip_grad_norm_, nn.Linear(1, 1), 1)
  assert_error("item 1 must be a tensor", nn.utils.clip_grad_norm_, {1}, 1)
  assert_error("cannot be clipped", nn.utils.clip_grad_norm_, with_gradient {1 / 0},
    {max_norm = 1, error_if_nonfinite = true})
end

function TestUtils:test_vectors()
  local linear = nn.Linear(2, 3)
  local vector = nn.utils.parameters_to_vector(linear:parameters())
  lu.assertEquals(vector:numel(), 9)
  nn.utils.vector_to_parameters(vector:detach() * 2, linear:parameters())
  assert_close(nn.utils.parameters_to_vector(linear:parameters()), vector * 2, 1e-6)
  assert_error("a vector of 9 elements expected", nn.utils.vector_to_parameters, saros.zeros(8),
    linear:parameters())
end

support.run { TestRecurrent = TestRecurrent,
  TestLayers = TestLayers, TestActivations = TestActivations, TestLosses = TestLosses,
  TestFunctional = TestFunctional, TestUtils = TestUtils,
}
