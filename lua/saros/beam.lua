-- saros.beam_search: the likeliest sequences of a model that says what may come next.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local beam = {}

local where = "saros.beam_search"

local read = options.reader(where, {
  {"start", "integer"}, {"step", "function"}, {"state", "any?"}, {"width", "integer"},
  {"max_length", "integer"}, {"eos", "integer?"}, {"length_penalty", "number", 0},
})

---@class saros.BeamOptions
---@field start integer the first id, as step gets it; it is not part of the results
---@field step fun(state: any, id: integer): saros.Tensor|number[], any
---@field state any what step gets first
---@field width integer
---@field max_length integer of the ids that are generated, eos included
---@field eos? integer the id that ends a sequence; without it all have max_length
---@field length_penalty? number scores are log_prob / length ^ length_penalty; default 0; 1 is
---   the mean log-probability, which favours longer sequences

---@class saros.Hypothesis
---@field ids integer[] what was generated, eos included, start not
---@field log_prob number sum of the ids' log-probabilities
---@field score number log_prob / #ids ^ length_penalty
---@field finished boolean the last id is eos

local function check_options(o)
  for _, name in ipairs {"width", "max_length"} do
    if o[name] < 1 then fail("%s: %s must be at least 1, got %d", where, name, o[name]) end
  end
  if math.abs(o.length_penalty) == math.huge then
    fail("%s: length_penalty must be finite, got %s", where, o.length_penalty)
  end
end

-- log_softmax rounds: a probability of 1 may come out a little above it.
local most_log_prob = 1e-5

-- What step returned, as a float64 vector.
local function log_probs_of(value)
  if type(value) == "table" then value = core.tensor(value, {dtype = "float64"}) end
  if not core.is_tensor(value) or value:numel() == 0 then
    fail("%s: step must return log-probabilities and a state, got %s", where, show(value))
  end
  local vector = value:detach():cpu():double():flatten()
  local most = vector:max():item()
  if vector:isnan():any():item() then
    fail("%s: step returned a NaN among its log-probabilities", where)
  elseif most > most_log_prob then
    fail("%s: step must return log-probabilities, which are at most 0, got %g: use log_softmax",
      where, most)
  end
  return vector
end

-- Candidates that a hypothesis may become: one more than the width, since eos can be among
-- them and then leaves its place to the next.
local function expand(o, hypothesis, rank, candidates)
  local log_probs, state = o.step(hypothesis.state, hypothesis.last)
  hypothesis.state = nil -- not needed any more: only the ids of those before are
  local vector = log_probs_of(log_probs)
  if o.eos and (o.eos < 1 or o.eos > #vector) then
    fail("%s: eos %d is not within the %d ids that step tells of", where, o.eos, #vector)
  end
  local values, ids = vector:topk(math.min(o.width + 1, #vector))
  values, ids = values:totable(), ids:totable()
  for k, value in ipairs(values) do
    if value > -math.huge then
      candidates[#candidates + 1] = {
        parent = hypothesis, rank = rank, id = ids[k], log_prob = hypothesis.log_prob + value,
        state = state,
      }
    end
  end
end

-- Equal ones: the better parent, then the smaller id.
local function comes_before(a, b)
  if a.log_prob ~= b.log_prob then return a.log_prob > b.log_prob end
  if a.rank ~= b.rank then return a.rank < b.rank end
  return a.id < b.id
end

-- The first `width` candidates that go on; an eos among the first `width` of all is a result.
local function choose(o, candidates, results, length)
  table.sort(candidates, comes_before)
  local alive = {}
  for k, c in ipairs(candidates) do
    local hypothesis = {parent = c.parent, last = c.id, log_prob = c.log_prob, state = c.state,
      length = length}
    if c.id ~= o.eos then
      alive[#alive + 1] = hypothesis
    elseif k <= o.width then
      results[#results + 1] = hypothesis
    end
    if #alive == o.width then break end
  end
  return alive
end

local function score_of(o, log_prob, length)
  return log_prob / length ^ o.length_penalty
end

-- Keep the best `width` results, best first.
local function rank(o, results)
  for _, r in ipairs(results) do r.score = score_of(o, r.log_prob, r.length) end
  for i, r in ipairs(results) do r.order = i end
  table.sort(results, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.order < b.order
  end)
  for i = #results, o.width + 1, -1 do results[i] = nil end
end

-- Can one of those alive still enter the results? Log-probabilities only fall, so the best
-- score to hope for is at one end of the lengths to come.
local function may_improve(o, alive, results, length)
  if #results < o.width then return true end
  local hope = math.max(score_of(o, alive[1].log_prob, length + 1),
    score_of(o, alive[1].log_prob, o.max_length))
  return hope > results[#results].score
end

local function search(o)
  local alive, results = {{last = o.start, log_prob = 0.0, state = o.state}}, {}
  for length = 1, o.max_length do
    local candidates = {}
    for i, hypothesis in ipairs(alive) do expand(o, hypothesis, i, candidates) end
    alive = choose(o, candidates, results, length)
    rank(o, results)
    if #alive == 0 or not may_improve(o, alive, results, length) then return results end
  end
  table.move(alive, 1, #alive, #results + 1, results)
  rank(o, results)
  return results
end

local function describe(o, result)
  local ids, hypothesis = {}, result
  for i = result.length, 1, -1 do
    ids[i], hypothesis = hypothesis.last, hypothesis.parent
  end
  return {ids = ids, log_prob = result.log_prob, score = result.score,
    finished = result.last == o.eos}
end

--- The likeliest sequences of ids that start with `start`, by beam search: at each step the
--- `width` likeliest beginnings are kept. A sequence ends with `eos` or at `max_length` ids.
--- With a width of 1 that is greedy search; a width that holds all beginnings finds the best.
---
--- step(state, id) is called with a state and the id that follows it, and returns the
--- log-probabilities of the next id (a tensor or list of one number for each id) and the state
--- behind it. States are shared between hypotheses: step must not change the one it is given.
--- No gradients are recorded.
---
--- local best = saros.beam_search{start = SOS, eos = EOS, width = 4, max_length = 10,
---   state = hidden, step = function(state, id)
---     local output, new = decoder(saros.tensor{{id}}, state)
---     return output:log_softmax(-1), new
---   end}
--- print(table.concat(best[1].ids, " "), best[1].score)
---@param opts saros.BeamOptions
---@return saros.Hypothesis[] at most `width`, the best first
function beam.beam_search(opts)
  local o = read(opts)
  check_options(o)
  local list = {}
  core.no_grad(function()
    for i, result in ipairs(search(o)) do list[i] = describe(o, result) end
  end)
  return list
end

return beam
