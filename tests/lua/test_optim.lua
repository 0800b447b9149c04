-- Optimizers: golden cases, groups, state, wrong use.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn, optim = saros.nn, saros.optim
local assert_close, assert_error = support.assert_close, support.assert_error

-- ---- golden -------------------------------------------------------------------

-- Full-batch steps of mean squared error on Linear(X) against Y.
local function check_golden(name, make)
  local case = support.golden(name)
  local layer = nn.Linear(case.X:size(2), case.Y:size(2))
  layer:load_state_dict {weight = case["weight.weight"], bias = case["weight.bias"]}
  local optimizer, criterion = make(layer:parameters()), nn.MSELoss()
  for step = 1, case.losses:numel() do
    local loss = criterion(layer(case.X), case.Y)
    lu.assertAlmostEquals(loss:item() / case.losses[step]:item(), 1, 1e-5)
    optimizer:zero_grad()
    loss:backward()
    optimizer:step()
  end
  assert_close(layer.weight, case["after.weight"], 1e-5, "weight")
  assert_close(layer.bias, case["after.bias"], 1e-5, "bias")
end

local TestGolden = {}

function TestGolden:test_sgd()
  check_golden("optim_sgd", function(p) return optim.SGD(p, {lr = 0.1}) end)
end

function TestGolden:test_sgd_momentum_decay_nesterov()
  check_golden("optim_sgd_mom_wd_nesterov", function(p)
    return optim.SGD(p, {lr = 0.05, momentum = 0.9, weight_decay = 0.01, nesterov = true})
  end)
end

-- ---- SGD -------------------------------------------------------------------------

local TestSGD = {}

local function parameter(...)
  return nn.Parameter(saros.tensor({...}, {dtype = "float64"}))
end

local function give(p, ...) p.grad = saros.tensor({...}, {dtype = "float64"}) end

function TestSGD:test_dampening_by_hand()
  local p = parameter(1)
  local optimizer = optim.SGD({p}, {lr = 0.1, momentum = 0.5, dampening = 0.2})
  give(p, 2)
  optimizer:step() -- buffer 2
  lu.assertAlmostEquals(p:item(), 0.8, 1e-12)
  optimizer:step() -- buffer 0.5 * 2 + 0.8 * 2
  lu.assertAlmostEquals(p:item(), 0.54, 1e-12)
end

function TestSGD:test_maximize()
  local p = parameter(1)
  give(p, 2)
  optim.SGD({p}, {lr = 0.1, maximize = true}):step()
  lu.assertAlmostEquals(p:item(), 1.2, 1e-12)
end

function TestSGD:test_default_rate_and_missing_gradients()
  local p, q = parameter(1), parameter(1)
  give(p, 1)
  optim.SGD({p, q}):step()
  lu.assertAlmostEquals(p:item(), 0.999, 1e-12)
  lu.assertEquals(q:item(), 1)
end

function TestSGD:test_groups()
  local p, q = parameter(1), parameter(1)
  give(p, 1)
  give(q, 1)
  local optimizer = optim.SGD({{params = {p}}, {params = q, lr = 0.5}}, {lr = 0.1})
  optimizer:step()
  lu.assertAlmostEquals(p:item(), 0.9, 1e-12)
  lu.assertAlmostEquals(q:item(), 0.5, 1e-12)
  optimizer.param_groups[1].lr = 0.2
  optimizer:step()
  lu.assertAlmostEquals(p:item(), 0.7, 1e-12)
  local r = parameter(1)
  optimizer:add_param_group {params = {r}, momentum = 0.9}
  lu.assertEquals(#optimizer.param_groups, 3)
  lu.assertEquals(optimizer.param_groups[3].lr, 0.1)
end

function TestSGD:test_closure()
  local p = parameter(3)
  local optimizer = optim.SGD({p}, {lr = 0.25})
  local loss = optimizer:step(function()
    optimizer:zero_grad()
    local value = (p * p):sum()
    value:backward()
    return value
  end)
  lu.assertEquals(loss:item(), 9)
  lu.assertEquals(p:item(), 1.5)
end

function TestSGD:test_zero_grad()
  local p = parameter(1)
  local optimizer = optim.SGD({p}, {lr = 1})
  give(p, 4)
  optimizer:zero_grad {set_to_none = false}
  lu.assertEquals(p.grad:item(), 0)
  optimizer:zero_grad()
  lu.assertNil(p.grad)
end

function TestSGD:test_print()
  lu.assertEquals(tostring(optim.SGD({parameter(1)}, {lr = 0.1})), [[
SGD (
Parameter Group 0
    dampening: 0
    lr: 0.1
    maximize: false
    momentum: 0
    nesterov: false
    weight_decay: 0
)]])
end

-- ---- state ----------------------------------------------------------------------------

local TestState = {}

local function train(layer, optimizer, x, steps)
  for _ = 1, steps do
    optimizer:zero_grad()
    layer(x):square():sum():backward()
    optimizer:step()
  end
end

-- A run that is saved and goes on elsewhere ends with the same bits.
function TestState:test_resume_is_exact()
  saros.manual_seed(5)
  local x = saros.rand(4, 3)
  local opts = {lr = 0.01, momentum = 0.9, weight_decay = 0.1}
  local a, b = nn.Linear(3, 2), nn.Linear(3, 2)
  local first = optim.SGD(a:parameters(), opts)
  train(a, first, x, 3)
  b:load_state_dict(a:state_dict())
  local second = optim.SGD(b:parameters(), {lr = 1})
  second:load_state_dict(first:state_dict())
  lu.assertEquals(second.param_groups[1].momentum, 0.9)
  train(a, first, x, 3)
  train(b, second, x, 3)
  support.assert_same(a.weight, b.weight)
  support.assert_same(a.bias, b.bias)
end

function TestState:test_loaded_state_is_a_copy()
  local p = parameter(1)
  local optimizer = optim.SGD({p}, {lr = 0.1, momentum = 0.9})
  give(p, 1)
  optimizer:step()
  local dict = optimizer:state_dict()
  lu.assertEquals(dict.param_groups[1].params, {1})
  lu.assertEquals(dict.state[1].momentum_buffer:item(), 1)
  local other = optim.SGD({parameter(1)}, {lr = 0.1})
  other:load_state_dict(dict)
  dict.state[1].momentum_buffer:fill_(100)
  lu.assertEquals(other:state_dict().state[1].momentum_buffer:item(), 1)
end

function TestState:test_refuses_what_does_not_fit()
  local dict = optim.SGD({parameter(1)}):state_dict()
  local two = optim.SGD({parameter(1), parameter(2)})
  assert_error("doesn't match the size of optimizer's group 1: 1 parameters, here 2",
    two.load_state_dict, two, dict)
  local groups = optim.SGD({{params = {parameter(1)}}, {params = {parameter(2)}}})
  assert_error("different number of parameter groups: 1, here 2", groups.load_state_dict, groups,
    dict)
  assert_error("a table of state_dict() expected", groups.load_state_dict, groups, {})
end

function TestState:test_a_step_without_memory_changes_nothing()
  local p, q = parameter(1, 2), parameter(3)
  give(p, 1, 1)
  give(q, 1)
  local optimizer = optim.SGD({p, q}, {lr = 0.5, momentum = 0.9, dampening = 0.5})
  local failures = support.each_failing_allocation(function() optimizer:step() end, function()
    lu.assertEquals(p:totable(), {1, 2})
    lu.assertEquals(q:totable(), {3})
  end)
  lu.assertTrue(failures >= 2)
  lu.assertEquals(p:totable(), {0.5, 1.5}) -- and the first step is a first step
  lu.assertEquals(q:totable(), {2.5})
end

-- ---- wrong use ------------------------------------------------------------------------------

local TestWrong = {}

function TestWrong:test_options()
  local p = {parameter(1)}
  assert_error("Invalid learning rate: -1", optim.SGD, p, {lr = -1})
  assert_error("Invalid learning rate: ", optim.SGD, p, {lr = 0 / 0})
  assert_error("Invalid momentum value: -0.5", optim.SGD, p, {momentum = -0.5})
  assert_error("Invalid weight_decay value: -1", optim.SGD, p, {weight_decay = -1})
  assert_error("Nesterov momentum requires a momentum and zero dampening", optim.SGD, p,
    {nesterov = true})
  assert_error("Nesterov momentum requires a momentum and zero dampening", optim.SGD, p,
    {nesterov = true, momentum = 0.9, dampening = 0.1})
  assert_error("optim.SGD: unknown option 'momentun', did you mean 'momentum'?", optim.SGD, p,
    {momentun = 0.9})
  assert_error("lr must be a number, got string '0.1'", optim.SGD, p, {lr = "0.1"})
  assert_error("an option table expected, got number 0.1", optim.SGD, p, 0.1)
  assert_error("(parameter group): unknown option 'rl', did you mean 'lr'?", optim.SGD,
    {{params = p, rl = 1}})
  assert_error("Invalid learning rate: -2", optim.SGD, {{params = p, lr = -2}})
end

function TestWrong:test_parameters()
  assert_error("got an empty parameter list", optim.SGD, {})
  assert_error("params must be a list of tensors or of parameter groups, got a tensor", optim.SGD,
    parameter(1))
  assert_error("give model:parameters(), not an iterator", optim.SGD,
    nn.Linear(1, 1):named_parameters())
  assert_error("got Linear: give its parameters()", optim.SGD, nn.Linear(1, 1))
  assert_error("can't optimize a non-leaf tensor", optim.SGD, {parameter(1) * 2})
  assert_error("can only optimize tensors, got number 3", optim.SGD, {parameter(1), 3})
  local p = parameter(1)
  assert_error("a parameter appears twice", optim.SGD, {p, p})
  assert_error("in more than one group", optim.SGD, {{params = {p}}, {params = {p}}})
end

function TestWrong:test_own_optimizer()
  local Plain = optim.Optimizer:extend("Plain", {{"lr", "number", 1}})
  local p = parameter(5)
  give(p, 2)
  assert_error("update is not defined", function() Plain({p}):step() end)
  function Plain:update(parameter_, grad, state, group)
    state.steps = (state.steps or 0) + 1
    saros.no_grad(function() parameter_:sub_(group.lr * grad) end)
  end
  local optimizer = Plain({p})
  optimizer:step()
  lu.assertEquals(p:item(), 3)
  lu.assertEquals(optimizer:state_dict().state[1].steps, 1)
end

support.run {
  TestGolden = TestGolden, TestSGD = TestSGD, TestState = TestState, TestWrong = TestWrong,
}
