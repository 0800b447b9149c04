-- News: which of four classes is it? Two layers of LSTMs that read in both directions.
--
-- One LSTM reads the news from the first word to the last and another from the last to the first;
-- a second layer, again of two, reads what both said. The lesson on recurrent networks of
-- Microsoft's "AI for Beginners" ends with this model: the words, the training and the packed
-- sequences are those of 722_news_packed.lua.

local saros = require "saros"
local nn, optim, data, text, plot = saros.nn, saros.optim, saros.data, saros.text, saros.plot
local metrics, script = saros.metrics, saros.script

local options = script.options {
  [[
Trains two layers of bidirectional LSTMs on the classes of news, or loads the model it trained
before, tests it on news that it has not seen, and tells the class of the headlines given. The
model and a picture are kept in the folder out/. Ctrl-C stops the training; the next start goes
on with it.]],
  arguments = "[headline ...]",
  {"epochs", "integer", nil, "passes over the training data (1; 20 with fewer than 5000)"},
  {"seed", "integer", 1, "of the first weights and of the order of the news"},
  {"device", "device", nil, "cpu or cuda"},
  {"data", "folder", nil, 'with train.csv and test.csv (the data set "ag_news_csv")'},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

for i, headline in ipairs(options) do
  script.check(utf8.len(headline), "argument %d: this is not UTF-8", i)
  script.check(#text.basic_english(headline) > 0, "argument %d: no words in '%s'", i, headline)
end
saros.set_default_device(options.device)
saros.manual_seed(options.seed)

-- ---- Data ----------------------------------------------------------------------------------

-- Lists of items {label = 2, text = "Late goal gives Rovers the cup ..."}.
local train, test, classes = script.attempt(data.ag_news, options.data)

-- The words of the training data, each with a number, its id. "<unk>" stands for all others.
local function yield_words()
  for _, item in ipairs(train) do coroutine.yield(text.basic_english(item.text)) end
end
local vocab = text.build_vocab_from_iterator(coroutine.wrap(yield_words), {specials = {"<unk>"}})
local unknown = vocab["<unk>"]
vocab:set_default_index(unknown)
options.epochs = options.epochs or (#train < 5000 and 20 or 1)
print(("%d news to train, %d to test, %d words"):format(#train, #test, #vocab))

-- "Oil price falls" gives 181, 52, 280: the more frequent a word, the smaller its id.
-- A network reads at least one word, so news without any are an unknown one.
local function encode(line)
  local ids = vocab(text.basic_english(line))
  return #ids > 0 and ids or {unknown}
end

-- A batch is one tensor, so all of its news get as many words as the longest, and their lengths
-- say what is padding. Returns labels (batch), words (batch, steps) and lengths (batch).
local pad = data.pad_collate {padding_value = unknown}
local function collate(items)
  local encoded = {}
  for i, item in ipairs(items) do encoded[i] = {item.label, encode(item.text)} end
  return pad(encoded)
end

-- ---- Model ---------------------------------------------------------------------------------

local BiLSTMClassifier = nn.Module:extend("BiLSTMClassifier")

function BiLSTMClassifier:init(vocab_size, embed_dim, hidden_dim, num_class)
  self.embedding = nn.Embedding(vocab_size, embed_dim)
  nn.init.normal_(self.embedding.weight, {mean = -0.5, std = 1}) -- as the course has it
  self.rnn = nn.LSTM(embed_dim, hidden_dim,
    {num_layers = 2, bidirectional = true, batch_first = true})
  self.fc = nn.Linear(2 * hidden_dim, num_class)
end

-- words: (batch, steps), lengths: (batch). h, what the LSTMs show at their ends, has a row for each
-- layer and direction: 1 forward, 1 backward, 2 forward, 2 backward. The upper two decide: one
-- has read all up to the last word, the other all back to the first.
function BiLSTMClassifier:forward(words, lengths)
  local packed = nn.utils.rnn.pack_padded_sequence(self.embedding(words), lengths,
    {batch_first = true, enforce_sorted = false})
  local _, state = self.rnn(packed)
  local h = state[1] -- (4, batch, hidden_dim)
  return self.fc(saros.cat({h[-2], h[-1]}, 2)) -- (batch, num_class)
end

local model = BiLSTMClassifier(#vocab, 64, 32, #classes)
print(model)

-- ---- Training ------------------------------------------------------------------------------

local criterion = nn.CrossEntropyLoss() -- of the outputs as they are: it has the softmax within
local optimizer = optim.Adam(model:parameters(), {lr = 0.001})
local loop = data.batches(train, {size = 16, shuffle = true, collate = collate})

-- The run is kept in a file, with all that it takes to go on exactly where it stopped. A model is
-- kept with a checksum of the news: for others, with other words, it is of no use.
local run = script.run {
  file = "out/news_bilstm.safetensors", options = options, goal = "epochs",
  depends = {"seed"}, data = {news = data.checksum(train)},
}
-- epoch: how many are done. Of the one that is not: how many news were read, to how many of them
-- the answer was right (it is given before learning from them), and the sum of the losses.
local state = run:start({model = model, optimizer = optimizer, loop = loop},
  {epoch = 0, count = 0, right = 0, total = 0})

local report_every = 3200 -- news

local function train_model(interrupted)
  local start = saros.clock()
  model:train()
  for epoch = state.epoch + 1, options.epochs do
    for labels, words, lengths in loop do
      optimizer:zero_grad()
      local out = model(words, lengths)
      local loss = criterion(out, labels)
      state.total = state.total + loss:item()
      script.check(state.total < math.huge,
        "the loss is no finite number any more")
      loss:backward()
      optimizer:step()
      state.right = state.right + out:argmax(2):eq(labels):sum():item()
      state.count = state.count + #labels
      if state.count % report_every == 0 then
        print(("%d: acc=%s"):format(state.count, state.right / state.count))
      end
      if interrupted() then return end
    end
    print(("epoch %d: loss %.4f, accuracy %.4f"):format(epoch, state.total / #loop,
      state.right / #train))
    state.epoch, state.count, state.right, state.total = epoch, 0, 0, 0
  end
  print(("trained in %.1f s"):format(saros.clock() - start))
end

if run.resumed then print(("model: %s, trained for %d epochs"):format(run.file, state.epoch)) end
if state.epoch < options.epochs then run:train(train_model) end

-- ---- Test ----------------------------------------------------------------------------------

model:eval()
local confusion = metrics.ConfusionMatrix(#classes)
saros.no_grad(function()
  for labels, words, lengths in data.batches(test, {size = 16, collate = collate}) do
    confusion:add(labels, model(words, lengths):argmax(2))
  end
end)

print()
plot.print_confusion(confusion.counts, classes)
script.tell_picture("confusion matrix", plot.confusion_matrix(confusion.counts, classes, {
  file = "out/news_bilstm_confusion.png", title = "Classes of news: true and predicted",
}))
print(("test accuracy: %.4f"):format(confusion:accuracy()))

-- ---- Headlines -----------------------------------------------------------------------------

local function predict(headline)
  print(("\n%s"):format(headline))
  local ids = saros.tensor {encode(headline)}
  if ids:eq(unknown):all():item() then
    print("  (none of its words is in the training data)")
    return
  end
  local probability, class = saros.no_grad(function()
    return model(ids, {ids:size(2)})[1]:softmax(-1):topk(2)
  end)
  for k = 1, #class do
    print(("  %3.0f %%  %s"):format(100 * probability[k]:item(), classes[class[k]:item()]))
  end
end

local unseen = {
  "President calls for an election after talks with rebels fail",
  "Striker scores twice as the champions win the cup final",
  "Shares fall as oil price and interest rates rise",
  "Scientists launch a satellite to search for new planets",
}
for _, headline in ipairs(#options > 0 and options or unseen) do predict(headline) end
