-- Wrong calls of nn.utils.rnn and of what works, or does not, on a PackedSequence.
package.path = (arg[0]:match("^(.*)/") or "./") .. "/?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local wrong = require "wrong_calls"
local nn = saros.nn
local rnn, F = nn.utils.rnn, nn.functional

-- Data (10, ..).
local function packed_random(...)
  return rnn.pack_padded_sequence(saros.randn(5, 4, ...), {2, 0, 5, 3}, {enforce_sorted = false})
end

local p = packed_random(6)
local other = rnn.pack_padded_sequence(saros.randn(5, 4, 6), {5, 3, 2, 1})
local elsewhere = rnn.pack_padded_sequence(saros.randn(5, 4, 6), {5, 0, 2, 3},
  {enforce_sorted = false})
local x = saros.ones(5, 3, 2)
local huge = 1 << 62

TestWrongPack = wrong.tests {
  {"nothing", function() rnn.pack_padded_sequence() end, "pack_padded_sequence", "nil"},
  {"number", function() rnn.pack_padded_sequence(3, {1}) end, "padded batch", "number 3"},
  {"packed", function() rnn.pack_padded_sequence(p, {1}) end, "padded batch", "PackedSequence"},
  {"vector", function() rnn.pack_padded_sequence(saros.ones(3), {1}) end, "padded", "[3]"},
  {"no_lengths", function() rnn.pack_padded_sequence(x) end, "lengths", "nil"},
  {"lengths_number", function() rnn.pack_padded_sequence(x, 3) end, "lengths", "number 3"},
  {"lengths_few", function() rnn.pack_padded_sequence(x, {3}) end, "1 lengths", "3 sequences"},
  {"lengths_many", function() rnn.pack_padded_sequence(x, {3, 2, 1, 1}) end, "4 lengths"},
  {"lengths_wrong_dim", function()
    rnn.pack_padded_sequence(x, {3, 2, 1}, {batch_first = true})
  end, "3 lengths for 5 sequences", "batch_first = true"},
  {"too_long", function() rnn.pack_padded_sequence(x, {6, 2, 1}) end, "lengths[1] is 6", "0..5"},
  {"negative", function() rnn.pack_padded_sequence(x, {3, 2, -1}) end, "lengths[3] is -1"},
  {"huge", function() rnn.pack_padded_sequence(x, {huge, 2, 1}) end, "lengths[1]"},
  {"fraction", function() rnn.pack_padded_sequence(x, {3, 2.5, 1}) end, "lengths", "2.5"},
  {"nan", function() rnn.pack_padded_sequence(x, {3, 0 / 0, 1}) end, "lengths", "NaN"},
  {"string", function() rnn.pack_padded_sequence(x, {3, "2", 1}) end, "lengths", "string '2'"},
  {"float_tensor", function()
    rnn.pack_padded_sequence(x, saros.tensor {3.0, 2.0, 1.0})
  end, "lengths", "float32"},
  {"matrix", function()
    rnn.pack_padded_sequence(x, saros.tensor {{3, 2, 1}})
  end, "lengths", "[1, 3]"},
  {"not_sorted", function()
    rnn.pack_padded_sequence(x, {2, 3, 1})
  end, "sorted in decreasing order", "3 after 2", "enforce_sorted = false"},
  {"typo", function() rnn.pack_padded_sequence(x, {3, 2, 1}, {batchfirst = true}) end,
    "'batch_first'"},
  {"list_nil", function() rnn.pack_sequence() end, "pack_sequence", "nil"},
  {"list_empty", function() rnn.pack_sequence({}) end, "pack_sequence", "empty"},
  {"list_tensor", function() rnn.pad_sequence(x) end, "pad_sequence", "tensor [5, 3, 2]"},
  {"list_numbers", function() rnn.pad_sequence({1, 2}) end, "item 1", "number 1"},
  {"list_scalar", function() rnn.pad_sequence({saros.tensor(1)}) end, "item 1", "[]"},
  {"list_widths", function()
    rnn.pad_sequence({x, saros.ones(2, 3, 4)})
  end, "item 2", "[2, 3, 4]"},
  {"list_dims", function() rnn.pack_sequence({x, saros.ones(2, 3)}) end, "item 2", "[2, 3]"},
  {"list_dtypes", function() rnn.pack_sequence({x, x:double()}) end, "item 2", "float64"},
  {"list_not_sorted", function()
    rnn.pack_sequence({saros.ones(1), saros.ones(2)})
  end, "pack_sequence", "sorted"},
  {"unpad_long", function() rnn.unpad_sequence(x, {5, 5, 6}) end, "unpad_sequence", "lengths[3]"},
  {"nine_dims", function()
    rnn.pad_sequence({saros.ones(2, 1, 1, 1, 1, 1, 1, 1)})
  end, "pad_sequence", "9 dimensions"},
}

TestWrongPad = wrong.tests {
  {"nothing", function() rnn.pad_packed_sequence() end, "PackedSequence expected", "nil"},
  {"tensor", function() rnn.pad_packed_sequence(x) end, "PackedSequence expected", "[5, 3, 2]"},
  {"table", function() rnn.unpack_sequence({data = x}) end, "PackedSequence expected", "table"},
  {"short", function() rnn.pad_packed_sequence(p, {total_length = 4}) end, "longest", "got 4"},
  {"negative", function() rnn.pad_packed_sequence(p, {total_length = -1}) end, "total_length"},
  {"huge", function() rnn.pad_packed_sequence(p, {total_length = huge}) end, "pad_packed_sequence"},
  {"large", function() rnn.pad_packed_sequence(p, {total_length = 1 << 40}) end, "memory"},
  {"value", function() rnn.pad_packed_sequence(p, {padding_value = "0"}) end, "padding_value"},
  {"integer_value", function()
    rnn.pad_packed_sequence(p:long(), {padding_value = math.huge})
  end, "inf"},
  {"changed_sizes", function()
    local q = p * 1
    q.batch_sizes = saros.tensor {3, 3, 3}
    rnn.pad_packed_sequence(q)
  end, "3 batch_sizes sum to 9", "[10, 6]"},
  {"changed_data", function()
    local q = p * 1
    q.data = 3
    rnn.pad_packed_sequence(q)
  end, "must be a tensor"},
  {"changed_order", function()
    local q = p * 1
    q.sorted_indices = saros.tensor {1, 2, 2, 4}
    rnn.pad_packed_sequence(q)
  end, "sorted_indices", "once", "2"},
  {"changed_batch", function()
    local q = p * 1
    q.batch = -1
    rnn.pad_packed_sequence(q)
  end, "pad_packed_sequence", "-1"},
}

local function parts(...)
  local given = table.pack(...)
  return function() rnn.PackedSequence(table.unpack(given, 1, given.n)) end
end
local data = saros.ones(4, 2)

TestWrongParts = {}
for name, item in pairs {
  nothing = {parts(), "data", "missing"}, no_sizes = {parts(data), "batch_sizes", "missing"},
  data_table = {parts({1, 2}, {2}), "PackedSequence"},
  sum = {parts(data, {2, 1}), "2 batch_sizes sum to 3", "[4, 2]"},
  grows = {parts(data, {1, 3}), "not grow", "3 at step 2"},
  zero = {parts(data, {4, 0}), "positive", "0 at step 2"},
  negative = {parts(data, {5, -1}), "positive", "-1"},
  overflow = {parts(data, {huge, huge}), "sequences of 2 steps"},
  floats = {parts(data, saros.tensor {3.0, 1.0}), "batch_sizes", "float32"},
  fraction = {parts(data, {2.5, 1.5}), "batch_sizes", "2.5"},
  matrix = {parts(data, saros.tensor {{3, 1}}), "batch_sizes", "[1, 2]"},
  scalar_data = {parts(saros.tensor(1), {1}), "sum to 1", "[]"},
  order_twice = {parts(data, {3, 1}, {1, 1, 2}), "sorted_indices", "1 at 2"},
  order_zero = {parts(data, {3, 1}, {0, 1, 2}), "sorted_indices", "0 at 1"},
  order_short = {parts(data, {3, 1}, {2, 1}), "at most the batch of 2", "3"},
  inverse = {parts(data, {3, 1}, {2, 3, 1}, {2, 3, 1}), "inverse"},
  batch = {parts(data, {3, 1}, {batch = 2}), "at most the batch of 2"},
  batch_order = {parts(data, {3, 1}, {1, 2, 3}, {batch = 4}), "3 sorted_indices", "batch of 4"},
} do
  TestWrongParts["test_" .. name] = function()
    for k = 2, #item do support.assert_error(item[k], item[1]) end
  end
end

TestWrongRows = wrong.tests {
  {"batch_norm", function() nn.BatchNorm1d(6)(p) end, "BatchNorm1d", "take its data", "pad it"},
  {"flatten", function() nn.Flatten()(p) end, "flatten", "take its data"},
  {"cat", function() saros.cat({p, p}) end, "cat", "take its data"},
  {"sum", function() saros.sum(p) end, "sum", "take its data"},
  {"matmul", function() saros.matmul(p, saros.ones(6, 6)) end, "matmul", "take its data"},
  {"method", function() p:view(60) end, "'view'", "packed.data:view"},
  {"softmax_first", function() nn.Softmax(1)(p) end, "softmax", "dimension 1", "[10, 6]"},
  {"softmax_from_end", function() F.log_softmax(p, -2) end, "log_softmax", "dimension 1"},
  {"softmax_named", function() p:softmax {dim = 1} end, "softmax", "dimension 1"},
  {"softmax_vector", function() nn.Softmax()(packed_random()) end, "softmax", "dimension 1"},
  {"layer_norm_all", function() F.layer_norm(p, {10, 6}) end, "layer_norm", "dimension 1"},
  {"linear_width", function() nn.Linear(5, 2)(p) end, "linear", "[10, 6]"},
  {"packed_weight", function() F.linear(p, p) end, "linear", "argument 2"},
  {"packed_table", function() saros.embedding(p, p:long()) end, "embedding", "argument 1"},
  {"sizes_differ", function() return p + other end, "batch_sizes", "[4, 3, 2, 1, 1]"},
  {"sorted_differently", function() return p + elsewhere end, "sorted differently"},
  {"wider", function() return p + saros.ones(2, 10, 6) end, "[10, 6]", "[2, 10, 6]"},
  {"more_rows", function()
    return rnn.pack_sequence({saros.ones(1, 2)}) + saros.ones(3, 2)
  end, "1 rows", "[3, 2]"},
  {"other_dims", function() return p * packed_random() end, "[10, 6]", "[10]"},
  {"nil", function() return p + nil end, "nil"},
  {"string", function() return p * "2" end, "string"},
  {"loss_sizes", function()
    nn.MSELoss()(p, other)
  end, "different batch_sizes"},
  {"loss_batches", function()
    local q = p * 1
    q.batch = 7
    nn.MSELoss()(p, q)
  end, "4 and 7"},
  {"loss_plain_prediction", function() nn.MSELoss()(p.data, p) end, "target", "take its data"},
  {"loss_rows", function()
    nn.CrossEntropyLoss()(p, saros.tensor {1, 2})
  end, "cross_entropy", "[2]"},
  {"apply_nothing", function() p:apply() end, "apply", "nil"},
  {"apply_rows", function() p:apply(function(d) return d:sum() end) end, "10 rows", "[]"},
  {"apply_number", function() p:apply(function() return 1 end) end, "10 rows", "number 1"},
  {"apply_dot", function() p.apply(saros.tanh) end, "PackedSequence expected", "function"},
  {"to_nonsense", function() p:to("nowhere") end, "nowhere"},
}

os.exit(lu.LuaUnit.run())
