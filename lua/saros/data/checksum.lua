-- data.checksum: tells whether data are the same as those of an earlier run, without keeping them.

local options = require "saros.options"

local unpack = string.unpack

local PRIME, START = 0x100000001B3, 0xCBF29CE484222325 -- those of FNV-1a

-- FNV-1a by words of 64 bits; the shift brings what the product moved up to the low bits again.
local function add(sum, word)
  sum = (sum ~ word) * PRIME
  return sum ~ sum >> 32
end

local zeros = ("\0"):rep(31)

local function add_string(sum, s)
  sum = add(sum, #s)
  s = s .. zeros:sub(1, -#s % 32)
  for i = 1, #s, 32 do
    local a, b, c, d = unpack("<i8i8i8i8", s, i)
    sum = add(add(add(add(sum, a), b), c), d)
  end
  return sum
end

local add_value

local deepest = 100

-- The keys that are strings, sorted; all others must be positions from 1 to #t.
local function names_of(t)
  local names, positions = {}, 0
  for key in pairs(t) do
    if type(key) == "string" then names[#names + 1] = key else positions = positions + 1 end
  end
  if positions ~= #t then
    options.fail("data.checksum: the keys of a table must be strings and positions without gaps")
  end
  table.sort(names)
  return names
end

local function add_table(sum, t, depth)
  if depth > deepest then
    options.fail("data.checksum: tables nested deeper than %d, or a table that contains itself",
      deepest)
  end
  local names = names_of(t)
  sum = add(add(sum, #t), #names)
  for i = 1, #t do sum = add_value(sum, t[i], depth) end
  for _, name in ipairs(names) do sum = add_value(add_string(sum, name), t[name], depth) end
  return sum
end

function add_value(sum, value, depth)
  local kind = type(value)
  if kind == "table" then return add_table(add(sum, 1), value, depth + 1) end
  if kind == "string" then return add_string(add(sum, 2), value) end
  if kind == "number" then return add_string(add(sum, 3), ("%q"):format(value)) end
  options.fail("data.checksum: strings, numbers and tables of them expected, got %s",
    options.show(value))
end

--- A short word for data: the same for the same strings and numbers in the same order, else another
--- one. It is no protection against those who want two data to look alike.
---
--- data.checksum {"Abe", "Bea"} -- "dc6a45ec850a8b54"
---@param value any a string, a number, or a table of them by position or name, nested as you like
---@return string 16 hexadecimal digits
return function(value) return ("%016x"):format(add_value(START, value, 0)) end
