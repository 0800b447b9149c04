-- saros.sample: frequencies, limits, PyTorch's draws from the same seed.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local sample = saros.sample
local assert_error = support.assert_error

local inf, nan = math.huge, 0 / 0

local function seeded(seed) return saros.Generator():manual_seed(seed) end

-- How often each id was drawn from the same logits.
local function draw(logits, times, opts)
  local classes = #logits
  local counts = {}
  for id = 1, classes do counts[id] = 0 end
  local ids = sample(saros.tensor(logits):float():unsqueeze(1):expand(times, classes), opts)
  for _, id in ipairs(ids:totable()) do counts[id] = counts[id] + 1 end
  return counts
end

-- Pearson's statistic; ids of probability 0 must not be drawn.
local function chi_square(counts, probabilities, times)
  local sum = 0
  for id, p in ipairs(probabilities) do
    if p == 0 then
      lu.assertEquals(counts[id], 0)
    else
      sum = sum + (counts[id] - times * p) ^ 2 / (times * p)
    end
  end
  return sum
end

local function softmax(list)
  local sum, shares = 0, {}
  for i, x in ipairs(list) do shares[i], sum = math.exp(x), sum + math.exp(x) end
  for i, share in ipairs(shares) do shares[i] = share / sum end
  return shares
end

local logits = {1.2, -0.3, 0.4, 2.1, -inf, 0.0, 1.9, -1.5}
local TIMES = 40000

local TestFrequencies = {}

-- 7 ids can be drawn: 6 degrees of freedom, 22.46 is exceeded once in 1000.
function TestFrequencies:test_temperatures()
  for seed, temperature in ipairs {1, 0.5, 2.5} do
    local scaled = {}
    for i, x in ipairs(logits) do scaled[i] = x / temperature end
    local counts = draw(logits, TIMES, {temperature = temperature, generator = seeded(seed)})
    lu.assertTrue(chi_square(counts, softmax(scaled), TIMES) < 22.46)
  end
end

-- Of the four most likely: 3 degrees of freedom, 16.27.
function TestFrequencies:test_top_k()
  local kept = {1.2, -inf, 0.4, 2.1, -inf, -inf, 1.9, -inf}
  local counts = draw(logits, TIMES, {top_k = 4, generator = seeded(1)})
  lu.assertTrue(chi_square(counts, softmax(kept), TIMES) < 16.27)
end

-- Probabilities 0.5, 0.25, 0.15, 0.1: the first three bring 0.8, two do not.
function TestFrequencies:test_top_p()
  local p = {0.15, 0.5, 0.1, 0.25}
  local logs = {}
  for i, x in ipairs(p) do logs[i] = math.log(x) end
  local function share(top_p, ...)
    local counts = draw(logs, TIMES, {top_p = top_p, generator = seeded(2)})
    return chi_square(counts, {...}, TIMES)
  end
  lu.assertTrue(share(0.8, 0.15 / 0.9, 0.5 / 0.9, 0, 0.25 / 0.9) < 13.82)
  lu.assertTrue(share(0.6, 0, 2 / 3, 0, 1 / 3) < 10.83)
  lu.assertTrue(share(0.91, 0.15, 0.5, 0.1, 0.25) < 16.27)
  -- after top_k = 3 the shares are 0.556, 0.278, 0.167: two make up 0.8
  local counts = draw(logs, TIMES, {top_p = 0.8, top_k = 3, generator = seeded(3)})
  lu.assertTrue(chi_square(counts, {0, 2 / 3, 0, 1 / 3}, TIMES) < 10.83)
end

-- torch.multinomial(softmax(...), 1) with generator seed 17, logits rand(40, 30) * 8 from seed
-- 5, what top_k and top_p leave out set to -inf.
local torch_draws = {
  {{}, {25, 7, 18, 2, 16, 20, 25, 20, 18, 10, 11, 28, 11, 12, 25, 10, 17, 25, 5, 16, 25, 3, 16,
    19, 10, 16, 28, 1, 3, 25, 9, 30, 6, 5, 15, 9, 20, 28, 12, 5}},
  {{temperature = 0.5}, {25, 7, 18, 22, 16, 20, 25, 20, 18, 10, 11, 12, 11, 12, 25, 3, 17, 25, 5,
    29, 1, 3, 15, 19, 10, 16, 13, 1, 3, 25, 9, 13, 24, 2, 5, 1, 20, 28, 12, 5}},
  {{temperature = 0.8, top_k = 4}, {25, 7, 18, 22, 16, 20, 25, 20, 18, 10, 24, 12, 11, 12, 25, 3,
    17, 25, 5, 29, 28, 1, 15, 19, 10, 16, 13, 1, 3, 25, 5, 30, 24, 2, 5, 9, 20, 28, 4, 5}},
  {{top_p = 0.7}, {25, 7, 18, 22, 16, 20, 25, 20, 18, 10, 24, 15, 11, 12, 25, 3, 17, 25, 5, 29,
    28, 1, 9, 19, 10, 16, 13, 1, 3, 25, 5, 30, 24, 2, 5, 9, 20, 28, 12, 5}},
  {{temperature = 1.5, top_k = 10, top_p = 0.6}, {25, 7, 18, 22, 16, 20, 25, 20, 18, 10, 24, 15,
    11, 12, 25, 3, 17, 25, 5, 29, 28, 29, 15, 19, 10, 16, 13, 1, 3, 25, 5, 30, 24, 2, 30, 9, 20,
    28, 12, 5}},
}

function TestFrequencies:test_pytorchs_draws()
  local x = saros.rand(40, 30, {generator = seeded(5)}) * 8
  for _, case in ipairs(torch_draws) do
    local opts = case[1]
    opts.generator = seeded(17)
    lu.assertEquals(sample(x, opts):totable(), case[2])
  end
  saros.manual_seed(17) -- the default generator
  lu.assertEquals(sample(x):totable(), torch_draws[1][2])
end

local TestLimits = {}

function TestLimits:test_shapes()
  local x = saros.randn(5, 7)
  local ids = sample(x)
  lu.assertEquals(ids.dtype, "int64")
  lu.assertEquals(tostring(ids.shape), "[5]")
  lu.assertEquals(tostring(sample(x[1]).shape), "[]")
  lu.assertEquals(math.type(sample(x[1]):item()), "integer")
  lu.assertEquals(tostring(sample(x:double():requires_grad_(), {top_p = 0.5}).shape), "[5]")
  lu.assertEquals(sample(saros.tensor {-3.5}):item(), 1)
end

function TestLimits:test_the_most_likely()
  local x = saros.randn(50, 20, {generator = seeded(4)})
  local best = x:argmax(2):totable()
  for _, opts in ipairs {{temperature = 0}, {top_k = 1}, {top_p = 1e-9}, {temperature = 1e-300},
    {temperature = 0, top_k = 5, top_p = 0.5}} do
    lu.assertEquals(sample(x, opts):totable(), best)
  end
  lu.assertEquals(sample(saros.tensor {2.0, 2.0, 2.0}, {top_k = 1}):item(), 1) -- of equal ones
end

function TestLimits:test_more_than_there_are()
  local x = saros.randn(50, 20, {generator = seeded(4)})
  local all = sample(x, {generator = seeded(1)}):totable()
  lu.assertEquals(sample(x, {generator = seeded(1), top_k = 99}):totable(), all)
  lu.assertEquals(sample(x, {generator = seeded(1), top_p = 1, top_k = 20}):totable(), all)
end

function TestLimits:test_large_logits()
  lu.assertEquals(sample(saros.tensor {1e38, -1e38}, {temperature = 1e-3}):item(), 1)
  lu.assertEquals(sample(saros.tensor {-1e30, -2e30}):item(), 1)
  lu.assertEquals(sample(saros.tensor {-inf, 0.0, -inf}, {top_k = 3, top_p = 0.99}):item(), 2)
  -- a high temperature makes all alike, but not what is impossible
  local counts = draw({0.0, -inf, 5.0}, TIMES, {temperature = 1e30, generator = seeded(1)})
  lu.assertTrue(chi_square(counts, {0.5, 0, 0.5}, TIMES) < 10.83)
end

function TestLimits:test_wrong_logits()
  assert_error("saros.sample: there is a NaN in the logits", sample, saros.tensor {0.5, nan})
  assert_error("row 2 of the logits has only -inf: no id is possible", sample,
    saros.tensor {{0.5, 1}, {-inf, -inf}})
  assert_error("row 1 of the logits has an infinity", sample, saros.tensor {0.5, inf})
  for _, wrong in ipairs {saros.tensor {1, 2}, saros.ones(2, 2, 2), saros.tensor(0.5),
    saros.ones(0), saros.ones(0, 3), saros.ones(3, 0), {0.5}, "a"} do
    assert_error("logits of shape (classes) or (rows, classes) expected, got", sample, wrong)
  end
  assert_error("logits of shape", sample)
end

function TestLimits:test_wrong_options()
  local x = saros.ones(3)
  assert_error("temperature must be 0 (the most likely id) or above, got -1", sample, x,
    {temperature = -1})
  assert_error("temperature must be a number, got NaN", sample, x, {temperature = nan})
  assert_error("temperature must be 0", sample, x, {temperature = inf})
  assert_error("top_k must be at least 1, got 0", sample, x, {top_k = 0})
  assert_error("top_p must be above 0 and at most 1, got 0", sample, x, {top_p = 0})
  assert_error("top_p must be above 0 and at most 1, got 1.5", sample, x, {top_p = 1.5})
  assert_error("top_p must be a number, got NaN", sample, x, {top_p = nan})
  assert_error("unknown option 'temprature', did you mean 'temperature'?", sample, x,
    {temprature = 1})
end

support.run {TestFrequencies = TestFrequencies, TestLimits = TestLimits}
