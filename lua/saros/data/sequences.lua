-- Long sequences in pieces: data.batchify, data.tbptt.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"
local loader = require "saros.data.loader"

local is_tensor, fail, show = core.is_tensor, options.fail, options.show

local sequences = {}

--- A long sequence as `batch_size` shorter ones side by side: column b is the b-th part of it,
--- read from top to bottom. What does not fill a row is dropped.
---   data.batchify(saros.arange(1, 27), 4) -- (6, 4): 1 to 6, 7 to 12, 13 to 18, 19 to 24
---@param ids saros.Tensor of one dimension
---@param batch_size integer B
---@return saros.Tensor (T, B), dense; T is the length of ids // B
function sequences.batchify(ids, batch_size)
  local where = "data.batchify"
  if not is_tensor(ids) or ids:dim() ~= 1 then
    fail("%s: ids must be a tensor of one dimension, got %s", where, show(ids))
  end
  local columns = math.type(batch_size) and math.tointeger(batch_size)
  if not columns or columns < 1 or columns > #ids then
    fail("%s: batch_size must be an integer from 1 to the length of ids, %d, got %s", where, #ids,
      show(batch_size))
  end
  local steps = #ids // columns
  return ids:narrow(1, 1, steps * columns):reshape(columns, steps):t():contiguous()
end

-- ---- truncated backpropagation through time ---------------------------------------------

-- A data set whose item i is the list of the i-th windows of some tensors.
local Windows = class.extend(nil, "Windows")

function Windows:init(tensors, dim, steps)
  self.tensors, self.dim, self.length = tensors, dim, tensors[1]:size(dim)
  self.steps = math.min(steps, math.max(self.length, 1))
end

function Windows:__len() return (self.length + self.steps - 1) // self.steps end

function Windows:get(i)
  local start, window = (i - 1) * self.steps, {}
  local length = math.min(self.steps, self.length - start)
  for k, t in ipairs(self.tensors) do window[k] = t:narrow(self.dim, start + 1, length) end
  return window
end

local function check_tensors(tensors, count, dim)
  for k = 1, count do
    local t = tensors[k]
    if not is_tensor(t) or t:dim() < dim then
      fail("data.tbptt: sequence %d must be a tensor %s, got %s", k,
        dim == 1 and "(steps, ...)" or "(batch, steps, ...)", show(t))
    end
    if t:size(dim) ~= tensors[1]:size(dim) then
      fail("data.tbptt: sequences of equal length expected along dimension %d, got %s and %s", dim,
        tensors[1].shape, t.shape)
    end
  end
end

local read = options.reader("data.tbptt", {
  {"steps", "integer", 35}, {"batch_first", "boolean", false},
  {"progress", "string|boolean", false},
})

---@class saros.data.TbpttOptions
---@field steps? integer in a window, default 35; the last one may be shorter
---@field batch_first? boolean default false: (T, B, ...); true: (B, T, ...)
---@field progress? string|boolean show a progress bar with this text

--- Windows of long sequences in order, for truncated backpropagation through time: the state
--- goes on from window to window, its history does not.
---
---   local state
---   for input, target in data.tbptt(ids[{ {1, -2} }], ids[{ {2, -1} }], {steps = 35}) do
---     local output
---     output, state = lstm(embedding(input), nn.detach(state))
---     criterion(head(output):flatten(1, 2), target:flatten()):backward()
---     ...
---
--- Each window is a view of its tensor. The result is a loop as data.batches gives it:
--- `local loop = data.tbptt(...)`, `for input, target in loop do` for each pass, `#loop` windows,
--- `loop:postfix{loss = x}`. Nothing is drawn from the random numbers.
---@param ... saros.Tensor|saros.data.TbpttOptions the sequences, then options
---@return saros.data.Loader
function sequences.tbptt(...)
  local tensors, count, opts = {...}, select("#", ...), nil
  if count > 1 and type(tensors[count]) == "table" then
    opts, count = tensors[count], count - 1
    tensors[count + 1] = nil
  end
  local o = read(opts)
  if o.steps < 1 then fail("data.tbptt: steps must be at least 1, got %d", o.steps) end
  local dim = o.batch_first and 2 or 1
  check_tensors(tensors, math.max(count, 1), dim)
  return loader.batches(Windows(tensors, dim, o.steps), {
    progress = o.progress,
    generator = core.Generator(), -- the loader's draws, which PyTorch does not make here
    collate = function(items) return table.unpack(items[1]) end,
  })
end

return sequences
