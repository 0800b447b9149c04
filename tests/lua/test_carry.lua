-- State carried along a sequence: nn.detach, nn.reset_rows, data.batchify, data.tbptt.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local wrong = require "wrong_calls"
local nn, data = saros.nn, saros.data
local assert_close, assert_same = support.assert_close, support.assert_same

saros.manual_seed(1)

local double = {dtype = "float64"}
local function random(...) return saros.rand({...}, double) * 2 - 1 end
local function shares_storage(a, b)
  local before = a:view(-1)[1]:item()
  a:view(-1)[1] = before + 1
  local shared = b:view(-1)[1]:item() == before + 1
  a:view(-1)[1] = before
  return shared
end

-- Shaped like a packed sequence: tensors with a `data` field, changed through `apply`.
local Packed = {}
Packed.__index = Packed
local function pack(t) return setmetatable({data = t, batch_sizes = {2, 1}}, Packed) end
function Packed:apply(fn)
  local new = pack(fn(self.data))
  new.applied = true
  return new
end

-- ---- detach -------------------------------------------------------------------------

local TestDetach = {}

function TestDetach:test_nesting()
  local p = nn.Parameter(saros.ones(2))
  local state = {p * 2, {c = p * 3, k = 4, word = "x", on = true}, {encoder = {{p * 4}}}}
  local new = nn.detach(state)
  lu.assertEquals(new[1]:totable(), {2, 2})
  lu.assertEquals(new[2].c:totable(), {3, 3})
  lu.assertEquals(new[3].encoder[1][1]:totable(), {4, 4})
  lu.assertEquals({new[2].k, new[2].word, new[2].on}, {4, "x", true})
  for _, t in ipairs {new[1], new[2].c, new[3].encoder[1][1]} do
    lu.assertFalse(t.requires_grad)
    lu.assertNil(t.grad_fn)
  end
  lu.assertTrue(state[1].requires_grad, "the old nesting keeps its tensors")
  lu.assertTrue(shares_storage(new[2].c, state[2].c:detach()))
end

function TestDetach:test_tensor_and_nothing()
  local p = nn.Parameter(saros.ones(2))
  lu.assertFalse(nn.detach(p * 2).requires_grad)
  lu.assertNil(nn.detach(nil))
  lu.assertEquals(nn.detach {}, {})
end

function TestDetach:test_packed()
  local p = nn.Parameter(saros.ones(3, 2))
  local new = nn.detach {pack(p * 2)}
  lu.assertTrue(new[1].applied)
  lu.assertFalse(new[1].data.requires_grad)
  lu.assertEquals(new[1].data:sum():item(), 12)
end

function TestDetach:test_objects_keep_their_class()
  local State = {size = 2}
  State.__index = State
  local p = nn.Parameter(saros.ones(2))
  local new = nn.detach(setmetatable({h = p * 2}, State))
  lu.assertEquals(new.size, 2)
  lu.assertFalse(new.h.requires_grad)
end

-- ---- reset_rows ------------------------------------------------------------------------

local TestResetRows = {}

local h, c = random(2, 3, 4), random(2, 3, 4)

local function rows_of(t, row) return t:select(2, row) end

function TestResetRows:test_to_zero()
  for _, rows in ipairs {
    {1, 3}, {-3, -1}, {3, 1, 1}, saros.tensor {1, 3}, saros.tensor {true, false, true},
  } do
    local new = nn.reset_rows({h, c}, rows)
    for i, old in ipairs {h, c} do
      assert_same(rows_of(new[i], 1), saros.zeros(2, 4, double))
      assert_same(rows_of(new[i], 2), rows_of(old, 2))
      assert_same(rows_of(new[i], 3), saros.zeros(2, 4, double))
    end
  end
  lu.assertFalse(h:eq(0):any():item(), "the state itself does not change")
end

function TestResetRows:test_none_and_all()
  for _, rows in ipairs {{}, saros.zeros(3, {dtype = "bool"})} do
    assert_same(nn.reset_rows(h, rows), h)
  end
  assert_same(nn.reset_rows(h, {1, 2, 3}, 0.5), saros.full({2, 3, 4}, 0.5, double))
end

function TestResetRows:test_initial_values()
  local h0, c0 = random(2, 3, 4), random(2, 1, 4) -- c0 is one for all rows
  local new = nn.reset_rows({h, c}, {2}, {h0, c0})
  assert_same(rows_of(new[1], 2), rows_of(h0, 2))
  assert_same(rows_of(new[2], 2), rows_of(c0, 1))
  assert_same(rows_of(new[1], 1), rows_of(h, 1))
  assert_same(rows_of(new[2], 3), rows_of(c, 3))
  local same = nn.reset_rows({h, c}, {2}, h0)
  assert_same(rows_of(same[2], 2), rows_of(h0, 2))
  local mixed = nn.reset_rows({h = h, k = 7, deep = {c}}, {1}, {h = 1, deep = {h0}})
  assert_same(rows_of(mixed.h, 1), saros.ones(2, 4, double))
  assert_same(rows_of(mixed.deep[1], 1), rows_of(h0, 1))
  lu.assertEquals(mixed.k, 7)
end

function TestResetRows:test_state_of_a_cell()
  local new = nn.reset_rows(h[1], {2})
  assert_same(new[2], saros.zeros(4, double))
  assert_same(new[3], h[1][3])
end

function TestResetRows:test_gradients()
  local state, initial = h:clone():requires_grad_(), random(2, 3, 4):requires_grad_()
  local weight = random(2, 3, 4)
  local loss = (nn.reset_rows(state, {2}, initial) * weight):sum()
  loss:backward()
  local zero = saros.zeros(2, 4, double)
  assert_same(rows_of(state.grad, 1), rows_of(weight, 1))
  assert_same(rows_of(state.grad, 2), zero)
  assert_same(rows_of(initial.grad, 2), rows_of(weight, 2))
  assert_same(rows_of(initial.grad, 3), zero)
  state.grad = nil
  loss = (nn.reset_rows(state, {1}) * weight):sum()
  loss:backward()
  assert_same(rows_of(state.grad, 1), zero)
  assert_same(rows_of(state.grad, 3), rows_of(weight, 3))
end

-- What is thrown away does not matter, not even NaN.
function TestResetRows:test_rows_that_are_not_finite()
  local state = saros.tensor({{{0 / 0, 1 / 0}, {1, 2}}}, double):requires_grad_()
  local new = nn.reset_rows(state, {1})
  lu.assertEquals(new:totable(), {{{0, 0}, {1, 2}}})
  new:sum():backward()
  lu.assertEquals(state.grad:totable(), {{{0, 0}, {1, 1}}})
end

function TestResetRows:test_packed_sequences_have_no_rows()
  support.assert_error("nn.reset_rows: a packed sequence", nn.reset_rows, {pack(h)}, {1})
end

-- ---- batchify ------------------------------------------------------------------------------

local TestBatchify = {}

function TestBatchify:test_columns()
  local ids = data.batchify(saros.arange(1, 27), 4)
  lu.assertEquals(ids.dtype, "int64")
  lu.assertTrue(ids:is_contiguous())
  lu.assertEquals(ids:t():totable(), {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12},
    {13, 14, 15, 16, 17, 18}, {19, 20, 21, 22, 23, 24}})
  lu.assertEquals(data.batchify(saros.tensor {5, 6, 7}, 1):totable(), {{5}, {6}, {7}})
  lu.assertEquals(data.batchify(saros.tensor {5, 6, 7}, 3):totable(), {{5, 6, 7}})
  lu.assertEquals(data.batchify(saros.arange(1, 11):narrow(1, 2, 8), 2):totable(),
    {{2, 6}, {3, 7}, {4, 8}, {5, 9}})
end

-- ---- tbptt ----------------------------------------------------------------------------------

local TestTbptt = {}

function TestTbptt:test_windows()
  local ids = data.batchify(saros.arange(1, 15), 2) -- (7, 2)
  local seen = {}
  for input, target in data.tbptt(ids[{ {1, -2} }], ids[{ {2, -1} }], {steps = 4}) do
    seen[#seen + 1] = {input:t():totable(), target:t():totable()}
  end
  lu.assertEquals(seen, {
    {{{1, 2, 3, 4}, {8, 9, 10, 11}}, {{2, 3, 4, 5}, {9, 10, 11, 12}}},
    {{{5, 6}, {12, 13}}, {{6, 7}, {13, 14}}},
  })
end

local function lengths(...)
  local list = {}
  for x in data.tbptt(...) do list[#list + 1] = table.concat(x.shape, "x") end
  return table.concat(list, " ")
end

function TestTbptt:test_sizes()
  lu.assertEquals(lengths(saros.zeros(80, 2)), "35x2 35x2 10x2")
  lu.assertEquals(lengths(saros.zeros(6, 2, 3), {steps = 3}), "3x2x3 3x2x3")
  lu.assertEquals(lengths(saros.zeros(5), {steps = 9}), "5")
  lu.assertEquals(lengths(saros.zeros(5), {steps = 1}), "1 1 1 1 1")
  lu.assertEquals(lengths(saros.zeros(0, 2)), "")
  lu.assertEquals(lengths(saros.zeros(2, 5, 3), {steps = 4, batch_first = true}), "2x4x3 2x1x3")
  lu.assertEquals(lengths(saros.zeros(5), {steps = math.maxinteger}), "5")
end

function TestTbptt:test_loop_is_used_again()
  local loop = data.tbptt(saros.arange(7), saros.arange(7) * 2, saros.arange(7) * 3, {steps = 3})
  lu.assertEquals(#loop, 3)
  for _ = 1, 2 do
    local sums = {}
    for a, b, third in loop do
      sums[#sums + 1] = {a:sum():item(), b:sum():item(), third:sum():item()}
    end
    lu.assertEquals(sums, {{3, 6, 9}, {12, 24, 36}, {6, 12, 18}})
  end
end

function TestTbptt:test_windows_are_views()
  local x = saros.zeros(4, 2)
  for window in data.tbptt(x, {steps = 3}) do window:fill_(window:size(1)) end
  lu.assertEquals(x:totable(), {{3, 3}, {3, 3}, {3, 3}, {1, 1}})
end

function TestTbptt:test_draws_nothing()
  local before = saros.get_rng_state()
  for _ in data.tbptt(saros.zeros(9), {steps = 2}) do end
  lu.assertTrue(before == saros.get_rng_state())
end

-- Layers of every kind, with their state as a list of tensors.
local function layers(options)
  local list = {}
  for _, class in ipairs {"RNN", "LSTM", "GRU"} do
    list[#list + 1] = nn[class](3, 4, options)
  end
  return list
end

local function parts(state) return type(state) == "table" and state or {state} end

local function gradients(layer)
  local list = {}
  for name, p in layer:named_parameters() do
    list[#list + 1] = {name, p.grad}
    p.grad = nil
  end
  return list
end

-- Outputs and last state in windows with the state carried on are those of the whole, and so
-- are the gradients where the history goes on, too.
local function check_whole(layer, x, dim)
  local weight = random(table.unpack(layer(x).shape))
  local whole, last = layer(x)
  local loss = (whole * weight):sum()
  loss:backward()
  local wanted, x_grad = gradients(layer), x.grad
  x.grad = nil
  local outputs, state, total = {}, nil, 0
  for input, w in data.tbptt(x, weight, {steps = 3, batch_first = layer.batch_first}) do
    outputs[#outputs + 1], state = layer(input, state)
    total = total + (outputs[#outputs] * w):sum()
  end
  lu.assertEquals(#outputs, 3)
  assert_close(saros.cat(outputs, dim), whole, 1e-12, layer.mode)
  for i, t in ipairs(parts(state)) do assert_close(t, parts(last)[i], 1e-12, layer.mode) end
  total:backward()
  for i, found in ipairs(gradients(layer)) do
    assert_close(found[2], wanted[i][2], 1e-12, layer.mode .. " " .. found[1])
  end
  assert_close(x.grad, x_grad, 1e-12, layer.mode .. " x")
  x.grad = nil
end

function TestTbptt:test_windows_equal_the_whole()
  for _, layer in ipairs(layers {num_layers = 2, dtype = "float64"}) do
    check_whole(layer, random(7, 2, 3):requires_grad_(), 1)
  end
  for _, layer in ipairs(layers {batch_first = true, dtype = "float64"}) do
    check_whole(layer, random(2, 7, 3):requires_grad_(), 2)
  end
end

-- The gradient of a window is that of the window alone, from its state as a constant.
function TestTbptt:test_detached_state_ends_the_history()
  for _, layer in ipairs(layers(double)) do
    local x = random(6, 2, 3):requires_grad_()
    local first, second = x:detach():narrow(1, 1, 4), x:detach():narrow(1, 5, 2)
    local state
    for input in data.tbptt(x, {steps = 4}) do
      local output
      output, state = layer(input, nn.detach(state))
      output:sum():backward()
    end
    local found, x_grad = gradients(layer), x.grad
    local _, middle = saros.no_grad(function() return layer(first) end)
    local a, b = first:clone():requires_grad_(), second:clone():requires_grad_()
    local loss = layer(a):sum() + layer(b, middle):sum()
    loss:backward()
    for i, wanted in ipairs(gradients(layer)) do
      assert_close(found[i][2], wanted[2], 1e-12, layer.mode .. " " .. wanted[1])
    end
    assert_close(x_grad, saros.cat({a.grad, b.grad}, 1), 1e-12, layer.mode)
    loss = layer(x):sum()
    x.grad = nil
    loss:backward()
    local through = (x.grad:narrow(1, 1, 4) - a.grad):abs():max():item()
    lu.assertTrue(through > 1e-3, "the whole sequence has a longer history")
  end
end

function TestTbptt:test_golden()
  local case = support.golden("tbptt_lstm")
  local lstm, weights = nn.LSTM(3, 4, {num_layers = 2, dtype = "float64"}), {}
  for name in lstm:named_parameters() do weights[name] = case["weight." .. name] end
  lstm:load_state_dict(weights)
  local x, outputs, state = case.x:requires_grad_(), {}, nil
  for input, cot in data.tbptt(x, case["cot.y"], {steps = 3}) do
    state = nn.detach(state)
    if #outputs == 1 then state = nn.reset_rows(state, {2}) end
    local output
    output, state = lstm(input, state)
    outputs[#outputs + 1] = output
    output:backward(cot)
  end
  assert_close(saros.cat(outputs, 1), case.y, 1e-12)
  assert_close(state[1], case.hn, 1e-12)
  assert_close(state[2], case.cn, 1e-12)
  assert_close(x.grad, case["grad.x"], 1e-12)
  for name, p in lstm:named_parameters() do
    assert_close(p.grad, case["grad." .. name], 1e-12, name)
  end
end

-- ---- wrong calls --------------------------------------------------------------------------

local ring = {}
ring[1] = ring
local state = {saros.ones(1, 3, 4), saros.ones(1, 3, 4)}
local reset, tbptt, batchify = nn.reset_rows, data.tbptt, data.batchify
local x = saros.ones(5, 2)

local TestWrong = wrong.tests {
  {"detach_ring", function() nn.detach(ring) end, "nn.detach", "contains itself"},
  {"detach_module", function() nn.detach {h = nn.Linear(1, 1)} end, "nn.detach", "state.h",
    "module Linear"},
  {"reset_nothing", function() reset() end, "nn.reset_rows", "rows", "nil"},
  {"reset_no_rows", function() reset(state) end, "nn.reset_rows", "rows", "nil"},
  {"reset_number", function() reset(state, 1) end, "rows", "number 1"},
  {"reset_float_rows", function() reset(state, saros.ones(3)) end, "rows", "float32"},
  {"reset_mask_matrix", function() reset(state, saros.ones(3, 1):bool()) end, "rows", "[3, 1]"},
  {"reset_mask_length", function() reset(state, saros.ones(4):bool()) end, "4 rows", "state[1]",
    "[1, 3, 4]", "3"},
  {"reset_beyond", function() reset(state, {4}) end, "row 4", "1 to 3", "state[1] [1, 3, 4]"},
  {"reset_zero", function() reset(state, {0}) end, "row 0"},
  {"reset_least", function() reset(state, {math.mininteger}) end, "row -9223372036854775808"},
  {"reset_word", function() reset(state, {"1"}) end, "rows[1]", "'1'"},
  {"reset_fraction", function() reset(state, saros.tensor {1.5}) end, "float32"},
  {"reset_vector", function() reset({h = saros.ones(4)}, {1}) end, "state.h", "[4]"},
  {"reset_initial_shape", function() reset(state, {1}, {state[1], saros.ones(2, 3, 4)}) end,
    "initial[2] [2, 3, 4]", "state[2] [1, 3, 4]"},
  {"reset_initial_dtype", function() reset(state, {1}, state[1]:double()) end, "float64",
    "float32"},
  {"reset_initial_missing", function() reset(state, {1}, {state[1]}) end, "initial[2]", "nil"},
  {"reset_initial_word", function() reset(state, {1}, "zero") end, "initial[1]", "'zero'"},
  {"reset_initial_nesting", function() reset(state[1], {1}, state) end, "initial", "table"},
  {"reset_module", function() reset(nn.Linear(1, 1), {1}) end, "nn.reset_rows", "module Linear"},
  {"reset_ring", function() reset(ring, {1}) end, "nn.reset_rows", "contains itself"},
  {"batchify_nothing", function() batchify() end, "data.batchify", "ids", "nil"},
  {"batchify_list", function() batchify({1, 2}, 1) end, "data.batchify", "ids", "table"},
  {"batchify_matrix", function() batchify(x, 1) end, "data.batchify", "ids", "[5, 2]"},
  {"batchify_size", function() batchify(x[1], 3) end, "batch_size", "2", "3"},
  {"batchify_zero", function() batchify(x[1], 0) end, "batch_size", "0"},
  {"batchify_no_size", function() batchify(x[1]) end, "batch_size", "nil"},
  {"tbptt_nothing", function() tbptt() end, "data.tbptt", "sequence 1", "nil"},
  {"tbptt_options_alone", function() tbptt {steps = 3} end, "data.tbptt", "sequence 1", "table"},
  {"tbptt_second", function() tbptt(x, 3) end, "data.tbptt", "sequence 2", "3"},
  {"tbptt_hole", function() tbptt(x, nil, {steps = 3}) end, "data.tbptt", "sequence 2", "nil"},
  {"tbptt_lengths", function() tbptt(x, x[1]) end, "data.tbptt", "[5, 2]", "[2]"},
  {"tbptt_batch_first", function() tbptt(x, x[1], {batch_first = true}) end, "sequence 2", "[2]"},
  {"tbptt_scalar", function() tbptt(saros.tensor(1.0)) end, "sequence 1", "[]"},
  {"tbptt_steps", function() tbptt(x, {steps = 0}) end, "steps", "0"},
  {"tbptt_typo", function() tbptt(x, {step = 3}) end, "'steps'"},
  {"tbptt_list", function() tbptt(x, {3}) end, "data.tbptt", "3"},
}

support.run {
  TestDetach = TestDetach, TestResetRows = TestResetRows, TestBatchify = TestBatchify,
  TestTbptt = TestTbptt, TestWrong = TestWrong,
}
