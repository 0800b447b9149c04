-- Arguments and option tables, read the same way everywhere.
--
-- A signature lists what a function takes, in PyTorch's order:
--
--   local read = options.signature("nn.Dropout", {
--     {"p", "number", 0.5},          -- name, type, default
--     {"inplace", "boolean", false},
--   })
--   local o = read(...)              -- nn.Dropout(0.1), nn.Dropout{p = 0.1}, nn.Dropout()
--
-- Values come by position, then one table with the rest by name, or that table
-- alone. A field without a default must be given, unless its type ends in "?".
-- Types: any boolean integer number string table function tensor generator, or
-- several with "|" between them. NaN is no number, unless "nan" is among them.
--
-- Errors are raised at the line of the script that called into the library.

local core = require "saros.core"

local options = {}

-- Where this library's chunks come from: "=saros/" when embedded.
local library = debug.getinfo(1, "S").source:match("^(.*)options")

--- Raise an error at the innermost line that is not the library's own.
---@param format string as for string.format
function options.fail(format, ...)
  local message = select("#", ...) > 0 and format:format(...) or format
  local level = 2
  while true do
    local info = debug.getinfo(level, "S")
    if not info then error(message, 0) end
    if info.what ~= "C" and info.source:sub(1, #library) ~= library then error(message, level) end
    level = level + 1
  end
end
local fail = options.fail

--- A value in the words of an error message: `string 'abc'`, `tensor [2, 3]`.
---@param value any
---@return string
function options.show(value)
  local kind = type(value)
  if kind == "nil" then return "nil" end
  if kind == "string" then
    return ("string '%s'"):format(#value > 40 and value:sub(1, 37) .. "..." or value)
  end
  if value ~= value then return "NaN" end
  if kind == "number" or kind == "boolean" then return kind .. " " .. tostring(value) end
  if core.is_tensor(value) then return "tensor " .. tostring(value.shape) end
  local meta = getmetatable(value)
  local name = type(meta) == "table" and (rawget(meta, "__shown") or rawget(meta, "__name"))
  return type(name) == "string" and name or kind
end
local show = options.show

--- The shape of a tensor as PyTorch's messages have it: "(2, 3)".
---@param t saros.Tensor
---@return string
function options.shape_text(t) return "(" .. tostring(t.shape):sub(2, -2) .. ")" end

--- Does it stand for a tensor, as a PackedSequence does?
---@param value any
---@return boolean
function options.stands_in(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tensor_function") ~= nil
end

-- ---- types ------------------------------------------------------------------

-- Each takes a value and returns it as the function wants it, or nil.
local checks = {
  any = function(v) return v end,
  integer = function(v) return math.type(v) and math.tointeger(v) end,
  number = function(v) return type(v) == "number" and v == v and v or nil end,
  nan = function(v) return v ~= v and v or nil end,
  boolean = function(v) if type(v) == "boolean" then return v end end,
  string = function(v) return type(v) == "string" and v or nil end,
  table = function(v) return type(v) == "table" and v or nil end,
  ["function"] = function(v) return type(v) == "function" and v or nil end,
  tensor = function(v) return core.is_tensor(v) and v or nil end,
  generator = function(v)
    return type(v) == "userdata" and not core.is_tensor(v) and v or nil
  end,
}

local function describe(kinds)
  local words = {}
  for i, kind in ipairs(kinds) do
    words[i] = kind == "nan" and "NaN" or (kind:find("^[aeiou]") and "an " or "a ") .. kind
  end
  return table.concat(words, " or ")
end

-- {"p", "number?", 0.5} -> {name, checks, optional, default, wanted}
local function compile(field)
  local kind, kinds = field[2], {}
  local optional = kind:sub(-1) == "?"
  for word in kind:gmatch("[%a]+") do kinds[#kinds + 1] = word end
  local compiled = {
    name = field[1], default = field[3], wanted = describe(kinds),
    optional = optional or field[3] ~= nil,
    takes_table = kind:find("table", 1, true) ~= nil or kind:find("any", 1, true) ~= nil,
  }
  for i, word in ipairs(kinds) do compiled[i] = assert(checks[word], word) end
  return compiled
end

local function convert(where, field, value)
  for i = 1, #field do
    local converted = field[i](value)
    if converted ~= nil then return converted end
  end
  fail("%s: %s must be %s, got %s", where, field.name, field.wanted, show(value))
end

-- ---- names --------------------------------------------------------------------

-- Edits that turn a into b: insertions, deletions, replacements, swaps of neighbours.
local function distance(a, b)
  local before, last = nil, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local this = {[0] = i}
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      this[j] = math.min(last[j] + 1, this[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        this[j] = math.min(this[j], before[j - 2] + 1)
      end
    end
    before, last = last, this
  end
  return last[#b]
end

--- The name nearest to `word`, or nil if none is near.
---@param word string
---@param names string[]
---@return string|nil
function options.closest(word, names)
  local best, least = nil, #word // 2 + 1
  for _, name in ipairs(names) do
    local edits = distance(word:lower(), name:lower())
    if edits < least then best, least = name, edits end
  end
  return best
end

--- End of a message about an unknown name: ", did you mean 'x'?" or the known ones.
---@param word string
---@param names string[]
---@return string
function options.suggest(word, names)
  local near = options.closest(word, names)
  if near then return (", did you mean '%s'?"):format(near) end
  if #names == 0 then return " (it takes none)" end
  return (" (known: %s)"):format(table.concat(names, ", "))
end

local function refuse_unknown(where, names, given, index)
  for key in pairs(given) do
    if type(key) ~= "string" then
      fail("%s: a value without a name in its option table (%s)", where, show(given[key]))
    elseif not index[key] then
      fail("%s: unknown option '%s'%s", where, key, options.suggest(key, names))
    end
  end
end

-- ---- signatures ---------------------------------------------------------------------

-- Is the last argument the option table? A list, an object or a tensor is not.
local function is_options(value)
  return type(value) == "table" and getmetatable(value) == nil and value[1] == nil
end

-- nn.LSTM{64, 32, num_layers = 2}: the list part of a lone table is positional.
local function unpack_lone_table(value)
  local positional, named = {}, {}
  for key, item in pairs(value) do
    if math.type(key) == "integer" then positional[key] = item else named[key] = item end
  end
  return positional, named, #positional
end

local function arrange(where, fields, ...)
  local count, arguments, named = select("#", ...), {...}, {}
  local last = arguments[count]
  if count == 1 and type(last) == "table" and getmetatable(last) == nil and last[1] ~= nil
    and fields[1] and not fields[1].takes_table then
    arguments, named, count = unpack_lone_table(last)
  elseif count > 0 and is_options(last) then
    named, count = last, count - 1
  end
  while count > #fields and arguments[count] == nil do count = count - 1 end
  if count > #fields then
    fail("%s: takes at most %d argument%s, got %d", where, #fields, #fields == 1 and "" or "s",
      count)
  end
  return arguments, count, named
end

local function resolve(where, fields, positional, count, named)
  local record = {}
  for i, field in ipairs(fields) do
    local name = field.name
    local value = named[name]
    if i <= count and positional[i] ~= nil then
      if value ~= nil then fail("%s: %s is given twice", where, name) end
      value = positional[i]
    end
    if value ~= nil then
      record[name] = convert(where, field, value)
    elseif field.optional then
      record[name] = field.default
    else
      fail("%s: %s is missing (%s)", where, name, field.wanted)
    end
  end
  return record
end

local function prepare(list)
  local fields, names, index = {}, {}, {}
  for i, field in ipairs(list) do
    fields[i] = compile(field)
    names[i] = field[1]
    index[field[1]] = true
  end
  return fields, names, index
end

--- A function that reads the arguments of `where` into a table by name.
---@param where string name of the function in messages
---@param list table[] {name, type, default}, in positional order
---@return fun(...): table
function options.signature(where, list)
  local fields, names, index = prepare(list)
  return function(...)
    local positional, count, named = arrange(where, fields, ...)
    refuse_unknown(where, names, named, index)
    return resolve(where, fields, positional, count, named)
  end
end

--- A function that reads one option table of `where`, nil for none.
---@param where string name of the function in messages
---@param list table[] {name, type, default}
---@return fun(given: table|nil): table
function options.reader(where, list)
  local fields, names, index = prepare(list)
  return function(given)
    if given ~= nil and (type(given) ~= "table" or getmetatable(given) ~= nil) then
      fail("%s: an option table expected, got %s", where, show(given))
    end
    refuse_unknown(where, names, given or {}, index)
    return resolve(where, fields, {}, 0, given or {})
  end
end

--- Refuse a word that is not one of `words`.
---@param where string
---@param name string the option
---@param value string
---@param words string[]
function options.one_of(where, name, value, words)
  for _, word in ipairs(words) do
    if value == word then return end
  end
  fail("%s: %s must be one of '%s', got %s%s", where, name, table.concat(words, "', '"),
    show(value), type(value) == "string" and options.closest(value, words)
    and (", did you mean '%s'?"):format(options.closest(value, words)) or "")
end

--- An int64 tensor of one dimension, from one or from a list of integers: lengths, indices.
---@param where string
---@param name string the argument
---@param value any
---@return saros.Tensor on its device; of a list on the default one
function options.integers(where, name, value)
  if core.is_tensor(value) then
    if value.dtype ~= "int64" or value:dim() ~= 1 then
      fail("%s: %s must be an int64 tensor of one dimension, got %s of %s", where, name,
        show(value), value.dtype)
    end
    return value
  end
  if type(value) ~= "table" or getmetatable(value) ~= nil then
    fail("%s: %s must be a list or an int64 tensor, got %s", where, name, show(value))
  end
  for i = 1, #value do
    if not (math.type(value[i]) and math.tointeger(value[i])) then
      fail("%s: %s[%d] must be an integer, got %s", where, name, i, show(value[i]))
    end
  end
  return core.tensor(value, {dtype = "int64"})
end

return options
