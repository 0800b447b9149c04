-- help() of the REPL: what it reads from the library's own comments.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local docs = require "saros.docs"
local help = require("saros.help").help
local support = require "support"
local nn = saros.nn

-- What help(...) prints.
local function shown(...)
  local lines, print_ = {}, print
  _G.print = function(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    lines[#lines + 1] = table.concat(words, "\t")
  end
  local good, message = pcall(help, ...)
  _G.print = print_
  lu.assertTrue(good, message)
  return table.concat(lines, "\n") .. "\n"
end

local function contains(text, ...)
  for _, part in ipairs {...} do lu.assertStrContains(text, part) end
end

local TestDocs = {}

function TestDocs:test_arguments()
  local list = docs.arguments("fun(a: integer, b?: fun(x: A, y: B): C, ...: table<string, T>): D")
  local names, types = {}, {}
  for i, argument in ipairs(list) do names[i], types[i] = argument.name, argument.type end
  lu.assertEquals(names, {"a", "b?", "..."})
  lu.assertEquals(types, {"integer", "fun(x: A, y: B): C", "table<string, T>"})
  lu.assertEquals(docs.arguments("fun()"), {})
  lu.assertNil(docs.arguments("integer"))
end

function TestDocs:test_of_function()
  local block = docs.of_function(nn.utils.clip_grad_norm_)
  contains(block.text[1], "Scale all gradients")
  lu.assertEquals(block.params[1],
    {name = "parameters", type = "saros.Tensor[]|saros.Tensor", text = ""})
  lu.assertEquals(block.returns[1].type, "number")
  lu.assertNil(docs.of_function(print))
  lu.assertNil(docs.of_function(function() end))
  lu.assertEquals(docs.parameters(function(a, b, ...) return a, b, ... end), {"a", "b", "..."})
end

function TestDocs:test_class()
  local block = docs.class("saros.nn.LSTMOptions")
  lu.assertEquals(block.parent, "saros.nn.RNNOptions")
  lu.assertEquals(block.fields[1].name, "proj_size?")
  lu.assertEquals(docs.alias("saros.dtype"), '"float32"|"float64"|"int64"|"bool"')
  lu.assertNil(docs.class("saros.nn.Nothing"))
end

local TestHelp = {}

function TestHelp:test_classes()
  local text = shown(nn.LSTM)
  contains(text, "nn.LSTM(input_size, hidden_size, options)\nLong short-term memory",
    "\n  input_size   integer\n", "\n  proj_size?  ", "\n  num_layers?  ",
    "\nforward(input, state, opts)\nRun over sequences.\n", "methods: ", "and those of nn.Module")
  lu.assertEquals(shown(nn.LSTM(2, 3)), text)
  lu.assertEquals(shown "LSTM", text)
  lu.assertEquals(shown "nn.LSTM", text)
  lu.assertEquals(shown "saros.nn.LSTM", text)
  contains(shown(nn.Linear), "y = x W^T + b", "\n  bias?    boolean  default true\n")
  contains(shown(saros.optim.Adam), "optim.Adam(params, options)\n", "\n  amsgrad? ")
  local Mine = nn.Module:extend("Mine")
  function Mine:greet() end
  contains(shown(Mine()), "Mine\n", "methods: greet, and those of nn.Module")
end

function TestHelp:test_functions()
  contains(shown(nn.utils.clip_grad_norm_), "nn.utils.clip_grad_norm_(parameters, ...)\nScale all",
    "\n  returns     number  ")
  contains(shown(saros.cat), "saros.cat(tensors, dim)\n  tensors  Tensor[]\n  dim?     integer\n")
  contains(shown "clip", "x:clip(min, max)\nclamp\n")
  contains(shown(saros.clip), "x:clamp(min, max)\n")
  contains(shown(saros.ones(1).softmax), "x:softmax(dim)\n")
  contains(shown(saros.unique), "saros.unique(x, ...)\nThe different elements")
  contains(shown(nn.functional.nll_loss), "nn.functional.nll_loss(input, target, options)\n")
  contains(shown(print), "a function of Lua or C")
  contains(shown(function(a, b) return a, b end), "function(a, b) of ", "test_help.lua:")
end

function TestHelp:test_other_values()
  contains(shown(), "who()", "help(x), ?x")
  contains(shown(nil), "nil has no help")
  contains(shown(saros.ones(2, 3)), "a float32 tensor of shape [2, 3] on cpu", "softmax")
  contains(shown(nn), "nn has\n", " LSTM,", " utils\n")
  contains(shown(saros), "saros has\n", " zeros_like\n")
  contains(shown(5), "number 5")
  contains(shown {}, "table")
  contains(shown "lstn", "nothing is called 'lstn', did you mean 'LSTM'?")
  contains(shown "qqqqqqqqqqqqqq", "nothing is called 'qqqqqqqqqqqqqq'\n")
end

-- Nothing that a script can name stops help().
function TestHelp:test_everything()
  for _, space in ipairs {saros, nn, nn.functional, nn.init, nn.utils, saros.optim, saros.data,
    saros.text, saros.plot, core.methods} do
    for name, value in pairs(space) do
      lu.assertTrue(#shown(value) > 1, name)
      lu.assertTrue(#shown(name) > 1, name)
    end
  end
end

support.run {TestDocs = TestDocs, TestHelp = TestHelp}
