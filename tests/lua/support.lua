-- What several Lua tests share: golden cases, comparing tensors, catching errors.
local lu = require "luaunit"
local saros = require "saros"

local support = {}

--- Tensors of tests/golden/NAME.safetensors.
---@param name string
---@return table<string, saros.Tensor>
function support.golden(name)
  return (saros.load("tests/golden/" .. name .. ".safetensors"))
end

local texts = {}

--- The list of numbers under `key` in tests/golden/NAME.json, or nil.
---@param name string
---@param key string
---@return number[]|nil
function support.golden_row(name, key)
  texts[name] = texts[name] or assert(saros.read_file("tests/golden/" .. name .. ".json"))
  local _, start = texts[name]:find('"' .. key .. '": [', 1, true)
  if not start then return nil end
  local row = {}
  for number in texts[name]:match("^[^%]]*", start + 1):gmatch("[%d.eE+-]+") do
    row[#row + 1] = tonumber(number)
  end
  return row
end

--- Largest difference, relative to the largest element of `wanted`, at most `tolerance`.
---@param got saros.Tensor
---@param wanted saros.Tensor
---@param tolerance number
---@param what? string
function support.assert_close(got, wanted, tolerance, what)
  what = what or "tensor"
  lu.assertEquals(tostring(got.shape), tostring(wanted.shape), what)
  if wanted:numel() == 0 then return end
  local a, b = got:detach():double(), wanted:detach():double()
  local difference = (a - b):abs():max():item()
  local scale = math.max(b:abs():max():item(), 1e-30)
  if difference ~= difference or difference > tolerance * scale then
    lu.fail(("%s: differs by %g of %g"):format(what, difference, scale))
  end
end

--- Every bit the same.
function support.assert_same(got, wanted, what)
  lu.assertEquals(tostring(got.shape), tostring(wanted.shape), what)
  lu.assertEquals(got.dtype, wanted.dtype, what)
  lu.assertTrue(got:detach():eq(wanted:detach()):all():item(), (what or "tensor") .. " differs")
end

--- The error of f(...): it must be raised at a line of the tests, not of the library, and
--- have `text` (plain) in it.
function support.assert_error(text, f, ...)
  local ok, message = pcall(f, ...)
  lu.assertFalse(ok, "no error; expected: " .. text)
  lu.assertStrContains(message, text)
  lu.assertStrMatches(message, "[%w_/.]*lua/[%w_]+%.lua:%d+: .*")
  return message
end

--- Let each allocation of f() fail, one after the other, and check after each failure.
---@return integer how many failed
function support.each_failing_allocation(f, check)
  local n = 0
  while true do
    saros.memory_fail_at(n + 1)
    local ok, message = pcall(f)
    saros.memory_fail_at(0)
    if ok then return n end
    lu.assertStrContains(message, "memory")
    check()
    n = n + 1
  end
end

--- Names in the order of an iterator of pairs.
function support.names(iterator, ...)
  local list = {}
  for name in iterator, ... do list[#list + 1] = name end
  return list
end

--- Run the suites: support.run{TestA = {...}, TestB = {...}}, in order of name.
function support.run(suites)
  local list = {}
  for name, suite in pairs(suites) do list[#list + 1] = {name, suite} end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  os.exit(lu.LuaUnit.new():runSuiteByInstances(list))
end

return support
