-- saros.sample: draw ids from what a model says about the next one.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local sampling = {}

local where = "saros.sample"

-- Smaller ones are 0 in float32.
local least_temperature = 1e-37

local read = options.reader(where, {
  {"temperature", "number", 1}, {"top_k", "integer?"}, {"top_p", "number", 1},
  {"generator", "generator?"},
})

local function check_options(o)
  if not (o.temperature >= 0 and o.temperature < math.huge) then
    fail("%s: temperature must be 0 (the most likely id) or above, got %s", where, o.temperature)
  elseif o.top_k and o.top_k < 1 then
    fail("%s: top_k must be at least 1, got %d", where, o.top_k)
  elseif not (o.top_p > 0 and o.top_p <= 1) then
    fail("%s: top_p must be above 0 and at most 1, got %s", where, o.top_p)
  end
end

-- (rows, classes), checked: -inf is an id that cannot be, all else is finite.
local function rows_of(logits)
  if not core.is_tensor(logits) or not logits:is_floating_point() or logits:dim() < 1
    or logits:dim() > 2 or logits:numel() == 0 then
    fail("%s: logits of shape (classes) or (rows, classes) expected, got %s", where, show(logits))
  end
  local rows = logits:detach():cpu()
  if rows:dim() == 1 then rows = rows:unsqueeze(1) end
  if rows:isnan():any():item() then fail("%s: there is a NaN in the logits", where) end
  local best = rows:amax(2, true)
  local wrong = best:isinf():flatten():nonzero()
  if #wrong > 0 then
    local row = wrong[1]:item()
    fail("%s: row %d of the logits %s", where, row, best[row]:item() > 0 and "has an infinity"
      or "has only -inf: no id is possible")
  end
  return rows, best
end

-- Probabilities of the top_k most likely ids, and of them of the fewest that make up top_p;
-- the others have 0.
local function truncate(probabilities, o)
  local sorted, ids = probabilities:sort(-1, true)
  if o.top_k and o.top_k < sorted:size(2) then
    sorted, ids = sorted:narrow(2, 1, o.top_k), ids:narrow(2, 1, o.top_k)
  end
  if o.top_p < 1 then
    local share = sorted / sorted:sum(2, true)
    local before = share:cumsum(2) - share -- what the more likely ones make up
    before[{ {}, 1 }] = 0
    sorted = sorted:masked_fill(before:ge(o.top_p), 0)
  end
  return core.zeros_like(probabilities):scatter(2, ids, sorted)
end

--- Draw an id for each row of logits, with the probabilities softmax(logits / temperature).
---
--- Where top_k is given, only the top_k most likely ids are drawn (of equal ones those that
--- come first); then, where top_p is below 1, of these only the most likely ones up to the
--- first that brings their share to top_p (nucleus sampling): at least one is left. The
--- others' probabilities keep their proportions. From the same seed the ids are those of
--- torch.multinomial(probabilities, 1).
---
--- local id = saros.sample(logits, {temperature = 0.8, top_k = 40}):item()
---@param logits saros.Tensor (classes) or (rows, classes); -inf for what must not be drawn
---@param opts? {temperature: number, top_k: integer, top_p: number, generator: saros.Generator}
---   temperature: default 1, 0 takes the most likely id; top_p: default 1
---@return saros.Tensor ids, int64: 0-dimensional, or (rows)
function sampling.sample(logits, opts)
  local o = read(opts)
  check_options(o)
  local rows, best = rows_of(logits)
  local ids
  if o.temperature == 0 then
    ids = rows:argmax(2)
  else
    local temperature = math.max(o.temperature, least_temperature)
    local probabilities = ((rows - best) / temperature):softmax(2)
    if o.top_k or o.top_p < 1 then probabilities = truncate(probabilities, o) end
    ids = probabilities:multinomial(1, {generator = o.generator}):squeeze(2)
  end
  ids = ids:to(logits.device)
  return logits:dim() == 1 and ids[1] or ids
end

return sampling
