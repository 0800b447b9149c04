-- nn.utils.rnn: every layout against plain loops, golden cases, gradients, sequences of
-- length 0; memory.
package.path = (arg[0]:match("^(.*)/") or "./") .. "/?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local gradcheck = require "gradcheck"
local support = require "support"
local nn = saros.nn
local rnn = nn.utils.rnn
local assert_same = support.assert_same

local example = saros.tensor {{1, 2, 3, 4, 5}, {6, 7, 8, 0, 0}, {9, 0, 0, 0, 0}}

-- ---- the layouts, by plain loops -----------------------------------------------------------

-- Sequences of the given lengths with rows of `row` sizes, all elements different.
local function sequences_of(lengths, row, dtype)
  local list, count = {}, 0
  for i, length in ipairs(lengths) do
    local shape = {length, table.unpack(row)}
    local n = saros.zeros(shape):numel()
    list[i] = saros.arange(count + 1, count + n + 1):view(shape):to(dtype)
    count = count + n
  end
  return list
end

-- Positions of the longest first; of equal ones the first.
local function order_of(lengths)
  local order = {}
  for i = 1, #lengths do order[i] = i end
  table.sort(order, function(a, b)
    if lengths[a] ~= lengths[b] then return lengths[a] > lengths[b] end
    return a < b
  end)
  return order
end

-- Packed rows, batch sizes and order of a list of sequences.
local function packed_by_loops(list)
  local lengths, rows, sizes = {}, {}, {}
  for i, x in ipairs(list) do lengths[i] = x:size(1) end
  local order = order_of(lengths)
  for t = 1, lengths[order[1]] or 0 do
    sizes[t] = 0
    for _, i in ipairs(order) do
      if lengths[i] >= t then
        rows[#rows + 1], sizes[t] = list[i][t], sizes[t] + 1
      end
    end
  end
  return rows, sizes, order
end

local function padded_by_loops(list, steps, batch_first, value)
  local shape = {steps, #list, table.unpack(list[1].shape, 2)}
  local padded = saros.full(shape, value, {dtype = "float64"}):to(list[1].dtype)
  for i, x in ipairs(list) do
    for t = 1, x:size(1) do padded[{t, i}] = x[t] end
  end
  return batch_first and padded:transpose(1, 2):contiguous() or padded
end

-- Each with steps of the padded batch.
local shapes = {
  {{5, 3, 1}, 5}, {{1, 3, 5, 3}, 5}, {{2, 2, 2}, 2}, {{4}, 6}, {{0, 3, 0, 2}, 4}, {{3, 0}, 3},
  {{0, 0}, 0}, {{0, 0}, 3}, {{1, 1}, 1}, {{7, 2, 9, 9, 0, 1, 3, 9}, 11},
}

local function each_case(call)
  for _, case in ipairs(shapes) do
    for _, row in ipairs {{}, {3}, {2, 3}, {2, 0}} do
      for _, dtype in ipairs {"float32", "float64", "int64", "bool"} do
        for _, batch_first in ipairs {false, true} do
          call(sequences_of(case[1], row, dtype), case[1], case[2], batch_first)
        end
      end
    end
  end
end

local function is_sorted(lengths)
  for i = 2, #lengths do
    if lengths[i] > lengths[i - 1] then return false end
  end
  return true
end

local function longest(lengths) return math.max(table.unpack(lengths)) end

TestLayouts = {}

function TestLayouts.test_example()
  local packed = rnn.pack_padded_sequence(example, {5, 3, 1}, {batch_first = true})
  lu.assertEquals(packed.data:totable(), {1, 6, 9, 2, 7, 3, 8, 4, 5})
  lu.assertEquals(packed.batch_sizes:totable(), {3, 2, 2, 1, 1})
  lu.assertEquals(packed.batch, 3)
  lu.assertNil(packed.sorted_indices)
  lu.assertNil(packed.unsorted_indices)
  local padded, lengths = rnn.pad_packed_sequence(packed, {batch_first = true})
  assert_same(padded, example)
  lu.assertEquals(lengths:totable(), {5, 3, 1})
end

local function check_packed(packed, list, sorted)
  local rows, sizes, order = packed_by_loops(list)
  lu.assertEquals(packed.batch_sizes:totable(), sizes)
  lu.assertEquals(packed.batch, #list)
  local shape = {#rows, table.unpack(list[1].shape, 2)}
  lu.assertEquals(packed.data.dtype, list[1].dtype)
  lu.assertEquals({table.unpack(packed.data.shape)}, shape)
  if #rows > 0 then assert_same(packed.data, saros.stack(rows, 1)) end
  lu.assertEquals(packed.sorted_indices == nil, sorted)
  if sorted then return end
  lu.assertEquals(packed.sorted_indices:totable(), order)
  for k, i in ipairs(order) do lu.assertEquals(packed.unsorted_indices[i]:item(), k) end
end

function TestLayouts.test_packing()
  each_case(function(list, lengths, steps, batch_first)
    local padded = padded_by_loops(list, steps, batch_first, 1)
    for _, sorted in ipairs(is_sorted(lengths) and {true, false} or {false}) do
      local o = {batch_first = batch_first, enforce_sorted = sorted}
      check_packed(rnn.pack_padded_sequence(padded, lengths, o), list, sorted)
      check_packed(rnn.pack_sequence(list, {enforce_sorted = sorted}), list, sorted)
    end
  end)
end

function TestLayouts.test_padding()
  each_case(function(list, lengths, steps, batch_first)
    local packed = rnn.pack_sequence(list, {enforce_sorted = false})
    local function check(wanted_steps, value, padded, found)
      assert_same(padded, padded_by_loops(list, wanted_steps, batch_first, value))
      if found then lu.assertEquals(found:totable(), lengths) end
    end
    local o = {batch_first = batch_first}
    check(longest(lengths), 0, rnn.pad_packed_sequence(packed, o))
    check(longest(lengths), 0, rnn.pad_sequence(list, o))
    o.padding_value = 1
    check(longest(lengths), 1, rnn.pad_sequence(list, o))
    o.total_length = steps
    check(steps, 1, rnn.pad_packed_sequence(packed, o))
  end)
end

local function check_list(found, wanted)
  lu.assertEquals(#found, #wanted)
  for i, x in ipairs(wanted) do assert_same(found[i], x) end
end

function TestLayouts.test_lists()
  each_case(function(list, lengths, steps, batch_first)
    local padded = padded_by_loops(list, steps, batch_first, 1)
    check_list(rnn.unpad_sequence(padded, lengths, {batch_first = batch_first}), list)
    check_list(rnn.unpack_sequence(rnn.pack_sequence(list, {enforce_sorted = false})), list)
  end)
end

function TestLayouts.test_positional_options()
  local packed = rnn.pack_padded_sequence(example:t(), {1, 5, 3}, false, false)
  lu.assertEquals(packed.sorted_indices:totable(), {2, 3, 1})
  local padded = rnn.pad_packed_sequence(packed, true, -1, 6)
  lu.assertEquals(padded:totable(),
    {{1, -1, -1, -1, -1, -1}, {6, 7, 8, 0, 0, -1}, {9, 0, 0, -1, -1, -1}})
end

function TestLayouts.test_padding_values()
  local packed = rnn.pack_padded_sequence(example:double(), {1, 2, 1},
    {batch_first = true, enforce_sorted = false})
  for _, value in ipairs {-math.huge, 1e300, -0.5, 7} do
    local padded = rnn.pad_packed_sequence(packed, {padding_value = value})
    lu.assertEquals(padded:totable(), {{1, 6, 9}, {value, 7, value}})
  end
  local padded = rnn.pad_packed_sequence(packed, {padding_value = 0 / 0})
  lu.assertEquals(padded:isnan():totable(), {{false, false, false}, {true, false, true}})
end

function TestLayouts.test_lengths_as_tensor_and_of_views()
  local lengths = saros.tensor {{5, 0}, {3, 0}, {1, 0}}:select(2, 1)
  local wide = saros.stack({example, example + 100}, 3)
  local packed = rnn.pack_padded_sequence(wide:select(3, 1), lengths, {batch_first = true})
  lu.assertEquals(packed.data:totable(), {1, 6, 9, 2, 7, 3, 8, 4, 5})
  packed = packed:apply(function(x) return saros.stack({x, x}, 2):select(2, 2) end)
  assert_same(rnn.pad_packed_sequence(packed, {batch_first = true}), example)
end

function TestLayouts.test_no_sequences()
  local packed = rnn.pack_padded_sequence(saros.ones(4, 0, 3), {}, {enforce_sorted = false})
  lu.assertEquals(packed.batch, 0)
  lu.assertEquals({table.unpack(packed.data.shape)}, {0, 3})
  local padded, lengths = rnn.pad_packed_sequence(packed, {total_length = 2})
  lu.assertEquals({table.unpack(padded.shape)}, {2, 0, 3})
  lu.assertEquals(lengths:numel(), 0)
  lu.assertEquals(rnn.unpack_sequence(packed), {})
end

-- ---- golden ------------------------------------------------------------------------------

TestGolden = {}

for _, name in ipairs {
  "RNN_packed", "LSTM_packed", "GRU_packed", "RNN_packed_bi2", "LSTM_packed_bi2",
  "GRU_packed_bi2",
} do
  TestGolden["test_" .. name] = function()
    local case, metadata = saros.load("tests/golden/" .. name .. ".safetensors")
    local lengths = {}
    for length in metadata.case:match('"lengths": %[(.-)%]'):gmatch("%d+") do
      lengths[#lengths + 1] = math.tointeger(length)
    end
    local batch_first = metadata.case:find('"batch_first": true', 1, true) ~= nil
    local packed = rnn.pack_padded_sequence(case.x, lengths,
      {batch_first = batch_first, enforce_sorted = false})
    assert_same(packed.data, case["packed.data"])
    assert_same(packed.batch_sizes, case["packed.batch_sizes"])
    local output = packed:apply(function() return case["packed.out"] end)
    local padded, found = rnn.pad_packed_sequence(output, {batch_first = batch_first})
    assert_same(padded, case.y)
    lu.assertEquals(found:totable(), lengths)
  end
end

-- ---- gradients -----------------------------------------------------------------------------

TestGradients = {}

local function random(...) return saros.randn(..., {dtype = "float64"}) end

function TestGradients.test_all()
  saros.manual_seed(3)
  local lengths = {2, 0, 4, 2}
  for _, batch_first in ipairs {false, true} do
    local x = batch_first and random {4, 5, 2} or random {5, 4, 2}
    local o = {batch_first = batch_first}
    local function pack(padded)
      return rnn.pack_padded_sequence(padded, lengths, batch_first, false)
    end
    gradcheck.check_layouts("pack_padded_sequence", function(p) return pack(p).data end, {x})
    local packed = pack(x)
    gradcheck.check_layouts("pad_packed_sequence", function(data)
      return (rnn.pad_packed_sequence(packed:apply(function() return data end),
        {batch_first = batch_first, padding_value = 3, total_length = 6}))
    end, {packed.data})
    gradcheck.check_layouts("unpad_sequence", function(p)
      return table.unpack(rnn.unpad_sequence(p, lengths, o))
    end, {x})
    gradcheck.check_layouts("pad_sequence", function(...)
      return rnn.pad_sequence({...}, o)
    end, {random {2, 3}, random {4, 3}, random {1, 3}})
  end
  gradcheck.check_layouts("pack_sequence", function(...)
    return rnn.pack_sequence({...}, {enforce_sorted = false}).data
  end, {random {2, 3}, random {4, 3}, random {1, 3}})
  local packed = rnn.pack_padded_sequence(random {5, 4, 2}, lengths, {enforce_sorted = false})
  gradcheck.check_layouts("unpack_sequence", function(data)
    return table.unpack(rnn.unpack_sequence(packed:apply(function() return data end)))
  end, {packed.data})
end

function TestGradients.test_added_up_and_kept()
  local x = saros.randn(3, 2, {requires_grad = true})
  for _ = 1, 2 do
    local packed = rnn.pack_padded_sequence(x, {3, 1})
    local loss = packed.data:sum() + 2 * rnn.pad_packed_sequence(packed):sum()
    loss:backward()
  end
  lu.assertEquals(x.grad:totable(), {{6, 6}, {6, 0}, {6, 0}})
  lu.assertFalse(saros.no_grad(function()
    return rnn.pack_padded_sequence(x, {3, 1}).data.requires_grad
  end))
end

-- ---- memory --------------------------------------------------------------------------------

TestPackingMemory = {}

local function training_step()
  local input = saros.randn(20, 8, 16, {requires_grad = true})
  local packed = rnn.pack_padded_sequence(input, {20, 3, 0, 7, 9, 20, 1, 4},
    {enforce_sorted = false})
  local y = rnn.pad_packed_sequence(packed:tanh() * 2 + packed, {padding_value = 1})
  local list = rnn.unpack_sequence(packed)
  local loss = y:sum() + rnn.pad_sequence(list):sum() + nn.MSELoss()(packed, packed:detach())
  loss:backward()
  return loss
end

function TestPackingMemory.test_flat()
  local most = 0
  for i = 1, 3000 do
    training_step()
    if i == 500 then most = 0 end
    if i % 10 == 0 then most = math.max(most, saros.memory().live_bytes) end
  end
  lu.assertTrue(most < 16 * 2 ^ 20, most .. " bytes")
  for _ = 1, 3 do collectgarbage() end
  local before = saros.memory().live_blocks
  for _ = 1, 10 do training_step() end
  for _ = 1, 3 do collectgarbage() end
  lu.assertEquals(saros.memory().live_blocks, before)
end

function TestPackingMemory.test_every_allocation()
  local function collect()
    for _ = 1, 3 do collectgarbage() end
  end
  training_step()
  collect()
  local before = saros.memory().live_blocks
  local failed = support.each_failing_allocation(training_step, function()
    collect()
    lu.assertEquals(saros.memory().live_blocks, before)
  end)
  lu.assertTrue(failed > 50)
end

os.exit(lu.LuaUnit.run())
