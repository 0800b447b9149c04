-- Bahdanau attention in a decoder: batch 32, 10 keys, 128 wide, in us per decoding step.
--
-- A pass is 10 steps forward and one backward through all of them; the context of a step is
-- the query of the next. `value` is with the keys projected once for the pass; `parts` has it
-- beside each_step, where every step projects them, as PyTorch's tutorial does. --steps counts
-- passes.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("attention", {steps = 500, warmup = 20})
local saros = require "saros"
local nn = saros.nn

local BATCH, KEYS, WIDTH, STEPS = 32, 10, 128, 10

local attention = nn.BahdanauAttention(WIDTH)
local query = saros.randn(BATCH, 1, WIDTH, {requires_grad = true})
local keys = saros.randn(BATCH, KEYS, WIDTH, {requires_grad = true})

local function pass(prepare)
  local memory, hidden, total = prepare(), query, 0
  for _ = 1, STEPS do
    hidden = attention(hidden, memory)
    total = total + hidden:mean()
  end
  total:backward()
  attention:zero_grad()
  query.grad, keys.grad = nil, nil
  return STEPS, total:item()
end

local function us(prepare)
  local result = bench.measure(args, function() return pass(prepare) end)
  result.value, result.best_block = 1e6 / result.value, 1e6 / result.best_block
  return result
end

local each = us(function() return keys end)
local once = us(function() return attention:precompute(keys) end)
bench.report(args, "us/step", once, {parts = {each_step = each.value, once = once.value}})
