-- nn.utils.rnn: batches of sequences of different lengths, padded and packed.
--
--   padded {{1,2,3,4,5}, {6,7,8,0,0}, {9,0,0,0,0}}, lengths {5, 3, 1}, packed:
--   data {1,6,9, 2,7, 3,8, 4, 5}, batch_sizes {3, 2, 2, 1, 1}
--
-- Every function here moves rows from one layout to another (core.repack). Sequences of
-- length 0 are allowed. Gradients flow through all of them.

local core = require "saros.core"
local options = require "saros.options"
local packed_sequence = require "saros.nn.packed_sequence"

local is_tensor, fail, show = core.is_tensor, options.fail, options.show
local integers, parts_of = packed_sequence.integers, packed_sequence.parts_of

---@class saros.nn.utils.rnn
local rnn = {PackedSequence = packed_sequence.PackedSequence}

--- Is it a PackedSequence?
---@param value any
---@return boolean
function rnn.is_packed(value) return packed_sequence.is_packed(value) end

-- ---- arguments -----------------------------------------------------------------------------

local function layout_of(batch_first) return batch_first and "batch_first" or "time_first" end

-- Steps and sequences of a padded batch.
local function padded_sizes(where, padded, batch_first)
  if not is_tensor(padded) or padded:dim() < 2 then
    fail("%s: a padded batch (%s, ..) expected, got %s", where,
      batch_first and "batch, seq" or "seq, batch", show(padded))
  end
  if batch_first then return padded:size(2), padded:size(1) end
  return padded:size(1), padded:size(2)
end

-- Lengths of the sequences of a padded batch, as an int64 tensor on the CPU.
local function check_lengths(where, lengths, padded, batch_first)
  local steps, batch = padded_sizes(where, padded, batch_first)
  local checked = integers(where, "lengths", lengths)
  if checked:size(1) ~= batch then
    fail("%s: %d lengths for %d sequences (input %s, batch_first = %s)", where, checked:size(1),
      batch, padded.shape, batch_first)
  end
  for i, length in ipairs(checked:totable()) do
    if length < 0 or length > steps then
      fail("%s: lengths[%d] is %d, not in 0..%d, the steps of the input %s (batch_first = %s)",
        where, i, length, steps, padded.shape, batch_first)
    end
  end
  return checked
end

local function check_sorted(where, lengths)
  local list = lengths:totable()
  for i = 2, #list do
    if list[i] > list[i - 1] then
      fail("%s: lengths must be sorted in decreasing order when enforce_sorted is true, got %d "
        .. "after %d; {enforce_sorted = false} sorts them", where, list[i], list[i - 1])
    end
  end
end

-- The sequences of a list one behind the other, and their lengths.
local function chain(where, sequences)
  if type(sequences) ~= "table" or getmetatable(sequences) ~= nil or sequences[1] == nil then
    fail("%s: a list of tensors expected, got %s", where,
      type(sequences) == "table" and next(sequences) == nil and "an empty one" or show(sequences))
  end
  local lengths, first = {}, sequences[1]
  for i = 1, #sequences do
    local x = sequences[i]
    if not is_tensor(x) or x:dim() == 0 then
      fail("%s: item %d must be a tensor (length, ..), got %s", where, i, show(x))
    end
    local same = x:dim() == first:dim() and x.dtype == first.dtype
    for d = 2, x:dim() do same = same and x:size(d) == first:size(d) end
    if not same then
      fail("%s: item %d is %s %s, item 1 is %s %s: only the first size may differ", where, i,
        x.dtype, x.shape, first.dtype, first.shape)
    end
    lengths[i] = x:size(1)
  end
  return core.cat(sequences, 1), core.tensor(lengths, {dtype = "int64", device = "cpu"})
end

-- ---- padded and packed -----------------------------------------------------------------------

-- x, in the layout `from`, as a PackedSequence.
local function pack(where, x, from, lengths, enforce_sorted)
  if enforce_sorted then check_sorted(where, lengths) end
  local sizes, sorted = core.packing_of(where, lengths, not enforce_sorted)
  local batch = lengths:size(1)
  local data = core.repack(where, x, from, "packed", sizes, sorted, batch)
  return packed_sequence.make(data, sizes, sorted, batch)
end

local read_pack_padded = options.signature("pack_padded_sequence",
  {{"batch_first", "boolean", false}, {"enforce_sorted", "boolean", true}})

--- A padded batch without its padding.
---@param input saros.Tensor (T, B, ..), or (B, T, ..) with batch_first
---@param lengths integer[]|saros.Tensor B lengths, 0 to T; an int64 tensor may be on any device
---@param ... any batch_first = false, enforce_sorted = true: the lengths do not grow; false sorts
---@return saros.nn.PackedSequence
function rnn.pack_padded_sequence(input, lengths, ...)
  local where, o = "pack_padded_sequence", read_pack_padded(...)
  local checked = check_lengths(where, lengths, input, o.batch_first)
  return pack(where, input, layout_of(o.batch_first), checked, o.enforce_sorted)
end

local read_pad_packed = options.signature("pad_packed_sequence", {
  {"batch_first", "boolean", false}, {"padding_value", "number|nan", 0},
  {"total_length", "integer?"},
})

--- The way back: a padded batch, in the original order of its sequences.
---@param packed saros.nn.PackedSequence
---@param ... any batch_first = false, padding_value = 0, total_length: steps, at least the longest
---@return saros.Tensor padded (T, B, ..), or (B, T, ..) with batch_first
---@return saros.Tensor lengths (B) int64 on the CPU
function rnn.pad_packed_sequence(packed, ...)
  local where, o = "pad_packed_sequence", read_pad_packed(...)
  local data, sizes, sorted, batch = parts_of(where, packed)
  local steps = sizes:size(1)
  if o.total_length and o.total_length < steps then
    fail("%s: total_length must be at least the length of the longest sequence, %d, got %d", where,
      steps, o.total_length)
  end
  local padded = core.repack(where, data, "packed", layout_of(o.batch_first), sizes, sorted, batch,
    o.total_length or steps, o.padding_value)
  return padded, core.packing_lengths(where, sizes, sorted, batch)
end

-- ---- lists of sequences ----------------------------------------------------------------------

local read_pad = options.signature("pad_sequence",
  {{"batch_first", "boolean", false}, {"padding_value", "number|nan", 0}})

--- Sequences of different lengths as one padded batch.
---@param sequences saros.Tensor[] each (length, ..)
---@param ... any batch_first = false, padding_value = 0
---@return saros.Tensor (T, B, ..), or (B, T, ..) with batch_first; T is the largest length
function rnn.pad_sequence(sequences, ...)
  local where, o = "pad_sequence", read_pad(...)
  local x, lengths = chain(where, sequences)
  local sizes, sorted = core.packing_of(where, lengths, true)
  return core.repack(where, x, "chained", layout_of(o.batch_first), sizes, sorted, #sequences,
    sizes:size(1), o.padding_value)
end

local read_pack = options.signature("pack_sequence", {{"enforce_sorted", "boolean", true}})

--- Sequences of different lengths as a PackedSequence.
---@param sequences saros.Tensor[] each (length, ..)
---@param ... any enforce_sorted = true: they come longest first; false sorts them
---@return saros.nn.PackedSequence
function rnn.pack_sequence(sequences, ...)
  local where, o = "pack_sequence", read_pack(...)
  local x, lengths = chain(where, sequences)
  return pack(where, x, "chained", lengths, o.enforce_sorted)
end

local read_unpad = options.signature("unpad_sequence", {{"batch_first", "boolean", false}})

--- The sequences of a padded batch, each with its own length (parts of a copy).
---@param padded saros.Tensor (T, B, ..), or (B, T, ..) with batch_first
---@param lengths integer[]|saros.Tensor B lengths, 0 to T
---@param ... any batch_first = false
---@return saros.Tensor[] each (length, ..)
function rnn.unpad_sequence(padded, lengths, ...)
  local where, o = "unpad_sequence", read_unpad(...)
  local checked = check_lengths(where, lengths, padded, o.batch_first)
  local sizes, sorted = core.packing_of(where, checked, true)
  local x = core.repack(where, padded, layout_of(o.batch_first), "chained", sizes, sorted,
    checked:size(1))
  return x:split(checked:totable(), 1)
end

--- The sequences of a PackedSequence, in their original order.
---@param packed saros.nn.PackedSequence
---@return saros.Tensor[] each (length, ..)
function rnn.unpack_sequence(packed)
  local where = "unpack_sequence"
  local data, sizes, sorted, batch = parts_of(where, packed)
  local x = core.repack(where, data, "packed", "chained", sizes, sorted, batch)
  return x:split(core.packing_lengths(where, sizes, sorted, batch):totable(), 1)
end

return rnn
