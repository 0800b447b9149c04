-- Translation (712): GRU encoder, Bahdanau attention decoder, teacher forcing; hidden 128.
local folder = arg[0]:match("^(.*/)") or "./"
package.path = folder .. "?.lua;" .. folder .. "../lua/?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("seq2seq", {steps = 60, warmup = 6, batch = 32})
local data = require("saros").data
local models = require "sequence_models"

local source, target, vocabulary = models.read_pairs(
  args.data or data.path("eng-fra.txt", "translation/eng-fra.txt"))
local train = models.attention(vocabulary, 128, 0.1)
local next_batch = bench.forever(data.batches(data.TensorDataset(source, target),
  {size = args.batch, shuffle = true}))

local function step()
  local x, y = next_batch()
  return #x, train(x, y)
end

bench.report(args, "examples/s", bench.measure(args, step),
  {item = "sentence pair", pairs = #source, vocab = vocabulary})
