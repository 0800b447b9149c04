-- Gradients through time: why they vanish or explode, and what helps.
--
-- A loss after step T reaches the state of step T - k through k steps backwards, and each of them
-- multiplies the gradient by the same matrix W_h (and by the slope of the activation). So its
-- norm goes like a power, a^k: to nothing where a < 1, so that nothing is learned from what was
-- long ago, and beyond all bounds where a > 1. This note measures the norm by distance k for a
-- plain RNN, then with each of the remedies, and ends with what they are worth in training.

local saros = require "saros"
local nn, optim, data, plot = saros.nn, saros.optim, saros.data, saros.plot
local script = saros.script

local options = script.options {
  [[
Measures how much of a gradient is left after 1 to 100 steps back in time, for plain recurrent
networks and with remedies: initialization, activation, normalization, gates, clipping and
truncation. Then trains some of them to remember what came first. Pictures go to out/.]],
  {"steps", "integer", 300, "training steps of each network in the last part"},
  {"seed", "integer", 1, "of the weights and of the data"},
  {"device", "device", nil, "cpu or cuda"},
}

saros.set_default_device(options.device)
saros.manual_seed(options.seed)

script.check(saros.make_directory("out"))

-- ---- Measuring -----------------------------------------------------------------------------

-- In float64: some of these numbers are 0 in float32.
saros.set_default_dtype("float64")

local steps, batch, features, hidden = 125, 16, 32, 64
local farthest = 100

-- Small inputs, for which tanh is nearly a straight line: what follows is due to the weights.
local x = 0.1 * saros.randn(steps, batch, features)

-- The gradient that arrives at the last step: a random direction of length 1.
local arriving = saros.randn(1, batch, hidden)
arriving = arriving / arriving:norm()

-- The tensors of a state: h, or h and c of an LSTM.
local function parts_of(state) return saros.is_tensor(state) and {state} or state end

-- Gradients of a list of tensors; none where no gradient came.
local function gradients_of(tensors)
  local list = {}
  for _, tensor in ipairs(tensors) do table.insert(list, tensor.grad) end
  return list
end

-- Takes x through the layer step by step and keeps each state, then goes back from the last one.
-- Gives the norms of the gradient by distance, from 1 to 100, and that of all weights together.
-- Backpropagation through time is truncated at the edges of windows of `window` steps.
local function measure(layer, window)
  local states, state = {}, nil
  for piece in data.tbptt(x, {steps = window or steps}) do
    state = nn.detach(state)
    for t = 1, #piece do
      local _
      _, state = layer(piece[{ {t, t} }], state) -- one step, (1, batch, features)
      for _, part in ipairs(parts_of(state)) do part:retain_grad() end
      table.insert(states, parts_of(state))
    end
  end
  local last = states[steps]
  last[#last]:backward(arriving) -- h, or c of an LSTM
  local norms = {}
  for distance = 1, farthest do
    norms[distance] = nn.utils.get_total_norm(gradients_of(states[steps - distance]))
  end
  return norms, nn.utils.get_total_norm(gradients_of(layer:parameters()))
end

-- ---- The table -----------------------------------------------------------------------------

local distances = {1, 2, 5, 10, 20, 50, 100}
local measured = {} -- norms by name, for the pictures

local function number(value) return value == 0 and "0" or ("%.1e"):format(value) end

local function print_row(name, norms, weights)
  local row = {("%-22s"):format(name)}
  for i, distance in ipairs(distances) do row[i + 1] = ("%7s"):format(number(norms[distance])) end
  print(("%s | %7s"):format(table.concat(row, " "), number(weights)))
end

local function show(name, layer, window)
  local norms, weights = measure(layer, window)
  measured[name] = norms
  print_row(name, norms, weights)
  return norms, weights
end

print [[
The norm of a gradient of length 1 after so many steps back in time, and the norm of the
gradient of all weights.
]]
print(("%-22s %7d %7d %7d %7d %7d %7d %7d | weights"):format("steps back",
  table.unpack(distances)))

-- ---- The size of the weights ---------------------------------------------------------------

-- An RNN whose W_h is filled by fill(W_h, ..), one of nn.init; the rest is PyTorch's default.
local function rnn(options_of_rnn, fill, ...)
  local layer = nn.RNN(features, hidden, options_of_rnn)
  if fill then fill(layer.weight_hh_l0, ...) end
  return layer
end

-- PyTorch draws W_h uniformly within 1 / sqrt(hidden): it shrinks a vector to about 0.58.
print "\ntanh"
show("small (the default)", rnn())

-- Three times the size at which a random matrix neither shrinks nor stretches.
local large = 3 / math.sqrt(hidden)
show("large", rnn({}, nn.init.normal_, 0, large))

-- Glorot: variance 1 / hidden, so that the size of a vector stays, on average.
show("Glorot", rnn({}, nn.init.xavier_uniform_))

-- Orthogonal: the length of every vector stays, exactly. What still shrinks is due to tanh, whose
-- slope is below 1 but at 0; a gain makes up for it, or more than that.
show("orthogonal", rnn({}, nn.init.orthogonal_))
show("orthogonal x 1.5", rnn({}, nn.init.orthogonal_, 1.5))

-- ---- The activation ------------------------------------------------------------------------

-- ReLU has slope 1 or 0: it loses no length where it is on, and all of it where it is off. He:
-- variance 2 / hidden, since half of the units are off. Identity (Le, Jaitly and Hinton, 2015):
-- each unit begins as a memory of its own.
print "\nReLU"
show("ReLU, small", rnn {nonlinearity = "relu"})
show("ReLU, He", rnn({nonlinearity = "relu"}, nn.init.kaiming_normal_, {nonlinearity = "relu"}))

local identity = rnn({nonlinearity = "relu"}, nn.init.eye_)
nn.init.zeros_(identity.bias_ih_l0)
nn.init.zeros_(identity.bias_hh_l0)
show("ReLU, identity", identity)

-- ---- Normalization -------------------------------------------------------------------------

-- Layer normalization brings the sums W_h h of each sequence to mean 0 and variance 1. Where W_h
-- is small it enlarges them, and the gradient with them: the size of W_h no longer counts.
print "\nnormalization, tanh"
show("layer, small", rnn {layer_norm = true})
show("layer, large", rnn({layer_norm = true}, nn.init.normal_, 0, large))

-- Batch normalization does so for each unit over the sequences of the batch.
local BatchNormRNN = nn.Module:extend("BatchNormRNN")

function BatchNormRNN:init(inputs, outputs)
  self.x2h = nn.Linear(inputs, outputs, {bias = false})
  self.h2h = nn.Linear(outputs, outputs, {bias = false})
  self.norm_x, self.norm_h = nn.BatchNorm1d(outputs), nn.BatchNorm1d(outputs)
end

function BatchNormRNN:forward(input, h) -- one step, (1, batch, inputs)
  local sums = self.norm_x(self.x2h(input[1]))
  if h then sums = sums + self.norm_h(self.h2h(h[1])) end
  h = sums:tanh():unsqueeze(1)
  return h, h
end

local function batch_norm_rnn(std)
  local layer = BatchNormRNN(features, hidden)
  if std then nn.init.normal_(layer.h2h.weight, 0, std) end
  return layer
end

show("batch, small", batch_norm_rnn())
show("batch, large", batch_norm_rnn(large))

-- ---- Gates ---------------------------------------------------------------------------------

-- The carousel of an LSTM: c goes from step to step through c' = f c + i g, by no matrix and no
-- activation, so that a gradient that goes round is multiplied by f alone. But f is a sigmoid of
-- small numbers, 0.5, which vanishes as fast as any: the bias of the forget gate should begin
-- above 0, where f = sigmoid(bias). f = 0.73 for 1, 0.95 for 3.
print "\ngates"
show("GRU", nn.GRU(features, hidden))
show("LSTM", nn.LSTM(features, hidden))
show("LSTM, forget bias 1", nn.LSTM(features, hidden, {forget_bias = 1}))
show("LSTM, forget bias 3", nn.LSTM(features, hidden, {forget_bias = 3}))

-- ---- Clipping and truncation ---------------------------------------------------------------

-- Clipping scales the gradient of all weights to norm 1 where it is longer. The step has a
-- bounded length; but all distances are scaled alike: what came from near is drowned by what
-- exploded on its way from afar.
print "\nlarge weights"
local exploding = rnn({}, nn.init.normal_, 0, large)
local norms = show("as they are", exploding)
local norm = nn.utils.clip_grad_norm_(exploding:parameters(), 1)
for distance = 1, farthest do norms[distance] = norms[distance] * math.min(1, 1 / norm) end
print_row("clipped to 1", norms,
  nn.utils.get_total_norm(gradients_of(exploding:parameters())))

-- Truncated backpropagation through time: the state goes on from window to window, the gradient
-- does not (nn.detach). Nothing explodes beyond a window, and nothing is learned from there.
exploding:zero_grad()
show("truncated at 25", exploding, 25)

-- ---- Pictures ------------------------------------------------------------------------------

local function pick(names)
  local curves = {}
  for i, name in ipairs(names) do curves[i] = measured[name] end
  return curves
end

local function picture(file, title, names)
  script.tell_picture("picture", plot.lines(pick(names), {
    file = file, title = title, labels = names, logy = true, width = 1000, height = 560,
    xlabel = "steps back in time", ylabel = "norm of the gradient",
  }))
end

print()
picture("out/gradients_weights.png", "Gradients through time: weights and activations", {
  "small (the default)", "large", "Glorot", "orthogonal", "orthogonal x 1.5", "ReLU, He",
  "ReLU, identity",
})
picture("out/gradients_remedies.png", "Gradients through time: normalization and gates", {
  "layer, small", "layer, large", "batch, small", "LSTM", "LSTM, forget bias 1",
  "LSTM, forget bias 3", "truncated at 25",
})

-- The same in the terminal, as powers of ten.
local chosen = {
  "large", "LSTM, forget bias 3", "orthogonal", "LSTM, forget bias 1", "small (the default)",
}
local powers = {}
for i, curve in ipairs(pick(chosen)) do
  powers[i] = {}
  for distance, length in ipairs(curve) do powers[i][distance] = math.log(length, 10) end
end
plot.print_lines(powers, {
  title = "\nlog10 of the norm by steps back in time", labels = chosen, height = 16,
})

-- ---- What it is worth ----------------------------------------------------------------------

-- Each network reads 25 symbols and must say which of 4 came first, by a gradient that has gone
-- back 24 steps. By SGD, since the steps of Adam hardly depend on the length of the gradient.
-- Truncation leaves a network what its first weights happen to keep: it cannot learn to keep more.
saros.set_default_dtype("float32")
local symbols, length = 4, 25
local one_hot = saros.eye(symbols)

-- Input (length, count, symbols) and the first symbol (count) of random sequences.
local function sequences(count)
  local ids = saros.randint(1, symbols + 1, {length, count})
  return saros.embedding(one_hot, ids), ids[1]
end

-- The last output; the gradient goes back for `window` steps.
local function read_sequence(layer, input, window)
  local output, state
  for piece in data.tbptt(input, {steps = window}) do
    output, state = layer(piece, nn.detach(state))
  end
  return output[-1]
end

local function train(name, layer, clip, window)
  saros.manual_seed(options.seed)
  local tell = nn.Linear(hidden, symbols)
  local parameters = nn.ModuleList({layer, tell}):parameters()
  local optimizer = optim.SGD(parameters, {lr = 0.03, momentum = 0.9})
  local criterion = nn.CrossEntropyLoss()
  local longest, mean_loss = 0, nil
  for _ = 1, options.steps do
    local input, first = sequences(32)
    local loss = criterion(tell(read_sequence(layer, input, window)), first)
    optimizer:zero_grad()
    loss:backward()
    longest = math.max(longest, nn.utils.clip_grad_norm_(parameters, clip))
    optimizer:step()
    mean_loss = mean_loss and 0.9 * mean_loss + 0.1 * loss:item() or loss:item()
  end
  local input, first = sequences(1000)
  local guess = saros.no_grad(function()
    return tell(read_sequence(layer, input, window)):argmax(2)
  end)
  local accuracy = guess:eq(first):float():mean():item()
  print(("%-35s %9.1e %8s %9.3f"):format(name, longest,
    mean_loss and ("%.3f"):format(mean_loss) or "-", accuracy))
end

local function small_rnn(fill, ...)
  local layer = nn.RNN(symbols, hidden)
  if fill then fill(layer.weight_hh_l0, ...) end
  return layer
end

print(("\nWhich of %d symbols came first, %d steps ago? Chance is %.2f.\n"):format(symbols,
  length - 1, 1 / symbols))
print "                                     longest           share of"
print "                                    gradient     loss     right"
train("small weights", small_rnn(), 1, length)
train("orthogonal", small_rnn(nn.init.orthogonal_), 1, length)
train("orthogonal, truncated at 5", small_rnn(nn.init.orthogonal_), 1, 5)
train("orthogonal x 1.5, clipped to 1", small_rnn(nn.init.orthogonal_, 1.5), 1, length)
train("orthogonal x 1.5, not clipped", small_rnn(nn.init.orthogonal_, 1.5), math.huge, length)
train("LSTM", nn.LSTM(symbols, hidden), 1, length)
train("LSTM, forget bias 3", nn.LSTM(symbols, hidden, {forget_bias = 3}), 1, length)
