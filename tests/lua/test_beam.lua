-- saros.beam_search against all sequences of a small model, and greedy search.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local beam_search = saros.beam_search
local assert_error = support.assert_error

local IDS, EOS, START, LENGTH = 4, 4, 9, 4

-- A model whose next id depends on all before: the state is their history.
local function make_model(seed)
  local generator, known = saros.Generator():manual_seed(seed), {}
  local function log_probs(history)
    known[history] = known[history]
      or (saros.rand(IDS, {dtype = "float64", generator = generator}) * 4):log_softmax(1):totable()
    return known[history]
  end
  return function(state, id)
    local history = state .. id .. " "
    return log_probs(history), history
  end
end

-- All sequences that end with EOS or have LENGTH ids, best first.
local function all_sequences(step, penalty)
  local list = {}
  local function extend(state, ids, log_prob)
    local log_probs, following = step(state, ids[#ids] or START)
    for id = 1, IDS do
      local longer = table.move(ids, 1, #ids, 1, {})
      longer[#longer + 1] = id
      local sum = log_prob + log_probs[id]
      if id == EOS or #longer == LENGTH then
        local score = sum / (#longer) ^ penalty
        list[#list + 1] = {ids = longer, log_prob = sum, score = score, finished = id == EOS}
      else
        extend(following, longer, sum)
      end
    end
  end
  extend("", {}, 0)
  table.sort(list, function(a, b) return a.score > b.score end)
  return list
end

local function search(step, opts)
  local o = {start = START, step = step, state = "", width = 3, max_length = LENGTH, eos = EOS}
  for name, value in pairs(opts) do o[name] = value end
  return beam_search(o)
end

local function check_equal(found, expected, what)
  lu.assertEquals(found.ids, expected.ids, what)
  lu.assertEquals(found.finished, expected.finished, what)
  lu.assertAlmostEquals(found.log_prob, expected.log_prob, 1e-12, what)
  lu.assertAlmostEquals(found.score, expected.score, 1e-12, what)
end

local TestBeam = {}

function TestBeam:test_a_wide_beam_finds_the_best()
  local width = (IDS - 1) ^ LENGTH // 1 | 0 -- holds every beginning
  for seed = 1, 5 do
    for _, penalty in ipairs {0, 0.7, 1, 2, -0.5} do
      local step = make_model(seed)
      local expected = all_sequences(step, penalty)
      local found = search(step, {width = width, length_penalty = penalty})
      lu.assertEquals(#found, width)
      for i, result in ipairs(found) do
        check_equal(result, expected[i], ("seed %d, penalty %g, %d"):format(seed, penalty, i))
      end
    end
  end
end

function TestBeam:test_width_1_is_greedy()
  for seed = 1, 20 do
    local step = make_model(seed)
    local ids, state, sum = {}, "", 0
    repeat
      local log_probs
      log_probs, state = step(state, ids[#ids] or START)
      local best = saros.tensor(log_probs):argmax():item()
      ids[#ids + 1], sum = best, sum + log_probs[best]
    until best == EOS or #ids == LENGTH
    local found = search(step, {width = 1})
    lu.assertEquals(#found, 1)
    check_equal(found[1], {ids = ids, log_prob = sum, score = sum, finished = ids[#ids] == EOS})
  end
end

-- Greedy takes 1 (0.6), then at best 0.5; 2 (0.4) is followed by a certain EOS.
local function hand_made(state, _)
  local log = math.log
  if state == "start" then return {log(0.6), log(0.4), -math.huge}, "first" end
  if state == "first" then return {log(0.25), log(0.25), log(0.5)}, "end" end
end

function TestBeam:test_by_hand()
  local function step(state, id)
    if state == "first" and id == 2 then return {-math.huge, -math.huge, 0.0}, "end" end
    return hand_made(state, id)
  end
  local opts = {start = 3, step = step, state = "start", eos = 3, max_length = 2, width = 1}
  lu.assertEquals(beam_search(opts)[1].ids, {1, 3})
  opts.width = 2
  local found = beam_search(opts)
  lu.assertEquals({found[1].ids, found[2].ids}, {{2, 3}, {1, 3}})
  lu.assertAlmostEquals(found[1].score, math.log(0.4), 1e-12)
  lu.assertAlmostEquals(found[2].score, math.log(0.3), 1e-12)
end

-- With a small width: what the definition gives, written down plainly.
function TestBeam:test_widths_between()
  local function plain(step, width)
    local alive, ended = {{ids = {}, state = "", sum = 0}}, {}
    for _ = 1, LENGTH do
      local candidates = {}
      for _, h in ipairs(alive) do
        local log_probs, state = step(h.state, h.ids[#h.ids] or START)
        for id = 1, IDS do
          local ids = table.move(h.ids, 1, #h.ids, 1, {})
          ids[#ids + 1] = id
          candidates[#candidates + 1] = {ids = ids, state = state, sum = h.sum + log_probs[id]}
        end
      end
      table.sort(candidates, function(a, b) return a.sum > b.sum end)
      alive = {}
      for k, c in ipairs(candidates) do
        if c.ids[#c.ids] ~= EOS then
          if #alive < width then alive[#alive + 1] = c end
        elseif k <= width then
          ended[#ended + 1] = c
        end
      end
    end
    table.move(alive, 1, #alive, #ended + 1, ended)
    table.sort(ended, function(a, b) return a.sum > b.sum end)
    return ended
  end
  for seed = 1, 20 do
    for width = 2, 5 do
      local step = make_model(seed)
      local expected = plain(step, width)
      for i, result in ipairs(search(step, {width = width})) do
        lu.assertEquals(result.ids, expected[i].ids)
        lu.assertAlmostEquals(result.score, expected[i].sum, 1e-12)
      end
    end
  end
end

function TestBeam:test_without_eos()
  local found = beam_search {start = START, step = make_model(1), state = "", width = 2,
    max_length = 6}
  for _, result in ipairs(found) do
    lu.assertEquals(#result.ids, 6)
    lu.assertFalse(result.finished)
  end
end

function TestBeam:test_tensors_and_gradients()
  local weight = saros.randn(3, 3):requires_grad_()
  local found = beam_search {start = 1, width = 2, max_length = 3, step = function(state, id)
    lu.assertNil(state)
    local log_probs = weight[id]:log_softmax(1)
    lu.assertFalse(log_probs.requires_grad)
    return log_probs:unsqueeze(1)
  end}
  lu.assertEquals(#found, 2)
  lu.assertTrue(saros.is_grad_enabled())
end

-- A dead end: no id is possible any more.
function TestBeam:test_nothing_possible()
  local found = beam_search {start = 1, width = 2, max_length = 3, step = function()
    return {-math.huge, -math.huge}
  end}
  lu.assertEquals(found, {})
end

function TestBeam:test_wrong_steps()
  local function with(result)
    return function()
      beam_search {start = 1, width = 2, max_length = 3, eos = 2,
        step = function() return result end}
    end
  end
  assert_error("step must return log-probabilities and a state, got nil", with(nil))
  assert_error("step must return log-probabilities and a state, got tensor [0]",
    with(saros.zeros(0)))
  assert_error("which are at most 0, got 1.5: use log_softmax", with {1.5, 0})
  assert_error("step returned a NaN", with {0 / 0, 0})
  assert_error("eos 2 is not within the 1 ids that step tells of", with {-1.0})
  local ok, message = pcall(beam_search, {start = 1, width = 2, max_length = 3, step = function()
    error("mine", 0)
  end})
  lu.assertEquals({ok, message}, {false, "mine"})
  lu.assertTrue(saros.is_grad_enabled())
end

function TestBeam:test_wrong_options()
  local function step() return {0.0} end
  assert_error("start is missing", beam_search, {step = step, width = 1, max_length = 1})
  assert_error("step is missing", beam_search, {start = 1, width = 1, max_length = 1})
  assert_error("width must be at least 1, got 0", beam_search,
    {start = 1, step = step, width = 0, max_length = 1})
  assert_error("max_length must be at least 1, got 0", beam_search,
    {start = 1, step = step, width = 1, max_length = 0})
  assert_error("length_penalty must be a number, got NaN", beam_search,
    {start = 1, step = step, width = 1, max_length = 1, length_penalty = 0 / 0})
  assert_error("length_penalty must be finite, got -inf", beam_search,
    {start = 1, step = step, width = 1, max_length = 1, length_penalty = -math.huge})
  assert_error("unknown option 'beam_width'", beam_search, {beam_width = 3})
end

support.run {TestBeam = TestBeam}
