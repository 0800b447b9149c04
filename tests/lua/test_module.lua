-- nn.Module: registration, walking, state_dict, printing, wrong use.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn = saros.nn
local assert_error, names = support.assert_error, support.names

-- ---- models ------------------------------------------------------------------

local Block = nn.Module:extend("Block")

function Block:init(size)
  self.size = size
  self.inner = nn.Linear(size, size)
  self.scale = nn.Parameter(saros.ones(size))
  self:register_buffer("steps", saros.zeros(1))
  self:register_buffer("scratch", saros.zeros(2), {persistent = false})
end

function Block:forward(x) return self.inner(x) * self.scale end

local Net = nn.Module:extend("Net")

function Net:init()
  self.second = Block(3)
  self.first = Block(2)
  self.weight = nn.Parameter(saros.zeros(4))
end

function Net:forward(x) return self.first(x) end

local function CharRNN()
  local C = nn.Module:extend("CharRNN")
  function C:init()
    self.rnn = nn.RNN(58, 128)
    self.h2o = nn.Linear(128, 18)
    self.softmax = nn.LogSoftmax(-1)
  end
  return C()
end

-- ---- registration ----------------------------------------------------------------

local TestRegistration = {}

function TestRegistration:test_order_is_that_of_pytorch()
  lu.assertEquals(names(Net():named_parameters()), {
    "weight", "second.scale", "second.inner.weight", "second.inner.bias", "first.scale",
    "first.inner.weight", "first.inner.bias",
  })
end

function TestRegistration:test_iterators()
  local net = Net()
  lu.assertEquals(names(net:named_children()), {"second", "first"})
  lu.assertEquals(names(net:named_modules()),
    {"", "second", "second.inner", "first", "first.inner"})
  lu.assertEquals(names(net:named_buffers()), {"second.steps", "second.scratch", "first.steps",
    "first.scratch"})
  local children, modules = 0, 0
  for child in net:children() do
    lu.assertIs(getmetatable(child), Block)
    children = children + 1
  end
  for _ in net:modules() do modules = modules + 1 end
  lu.assertEquals({children, modules}, {2, 5})
  lu.assertEquals(#net:parameters(), 7)
  lu.assertEquals(#net:parameters {recurse = false}, 1)
  lu.assertEquals(names(net:named_parameters {prefix = "net", recurse = false}), {"net.weight"})
  lu.assertEquals(net:num_parameters(), 4 + (3 + 9 + 3) + (2 + 4 + 2))
end

function TestRegistration:test_shared_parameters_count_once()
  local M = nn.Module:extend("M")
  function M:init()
    self.a = nn.Linear(2, 2)
    self.b = nn.Linear(2, 2)
    self.b.weight = self.a.weight
    self.c = self.a
  end
  local m = M()
  lu.assertEquals(names(m:named_parameters()), {"a.weight", "a.bias", "b.bias"})
  lu.assertEquals(names(m:named_children()), {"a", "b"})
  lu.assertEquals(names(pairs(m:state_dict())),
    {"a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias"})
end

function TestRegistration:test_fields_change()
  local m = nn.Module:extend("M")()
  m.part = 3
  m.part = nn.Linear(1, 1)
  m.gone = nn.Linear(1, 1)
  m.gone = nil
  m.late = nn.Parameter(saros.zeros(1))
  lu.assertEquals(names(m:named_parameters()), {"late", "part.weight", "part.bias"})
  m.gone = nn.Identity()
  m.gone = nil
  m.gone = nn.Identity()
  lu.assertEquals(names(m:named_children()), {"part", "gone"})
end

function TestRegistration:test_plain_tensors_are_not_registered()
  local m = nn.Module:extend("M")()
  m.x = saros.zeros(3)
  lu.assertEquals(#m:parameters(), 0)
  lu.assertEquals(names(pairs(m:state_dict())), {})
end

function TestRegistration:test_a_parameter_must_stay_one()
  local linear = nn.Linear(2, 2)
  linear.weight = saros.zeros(2, 2)
  assert_error("'weight' was a parameter and now holds a plain tensor", linear.parameters, linear)
end

-- What PyTorch refuses at the assignment is found when the fields are walked over.
function TestRegistration:test_registered_names_keep_their_kind()
  local function refused(words, value, make, key)
    local model = make()
    model[key] = value
    for _, walk in ipairs {"parameters", "state_dict", "eval"} do
      assert_error(words, model[walk], model)
    end
    lu.assertFalse(pcall(tostring, model))
  end
  local linear = function() return nn.Linear(2, 2) end
  refused("Linear: cannot assign 'number' as parameter 'weight' (an nn.Parameter or nil expected)",
    1.5, linear, "weight")
  refused("cannot assign 'boolean' as parameter 'bias'", false, linear, "bias")
  refused("Net: cannot assign 'table' as child module 'first' (a module or nil expected)", {}, Net,
    "first")
  refused("cannot assign 'tensor' as child module 'first'", saros.ones(1), Net, "first")
  local block = function() return Block(2) end
  refused("Block: cannot assign 'string' as buffer 'steps' (a tensor or nil expected)", "x", block,
    "steps")
  refused("cannot assign 'number' as buffer 'scratch'", 1, block, "scratch")

  local model = Net()
  model.first = nil -- what is assigned now is seen at once
  assert_error("cannot assign 'number' as child module 'first'", function() model.first = 5 end)
  lu.assertNil(model.first)
  model.first = nn.Parameter(saros.ones(1)) -- as in PyTorch
  model.weight = nn.Linear(1, 1)
  lu.assertEquals(names(model:named_children()), {"second", "weight"})
end

function TestRegistration:test_register_functions()
  local m = nn.Module:extend("M")()
  m:register_parameter("w", nn.Parameter(saros.zeros(2)))
  m:add_module("part1", nn.Linear(1, 2))
  m:register_module("part2", nn.Tanh())
  m:register_buffer("none", nil)
  lu.assertEquals(names(m:named_parameters()), {"w", "part1.weight", "part1.bias"})
  lu.assertEquals(names(m:named_children()), {"part1", "part2"})
  assert_error("'v' must be an nn.Parameter", m.register_parameter, m, "v", saros.zeros(2))
  assert_error("'v' must be a module, got number 3", m.add_module, m, "v", 3)
  assert_error("'v' must be a tensor, got string 'x'", m.register_buffer, m, "v", "x")
  assert_error("a name without dots expected", m.add_module, m, "a.b", nn.Tanh())
  assert_error("'parameters' is a method", m.add_module, m, "parameters", nn.Tanh())
end

function TestRegistration:test_integer_fields_have_pytorch_names()
  local list = nn.ModuleList {nn.Linear(1, 1), nn.Linear(1, 1)}
  lu.assertEquals(names(list:named_children()), {"0", "1"})
  lu.assertEquals(names(list:named_parameters()), {"0.weight", "0.bias", "1.weight", "1.bias"})
end

-- ---- use ------------------------------------------------------------------------------

local TestUse = {}

function TestUse:test_call_and_inheritance()
  local A = nn.Module:extend("A")
  function A:init(k) self.k = k end
  function A:forward(x, y) return self.k * x, y end
  local B = A:extend("B")
  function B:forward(x, y)
    local first, second = A.forward(self, x, y)
    return first + 1, second
  end
  lu.assertEquals({A(2)(5, 7)}, {10, 7})
  lu.assertEquals({B(2)(5, 7)}, {11, 7})
  lu.assertEquals(tostring(B(1)), "B()")
  lu.assertIs(B.super, A)
end

function TestUse:test_train_eval_apply()
  local net = Net()
  lu.assertTrue(net.training)
  lu.assertIs(net:eval(), net)
  lu.assertFalse(net.first.inner.training)
  net:train()
  lu.assertTrue(net.first.inner.training)
  local seen = {}
  net:apply(function(module) seen[#seen + 1] = module.__name end)
  lu.assertEquals(seen, {"Linear", "Block", "Linear", "Block", "Net"})
end

function TestUse:test_requires_grad_and_zero_grad()
  local linear = nn.Linear(2, 1)
  linear:requires_grad_(false)
  lu.assertFalse(linear.weight.requires_grad)
  linear:requires_grad_()
  linear(saros.ones(1, 2)):sum():backward()
  lu.assertEquals(linear.weight.grad:totable(), {{1, 1}})
  linear:zero_grad {set_to_none = false}
  lu.assertEquals(linear.weight.grad:totable(), {{0, 0}})
  linear:zero_grad()
  lu.assertNil(linear.weight.grad)
end

function TestUse:test_to()
  local net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
  net:double()
  lu.assertEquals(net[1].weight.dtype, "float64")
  lu.assertTrue(net[1].weight.is_parameter and net[1].weight.requires_grad)
  lu.assertEquals(net[2].running_mean.dtype, "float64")
  lu.assertEquals(net[2].num_batches_tracked.dtype, "int64")
  lu.assertEquals(net(saros.rand(3, 2, {dtype = "float64"})).dtype, "float64")
  lu.assertEquals(#net:parameters(), 4)
  lu.assertEquals(net:to {dtype = "float32", device = "cpu"}[1].weight.dtype, "float32")
  assert_error("a floating dtype expected", net.to, net, "int64")
  assert_error("did you mean 'dtype'", net.to, net, {dtypo = "float64"})
  lu.assertError(net.to, net, "gpu")
end

function TestUse:test_to_keeps_sharing_and_gradients()
  local M = nn.Module:extend("M")
  function M:init()
    self.a = nn.Linear(2, 2, {bias = false})
    self.b = nn.Linear(2, 2, {bias = false})
    self.b.weight = self.a.weight
  end
  local m = M()
  local sum = (m.a(saros.ones(1, 2)) + m.b(saros.ones(1, 2))):sum()
  sum:backward()
  m:to("float64")
  lu.assertIs(m.a.weight, m.b.weight)
  lu.assertEquals(m.a.weight.grad:totable(), {{2, 2}, {2, 2}})
end

function TestUse:test_parameter()
  local t = saros.zeros(2)
  local p = nn.Parameter(t)
  lu.assertTrue(p.requires_grad and p.is_parameter and p.is_leaf)
  t:fill_(5)
  lu.assertEquals(p:totable(), {5, 5})
  lu.assertFalse(nn.Parameter(t, false).requires_grad)
  assert_error("a tensor expected, got table", nn.Parameter, {1, 2})
end

function TestUse:test_wrong_use()
  local net = Net()
  assert_error("model:parameters(), not model.parameters()", net.parameters)
  assert_error("model:train(), not model.train()", net.train)
  assert_error("a boolean expected", net.train, net, "on")
  local Empty = nn.Module:extend("Empty")
  assert_error("forward is not defined: write function Empty:forward", function() Empty()(1) end)
  assert_error("nn.Module:extend(\"Name\")", nn.Module.extend, "Name")
  assert_error("the name of the new class expected", nn.Module.extend, nn.Module)
  assert_error("unknown option 'recursive', did you mean 'recurse'?", net.parameters, net,
    {recursive = true})
end

-- ---- state ------------------------------------------------------------------------------

local TestState = {}

function TestState:test_order_and_contents()
  local net = Net()
  local state = net:state_dict()
  lu.assertEquals(names(pairs(state)), {
    "weight", "second.scale", "second.steps", "second.inner.weight", "second.inner.bias",
    "first.scale", "first.steps", "first.inner.weight", "first.inner.bias",
  })
  lu.assertEquals(#state, 9)
  lu.assertFalse(state.weight.requires_grad)
  lu.assertStrContains(tostring(state), "second.inner.weight  float32 [3, 3]")
end

function TestState:test_load()
  local a, b = Net(), Net()
  b:load_state_dict(a:state_dict())
  for name, tensor in pairs(a:state_dict()) do support.assert_same(b:state_dict()[name], tensor) end
  lu.assertTrue(b.weight.requires_grad and b.weight.is_leaf)
  b:double()
  b:load_state_dict(a:state_dict())
  lu.assertEquals(b.weight.dtype, "float64")
end

function TestState:test_load_refuses_everything_or_nothing()
  local net = Net()
  net.weight:requires_grad_(false):fill_(1)
  local state = Net():state_dict()
  state.weight:fill_(2)
  state["first.scale"] = saros.zeros(5)
  state["second.scale"] = nil
  state.extra = saros.zeros(1)
  state.word = "x"
  local message = assert_error("Error(s) in loading state_dict for Net:", net.load_state_dict, net,
    state)
  lu.assertStrContains(message, 'Missing key(s) in state_dict: "second.scale".')
  lu.assertStrContains(message, 'Unexpected key(s) in state_dict: "extra", "word".')
  lu.assertStrContains(message, "size mismatch for first.scale: copying a parameter with shape [5]")
  lu.assertStrContains(message, "the shape in the model is [2]")
  lu.assertEquals(net.weight:totable(), {1, 1, 1, 1})
  state["first.scale"] = nil
  local missing, unexpected = net:load_state_dict(state, {strict = false})
  lu.assertEquals(missing, {"second.scale", "first.scale"})
  lu.assertEquals(unexpected, {"extra", "word"})
  lu.assertEquals(net.weight:totable(), {2, 2, 2, 2})
  assert_error("a table of tensors expected", net.load_state_dict, net, "file")
  state.weight = 3
  assert_error("weight: a tensor expected, got number 3", net.load_state_dict, net, state,
    {strict = false})
end

function TestState:test_load_without_memory_changes_nothing()
  local a, b = nn.Linear(3, 2), nn.Linear(3, 2):double()
  local before = b.weight:totable()
  local failures = support.each_failing_allocation(function() b:load_state_dict(a:state_dict()) end,
    function() lu.assertEquals(b.weight:totable(), before) end)
  lu.assertTrue(failures >= 2)
  support.assert_close(b.weight, a.weight:detach():double(), 1e-7)
end

function TestState:test_through_a_file()
  local path = os.tmpname()
  local net = Net()
  net.weight:requires_grad_(false):uniform_(-1, 1)
  saros.save(path, net:state_dict(), {kind = "test"})
  local tensors, metadata = saros.load(path)
  os.remove(path)
  lu.assertEquals(metadata, {kind = "test"})
  lu.assertEquals(names(pairs(tensors)), names(pairs(net:state_dict())))
  local other = Net()
  other:load_state_dict(tensors)
  support.assert_same(other.weight, net.weight)
end

function TestState:test_save_refuses()
  local save = saros.save
  local path = os.tmpname()
  assert_error("'a' holds a table", save, path, {a = {saros.zeros(1)}})
  assert_error("'a' must be a tensor, got string 'x' (strings go into the metadata", save, path,
    {a = "x"})
  assert_error("names must be strings, got number 1", save, path, {saros.zeros(1)})
  assert_error("give its state_dict()", save, path, Net())
  assert_error("a file name expected", save, nil, {})
  assert_error("metadata['a'] must be a string", save, path, {}, {a = 1})
  assert_error("a table of tensors by name expected", save, path, nil)
  os.remove(path)
  lu.assertError(saros.load, "/no/such/file.safetensors")
  assert_error("unknown option 'devise', did you mean 'device'?", saros.load, path,
    {devise = "cpu"})
end

function TestState:test_a_module_that_contains_itself()
  local m = nn.Module:extend("Loop")()
  m.me = m
  assert_error("Loop contains itself", m.state_dict, m)
  lu.assertEquals(names(m:named_modules()), {""})

  local outer = Net()
  outer.first.inner.up = outer
  for _, method in ipairs {"state_dict", "apply"} do
    assert_error("Net contains itself (at 'first.inner.up')", outer[method], outer, print)
  end
  lu.assertEquals(#outer:parameters(), 7)
  lu.assertEquals(outer:eval().first.inner.training, false)
  lu.assertStrContains(tostring(outer), "      (up): Net(itself)\n")
  lu.assertEquals(tostring(outer), tostring(outer))
  local list = nn.ModuleList {nn.Tanh()}
  list:append(list)
  lu.assertEquals(tostring(list), "ModuleList(\n  (0): Tanh()\n  (1): ModuleList(itself)\n)")
end

-- ---- printing ------------------------------------------------------------------------------

local TestPrint = {}

function TestPrint:test_model()
  lu.assertEquals(tostring(CharRNN()), [[
CharRNN(
  (rnn): RNN(58, 128)
  (h2o): Linear(in_features=128, out_features=18, bias=true)
  (softmax): LogSoftmax(dim=-1)
)]])
end

function TestPrint:test_nested()
  local model = nn.Sequential(nn.Linear(2, 3, {bias = false}), nn.Sequential(nn.Tanh(),
    nn.Dropout(0.25)))
  lu.assertEquals(tostring(model), [[
Sequential(
  (0): Linear(in_features=2, out_features=3, bias=false)
  (1): Sequential(
    (0): Tanh()
    (1): Dropout(p=0.25, inplace=false)
  )
)]])
end

function TestPrint:test_module_list_counts_equal_ones()
  local list = nn.ModuleList {nn.Linear(1, 2), nn.Linear(1, 2), nn.Tanh()}
  lu.assertEquals(tostring(list), [[
ModuleList(
  (0-1): 2 x Linear(in_features=1, out_features=2, bias=true)
  (2): Tanh()
)]])
  lu.assertEquals(tostring(nn.ModuleList()), "ModuleList()")
end

function TestPrint:test_single_modules()
  local cases = {
    {nn.RNN {input_size = 3, hidden_size = 4, num_layers = 2, bias = false, batch_first = true,
      dropout = 0.5, bidirectional = true},
      "RNN(3, 4, num_layers=2, bias=false, batch_first=true, dropout=0.5, bidirectional=true)"},
    {nn.LSTM(64, 32, {batch_first = true}), "LSTM(64, 32, batch_first=true)"},
    {nn.GRU(2, 3), "GRU(2, 3)"},
    {nn.Embedding(9, 3), "Embedding(9, 3)"},
    {nn.Embedding(9, 3, {padding_idx = -1}), "Embedding(9, 3, padding_idx=9)"},
    {nn.LayerNorm(6), "LayerNorm((6,), eps=1e-05, elementwise_affine=true)"},
    {nn.LayerNorm({2, 6}, {eps = 0.1}), "LayerNorm((2, 6), eps=0.1, elementwise_affine=true)"},
    {nn.BatchNorm1d(5),
      "BatchNorm1d(5, eps=1e-05, momentum=0.1, affine=true, track_running_stats=true)"},
    {nn.Flatten(), "Flatten(start_dim=2, end_dim=-1)"},
    {nn.Identity(3, "x"), "Identity()"},
    {nn.ReLU(), "ReLU()"},
    {nn.ReLU {inplace = true}, "ReLU(inplace=true)"},
    {nn.LeakyReLU(), "LeakyReLU(negative_slope=0.01)"},
    {nn.ELU(), "ELU(alpha=1.0)"},
    {nn.GELU(), "GELU(approximate='none')"},
    {nn.SiLU(), "SiLU()"},
    {nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"},
    {nn.Softmax(2), "Softmax(dim=2)"},
    {nn.Sigmoid(), "Sigmoid()"},
    {nn.LogSigmoid(), "LogSigmoid()"},
    {nn.NLLLoss {reduction = "sum"}, "NLLLoss()"},
    {nn.CrossEntropyLoss(), "CrossEntropyLoss()"},
  }
  for _, case in ipairs(cases) do lu.assertEquals(tostring(case[1]), case[2]) end
end

support.run {
  TestRegistration = TestRegistration, TestUse = TestUse, TestState = TestState,
  TestPrint = TestPrint,
}
