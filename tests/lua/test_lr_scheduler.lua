-- Schedules of learning rates: PyTorch's sequences to the last bit, state, wrong use.
--
-- tests/golden/lr_schedules.json: rates (and momenta) of each group of an optimizer with the
-- rates 0.1 and 0.003, at the start and after each step, from PyTorch 1.13.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local optim = saros.optim
local schedules = optim.lr_scheduler
local assert_error = support.assert_error

-- The row "name.what": a list of numbers, or nil.
local rows = {}
local function golden(name, what)
  local key = name .. "." .. what
  if rows[key] == nil then rows[key] = support.golden_row("lr_schedules", key) or false end
  return rows[key] or nil
end

local function optimizer_of(class, opts, rates)
  local groups = {}
  for i, rate in ipairs(rates or {0.1, 0.003}) do
    groups[i] = {params = {saros.zeros(1, {requires_grad = true})}, lr = rate}
  end
  return class(groups, opts)
end

local function momentum_of(group) return group.betas and group.betas[1] or group.momentum end

-- What the groups have now must be entry `at` of the reference.
local function check_groups(name, optimizer, at)
  for i, group in ipairs(optimizer.param_groups) do
    lu.assertEquals(group.lr, golden(name, "lr" .. i)[at], name .. " " .. at)
    local momenta = golden(name, "momentum" .. i)
    if momenta then lu.assertEquals(momentum_of(group), momenta[at], name .. " " .. at) end
  end
end

-- All steps of a case; half way on with a new optimizer and schedule and the saved state.
local function check(name, make, class, opts, prepare)
  local function start()
    local optimizer = optimizer_of(class or optim.SGD, opts)
    if prepare then prepare(optimizer) end
    return optimizer, make(optimizer)
  end
  local optimizer, schedule = start()
  local metrics = golden(name, "metrics")
  local steps = #golden(name, "lr1") - 1
  lu.assertTrue(steps >= 50)
  check_groups(name, optimizer, 1)
  for step = 1, steps do
    if step == steps // 2 then
      local optimizer_state, state = optimizer:state_dict(), schedule:state_dict()
      optimizer, schedule = start()
      optimizer:load_state_dict(optimizer_state)
      schedule:load_state_dict(state)
    end
    if metrics then schedule:step(metrics[step]) else schedule:step() end
    check_groups(name, optimizer, step + 1)
  end
  lu.assertEquals(schedule:get_last_lr(), {optimizer.param_groups[1].lr,
                                           optimizer.param_groups[2].lr})
end

-- ---- PyTorch's sequences -------------------------------------------------------------

local TestGolden = {}

function TestGolden:test_step()
  check("StepLR", function(o) return schedules.StepLR(o, 7, {gamma = 0.3}) end)
  check("StepLR_default", function(o) return schedules.StepLR(o, {step_size = 20}) end)
end

function TestGolden:test_multi_step()
  check("MultiStepLR", function(o) return schedules.MultiStepLR(o, {3, 17, 17, 40}, 0.5) end)
end

function TestGolden:test_exponential()
  check("ExponentialLR", function(o) return schedules.ExponentialLR(o, 0.93) end)
end

function TestGolden:test_cosine()
  check("CosineAnnealingLR", function(o)
    return schedules.CosineAnnealingLR(o, 13, {eta_min = 0.001})
  end)
  check("CosineAnnealingLR_long", function(o) return schedules.CosineAnnealingLR(o, 100) end)
end

function TestGolden:test_lambda()
  check("LambdaLR", function(o)
    return schedules.LambdaLR(o, function(epoch) return 0.95 ^ epoch end)
  end)
  check("LambdaLR_list", function(o)
    return schedules.LambdaLR(o, {
      function(epoch) return 1 / (1 + epoch) end,
      function(epoch) return math.min(1, (epoch + 1) / 20) end,
    })
  end)
end

function TestGolden:test_one_cycle()
  check("OneCycleLR", function(o)
    return schedules.OneCycleLR(o, {0.5, 0.02}, {total_steps = 60})
  end, optim.SGD, {momentum = 0.9})
  check("OneCycleLR_linear", function(o)
    return schedules.OneCycleLR(o, 0.5, {
      epochs = 6, steps_per_epoch = 10, anneal_strategy = "linear", pct_start = 0.25,
      base_momentum = {0.8, 0.7}, max_momentum = 0.9, div_factor = 10, final_div_factor = 100,
    })
  end, optim.SGD, {momentum = 0.9})
  check("OneCycleLR_three", function(o)
    return schedules.OneCycleLR(o, {0.5, 0.02}, {total_steps = 60, three_phase = true})
  end, optim.Adam)
  check("OneCycleLR_plain", function(o)
    return schedules.OneCycleLR(o, 0.3, {
      total_steps = 55, cycle_momentum = false, three_phase = true, anneal_strategy = "linear",
      pct_start = 0.4,
    })
  end)
end

function TestGolden:test_plateau()
  local Plateau = schedules.ReduceLROnPlateau
  check("Plateau", function(o) return Plateau(o, {patience = 2}) end)
  check("Plateau_max", function(o)
    return Plateau(o, "max", {
      factor = 0.5, patience = 1, threshold = 0.05, threshold_mode = "abs", cooldown = 3,
      min_lr = {0.01, 0.0005},
    })
  end)
  check("Plateau_rel_max", function(o)
    return Plateau(o, "max", {
      factor = 0.7, patience = 3, threshold = 0.01, cooldown = 1, eps = 1e-4,
    })
  end)
  check("Plateau_abs", function(o)
    return Plateau(o, "min", {
      factor = 0.9, patience = 0, threshold = 0.1, threshold_mode = "abs", min_lr = 0.002,
    })
  end)
end

-- A schedule that begins after epochs that another run has done.
function TestGolden:test_last_epoch()
  local function late(optimizer)
    for _, group in ipairs(optimizer.param_groups) do
      group.initial_lr, group.lr = group.lr, group.lr * 0.5
    end
  end
  check("StepLR_late", function(o)
    return schedules.StepLR(o, 7, {gamma = 0.3, last_epoch = 9})
  end, nil, nil, late)
  check("CosineAnnealingLR_late", function(o)
    return schedules.CosineAnnealingLR(o, 13, {eta_min = 0.001, last_epoch = 9})
  end, nil, nil, late)
  check("LambdaLR_late", function(o)
    return schedules.LambdaLR(o, function(epoch) return 0.95 ^ epoch end, {last_epoch = 9})
  end, nil, nil, late)
end

function TestGolden:test_two_at_once()
  local name = "StepLR_and_ExponentialLR"
  local optimizer = optimizer_of(optim.SGD)
  local a = schedules.StepLR(optimizer, 10, 0.5)
  local b = schedules.ExponentialLR(optimizer, 0.98)
  for at = 1, #golden(name, "lr1") do
    check_groups(name, optimizer, at)
    a:step()
    b:step()
  end
end

-- ---- use ---------------------------------------------------------------------------------

local TestUse = {}

function TestUse:test_last_epoch_counts_steps()
  local schedule = schedules.StepLR(optimizer_of(optim.SGD), 2)
  lu.assertEquals(schedule.last_epoch, 0)
  schedule:step()
  lu.assertEquals(schedule.last_epoch, 1)
  lu.assertEquals(schedule:get_last_lr(), {0.1, 0.003})
end

function TestUse:test_own_schedule()
  local Root = schedules.LRScheduler:extend("Root", {{"power", "number", 0.5}})
  function Root:get_lr()
    return self:each_group(function(_, i)
      return self.base_lrs[i] / (self.last_epoch + 1) ^ self.power
    end)
  end
  local schedule = Root(optimizer_of(optim.SGD), {power = 1})
  schedule:step()
  lu.assertEquals(schedule:get_last_lr(), {0.05, 0.0015})
  assert_error("write function Empty:get_lr()", schedules.LRScheduler:extend("Empty", {}),
    optimizer_of(optim.SGD))
end

function TestUse:test_plateau_takes_a_loss()
  local schedule = schedules.ReduceLROnPlateau(optimizer_of(optim.SGD), {patience = 0})
  schedule:step(saros.tensor(1.5))
  schedule:step(saros.tensor({1.5}))
  schedule:step(0 / 0) -- is not better
  lu.assertEquals(schedule.best, 1.5)
  lu.assertAlmostEquals(schedule:get_last_lr()[1], 0.001, 1e-15)
end

function TestUse:test_a_phase_of_no_length()
  local optimizer = optimizer_of(optim.SGD)
  schedules.OneCycleLR(optimizer, 0.5, {total_steps = 4, pct_start = 0.25, cycle_momentum = false})
  lu.assertEquals(optimizer.param_groups[1].lr, 0.5)
end

function TestUse:test_state()
  local optimizer = optimizer_of(optim.SGD)
  local schedule = schedules.LambdaLR(optimizer, function(epoch) return 1 / (epoch + 1) end)
  schedule:step()
  lu.assertEquals(schedule:state_dict(),
    {last_epoch = 1, base_lrs = {0.1, 0.003}, _last_lr = {0.05, 0.0015}})
end

-- ---- wrong use ---------------------------------------------------------------------------

local TestWrong = {}

function TestWrong:test_options()
  local o = optimizer_of(optim.SGD)
  for _, case in ipairs {
    {"optim.lr_scheduler.StepLR: step_size is missing", schedules.StepLR, o},
    {"step_size must be positive, got 0", schedules.StepLR, o, 0},
    {"unknown option 'gama', did you mean 'gamma'?", schedules.StepLR, o, 3, {gama = 1}},
    {"step_size must be an integer, got number 2.5", schedules.StepLR, o, 2.5},
    {"an optimizer expected, got number 3", schedules.StepLR, 3, 3},
    {"an optimizer expected, got Linear", schedules.StepLR, saros.nn.Linear(1, 1), 3},
    {"milestone 2 must be an integer, got string 'x'", schedules.MultiStepLR, o, {1, "x"}},
    {"gamma must be a number", schedules.ExponentialLR, o, "0.5"},
    {"T_max must be positive, got -1", schedules.CosineAnnealingLR, o, -1},
    {"expected 2 lr_lambdas, but got 1", schedules.LambdaLR, o, {print}},
    {"lr_lambda 2 must be a function, got number 1", schedules.LambdaLR, o, {math.abs, 1}},
    {"lr_lambda must return a number, got nil for epoch 0", schedules.LambdaLR, o, function() end},
    {"'initial_lr' is not there in param_groups[1], which last_epoch = 4", schedules.StepLR,
     optimizer_of(optim.SGD), 3, {last_epoch = 4}},
  } do
    assert_error(case[1], table.unpack(case, 2))
  end
end

function TestWrong:test_names()
  assert_error("saros.optim.lr_scheduler has no 'StepLr', did you mean 'StepLR'?", function()
    return schedules.StepLr
  end)
end

function TestWrong:test_plateau()
  local o, Plateau = optimizer_of(optim.SGD), schedules.ReduceLROnPlateau
  assert_error("mode must be one of 'min', 'max', got string 'mim', did you mean 'min'?", Plateau,
    o, "mim")
  assert_error("threshold_mode must be one of", Plateau, o, {threshold_mode = "ref"})
  assert_error("factor should be < 1, got 1", Plateau, o, {factor = 1.0})
  assert_error("patience should be at least 0, got -1", Plateau, o, {patience = -1})
  assert_error("expected 2 min_lrs, got 3", Plateau, o, {min_lr = {1, 2, 3}})
  assert_error("min_lr 2 must be a number, got boolean true", Plateau, o, {min_lr = {1, true}})
  local schedule = Plateau(o)
  assert_error("a number or a tensor of one element expected, got nil", schedule.step, schedule)
  assert_error("expected, got tensor [2]", schedule.step, schedule, saros.zeros(2))
  lu.assertEquals(schedule.last_epoch, 0)
end

function TestWrong:test_one_cycle()
  local o, OneCycle = optimizer_of(optim.SGD), schedules.OneCycleLR
  assert_error("give total_steps, or epochs and steps_per_epoch", OneCycle, o, 0.1)
  assert_error("give total_steps, or epochs", OneCycle, o, 0.1, {epochs = 3})
  assert_error("expected positive total_steps, but got number 0", OneCycle, o, 0.1,
    {total_steps = 0})
  assert_error("expected pct_start between 0 and 1, but got 1.5", OneCycle, o, 0.1,
    {total_steps = 9, pct_start = 1.5})
  assert_error("anneal_strategy must be one of 'cos', 'linear', got string 'sin'", OneCycle, o, 0.1,
    {total_steps = 9, anneal_strategy = "sin"})
  assert_error("expected 2 values for max_lr, got 1", OneCycle, o, {0.1}, {total_steps = 9})
  assert_error("Adagrad has no momentum: give cycle_momentum = false", OneCycle,
    optimizer_of(optim.Adagrad), 0.1, {total_steps = 9})
  local schedule = OneCycle(o, 0.1, {total_steps = 2})
  schedule:step()
  schedule:step()
  assert_error("tried to step 4 times. The specified number of total steps is 2", schedule.step,
    schedule)
  lu.assertEquals(schedule.last_epoch, 2)
end

function TestWrong:test_step()
  local schedule = schedules.StepLR(optimizer_of(optim.SGD), 3)
  assert_error("StepLR.step: takes no argument, got number 0.5", schedule.step, schedule, 0.5)
end

-- A state that does not fit changes nothing.
function TestWrong:test_state()
  local o = optimizer_of(optim.SGD)
  local schedule = schedules.StepLR(o, 3)
  local before = schedule:state_dict()
  local function refuse(text, state)
    assert_error(text, schedule.load_state_dict, schedule, state)
    lu.assertEquals(schedule:state_dict(), before)
  end
  local function changed(name, value)
    local state = schedule:state_dict()
    state[name] = value
    return state
  end
  refuse("a table of state_dict() expected, got nil", nil)
  refuse("is it the state of another schedule?", schedules.CosineAnnealingLR(o, 3):state_dict())
  refuse("StepLR.load_state_dict: 'last_epoch' must be a number, got nil", changed("last_epoch"))
  refuse("'gamma' must be a number, got string '1'", changed("gamma", "1"))
  refuse("step_size must be positive, got -2", changed("step_size", -2))
  refuse("base_lrs has 1 parameter groups, here are 2", changed("base_lrs", {0.1}))
  refuse("'_last_lr' holds what no schedule keeps", changed("_last_lr", {0.1, print}))
end

support.run {TestGolden = TestGolden, TestUse = TestUse, TestWrong = TestWrong}
