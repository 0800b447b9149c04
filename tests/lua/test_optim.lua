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

for name, options in pairs {
  optim_adam = {optim.Adam, {lr = 0.01}},
  optim_adam_amsgrad_wd = {optim.Adam, {
    lr = 0.02, betas = {0.8, 0.95}, eps = 1e-6, weight_decay = 0.1, amsgrad = true,
  }},
  optim_adamw = {optim.AdamW, {lr = 0.01, weight_decay = 0.05}},
  optim_rmsprop = {optim.RMSprop, {lr = 0.001}},
  optim_rmsprop_centered_mom = {optim.RMSprop, {
    lr = 0.01, momentum = 0.5, alpha = 0.9, centered = true,
  }},
  optim_adagrad = {optim.Adagrad, {lr = 0.1}},
} do
  TestGolden["test_" .. name] = function()
    check_golden(name, function(p) return options[1](p, options[2]) end)
  end
end

-- ---- float64 steps ------------------------------------------------------------------

-- tests/golden/optim_steps.json: twelve steps from given gradients in PyTorch 1.13, all
-- options and the state that is left.
local TestSteps = {}

local function row(key) return support.golden_row("optim_steps", key) end

local function assert_row(got, key)
  for i, wanted in ipairs(row(key)) do
    local error = math.abs(got[i] - wanted)
    if error ~= error or error > 1e-13 * math.abs(wanted) then
      lu.fail(("%s[%d]: %.17g, not %.17g"):format(key, i, got[i], wanted))
    end
  end
end

local function check_steps(name, class, options)
  local p = nn.Parameter(saros.tensor(row "p", {dtype = "float64"}))
  local optimizer = class({p}, options)
  for step = 1, 12 do
    p.grad = saros.tensor(row("grad" .. step), {dtype = "float64"})
    optimizer:step()
    if step == 1 or step == 12 then assert_row(p:totable(), name .. ".after" .. step) end
  end
  local names = 0
  for key, value in pairs(optimizer:state_dict().state[1] or {}) do
    assert_row(saros.is_tensor(value) and value:totable() or {value}, name .. "." .. key)
    names = names + 1
  end
  return names
end

for name, case in pairs {
  SGD = {0, {lr = 0.1}},
  SGD_all = {1, {
    lr = 0.05, momentum = 0.9, dampening = 0.3, weight_decay = 0.02, maximize = true,
  }},
  SGD_nesterov = {1, {lr = 0.05, momentum = 0.9, nesterov = true}},
  Adam = {3},
  Adam_all = {4, {
    lr = 0.02, betas = {0.8, 0.95}, eps = 1e-5, weight_decay = 0.1, amsgrad = true,
    maximize = true,
  }},
  AdamW = {3},
  AdamW_all = {4, {
    lr = 0.02, betas = {0.7, 0.9}, eps = 1e-6, weight_decay = 0.2, amsgrad = true,
    maximize = true,
  }},
  RMSprop = {2},
  RMSprop_all = {4, {
    lr = 0.005, alpha = 0.9, eps = 1e-6, weight_decay = 0.05, momentum = 0.8, centered = true,
    maximize = true,
  }},
  RMSprop_momentum = {3, {momentum = 0.5}},
  RMSprop_centered = {3, {centered = true, alpha = 0.8}},
  Adagrad = {2},
  Adagrad_all = {2, {
    lr = 0.3, lr_decay = 0.1, weight_decay = 0.02, initial_accumulator_value = 0.5, eps = 1e-6,
    maximize = true,
  }},
  Adadelta = {3},
  Adadelta_all = {3, {lr = 0.5, rho = 0.8, eps = 1e-4, weight_decay = 0.1, maximize = true}},
} do
  TestSteps["test_" .. name] = function()
    local class = optim[name:match("^%a+")]
    lu.assertEquals(check_steps(name, class, case[2]), case[1])
  end
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

-- ---- all optimizers -------------------------------------------------------------------

local names = {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"}
local TestAll = {}

-- A group's own options, and a parameter without gradient, which keeps no state.
function TestAll:test_groups()
  for _, name in ipairs(names) do
    local p, q, r = parameter(1, 2), parameter(1, 2), parameter(3)
    local alone = parameter(1, 2)
    for _, t in ipairs {p, q, alone} do give(t, 0.5, -3) end
    local optimizer = optim[name]({{params = {r, p}}, {params = q, lr = 0.25}}, {lr = 0.5})
    optimizer:step()
    optim[name]({alone}, {lr = 0.25}):step()
    support.assert_same(q, alone, name)
    lu.assertFalse(p:eq(q):any():item(), name)
    lu.assertEquals(r:item(), 3)
    lu.assertNil(optimizer:state_dict().state[1])
  end
end

function TestAll:test_betas_are_a_groups_own()
  local betas = {0.5, 0.6}
  local optimizer = optim.Adam({{params = {parameter(1)}}, {params = {parameter(2)}}},
    {betas = betas})
  optimizer.param_groups[1].betas[1] = 0.1
  betas[2] = 0.2
  lu.assertEquals(optimizer.param_groups[2].betas, {0.5, 0.6})
  local dict = optimizer:state_dict()
  dict.param_groups[2].betas[1] = 0.3
  lu.assertEquals(optimizer.param_groups[2].betas, {0.5, 0.6})
  lu.assertEquals(optim.Adam({parameter(1)}).param_groups[1].betas, {0.9, 0.999})
end

function TestAll:test_parameters_of_any_layout_and_dtype()
  for _, name in ipairs(names) do
    local base = saros.tensor {{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}
    local turned, straight = nn.Parameter(base.T), nn.Parameter(base.T:contiguous())
    local grad = saros.tensor {{1.0, -1.0}, {0.5, 2.0}, {-3.0, 0.0}}
    local a, b = optim[name]({turned}, {lr = 0.1}), optim[name]({straight}, {lr = 0.1})
    for _ = 1, 3 do
      turned.grad, straight.grad = grad, grad
      a:step()
      b:step()
    end
    support.assert_same(turned, straight, name)
    support.assert_same(base.T, straight, name)
  end
end

function TestAll:test_a_large_parameter_does_not_depend_on_threads()
  local threads = saros.get_num_threads()
  for _, name in ipairs(names) do
    local results = {}
    for i = 1, 2 do
      saros.set_num_threads(i)
      saros.manual_seed(3)
      local p = nn.Parameter(saros.randn(200001))
      local optimizer = optim[name]({p}, {lr = 0.1})
      for _ = 1, 2 do
        p.grad = saros.randn(200001)
        optimizer:step()
      end
      results[i] = p
    end
    support.assert_same(results[1], results[2], name)
  end
  saros.set_num_threads(threads)
end

function TestAll:test_print()
  lu.assertEquals(tostring(optim.Adam({parameter(1)})), [[
Adam (
Parameter Group 0
    amsgrad: false
    betas: (0.9, 0.999)
    eps: 1e-08
    lr: 0.001
    maximize: false
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
local function check_resume(name, opts)
  saros.manual_seed(5)
  local x = saros.rand(4, 3)
  local a, b = nn.Linear(3, 2), nn.Linear(3, 2)
  local first = optim[name](a:parameters(), opts)
  train(a, first, x, 3)
  b:load_state_dict(a:state_dict())
  local second = optim[name](b:parameters(), {lr = 1})
  second:load_state_dict(first:state_dict())
  train(a, first, x, 3)
  train(b, second, x, 3)
  support.assert_same(a.weight, b.weight, name)
  support.assert_same(a.bias, b.bias, name)
end

function TestState:test_resume_is_exact()
  check_resume("SGD", {lr = 0.01, momentum = 0.9, weight_decay = 0.1, dampening = 0.5})
  check_resume("Adam", {lr = 0.01, betas = {0.8, 0.9}, amsgrad = true, weight_decay = 0.1})
  check_resume("AdamW", {lr = 0.01})
  check_resume("RMSprop", {lr = 0.01, momentum = 0.5, centered = true})
  check_resume("Adagrad", {lr = 0.01, lr_decay = 0.1, initial_accumulator_value = 0.5})
  check_resume("Adadelta", {lr = 0.5})
end

-- What else a script or a schedule has put into a group is part of its state.
function TestState:test_groups_keep_what_was_added()
  local optimizer = optim.SGD({parameter(1)})
  optimizer.param_groups[1].initial_lr, optimizer.param_groups[1].name = 0.5, "decoder"
  local other = optim.SGD({parameter(1)})
  other:load_state_dict(optimizer:state_dict())
  lu.assertEquals(other.param_groups[1].initial_lr, 0.5)
  lu.assertEquals(other.param_groups[1].name, "decoder")
end

-- An optimizer of one's own keeps tables too.
function TestState:test_tables_in_the_state()
  local Plain = optim.Optimizer:extend("Plain", {{"lr", "number", 1}})
  function Plain:update(_, _, state) state.seen = {a = 1, list = {2}} end
  local p = parameter(1)
  give(p, 1)
  local optimizer, other = Plain({p}), Plain({parameter(1)})
  optimizer:step()
  other:load_state_dict(optimizer:state_dict())
  lu.assertEquals(other:state_dict().state[1].seen, {a = 1, list = {2}})
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
  assert_error("lr must be a number, got NaN", optim.SGD, p, {lr = 0 / 0})
  assert_error("dampening must be a number, got NaN", optim.SGD, p, {dampening = 0 / 0})
  assert_error("params is missing (a tensor or a table)", optim.SGD, {{lr = 1}})
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
  TestGolden = TestGolden, TestSteps = TestSteps, TestSGD = TestSGD, TestAll = TestAll,
  TestState = TestState, TestWrong = TestWrong,
}
