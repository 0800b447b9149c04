-- Word language model (713): embedding 7500 x 100, two LSTM layers of 128, windows of 40.
local folder = arg[0]:match("^(.*/)") or "./"
package.path = folder .. "?.lua;" .. folder .. "../lua/?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("lm", {steps = 16, warmup = 2, batch = 256})
local saros = require "saros"
local models = require "sequence_models"
local data = saros.data

local WORDS = 7500

local windows = data.TensorDataset(models.read_windows(
  assert(saros.read_file(args.data or data.path("frankenstein.txt"))), WORDS, 40, 3))
local held_out = math.ceil(#windows / 20)
local train = data.random_split(windows, {#windows - held_out, held_out})
local train_step = models.language_model(WORDS, 100, 128, 0.2)
local next_batch = bench.forever(data.batches(train, {size = args.batch, shuffle = true}))

local function step()
  local x, y = next_batch()
  return #x, train_step(x, y)
end

bench.report(args, "examples/s", bench.measure(args, step), {item = "window", windows = #train})
