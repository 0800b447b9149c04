-- How arguments and option tables are read, and what is said of wrong ones.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local options = require "saros.options"
local class = require "saros.class"
local ordered = require "saros.ordered"
local support = require "support"
local nn, assert_error = saros.nn, support.assert_error

local TestOptions = {}

function TestOptions:test_by_position_and_by_name()
  for _, linear in ipairs {
    nn.Linear(3, 4, false), nn.Linear(3, 4, {bias = false}),
    nn.Linear {in_features = 3, out_features = 4, bias = false}, nn.Linear {3, 4, bias = false},
    nn.Linear(3.0, 4, {bias = false}),
  } do
    lu.assertEquals(tostring(linear), "Linear(in_features=3, out_features=4, bias=false)")
  end
  lu.assertEquals(nn.RNN(2, 3, 2, "relu").mode, "rnn_relu")
  lu.assertEquals(nn.LSTM(2, 3, 2, false).bias, false)
end

function TestOptions:test_unknown_names()
  assert_error("nn.RNN: unknown option 'num_layer', did you mean 'num_layers'?", nn.RNN, 2, 3,
    {num_layer = 2})
  assert_error("nn.LSTM: unknown option 'birdirectional', did you mean 'bidirectional'?", nn.LSTM,
    2, 3, {birdirectional = true})
  assert_error("nn.Dropout: unknown option 'q' (known: p, inplace)", nn.Dropout, {q = 1})
  assert_error("nn.Tanh: unknown option 'x' (it takes none)", nn.Tanh, {x = 1})
  assert_error("a value without a name in its option table", nn.Linear, 2, 3, {[7] = 1})
end

function TestOptions:test_wrong_types()
  assert_error("nn.RNN: num_layers must be an integer, got string '2'", nn.RNN, 2, 3,
    {num_layers = "2"})
  assert_error("nn.RNN: num_layers must be an integer, got number 1.5", nn.RNN, 2, 3,
    {num_layers = 1.5})
  assert_error("nn.Linear: bias must be a boolean, got number 1", nn.Linear, 2, 3, 1)
  assert_error("nn.Linear: in_features must be an integer, got tensor [2, 3]", nn.Linear,
    saros.zeros(2, 3), 4)
  assert_error("nn.LayerNorm: normalized_shape must be an integer or a table, got string 'x'",
    nn.LayerNorm, "x")
  assert_error("nn.Linear: out_features is missing (an integer)", nn.Linear, 3)
  assert_error("nn.Linear: takes at most 5 arguments, got 6", nn.Linear, 1, 2, true, "cpu",
    "float32", 6)
  assert_error("nn.Linear: in_features is given twice", nn.Linear, 3, 4, {in_features = 3})
  assert_error("must be one of 'tanh', 'relu', got string 'rely', did you mean 'relu'?", nn.RNN,
    2, 3, {nonlinearity = "rely"})
end

function TestOptions:test_line_of_the_script()
  local line
  local ok, message = pcall(function()
    line = debug.getinfo(1, "l").currentline; nn.Linear(1, 2, {bais = true})
  end)
  lu.assertFalse(ok)
  lu.assertStrContains(message, "test_options.lua:" .. line .. ": nn.Linear")
  local routine = coroutine.wrap(function() nn.Linear(1) end)
  assert_error("out_features is missing", routine)
end

function TestOptions:test_closest()
  local words = {"hidden_size", "input_size", "bias"}
  lu.assertEquals(options.closest("hiden_size", words), "hidden_size")
  lu.assertEquals(options.closest("ibas", words), "bias")
  lu.assertEquals(options.closest("BIAS", words), "bias")
  lu.assertNil(options.closest("zzzzzz", words))
end

function TestOptions:test_show()
  lu.assertEquals(options.show(nil), "nil")
  lu.assertEquals(options.show(2.5), "number 2.5")
  lu.assertEquals(options.show(("x"):rep(60)), "string '" .. ("x"):rep(37) .. "...'")
  lu.assertEquals(options.show(nn.Tanh()), "Tanh")
  lu.assertEquals(options.show({}), "table")
  lu.assertEquals(options.show(print), "function")
end

local TestClass = {}

function TestClass:test_chain()
  local A = class.extend(nil, "A")
  function A:init(x) self.x = x end
  function A:__len() return self.x end
  local B = class.extend(A, "B")
  local b = B(3)
  lu.assertEquals(#b, 3)
  lu.assertTrue(class.is(b, A) and class.is(b, B))
  lu.assertFalse(class.is(A(1), B))
  lu.assertFalse(class.is(3, A))
  lu.assertEquals(tostring(B), "class B")
end

local TestOrdered = {}

function TestOrdered:test_order()
  local t = ordered.new()
  for _, key in ipairs {"z", "a", "m"} do t[key] = key:upper() end
  lu.assertEquals(support.names(pairs(t)), {"z", "a", "m"})
  t.a = nil
  t.z = 1
  lu.assertEquals(support.names(pairs(t)), {"z", "m"})
  lu.assertEquals(#t, 2)
  t.a = 2
  lu.assertEquals(#t, 3)
  lu.assertEquals(ordered.keys({b = 1, a = 2}), {"a", "b"})
  lu.assertEquals(tostring(ordered.new()), "{}")
end

local TestSaros = {}

function TestSaros:test_parts()
  local found = {}
  for name in pairs(saros) do found[name] = true end
  for _, name in ipairs {"nn", "optim", "data", "text", "plot", "progress", "save", "load",
    "tensor", "zeros", "no_grad", "version"} do
    lu.assertTrue(found[name], name)
  end
  local classes = {}
  for name in pairs(nn) do classes[name] = true end
  lu.assertTrue(classes.LSTM and classes.functional and classes.BCELoss)
end

-- types.lua, which editors read, has the names that there are.
function TestSaros:test_types()
  local types = assert(core.read_file("lua/saros/types.lua"))
  local tensor, functions = types:match("@class saros.Tensor\n(.*)@class saros\n(.*)")
  local attributes = {T = true, _version = true}
  for _, name in ipairs {"shape", "dtype", "device", "ndim", "grad", "requires_grad", "is_leaf",
    "is_parameter", "grad_fn"} do
    attributes[name] = true
  end
  local described = {}
  for name in tensor:gmatch("@field ([%w_]+)") do
    described[name] = true
    lu.assertTrue(core.methods[name] ~= nil or attributes[name], "no method " .. name)
  end
  for name in pairs(core.methods) do lu.assertTrue(described[name], "no type of " .. name) end
  for name in functions:gmatch("@field ([%w_]+)") do lu.assertNotNil(saros[name], name) end
end

support.run {
  TestOptions = TestOptions, TestClass = TestClass, TestOrdered = TestOrdered,
  TestSaros = TestSaros,
}
