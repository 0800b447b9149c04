-- Translation (714): encoder and decoder of two LSTM layers each, 256 wide.
local folder = arg[0]:match("^(.*/)") or "./"
package.path = folder .. "?.lua;" .. folder .. "../lua/?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("nmt", {steps = 5, warmup = 1, batch = 128})
local data = require("saros").data
local models = require "sequence_models"

local WORDS, LINES = 10000, 60000

local source, given, target = models.read_lstm_pairs(
  args.data or data.path("eng-fra.txt", "translation/eng-fra.txt"), WORDS, LINES)
local held_out = #source // 5
local train = data.random_split(data.TensorDataset(source, given, target),
  {#source - held_out, held_out})
local train_step = models.lstm(WORDS, 128, 256)
local next_batch = bench.forever(data.batches(train, {size = args.batch, shuffle = true}))

local function step()
  local x, i, y = next_batch()
  return #x, train_step(x, i, y)
end

bench.report(args, "examples/s", bench.measure(args, step),
  {item = "sentence pair", pairs = #train, lengths = {source:size(2), given:size(2)}})
