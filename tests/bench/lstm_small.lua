-- nn.LSTM 64 -> 128, batch 1, 100 steps, forward and backward.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
require "lstm_one"("lstm_small", 64, 128, 1, 100, {steps = 200, warmup = 20})
