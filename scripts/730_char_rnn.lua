-- Letters: learn to write like a text.
--
-- A recurrent network reads a text and guesses, at each letter, the one that follows. When it
-- guesses well it can write: draw a letter from its guess, feed it back, and so on. This is
-- Andrej Karpathy's char-rnn ("The Unreasonable Effectiveness of Recurrent Neural Networks"):
-- the same model, start and options. The training is the same but for one thing: each epoch
-- begins with a state of zeros, where char-rnn goes on with that of the end of the text. A small
-- text, as the shipped one, is learned with smaller settings.

local saros = require "saros"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text
local plot, script = saros.plot, saros.script

local options = script.options {
  [[
Trains an LSTM on the letters of a text, or loads the one it trained before, and writes some text
of its own. The model and a picture are kept in the folder out/. Ctrl-C stops the training; the
next start goes on with it. Of two defaults the first is char-rnn's, the second for a text of fewer
than 200000 letters.]],
  {"data", "file", nil, "a text in UTF-8 (frankenstein.txt in SAROS_DATA or fetch_data's cache, "
    .. "else a shipped one)"},
  {"epochs", "integer", nil, "passes over the text (50; 12)"},
  {"hidden", "integer", nil, "size of a layer's state (128; 64)", range = {1, 10000}},
  {"layers", "integer", 2, "LSTM layers", range = {1, 1000}},
  {"dropout", "number", 0, "share of the values between layers that is dropped in training"},
  {"seq_length", "integer", 50, "letters that a gradient looks back", range = {1, 1000000000}},
  {"batch", "integer", nil, "places of the text that are read side by side (50; 10)",
    range = {1, 1000000000}},
  {"optimizer", "string", "rmsprop", "rmsprop or adam"},
  {"lr", "number", nil, "learning rate (0.002; 0.005)"},
  {"lr_decay", "number", 0.97, "factor on it for each epoch after the tenth"},
  {"seed", "integer", 123, "of the first weights and of all that is drawn"},
  {"device", "device", nil, "cpu or cuda"},
  {"temperature", "number", nil, "below 1 it writes more carefully, above it more wildly (0.5, 1)"},
  {"length", "integer", 500, "letters to write"},
  {"prime", "string", nil, "what the text that it writes begins with (a new line)"},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

local check = script.check
local function is_above_0(x) return x > 0 and x < math.huge end
check(options.dropout >= 0 and options.dropout < 1,
  "--dropout: at least 0 and below 1 expected, got %g", options.dropout)
check(not options.lr or is_above_0(options.lr), "--lr: a finite number above 0 expected, got %g",
  options.lr)
check(is_above_0(options.lr_decay), "--lr-decay: a finite number above 0 expected, got %g",
  options.lr_decay)
local temperatures = options.temperature and {options.temperature} or {0.5, 1}
check(temperatures[1] == 0 or is_above_0(temperatures[1]),
  "--temperature: 0 or a finite number above 0 expected, got %g", temperatures[1])
saros.set_default_device(options.device)

-- ---- Text ----------------------------------------------------------------------------------

local path = options.data
  or script.attempt(data.path, "frankenstein.txt", "eighteen_years.txt")
local lines = script.attempt(data.read_lines, path)

-- The letters in order of their first appearance; letter_id[letters[i]] is i.
local letters, letter_id, counts = {}, {}, {}
local ids = {}
for _, letter in text.codes(table.concat(lines, "\n") .. "\n") do
  local id = letter_id[letter]
  if not id then
    id = #letters + 1
    letters[id], letter_id[letter], counts[id] = letter, id, 0
  end
  counts[id] = counts[id] + 1
  ids[#ids + 1] = id
end
print(("%s: %d letters, %d different ones"):format(path, #ids, #letters))

-- The run is kept in a file, with all that it takes to go on exactly where it stopped.
local run = script.run {
  file = "out/char_rnn.safetensors", options = options, goal = "epochs",
  depends = {"hidden", "layers", "dropout", "seq_length", "batch", "optimizer", "lr", "lr_decay",
    "seed"},
  data = {text = data.checksum(lines)},
}

-- What was not given. Of a small text char-rnn's batches are few: learning would take many passes.
local defaults = {epochs = 50, hidden = 128, batch = 50, lr = 0.002}
if #ids < 200000 then defaults = {epochs = 12, hidden = 64, batch = 10, lr = 0.005} end
for name, value in pairs(defaults) do options[name] = options[name] or value end

local make_optimizer = ({
  rmsprop = function(parameters)
    return optim.RMSprop(parameters, {lr = options.lr, alpha = 0.95})
  end,
  adam = function(parameters) return optim.Adam(parameters, {lr = options.lr}) end,
})[options.optimizer]

check(make_optimizer, "--optimizer: rmsprop or adam expected, got '%s'", options.optimizer)
local prime = options.prime or "\n"
check(#prime > 0, "--prime: at least one letter expected")
check(utf8.len(prime), "--prime: this is not UTF-8")
for _, letter in text.codes(prime) do
  check(letter_id[letter], "--prime: '%s' is not in the text", letter)
end

-- The text as `batch` columns, read from top to bottom side by side: (T, batch). What follows a
-- letter stands one row below it. The columns are cut into windows of seq_length rows, and the
-- last twentieth of the windows is kept to test what was learned on text that it has not seen.
local needed = options.batch * (2.0 * options.seq_length + 1)
check(#ids >= needed, "%s is too short: with --batch %d and --seq-length %d it takes %.0f letters",
  path, options.batch, options.seq_length, needed)
local columns = data.batchify(saros.tensor(ids), options.batch)
local windows = (#columns - 1) // options.seq_length
local cut = math.min(math.floor(0.95 * windows), windows - 1) * options.seq_length

-- A loop over the windows of rows first to last: input and target, (seq_length, batch) each.
local function windows_of(first, last, progress)
  return data.tbptt(columns[{ {first, last} }], columns[{ {first + 1, last + 1} }],
    {steps = options.seq_length, progress = progress})
end
local train = windows_of(1, cut, true)
local valid = windows_of(cut + 1, windows * options.seq_length)

-- ---- Model -----------------------------------------------------------------------------------

local CharLSTM = nn.Module:extend("CharLSTM")

function CharLSTM:init(n_letters, hidden_size, num_layers, dropout)
  self.lstm = nn.LSTM(n_letters, hidden_size,
    {num_layers = num_layers, dropout = num_layers > 1 and dropout or 0})
  self.dropout = nn.Dropout(dropout)
  self.decoder = nn.Linear(hidden_size, n_letters)
end

-- Small weights to start with, and LSTMs that remember until they learn to forget.
function CharLSTM:reset()
  for _, p in ipairs(self:parameters()) do nn.init.uniform_(p, -0.08, 0.08) end
  local hidden = self.lstm.hidden_size
  saros.no_grad(function()
    for layer = 0, self.lstm.num_layers - 1 do
      self.lstm["bias_ih_l" .. layer][{ {hidden + 1, 2 * hidden} }] = 1 -- of the forget gate
    end
  end)
end

-- input: (T, B) ids; state: {h, c} or nil. Gives (T, B, letters), for each letter the scores of
-- what follows it, and the state after the last one.
local identity = saros.eye(#letters) -- row i has a 1 at place i: what the network is told
function CharLSTM:forward(input, state)
  local output, after = self.lstm(saros.embedding(identity, input), state)
  return self.decoder(self.dropout(output)), after
end

saros.manual_seed(options.seed)
local model = script.attempt_or(" (a smaller --hidden takes less)", CharLSTM, #letters,
  options.hidden, options.layers, options.dropout)
model:reset()
print(model)

-- ---- Training ----------------------------------------------------------------------------------

local criterion = nn.CrossEntropyLoss()
local optimizer = make_optimizer(model:parameters())

-- The mean loss of a letter in a window, and the state after it.
local function loss_of(input, target, state)
  local output, after = model(input, state)
  return criterion(output:flatten(1, 2), target:flatten()), after
end

local function bits(loss) return loss / math.log(2) end

-- Mean loss on the windows that are kept for it.
local function validate()
  model:eval()
  local total, carried = 0, nil
  saros.no_grad(function()
    for input, target in valid do
      local loss
      loss, carried = loss_of(input, target, carried)
      total = total + loss:item()
    end
  end)
  model:train()
  return total / #valid
end

-- One window. The state goes on from the window before, its history does not: the gradient looks
-- back seq_length letters (truncated backpropagation through time).
local function train_on(input, target, carried)
  local loss, after = loss_of(input, target, nn.detach(carried))
  local sum = loss * #input -- char-rnn adds up the losses of a window's steps
  optimizer:zero_grad()
  sum:backward()
  nn.utils.clip_grad_value_(model:parameters(), 5)
  optimizer:step()
  return loss:item(), nn.detach(after)
end

-- epoch: how many are done; loss: sum of this epoch so far; train_curve, valid_curve: of each
-- epoch; carried: the LSTM's state.
local state = run:start({model = model, optimizer = optimizer, loop = train},
  {epoch = 0, loss = 0, train_curve = {}, valid_curve = {}})

local function end_epoch(epoch)
  state.train_curve[epoch], state.valid_curve[epoch] = state.loss / #train, validate()
  state.epoch, state.loss, state.carried = epoch, 0, nil
  print(("%d/%d (epoch %d) train_loss = %.4f, valid_loss = %.4f (%.3f bits per character)"):format(
    epoch * #train, options.epochs * #train, epoch, state.train_curve[epoch],
    state.valid_curve[epoch], bits(state.valid_curve[epoch])))
end

local function train_model(interrupted)
  local start, trained = saros.clock(), 0
  model:train()
  for epoch = state.epoch + 1, options.epochs do
    optimizer.param_groups[1].lr = options.lr * options.lr_decay ^ math.max(0, epoch - 10)
    train.progress = "epoch " .. epoch
    for input, target in train do
      local loss
      loss, state.carried = train_on(input, target, state.carried)
      check(loss == loss, "the loss is not a number any more: try a smaller --lr than %g",
        options.lr)
      state.loss = state.loss + loss
      trained = trained + input:numel()
      train:postfix {loss = loss}
      if interrupted() then return end
    end
    end_epoch(epoch)
  end
  print(("trained on %d letters, %.0f a second"):format(trained,
    trained / (saros.clock() - start)))
end

if run.resumed then print(("model: %s, trained for %d epochs"):format(run.file, state.epoch)) end
if state.epoch < options.epochs then run:train(train_model) end

-- ---- What it learned ---------------------------------------------------------------------------

-- Bits per character of one who knows only how frequent each letter is.
local function entropy()
  local sum = 0
  for _, count in ipairs(counts) do sum = sum - count / #ids * math.log(count / #ids, 2) end
  return sum
end

if state.epoch > 0 then
  local curves = {{}, {}}
  for epoch = 1, state.epoch do
    curves[1][epoch] = bits(state.train_curve[epoch])
    curves[2][epoch] = bits(state.valid_curve[epoch])
  end
  script.tell_picture("loss curves", plot.lines(curves, {
    file = "out/char_rnn_loss.png", title = "Loss while training", xlabel = "epoch",
    ylabel = "bits per character", labels = {"text it reads", "text it has not seen"},
  }))
end
print(("bits per character on text it has not seen: %.3f"):format(bits(validate())))
print(("knowing how frequent each letter is: %.3f; knowing nothing: %.3f"):format(entropy(),
  math.log(#letters, 2)))

-- The network reads the prime text, then what it writes itself.
local function write(length, temperature)
  local written, carried, scores = {prime}, nil, nil
  local function read(id)
    local output
    output, carried = model(saros.tensor {{id}}, carried)
    scores = output[{1, 1}]
  end
  for _, letter in text.codes(prime) do read(letter_id[letter]) end
  for _ = 1, length do
    local id = saros.sample(scores, {temperature = temperature}):item()
    table.insert(written, letters[id])
    read(id)
  end
  return table.concat(written)
end

model:eval()
for _, temperature in ipairs(temperatures) do
  print(("\n---- %d letters at temperature %g ----"):format(options.length, temperature))
  print(saros.no_grad(function() return write(options.length, temperature) end))
end
