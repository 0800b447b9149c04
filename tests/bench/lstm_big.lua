-- nn.LSTM 1024 -> 1024, batch 64, 50 steps, forward and backward.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
require "lstm_one"("lstm_big", 1024, 1024, 64, 50, {steps = 5, warmup = 1})
