-- Translation: from French to English, looking back at the right words.
--
-- One recurrent network, the encoder, reads a French sentence. Another one, the decoder, writes
-- the English sentence word by word, and before each word attention tells it which of the French
-- words matter now. This is PyTorch's tutorial "NLP From Scratch: Translation with a Sequence to
-- Sequence Network and Attention": the same data, model, training and numbers.

local saros = require "saros"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text
local plot, script = saros.plot, saros.script

local options = script.options {
  [[
Trains a network with attention to translate short French sentences to English, or loads the one
it trained before, and translates: ten sentences drawn at random, then those given, or the four of
the tutorial, with a picture of where it looked. The model and the pictures are kept in the folder
out/. Ctrl-C stops the training; the next start goes on with it.]],
  arguments = '["French sentence" ...]',
  {"epochs", "integer", nil, "passes over the sentences (80; 40 of fewer than 2000)"},
  {"seed", "integer", 1, "of the first weights and of all that is drawn"},
  {"device", "device", nil, "cpu or cuda"},
  {"data", "file", nil, "English, a tab, French on each line (eng-fra.txt in SAROS_DATA or the "
    .. "cache, else a shipped one)"},
  {"dropout", "number", 0.1, "share of the embeddings that is dropped in training"},
  {"print_every", "integer", 5, "epochs between two lines of progress"},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

saros.set_default_device(options.device)
script.check(options.dropout >= 0 and options.dropout < 1,
  "--dropout: at least 0 and below 1 expected, got %g", options.dropout)
script.check(options.print_every > 0, "--print-every: at least 1 expected")

-- ---- Sentences -----------------------------------------------------------------------------

local SOS, EOS = 1, 2 -- the ids of "start of sentence" and "end of sentence"
local max_length = 10 -- words of a sentence, its EOS included

-- Pairs {French, English} of small letters without accents and full stops, the short ones
-- of which the English half begins with "I am", "you are", "she is", ...
local path = options.data
  or script.attempt(data.path, "eng-fra.txt", "translation/eng-fra.txt")
local sentences = script.attempt(text.read_pairs, path,
  {reverse = true, max_length = max_length, prefixes = text.eng_prefixes})
script.check(#sentences > 0, "%s: no short sentence in it begins like 'I am' or 'you are'", path)

-- Each language numbers its words in the order in which they appear.
local input_lang, output_lang = text.Lang("French"), text.Lang("English")
for _, pair in ipairs(sentences) do
  input_lang:addSentence(pair[1])
  output_lang:addSentence(pair[2])
end
options.epochs = options.epochs or (#sentences < 2000 and 40 or 80)
print(("%d sentence pairs; %d French words, %d English ones"):format(#sentences,
  input_lang.n_words, output_lang.n_words))

local function ids_of(lang, sentence)
  local ids = lang:indexesFromSentence(sentence)
  table.insert(ids, EOS)
  return ids
end

-- Lists of ids as the rows of a tensor, (sentences, max_length): behind its end a sentence is
-- filled up with SOS.
local function fill_up(rows)
  return text.pad_sequences(rows, {maxlen = max_length, padding = "post", value = SOS})
end

-- All sentences of one side. The loss counts all places: the decoder learns to fill up as well.
local function ids_of_all(lang, side)
  local rows = {}
  for i, pair in ipairs(sentences) do rows[i] = ids_of(lang, pair[side]) end
  return fill_up(rows)
end

local train = data.TensorDataset(ids_of_all(input_lang, 1), ids_of_all(output_lang, 2))

-- What is to be translated at the end: {sentence, words of it that nobody told the network}.
local function read_wish(sentence)
  local wish = {sentence = script.attempt(text.normalize_string, sentence), unknown = {}}
  for word in wish.sentence:gmatch("%S+") do
    if not input_lang.word2index[word] then table.insert(wish.unknown, word) end
  end
  return wish
end

local wishes = {}
for i, sentence in ipairs(options) do
  wishes[i] = read_wish(sentence)
  script.check(wishes[i].sentence ~= "", "'%s': no words in it", sentence)
  script.check(#wishes[i].unknown == 0, "'%s': '%s' is none of the %d words in %s", sentence,
    wishes[i].unknown[1], input_lang.n_words, path)
  local words = #text.split(wishes[i].sentence)
  script.check(words < max_length, "'%s': at most %d words expected, there are %d", sentence,
    max_length - 1, words)
end

-- ---- Model ---------------------------------------------------------------------------------

-- B sentences of T words; H numbers describe a word, and the state of a network.
local EncoderRNN = nn.Module:extend("EncoderRNN")

function EncoderRNN:init(input_size, hidden_size, dropout)
  self.embedding = nn.Embedding(input_size, hidden_size)
  self.gru = nn.GRU(hidden_size, hidden_size, {batch_first = true})
  self.dropout = nn.Dropout(dropout)
end

-- input (B, T) gives the state after each word, (B, T, H), and the last one, (1, B, H).
function EncoderRNN:forward(input)
  return self.gru(self.dropout(self.embedding(input)))
end

-- The decoder's first state is the encoder's last one. Attention compares the decoder's state,
-- the query, with each of the encoder's states, the keys:
--   score_t = Va tanh(Wa query + Ua key_t),  weights = softmax(score),
--   context = sum of weights_t key_t
local AttnDecoderRNN = nn.Module:extend("AttnDecoderRNN")

function AttnDecoderRNN:init(hidden_size, output_size, dropout)
  self.embedding = nn.Embedding(output_size, hidden_size)
  self.attention = nn.BahdanauAttention(hidden_size)
  self.gru = nn.GRU(2 * hidden_size, hidden_size, {batch_first = true})
  self.out = nn.Linear(hidden_size, output_size)
  self.dropout = nn.Dropout(dropout)
end

-- One word: embedded (B, 1, H), the word before; hidden (1, B, H); memory: the keys, prepared.
-- Gives output (B, 1, H), the new hidden state, and where it looked, (B, 1, T).
function AttnDecoderRNN:step(embedded, hidden, memory)
  local query = hidden:transpose(1, 2)
  local context, weights = self.attention(query, memory)
  local output, after = self.gru(saros.cat({embedded, context}, 3), hidden)
  return output, after, weights
end

-- All words of the target (B, T). Teacher forcing: at each step the decoder is told the right
-- word before, whatever it would have said itself; so all it reads is known from the start.
-- Gives the log-probabilities of each word, (B, T, words).
function AttnDecoderRNN:forward(encoder_outputs, hidden, target)
  local start = saros.full({#target, 1}, SOS)
  local read = saros.cat({start, target[{ {}, {1, -2} }]}, 2)
  local embedded = self.dropout(self.embedding(read))
  local memory = self.attention:precompute(encoder_outputs)
  local outputs = {}
  for t = 1, target:size(2) do
    outputs[t], hidden = self:step(embedded[{ {}, {t, t} }], hidden, memory)
  end
  return self.out(saros.cat(outputs, 2)):log_softmax(-1)
end

-- The run is kept in a file, with all that it takes to go on exactly where it stopped, and with a
-- checksum of the sentences: for others the model is of no use.
local run = script.run {
  file = "out/translation_attention.safetensors", options = options, goal = "epochs",
  depends = {"seed", "dropout"},
  data = {sentences = data.checksum(sentences)},
}

saros.manual_seed(options.seed)
local hidden_size = 128
local encoder = EncoderRNN(input_lang.n_words, hidden_size, options.dropout)
local decoder = AttnDecoderRNN(hidden_size, output_lang.n_words, options.dropout)
print(encoder)
print(decoder)

-- ---- Training ------------------------------------------------------------------------------

local encoder_optimizer = optim.Adam(encoder:parameters(), {lr = 0.001})
local decoder_optimizer = optim.Adam(decoder:parameters(), {lr = 0.001})
local criterion = nn.NLLLoss()
local loop = data.batches(train, {size = 32, shuffle = true, progress = true})

-- epoch: how many are done; losses: the mean of each; total: of the batches since.
local state = run:start({
  encoder = encoder, decoder = decoder, encoder_optimizer = encoder_optimizer,
  decoder_optimizer = decoder_optimizer, loop = loop,
}, {epoch = 0, losses = {}, total = 0})

-- One step on a batch: input and target (B, T). Returns its loss.
local function train_on(input, target)
  encoder_optimizer:zero_grad()
  decoder_optimizer:zero_grad()
  local encoder_outputs, hidden = encoder(input)
  local log_probs = decoder(encoder_outputs, hidden, target)
  local loss = criterion(log_probs:flatten(1, 2), target:flatten())
  loss:backward()
  encoder_optimizer:step()
  decoder_optimizer:step()
  return loss:item()
end

local function minutes(seconds)
  return ("%dm %ds"):format(seconds // 60, math.floor(seconds % 60))
end

-- "1m 3s (- 14m 12s) (5 6%) 1.5304": the time gone, the time to come, epochs, mean loss of
-- the last print_every epochs.
local function print_progress(started, first)
  local done, sum = state.epoch / options.epochs, 0
  for k = state.epoch - options.print_every + 1, state.epoch do sum = sum + state.losses[k] end
  local gone = saros.clock() - started
  print(("%s (- %s) (%d %d%%) %.4f"):format(minutes(gone),
    minutes(gone / (state.epoch - first) * (options.epochs - state.epoch)), state.epoch,
    math.floor(100 * done), sum / options.print_every))
end

local function train_model(interrupted)
  local started, first = saros.clock(), state.epoch
  encoder:train()
  decoder:train()
  for epoch = first + 1, options.epochs do
    loop.progress = "epoch " .. epoch
    for input, target in loop do
      local loss = train_on(input, target)
      script.check(loss < math.huge, "the loss is no finite number any more")
      state.total = state.total + loss
      loop:postfix {loss = loss}
      if interrupted() then return end
    end
    state.losses[epoch] = state.total / #loop
    state.epoch, state.total = epoch, 0
    if epoch % options.print_every == 0 then print_progress(started, first) end
  end
  print(("trained in %.1f s"):format(saros.clock() - started))
end

if run.resumed then print(("model: %s, trained for %d epochs"):format(run.file, state.epoch)) end
if state.epoch < options.epochs then run:train(train_model) end

if #state.losses > 0 then
  print(("loss of the last epoch: %.4f (guessing: %.4f)"):format(state.losses[#state.losses],
    math.log(output_lang.n_words)))
  script.tell_picture("loss curve", plot.lines(state.losses, {
    file = "out/translation_attention_loss.png", title = "Loss while training", xlabel = "epoch",
    ylabel = "mean loss of a word",
  }))
end

-- ---- Translating ---------------------------------------------------------------------------

-- The likeliest word at each step, until EOS. Returns the English words, and where the decoder
-- looked for each of them, (English words, French words). (The sentence is filled up, as it was in
-- training; the tutorial does not do so here, and gets some sentences wrong that it has learned.)
local function translate(sentence)
  local _ <close> = saros.no_grad()
  local read = ids_of(input_lang, sentence)
  local encoder_outputs, hidden = encoder(fill_up {read})
  local memory = decoder.attention:precompute(encoder_outputs)
  local id, words, looks = SOS, {}, {}
  for t = 1, max_length do
    local embedded = decoder.embedding(saros.tensor {{id}})
    local output, after, weights = decoder:step(embedded, hidden, memory)
    hidden, looks[t] = after, weights
    id = decoder.out(output):argmax():item()
    words[t] = id == EOS and "<EOS>" or output_lang.index2word[id]
    if id == EOS then break end
  end
  return words, saros.cat(looks, 2)[{1, {}, {1, #read}}]
end

encoder:eval()
decoder:eval()

-- The tutorial's notation: > what is read, = what is right, < what the network says.
print()
for _ = 1, 10 do
  local pair = sentences[saros.randint(1, #sentences + 1, {1}, {device = "cpu"}):item()]
  print(("> %s\n= %s\n< %s\n"):format(pair[1], pair[2], table.concat(translate(pair[1]), " ")))
end

-- How many of the sentences that it learned from it has by heart.
local tries, right = math.min(#sentences, 500), 0
for k = 1, tries do
  local pair = sentences[1 + (k - 1) * #sentences // tries]
  if table.concat(translate(pair[1]), " ") == pair[2] .. " <EOS>" then right = right + 1 end
end
print(("translated exactly: %d of %d sentences of the training data"):format(right, tries))

-- ---- Where it looks ------------------------------------------------------------------------

if #wishes == 0 then
  for i, sentence in ipairs {
    "il n est pas aussi grand que son pere", "je suis trop fatigue pour conduire",
    "je suis desole si c est une question idiote", "je suis reellement fiere de vous",
  } do
    wishes[i] = read_wish(sentence)
  end
end

-- A row for each English word, a column for each French one: dark where it looked.
local function show_attention(number, sentence)
  local words, weights = translate(sentence)
  print(("\ninput = %s\noutput = %s"):format(sentence, table.concat(words, " ")))
  local french = text.split(sentence)
  table.insert(french, "<EOS>")
  script.tell_picture("attention", plot.heatmap(weights, {
    file = ("out/translation_attention_%d.png"):format(number), title = "Where the decoder looks",
    xlabels = french, ylabels = words,
  }))
end

for i, wish in ipairs(wishes) do
  if #wish.unknown > 0 then
    print(("\ninput = %s\n(%s has no '%s')"):format(wish.sentence, path, wish.unknown[1]))
  else
    show_attention(i, wish.sentence)
  end
end
