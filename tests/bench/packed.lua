-- Packed against padded: recurrent layers over batches of 64 sequences with lengths like those
-- of news texts (mean 40, at most 200), forward and backward, packing and unpacking included.
-- The ratio is that of the times of both in one run, taken in turn; `value` is that of
-- nn.LSTM(64, 32), `parts` has them all.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("packed", {steps = 10, warmup = 1})
local saros = require "saros"
local nn = saros.nn
local rnn = nn.utils.rnn

local BATCH, MEAN, LONGEST, FEATURES = 64, 40, 200, 64

-- Most texts are about as long, a few are far longer: log-normal, sigma 0.6, the longest first.
local lengths = {LONGEST}
local noise = saros.randn(BATCH - 1):totable()
for k = 1, BATCH - 1 do
  local length = math.exp(math.log(MEAN) - 0.18 + 0.6 * noise[k])
  lengths[k + 1] = math.max(1, math.min(LONGEST, math.floor(length)))
end

local total = 0
for _, length in ipairs(lengths) do total = total + length end

local x = saros.randn(LONGEST, BATCH, FEATURES)
for b, length in ipairs(lengths) do
  if length < LONGEST then x:select(2, b):narrow(1, length + 1, LONGEST - length):zero_() end
end

local function padded(layer)
  local out = layer(x)
  return out
end

local function packed(layer)
  local out = layer(rnn.pack_padded_sequence(x, lengths, {enforce_sorted = false}))
  return (rnn.pad_packed_sequence(out, {total_length = LONGEST}))
end

local function seconds(layer, run)
  local start = saros.clock()
  layer:zero_grad()
  run(layer):sum():backward()
  return saros.clock() - start
end

local function ratio(layer)
  local best = {math.huge, math.huge}
  for k = 1, args.warmup + args.steps do
    local a, b = seconds(layer, padded), seconds(layer, packed)
    if k > args.warmup then best = {math.min(best[1], a), math.min(best[2], b)} end
  end
  return best[1] / best[2], best[2]
end

local parts, value = {}, nil
for _, kind in ipairs {"RNN", "LSTM", "GRU"} do
  for _, hidden in ipairs {32, 128} do
    local name = ("%s_%d"):format(kind:lower(), hidden)
    local times, packed_seconds = ratio(nn[kind](FEATURES, hidden))
    parts[name], parts[name .. "_packed_ms"] = times, packed_seconds * 1e3
    if name == "lstm_32" then value = times end
  end
end
bench.report(args, "x padded", {value = value}, {
  parts = parts, tokens = total, mean_length = total / BATCH, padded_tokens = BATCH * LONGEST,
})
