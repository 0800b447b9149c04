-- State that is carried from one piece of a sequence to the next: nn.detach, nn.reset_rows.
--
-- A state is a tensor or any nesting of tables with tensors in it: h, {h, c},
-- {encoder = h, decoder = {h, c}}. Both functions give a new nesting of the same form.

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"

local is_tensor, fail, show = core.is_tensor, options.fail, options.show

local carry = {}

local deepest = 100

-- A packed sequence: its `data` is what counts, its `apply` makes another one of it.
local function is_packed(value)
  return getmetatable(value) ~= nil and is_tensor(value.data) and type(value.apply) == "function"
end

local function name_of(path, key)
  return math.type(key) and ("%s[%s]"):format(path, key) or ("%s.%s"):format(path, key)
end

-- The nesting with change(tensor, path, other) in place of each tensor; other values stay.
-- `other` is nested in the same way, as far as it is a table. Inside a packed sequence there is
-- neither path nor other.
local function map(caller, state, other, change, path, depth)
  if is_tensor(state) then return change(state, path, other) end
  if type(state) ~= "table" then return state end
  if depth > deepest then
    fail("%s: tables nested deeper than %d, or a table that contains itself", caller, deepest)
  end
  if parts.is_module(state) then
    fail("%s: %s must be a tensor or a table of them, got module %s", caller, path, show(state))
  end
  if is_packed(state) then return state:apply(function(t) return change(t) end) end
  local copy = {}
  for key, value in pairs(state) do
    local beside = other
    if type(other) == "table" then beside = other[key] end
    copy[key] = map(caller, value, beside, change, name_of(path, key), depth + 1)
  end
  return setmetatable(copy, getmetatable(state))
end

local function detach(t) return t:detach() end

--- The same values without their history, in the same storage: backward stops here.
---   state = nn.detach(state) -- between two pieces of a sequence; nil stays nil
---@generic T
---@param state T a tensor, a packed sequence, or tables of them
---@return T
function carry.detach(state)
  return map("nn.detach", state, nil, detach, "state", 1)
end

-- ---- reset_rows -------------------------------------------------------------------------

local where = "nn.reset_rows"

-- The rows as {bool tensor (B)} or a list of integers, checked as far as they can be alone.
local function read_rows(rows)
  if is_tensor(rows) then
    if rows:dim() ~= 1 or (rows.dtype ~= "bool" and rows.dtype ~= "int64") then
      fail("%s: rows must be a list of positions or a bool tensor (batch), got %s of %s", where,
        show(rows), rows.dtype)
    end
    return rows.dtype == "bool" and {mask = rows} or {list = rows:totable()}
  end
  if type(rows) ~= "table" then
    fail("%s: rows must be a list of positions or a bool tensor (batch), got %s", where,
      show(rows))
  end
  for i, row in ipairs(rows) do
    if not (math.type(row) and math.tointeger(row)) then
      fail("%s: rows[%d] must be an integer, got %s", where, i, show(row))
    end
  end
  return {list = rows}
end

-- bool (B, 1) for a state t (.., B, H): true in the rows to reset.
local function mask_of(rows, t, path)
  if t:dim() < 2 then
    fail("%s: %s must be (layers, batch, hidden) or (batch, hidden), got %s", where, path, show(t))
  end
  local batch = t:size(-2)
  if rows.mask then
    if #rows.mask ~= batch then
      fail("%s: rows is a mask of %d rows, %s %s has a batch of %d", where, #rows.mask, path,
        t.shape, batch)
    end
    return rows.mask:to(t.device):unsqueeze(2)
  end
  local mask = core.zeros(batch, {dtype = "bool", device = "cpu"})
  for _, row in ipairs(rows.list) do
    if row == 0 or row < -batch or row > batch then
      fail("%s: row %d is not within 1 to %d, the batch of %s %s", where, row, batch, path, t.shape)
    end
    mask[math.tointeger(row)] = true
  end
  return mask:to(t.device):unsqueeze(2)
end

-- Does a tensor of the first shape broadcast to the second?
local function broadcasts(from, to)
  local ahead = #to - #from
  for d, size in ipairs(from) do
    if size ~= 1 and size ~= to[ahead + d] then return false end
  end
  return ahead >= 0
end

local function check_initial(initial, t, path)
  local named = path:gsub("^state", "initial")
  if not is_tensor(initial) then
    fail("%s: %s must be a number or a tensor like %s %s, got %s", where, named, path, t.shape,
      show(initial))
  end
  if not broadcasts(initial.shape, t.shape) or initial.dtype ~= t.dtype then
    fail("%s: %s %s of %s does not fit %s %s of %s", where, named, initial.shape, initial.dtype,
      path, t.shape, t.dtype)
  end
end

--- Some rows of a batch start anew, the others go on: for sequences of a batch that end at
--- different times. Gradients flow through the rows that go on, and to `initial` in the others.
---   state = nn.reset_rows(state, {2, 5})           -- to zero
---   state = nn.reset_rows(state, ended, {h0, c0})  -- ended: bool (B)
---@generic T
---@param state T tensors (layers, B, H) or (B, H), or tables of them; it is not changed
---@param rows integer[]|saros.Tensor positions in the batch, or a bool tensor (B)
---@param initial? number|saros.Tensor|table what they start from, default 0: a number or tensor
---  for all, or nested as `state` is; a tensor broadcasts, as (layers, 1, H) does
---@return T
function carry.reset_rows(state, rows, initial)
  local reading = read_rows(rows)
  if initial == nil then initial = 0 end
  return map(where, state, initial, function(t, path, value)
    if not path then fail("%s: a packed sequence is no state with rows of a batch", where) end
    local mask = mask_of(reading, t, path)
    if type(value) == "number" then return t:masked_fill(mask, value) end
    check_initial(value, t, path)
    return core.where(mask, value, t)
  end, "state", 1)
end

return carry
