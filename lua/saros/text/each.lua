-- The items of a data set (a list, a tensor, an object with get and __len), or what an
-- iterator function yields.

local options = require "saros.options"
local dataset = require "saros.data.dataset"

---@param where string name of the function in messages
---@param source any
---@return fun(): any
return function(where, source)
  if type(source) == "function" then return source end
  if type(source) ~= "table" then
    options.fail("%s: a list or an iterator function expected, got %s", where, options.show(source))
  end
  local length, item = dataset.open(where, source)
  local at = 0
  return function()
    at = at + 1
    if at <= length then return item(at) end
  end
end
