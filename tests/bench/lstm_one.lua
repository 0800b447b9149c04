--- One nn.LSTM layer, forward and backward; lstm_small and lstm_big set the sizes. The loss is
--- the sum of the outputs; gradients go to the weights and the input, so the products cost
--- three times those of the forward pass.
local bench = require "common"

---@param workload string
---@param inputs integer
---@param hidden integer
---@param batch integer
---@param steps integer of the sequence
---@param defaults table of the bench: steps, warmup
return function(workload, inputs, hidden, batch, steps, defaults)
  local args = bench.parse(workload, defaults)
  local saros = require "saros"
  local lstm = saros.nn.LSTM(inputs, hidden)
  local x = saros.randn(steps, batch, inputs):requires_grad_()
  local result = bench.measure(args, function()
    lstm:zero_grad()
    x.grad = nil
    local loss = lstm(x):sum()
    loss:backward()
    return 1, loss:item()
  end)
  local multiply_adds = 3 * steps * batch * 4 * hidden * (inputs + hidden)
  bench.report(args, "steps/s", result, {
    gflops = result.value * 2 * multiply_adds / 1e9,
    us_per_step = 1e6 / result.value / steps,
    tokens_per_s = result.value * steps * batch,
  })
end
