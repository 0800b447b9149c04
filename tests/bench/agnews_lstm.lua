-- AG News (721), LSTM over padded batches, last hidden state.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local agnews = require "agnews"
local nn = require("saros").nn

local LSTMClassifier = nn.Module:extend("LSTMClassifier")

function LSTMClassifier:init(vocab, embed, hidden, classes)
  self.embedding = agnews.embedding(vocab, embed)
  self.rnn = nn.LSTM(embed, hidden, {batch_first = true})
  self.fc = nn.Linear(hidden, classes)
end

function LSTMClassifier:forward(x)
  local _, state = self.rnn(self.embedding(x))
  return self.fc(state[1][-1])
end

agnews.run("agnews_lstm", LSTMClassifier)
