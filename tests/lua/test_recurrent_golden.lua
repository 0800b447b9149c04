-- Every reference case of a recurrent layer or cell, through nn: outputs, last states and all
-- gradients, of padded and packed batches.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local support = require "support"
local saros = require "saros"
local nn = saros.nn

local TOLERANCE = 1e-5 -- of the largest element

-- The case's JSON as a table: its names and values are plain.
local function read_case(metadata)
  local text = metadata.case:gsub('"(%w+)":', '["%1"]='):gsub('"([%w_]+)":', '["%1"]=')
  text = text:gsub("%[(%d[%d, ]*)%]", "{%1}"):gsub("null", "nil")
  return assert(load("return " .. text, "case", "t", {}))()
end

local function open_case(name)
  local t, metadata = saros.load("tests/golden/" .. name .. ".safetensors")
  local case = read_case(metadata)
  local module = nn[case.module](case.input_size, case.hidden_size, case.options)
  local state = {}
  for key, value in pairs(t) do
    local parameter = key:match("^weight%.(.+)$")
    if parameter then state[parameter] = value end
  end
  module:load_state_dict(state)
  for _, key in ipairs {"x", "h0", "c0"} do
    if t[key] then t[key]:requires_grad_() end
  end
  return case, t, module
end

-- Backward through the outputs that have a cotangent; then all of them and all gradients.
local function check(t, module, outputs)
  local loss = 0
  for name, y in pairs(outputs) do
    support.assert_close(y, t[name], TOLERANCE, name)
    if t["cot." .. name] then loss = loss + (y * t["cot." .. name]):sum() end
  end
  loss:backward()
  local compared = 0
  for _, key in ipairs {"x", "h0", "c0"} do
    if t["grad." .. key] then
      support.assert_close(t[key].grad, t["grad." .. key], TOLERANCE, "grad." .. key)
    end
  end
  for name, p in module:named_parameters() do
    support.assert_close(p.grad, t["grad." .. name], TOLERANCE, "grad." .. name)
    compared = compared + 1
  end
  lu.assertTrue(compared >= 2)
end

local function initial_state(t)
  if t.c0 then return {t.h0, t.c0} end
  return t.h0
end

local function with_state(outputs, state)
  if type(state) == "table" then
    outputs.hn, outputs.cn = state[1], state[2]
  else
    outputs.hn = state
  end
  return outputs
end

local function padded_case(name)
  local _, t, layer = open_case(name)
  local y, state = layer(t.x, initial_state(t))
  check(t, layer, with_state({y = y}, state))
end

local function packed_case(name)
  local case, t, layer = open_case(name)
  local rnn, first = nn.utils.rnn, case.options.batch_first
  local packed = rnn.pack_padded_sequence(t.x, case.lengths,
    {batch_first = first, enforce_sorted = false})
  support.assert_same(packed.data, t["packed.data"], "packed.data")
  support.assert_same(packed.batch_sizes, t["packed.batch_sizes"], "packed.batch_sizes")
  local out, state = layer(packed, initial_state(t))
  support.assert_close(out.data, t["packed.out"], TOLERANCE, "packed.out")
  local y, lengths = rnn.pad_packed_sequence(out, {batch_first = first})
  lu.assertEquals(lengths:totable(), case.lengths)
  check(t, layer, with_state({y = y}, state))
end

-- A cell, called for one step after the other.
local function cell_case(name)
  local case, t, cell = open_case(name)
  local h, c, outputs = t.h0, t.c0, {}
  for step = 1, case.steps do
    h, c = cell(t.x[step], c and {h, c} or h)
    outputs[step] = h
  end
  check(t, cell, {y = saros.stack(outputs, 1), cn = c})
end

TestGolden = {}

local padded = {"plain", "b1_t1", "bf_2layer", "bi", "bi_3layer_nobias", "wide"}
for _, kind in ipairs {"RNN", "LSTM", "GRU"} do
  for _, variant in ipairs(padded) do
    local name = kind .. "_" .. variant
    TestGolden["test_" .. name] = function() padded_case(name) end
  end
  for _, variant in ipairs {"packed", "packed_bi2"} do
    local name = kind .. "_" .. variant
    TestGolden["test_" .. name] = function() packed_case(name) end
  end
end
for _, name in ipairs {"RNN_relu", "LSTM_proj"} do
  TestGolden["test_" .. name] = function() padded_case(name) end
end
for _, name in ipairs {"RNNCell_plain", "RNNCell_relu_False", "LSTMCell_plain", "GRUCell_plain",
                       "GRUCell_False"} do
  TestGolden["test_" .. name] = function() cell_case(name) end
end

-- h = relu(x Wxh + h Whh + bh) by hand, three steps from zero, is nn.RNN with those weights.
function TestGolden.test_manual_relu_rnn()
  local t = support.golden("manual_relu_rnn")
  local inputs, hidden = t.Wxh:size(1), t.Wxh:size(2)
  local rnn = nn.RNN(inputs, hidden, {nonlinearity = "relu"})
  rnn:load_state_dict {
    weight_ih_l0 = t.Wxh:t(), weight_hh_l0 = t.Whh:t(), bias_ih_l0 = t.bh[1],
    bias_hh_l0 = saros.zeros(hidden),
  }
  local h = saros.zeros(1, hidden)
  for step = 1, 3 do
    h = saros.relu(t.X[step]:unsqueeze(1):mm(t.Wxh) + h:mm(t.Whh) + t.bh)
  end
  support.assert_close(h, t.h, 1e-6, "by hand")
  local _, hn = rnn(t.X)
  support.assert_close(hn, t.h, 1e-6, "nn.RNN")
end

os.exit(lu.LuaUnit.run())
