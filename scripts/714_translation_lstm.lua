-- Translation with two LSTMs: one reads, the other writes.
--
-- The encoder reads a French sentence; what it remembers at the end, its state, is all that the
-- decoder gets to know of it. The decoder goes on from that state and writes the English
-- sentence word by word. (712 does it with attention, which looks back at the French words.)
-- This is the translation of Magnus Ekman's book "Learning Deep Learning" (chapter 14): the same
-- data, words, model, training and numbers. Few sentences, as the shipped ones, are learned with
-- smaller settings.

local saros = require "saros"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text
local plot, script = saros.plot, saros.script

local options = script.options {
  [[
Trains two LSTMs to translate French sentences to English, or loads those it trained before, and
translates the sentences given and some that it has not seen. The model and the pictures are kept
in the folder out/. Ctrl-C stops the training; the next start goes on with it. Of two defaults the
first is the book's, the second for fewer than 5000 sentences.]],
  arguments = '["French sentence" ...]',
  {"epochs", "integer", nil, "passes over the sentences (20; 40)"},
  {"lines", "integer", 60000, "sentences to read, from the beginning of the file",
    range = {5, 1000000000}},
  {"words", "integer", nil, "size of each vocabulary: the most frequent words (10000; all)",
    range = {5, 1000000}},
  {"batch", "integer", nil, "sentences that are read side by side (128; 8)", range = {1, 1000000}},
  {"hidden", "integer", nil, "size of a layer's state (256; 64)", range = {1, 10000}},
  {"lr", "number", nil, "learning rate (0.001; 0.003)"},
  {"seed", "integer", 1, "of the first weights and of all that is drawn"},
  {"device", "device", nil, "cpu or cuda"},
  {"data", "file", nil, "English, a tab, French on each line (eng-fra.txt in SAROS_DATA or "
    .. "fetch_data's cache, else a shipped one)"},
  {"samples", "integer", 20, "sentences that it has not seen to translate at the end"},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

local check = script.check
check(not options.lr or options.lr > 0 and options.lr < math.huge,
  "--lr: a finite number above 0 expected, got %g", options.lr)
saros.set_default_device(options.device)

-- ---- Sentences -----------------------------------------------------------------------------

local max_length = 60 -- words of a sentence

local path = options.data
  or script.attempt(data.path, "eng-fra.txt", "translation/eng-fra.txt")
local lines = script.attempt(data.read_lines, path)
check(#lines >= 5, "%s: at least 5 lines expected, there are %d", path, #lines)

-- The run is kept in a file, with all that it takes to go on exactly where it stopped.
local run = script.run {
  file = "out/translation_lstm.safetensors", options = options, goal = "epochs",
  depends = {"lines", "words", "batch", "hidden", "lr", "seed"},
  data = {sentences = data.checksum(lines)},
}

-- Small letters and no punctuation.
local function words_of(sentence)
  local words = text.text_to_word_sequence(sentence)
  return table.move(words, 1, math.min(#words, max_length), 1, {})
end

-- The words of all pairs in which both sentences have some.
local n_lines = math.min(#lines, options.lines)
local function read_pairs()
  local french, english = {}, {}
  for i = 1, n_lines do
    local left, right = lines[i]:match("^([^\t]*)\t([^\t]*)")
    check(left, "%s:%d: two sentences with a tab between them expected", path, i)
    left, right = words_of(left), words_of(right)
    if #left > 0 and #right > 0 then
      table.insert(english, left)
      table.insert(french, right)
    end
  end
  return french, english
end

local french, english = read_pairs()
lines = nil -- so many strings would only keep Lua's collector busy
if #french < n_lines then
  print(("%s: %d of %d lines left out: a sentence has no words"):format(path, n_lines - #french,
    n_lines))
end
check(#french >= 5, "%s: at least 5 pairs of sentences with words expected, there are %d", path,
  #french)

-- Words are numbered by falling frequency, rare ones are all "UNK".
local function tokenizer_of(sentences)
  local tokenizer = text.KerasTokenizer {oov_token = "UNK"}
  tokenizer:fit_on_texts(sentences)
  return tokenizer
end

local french_words, english_words = tokenizer_of(french), tokenizer_of(english)
print(("%s: %d sentence pairs; %d French words, %d English ones"):format(path, #french,
  #french_words.word_counts, #english_words.word_counts))

-- What was not given. Few sentences are few of the book's large batches: the network would take
-- all for the same sentence.
local defaults = {epochs = 20, words = 10000, batch = 128, hidden = 256, lr = 0.001}
if n_lines < 5000 then
  local most = math.max(#french_words.word_counts, #english_words.word_counts)
  defaults = {epochs = 40, words = most + 4, batch = 8, hidden = 64, lr = 0.003}
end
for name, value in pairs(defaults) do options[name] = options[name] or value end

-- Keras's numbers begin with 0, which fills up short sentences; the ids of tensors begin with 1.
-- The last two are kept for the start and the end of a sentence.
local PAD, START, STOP = 1, options.words - 1, options.words
french_words.num_words, english_words.num_words = options.words - 2, options.words - 2

local function ids_of(tokenizer, sentences)
  return data.from0(tokenizer:texts_to_sequences(sentences))
end

-- All sentences as three tensors (sentences, words): what the encoder reads, what the decoder is
-- told, what it is to say. It is to say the English words and STOP, and is told at each step the
-- right word before: START and the same. A French sentence is filled up at its beginning, so that
-- its words are near the state that the decoder gets.
local function tensors_of_pairs()
  local targets, told = ids_of(english_words, english), {}
  for i, ids in ipairs(targets) do
    table.insert(ids, STOP)
    told[i] = table.move(ids, 1, #ids, 2, {START})
  end
  local src_input = text.pad_sequences(ids_of(french_words, french), {value = PAD})
  local dest_input = text.pad_sequences(told, {padding = "post", value = PAD})
  local dest_target = text.pad_sequences(targets,
    {padding = "post", value = PAD, maxlen = dest_input:size(2)})
  return src_input, dest_input, dest_target
end

local src_input, dest_input, dest_target = tensors_of_pairs()
french, english = nil, nil -- the tensors have it all

-- Words of a tokenizer that have a number of their own, and ids that can occur: these words,
-- PAD, STOP, and UNK if there are more words.
local function count_known(tokenizer)
  return math.min(options.words - 4, #tokenizer.word_counts)
end
local n_possible = count_known(english_words) + 2
if count_known(english_words) < #english_words.word_counts then n_possible = n_possible + 1 end

-- What is to be translated at the end.
local UNK = ids_of(french_words, {{"UNK"}})[1][1]
local wishes = {}
for i, sentence in ipairs(options) do
  check(utf8.len(sentence), "sentence %d: this is not UTF-8", i)
  local ids, n_unknown = ids_of(french_words, {words_of(sentence)}), 0
  check(#ids[1] > 0, "'%s': no words in it", sentence)
  for _, id in ipairs(ids[1]) do
    if id == UNK then n_unknown = n_unknown + 1 end
  end
  check(n_unknown < #ids[1], "'%s': none of its words is one of the %d French words known from %s",
    sentence, count_known(french_words), path)
  wishes[i] = text.pad_sequences(ids,
    {value = PAD, maxlen = math.max(#ids[1], src_input:size(2))})[1]
end

saros.manual_seed(options.seed)
local held_out = #src_input // 5
local train, test = data.random_split(data.TensorDataset(src_input, dest_input, dest_target),
  {#src_input - held_out, held_out})
print(("%d pairs to train, %d to test; %d French words at most, %d English"):format(#train, #test,
  src_input:size(2), dest_input:size(2)))

-- ---- Model ---------------------------------------------------------------------------------

local EncoderModel = nn.Module:extend("EncoderModel")

function EncoderModel:init(n_words, embedding_width, layer_size)
  self.embedding_layer = nn.Embedding(n_words, embedding_width)
  nn.init.uniform_(self.embedding_layer.weight, -0.05, 0.05)
  self.lstm_layers = nn.LSTM(embedding_width, layer_size, {num_layers = 2, batch_first = true})
end

-- inputs (B, S) give the state {h, c} behind the last word, (2, B, layer_size) both.
function EncoderModel:forward(inputs)
  return select(2, self.lstm_layers(self.embedding_layer(inputs)))
end

local DecoderModel = nn.Module:extend("DecoderModel")

function DecoderModel:init(n_words, embedding_width, layer_size)
  self.embedding_layer = nn.Embedding(n_words, embedding_width)
  nn.init.uniform_(self.embedding_layer.weight, -0.05, 0.05)
  self.lstm_layers = nn.LSTM(embedding_width, layer_size, {num_layers = 2, batch_first = true})
  self.output_layer = nn.Linear(layer_size, n_words)
end

-- inputs (B, T) and a state give the scores of the word behind each, (B, T, words), and the
-- state behind the last one.
function DecoderModel:forward(inputs, state)
  local outputs, after = self.lstm_layers(self.embedding_layer(inputs), state)
  return self.output_layer(outputs), after
end

local less = " (a smaller --words or --hidden takes less)"
local encoder = script.attempt_or(less, EncoderModel, options.words, 128, options.hidden)
local decoder = script.attempt_or(less, DecoderModel, options.words, 128, options.hidden)
print(encoder)
print(decoder)

-- ---- Translating ---------------------------------------------------------------------------

-- The likeliest word at each step, until STOP. source: the ids of a French sentence, (1, S).
local function translate(source)
  local _ <close> = saros.no_grad()
  local memory, id, ids = encoder(source), START, {}
  for t = 1, max_length do
    local outputs, after = decoder(saros.tensor {{id}}, memory)
    memory, id = after, outputs:argmax():item()
    if id == STOP then break end
    ids[t] = id
  end
  return ids
end

-- Without what fills up, and without STOP.
local function sentence_of(tokenizer, ids)
  local words = {}
  for _, id in ipairs(ids) do
    if id ~= PAD and id ~= STOP then
      table.insert(words, tokenizer.index_word[id - 1] or "?")
    end
  end
  return table.concat(words, " ")
end

-- > what is read, = what is right, < what the network says.
local function show(source, wanted)
  print(("> %s"):format(sentence_of(french_words, source:totable())))
  if wanted then print(("= %s"):format(sentence_of(english_words, wanted:totable()))) end
  print(("< %s\n"):format(sentence_of(english_words, translate(source:unsqueeze(1)))))
end

-- A pair of the test set, which is in random order.
local function show_sample(number)
  local source, _, wanted = table.unpack(test[(number - 1) % #test + 1])
  show(source, wanted)
end

-- ---- Training ------------------------------------------------------------------------------

local encoder_optimizer = optim.RMSprop(encoder:parameters(), {lr = options.lr})
local decoder_optimizer = optim.RMSprop(decoder:parameters(), {lr = options.lr})
local loss_function = nn.CrossEntropyLoss()
local train_loop = data.batches(train, {size = options.batch, shuffle = true, progress = true})
local test_loop = data.batches(test, {size = options.batch})

-- epoch: how many are done; loss and right: sums of this epoch so far; the lists have a number
-- for each epoch.
local state = run:start({
  encoder = encoder, decoder = decoder, encoder_optimizer = encoder_optimizer,
  decoder_optimizer = decoder_optimizer, loop = train_loop,
}, {epoch = 0, loss = 0, right = 0, train_losses = {}, test_losses = {}})

-- Loss of a batch and how many words are right. As in the book, places that are filled up count
-- like words: to fill them up is easily learned, so the accuracy is never low.
local function compare(sources, inputs, wanted)
  local outputs = decoder(inputs, encoder(sources)):flatten(1, 2)
  wanted = wanted:flatten()
  return loss_function(outputs, wanted), outputs:argmax(2):eq(wanted):sum():item()
end

-- Mean loss of a batch, and share of the words that are right.
local function test_model()
  local _ <close> = saros.no_grad()
  local loss, right = 0, 0
  for sources, inputs, wanted in test_loop do
    local batch_loss, batch_right = compare(sources, inputs, wanted)
    loss, right = loss + batch_loss:item(), right + batch_right
  end
  return loss / #test_loop, right / (#test * dest_target:size(2))
end

local function end_epoch(epoch)
  local test_loss, test_accuracy = test_model()
  state.train_losses[epoch], state.test_losses[epoch] = state.loss / #train_loop, test_loss
  print(("Epoch %d/%d loss: %.4f - acc: %.4f - val_loss: %.4f - val_acc: %.4f"):format(epoch,
    options.epochs, state.train_losses[epoch],
    state.right / (#train * dest_target:size(2)), test_loss, test_accuracy))
  state.epoch, state.loss, state.right = epoch, 0, 0
  show_sample(epoch)
end

local function train_model(interrupted)
  local started = saros.clock()
  for epoch = state.epoch + 1, options.epochs do
    train_loop.progress = "epoch " .. epoch
    for sources, inputs, wanted in train_loop do
      encoder_optimizer:zero_grad()
      decoder_optimizer:zero_grad()
      local loss, right = compare(sources, inputs, wanted)
      local value = loss:item()
      check(value == value, "the loss is not a number any more: try a smaller --lr than %g",
        options.lr)
      loss:backward()
      encoder_optimizer:step()
      decoder_optimizer:step()
      state.loss, state.right = state.loss + value, state.right + right
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
    file = "out/translation_lstm_loss.png", title = "Loss while training", xlabel = "epoch",
    ylabel = "mean loss of a word", labels = {"training", "test"},
  }))
end

-- Without a network one would always say what most of the test data is: nothing.
local function accuracy_of_padding()
  local padding = 0
  for _, _, wanted in test_loop do padding = padding + wanted:eq(PAD):sum():item() end
  return padding / (#test * dest_target:size(2))
end

local test_loss, test_accuracy = test_model()
print(("test loss: %.4f (guessing: %.4f)"):format(test_loss, math.log(n_possible)))
print(("test accuracy: %.4f (filling up everywhere: %.4f)"):format(test_accuracy,
  accuracy_of_padding()))

print()
for _, source in ipairs(wishes) do show(source) end
for number = 1, math.min(options.samples, #test) do show_sample(number) end
