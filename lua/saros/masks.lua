-- Masks of padded batches.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local masks = {}

local function check_max_length(max_length, lengths)
  local longest = lengths:numel() > 0 and lengths:max():item() or 0
  if lengths:numel() > 0 and lengths:min():item() < 0 then
    fail("sequence_mask: lengths must not be negative, got %d", lengths:min():item())
  end
  if max_length == nil then return longest end
  local integer = math.type(max_length) and math.tointeger(max_length)
  if not integer or integer < 0 then
    fail("sequence_mask: max_length must be an integer from 0 on, got %s", show(max_length))
  end
  if longest > integer then
    fail("sequence_mask: a length of %d is more than max_length %d", longest, integer)
  end
  return integer
end

local read_options = options.reader("sequence_mask", {{"max_length", "integer?"}})

--- Which positions of a padded batch belong to a sequence: true at (b, t) where t <= lengths[b].
---   saros.sequence_mask({3, 1}, 4) is {{true, true, true, false}, {true, false, false, false}}
---@param lengths integer[]|saros.Tensor (B) int64; 0 is a row without positions
---@param max_length? integer|{max_length: integer} T; default: the largest length
---@return saros.Tensor mask (B, T) bool, on the device of `lengths`
function masks.sequence_mask(lengths, max_length)
  if type(max_length) == "table" then max_length = read_options(max_length).max_length end
  local ends = options.integers("sequence_mask", "lengths", lengths)
  local before = core.arange(check_max_length(max_length, ends), {device = ends.device}) -- t - 1
  return before:unsqueeze(1):lt(ends:unsqueeze(2))
end

return masks
