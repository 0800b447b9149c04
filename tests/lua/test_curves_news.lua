-- The news classifiers follow PyTorch's losses from the same seed on the same batches: first
-- weights, order, padding and packing, forward, backward and Adam, step by step.
--
-- tests/golden/news_curve_shipped.json has the curves on data/news and how they were made.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text

local TOLERANCE = 1e-4

local train, _, classes = data.ag_news("data/news")

local lists = {}
for i, item in ipairs(train) do lists[i] = text.basic_english(item.text) end
local vocab = text.build_vocab_from_iterator(lists, {specials = {"<unk>"}})

local pad = data.pad_collate {padding_value = vocab["<unk>"]}
local function collate(items)
  local encoded = {}
  for i, item in ipairs(items) do
    encoded[i] = {item.label, vocab(text.basic_english(item.text))}
  end
  return pad(encoded)
end

local Classifier = nn.Module:extend("Classifier")

function Classifier:init(layer, packed, options)
  self.packed = packed
  self.embedding = nn.Embedding(#vocab, 64)
  if layer ~= "RNN" then nn.init.normal_(self.embedding.weight, {mean = -0.5, std = 1}) end
  self.rnn = nn[layer](64, 32, {
    batch_first = true, num_layers = options.layers, bidirectional = options.bidirectional,
  })
  self.fc = nn.Linear(options.bidirectional and 64 or 32, #classes)
end

function Classifier:forward(words, lengths)
  local x = self.embedding(words)
  if self.packed then
    x = nn.utils.rnn.pack_padded_sequence(x, lengths, {batch_first = true, enforce_sorted = false})
  end
  local outputs, state = self.rnn(x)
  if self.rnn.__name == "RNN" then return self.fc(outputs:mean(2)) end
  local h = state[1]
  return self.fc(self.rnn.bidirectional and saros.cat({h[-2], h[-1]}, 2) or h[-1])
end

local function losses(model, steps)
  local criterion = nn.CrossEntropyLoss()
  local optimizer = optim.Adam(model:parameters(), {lr = 0.001})
  local loop = data.batches(train, {size = 16, shuffle = true, collate = collate})
  local list = {}
  model:train()
  while true do
    for labels, words, lengths in loop do
      optimizer:zero_grad()
      local loss = criterion(model(words, lengths), labels)
      loss:backward()
      optimizer:step()
      list[#list + 1] = loss:item()
      if #list == steps then return list end
    end
  end
end

local TestNewsCurves = {}

for name, make in pairs {
  rnn = function() return Classifier("RNN", false, {}) end,
  lstm = function() return Classifier("LSTM", false, {}) end,
  packed = function() return Classifier("LSTM", true, {}) end,
  bilstm = function() return Classifier("LSTM", true, {layers = 2, bidirectional = true}) end,
} do
  TestNewsCurves["test_" .. name] = function()
    local expected = support.golden_row("news_curve_shipped", name)
    lu.assertEquals(#expected, 100)
    saros.manual_seed(7)
    local found = losses(make(), #expected)
    for step = 1, #expected do
      lu.assertTrue(math.abs(expected[step] - found[step]) <= TOLERANCE,
        ("step %d: loss %.7f, PyTorch's %.7f"):format(step, found[step], expected[step]))
    end
  end
end

support.run {TestNewsCurves = TestNewsCurves}
