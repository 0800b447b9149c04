-- x[key] and x[key] = value for every kind of key, against plain loops over elements.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local gradcheck = require "gradcheck"
local support = require "support"

local random = saros.Generator():manual_seed(5)

-- An integer from low to high.
local function pick(low, high)
  return saros.randint(low, high + 1, {1}, {generator = random}):item()
end

-- ---- the loops ----------------------------------------------------------------------------

local function product(list)
  local n = 1
  for _, size in ipairs(list) do n = n * size end
  return n
end

-- Elements from one position of each dimension to the next.
local function strides_of(shape)
  local strides, n = {}, 1
  for d = #shape, 1, -1 do strides[d], n = n, n * shape[d] end
  return strides
end

-- Calls f(indices from 0) for all elements of a shape, row by row.
local function walk(shape, f)
  local at = {}
  for d = 1, #shape do at[d] = 0 end
  for _ = 1, product(shape) do
    f(at)
    for d = #shape, 1, -1 do
      at[d] = at[d] + 1
      if at[d] < shape[d] then break end
      at[d] = 0
    end
  end
end

local function values_of(t) return t:reshape(-1):totable() end

-- The positions, from 0, of a mask's true elements: a list for each of its dimensions.
local function places_of(mask)
  local lists, values, i = {}, values_of(mask), 0
  for d = 1, mask.ndim do lists[d] = {} end
  walk(mask.shape, function(at)
    i = i + 1
    for d = 1, values[i] and mask.ndim or 0 do table.insert(lists[d], at[d]) end
  end)
  return lists
end

local function from0(position, size) return position > 0 and position - 1 or position + size end

local function range_of(item, size)
  local list, first = {}, item[1] or 1
  for p = from0(first, size), from0(item[2] or item[1] or -1, size), item[3] or 1 do
    list[#list + 1] = p
  end
  return list
end

-- What a key says of each dimension of x: {fixed = position} or {list = positions}, of a
-- tensor with its shape. Positions are from 0.
local function read_key(shape, key)
  local dims = {}
  for _, item in ipairs(key) do
    local size = shape[#dims + 1]
    if math.type(item) then
      dims[#dims + 1] = {fixed = from0(item, size)}
    elseif type(item) == "table" then
      dims[#dims + 1] = {list = range_of(item, size)}
    elseif item.dtype == "bool" then
      for _, list in ipairs(places_of(item)) do dims[#dims + 1] = {list = list, shape = {#list}} end
    elseif item.ndim == 0 then
      dims[#dims + 1] = {fixed = from0(item:item(), size)}
    else
      local list = values_of(item)
      for i, p in ipairs(list) do list[i] = from0(p, size) end
      dims[#dims + 1] = {list = list, shape = {table.unpack(item.shape)}}
    end
  end
  for d = #dims + 1, #shape do dims[d] = {list = range_of({}, shape[d])} end
  return dims
end

local function common_shape(dims)
  local common = {}
  for _, dim in ipairs(dims) do
    local own = dim.shape or {}
    while #common < #own do table.insert(common, 1, 1) end
    for d = 1, #own do
      local at = #common - #own + d
      if common[at] == 1 then common[at] = own[d] end
    end
  end
  return common
end

-- The shape of the result; each dimension of it that is not of the tensors gets its `axis`
-- there. *place: how many dimensions stand before those of the tensors.
local function lay_out(dims, common)
  local kinds = {}
  for _, dim in ipairs(dims) do
    if dim.list then kinds[#kinds + 1] = dim.shape and "t" or "o" end
  end
  local shape, place = {}, nil
  local function put_common()
    place = #shape
    table.move(common, 1, #common, #shape + 1, shape)
  end
  if table.concat(kinds):find("to+t") then put_common() end
  for _, dim in ipairs(dims) do
    if dim.shape and not place then put_common() end
    if dim.list and not dim.shape then
      shape[#shape + 1] = #dim.list
      dim.axis = #shape
    end
  end
  return shape, place
end

-- The position that a dimension's tensor has at an element of the result.
local function position_at(dim, at, place, common)
  local strides, i = strides_of(dim.shape), 1
  for d = 1, #dim.shape do
    if dim.shape[d] > 1 then i = i + strides[d] * at[place + #common - #dim.shape + d] end
  end
  return dim.list[i]
end

-- The shape of x[key], and which elements of x, counted from 1 row by row, stand in it.
local function chosen(shape, key)
  local dims, strides, list = read_key(shape, key), strides_of(shape), {}
  local common = common_shape(dims)
  local result, place = lay_out(dims, common)
  walk(result, function(at)
    local element = 1
    for d, dim in ipairs(dims) do
      local position = dim.fixed
      if dim.shape then position = position_at(dim, at, place, common) end
      if dim.axis then position = dim.list[at[dim.axis] + 1] end
      element = element + position * strides[d]
    end
    list[#list + 1] = element
  end)
  return result, list
end

-- ---- keys ---------------------------------------------------------------------------------

-- Tensors that broadcast together: (2, 3), (3), (2, 1), (1); masks have 3 true elements or 1.
local function some_ids(size)
  local shapes = {{2, 3}, {3}, {2, 1}, {1}}
  local ids = saros.randint(1, size + 1, shapes[pick(1, 4)], {generator = random})
  if pick(1, 2) == 1 then ids = ids - (size + 1) end
  return ids.ndim == 2 and pick(1, 2) == 1 and ids:t():contiguous():t() or ids
end

local function some_mask(sizes)
  local n = product(sizes)
  local mask = saros.zeros(n, {dtype = "bool"})
  local order = saros.randperm(n, {generator = random})
  mask[order[{ {1, n >= 3 and pick(1, 2) == 1 and 3 or 1} }]] = true
  return mask:view(sizes)
end

local function some_range(size)
  local first = pick(1, size)
  local last = pick(first, size)
  if pick(1, 3) == 1 then return {first - size - 1, last - size - 1} end
  return {first, last, pick(1, 2)}
end

-- Kinds of items; the mask of two dimensions comes apart below.
local items = {
  number = function(size) return pick(1, size) - (pick(1, 2) - 1) * (size + 1) end,
  range = some_range,
  all = function() return {} end,
  ids = some_ids,
  position = function(size) return saros.tensor(pick(1, size)) end, -- of no dimension
  mask = function(size) return some_mask {size} end,
}
local kinds = {"number", "range", "all", "ids", "position", "mask"}

-- Calls f(key, name) for all lists of kinds of items for these sizes, also shorter ones.
local function each_key(shape, f)
  local function extend(key, d, name)
    if #key > 0 then f(key, name) end
    if d > #shape then return end
    for _, kind in ipairs(kinds) do
      local longer = table.move(key, 1, #key, 1, {})
      longer[#key + 1] = items[kind](shape[d])
      extend(longer, d + 1, name .. " " .. kind)
    end
    if d == #shape then return end
    local longer = table.move(key, 1, #key, 1, {})
    longer[#key + 1] = some_mask {shape[d], shape[d + 1]}
    extend(longer, d + 2, name .. " mask2")
  end
  extend({}, 1, "")
end

local function some_shape(ndim)
  local shape = {}
  for d = 1, ndim do shape[d] = pick(1, 4) end
  return shape
end

-- 1, 2, 3, .. in a shape, laid out in memory in one of several ways.
local function counted(shape, layout)
  local x = saros.arange(1, product(shape) + 1, {dtype = "float64"}):view(shape)
  return gradcheck.layouts(x)[layout] or x
end

-- Calls f(x, key, result's shape, chosen elements, name) for all kinds of keys.
local function each_case(f)
  local count = 0
  for ndim = 1, 4 do
    for layout = 1, 3 do
      local shape = some_shape(ndim)
      each_key(shape, function(key, name)
        local result, list = chosen(shape, key)
        count = count + 1
        f(counted(shape, layout), key, result, list,
          ("%s of [%s], layout %d"):format(name, table.concat(shape, ", "), layout))
      end)
    end
  end
  return count
end

-- ---- tests --------------------------------------------------------------------------------

TestKeys = {}

local function check_shape(y, shape, name)
  lu.assertEquals(table.concat(y.shape, ","), table.concat(shape, ","), name)
end

-- x has the numbers of its elements as values.
function TestKeys.test_reading()
  local count = each_case(function(x, key, shape, list, name)
    local y = x[key]
    check_shape(y, shape, name)
    lu.assertEquals(values_of(y), list, name)
    if #key == 1 and type(key[1]) == "userdata" then
      lu.assertEquals(values_of(x[key[1]]), list, name)
    end
  end)
  lu.assertTrue(count > 5000, count)
end

local function check_writing(x, key, list, value, name)
  local right, values = values_of(x), value and values_of(value)
  for i, element in ipairs(list) do right[element] = values and values[i] or 7 end
  x[key] = value or 7
  lu.assertEquals(values_of(x), right, name)
end

function TestKeys.test_writing()
  each_case(function(x, key, shape, list, name)
    local full = saros.rand(shape, {generator = random}):double()
    check_writing(x:clone(), key, list, full, name)
    check_writing(x, key, list, full, name) -- also where x lies with gaps in memory
    check_writing(x, key, list, nil, name .. ", a number")
  end)
end

-- Values that broadcast: without first dimensions, and with a size of 1 somewhere.
function TestKeys.test_writing_what_broadcasts()
  each_case(function(x, key, shape, list, name)
    local own = table.move(shape, pick(1, #shape + 1), #shape, 1, {})
    if #own > 0 then own[pick(1, #own)] = 1 end
    local value = saros.rand(own, {generator = random}):double()
    local right, values = values_of(x), values_of(value:expand(shape):contiguous())
    for i, element in ipairs(list) do right[element] = values[i] end
    x[key] = value
    lu.assertEquals(values_of(x), right, name)
  end)
end

-- Only the places in the key are written to: not what lies between x's elements in memory.
function TestKeys.test_a_part_of_a_tensor()
  local wide = saros.zeros(4, 6)
  local part = wide[{ {2, 3}, {1, -1, 2} }] -- (2, 3)
  part[{ saros.tensor {2, 1}, saros.tensor {3, 1} }] = saros.tensor {1., 2.}
  lu.assertEquals(wide:totable(), {
    {0, 0, 0, 0, 0, 0}, {2, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 1, 0}, {0, 0, 0, 0, 0, 0}})
end

-- The gradient of an element is that of all places where it was read.
function TestKeys.test_gradients_of_reading()
  each_case(function(x, key, shape, list, name)
    local leaf = x:detach():requires_grad_()
    local g = saros.rand(shape, {generator = random}):double()
    leaf[key]:backward(g)
    local right, values = values_of(x * 0), values_of(g)
    for i, element in ipairs(list) do right[element] = right[element] + values[i] end
    support.assert_close(leaf.grad:reshape(-1), saros.tensor(right, {dtype = "float64"}), 1e-14,
      name)
  end)
end

-- What is written over has gradient 0; of several values for one place the last has all.
function TestKeys.test_gradients_of_writing()
  each_case(function(x, key, shape, list, name)
    local leaf = x:detach():requires_grad_()
    local value = saros.rand(shape, {generator = random}):double():requires_grad_()
    local y = saros.zeros(x.shape, {dtype = "float64"})
    y:copy_(leaf)
    y[key] = value
    local g = saros.rand(x.shape, {generator = random}):double()
    y:backward(g)
    local right, of_value, last = values_of(g), {}, {}
    for i, element in ipairs(list) do last[element] = i end
    for i, element in ipairs(list) do
      of_value[i] = last[element] == i and values_of(g)[element] or 0
    end
    for element in pairs(last) do right[element] = 0 end
    lu.assertEquals(values_of(leaf.grad), right, name)
    lu.assertEquals(values_of(value.grad), of_value, name)
  end)
end

TestFiniteDifferences = {}

local ids, pairs_of = saros.tensor {2, 1, 2, -1}, saros.tensor {{3}, {1}}
local mask = saros.tensor {{true, false, true}, {false, true, false}}
local keys = { -- for (2, 3, 4)
  ids = ids, pairs = {ids, ids}, apart = {ids, {}, ids}, last = { {}, {}, pairs_of },
  number = {2, pairs_of}, between = {ids, 2, pairs_of}, range = { {}, {1, 3, 2}, ids },
  mask = mask, mask_and_ids = {mask, saros.tensor {4, 4, 1}}, masks = { {}, mask[1], {1, 2} },
  position = {ids, saros.tensor(2), {2, 3}},
}

for name, key in pairs(keys) do
  local x = saros.rand(2, 3, 4, {generator = random}):double()

  TestFiniteDifferences["test_reading_" .. name] = function()
    gradcheck.check_layouts(name, function(t) return t[key] end, {x})
  end

  TestFiniteDifferences["test_writing_" .. name] = function()
    local shape = chosen({2, 3, 4}, type(key) == "table" and key or {key})
    local full = saros.rand(shape, {generator = random}):double()
    local row = saros.rand(shape[#shape], {generator = random}):double()
    for _, value in ipairs {full, row} do
      gradcheck.check_layouts(name, function(t, v)
        local y = t * 1
        y[key] = v
        y[key] = y[key] * 2 -- after which the result is read and written again
        return y
      end, {x, value})
    end
  end

  TestFiniteDifferences["test_writing_permuted_" .. name] = function()
    gradcheck.check(name, function(t, v) -- y's dimensions lie the other way round in memory
      local y = saros.zeros(4, 3, 2, {dtype = "float64"}):permute(3, 2, 1)
      y:copy_(t)
      y[key] = v
      return y
    end, {x, saros.rand(1, {generator = random}):double()})
  end
end

TestRest = {}

function TestRest.test_labels()
  local scores = saros.arange(12, {dtype = "float32"}):view(3, 4)
  local labels = saros.tensor {4, 1, 2}
  lu.assertEquals(scores[{ saros.arange(1, 4), labels }]:totable(), {3, 4, 9})
  scores[{ saros.arange(1, 4), labels }] = {-1, -2, -3}
  lu.assertEquals(scores:totable(), {{0, 1, 2, -1}, {-2, 5, 6, 7}, {8, -3, 10, 11}})
end

function TestRest.test_dtypes()
  for _, dtype in ipairs {"float32", "float64", "int64", "bool"} do
    local x = saros.tensor({{0, 1}, {1, 0}}, {dtype = dtype})
    local y = x[{ {}, ids[{ {1, 3} }] }]
    lu.assertEquals(y.dtype, dtype)
    lu.assertEquals(y:double():totable(), {{1, 0, 1}, {0, 1, 0}})
    x[{ ids[{ {1, 2} }], 1 }] = saros.tensor {0., 1.}
    x[{ 1, saros.tensor {2} }] = 0
    lu.assertEquals(x:double():totable(), {{1, 0}, {0, 0}})
  end
end

-- A tensor with one position is a position: a view, as x[2] is.
function TestRest.test_a_single_position()
  local x = saros.zeros(2, 3)
  x[saros.tensor(2)]:fill_(1)
  x[{ {}, saros.tensor(-1) }]:add_(2)
  lu.assertEquals(x:totable(), {{0, 0, 2}, {1, 1, 3}})
  x[saros.tensor(1)] = 5
  lu.assertEquals(x[1]:totable(), {5, 5, 5})
end

-- As in torch: a mask of no dimension makes one of size 1 or 0.
function TestRest.test_a_single_mask()
  local x, yes, no = saros.tensor {{1., 2.}, {3., 4.}}, saros.tensor(true), saros.tensor(false)
  lu.assertEquals(x[yes]:totable(), {{{1, 2}, {3, 4}}})
  check_shape(x[no], {0, 2, 2})
  lu.assertEquals(x[{ {}, yes, 2 }]:totable(), {{2}, {4}})
  lu.assertEquals(x[{ yes, 1, 2 }]:totable(), {2})
  check_shape(saros.tensor(3.)[no], {0})
  x[no] = 9
  lu.assertEquals(x:totable(), {{1, 2}, {3, 4}})
  x[yes] = 9
  lu.assertEquals(x:totable(), {{9, 9}, {9, 9}})
end

function TestRest.test_nothing_chosen()
  local x, none = saros.ones(2, 3, 4), saros.zeros(0, {dtype = "int64"})
  check_shape(x[none], {0, 3, 4})
  check_shape(x[{ {}, none }], {2, 0, 4})
  check_shape(x[{ none, {}, none }], {0, 3})
  check_shape(x[{ 1, none:view(0, 1), none[{ {} }] }], {0, 0})
  check_shape(x[{ {}, saros.zeros(3, 4):gt(0) }], {2, 0})
  check_shape(x[{ {}, saros.zeros(3):gt(0) }], {2, 0, 4})
  check_shape(saros.ones(3, 0)[{ saros.tensor {1, 2} }], {2, 0})
  check_shape(saros.ones(0, 3)[{ {}, saros.tensor {1, 2} }], {0, 2})
  x[{ {}, none }] = 2
  x[{ {}, saros.zeros(3):gt(0) }] = saros.ones(4)
  x[{ none, none }] = saros.ones(4)
  lu.assertEquals(x:sum():item(), 24)
  local leaf = saros.ones(2, 3, {requires_grad = true})
  leaf[{ {}, none }]:sum():backward()
  lu.assertEquals(leaf.grad:totable(), {{0, 0, 0}, {0, 0, 0}})
end

-- The key, the value and the tensor may be the same one, or parts of it.
function TestRest.test_a_tensor_in_its_own_key()
  local x = saros.tensor {3, 1, 2}
  x[x] = x
  lu.assertEquals(x:totable(), {1, 2, 3})
  local y = saros.tensor {{1, 2}, {3, 4}}
  y[{ saros.tensor {2, 1} }] = y
  lu.assertEquals(y:totable(), {{3, 4}, {1, 2}})
  y[{ {}, y[2] }] = y:t()
  lu.assertEquals(y:totable(), {{3, 1}, {4, 2}})
end

function TestRest.test_history()
  local leaf = saros.ones(2, 3, {requires_grad = true})
  local two = saros.tensor {2, 2}
  support.assert_error("a leaf that requires gradients", function() leaf[{ {}, two }] = 0 end)
  saros.no_grad(function() leaf[{ {}, two }] = 0 end)
  lu.assertEquals(leaf:detach():totable(), {{1, 0, 1}, {1, 0, 1}})
  lu.assertFalse(saros.no_grad(function() return leaf[{ two, two }] end).requires_grad)
  lu.assertEquals(leaf[{ two, two }].grad_fn, "index")
  local x = leaf * 1
  x[{ {}, two }] = 3
  lu.assertEquals(x.grad_fn, "index_put_")
  local row = x[1]
  x[{ 1, two }] = 4
  support.assert_error("take the view again", function() return row * 2 end)
  local y = leaf[{ {}, two }]
  two:fill_(1)
  support.assert_error("changed in place", function() y:sum():backward() end)
end

-- Positions are looked at before anything is written.
function TestRest.test_a_wrong_position_writes_nothing()
  local x = saros.zeros(2, 3)
  support.assert_error("index: index 4 in dimension 2 of size 3", function()
    x[{ saros.tensor {1, 2}, saros.tensor {1, 4} }] = 1
  end)
  support.assert_error("index: index 4 in dimension 2 of size 3", function()
    x[{ {}, saros.tensor {1, 4} }] = 1
  end)
  lu.assertEquals(x:sum():item(), 0)
end

-- Reading and writing some elements of a large tensor costs their size, however it lies in
-- memory.
function TestRest.test_memory()
  local x, ten = saros.zeros(4000, 1000), saros.arange(1, 11)
  local before = saros.memory().peak_bytes
  for _, key in ipairs {{ten, ten}, {ten, {1, 5}}, { {3, 9}, ten }, {7, ten}} do
    for _, t in ipairs {x, x:t()} do t[key] = t[key] * 2 end
  end
  lu.assertTrue(saros.memory().peak_bytes - before < 100000)
end

os.exit(lu.LuaUnit.run())
