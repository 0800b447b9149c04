-- AG News (720), plain RNN over padded batches, mean of the outputs.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local agnews = require "agnews"
local nn = require("saros").nn

local RNNClassifier = nn.Module:extend("RNNClassifier")

function RNNClassifier:init(vocab, embed, hidden, classes)
  self.embedding = nn.Embedding(vocab, embed)
  self.rnn = nn.RNN(embed, hidden, {batch_first = true})
  self.fc = nn.Linear(hidden, classes)
end

function RNNClassifier:forward(x)
  return self.fc(self.rnn(self.embedding(x)):mean(2))
end

agnews.run("agnews_rnn", RNNClassifier)
