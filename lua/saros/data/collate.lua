-- What makes a batch of items of different lengths.

local core = require "saros.core"
local options = require "saros.options"
local pad_sequences = require "saros.text.padding"

local fail, show = options.fail, options.show

local collate = {}

local read = options.reader("data.pad_collate", {
  {"padding_value", "number|nan", 0}, {"batch_first", "boolean", true},
})

local function parts_of(i, item)
  if type(item) ~= "table" then
    fail("data.pad_collate: item %d must be a list {label, ids}, got %s", i, show(item))
  end
  local label, ids = item[1], item[2]
  if core.is_tensor(label) and label:numel() == 1 then label = label:item() end
  if type(label) ~= "number" then
    fail("data.pad_collate: the label of item %d must be a number, got %s", i, show(item[1]))
  end
  if type(ids) ~= "table" and not core.is_tensor(ids) then
    fail("data.pad_collate: item %d must be a list {label, ids}, its ids are %s", i, show(ids))
  end
  return label, ids
end

--- A collate function for items {label, ids}: labels (B), the ids of each item filled up to
--- the longest, (B, T), and their lengths (B), as pack_padded_sequence takes them.
---
--- data.batches(set, {size = 16, collate = data.pad_collate()})
---@param opts? {padding_value: number, batch_first: boolean} padding_value: default 0, which
---   an embedding with padding_idx = 0 takes; torchtext's programs often fill up with the id
---   of a token instead; batch_first: default true, false gives (T, B)
---@return fun(items: table[]): saros.Tensor, saros.Tensor, saros.Tensor
function collate.pad_collate(opts)
  local o = read(opts)
  return function(items)
    local labels, sequences, lengths = {}, {}, {}
    for i, item in ipairs(items) do
      labels[i], sequences[i] = parts_of(i, item)
      lengths[i] = #sequences[i]
    end
    local padded = pad_sequences(sequences, {padding = "post", value = o.padding_value})
    if not o.batch_first then padded = padded:t():contiguous() end
    return core.tensor(labels), padded, core.tensor(lengths, {device = "cpu"})
  end
end

return collate
