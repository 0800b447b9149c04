-- Names, the other way round: make up a surname of a language.
--
-- A recurrent network is told a language and a letter, says which letter comes next, is told
-- that one, and so on until it says that the name ends. This is PyTorch's tutorial "NLP From
-- Scratch: Generating Names with a Character-Level RNN": the same data, model, training and
-- numbers. The network is written by hand, of linear layers; 710 has the ready-made one.

local saros = require "saros"
local nn, data, text, plot, script = saros.nn, saros.data, saros.text, saros.plot, saros.script

local options = script.options {
  [[
Trains a character-level RNN to make up surnames of a language, or loads the one it trained
before, and prints names that begin with given letters: Russian=RUS is a Russian name with R,
one with U and one with S. The model and a picture are kept in the folder out/. Ctrl-C stops the
training; the next start goes on with it.]],
  arguments = "[LANGUAGE=LETTERS ...]",
  {"steps", "integer", nil, "names to train on, drawn at random (100000; 20000 of fewer than "
    .. "5000)"},
  {"seed", "integer", 1, "of the first weights and of all that is drawn"},
  {"device", "device", nil, "cpu or cuda"},
  {"data", "folder", nil, 'one file per language, one name per line (the data set "names")'},
  {"add", "named file", nil, "a language more, as Finnish=names.txt (names, or names and counts); "
    .. "may be repeated", many = true},
  {"min_count", "integer", 0, "leave out names in --add that are rarer"},
  {"dropout", "number", 0.1, "share of the outputs that is dropped in training"},
  {"print_every", "integer", 5000, "names between two lines of progress"},
  {"plot_every", "integer", 500, "names whose losses make one point of the curve"},
  {"temperature", "number", 0, "0: always the likeliest letter; 1: draw as the network says"},
  {"top_k", "integer", 0, "draw from so many likeliest letters only; 0: from all"},
  {"top_p", "number", 1, "draw from the likeliest letters that have this share together"},
  {"retrain", "flag", false, "train, even if a trained model is there"},
}

local check = script.check
check(options.dropout >= 0 and options.dropout < 1,
  "--dropout: at least 0 and below 1 expected, got %g", options.dropout)
check(options.print_every > 0, "--print-every: at least 1 expected")
check(options.plot_every > 0, "--plot-every: at least 1 expected")
check(options.temperature >= 0 and options.temperature < math.huge,
  "--temperature: a finite number of at least 0 expected, got %g", options.temperature)
check(options.top_p > 0 and options.top_p <= 1, "--top-p: above 0 and at most 1 expected, got %g",
  options.top_p)
check(options.min_count == 0 or #options.add > 0, "--min-count: it needs --add")
saros.set_default_device(options.device)

-- ---- Data ----------------------------------------------------------------------------------

-- The alphabet; one more sign ends a name. Accents are taken off: "Ślusàrski" is "Slusarski".
local alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'-"
local end_of_name = #alphabet + 1
local n_letters = #alphabet + 1

-- A name as the places of its letters in the alphabet: "Abe" is {27, 2, 5}. Signs that are not
-- in the alphabet are left out.
local function name_to_ids(name)
  local ids = {}
  for _, letter in text.codes(text.strip_marks(name)) do
    table.insert(ids, (alphabet:find(letter, 1, true)))
  end
  return ids
end

-- The languages, sorted, and names[i], the names of languages[i], each a list of ids.
local languages, lists = script.attempt(data.names, options.data,
  {add = options.add, min_count = options.min_count})
local names, n_names = {}, 0
for i, list in ipairs(lists) do
  names[i] = {}
  for _, name in ipairs(list) do
    local ids = name_to_ids(name)
    if #ids > 0 then table.insert(names[i], ids) end
  end
  n_names = n_names + #names[i]
  check(#names[i] > 0, "%s: no name in it has a letter of the alphabet", languages[i])
end
options.steps = options.steps or (n_names < 5000 and 20000 or 100000)
print(("%d languages: %s"):format(#languages, table.concat(languages, " ")))

local place = {}
for i, language in ipairs(languages) do place[language] = i end

-- What to show at the end, {language, letters}: what the command line asks for ...
local wishes = {}
for i, word in ipairs(options) do
  check(utf8.len(word), "argument %d: this is not UTF-8", i)
  local language, letters = word:match("^(.-)=(.+)$")
  check(place[language], "'%s': LANGUAGE=LETTERS expected; there are %s", word,
    table.concat(languages, ", "))
  for _, letter in text.codes(letters) do
    check(alphabet:find(letter, 1, true), "'%s': '%s' is not in the alphabet", word, letter)
  end
  wishes[i] = {language, letters}
end

-- ... or what the tutorial shows, of the languages that there are.
if #wishes == 0 then
  for _, wish in ipairs {{"Russian", "RUS"}, {"German", "GER"}, {"Spanish", "SPA"},
    {"Chinese", "CHI"}, {"Finnish", "ABCDEFGHIJKL"}} do
    if place[wish[1]] then table.insert(wishes, wish) end
  end
end
if #wishes == 0 then wishes = {{languages[1], "ABC"}} end

-- ---- Names as tensors ------------------------------------------------------------------------

-- A language and a letter are told by a 1 at their place in a row of zeros, (1, size): these are
-- the rows of identity matrices.
local language_rows = saros.eye(#languages):split(1)
local letter_rows = saros.eye(n_letters):split(1)

-- The letters that the network is to say: each letter's successor, then the end.
local targets = {}
for id = 1, n_letters do targets[id] = saros.tensor {id} end

local function random_position(list)
  return saros.randint(1, #list + 1, {1}, {device = "cpu"}):item()
end

-- Every language is equally likely, however many names it has.
local function random_example()
  local language = random_position(languages)
  local list = names[language]
  return language, list[random_position(list)]
end

-- ---- Model -----------------------------------------------------------------------------------

local Generator = nn.Module:extend("Generator")

-- i, h and o are input, hidden and output.
function Generator:init(n_languages, input_size, hidden_size, output_size, dropout)
  self.hidden_size = hidden_size
  self.i2h = nn.Linear(n_languages + input_size + hidden_size, hidden_size)
  self.i2o = nn.Linear(n_languages + input_size + hidden_size, output_size)
  self.o2o = nn.Linear(hidden_size + output_size, output_size)
  self.dropout = nn.Dropout(dropout)
  self.softmax = nn.LogSoftmax(2)
end

-- language: (1, languages), letter: (1, letters), hidden: (1, hidden)
function Generator:forward(language, letter, hidden)
  local input = saros.cat({language, letter, hidden}, 2)
  hidden = self.i2h(input)
  local output = self.o2o(saros.cat({hidden, self.i2o(input)}, 2))
  return self.softmax(self.dropout(output)), hidden
end

function Generator:first_hidden()
  return saros.zeros(1, self.hidden_size)
end

-- The run is kept in a file, with all that it takes to go on exactly where it stopped. A model is
-- kept with a checksum of the languages and names: for others it is of no use.
local run = script.run {
  file = "out/names_generation.safetensors", options = options, goal = "steps",
  depends = {"seed", "dropout", "plot_every"},
  data = {["languages or names"] = data.checksum {languages, lists}},
}

saros.manual_seed(options.seed)
local model = Generator(#languages, n_letters, 128, n_letters, options.dropout)
print(model)

-- ---- Training ----------------------------------------------------------------------------------

local criterion = nn.NLLLoss()
local learning_rate = 0.0005 -- lower: slower learning; higher: it may never learn
local parameters = model:parameters()

-- One name: the sum of the losses of its letters, one step downhill. Returns a letter's loss.
local function train_on(language, ids)
  local hidden, loss = model:first_hidden(), 0
  local output
  model:zero_grad()
  for i, id in ipairs(ids) do
    output, hidden = model(language_rows[language], letter_rows[id], hidden)
    loss = loss + criterion(output, targets[ids[i + 1] or end_of_name])
  end
  local mean = loss:item() / #ids
  check(mean < math.huge, "the loss is no finite number any more: try a smaller learning_rate than "
    .. "%g, or shorter names (this one has %d letters)", learning_rate, #ids)
  loss:backward()
  saros.no_grad(function()
    for _, p in ipairs(parameters) do p:add_(p.grad, {alpha = -learning_rate}) end
  end)
  return mean
end

local function time_since(start)
  local seconds = math.floor(saros.clock() - start)
  return ("%dm %ds"):format(seconds // 60, seconds % 60)
end

-- state.losses has the mean of each plot_every names; state.total is the sum of those since.
local state = run:start({model = model}, {step = 0, total = 0, losses = {}})

local function train_model(interrupted)
  local start, first = saros.clock(), state.step
  model:train()
  while state.step < options.steps do
    local loss = train_on(random_example())
    state.step, state.total = state.step + 1, state.total + loss
    if state.step % options.print_every == 0 then
      print(("%s (%d %d%%) %.4f"):format(time_since(start), state.step,
        100 * state.step // options.steps, loss))
    end
    if state.step % options.plot_every == 0 then
      table.insert(state.losses, state.total / options.plot_every)
      state.total = 0
    end
    if interrupted() then return end
  end
  print(("trained on %d names, %.0f a second"):format(state.step - first,
    (state.step - first) / (saros.clock() - start)))
end

if run.resumed then print(("model: %s, trained on %d names"):format(run.file, state.step)) end
if state.step < options.steps then run:train(train_model) end

-- ---- What it learned ---------------------------------------------------------------------------

if #state.losses > 0 then
  local last = math.max(1, math.min(#state.losses, 5000 // options.plot_every))
  local steps, total = {}, 0
  for i = 1, #state.losses do steps[i] = i * options.plot_every end
  for i = #state.losses - last + 1, #state.losses do total = total + state.losses[i] end
  print(("mean loss of the last %d names: %.4f (without a model: %.4f)"):format(
    last * options.plot_every, total / last, math.log(n_letters)))
  script.tell_picture("loss curve", plot.lines(state.losses, {
    file = "out/names_generation_loss.png", title = "Loss while training", x = steps,
    xlabel = "names", ylabel = "mean loss of a letter",
  }))
end

local longest_name = 20

-- A name of a language that begins with a letter. how: see saros.sample.
local function sample(language, first_letter, how)
  local name, hidden = {first_letter}, model:first_hidden()
  local id = alphabet:find(first_letter, 1, true)
  for _ = 1, longest_name do
    local output
    output, hidden = model(language_rows[language], letter_rows[id], hidden)
    id = saros.sample(output[1], how):item()
    if id == end_of_name then break end
    table.insert(name, alphabet:sub(id, id))
  end
  return table.concat(name)
end

-- As many names as there are letters.
local function samples(language, letters, how)
  local list = {}
  model:eval()
  saros.no_grad(function()
    for letter in letters:gmatch(".") do table.insert(list, sample(language, letter, how)) end
  end)
  return table.concat(list, " ")
end

local how = {
  temperature = options.temperature, top_k = options.top_k > 0 and options.top_k or nil,
  top_p = options.top_p,
}
print()
for _, wish in ipairs(wishes) do
  print(("%s: %s"):format(wish[1], samples(place[wish[1]], wish[2], how)))
end

-- The likeliest letters give the same names each time; the higher the temperature, the more
-- they differ.
if options.temperature == 0 and #options == 0 then
  local language = wishes[1][1]
  for _, temperature in ipairs {0.3, 0.6, 0.9} do
    print(("%s, temperature %.1f: %s"):format(language, temperature,
      samples(place[language], "RRRR", {temperature = temperature, top_p = 0.95})))
  end
end
