-- Words: learn which word comes next.
--
-- A recurrent network reads some words of a book and guesses the next one. What it learns on the
-- way can be seen in three places: in the words with which it goes on, in the beam search that
-- looks for the likeliest of all continuations, and in the numbers that it finds for each word,
-- its embedding, where words that are used alike are near each other. This is the language model
-- of Magnus Ekman's book "Learning Deep Learning" (chapter 12): the same text, words, model,
-- training and numbers. A small text, as the shipped one, is learned with smaller settings.

local saros = require "saros"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text
local plot, script = saros.plot, saros.script

local options = script.options {
  [[
Trains an LSTM on the words of a book, or loads the one it trained before. Then it goes on with
sentences that begin with the words given, and shows which words it takes for similar. The model
and a picture are kept in the folder out/. Ctrl-C stops the training; the next start goes on with
it. Of two defaults the first is the book's, the second for a text of fewer than 50000 words.]],
  arguments = "[beginning ...]",
  {"epochs", "integer", nil, "passes over the text (32; 9)"},
  {"words", "integer", nil, "size of the vocabulary: the most frequent words (7500; all)",
    range = {3, 1000000}},
  {"batch", "integer", nil, "places of the text that are read side by side (256; 32)",
    range = {1, 1000000}},
  {"window", "integer", nil, "words that it reads to guess the next one (40; 6)",
    range = {1, 10000}},
  {"step", "integer", nil, "words from one such place to the next (3; 1)", range = {1, 10000}},
  {"hidden", "integer", nil, "size of a layer's state (128; 64)", range = {1, 10000}},
  {"lr", "number", nil, "learning rate (0.001; 0.003)"},
  {"dropout", "number", 0.2, "share of the values that is dropped in training"},
  {"seed", "integer", 1, "of the first weights and of all that is drawn"},
  {"device", "device", nil, "cpu or cuda"},
  {"data", "file", nil, "a text in UTF-8 (frankenstein.txt in SAROS_DATA or fetch_data's cache, "
    .. "else a shipped one)"},
  {"length", "integer", 10, "words with which it goes on", range = {1, 1000000}},
  {"beams", "integer", 8, "beginnings that the beam search keeps", range = {1, 10000}},
  {"near", "string", nil, "a word of which to show the nearest ones; may be repeated", many = true},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

local check = script.check
check(not options.lr or options.lr > 0 and options.lr < math.huge,
  "--lr: a finite number above 0 expected, got %g", options.lr)
check(options.dropout >= 0 and options.dropout < 1,
  "--dropout: at least 0 and below 1 expected, got %g", options.dropout)
saros.set_default_device(options.device)

-- ---- Words ---------------------------------------------------------------------------------

-- The text as a list of words, of small letters and without punctuation.
local path = options.data
  or script.attempt(data.path, "frankenstein.txt", "eighteen_years.txt")
local lines = script.attempt(data.read_lines, path)
local words = text.text_to_word_sequence(table.concat(lines, "\n"))

-- Words are numbered by falling frequency; rare ones are all "UNK".
local tokenizer = text.KerasTokenizer {oov_token = "UNK"}
tokenizer:fit_on_texts({words})
print(("%s: %d words, %d different ones"):format(path, #words, #tokenizer.word_counts))

-- The run is kept in a file, with all that it takes to go on exactly where it stopped.
local run = script.run {
  file = "out/language_model.safetensors", options = options, goal = "epochs",
  depends = {"words", "batch", "window", "step", "hidden", "lr", "dropout", "seed"},
  data = {text = data.checksum(words)},
}

-- What was not given. In a small text the book's long windows and large batches are few: the
-- network would learn little but the most frequent words, and take minutes for that.
local defaults = {epochs = 32, words = 7500, batch = 256, window = 40, step = 3, hidden = 128,
  lr = 0.001}
if #words < 50000 then
  defaults = {epochs = 9, words = math.max(3, #tokenizer.index_word + 1),
    batch = 32, window = 6, step = 1, hidden = 64, lr = 0.003}
end
for name, value in pairs(defaults) do options[name] = options[name] or value end
check(#words > 2 * options.window, "%s is too short: more than %d words expected, there are %d",
  path, 2 * options.window, #words)
tokenizer.num_words = options.words
-- "UNK" is the first word of the tokenizer; it occurs if not all other words get a number.
local n_known = math.min(options.words - 2, #tokenizer.word_counts)
local n_possible = n_known < #tokenizer.word_counts and n_known + 1 or n_known

-- Keras's numbers begin with 0, which stands for no word; the ids of tensors begin with 1.
local function ids_of(list) return data.from0(tokenizer:texts_to_sequences({list})[1]) end
local function words_of(ids)
  local list = {}
  for i, id in ipairs(ids) do list[i] = tokenizer.index_word[id - 1] or "?" end
  return table.concat(list, " ")
end

local function is_known(word)
  local number = tokenizer.word_index[word]
  return number ~= nil and number < options.words
end

-- The examples: windows of some words, each `step` words after the one before, (N, window), and
-- the word that follows each, (N). One in twenty is kept to test what was learned.
local ids = saros.tensor(ids_of(words))
local starts = saros.arange(0, #words - options.window, options.step) -- how many words lie before
local places = starts:unsqueeze(2) + saros.arange(1, options.window + 1)
local windows = data.TensorDataset(ids[places], ids[starts + options.window + 1])
local held_out = math.ceil(0.05 * #windows)
local train, test = data.random_split(windows, {#windows - held_out, held_out},
  {generator = saros.Generator():manual_seed(0)})
print(("%d windows to train, %d to test"):format(#train, #test))

-- What the network is to go on with, and words to compare.
local function words_of_option(what, sentence)
  check(utf8.len(sentence), "%s: this is not UTF-8", what)
  return text.text_to_word_sequence(sentence)
end

local beginnings = {}
for i, sentence in ipairs(options) do
  beginnings[i] = words_of_option("beginning " .. i, sentence)
  check(#beginnings[i] > 0, "'%s': no words in it", sentence)
  local n_unknown = 0
  for _, word in ipairs(beginnings[i]) do
    if not is_known(word) then n_unknown = n_unknown + 1 end
  end
  check(n_unknown < #beginnings[i], "'%s': none of its words is one of the %d words known from %s",
    sentence, n_known, path)
end
if #beginnings == 0 then beginnings = {{"i", "saw"}} end
local lookup_words = {}
for i, word in ipairs(options.near) do
  local found = words_of_option("--near", word)
  check(#found == 1, "--near: one word expected, got '%s'", word)
  check(is_known(found[1]), "--near: '%s' is none of the %d words known from %s", word, n_known,
    path)
  lookup_words[i] = found[1]
end

-- ---- Model ---------------------------------------------------------------------------------

local LanguageModel = nn.Module:extend("LanguageModel")

function LanguageModel:init(n_words, embedding_width, hidden_size, dropout)
  self.embedding_layer = nn.Embedding(n_words, embedding_width)
  nn.init.uniform_(self.embedding_layer.weight, -0.05, 0.05)
  self.lstm_layers = nn.LSTM(embedding_width, hidden_size,
    {num_layers = 2, dropout = dropout, batch_first = true})
  self.dropout_layer = nn.Dropout(dropout)
  self.linear_layer = nn.Linear(hidden_size, hidden_size)
  self.relu_layer = nn.ReLU()
  self.output_layer = nn.Linear(hidden_size, n_words)
end

-- inputs (B, T) are ids; state: what the LSTM remembers of the words before, {h, c} of shape
-- (2, B, hidden_size), nil for none. Gives the scores of the word that follows, (B, words),
-- and what the LSTM remembers now. The last layer's h after the last word decides.
function LanguageModel:forward(inputs, state)
  local _, after = self.lstm_layers(self.embedding_layer(inputs), state)
  local x = self.dropout_layer(after[1][-1])
  x = self.relu_layer(self.linear_layer(x))
  return self.output_layer(x), after
end

saros.manual_seed(options.seed)
local model = script.attempt_or(" (a smaller --words or --hidden takes less)", LanguageModel,
  options.words, 100, options.hidden, options.dropout)
print(model)

-- ---- Training ------------------------------------------------------------------------------

local optimizer = optim.Adam(model:parameters(), {lr = options.lr})
local loss_function = nn.CrossEntropyLoss()
local train_loop = data.batches(train, {size = options.batch, shuffle = true, progress = true})
local test_loop = data.batches(test, {size = options.batch})

-- epoch: how many are done; loss and right: sums of this epoch so far; the lists have a number
-- for each epoch.
local state = run:start({model = model, optimizer = optimizer, loop = train_loop},
  {epoch = 0, loss = 0, right = 0, train_losses = {}, test_losses = {}})

-- Mean loss of a batch, and share of the windows of which the next word was guessed.
local function test_model()
  local _ <close> = saros.no_grad()
  local loss, right = 0, 0
  model:eval()
  for inputs, targets in test_loop do
    local outputs = model(inputs)
    loss = loss + loss_function(outputs, targets):item()
    right = right + outputs:argmax(2):eq(targets):sum():item()
  end
  return loss / #test_loop, right / #test
end

local function end_epoch(epoch)
  local test_loss, test_accuracy = test_model()
  state.train_losses[epoch], state.test_losses[epoch] = state.loss / #train_loop, test_loss
  print(("Epoch %d/%d loss: %.4f - acc: %.4f - val_loss: %.4f - val_acc: %.4f"):format(epoch,
    options.epochs, state.train_losses[epoch], state.right / #train, test_loss, test_accuracy))
  state.epoch, state.loss, state.right = epoch, 0, 0
end

local function train_model(interrupted)
  local started = saros.clock()
  for epoch = state.epoch + 1, options.epochs do
    train_loop.progress = "epoch " .. epoch
    model:train()
    for inputs, targets in train_loop do
      optimizer:zero_grad()
      local outputs = model(inputs)
      local loss = loss_function(outputs, targets)
      local value = loss:item()
      check(value == value, "the loss is not a number any more: try a smaller --lr than %g",
        options.lr)
      state.loss = state.loss + value
      state.right = state.right + outputs:argmax(2):eq(targets):sum():item()
      loss:backward()
      optimizer:step()
      train_loop:postfix {loss = loss}
      if interrupted() then return end
    end
    end_epoch(epoch)
  end
  print(("trained in %.1f s"):format(saros.clock() - started))
end

if run.resumed then print(("model: %s, trained for %d epochs"):format(run.file, state.epoch)) end
if state.epoch < options.epochs then run:train(train_model) end

if state.epoch > 0 then
  script.tell_picture("loss curve", plot.lines({state.train_losses, state.test_losses}, {
    file = "out/language_model_loss.png", title = "Loss of the next word", xlabel = "epoch",
    labels = {"training", "test"}, ylabel = "mean loss",
  }))
end

-- ---- Test ----------------------------------------------------------------------------------

-- Without a network one would always say the most frequent word.
local function accuracy_of_frequent()
  local counts, most = {}, 0
  for _, target in data.batches(test) do
    local id = target:item()
    counts[id] = (counts[id] or 0) + 1
    most = math.max(most, counts[id])
  end
  return most / #test
end

local test_loss, test_accuracy = test_model()
print(("test loss: %.4f (guessing: %.4f)"):format(test_loss, math.log(n_possible)))
print(("test accuracy: %.4f (always the same word: %.4f)"):format(test_accuracy,
  accuracy_of_frequent()))

-- ---- Going on ------------------------------------------------------------------------------

model:eval()

-- The model reads one word: the log-probabilities of the next one, (words), and the new state,
-- with which it goes on: so it need not read the words before again.
local function read_word(before, id)
  local outputs, after = model(saros.tensor {{id}}, before)
  return outputs[1]:log_softmax(1), after
end

-- Read all words but the last: the state behind them.
local function read_beginning(beginning)
  local before
  for k = 1, #beginning - 1 do before = select(2, read_word(before, beginning[k])) end
  return before
end

-- Each time the likeliest word.
local function continue_greedily(beginning)
  local before, id, added = read_beginning(beginning), beginning[#beginning], {}
  for k = 1, options.length do
    local log_probs, after = read_word(before, id)
    before, id = after, log_probs:argmax():item()
    added[k] = id
  end
  return added
end

-- A word that is not the likeliest may be the way to a likelier sentence: several beginnings are
-- kept at each step.
local function continue_by_beam_search(beginning)
  return saros.beam_search {
    start = beginning[#beginning], state = read_beginning(beginning), step = read_word,
    width = options.beams, max_length = options.length,
  }
end

saros.no_grad(function()
  for _, beginning in ipairs(beginnings) do
    local read = ids_of(beginning)
    print(("\n%s %s"):format(words_of(read), words_of(continue_greedily(read))))
    local found = continue_by_beam_search(read)
    print(("beam search, the best of %d:"):format(#found))
    for k = 1, math.min(3, #found) do
      print(("  %7.2f  %s %s"):format(found[k].log_prob, words_of(read), words_of(found[k].ids)))
    end
  end
end)

-- ---- Words that are used alike -------------------------------------------------------------

if #lookup_words == 0 then
  lookup_words = {"the", "saw", "see", "of", "and", "monster", "frankenstein", "read", "eat"}
end

-- The rows of words that there are: a short text has fewer than the vocabulary has places, and
-- the first two stand for no word and for "UNK".
local embeddings = model.embedding_layer.weight[{ {3, n_known + 2} }]
for _, word in ipairs(lookup_words) do
  if is_known(word) then
    print(("\nwords close to: %s"):format(word))
    local distances, near = text.nearest(embeddings, ids_of({word})[1] - 2,
      {k = 5, metric = "euclidean"})
    for k = 1, #near do
      print(("  %.4f  %s"):format(distances[k]:item(), words_of({near[k]:item() + 2})))
    end
  end
end
