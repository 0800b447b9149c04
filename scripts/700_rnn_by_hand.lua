-- The cells of recurrent networks, written by hand.
--
-- A recurrent network is a loop over time: at each step a cell reads one vector of the input
-- and what it remembered, and says what it remembers from now on. This note writes the loop
-- and four cells as the formulas have them: the output fed back, the hidden state, LSTM and
-- GRU. Then it hands their weights to PyTorch's cells (nn.LSTMCell, ..) and layers (nn.LSTM,
-- ..) and shows that these compute the same, and learn the same, only faster.

local saros = require "saros"
local nn, optim = saros.nn, saros.optim

local options = saros.script.options {
  [[
Writes recurrent cells gate by gate, compares them with the built-in cells and layers on the
same weights, and trains both to remember what came first.]],
  {"steps", "integer", 100, "training steps of the last part"},
  {"seed", "integer", 1, "of the weights and of the data"},
  {"device", "device", nil, "cpu or cuda"},
}

saros.set_default_device(options.device)
saros.manual_seed(options.seed)

-- ---- The loop ------------------------------------------------------------------------------

-- All sequences of a batch go through the cell together, one step after the other: step t of
-- all of them is (batch, features). What a cell remembers is its state: one tensor h or, for an
-- LSTM, the table {h, c}. Returns h after each step, (batch, steps, hidden), and the last state,
-- as nn.RNN, nn.LSTM and nn.GRU do.
local function loop(cell, input, state)
  local outputs = {}
  for t = 1, input:size(2) do
    local h, c = cell(input[{ {}, t }], state)
    state = c and {h, c} or h
    outputs[t] = h
  end
  return saros.stack(outputs, 2), state
end

-- ---- The output fed back -------------------------------------------------------------------

-- The simplest memory: what the cell said last is a part of what it reads next.
--   y_t = tanh(W [x_t, y_(t-1)])
local FedBack = nn.Module:extend("FedBack")

function FedBack:init(inputs, outputs)
  self.inputs, self.outputs = inputs, outputs
  self.linear = nn.Linear(inputs + outputs, outputs, {bias = false})
end

-- At first it has said nothing.
function FedBack:first_state(batch) return saros.zeros(batch, self.outputs) end

function FedBack:forward(x, y)
  return self.linear(saros.cat({x, y}, 2)):tanh()
end

-- ---- A hidden state ------------------------------------------------------------------------

-- What the next cells share. A gate is a vector of `hidden` numbers made of the input and of
-- the state, by a layer for each. Side by side their matrices are the W above; PyTorch keeps
-- them apart and gives each a bias, though only the sum of the two counts.
local Cell = nn.Module:extend("Cell")

function Cell:init(inputs, hidden)
  self.hidden = hidden
  for gate in self.gates:gmatch("%a") do
    self["x_" .. gate] = nn.Linear(inputs, hidden)
    self["h_" .. gate] = nn.Linear(hidden, hidden)
  end
end

-- At first there is nothing to remember.
function Cell:first_state(batch) return saros.zeros(batch, self.hidden) end

-- What is remembered need not be what is said. The hidden state h has a loop of its own,
--   h_t = tanh(W_x x_t + b_x + W_h h_(t-1) + b_h)
-- and the output is read from it, y_t = W_y h_t + b_y: outside of the loop, where one product
-- reads the outputs of all steps.
local RNN = Cell:extend("RNN")
RNN.gates = "h"

function RNN:forward(x, h)
  return (self.x_h(x) + self.h_h(h)):tanh()
end

-- ---- LSTM ----------------------------------------------------------------------------------

-- Each step of an RNN rewrites all that it remembers. An LSTM has a second memory, c, that goes
-- on as it is unless gates, numbers between 0 and 1, say otherwise:
--   c_t = f c_(t-1) + i g       keep a share f of the old, write a share i of the new
--   h_t = o tanh(c_t)           show a share o
local LSTM = Cell:extend("LSTM")
LSTM.gates = "i f g o" -- in PyTorch's order

function LSTM:first_state(batch)
  return {saros.zeros(batch, self.hidden), saros.zeros(batch, self.hidden)}
end

function LSTM:forward(x, state)
  local h, c = table.unpack(state)
  local i = (self.x_i(x) + self.h_i(h)):sigmoid() -- input gate
  local f = (self.x_f(x) + self.h_f(h)):sigmoid() -- forget gate: 1 keeps, 0 forgets
  local g = (self.x_g(x) + self.h_g(h)):tanh() -- what could be written
  local o = (self.x_o(x) + self.h_o(h)):sigmoid() -- output gate
  c = f * c + i * g
  return o * c:tanh(), c
end

-- ---- GRU -----------------------------------------------------------------------------------

-- One memory again, and one gate z for both: what is not kept is written. The gate r says how
-- much of the old state the new one, n, is made of.
--   h_t = z h_(t-1) + (1 - z) n
local GRU = Cell:extend("GRU")
GRU.gates = "r z n"

function GRU:forward(x, h)
  local r = (self.x_r(x) + self.h_r(h)):sigmoid() -- reset gate
  local z = (self.x_z(x) + self.h_z(h)):sigmoid() -- update gate
  local n = (self.x_n(x) + r * self.h_n(h)):tanh() -- the new state
  return z * h + (1 - z) * n
end

-- ---- The same weights ----------------------------------------------------------------------

-- PyTorch keeps the gates of a cell in one matrix, one below the other, so that one product
-- computes them all: the rows of weight_ih of an LSTM are those of x_i, x_f, x_g and x_o. This
-- gives what `pick` takes of each parameter, stacked, by PyTorch's names: weight_ih in a cell,
-- weight_ih_l0 in the first layer of nn.LSTM, for which the suffix is "_l0".
function Cell:stacked(pick, suffix)
  local named = {}
  local function stack(name, side, kind)
    local parts = {}
    for gate in self.gates:gmatch("%a") do table.insert(parts, pick(self[side .. gate][kind])) end
    named[name .. suffix] = saros.cat(parts, 1)
  end
  stack("weight_ih", "x_", "weight")
  stack("weight_hh", "h_", "weight")
  stack("bias_ih", "x_", "bias")
  stack("bias_hh", "h_", "bias")
  return named
end

-- The output fed back is an RNN without biases, its W cut in two.
function FedBack:stacked(pick, suffix)
  local parts = pick(self.linear.weight):split({self.inputs, self.outputs}, 2)
  return {["weight_ih" .. suffix] = parts[1], ["weight_hh" .. suffix] = parts[2]}
end

local function value(parameter) return parameter:detach() end
local function gradient(parameter) return parameter.grad end

-- ---- By hand and built in ------------------------------------------------------------------

-- 16 sequences of 100 steps, each step a vector of 32 features; a memory of 64 numbers.
local batch, steps, features, hidden = 16, 100, 32, 64
local x = saros.randn(batch, steps, features)

-- Sums in another order are rounded differently in float32: by less than 1e-6 in outputs of at
-- most 1. A gradient is a sum over all steps of all sequences: 1e-5 of its largest element.
local output_limit, gradient_limit = 1e-6, 1e-5

local function difference(a, b)
  if saros.is_tensor(a) then return (a - b):abs():max():item() end
  return math.max(difference(a[1], b[1]), difference(a[2], b[2])) -- {h, c}
end

local function gradient_difference(cell, built_in, suffix)
  local by_hand, worst = cell:stacked(gradient, suffix), 0
  for name, parameter in built_in:named_parameters() do
    local scale = parameter.grad:abs():max()
    worst = math.max(worst, difference(by_hand[name] / scale, parameter.grad / scale))
  end
  return worst
end

local failures = {}
local function check(what, found, limit)
  if found > limit or found ~= found then -- NaN fails, too
    table.insert(failures, ("%s: %.1e is more than %.0e"):format(what, found, limit))
  end
end

-- A cell by hand against what is built in, a cell or a layer; `run` takes x through the latter.
-- The gradients are those of a loss with a weight for each output.
local weights = saros.randn(batch, steps, hidden)
local function compare(cell, built_in, run, suffix)
  built_in:load_state_dict(cell:stacked(value, suffix))
  cell:zero_grad()
  local output, state = loop(cell, x, cell:first_state(batch))
  local other_output, other_state = run(built_in, x);
  (output * weights):sum():backward();
  (other_output * weights):sum():backward()
  local outputs, states = difference(output, other_output), difference(state, other_state)
  local gradients = gradient_difference(cell, built_in, suffix)
  print(("%-8s %-8s  %s  %10d  %8.1e  %8.1e  %8.1e"):format(cell.__name, built_in.__name,
    other_output.shape, built_in:num_parameters(), outputs, states, gradients))
  check(built_in.__name .. " outputs", outputs, output_limit)
  check(built_in.__name .. " states", states, output_limit)
  check(built_in.__name .. " gradients", gradients, gradient_limit)
end

local function compare_both(cell, built_in_cell, layer)
  compare(cell, built_in_cell, loop, "")
  compare(cell, layer, layer.forward, "_l0")
end

print(("Input %s: batch, steps, features. By hand against built in, on the same weights:"):format(
  x.shape))
print [[
the largest difference of the outputs, the last states and the gradients.

by hand  built in  output         parameters    output     state  gradient]]
compare_both(FedBack(features, hidden), nn.RNNCell(features, hidden, {bias = false}),
  nn.RNN(features, hidden, {bias = false, batch_first = true}))
compare_both(RNN(features, hidden), nn.RNNCell(features, hidden),
  nn.RNN(features, hidden, {batch_first = true}))
compare_both(LSTM(features, hidden), nn.LSTMCell(features, hidden),
  nn.LSTM(features, hidden, {batch_first = true}))
compare_both(GRU(features, hidden), nn.GRUCell(features, hidden),
  nn.GRU(features, hidden, {batch_first = true}))

-- ---- Three layers --------------------------------------------------------------------------

-- Each layer reads what the one below says. The output is that of the top after each step; the
-- state is that of all layers after the last step, (layers, batch, hidden), also where the batch
-- comes first in the input.
local function compare_three_layers()
  local deep = nn.GRU(features, hidden, {num_layers = 3, batch_first = true})
  local named, states, output = {}, {}, x
  for layer = 1, 3 do
    local cell = GRU(layer == 1 and features or hidden, hidden)
    for name, tensor in pairs(cell:stacked(value, "_l" .. layer - 1)) do named[name] = tensor end
    output, states[layer] = loop(cell, output, cell:first_state(batch))
  end
  deep:load_state_dict(named)
  local deep_output, deep_state = deep(x)
  local outputs = difference(output, deep_output)
  local last = difference(saros.stack(states, 1), deep_state)
  print(("\nThree layers, %s:\noutput %s, state %s, largest differences %.1e and %.1e"):format(
    deep, deep_output.shape, deep_state.shape, outputs, last))
  check("outputs of three layers", outputs, output_limit)
  check("states of three layers", last, output_limit)
end

compare_three_layers()
if #failures > 0 then
  saros.script.quit("by hand and built in differ: %s", table.concat(failures, "; "))
end
print "By hand and built in agree."

-- ---- Learning ------------------------------------------------------------------------------

-- What computes the same learns the same. Cells by hand and layers, from the same weights and on
-- the same sequences, learn to tell after 6 symbols which of 8 came first.
local symbols, length = 8, 6
local one_hot = saros.eye(symbols)

-- Input (count, length, symbols) and the first symbol (count) of random sequences.
local function sequences(count)
  local ids = saros.randint(1, symbols + 1, {count, length})
  return saros.embedding(one_hot, ids), ids[{ {}, 1 }]
end

-- Trains `run`, a function from sequences to outputs, whose parameters are given, and a layer
-- that reads the symbol from the last output. Gives the losses and the accuracy on new sequences.
local function train(run, parameters)
  saros.manual_seed(options.seed)
  local read = nn.Linear(hidden, symbols)
  table.move(read:parameters(), 1, 2, #parameters + 1, parameters)
  local criterion = nn.CrossEntropyLoss()
  local optimizer = optim.Adam(parameters, {lr = 0.01})
  local losses = {}
  for step = 1, options.steps do
    local input, first = sequences(32)
    local loss = criterion(read(run(input)[{ {}, -1 }]), first)
    optimizer:zero_grad()
    loss:backward()
    nn.utils.clip_grad_norm_(parameters, 1)
    optimizer:step()
    losses[step] = loss:item()
  end
  local input, first = sequences(1000)
  local guess = saros.no_grad(function() return read(run(input)[{ {}, -1 }]):argmax(2) end)
  return losses, guess:eq(first):float():mean():item()
end

-- Five losses on the way, the accuracy and the time.
local function report(name, run, parameters)
  local start = saros.clock()
  local losses, accuracy = train(run, parameters)
  local row = {("%-13s"):format(name)}
  for k = 1, 5 do
    local loss = losses[math.max(1, options.steps * k // 5)]
    row[k + 1] = loss and ("%6.3f"):format(loss) or "     -"
  end
  print(("%s  %8.3f  %5.2f s"):format(table.concat(row, " "), accuracy, saros.clock() - start))
end

print(("\nWhich symbol came first? %d training steps; chance is %.3f.\n"):format(options.steps,
  1 / symbols))
print "              loss on the way                    accuracy   time"
for _, kind in ipairs {RNN, LSTM, GRU} do
  local cell = kind(symbols, hidden)
  local layer = nn[cell.__name](symbols, hidden, {batch_first = true})
  layer:load_state_dict(cell:stacked(value, "_l0"))
  report(cell.__name .. " by hand", function(input)
    return (loop(cell, input, cell:first_state(#input)))
  end, cell:parameters())
  report("nn." .. cell.__name, function(input) return (layer(input)) end, layer:parameters())
end
