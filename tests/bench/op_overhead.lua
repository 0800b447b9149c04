-- Cost of single eager operations on tiny tensors, in ns per operation.
--
-- `value` is the 10-operation chain, forward and backward, divided by ten; `parts` has
-- the single operations, with (_grad) and without gradient recording (layer_norm: of
-- (16, 128), the others of (1, 64)). --steps counts rounds of 1000 calls.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("op_overhead", {steps = 200, warmup = 20})
local saros = require "saros"

local CALLS = 1000
local parts = {}

local function ns(body, per_call)
  local function step()
    body()
    return CALLS * (per_call or 1)
  end
  return 1e9 / bench.measure(args, step).value
end

local function singles(tail, grad)
  local a = saros.rand(1, 64, {requires_grad = grad})
  local b = saros.rand(1, 64, {requires_grad = grad})
  local w = saros.rand(64, 64, {requires_grad = grad})
  local rows = saros.rand(16, 128, {requires_grad = grad})
  local gain = saros.rand(128, {requires_grad = grad})
  local tanh, layer_norm, shape = saros.tanh, saros.layer_norm, {128}
  local bodies = {
    add = function() for _ = 1, CALLS do local _ = a + b end end,
    mul = function() for _ = 1, CALLS do local _ = a * b end end,
    matmul = function() for _ = 1, CALLS do local _ = a:matmul(w) end end,
    tanh = function() for _ = 1, CALLS do tanh(a) end end,
    layer_norm = function()
      for _ = 1, CALLS do layer_norm(rows, shape, gain, gain) end
    end,
  }
  for name, body in pairs(bodies) do parts[name .. tail] = ns(body) end
end

singles("", false)
singles("_grad", true)

local x = saros.rand(1, 64)
local w = saros.rand(1, 64, {requires_grad = true})
local b = saros.rand(1, 64, {requires_grad = true})

local function forward()
  local h = x
  for _ = 1, 3 do h = (h * w + b):tanh() end
  return h:sum()
end

parts.chain_forward = ns(function() for _ = 1, CALLS do forward() end end, 10)
parts.chain_fwd_bwd = ns(function()
  for _ = 1, CALLS do
    forward():backward()
    w.grad, b.grad = nil, nil
  end
end, 10)

local rows = saros.rand(16, 128, {requires_grad = true})
local gain, shift = saros.rand(128, {requires_grad = true}), saros.rand(128, {requires_grad = true})
local g, shape = saros.rand(16, 128), {128}
parts.layer_norm_fwd_bwd = ns(function()
  for _ = 1, CALLS do
    saros.layer_norm(rows, shape, gain, shift):backward(g)
    rows.grad, gain.grad, shift.grad = nil, nil, nil
  end
end)
bench.report(args, "ns/op", {value = parts.chain_fwd_bwd}, {parts = parts})
