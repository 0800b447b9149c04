-- AG News (722), LSTM over packed sequences; the outputs are unpacked though unused.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local agnews = require "agnews"
local nn = require("saros").nn
local rnn = nn.utils.rnn

local LSTMPackClassifier = nn.Module:extend("LSTMPackClassifier")

function LSTMPackClassifier:init(vocab, embed, hidden, classes)
  self.embedding = agnews.embedding(vocab, embed)
  self.rnn = nn.LSTM(embed, hidden, {batch_first = true})
  self.fc = nn.Linear(hidden, classes)
end

function LSTMPackClassifier:forward(x, lengths)
  local packed = rnn.pack_padded_sequence(self.embedding(x), lengths,
    {batch_first = true, enforce_sorted = false})
  local output, state = self.rnn(packed)
  rnn.pad_packed_sequence(output, {batch_first = true})
  return self.fc(state[1][-1])
end

agnews.run("agnews_packed", LSTMPackClassifier)
