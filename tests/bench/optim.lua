-- Optimizer steps: one parameter of a million elements, and a hundred of 64.
--
-- `value` is what an Adam step takes for an element of the large parameter, in ns; `large` has
-- that of every optimizer and `gb_per_s` what they move (parameter and states read and written,
-- gradient read), beside `copy_gb_per_s` of x:copy_(y) with as many bytes in use. `small` is the
-- time of a step for one of the hundred parameters, in ns. --steps counts steps.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("optim", {steps = 200, warmup = 20})
local saros = require "saros"
local core = require "saros.core"
local nn, optim = saros.nn, saros.optim

local MILLION, BYTES = 1000000, 4

-- {name of the optimizer, options, tensors of its state}
local cases = {
  {"SGD", {lr = 1e-3}, 0}, {"SGD", {lr = 1e-3, momentum = 0.9}, 1}, {"Adam", {}, 2},
  {"Adam", {amsgrad = true}, 3}, {"AdamW", {}, 2}, {"RMSprop", {}, 1}, {"Adagrad", {}, 1},
  {"Adadelta", {}, 2},
}

local function title(case)
  local words = {case[1]}
  for _, option in ipairs {"momentum", "amsgrad"} do
    if case[2][option] then words[#words + 1] = option end
  end
  return table.concat(words, "_")
end

-- Seconds of a step over `count` parameters of n elements.
local function seconds(case, count, n)
  local parameters = {}
  for i = 1, count do
    parameters[i] = nn.Parameter(saros.randn(n))
    parameters[i].grad = saros.randn(n)
  end
  local optimizer = optim[case[1]](parameters, case[2])
  return 1 / bench.measure(args, function()
    optimizer:step()
    return 1
  end).value
end

local function copy_speed(bytes)
  local x, y = saros.randn(bytes // 8), saros.randn(bytes // 8)
  return bytes / 1e9 * bench.measure(args, function()
    x:copy_(y)
    return 1
  end).value
end

local large, small, speed = {}, {}, {}
for _, case in ipairs(cases) do
  local name, states = title(case), case[3]
  local time = seconds(case, 1, MILLION)
  large[name] = time / MILLION * 1e9
  speed[name] = (3 + 2 * states) * BYTES * MILLION / time / 1e9
  small[name] = seconds(case, 100, 64) / 100 * 1e9
end

local clip = {}
for i = 1, 100 do
  clip[i] = nn.Parameter(saros.randn(64))
  clip[i].grad = saros.randn(64)
end
small.clip_grad_norm_ = 1e7 / bench.measure(args, function()
  nn.utils.clip_grad_norm_(clip, 1e9)
  return 1
end).value

bench.report(args, "ns/element", {value = large.Adam}, {
  large = large, small = small, gb_per_s = speed,
  copy_gb_per_s = copy_speed(4 * BYTES * MILLION), memory_mb = core.memory().live_bytes / 2^20,
})
