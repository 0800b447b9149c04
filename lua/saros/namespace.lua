-- Namespaces: saros, saros.nn, saros.optim, ... A name that one of them lacks is an error at
-- the script's line, which names the nearest one: nn.Lstm is 'LSTM' misspelt, not nil.
--
--   nn.Lstm    error: saros.nn has no 'Lstm', did you mean 'LSTM'?
--
-- Whoever must ask whether a name is there asks with pcall, or looks through pairs().
-- Keys that are no strings are nil as in any table, so that ipairs() ends.

local namespace = {}

local function names_of(t)
  local names = {}
  for name in pairs(t) do
    if type(name) == "string" and name:sub(1, 1) ~= "_" then names[#names + 1] = name end
  end
  table.sort(names) -- the same suggestion each time
  return names
end

local few = 12

local function refuse(self, title, name)
  local options, names = require "saros.options", names_of(self)
  local nearest = options.closest(name, names)
  options.fail("%s has no '%s'%s", title, name, nearest and (", did you mean '%s'?"):format(nearest)
    or #names <= few and (" (it has %s)"):format(table.concat(names, ", ")) or "")
end

local function look_up(index, self, name)
  if type(index) == "function" then return index(self, name) end
  return index and index[name]
end

--- Make `t` refuse unknown names; what its metatable found before is found still.
---@param title string as in messages: "saros.nn"
---@param t table
---@return table t
function namespace.strict(title, t)
  local meta = getmetatable(t) or {}
  if meta.__name == title then return t end -- it does already
  local before = meta.__index
  meta.__name = title
  meta.__index = function(self, name)
    local value = look_up(before, self, name)
    if value == nil and type(name) == "string" then refuse(self, title, name) end
    return value
  end
  return setmetatable(t, meta)
end

--- The same, with values that are made when they are first named.
---@param title string
---@param t table what is there from the start
---@param loaders table<string, fun(): any> gives each of the other values
---@return table t
function namespace.lazy(title, t, loaders)
  local function load(self, name)
    local loader = loaders[name]
    local value = loader and loader()
    rawset(self, name, value)
    return value
  end
  -- pairs() shows everything, loaded or not.
  local function iterate(self)
    for name in pairs(loaders) do
      if rawget(self, name) == nil then load(self, name) end
    end
    return next, self, nil
  end
  -- src/app/complete.c finds names that wait in __loaders.
  setmetatable(t, {__index = load, __pairs = iterate, __loaders = loaders})
  return namespace.strict(title, t)
end

return namespace
