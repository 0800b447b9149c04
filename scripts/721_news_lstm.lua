-- News: which of four classes is it? An LSTM.
--
-- 720_news_rnn.lua lets each word have its say. Here what the network remembers after the last
-- word decides, which takes a longer memory than that of a plain RNN: an LSTM's. It is the second
-- model of the lesson on recurrent networks of Microsoft's "AI for Beginners", with the same
-- words, training and numbers. 722_news_packed.lua goes on from here.

local saros = require "saros"
local nn, optim, data, text, plot = saros.nn, saros.optim, saros.data, saros.text, saros.plot
local metrics, script = saros.metrics, saros.script

local options = script.options {
  [[
Trains an LSTM on the classes of news, or loads the one it trained before, tests it on news that
it has not seen, and tells the class of the headlines given. The model and a picture are kept in
the folder out/. Ctrl-C stops the training; the next start goes on with it.]],
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

-- A batch is one tensor, so all of its news get as many words as the longest: the course fills
-- them up with the id that unknown words have. Returns labels (batch) and words (batch, steps).
local pad = data.pad_collate {padding_value = unknown}
local function collate(items)
  local encoded = {}
  for i, item in ipairs(items) do encoded[i] = {item.label, encode(item.text)} end
  return pad(encoded)
end

-- ---- Model ---------------------------------------------------------------------------------

local LSTMClassifier = nn.Module:extend("LSTMClassifier")

function LSTMClassifier:init(vocab_size, embed_dim, hidden_dim, num_class)
  self.embedding = nn.Embedding(vocab_size, embed_dim)
  nn.init.normal_(self.embedding.weight, {mean = -0.5, std = 1}) -- as the course has it
  self.rnn = nn.LSTM(embed_dim, hidden_dim, {batch_first = true})
  self.fc = nn.Linear(hidden_dim, num_class)
end

-- words: (batch, steps). The state of an LSTM is {h, c}, each (layers, batch, hidden_dim): what it
-- shows and what it keeps. Shorter news end in padding, and what they said must be remembered
-- across it. That is learned late: of AG News it reads 20,000 before it is better than chance.
function LSTMClassifier:forward(words)
  local _, state = self.rnn(self.embedding(words))
  return self.fc(state[1][-1]) -- (batch, num_class)
end

local model = LSTMClassifier(#vocab, 64, 32, #classes)
print(model)

-- ---- Training ------------------------------------------------------------------------------

local criterion = nn.CrossEntropyLoss() -- of the outputs as they are: it has the softmax within
local optimizer = optim.Adam(model:parameters(), {lr = 0.001})
local loop = data.batches(train, {size = 16, shuffle = true, collate = collate})

-- The run is kept in a file, with all that it takes to go on exactly where it stopped. A model is
-- kept with a checksum of the news: for others, with other words, it is of no use.
local run = script.run {
  file = "out/news_lstm.safetensors", options = options, goal = "epochs",
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
    for labels, words in loop do
      optimizer:zero_grad()
      local out = model(words)
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
  for labels, words in data.batches(test, {size = 16, collate = collate}) do
    confusion:add(labels, model(words):argmax(2))
  end
end)

print()
plot.print_confusion(confusion.counts, classes)
script.tell_picture("confusion matrix", plot.confusion_matrix(confusion.counts, classes, {
  file = "out/news_lstm_confusion.png", title = "Classes of news: true and predicted",
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
    return model(ids)[1]:softmax(-1):topk(2)
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
