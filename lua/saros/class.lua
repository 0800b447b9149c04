-- Classes as saros uses them: a class is the metatable of its instances.
--
--   local Point = class.extend(nil, "Point")
--   function Point:init(x, y) self.x, self.y = x, y end
--   local p = Point(1, 2)
--
-- Calling a class makes an instance: a table prepared by the class's `_prepare`
-- (so that init needs no call of its parent's), then handed to `init`.
-- Methods are found through the chain of classes; metamethods, which Lua looks
-- up in the metatable itself, are copied from the parent when a class is made.
-- A class whose instances have items besides fields gives `_index_of(c)`, the
-- __index of the instances of c, for itself and all classes below.

local class = {}

local function construct(self, ...)
  local object = setmetatable(self._prepare(), self)
  object:init(...)
  return object
end

local function prepare() return {} end
local function nothing() end
local function describe(self) return "class " .. self.__name end

--- A new class below `parent` (nil for a root).
---@param parent table|nil
---@param name string shown when an instance is printed and in messages
---@return table
function class.extend(parent, name)
  local new = {}
  for key, value in pairs(parent or {}) do
    if type(key) == "string" and key:sub(1, 2) == "__" then new[key] = value end
  end
  new.__index = parent and parent._index_of and parent._index_of(new) or new
  new.__name = name
  new.super = parent
  if not parent then
    new.init, new._prepare = nothing, prepare
  end
  return setmetatable(new, {__index = parent, __call = construct, __tostring = describe})
end

--- Is `object` an instance of `ancestor` or of a class below it?
---@param object any
---@param ancestor table
---@return boolean
function class.is(object, ancestor)
  local c = type(object) == "table" and getmetatable(object)
  while type(c) == "table" do
    if c == ancestor then return true end
    c = rawget(c, "super")
  end
  return false
end

return class
