-- What is plotted, as lists of Lua numbers: matrices, curves, labels.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local values = {}

local function check_numbers(where, list)
  for i, value in ipairs(list) do
    if core.is_tensor(value) and value:numel() == 1 then
      list[i] = value:item()
    elseif type(value) ~= "number" then
      fail("%s: item %d must be a number, got %s", where, i, show(value))
    end
  end
  return list
end

--- A list of numbers, a copy.
function values.list(where, list)
  if core.is_tensor(list) then
    if list:dim() ~= 1 then
      fail("%s: a tensor of 1 dimension expected, got %s", where, show(list))
    end
    return list:totable()
  end
  if type(list) ~= "table" then
    fail("%s: a list of numbers expected, got %s", where, show(list))
  end
  return check_numbers(where, table.move(list, 1, #list, 1, {}))
end

--- A matrix as a list of rows of the same length, a copy.
function values.rows(where, matrix)
  if core.is_tensor(matrix) and matrix:dim() ~= 2 then
    fail("%s: a matrix expected, got %s", where, show(matrix))
  end
  local source = core.is_tensor(matrix) and matrix:totable() or matrix
  if type(source) ~= "table" or #source == 0 then
    fail("%s: a matrix expected (a tensor or a list of rows), got %s", where, show(matrix))
  end
  local rows = {}
  for i, row in ipairs(source) do
    rows[i] = values.list(where, row)
    if #rows[i] ~= #rows[1] or #rows[i] == 0 then
      fail("%s: row %d has %d items, row 1 has %d", where, i, #rows[i], #rows[1])
    end
  end
  return rows
end

--- A square matrix as rows.
function values.square(where, matrix)
  local rows = values.rows(where, matrix)
  if #rows ~= #rows[1] then
    fail("%s: a square matrix expected, got (%d, %d)", where, #rows, #rows[1])
  end
  return rows
end

--- One curve or a list of curves, as a list of curves.
function values.curves(where, series)
  if core.is_tensor(series) then
    return series:dim() == 2 and values.rows(where, series) or {values.list(where, series)}
  end
  if type(series) ~= "table" or #series == 0 then
    fail("%s: a list of numbers or of curves expected, got %s", where,
      type(series) == "table" and "an empty table" or show(series))
  end
  local first = series[1]
  local one = type(first) == "number" or core.is_tensor(first) and first:dim() == 0
  if one then return {values.list(where, series)} end
  local curves = {}
  for k, curve in ipairs(series) do curves[k] = values.list(where, curve) end
  return curves
end

--- `count` labels as strings.
function values.labels(where, labels, count)
  if type(labels) ~= "table" or #labels ~= count then
    fail("%s: %d labels expected, got %s", where, count,
      type(labels) == "table" and tostring(#labels) or show(labels))
  end
  local words = {}
  for i, label in ipairs(labels) do words[i] = tostring(label) end
  return words
end

--- Code points of the longest word.
function values.longest(words)
  local longest = 0
  for _, word in ipairs(words) do longest = math.max(longest, utf8.len(word) or #word) end
  return longest
end

--- Points of the longest curve.
function values.longest_curve(curves)
  local longest = 0
  for _, curve in ipairs(curves) do longest = math.max(longest, #curve) end
  return longest
end

--- Each row divided by its sum; a row of zeros stays.
function values.shares(rows)
  local shares = {}
  for i, row in ipairs(rows) do
    local sum = 0
    for _, value in ipairs(row) do sum = sum + value end
    shares[i] = {}
    for j, value in ipairs(row) do shares[i][j] = sum > 0 and value / sum or 0 end
  end
  return shares
end

--- Smallest and largest finite number.
function values.range(rows)
  local low, high = math.huge, -math.huge
  for _, row in ipairs(rows) do
    for _, value in ipairs(row) do
      if value == value and math.abs(value) < math.huge then
        low, high = math.min(low, value), math.max(high, value)
      end
    end
  end
  if low > high then return 0, 1 end
  return low, high
end

return values
