-- AG News (723), two bidirectional LSTM layers over packed sequences: the classifier reads the
-- top layer's two last states side by side.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local agnews = require "agnews"
local saros = require "saros"
local nn = saros.nn
local rnn = nn.utils.rnn

local BiLSTMClassifier = nn.Module:extend("BiLSTMClassifier")

function BiLSTMClassifier:init(vocab, embed, hidden, classes)
  self.embedding = agnews.embedding(vocab, embed)
  self.rnn = nn.LSTM(embed, hidden, {num_layers = 2, bidirectional = true, batch_first = true})
  self.fc = nn.Linear(2 * hidden, classes)
end

function BiLSTMClassifier:forward(x, lengths)
  local packed = rnn.pack_padded_sequence(self.embedding(x), lengths,
    {batch_first = true, enforce_sorted = false})
  local output, state = self.rnn(packed)
  rnn.pad_packed_sequence(output, {batch_first = true})
  local h = state[1]
  return self.fc(saros.cat({h[-2], h[-1]}, 2))
end

agnews.run("agnews_bilstm2", BiLSTMClassifier)
