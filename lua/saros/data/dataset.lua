-- Data sets: anything with a length and items from 1 on.
--
-- A list is one already. Others are classes below data.Dataset:
--
--   local Names = data.Dataset:extend("Names")
--   function Names:init(path) self.lines = data.read_lines(path) end
--   function Names:__len() return #self.lines end
--   function Names:get(i) return encode(self.lines[i]) end
--
-- names[i] calls names:get(i), so ipairs(names) works too.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"

local fail, show = options.fail, options.show

local dataset = {}

---@class saros.data.Dataset
---@field get fun(self: saros.data.Dataset, i: integer): any
local Dataset = class.extend(nil, "Dataset")
dataset.Dataset = Dataset

-- dataset[3] is an item, dataset.name a method or nil.
function Dataset._index_of(c)
  return function(self, key)
    if math.type(key) ~= "integer" then return c[key] end
    if key < 1 or key > #self then return nil end
    return self:get(key)
  end
end

Dataset.__index = Dataset._index_of(Dataset)

--- A new class of data sets. Give it `__len` and `get`.
---@param name string
---@return table
function Dataset:extend(name)
  if type(self) ~= "table" or type(name) ~= "string" then
    fail("extend: call it with a colon and a name, data.Dataset:extend(\"Name\")")
  end
  return class.extend(self, name)
end

function Dataset:__len()
  fail("%s: its length is not defined: write function %s:__len()", self.__name, self.__name)
end

--- Item i; each class writes its own.
---@param i integer
function Dataset:get(i)
  fail("%s: get is not defined: write function %s:get(i)", self.__name, self.__name)
end

function Dataset:__tostring()
  return ("%s of %d items"):format(self.__name, #self)
end

-- ---- reading any data set ---------------------------------------------------------

--- Length and reader of a data set: a list, a tensor, an object with get and __len.
---@param where string
---@param set any
---@return integer length
---@return fun(i: integer): any item
function dataset.open(where, set)
  if core.is_tensor(set) then
    return #set, function(i) return set[i] end
  end
  if type(set) ~= "table" then
    fail("%s: a data set expected (a list, or an object with get and __len), got %s", where,
      show(set))
  end
  if getmetatable(set) ~= nil and type(set.get) == "function" then
    return #set, function(i) return set:get(i) end
  end
  return #set, function(i) return set[i] end
end

--- Whether a data set makes batches of many items at once, by a method get_batch.
---@param set any
---@return boolean
function dataset.makes_batches(set)
  if class.is(set, dataset.Subset) then return dataset.makes_batches(set.dataset) end
  return type(set) == "table" and getmetatable(set) ~= nil and type(set.get_batch) == "function"
end

-- ---- parts ----------------------------------------------------------------------------

---@class saros.data.Subset: saros.data.Dataset
---@field dataset any
---@field indices integer[]
---@overload fun(dataset: any, indices: integer[]): self
local Subset = Dataset:extend("Subset")
dataset.Subset = Subset

--- The items of `set` at the given positions.
---@param set any
---@param indices integer[]|saros.Tensor
function Subset:init(set, indices)
  local length, item = dataset.open("data.Subset", set)
  if core.is_tensor(indices) then indices = indices:totable() end
  if type(indices) ~= "table" then
    fail("data.Subset: a list of positions expected, got %s", show(indices))
  end
  for _, i in ipairs(indices) do
    if math.type(i) ~= "integer" or i < 1 or i > length then
      fail("data.Subset: position %s is not within 1 to %d", tostring(i), length)
    end
  end
  self.dataset, self.indices, self.item = set, indices, item
end

function Subset:__len() return #self.indices end

local function position_of(self, i)
  local position = self.indices[i]
  if not position then fail("Subset: item %s of %d", tostring(i), #self.indices) end
  return position
end

---@param i integer
---@return any
function Subset:get(i) return self.item(position_of(self, i)) end

-- A part of a set that makes batches by itself does so, too.
function Subset:get_batch(positions)
  local list = {}
  for k, i in ipairs(positions) do list[k] = position_of(self, i) end
  return self.dataset:get_batch(list)
end

-- ---- tensors -------------------------------------------------------------------------

---@class saros.data.TensorDataset: saros.data.Dataset
---@field tensors saros.Tensor[]
---@overload fun(...: saros.Tensor): self
local TensorDataset = Dataset:extend("TensorDataset")
dataset.TensorDataset = TensorDataset

--- Tensors of the same length side by side: item i is the list of their rows i. Batches are
--- made of many rows at once, a tensor for each:
---   for x, y in data.batches(data.TensorDataset(inputs, targets), {size = 32}) do
---@param ... saros.Tensor (N, ...)
function TensorDataset:init(...)
  self.tensors = {...}
  for k = 1, math.max(select("#", ...), 1) do
    local t = self.tensors[k]
    if not core.is_tensor(t) or t:dim() == 0 then
      fail("data.TensorDataset: argument %d must be a tensor (items, ...), got %s", k, show(t))
    elseif #t ~= #self.tensors[1] then
      fail("data.TensorDataset: tensors of equal length expected, got %s and %s",
        self.tensors[1].shape, t.shape)
    end
  end
end

function TensorDataset:__len() return #self.tensors[1] end

---@param i integer
---@return saros.Tensor[]
function TensorDataset:get(i)
  local rows = {}
  for k, t in ipairs(self.tensors) do rows[k] = t[i] end
  return rows
end

--- The rows at some positions, a tensor (#positions, ...) for each of the set's.
---@param positions integer[]
---@return saros.Tensor ...
function TensorDataset:get_batch(positions)
  local rows, index = {}, core.tensor(positions, {device = self.tensors[1].device})
  for k, t in ipairs(self.tensors) do rows[k] = t:index_select(1, index:to(t.device)) end
  return table.unpack(rows)
end

-- ---- splitting -------------------------------------------------------------------------

-- PyTorch's rule: shares are rounded down, what is left over goes to the first parts,
-- one item each.
local function lengths_of_shares(shares, total)
  local lengths, given = {}, 0
  for i, share in ipairs(shares) do
    if share < 0 or share > 1 then
      fail("data.random_split: share %d must be between 0 and 1, got %s", i, share)
    end
    lengths[i] = math.floor(total * share)
    given = given + lengths[i]
  end
  for k = 0, total - given - 1 do
    local i = k % #lengths + 1
    lengths[i] = lengths[i] + 1
  end
  return lengths
end

local function read_lengths(lengths, total)
  if type(lengths) ~= "table" or #lengths == 0 then
    fail("data.random_split: a list of lengths or shares expected, got %s", show(lengths))
  end
  local sum = 0
  for i, length in ipairs(lengths) do
    if type(length) ~= "number" then
      fail("data.random_split: length %d must be a number, got %s", i, show(length))
    end
    sum = sum + length
  end
  if math.abs(sum - 1) <= 1e-9 then return lengths_of_shares(lengths, total) end
  if sum ~= total then
    fail("data.random_split: the lengths add up to %s, the data set has %d items", sum, total)
  end
  local integers = {}
  for i, length in ipairs(lengths) do
    integers[i] = math.tointeger(length)
    if not integers[i] or integers[i] < 0 then
      fail("data.random_split: length %d must be a whole number, got %s", i, length)
    end
  end
  return integers
end

local read_split = options.reader("data.random_split", {{"generator", "generator?"}})

--- Random parts of a data set, as torch.utils.data.random_split draws them:
--- local train, test = data.random_split(set, {0.85, 0.15}, {generator = g}).
---@param set any
---@param lengths number[] shares that add up to 1, or numbers of items
---@param opts? {generator: saros.Generator}
---@return saros.data.Subset ... one for each length
function dataset.random_split(set, lengths, opts)
  local o = read_split(opts)
  local total, item = dataset.open("data.random_split", set)
  local sizes = read_lengths(lengths, total)
  local order = core.randperm(total, {generator = o.generator, device = "cpu"}):totable()
  local subsets, at = {}, 0
  for i, size in ipairs(sizes) do
    local subset = setmetatable({}, Subset)
    subset.dataset, subset.item = set, item
    subset.indices = table.move(order, at + 1, at + size, 1, {})
    subsets[i], at = subset, at + size
  end
  return table.unpack(subsets)
end

return dataset
