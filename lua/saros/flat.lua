-- Trees of tables as lines of text, which fit into the metadata of a safetensors file, and
-- the tensors in them, which are its tensors:
--
--   epoch                           3
--   note                            "second try
--   optimizer.param_groups[1].lr    0.1
--   optimizer.param_groups[1].betas [0.9 0.999]
--   model["rnn.weight_ih_l0"]       tensor model.rnn.weight_ih_l0
--
-- A value is true, false, a number, a string after one quote, a list of numbers, {} for an
-- empty table, `hex 0a1b` for a string that is not UTF-8, or the name of a tensor; a long list
-- of numbers is a tensor too, `numbers loop.order`. Every number is read back as it was, to the
-- bit, integers as integers.

local core = require "saros.core"
local options = require "saros.options"
local ordered = require "saros.ordered"

local fail, show = options.fail, options.show

local flat = {}

local deepest = 100
local longest_line = 1000 -- numbers in a list that is written as text

-- ---- strings and numbers ---------------------------------------------------------------

local function is_text(s) return utf8.len(s) and not s:find("\0", 1, true) end

--- The bytes of a string as hexadecimal digits.
---@param s string
---@return string
function flat.hex(s)
  return (s:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

--- The bytes again, nil if these are no digits.
---@param digits string
---@return string|nil
function flat.unhex(digits)
  if #digits % 2 == 1 or digits:find("%X") then return nil end
  return (digits:gsub("..", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- The shortest decimal number that is read as this one.
local function float_text(value)
  for precision = 15, 17 do
    local text = ("%%.%dg"):format(precision):format(value)
    if tonumber(text) == value then return text:find("[.e]") and text or text .. ".0" end
  end
end

local function number_text(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" end
  return value == -math.huge and "-inf" or float_text(value)
end

local special = {nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge}

local function to_number(text)
  return special[text] or text:find("^%-?%d[%d.e+-]*$") and tonumber(text)
end

-- ---- paths ---------------------------------------------------------------------------------

local function segment(key)
  if math.type(key) == "integer" then return ("[%d]"):format(key) end
  if key:find("^[%a_][%w_]*$") then return "." .. key end
  if is_text(key) and not key:find('"', 1, true) then return ('["%s"]'):format(key) end
  return ("[hex %s]"):format(flat.hex(key))
end

--- The path of a key of the tree's root.
---@param key string|integer
---@return string
function flat.path(key) return (segment(key):gsub("^%.", "")) end

local function read_bracket(inside)
  local quoted, hex = inside:match('^"([^"]*)"$'), inside:match("^hex (%x+)$")
  return quoted or hex and flat.unhex(hex) or math.tointeger(tonumber(inside:match("^%-?%d+$")))
end

-- The keys of a path as a list, nil if it is none.
local function read_path(path)
  local keys, at = {}, 1
  while at <= #path do
    local key, last
    if path:sub(at, at) == "[" then
      local closing = path:sub(at + 1, at + 1) == '"' and '"]' or "]"
      local _, stop = path:find(closing, at + 2, true)
      key, last = stop and read_bracket(path:sub(at + 1, stop - 1)), stop
    else
      local start, stop, name = path:find(at == 1 and "^([%a_][%w_]*)" or "^%.([%a_][%w_]*)", at)
      key, last = start and name, stop
    end
    if key == nil or #keys == deepest then return nil end
    keys[#keys + 1], at = key, last + 1
  end
  return #keys > 0 and keys or nil
end

-- ---- writing -------------------------------------------------------------------------------

local function is_number_list(t)
  local count = 0
  for key, value in pairs(t) do
    if math.type(key) ~= "integer" or type(value) ~= "number" then return false end
    count = count + 1
  end
  return count > 0 and count == #t
end

-- The dtype that holds all numbers of a list as they are, or nil.
local function dtype_of(t)
  local kind = math.type(t[1])
  for _, value in ipairs(t) do
    if math.type(value) ~= kind then return nil end
  end
  return kind == "integer" and "int64" or "float64"
end

local function list_text(t)
  local words = {}
  for i, value in ipairs(t) do words[i] = number_text(value) end
  return "[" .. table.concat(words, " ") .. "]"
end

-- model + ["rnn.weight_ih_l0"] -> model.rnn.weight_ih_l0
local function tensor_name(out, keys, path)
  local words = {}
  for i, key in ipairs(keys) do
    if type(key) == "string" and not is_text(key) then return path end
    words[i] = tostring(key)
  end
  local name = table.concat(words, ".")
  while name == "__metadata__" or out.tensors[name] do name = name .. "_" end
  return name
end

local function write_list(out, keys, path, t)
  local dtype = #t > longest_line and dtype_of(t)
  if not dtype then
    out.lines[path] = list_text(t)
    return
  end
  local name = tensor_name(out, keys, path)
  out.tensors[name] = core.tensor(t, {dtype = dtype, device = "cpu"})
  out.lines[path] = "numbers " .. name
end

local write

local function write_table(out, keys, path, t)
  if getmetatable(t) ~= nil and not ordered.is(t) then
    fail("%s: '%s' holds %s: only plain tables are saved%s", out.where, path, show(t),
      type(t.state_dict) == "function" and ", and objects at the top" or "")
  end
  if #keys == deepest then
    fail("%s: '%s': tables nested deeper than %d, or a table that contains itself", out.where,
      path:sub(1, 40), deepest)
  end
  if next(t) == nil then
    out.lines[path] = "{}"
  elseif is_number_list(t) then
    write_list(out, keys, path, t)
  else
    for _, key in ipairs(ordered.keys(t)) do
      if type(key) ~= "string" and math.type(key) ~= "integer" then
        fail("%s: '%s' has the key %s: keys are strings and integers", out.where, path, show(key))
      end
      keys[#keys + 1] = key
      write(out, keys, path .. segment(key), t[key])
      keys[#keys] = nil
    end
  end
end

function write(out, keys, path, value)
  local kind = type(value)
  if core.is_tensor(value) then
    local name = tensor_name(out, keys, path)
    out.tensors[name], out.lines[path] = value:detach(), "tensor " .. name
  elseif kind == "table" then
    write_table(out, keys, path, value)
  elseif kind == "string" then
    out.lines[path] = is_text(value) and '"' .. value or "hex " .. flat.hex(value)
  elseif kind == "number" then
    out.lines[path] = number_text(value)
  elseif kind == "boolean" then
    out.lines[path] = tostring(value)
  else
    fail("%s: '%s' holds %s: tensors, numbers, strings, booleans and tables are saved", out.where,
      path, show(value))
  end
end

--- Lines and tensors of a tree.
---@param where string how messages begin
---@param tree table<string, any>
---@return table<string, string> lines by path
---@return table<string, saros.Tensor> tensors by name, in order
function flat.write(where, tree)
  local out = {where = where, lines = {}, tensors = ordered.new()}
  for _, key in ipairs(ordered.keys(tree)) do write(out, {key}, flat.path(key), tree[key]) end
  return out.lines, out.tensors
end

-- ---- reading -------------------------------------------------------------------------------

local function read_list(text)
  local list = {}
  for word in text:gmatch("%S+") do
    local value = to_number(word)
    if not value then return nil end
    list[#list + 1] = value
  end
  return list
end

local function list_of(t)
  return t and t:dim() == 1 and (t.dtype == "int64" or t.dtype == "float64") and t:totable() or nil
end

-- nil if it is no value.
local function read_value(text, tensors)
  local first = text:sub(1, 1)
  if text == "true" then return true end
  if text == "false" then return false end
  if text == "{}" then return {} end
  if first == '"' then return text:sub(2) end
  if first == "[" and text:sub(-1) == "]" then return read_list(text:sub(2, -2)) end
  if text:sub(1, 4) == "hex " then return flat.unhex(text:sub(5)) end
  if text:sub(1, 7) == "tensor " then return tensors[text:sub(8)] end
  if text:sub(1, 8) == "numbers " then return list_of(tensors[text:sub(9)]) end
  return to_number(text) or nil
end

-- Put a value into its place; false if something else is there.
local function place(root, keys, value)
  local t = root
  for i = 1, #keys - 1 do
    local inner = t[keys[i]]
    if inner == nil then
      inner = {}
      t[keys[i]] = inner
    elseif type(inner) ~= "table" then
      return false
    end
    t = inner
  end
  local last = keys[#keys]
  if t[last] ~= nil then return false end
  t[last] = value
  return true
end

--- The tree of lines that flat.write made.
---@param where string how messages begin
---@param lines table<string, string>
---@param tensors table<string, saros.Tensor>
---@return table<string, any>
function flat.read(where, lines, tensors)
  local tree = {}
  for _, path in ipairs(ordered.keys(lines)) do
    local keys, value = read_path(path), read_value(lines[path], tensors)
    if keys == nil or value == nil or not place(tree, keys, value) then
      fail("%s: the entry %s = %s is damaged", where, show(path), show(lines[path]))
    end
  end
  return tree
end

return flat
