-- The models of scripts 712 to 714 as plain functions: data as tensors, and a step of training.
-- The benches measure them, the tests of their curves compare them with PyTorch's.

local saros = require "saros"
local nn, optim, text = saros.nn, saros.optim, saros.text

local M = {}

-- ---- 712: GRU encoder, Bahdanau attention decoder ---------------------------------------------

local SOS, EOS, MAX_LENGTH = 1, 2, 10

-- Ids (pairs, MAX_LENGTH) of both languages and the sizes of their vocabularies.
function M.read_pairs(path)
  local sentences = text.read_pairs(path,
    {reverse = true, max_length = MAX_LENGTH, prefixes = text.eng_prefixes})
  local sides, sizes = {}, {}
  for side = 1, 2 do
    local lang, rows = text.Lang("side " .. side), {}
    for _, pair in ipairs(sentences) do lang:addSentence(pair[side]) end
    for i, pair in ipairs(sentences) do
      rows[i] = lang:indexesFromSentence(pair[side])
      table.insert(rows[i], EOS)
    end
    sides[side] = text.pad_sequences(rows, {maxlen = MAX_LENGTH, padding = "post", value = SOS})
    sizes[side] = lang.n_words
  end
  return sides[1], sides[2], sizes
end

local AttentionEncoder = nn.Module:extend("Encoder")

function AttentionEncoder:init(vocabulary, hidden, dropout)
  self.embedding = nn.Embedding(vocabulary, hidden)
  self.gru = nn.GRU(hidden, hidden, {batch_first = true})
  self.dropout = nn.Dropout(dropout)
end

function AttentionEncoder:forward(x) return self.gru(self.dropout(self.embedding(x))) end

local AttentionDecoder = nn.Module:extend("Decoder")

function AttentionDecoder:init(hidden, vocabulary, dropout)
  self.embedding = nn.Embedding(vocabulary, hidden)
  self.attention = nn.BahdanauAttention(hidden)
  self.gru = nn.GRU(2 * hidden, hidden, {batch_first = true})
  self.out = nn.Linear(hidden, vocabulary)
  self.dropout = nn.Dropout(dropout)
end

function AttentionDecoder:forward(keys, hidden, target)
  local start = saros.full({#target, 1}, SOS)
  local given = saros.cat({start, target[{ {}, {1, -2} }]}, 2)
  local embedded = self.dropout(self.embedding(given))
  local memory = self.attention:precompute(keys)
  local outputs = {}
  for t = 1, MAX_LENGTH do
    local context = self.attention(hidden:transpose(1, 2), memory)
    outputs[t], hidden = self.gru(saros.cat({embedded[{ {}, {t, t} }], context}, 3), hidden)
  end
  return self.out(saros.cat(outputs, 2)):log_softmax(-1)
end

--- step(x, y) trains on a batch and returns its loss.
function M.attention(sizes, hidden, dropout)
  local encoder = AttentionEncoder(sizes[1], hidden, dropout)
  local decoder = AttentionDecoder(hidden, sizes[2], dropout)
  local encoder_optimizer = optim.Adam(encoder:parameters(), {lr = 0.001})
  local decoder_optimizer = optim.Adam(decoder:parameters(), {lr = 0.001})
  local criterion = nn.NLLLoss()
  return function(x, y)
    encoder_optimizer:zero_grad()
    decoder_optimizer:zero_grad()
    local keys, hidden_state = encoder(x)
    local output = decoder(keys, hidden_state, y)
    local loss = criterion(output:flatten(1, 2), y:flatten())
    loss:backward()
    encoder_optimizer:step()
    decoder_optimizer:step()
    return loss:item()
  end
end

-- ---- 713: a language model of words -------------------------------------------------------------

-- Keras's ids of the texts, counted from 1.
local function keras_ids(texts, num_words)
  local tokenizer = text.KerasTokenizer {num_words = num_words, oov_token = "UNK"}
  tokenizer:fit_on_texts(texts)
  return saros.data.from0(tokenizer:texts_to_sequences(texts))
end

--- Windows (count, width) of a text, `stride` words apart, and the word behind each.
function M.read_windows(string, words, width, stride)
  local ids = saros.tensor(keras_ids({string}, words)[1])
  local count = (#ids - width + stride - 1) // stride
  local starts = saros.arange(0, count):unsqueeze(2) * stride
  return ids[starts + saros.arange(1, width + 1)], ids[starts:squeeze(2) + width + 1]
end

local LanguageModel = nn.Module:extend("LanguageModel")

function LanguageModel:init(words, width, hidden, dropout)
  self.embedding = nn.Embedding(words, width)
  nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
  self.lstm = nn.LSTM(width, hidden, {num_layers = 2, dropout = dropout, batch_first = true})
  self.dropout = nn.Dropout(dropout)
  self.linear = nn.Linear(hidden, hidden)
  self.relu = nn.ReLU()
  self.output = nn.Linear(hidden, words)
end

function LanguageModel:forward(x)
  local _, state = self.lstm(self.embedding(x))
  return self.output(self.relu(self.linear(self.dropout(state[1][2]))))
end

--- step(x, y) trains on a batch and returns its loss.
function M.language_model(words, width, hidden, dropout)
  local model = LanguageModel(words, width, hidden, dropout)
  local optimizer = optim.Adam(model:parameters())
  local criterion = nn.CrossEntropyLoss()
  return function(x, y)
    optimizer:zero_grad()
    local output = model(x)
    local loss = criterion(output, y)
    output:argmax(2):eq(y):sum():item() -- the script counts what is right
    loss:backward()
    optimizer:step()
    return loss:item()
  end
end

-- ---- 714: LSTM encoder and decoder -----------------------------------------------------------

--- Source (pairs, S), what the decoder reads and what it is to say, both (pairs, T).
function M.read_lstm_pairs(path, words, lines)
  local sides = {{}, {}}
  for line, number in saros.data.lines(path) do
    if number > lines then break end
    local english, french = line:match("^([^\t]*)\t([^\t]*)")
    table.insert(sides[1], text.text_to_word_sequence(french))
    table.insert(sides[2], text.text_to_word_sequence(english))
  end
  local start, stop = words - 1, words
  local given = {}
  local source, target = keras_ids(sides[1], words - 2), keras_ids(sides[2], words - 2)
  for i, ids in ipairs(target) do
    table.insert(ids, stop)
    given[i] = table.move(ids, 1, #ids, 2, {start})
  end
  given = text.pad_sequences(given, {padding = "post", value = 1})
  return text.pad_sequences(source, {value = 1}), given,
    text.pad_sequences(target, {padding = "post", value = 1, maxlen = given:size(2)})
end

local Encoder = nn.Module:extend("Encoder")

function Encoder:init(words, width, hidden)
  self.embedding = nn.Embedding(words, width)
  nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
  self.lstm = nn.LSTM(width, hidden, {num_layers = 2, batch_first = true})
end

function Encoder:forward(x)
  local _, state = self.lstm(self.embedding(x))
  return state
end

local Decoder = nn.Module:extend("Decoder")

function Decoder:init(words, width, hidden)
  Encoder.init(self, words, width, hidden)
  self.output = nn.Linear(hidden, words)
end

function Decoder:forward(x, state) return self.output((self.lstm(self.embedding(x), state))) end

--- step(source, given, target) trains on a batch and returns its loss.
function M.lstm(words, width, hidden)
  local encoder, decoder = Encoder(words, width, hidden), Decoder(words, width, hidden)
  local encoder_optimizer = optim.RMSprop(encoder:parameters(), {lr = 0.001})
  local decoder_optimizer = optim.RMSprop(decoder:parameters(), {lr = 0.001})
  local criterion = nn.CrossEntropyLoss()
  return function(source, given, target)
    encoder_optimizer:zero_grad()
    decoder_optimizer:zero_grad()
    local output = decoder(given, encoder(source)):flatten(1, 2)
    local loss = criterion(output, target:flatten())
    output:argmax(2):eq(target:flatten()):sum():item() -- the script counts what is right
    loss:backward()
    encoder_optimizer:step()
    decoder_optimizer:step()
    return loss:item()
  end
end

return M
