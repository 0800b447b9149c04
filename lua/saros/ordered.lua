-- A table with string keys that remembers the order they came in: what
-- state_dict and saros.load return. pairs() follows the order; reading,
-- writing and removing work as in any table.
--
--   local t = ordered.new()
--   t.b, t.a = 1, 2
--   for key, value in pairs(t) do ... end   -- b, then a

local ordered = {}

-- The keys live in the metatable, one for each table.
local function insert(self, key, value)
  local meta = getmetatable(self)
  if value == nil then return end
  if not meta.known[key] then
    meta.known[key] = true
    meta.keys[#meta.keys + 1] = key
  end
  rawset(self, key, value)
end

local function iterate(self)
  local keys, at = getmetatable(self).keys, 0
  return function()
    while true do
      at = at + 1
      local key = keys[at]
      if key == nil then return nil end
      local value = rawget(self, key)
      if value ~= nil then return key, value end
    end
  end
end

local function count(self)
  local n = 0
  for _ in iterate(self) do n = n + 1 end
  return n
end

-- One line for each entry: name, and for a tensor its dtype and shape.
local function print_entries(self)
  local width, lines = 0, {}
  for key in iterate(self) do width = math.max(width, #tostring(key)) end
  for key, value in iterate(self) do
    local shown = type(value) == "userdata" and value.shape
      and ("%s %s"):format(value.dtype, value.shape) or tostring(value)
    lines[#lines + 1] = ("  %-" .. width .. "s  %s"):format(key, shown)
  end
  if #lines == 0 then return "{}" end
  return "{\n" .. table.concat(lines, "\n") .. "\n}"
end

--- An empty table that keeps the order of its keys. `#t` counts its entries.
---@return table<string, any>
function ordered.new()
  return setmetatable({}, {
    keys = {}, known = {}, __newindex = insert, __pairs = iterate, __len = count,
    __tostring = print_entries, __name = "ordered table",
  })
end

--- Is it a table that ordered.new made?
---@param t any
---@return boolean
function ordered.is(t)
  local meta = type(t) == "table" and getmetatable(t)
  return type(meta) == "table" and meta.__newindex == insert
end

--- The keys of any table with string keys: in its order where it has one, else sorted.
---@param t table
---@return string[]
function ordered.keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  local meta = getmetatable(t)
  if not (type(meta) == "table" and meta.__pairs) then
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  end
  return keys
end

return ordered
