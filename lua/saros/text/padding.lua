-- keras.preprocessing.sequence.pad_sequences: lists of different lengths as one tensor.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local where = "text.pad_sequences"

local read = options.signature(where, {
  {"maxlen", "integer?"}, {"padding", "string", "pre"}, {"truncating", "string", "pre"},
  {"value", "number|nan", 0}, {"dtype", "string?"},
})

local function as_list(i, sequence)
  if core.is_tensor(sequence) and sequence:dim() == 1 then return sequence:totable() end
  if type(sequence) ~= "table" then
    fail("%s: sequence %d must be a list of numbers or a tensor of 1 dimension, got %s", where, i,
      show(sequence))
  end
  return sequence
end

local function check_numbers(i, sequence)
  for k = 1, #sequence do
    if type(sequence[k]) ~= "number" then
      fail("%s: item %d of sequence %d must be a number, got %s", where, k, i, show(sequence[k]))
    end
  end
end

local function check(sequences, o)
  if type(sequences) ~= "table" or #sequences == 0 then
    fail("%s: a list of sequences expected, got %s", where,
      type(sequences) == "table" and "an empty one" or show(sequences))
  end
  options.one_of(where, "padding", o.padding, {"pre", "post"})
  options.one_of(where, "truncating", o.truncating, {"pre", "post"})
  if o.maxlen and o.maxlen < 1 then
    fail("%s: maxlen must be at least 1, got %d", where, o.maxlen)
  end
end

--- Lists of numbers as the rows of a tensor of shape (sequences, maxlen): shorter ones are
--- filled up with `value`, from longer ones a part is taken, each at the beginning ("pre",
--- as Keras does by default) or at the end ("post").
---
--- text.pad_sequences({{1, 2, 3}, {4}}) gives int64 {{1, 2, 3}, {0, 0, 4}}.
---@param sequences number[][]|saros.Tensor[]
---@param ... any maxlen (default the longest), padding = "pre", truncating = "pre", value = 0,
---   dtype (default int64 for integers, else the default one)
---@return saros.Tensor
return function(sequences, ...)
  local o = read(...)
  check(sequences, o)
  local lists, width = {}, 0
  for i, sequence in ipairs(sequences) do
    lists[i] = as_list(i, sequence)
    check_numbers(i, lists[i])
    width = math.max(width, #lists[i])
  end
  width = o.maxlen or width
  local rows = {}
  for i, list in ipairs(lists) do
    local length = math.min(#list, width)
    local first = o.truncating == "pre" and #list - length or 0
    local row = {}
    local offset = o.padding == "pre" and width - length or 0
    for k = 1, width do row[k] = o.value end
    rows[i] = table.move(list, first + 1, first + length, offset + 1, row)
  end
  if width == 0 then return core.zeros(#rows, 0, {dtype = o.dtype or "int64"}) end
  return core.tensor(rows, {dtype = o.dtype})
end
