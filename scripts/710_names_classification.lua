-- Names: which language does a surname come from?
--
-- A recurrent network reads a name letter by letter and then says which of several
-- languages it belongs to. This is PyTorch's tutorial "NLP From Scratch: Classifying Names
-- with a Character-Level RNN": the same data, model, training and numbers.

local saros = require "saros"
local nn, optim, data, text, plot = saros.nn, saros.optim, saros.data, saros.text, saros.plot
local metrics, script = saros.metrics, saros.script

local options = script.options {
  [[
Trains a character-level RNN on surnames, or loads the one it trained before, tests it on
names that it has not seen, and tells the language of the names given. The model and the
pictures are kept in the folder out/. Ctrl-C stops the training; the next start goes on with
it.]],
  arguments = "[name ...]",
  {"epochs", "integer", 27, "passes over the training data"},
  {"seed", "integer", 1, "of the first weights and of the order of the names"},
  {"device", "device", nil, "cpu or cuda"},
  {"data", "folder", nil, 'one file per language, one name per line (the data set "names")'},
  {"add", "named file", nil, "a language more, as Finnish=names.txt (names, or names and counts); "
    .. "may be repeated", many = true},
  {"min_count", "integer", 0, "leave out names in --add that are rarer"},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

local check = script.check
check(options.min_count == 0 or #options.add > 0, "--min-count: it needs --add")
for i, name in ipairs(options) do
  check(utf8.len(name), "argument %d: this is not UTF-8", i)
  check(name ~= "", "argument %d: a name expected, it is empty", i)
end
saros.set_default_device(options.device)
saros.manual_seed(options.seed)

-- ---- Letters as tensors ------------------------------------------------------------------

-- The alphabet: ASCII letters, a few signs, and "_" for every other letter.
local alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'_"
local letter_index = {}
for _, letter, position in text.codes(alphabet) do letter_index[letter] = position end

-- A name as the places of its letters in the alphabet, (letters, 1): "Abe" gives 27, 2, 5.
local function name_to_ids(name)
  local ids = {}
  for _, letter in text.codes(name) do
    table.insert(ids, {letter_index[letter] or letter_index._})
  end
  return saros.tensor(ids)
end

-- What the network reads: (letters, 1, 58), for each letter a 1 at its place: its row of the
-- identity matrix. The 1 in the middle is the size of the batch: names go through the
-- network one by one.
local identity = saros.eye(#alphabet)
local function ids_to_line(ids)
  return saros.embedding(identity, ids)
end

-- ---- Data ----------------------------------------------------------------------------------

-- The languages, sorted, and names[i], the list of those of languages[i].
local languages, names = script.attempt(data.names, options.data,
  {add = options.add, min_count = options.min_count})

local Names = data.Dataset:extend("Names")

function Names:init(lists)
  self.labels, self.items = {}, {}
  for class, list in ipairs(lists) do
    self.labels[class] = saros.tensor({class})
    for _, name in ipairs(list) do
      table.insert(self.items, {class = class, ids = name_to_ids(name)})
    end
  end
end

function Names:__len() return #self.items end

function Names:get(index)
  local item = self.items[index]
  return {line = ids_to_line(item.ids), label = self.labels[item.class], class = item.class}
end

local set = Names(names)
local train, test = data.random_split(set, {0.85, 0.15},
  {generator = saros.Generator():manual_seed(2024)})
print(("%d names of %d languages: %d to train, %d to test"):format(#set, #languages, #train,
  #test))

-- ---- Model --------------------------------------------------------------------------------

local CharRNN = nn.Module:extend("CharRNN")

function CharRNN:init(input_size, hidden_size, output_size)
  self.rnn = nn.RNN(input_size, hidden_size)
  self.h2o = nn.Linear(hidden_size, output_size)
  self.softmax = nn.LogSoftmax(-1)
end

-- line: (letters, 1, input_size). What the RNN remembers after the last letter decides.
function CharRNN:forward(line)
  local _, hidden = self.rnn(line)
  return self.softmax(self.h2o(hidden[1])) -- (1, output_size)
end

local model = CharRNN(#alphabet, 128, #languages)
print(model)

-- ---- Training --------------------------------------------------------------------------------

local criterion = nn.NLLLoss()
local optimizer = optim.SGD(model:parameters(), {lr = 0.15})
local loop = data.batches(train, {size = 64, shuffle = true, progress = true})

-- The run is kept in a file, with all that it takes to go on exactly where it stopped. A model is
-- kept with a checksum of the languages and names: for others it is of no use.
local run = script.run {
  file = "out/names_classification.safetensors", options = options, goal = "epochs",
  depends = {"seed"}, data = {["languages or names"] = data.checksum {languages, names}},
}
-- epoch: how many are done; losses: the mean loss of a name in each; total: of the batches since.
local state = run:start({model = model, optimizer = optimizer, loop = loop},
  {epoch = 0, losses = {}, total = 0})

local function train_model(interrupted)
  local start = saros.clock()
  model:train()
  for epoch = state.epoch + 1, options.epochs do
    loop.progress = "epoch " .. epoch
    for batch in loop do
      local loss = 0
      for _, item in ipairs(batch) do
        loss = loss + criterion(model(item.line), item.label)
      end
      local mean = loss:item() / #batch
      check(mean < math.huge, "the loss is no finite number any more")
      loss:backward()
      nn.utils.clip_grad_norm_(model:parameters(), 3)
      optimizer:step()
      optimizer:zero_grad()
      state.total = state.total + mean
      loop:postfix {loss = mean}
      if interrupted() then return end
    end
    state.losses[epoch] = state.total / #loop
    state.epoch, state.total = epoch, 0
    print(("epoch %d: loss %.4f"):format(epoch, state.losses[epoch]))
  end
  print(("trained in %.1f s"):format(saros.clock() - start))
end

if run.resumed then print(("model: %s, trained for %d epochs"):format(run.file, state.epoch)) end
if state.epoch < options.epochs then
  run:train(train_model)
  script.tell_picture("loss curve", plot.lines(state.losses, {
    file = "out/names_loss.png", title = "Loss while training", xlabel = "epoch",
    ylabel = "mean loss of a name",
  }))
end

-- ---- Test -------------------------------------------------------------------------------------

-- What the names that were kept for the test are, and what the model takes them for.
local function test_model()
  local confusion = metrics.ConfusionMatrix(#languages)
  saros.no_grad(function()
    for _, item in ipairs(test) do confusion:add(item.class, model(item.line):argmax():item()) end
  end)
  plot.print_confusion(confusion.counts, languages)
  script.tell_picture("confusion matrix", plot.confusion_matrix(confusion.counts, languages, {
    file = "out/names_confusion.png", title = "Languages of names: true and predicted",
  }))
  print(("right: %d of %d names"):format(confusion:right(), #test))
  print(("test accuracy: %.2f"):format(confusion:accuracy()))
end

model:eval()
print()
if #test > 0 then
  test_model()
else
  print(("no test: %d names are too few to keep some for it"):format(#set))
end

-- ---- Predictions -------------------------------------------------------------------------------

local function predict(name)
  print(("\n%s"):format(name))
  local probability, class = saros.no_grad(function()
    return model(ids_to_line(name_to_ids(name)))[1]:exp():topk(math.min(3, #languages))
  end)
  for k = 1, #class do
    print(("  %3.0f %%  %s"):format(100 * probability[k]:item(), languages[class[k]:item()]))
  end
end

-- Sourander is a Finnish name that does not look it.
local unknown = {"Dovesky", "Jackson", "Satoshi", "Rossi", "Sourander"}
for _, name in ipairs(#options > 0 and options or unknown) do predict(name) end
