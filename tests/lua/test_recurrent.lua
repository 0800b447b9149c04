-- nn.RNN, nn.LSTM, nn.GRU and their cells: every pair of options against a loop of plain
-- operations on single sequences, and against finite differences in float64.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local gradcheck = require "gradcheck"
local saros = require "saros"
local nn = saros.nn

-- ---- the plain composition -------------------------------------------------------------
--
-- One sequence x (T, I) and its states h (P), c (H) at a time, formula by formula.

local function part(sums, k, hidden) return sums:narrow(1, (k - 1) * hidden + 1, hidden) end

-- Parameters of a layer (from 1) and direction without the tail of their names.
local function parameters(layer, number, reverse)
  local tail = ("_l%d%s$"):format(number - 1, reverse and "_reverse" or "")
  local own = {}
  for name, p in layer:named_parameters() do
    if name:find(tail) then own[name:gsub(tail, "")] = p end
  end
  return own
end

local function normalized(x, gain, shift)
  if gain then
    x = (x - x:mean()) / (x:var(nil, {unbiased = false}) + 1e-5):sqrt() * gain
  end
  return shift and x + shift or x
end

local function simple(f)
  return function(_, _, x, u) return f(x + u) end
end

local cells = {
  rnn_tanh = simple(saros.tanh), rnn_relu = simple(saros.relu),
  lstm = function(layer, p, x, u, _, c)
    local sums, hidden = x + u, layer.hidden_size
    local i, f = part(sums, 1, hidden), part(sums, 2, hidden)
    local g, o = part(sums, 3, hidden), part(sums, 4, hidden)
    local peep = p.weight_peephole
    if peep then i, f = i + peep[1] * c, f + peep[2] * c end
    c = saros.sigmoid(f) * c + saros.sigmoid(i) * saros.tanh(g)
    if peep then o = o + peep[3] * c end
    local h = saros.sigmoid(o) * saros.tanh(normalized(c, p.norm_c, p.norm_c_bias))
    return h, c
  end,
  gru = function(layer, p, x, u, h)
    local hidden = layer.hidden_size
    local r = saros.sigmoid(part(x, 1, hidden) + part(u, 1, hidden))
    local z = saros.sigmoid(part(x, 2, hidden) + part(u, 2, hidden))
    local below = r * part(u, 3, hidden)
    if layer.reset == "before" then
      below = p.weight_hh:narrow(1, 2 * hidden + 1, hidden):mv(r * h)
      if p.bias_hh then below = below + part(p.bias_hh, 3, hidden) end
    end
    return (1 - z) * saros.tanh(part(x, 3, hidden) + below) + z * h
  end,
}

-- One direction of a layer: outputs as a list, last h and c.
local function run_direction(layer, p, x, h, c, reverse)
  local outputs, seen = {}, {}
  local steps = x:size(1)
  for k = 1, steps do
    local t = reverse and steps + 1 - k or k
    local sums = normalized(p.weight_ih:mv(x[t]), p.norm_ih, p.bias_ih)
    local u = normalized(p.weight_hh:mv(h), p.norm_hh, p.bias_hh)
    local new_h, new_c = cells[layer.mode](layer, p, sums, u, h, c)
    if p.weight_hr then new_h = p.weight_hr:mv(new_h) end
    local keep = layer.zoneout -- not training: the expected state
    h = keep.h * h + (1 - keep.h) * new_h
    if c then c = keep.c * c + (1 - keep.c) * new_c end
    outputs[t], seen[t] = h, c
  end
  return outputs, h, c, seen
end

-- All layers over one sequence x (T, I); h0, c0 (L D, ..). Gives output, hn, cn, cells.
local function run_sequence(layer, x, h0, c0)
  local directions = layer.bidirectional and 2 or 1
  local hn, cn, seen = {}, {}, {}
  for number = 1, layer.num_layers do
    local sides = {}
    for d = 1, directions do
      local k = (number - 1) * directions + d
      local outputs
      outputs, hn[k], cn[k], seen[d] = run_direction(layer, parameters(layer, number, d == 2), x,
        h0[k], c0 and c0[k], d == 2)
      sides[d] = saros.stack(outputs, 1)
    end
    x = saros.cat(sides, 2)
  end
  local last = {}
  for d = 1, directions do last[d] = c0 and saros.stack(seen[d], 1) end
  return x, saros.stack(hn, 1), c0 and saros.stack(cn, 1), c0 and saros.cat(last, 2)
end

-- ---- cases --------------------------------------------------------------------------------

local INPUTS, HIDDEN, LENGTHS = 3, 4, {2, 4, 0, 1}

local function close(found, expected, what, tolerance)
  lu.assertEquals(found.shape, expected.shape, what)
  local difference = (found - expected):abs():max():item()
  lu.assertTrue(difference <= (tolerance or 1e-12), ("%s: differs by %g"):format(what, difference))
end

local function new_layer(kind, given)
  local o = {dtype = "float64"}
  for name, value in pairs(given) do o[name] = value end
  saros.manual_seed(3)
  local layer = nn[kind](INPUTS, HIDDEN, o)
  for _, p in ipairs(layer:parameters()) do -- gains and learned states are not to be 1 and 0
    saros.no_grad(function() p:add_(saros.rand(p.shape, {dtype = "float64"}) * 0.3) end)
  end
  return layer:eval()
end

local function new_states(layer, batch)
  local layers = layer.num_layers * (layer.bidirectional and 2 or 1)
  local size = layer.proj_size > 0 and layer.proj_size or HIDDEN
  local made = {dtype = "float64"}
  local h = saros.rand(layers, batch, size, made) - 0.5
  return h, layer.mode == "lstm" and saros.rand(layers, batch, HIDDEN, made) - 0.5 or nil
end

local function state_of(layer, h, c)
  if layer.mode == "lstm" then return {h, c} end
  return h
end

local function both_states(state)
  if type(state) == "table" then return state[1], state[2] end
  return state
end

-- Batch b of (L, B, ..); zeros, or the learned states, where the layer is given none.
local function initial(layer, h, c, b)
  if h then return h:select(2, b), c and c:select(2, b) end
  if layer.learn_initial_state then
    return layer.initial_h:select(2, 1), layer.initial_c and layer.initial_c:select(2, 1)
  end
  local zero_h, zero_c = new_states(layer, 1)
  return zero_h:select(2, 1) * 0, zero_c and zero_c:select(2, 1) * 0
end

local function check_padded(layer, with_state, what)
  local batch, steps = 3, 4
  local shape = layer.batch_first and {batch, steps, INPUTS} or {steps, batch, INPUTS}
  local x = saros.rand(shape, {dtype = "float64"}) - 0.5
  local h, c = nil, nil
  if with_state then h, c = new_states(layer, batch) end
  local wanted = layer.mode == "lstm" and {cells = true} or nil
  local out, state, all = layer(x, h and state_of(layer, h, c), wanted)
  local hn, cn = both_states(state)
  local function of_batch(t, b) return t:select(layer.batch_first and 1 or 2, b) end
  for b = 1, batch do
    local h0, c0 = initial(layer, h, c, b)
    local y, own_h, own_c, own_cells = run_sequence(layer, of_batch(x, b), h0, c0)
    close(of_batch(out, b), y, what .. " output")
    close(hn:select(2, b), own_h, what .. " hn")
    if cn then close(cn:select(2, b), own_c, what .. " cn") end
    if all then close(of_batch(all, b), own_cells, what .. " cells") end
  end
  return x, h, c
end

-- Gradients of x, all parameters and, where given, the states.
local function check_gradients(layer, x, h, c, what, run)
  local held = {x}
  for _, p in ipairs(layer:parameters()) do held[#held + 1] = p end
  if h then held[#held + 1] = h end
  if c then held[#held + 1] = c end
  gradcheck.check_held(what, run or function()
    local out, state = layer(x, h and state_of(layer, h, c))
    return out, both_states(state)
  end, held)
end

-- The sequences of LENGTHS packed, in their order.
local function check_packed(layer, with_state, what)
  local batch = #LENGTHS
  local x = saros.rand(4, batch, INPUTS, {dtype = "float64"}) - 0.5
  local h, c = nil, nil
  if with_state then h, c = new_states(layer, batch) end
  local function run()
    local packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, {enforce_sorted = false})
    local out, state = layer(packed, h and state_of(layer, h, c))
    return (nn.utils.rnn.pad_packed_sequence(out)), both_states(state)
  end
  local out, hn, cn = run()
  for b, length in ipairs(LENGTHS) do
    local h0, c0 = initial(layer, h, c, b)
    if length == 0 then
      close(hn:select(2, b), h0, what .. " hn of length 0")
      if cn then close(cn:select(2, b), c0, what .. " cn of length 0") end
    else
      local y, own_h, own_c = run_sequence(layer, x:select(2, b):narrow(1, 1, length), h0, c0)
      close(out:select(2, b):narrow(1, 1, length), y, what .. " packed output")
      close(hn:select(2, b), own_h, what .. " packed hn")
      if cn then close(cn:select(2, b), own_c, what .. " packed cn") end
    end
  end
  check_gradients(layer, x, h, c, what .. " packed", run)
end

-- ---- every pair of PyTorch's options ------------------------------------------------------

local kinds = {
  RNN = {}, RNN_relu = {nonlinearity = "relu"}, LSTM = {}, LSTM_proj = {proj_size = 2}, GRU = {},
}

local axes = {
  {name = "num_layers", 1, 2}, {name = "bidirectional", false, true},
  {name = "bias", true, false}, {name = "batch_first", false, true},
  {name = "packed", false, true}, {name = "state", true, false},
}

-- All combinations of two values of each axis: every pair, and every larger group.
local function combinations(k, chosen, visit)
  local axis = axes[k]
  if not axis then return visit(chosen) end
  for _, value in ipairs(axis) do
    chosen[axis.name] = value
    combinations(k + 1, chosen, visit)
  end
end

TestOptions = {}

for kind, fixed in pairs(kinds) do
  TestOptions["test_" .. kind] = function()
    combinations(1, {}, function(chosen)
      local o = {
        num_layers = chosen.num_layers, bidirectional = chosen.bidirectional, bias = chosen.bias,
        batch_first = chosen.batch_first,
      }
      for name, value in pairs(fixed) do o[name] = value end
      local layer = new_layer(kind:match("^%u+"), o)
      local what = tostring(layer) .. (chosen.packed and " packed" or "")
        .. (chosen.state and "" or " from zeros")
      if chosen.packed then
        check_packed(layer, chosen.state, what)
      else
        local x, h, c = check_padded(layer, chosen.state, what)
        check_gradients(layer, x, h, c, what)
      end
    end)
  end
end

-- ---- what PyTorch does not have ------------------------------------------------------------

local extensions = {
  {"layer_norm", {layer_norm = true}},
  {"zoneout", {zoneout = 0.3}},
  {"learn_initial_state", {learn_initial_state = true}},
  {"peepholes", {peepholes = true}, "LSTM"},
  {"peepholes_projected", {peepholes = true, proj_size = 2}, "LSTM"},
  {"zoneout_of_c", {zoneout = {c = 0.4}}, "LSTM"},
  {"everything", {layer_norm = true, peepholes = true, proj_size = 3, zoneout = 0.2,
                  learn_initial_state = true}, "LSTM"},
  {"reset_before", {reset = "before"}, "GRU"},
  {"reset_before_zoned", {reset = "before", zoneout = 0.1, bias = false}, "GRU"},
}

TestExtensions = {}

for _, case in ipairs(extensions) do
  for _, kind in ipairs(case[3] and {case[3]} or {"RNN", "LSTM", "GRU"}) do
    TestExtensions[("test_%s_%s"):format(case[1], kind)] = function()
      for _, both in ipairs {false, true} do
        local o = {num_layers = 2, bidirectional = both}
        for name, value in pairs(case[2]) do o[name] = value end
        local layer = new_layer(kind, o)
        local what = tostring(layer)
        local x, h, c = check_padded(layer, not both, what)
        check_gradients(layer, x, h, c, what)
        check_packed(layer, both, what)
      end
    end
  end
end

function TestExtensions.test_forget_bias()
  local lstm = nn.LSTM(3, 4, {num_layers = 2, bidirectional = true, forget_bias = 1.5})
  for name, p in lstm:named_parameters() do
    local forget = name:find("^bias") and p:narrow(1, 5, 4):totable()
    if name:find("^bias_ih") then lu.assertEquals(forget, {1.5, 1.5, 1.5, 1.5}) end
    if name:find("^bias_hh") then lu.assertEquals(forget, {0, 0, 0, 0}) end
  end
end

-- The composition of steps and the fused operation are the same function.
function TestExtensions.test_steps_equal_the_fused_operation()
  local steps = require "saros.nn.recurrent_steps"
  for _, kind in ipairs {"RNN", "LSTM", "GRU"} do
    local layer = new_layer(kind, {bidirectional = true})
    local x, h, c = saros.rand(5, 3, INPUTS, {dtype = "float64"}), new_states(layer, 3)
    local out, state = layer(x, state_of(layer, h, c))
    local hn, cn = both_states(state)
    local y, own_h, own_c = steps(layer, 1, x, nil, nil, h, c)
    close(y, out, kind)
    close(own_h, hn, kind)
    if cn then close(own_c, cn, kind) end
  end
end

-- One mask for all steps: with the identity for a relu RNN each unit either carries its sum
-- on, scaled, or forgets it at every step.
function TestExtensions.test_recurrent_dropout()
  local size, steps = 200, 6
  local rnn = nn.RNN(size, size, {nonlinearity = "relu", bias = false, recurrent_dropout = 0.5})
  saros.no_grad(function()
    rnn.weight_ih_l0:copy_(saros.eye(size))
    rnn.weight_hh_l0:copy_(saros.eye(size))
  end)
  local x = saros.ones(steps, 1, size)
  local out = rnn(x):select(2, 1)
  local last, dropped = out[steps]:totable(), 0
  for _, value in ipairs(last) do
    lu.assertTrue(value == 1 or value == 2 ^ steps - 1, tostring(value))
    if value == 1 then dropped = dropped + 1 end
  end
  lu.assertTrue(dropped > 60 and dropped < 140, dropped .. " of 200 were dropped")
  lu.assertEquals(rnn:eval()(x):select(2, 1)[steps]:totable(), saros.full({size}, steps):totable())
end

-- While training a unit keeps its value of the step before, or takes the new one.
function TestExtensions.test_zoneout_while_training()
  local size = 400
  local rnn = nn.RNN(size, size, {nonlinearity = "relu", bias = false, zoneout = 0.25})
  saros.no_grad(function()
    rnn.weight_ih_l0:copy_(saros.eye(size))
    rnn.weight_hh_l0:copy_(saros.zeros(size, size))
  end)
  local x = saros.full({1, 1, size}, 3.0)
  local out = rnn(x, saros.full({1, 1, size}, 7.0)):view(-1):totable()
  local kept = 0
  for _, value in ipairs(out) do
    lu.assertTrue(value == 3 or value == 7)
    if value == 7 then kept = kept + 1 end
  end
  lu.assertTrue(kept > 60 and kept < 140, kept .. " of 400 were kept")
end

-- ---- cells -----------------------------------------------------------------------------------

TestCells = {}

for _, kind in ipairs {"RNN", "LSTM", "GRU"} do
  TestCells["test_loop_equals_layer_" .. kind] = function()
    for _, bias in ipairs {true, false} do
      local layer = nn[kind](INPUTS, HIDDEN, {bias = bias, dtype = "float64"})
      local cell = nn[kind .. "Cell"](INPUTS, HIDDEN, {bias = bias, dtype = "float64"})
      saros.no_grad(function()
        for name, p in cell:named_parameters() do p:copy_(layer[name .. "_l0"]) end
      end)
      local x = saros.rand(5, 2, INPUTS, {dtype = "float64"})
      local h, c
      local out = layer(x)
      for t = 1, 5 do
        h, c = cell(x[t], kind == "LSTM" and h and {h, c} or h)
        close(h, out[t], kind)
      end
    end
  end
end

function TestCells.test_without_batch()
  local cell = nn.LSTMCell(3, 4)
  local x = saros.rand(1, 3)
  local h, c = cell(x)
  local h1, c1 = cell(x[1])
  lu.assertEquals(h1:totable(), h[1]:totable())
  lu.assertEquals(c1:totable(), c[1]:totable())
  h1 = nn.RNNCell(3, 4)(x[1], saros.zeros(4))
  lu.assertEquals(h1.shape, {4})
end

function TestCells.test_printing()
  lu.assertEquals(tostring(nn.GRUCell(3, 4, {bias = false})), "GRUCell(3, 4, bias=false)")
  lu.assertEquals(tostring(nn.RNNCell(3, 4, {nonlinearity = "relu"})),
    "RNNCell(3, 4, nonlinearity=relu)")
end

-- ---- the layer as its user sees it ----------------------------------------------------------

TestLayer = {}

local function count(module)
  local n = 0
  for _, p in ipairs(module:parameters()) do n = n + p:numel() end
  return n
end

function TestLayer.test_parameter_counts()
  lu.assertEquals(count(nn.RNN(32, 64)), 6272)
  lu.assertEquals(count(nn.LSTM(32, 64)), 25088)
  lu.assertEquals(count(nn.GRU(32, 64)), 18816)
end

function TestLayer.test_printing()
  lu.assertEquals(tostring(nn.RNN(32, 64, {batch_first = true})), "RNN(32, 64, batch_first=true)")
  lu.assertEquals(tostring(nn.LSTM(3, 4, {num_layers = 2, proj_size = 2, zoneout = {c = 0.5}})),
    "LSTM(3, 4, num_layers=2, proj_size=2, zoneout={h=0, c=0.5})")
  lu.assertEquals(tostring(nn.GRU(3, 4, {reset = "before", bidirectional = true})),
    "GRU(3, 4, bidirectional=true, reset=before)")
end

function TestLayer.test_shapes()
  local rnn = nn.RNN(32, 64, {num_layers = 3, batch_first = true})
  local out, hn = rnn(saros.rand(16, 100, 32))
  lu.assertEquals(tostring(out.shape), "[16, 100, 64]")
  lu.assertEquals(tostring(hn.shape), "[3, 16, 64]")
  out, hn = rnn(saros.rand(100, 32))
  lu.assertEquals(tostring(out.shape), "[100, 64]")
  lu.assertEquals(tostring(hn.shape), "[3, 64]")
  local lstm = nn.LSTM(3, 4, {bidirectional = true, proj_size = 2})
  local y, state, cells_of_all = lstm(saros.rand(5, 2, 3), nil, {cells = true})
  lu.assertEquals(tostring(y.shape), "[5, 2, 4]")
  lu.assertEquals(tostring(state[1].shape), "[2, 2, 2]")
  lu.assertEquals(tostring(state[2].shape), "[2, 2, 4]")
  lu.assertEquals(tostring(cells_of_all.shape), "[5, 2, 8]")
end

function TestLayer.test_options_changed_later()
  local x = saros.rand(2, 7, 3)
  local gru = nn.GRU(3, 4)
  gru.batch_first = true
  lu.assertEquals(select(2, gru(x)).shape, {1, 2, 4})
  local lstm = nn.LSTM(3, 4)
  local plain = lstm(x)
  lstm.zoneout = 0.5
  lu.assertTrue((lstm(x) - plain):abs():max():item() > 1e-3)
  lstm.zoneout = 0
  lstm.recurrent_dropout = 0.9
  lu.assertTrue((lstm(x) - lstm(x)):abs():max():item() > 1e-3)
  lu.assertTrue((lstm:eval()(x) - plain):abs():max():item() < 1e-6)
end

function TestLayer.test_empty_batch()
  for _, o in ipairs {{}, {zoneout = 0.1}, {layer_norm = true}, {recurrent_dropout = 0.5}} do
    lu.assertEquals(nn.GRU(3, 4, o)(saros.rand(5, 0, 3)).shape, {5, 0, 4})
  end
end

function TestLayer.test_backward_in_eval_mode()
  local gru = nn.GRU(3, 4, {num_layers = 2, dropout = 0.5}):eval()
  gru(saros.rand(5, 2, 3)):sum():backward()
  lu.assertTrue(gru.weight_hh_l0.grad:abs():sum():item() > 0)
  gru:flatten_parameters()
end

function TestLayer.test_dropout_between_layers()
  saros.manual_seed(5)
  local lstm = nn.LSTM(8, 8, {num_layers = 2, dropout = 0.5})
  local x = saros.rand(4, 2, 8)
  local a, b = lstm(x), lstm(x)
  lu.assertTrue((a - b):abs():max():item() > 1e-4)
  lstm:eval()
  lu.assertEquals(lstm(x):totable(), lstm(x):totable())
end

-- Neither stacks nor counters overflow; the gradient of a long way is finite.
function TestLayer.test_100000_steps()
  for _, kind in ipairs {"RNN", "LSTM", "GRU"} do
    local layer = nn[kind](1, 2)
    local x = saros.rand(100000, 1, 1, {requires_grad = true})
    local out = layer(x)
    out:sum():backward()
    lu.assertTrue(out:isfinite():all():item())
    lu.assertTrue(x.grad:isfinite():all():item())
    lu.assertTrue(layer.weight_hh_l0.grad:isfinite():all():item())
  end
end

function TestLayer.test_side_by_side_is_the_same()
  saros.manual_seed(1)
  local lstm = nn.LSTM(64, 64, {bidirectional = true, num_layers = 2})
  local x = saros.rand(50, 16, 64)
  local results = {}
  local threads = saros.get_num_threads()
  for n = 1, 2 do
    saros.set_num_threads(n)
    lstm:zero_grad()
    local out = lstm(x)
    out:sum():backward()
    results[n] = {out:totable(), lstm.weight_hh_l1_reverse.grad:totable()}
  end
  saros.set_num_threads(threads)
  lu.assertEquals(results[1], results[2])
end

-- ---- errors -----------------------------------------------------------------------------------

local x3 = saros.rand(5, 2, 3)

local wrong = {
  {function() nn.LSTM(3, 4, {proj_size = 4}) end, "nn.LSTM", "proj_size", "4"},
  {function() nn.LSTM(3, 4, {proj_size = -1}) end, "proj_size", "-1"},
  {function() nn.GRU(3, 4, {proj_size = 2}) end, "nn.GRU", "proj_size"},
  {function() nn.RNN(3, 4, {zoneout = 2}) end, "zoneout", "2"},
  {function() nn.RNN(3, 4, {zoneout = {c = 0.1}}) end, "zoneout", "'c'"},
  {function() nn.LSTM(3, 4, {recurrent_dropout = -0.5}) end, "recurrent_dropout", "-0.5"},
  {function() nn.GRU(3, 4, {reset = "never"}) end, "reset", "never", "before"},
  {function() nn.LSTM(3, 4, {forget_bias = 1, bias = false}) end, "forget_bias", "bias"},
  {function() nn.LSTM(3, 4, {peephole = true}) end, "peephole", "peepholes"},
  {function() nn.GRU(3, 4)(x3, nil, {cells = true}) end, "GRU", "no cell state"},
  {function() nn.LSTM(3, 4)(x3, nil, {cell = true}) end, "cell", "cells"},
  {function() nn.LSTM(3, 4, {proj_size = 2})(x3, {saros.zeros(1, 2, 4), saros.zeros(1, 2, 4)}) end,
   "h0 (1, 2, 2)", "(1, 2, 4)"},
  {function() nn.LSTM(3, 4)(x3, {saros.zeros(1, 2, 4), saros.zeros(1, 2, 3)}) end,
   "c0 (1, 2, 4)", "(1, 2, 3)"},
  {function() nn.GRU(3, 4)(x3:double()) end, "GRU", "float64", "float32"},
  {function() nn.GRU(3, 4, {layer_norm = true})(x3:double()) end, "float64", "float32"},
  {function() nn.RNNCell(3, 4)(x3) end, "RNNCell", "(5, 2, 3)"},
  {function() nn.RNNCell(3, 4)(x3[1], saros.zeros(1, 4)) end, "h0 (2, 4)", "(1, 4)"},
  {function() nn.LSTMCell(3, 4)(x3[1], saros.zeros(2, 4)) end, "{h, c}"},
  {function() nn.GRUCell(0, 4) end, "nn.GRUCell", "input_size"},
  {function() nn.LSTM(3, 4)(x3, saros.zeros(1, 2, 4), saros.zeros(1, 2, 4)) end, "{h, c}"},
}

function TestLayer.test_errors()
  for k, case in ipairs(wrong) do
    local ok, message = pcall(case[1])
    lu.assertFalse(ok, "case " .. k)
    for i = 2, #case do lu.assertStrContains(tostring(message), case[i]) end
  end
end

os.exit(lu.LuaUnit.run())
