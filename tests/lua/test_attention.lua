-- Attention: PyTorch's numbers, rows without padding one by one, gradients, wrong use;
-- saros.sequence_mask.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local gradcheck = require "gradcheck"
local support = require "support"
local wrong = require "wrong_calls"
local nn = saros.nn
local assert_close, assert_same = support.assert_close, support.assert_same

saros.manual_seed(1)

local double = {dtype = "float64"}
local function random(...) return saros.rand({...}, double) * 2 - 1 end

-- ---- golden ---------------------------------------------------------------------

local TestGolden = {}

-- Outputs and gradients with the case's weights, for all queries at once.
local function check(name, attention)
  local case = support.golden(name)
  local weights = {}
  for key in attention:named_parameters() do weights[key] = case["weight." .. key] end
  attention:load_state_dict(weights)
  for _, key in ipairs {"q", "keys", "values"} do case[key]:requires_grad_() end
  local y, w = attention(case.q, case.keys, {lengths = case.lengths, values = case.values})
  assert_close(y, case.y, 1e-12, name .. " context")
  assert_close(w, case.weights, 1e-12, name .. " weights")
  local loss = (y * case["cot.y"]):sum() + (w * case["cot.weights"]):sum()
  loss:backward()
  for _, key in ipairs {"q", "keys", "values"} do
    assert_close(case[key].grad, case["grad." .. key], 1e-12, name .. " grad " .. key)
  end
  for key, parameter in attention:named_parameters() do
    -- A bias common to all scores has gradient 0, but for rounding.
    local grad = case["grad." .. key]
    if grad:abs():max():item() < 1e-14 then
      lu.assertTrue(parameter.grad:abs():max():item() < 1e-14, name .. " grad " .. key)
    else
      assert_close(parameter.grad, grad, 1e-12, name .. " grad " .. key)
    end
  end
end

function TestGolden:test_bahdanau()
  check("attention_bahdanau", nn.BahdanauAttention(5, 7, 6, double))
end

function TestGolden:test_luong_dot()
  check("attention_luong_dot", nn.LuongAttention(5, double))
end

function TestGolden:test_luong_general()
  check("attention_luong_general", nn.LuongAttention(5, 3, {score = "general", dtype = "float64"}))
end

function TestGolden:test_luong_concat()
  check("attention_luong_concat",
    nn.LuongAttention(5, 3, {score = "concat", hidden_size = 6, dtype = "float64"}))
end

function TestGolden:test_tutorial_in_float32()
  local case = support.golden("attention")
  local attention = nn.BahdanauAttention(8, {bias = false})
  local parts = {Wa = attention.Wa, Ua = attention.Ua, Va = attention.Va}
  attention:load_state_dict {["Wa.weight"] = case.Wa, ["Ua.weight"] = case.Ua,
    ["Va.weight"] = case.Va}
  local q, keys = case.q:requires_grad_(), case.keys:requires_grad_()
  local y = attention(q, keys)
  assert_close(y, case.y, 1e-5)
  y:backward(case["cot.y"])
  assert_close(q.grad, case["grad.q"], 1e-5)
  assert_close(keys.grad, case["grad.keys"], 1e-5)
  for key, part in pairs(parts) do assert_close(part.weight.grad, case["grad." .. key], 1e-5) end
end

-- ---- parameters ------------------------------------------------------------------

local TestParameters = {}

function TestParameters:test_names_are_those_of_the_tutorials()
  local function names(attention) return support.names(attention:named_parameters()) end
  lu.assertEquals(names(nn.BahdanauAttention(4)),
    {"Wa.weight", "Wa.bias", "Ua.weight", "Ua.bias", "Va.weight", "Va.bias"})
  lu.assertEquals(names(nn.BahdanauAttention(4, {bias = false})),
    {"Wa.weight", "Ua.weight", "Va.weight"})
  lu.assertEquals(names(nn.LuongAttention(4)), {})
  lu.assertEquals(names(nn.LuongAttention(4, {score = "general"})), {"attn.weight", "attn.bias"})
  lu.assertEquals(names(nn.LuongAttention(4, {score = "concat", bias = false})),
    {"v", "attn.weight"})
end

-- PyTorch draws the three layers of the tutorial one after the other.
function TestParameters:test_initial_values()
  saros.manual_seed(5)
  local attention = nn.BahdanauAttention(4, 3, 2)
  saros.manual_seed(5)
  local wanted = {nn.Linear(4, 2), nn.Linear(3, 2), nn.Linear(2, 1)}
  for i, part in ipairs {attention.Wa, attention.Ua, attention.Va} do
    assert_same(part.weight, wanted[i].weight)
    assert_same(part.bias, wanted[i].bias)
  end
end

function TestParameters:test_initial_v_is_within_its_bound()
  local v = nn.LuongAttention(3, 5, {score = "concat", hidden_size = 400}).v
  lu.assertEquals(v.shape[1], 400)
  local largest = v:detach():abs():max():item()
  lu.assertTrue(largest <= 1 / 20 and largest > 0.9 / 20, largest)
end

function TestParameters:test_printed()
  lu.assertEquals(tostring(nn.LuongAttention(4)), "LuongAttention(4, 4, score='dot')")
  lu.assertStrContains(tostring(nn.BahdanauAttention(4, 3, 2)),
    "(Ua): Linear(in_features=3, out_features=2, bias=true)")
end

-- ---- values ---------------------------------------------------------------------------

local TestValues = {}

local Q, K, V, B, T, S = 3, 4, 2, 3, 5, 2

-- The score of one query and one key, written with the parameters' rows.
local function dot(a, b) return (a * b):sum() end
local plain_scores = {
  bahdanau = function(a, q, k)
    return dot(a.Va.weight[1], (a.Wa(q) + a.Ua(k)):tanh()) + a.Va.bias[1]
  end,
  dot = function(_, q, k) return dot(q, k) end,
  general = function(a, q, k) return dot(q, a.attn(k)) end,
  concat = function(a, q, k) return dot(a.v, a.attn(saros.cat({q, k}, 1)):tanh()) end,
}
local function make(kind)
  if kind == "bahdanau" then return nn.BahdanauAttention(Q, K, 6, double) end
  return nn.LuongAttention(Q, kind == "dot" and Q or K, {score = kind, dtype = "float64"})
end

-- Query by query, over the keys that are there: context and weights of the row b.
local function plain(attention, score, q, keys, values)
  local list = {}
  for t, k in keys:rows() do list[t] = score(attention, q, k) end
  local weights = saros.stack(list, 1):softmax(1)
  return weights:unsqueeze(1):mm(values):squeeze(1), weights
end

local lengths = {5, 1, 3}

for kind, score in pairs(plain_scores) do
  TestValues["test_plain_composition_" .. kind] = function()
    local attention = make(kind)
    local query, values = random(B, S, Q), random(B, T, V)
    local keys = random(B, T, kind == "dot" and Q or K)
    local context, weights = attention(query, keys, {lengths = lengths, values = values})
    lu.assertEquals(tostring(context.shape), "[3, 2, 2]")
    lu.assertEquals(tostring(weights.shape), "[3, 2, 5]")
    for b, length in ipairs(lengths) do
      for s = 1, S do
        local c, w = plain(attention, score, query[b][s], keys[b]:narrow(1, 1, length),
          values[b]:narrow(1, 1, length))
        assert_close(context[b][s], c, 1e-12)
        assert_close(weights[b][s]:narrow(1, 1, length), w, 1e-12)
        local rest = weights[b][s]:narrow(1, length + 1, T - length)
        lu.assertTrue(rest:eq(0):all():item(), "padding has weight")
      end
    end
  end

  TestValues["test_precomputed_keys_" .. kind] = function()
    local attention, size = make(kind), kind == "dot" and Q or K
    local queries = random(4, B, Q)
    local keys = random(B, T, size):requires_grad_()
    local opts = {lengths = lengths}
    local function decode(given, options)
      local total = 0
      for t, q in queries:rows() do
        local context, weights = attention(q, given, options)
        total = total + (context * t):sum() + (weights * weights):sum()
      end
      return total, saros.grad(total, keys)
    end
    local projections, project = 0, attention.project
    rawset(attention, "project", function(self, k)
      projections = projections + 1
      return project(self, k)
    end)
    local once, once_grad = decode(attention:precompute(keys, opts))
    lu.assertEquals(projections, 1)
    local each, each_grad = decode(keys, opts)
    lu.assertEquals(projections, 5)
    assert_close(once, each, 1e-12)
    assert_close(once_grad, each_grad, 1e-12)
  end

  TestValues["test_gradients_" .. kind] = function()
    local attention, size = make(kind), kind == "dot" and Q or K
    local inputs, names = {random(B, S, Q), random(B, T, size), random(B, T, V)}, {}
    for name, p in attention:named_parameters() do
      names[#names + 1], inputs[#inputs + 1] = name, p:detach()
    end
    gradcheck.check(kind, function(query, keys, values, ...)
      for i, name in ipairs(names) do -- the parameter's place takes the checked tensor
        local part, field = attention, name
        if name:find(".", 1, true) then
          part, field = attention[name:match("^%w+")], name:match("%w+$")
        end
        rawset(part, field, (select(i, ...)))
      end
      return attention(query, keys, {lengths = {5, 0, 3}, values = values})
    end, inputs)
  end
end

function TestValues:test_query_without_steps()
  local attention = make("bahdanau")
  local query, keys = random(B, Q), random(B, T, K)
  local context, weights = attention(query, keys, {lengths = lengths})
  lu.assertEquals(tostring(context.shape) .. tostring(weights.shape), "[3, 4][3, 5]")
  local context3, weights3 = attention(query:unsqueeze(2), keys, {lengths = lengths})
  assert_same(context, context3:squeeze(2))
  assert_same(weights, weights3:squeeze(2))
end

function TestValues:test_lengths_and_masks_agree()
  local attention = make("general")
  local query, keys = random(B, Q), random(B, T, K)
  local context, weights = attention(query, keys, {lengths = lengths})
  for _, opts in ipairs {
    {lengths = saros.tensor(lengths)}, {mask = saros.sequence_mask(lengths, T)},
  } do
    local c, w = attention(query, keys, opts)
    assert_same(c, context)
    assert_same(w, weights)
  end
  local full = attention(query, keys, {lengths = {T, T, T}})
  assert_close(full, (attention(query, keys)), 1e-15)
end

-- Gaps, not only tails: the weights are those of the keys that are left.
function TestValues:test_mask_with_gaps()
  local attention = make("bahdanau")
  local query, keys = random(1, Q), random(1, T, K)
  local mask = saros.tensor {{false, true, false, true, false}}
  local context, weights = attention(query, keys, {mask = mask})
  local rest = keys:index_select(2, saros.tensor {2, 4})
  local rest_context, rest_weights = attention(query, rest)
  assert_close(context, rest_context, 1e-14)
  assert_close(weights[mask], rest_weights[1], 1e-14)
  lu.assertEquals(weights[1][1]:item() + weights[1][3]:item() + weights[1][5]:item(), 0)
end

for _, dtype in ipairs {"float32", "float64"} do
  TestValues["test_empty_rows_" .. dtype] = function()
    saros.set_detect_anomaly(true)
    local _ <close> = setmetatable({}, {__close = function() saros.set_detect_anomaly(false) end})
    local attention = nn.BahdanauAttention(Q, K, 6, {dtype = dtype})
    local query = random(B, Q):to(dtype):requires_grad_()
    local keys = (random(B, T, K) * 100):to(dtype):requires_grad_()
    local context, weights = attention(query, keys, {lengths = {2, 0, 5}})
    assert_same(weights[2], saros.zeros(T, {dtype = dtype}))
    assert_same(context[2], saros.zeros(K, {dtype = dtype}))
    assert_close(weights:sum(2), saros.tensor {1.0, 0.0, 1.0}, 1e-6)
    local loss = context:square():sum() + weights:square():sum()
    loss:backward()
    assert_same(keys.grad[2], saros.zeros(T, K, {dtype = dtype}))
    assert_same(keys.grad[1]:narrow(1, 3, 3), saros.zeros(3, K, {dtype = dtype}))
    assert_same(query.grad[2], saros.zeros(Q, {dtype = dtype}))
    lu.assertTrue(keys.grad[1]:narrow(1, 1, 2):abs():min():item() > 0)
    for name, p in attention:named_parameters() do
      lu.assertTrue(p.grad:isfinite():all():item(), name)
    end
  end
end

-- Weights stay exact where the scores are as large as floats go.
function TestValues:test_large_scores()
  local attention = nn.LuongAttention(1)
  local keys = saros.tensor {{{-1e30}, {-2e30}, {5e30}}}
  local context, weights = attention(saros.ones(1, 1), keys, {lengths = {2}})
  lu.assertEquals(weights:totable(), {{1, 0, 0}})
  lu.assertAlmostEquals(context:item() / -1e30, 1, 1e-6)
end

function TestValues:test_no_keys_and_no_rows()
  local attention = make("bahdanau")
  local context, weights = attention(random(B, Q), saros.zeros(B, 0, K, double))
  assert_same(context, saros.zeros(B, K, double))
  lu.assertEquals(tostring(weights.shape), "[3, 0]")
  context, weights = attention(saros.zeros(0, S, Q, double), saros.zeros(0, T, K, double),
    {lengths = {}})
  lu.assertEquals(tostring(context.shape) .. tostring(weights.shape), "[0, 2, 4][0, 2, 5]")
end

-- ---- sequence_mask ------------------------------------------------------------------------

local TestMask = {}

function TestMask:test_values()
  local wanted = {{true, true, true}, {true, false, false}, {false, false, false}}
  lu.assertEquals(saros.sequence_mask({3, 1, 0}):totable(), wanted)
  lu.assertEquals(saros.sequence_mask(saros.tensor {3, 1, 0}):totable(), wanted)
  lu.assertEquals(saros.sequence_mask({1, 2.0}, 3):totable(),
    {{true, false, false}, {true, true, false}})
  lu.assertEquals(saros.sequence_mask({1}, {max_length = 2}):totable(), {{true, false}})
  lu.assertEquals(saros.sequence_mask({1}).dtype, "bool")
end

function TestMask:test_empty()
  lu.assertEquals(tostring(saros.sequence_mask({}).shape), "[0, 0]")
  lu.assertEquals(tostring(saros.sequence_mask({}, 4).shape), "[0, 4]")
  lu.assertEquals(tostring(saros.sequence_mask({0, 0}).shape), "[2, 0]")
end

-- ---- wrong calls ----------------------------------------------------------------------------

local additive = nn.BahdanauAttention(Q, K, 6)
local luong = nn.LuongAttention(Q, K, {score = "general"})
local query, keys = saros.ones(B, Q), saros.ones(B, T, K)
local memory = additive:precompute(keys)
local mask = saros.sequence_mask

local TestWrong = wrong.tests {
  {"nothing", function() nn.BahdanauAttention() end, "nn.BahdanauAttention", "query_size"},
  {"zero", function() nn.BahdanauAttention(3, 0) end, "nn.BahdanauAttention", "key_size", "0"},
  {"typo", function() nn.BahdanauAttention(3, {bais = false}) end, "'bias'"},
  {"luong_score", function() nn.LuongAttention(3, {score = "dto"}) end, "score", "'dot'"},
  {"luong_dot_sizes", function() nn.LuongAttention(3, 4) end, "'dot'", "3 and 4", "'general'"},
  {"luong_hidden", function() nn.LuongAttention(3, {hidden_size = 4}) end, "hidden_size",
    "'concat'"},
  {"no_query", function() additive(nil, keys) end, "BahdanauAttention", "query", "(3, 3)", "nil"},
  {"no_keys", function() additive(query) end, "BahdanauAttention", "keys (batch, steps, 4)", "nil"},
  {"query_size", function() additive(saros.ones(B, 5), keys) end, "query", "[3, 5, 4]", "[3, 5]"},
  {"query_batch", function() luong(saros.ones(2, Q), keys) end, "LuongAttention", "query (3, 3)",
    "[3, 5, 4]", "[2, 3]"},
  {"query_vector", function() additive(saros.ones(Q), keys) end, "query", "[3]"},
  {"keys_size", function() additive(query, saros.ones(B, T, 9)) end, "keys", "4", "[3, 5, 9]"},
  {"keys_matrix", function() additive(query, saros.ones(B, K)) end, "keys", "[3, 4]"},
  {"values_steps", function() additive(query, keys, {values = saros.ones(B, 4, 1)}) end,
    "values (3, 5, size)", "[3, 5, 4]", "[3, 4, 1]"},
  {"mask_shape", function() additive(query, keys, {mask = mask({1, 1, 1}, 4)}) end,
    "mask (3, 5)", "[3, 5, 4]", "[3, 4]"},
  {"mask_dtype", function() additive(query, keys, {mask = saros.ones(B, T)}) end, "mask", "bool",
    "float32"},
  {"lengths_and_mask", function()
    additive(query, keys, {lengths = {1, 1, 1}, mask = mask({1, 1, 1}, T)})
  end, "lengths or mask"},
  {"lengths_count", function() additive(query, keys, {lengths = {1, 2}}) end, "lengths of 3 rows",
    "[3, 5, 4]", "2"},
  {"lengths_beyond", function() additive(query, keys, {lengths = {1, 6, 2}}) end, "6", "5"},
  {"lengths_matrix", function()
    additive(query, keys, {lengths = saros.ones(B, 1):long()})
  end, "lengths", "[3, 1]"},
  {"options_typo", function() additive(query, keys, {lenghts = {1, 1, 1}}) end, "'lengths'"},
  {"memory_options", function() additive(query, memory, {lengths = {1, 1, 1}}) end, "precompute"},
  {"memory_of_another", function() luong(query, memory) end, "another module"},
  {"memory_query", function() additive(saros.ones(2, Q), memory) end, "[2, 3]", "[3, 5, 4]"},
  {"precompute_dot", function() additive.precompute(keys) end, "precompute", "colon"},
  {"double", function() additive(query:double(), keys) end, "float64"},
  {"mask_nothing", function() mask() end, "sequence_mask", "lengths", "nil"},
  {"mask_float", function() mask(saros.ones(2)) end, "sequence_mask", "[2]", "float32"},
  {"mask_word", function() mask {1, "2"} end, "lengths[2]", "'2'"},
  {"mask_fraction", function() mask {1.5} end, "lengths[1]", "1.5"},
  {"mask_negative", function() mask {1, -1} end, "negative", "-1"},
  {"mask_beyond", function() mask({4}, 3) end, "4", "max_length 3"},
  {"mask_max_negative", function() mask({}, -1) end, "max_length", "-1"},
  {"mask_max_word", function() mask({1}, "3") end, "max_length", "'3'"},
  {"mask_huge", function() mask {math.maxinteger} end, "too many"},
  {"mask_memory", function() mask {1 << 40} end, "memory"},
}

support.run {
  TestGolden = TestGolden, TestParameters = TestParameters, TestValues = TestValues,
  TestMask = TestMask, TestWrong = TestWrong,
}
