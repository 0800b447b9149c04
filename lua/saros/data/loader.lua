-- data.batches: items of a data set in batches, in order or shuffled.
--
-- The order is that of PyTorch's DataLoader from the same seed. Each pass draws, from
-- `generator` or else the default one, a number that PyTorch uses for its workers; then,
-- to shuffle, a seed for a fresh generator that permutes (a given `generator` permutes
-- itself, and does so once more at the end of a pass).

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"
local stateful = require "saros.stateful"
local dataset = require "saros.data.dataset"

local fail, show = options.fail, options.show

---@class saros.data.BatchOptions
---@field size? integer items in a batch, default 1 (batch_size is the same)
---@field shuffle? boolean default false
---@field drop_last? boolean leave out a last batch that is not full, default false
---@field collate? fun(items: any[]): ... makes a batch of a list of items; default: the list, or
---   what the data set's get_batch(positions) gives, where it has one (data.TensorDataset)
---@field progress? string|boolean show a progress bar with this text
---@field generator? saros.Generator where the order comes from

---@class saros.data.Loader
---@field dataset any
---@overload fun(): ... next batch, nil at the end
local Loader = class.extend(nil, "Loader")

local read = options.reader("data.batches", {
  {"size", "integer?"}, {"shuffle", "boolean", false}, {"drop_last", "boolean", false},
  {"collate", "function?"}, {"progress", "string|boolean", false}, {"generator", "generator?"},
  {"batch_size", "integer?"},
})

function Loader:init(set, opts)
  local o = read(opts)
  if o.size and o.batch_size then
    fail("data.batches: size and batch_size are two names of one option, give one of them")
  end
  local size = o.size or o.batch_size or 1
  if size < 1 then fail("data.batches: size must be at least 1, got %d", size) end
  self.dataset = set
  self.size, self.shuffle, self.drop_last = size, o.shuffle, o.drop_last
  self.collate, self.generator, self.progress = o.collate, o.generator, o.progress
  self.length, self.item = dataset.open("data.batches", set)
  self.whole = dataset.makes_batches(set)
end

--- Number of batches in a pass.
function Loader:__len()
  if self.drop_last then return self.length // self.size end
  return (self.length + self.size - 1) // self.size
end

local function permutation(self, generator)
  return core.randperm(self.length, {generator = generator, device = "cpu"}):totable()
end

local function draw_order(self)
  core.random_int64(self.generator)
  if not self.shuffle then return nil end
  if self.generator then return permutation(self, self.generator) end
  local seed = core.random_int64()
  return permutation(self, core.Generator():manual_seed(seed))
end

local function show_progress(self)
  if not self.progress then return end
  local desc = type(self.progress) == "string" and self.progress or nil
  self.bar = require("saros.progress").bar {total = #self, desc = desc}
  if self.at > 0 then self.bar:update(self.at // self.size) end
end

local function end_progress(self)
  if self.bar then self.bar:close() end
  self.bar = nil
end

-- A new pass, or the rest of one that load_state_dict left.
local function start(self)
  end_progress(self)
  if not self.resumed then
    self.length = dataset.open("data.batches", self.dataset)
    self.order, self.at = draw_order(self), 0
  end
  self.resumed = false
  show_progress(self)
end

local function finish(self)
  if self.shuffle and self.generator then permutation(self, self.generator) end
  end_progress(self)
  self.at = nil
end

-- The positions of the next batch's items, nil at the end of the pass.
local function take(self)
  if not self.at then
    options.fail("data.batches: this pass has ended: a loop cannot be walked inside itself, make "
      .. "a second one")
  end
  local last = math.min(self.at + self.size, self.length)
  if self.at >= self.length or (self.drop_last and last - self.at < self.size) then return nil end
  local positions, order = {}, self.order
  for i = self.at + 1, last do positions[i - self.at] = order and order[i] or i end
  self.at = last
  return positions
end

local function make_batch(self, positions)
  if not self.collate and self.whole then return self.dataset:get_batch(positions) end
  local items, item = {}, self.item
  for k, i in ipairs(positions) do items[k] = item(i) end
  if self.collate then return self.collate(items) end
  return items
end

-- A generic for calls this with nil for its first batch, so that each loop is a new
-- pass, also after a loop that was left by break.
function Loader:__call(_, previous)
  if previous == nil then
    start(self)
  elseif self.bar then
    self.bar:update(1)
  end
  local positions = take(self)
  if not positions then return finish(self) end
  return make_batch(self, positions)
end

--- Show values behind the progress bar: loop:postfix{loss = 0.3}.
---@param values table<string, any>
function Loader:postfix(values)
  if self.bar then self.bar:postfix(values) end
end

--- End the pass and its progress bar: for a loop that was left by `break`, which would go on
--- with its pass if it was saved in a checkpoint.
function Loader:close()
  end_progress(self)
  self.at, self.resumed = nil, false
end

Loader.__close = Loader.close

-- ---- state ----------------------------------------------------------------------------

---@class saros.data.LoaderState
---@field length integer items of the data set
---@field at? integer items of this pass that were given; nil between passes
---@field order? integer[] of this pass, where it is shuffled
---@field generator? string state of the loader's own generator

--- Where the loop is. Taken in the body of the loop, the batch at hand counts as done. A pass
--- that was left by break is in the middle: loaded, the next loop goes on with the rest of it.
---@return saros.data.LoaderState
function Loader:state_dict()
  return {
    length = self.length, at = self.at, order = self.at and self.order,
    generator = self.generator and self.generator:get_state(),
  }
end

local function count_in(value, most)
  return math.type(value) == "integer" and value >= 0 and value <= most
end

local function check_order(where, order, length)
  if type(order) ~= "table" or #order ~= length then
    fail("%s: order must be a list of %d positions, got %s", where, length,
      type(order) == "table" and #order or show(order))
  end
  local seen = {}
  for i, position in ipairs(order) do
    if not count_in(position, length) or position == 0 or seen[position] then
      fail("%s: order[%d] must be a new position from 1 to %d, got %s", where, i, length,
        show(position))
    end
    seen[position] = true
  end
end

local function check_generator(self, where, state)
  if (state ~= nil) ~= (self.generator ~= nil) then
    fail("%s: the state is of a loader %s a generator of its own, this one is %s", where,
      state and "with" or "without", state and "without" or "with")
  end
  if state == nil then return end
  local scratch = core.Generator()
  if type(state) ~= "string" or not pcall(scratch.set_state, scratch, state) then
    fail("%s: generator must be the state of a generator, got %s", where, show(state))
  end
end

local function check_state(self, where, state)
  if type(state) ~= "table" then
    fail("%s: a table of state_dict() expected, got %s", where, show(state))
  end
  local length = dataset.open("data.batches", self.dataset)
  if state.length ~= length then
    fail("%s: the state is of a data set of %s items, here are %d", where, tostring(state.length),
      length)
  end
  check_generator(self, where, state.generator)
  if state.at == nil then return end
  if not count_in(state.at, length) then
    fail("%s: at must be from 0 to %d, got %s", where, length, show(state.at))
  end
  if (state.order ~= nil) ~= self.shuffle then
    fail("%s: the state is of a loader %s shuffle, this one is %s", where,
      state.order and "with" or "without", self.shuffle and "with" or "without")
  end
  if self.shuffle then check_order(where, state.order, length) end
end

--- Take over a state_dict() of a loader of the same data set: the next loop goes on where that
--- one was, and then the passes follow as they would have. Nothing is changed if it does not
--- fit. The default generator is not part of it (saros.set_rng_state).
---@type fun(self: saros.data.Loader, state: saros.data.LoaderState)
Loader.load_state_dict = stateful.loader(function(self, state)
  check_state(self, "Loader.load_state_dict", state)
  return function()
    self:close()
    self.length, self.at, self.resumed = state.length, state.at, state.at ~= nil
    self.order = state.order and table.move(state.order, 1, #state.order, 1, {})
    if self.generator then self.generator:set_state(state.generator) end
  end
end)

local loader = {}

--- for batch in data.batches(set, {size = 64, shuffle = true}) do ... end
---
--- A batch is the list of its items, or what `collate` makes of that list. The result can
--- be kept: `local loop = data.batches(...)`, then `for batch in loop do` for each pass,
--- `#loop` batches, `loop:postfix{loss = x}` beside its progress bar.
---@param set any a list, a tensor, or an object with get and __len
---@param opts? saros.data.BatchOptions
---@return saros.data.Loader
function loader.batches(set, opts)
  local loop = Loader(set, opts)
  return loop, nil, nil, loop -- the last is closed when a loop over it ends
end

return loader
