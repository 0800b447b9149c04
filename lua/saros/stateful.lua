-- load_state_dict in two steps: check everything, then change. So several objects are
-- loaded together or not at all (saros.load_checkpoint).
--
--   Net.load_state_dict = stateful.loader(function(self, state)
--     ... raise an error if it does not fit; change nothing ...
--     return function() ... take it over; nothing here can fail ... end
--   end)

local stateful = {}

local checks = setmetatable({}, {__mode = "k"}) -- by load_state_dict function

--- load_state_dict made of a check, which gives the function that makes the change.
---@param check fun(self: any, ...: any): fun(): ...
---@return fun(self: any, ...: any): ...
function stateful.loader(check)
  local function load_state_dict(self, ...) return check(self, ...)() end
  checks[load_state_dict] = check
  return load_state_dict
end

--- Can its state be saved and loaded?
---@param value any
---@return boolean
function stateful.is(value)
  return type(value) == "table" and getmetatable(value) ~= nil
    and type(value.state_dict) == "function" and type(value.load_state_dict) == "function"
end

--- The name of its class, by which a saved state is known. All modules are "Module": what they
--- hold tells more than what a script calls them.
---@param object any
---@return string
function stateful.class_of(object)
  return object._is_module and "Module" or tostring(getmetatable(object).__name or "object")
end

--- Check a state. Gives the function that makes the change, or nil for an object with a
--- load_state_dict of its own, which checks and changes at once.
---@param object any
---@param state table
---@return (fun(): ...)|nil
function stateful.check(object, state)
  local check = checks[object.load_state_dict]
  return check and check(object, state)
end

return stateful
