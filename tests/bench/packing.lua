-- Packing and unpacking a padded batch (200, 64, 64) of float32, lengths 1 to 200, forward
-- and backward.
--
-- `value` is GB/s of the whole round trip; each of its four passes reads and writes the rows
-- once. `parts` has pack and unpack alone, forward, in the same unit.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("packing", {steps = 200, warmup = 20})
local saros = require "saros"
local rnn = saros.nn.utils.rnn

local T, B, C = 200, 64, 64
local lengths = saros.randint(1, T + 1, {B})
lengths[1] = T
local x = saros.randn(T, B, C, {requires_grad = true})
local cotangent = saros.randn(T, B, C)
local real, whole = 4 * C * lengths:sum():item(), 4 * C * T * B -- bytes
local pass = real + whole -- a pass reads one of them and writes the other

local function pack(input)
  return rnn.pack_padded_sequence(input, lengths, {enforce_sorted = false})
end

local function rate(step) return bench.measure(args, step).value end

local constant = x:detach()
local packed = pack(constant)
local parts = {
  pack = rate(function()
    pack(constant)
    return pass / 1e9
  end),
  unpack = rate(function()
    rnn.pad_packed_sequence(packed)
    return pass / 1e9
  end),
  copy = rate(function()
    constant:clone()
    return 2 * whole / 1e9
  end),
}

local result = bench.measure(args, function()
  local y = rnn.pad_packed_sequence(pack(x))
  y:backward(cotangent)
  x.grad = nil
  return 4 * pass / 1e9
end)
bench.report(args, "GB/s", result, {parts = parts, ms = 1e3 * result.seconds / args.steps})
