-- The shapes of sequence problems: what goes in, what comes out, and when.
--
--   vector to vector        o -> o         no time at all: which digit does a display show?
--   sequence to vector      ooo -> o       read all, then say: a binary number modulo 3
--   vector to sequence      o -> ooo       a state, then on its own: a wave from its frequency
--   synced sequences        ooo -> ooo     a tag for each step: how deep in brackets?
--   encoder and decoder     ooo -> oooo    read all, then write: a word backwards
--
-- Each has a small problem, whose data is drawn as it goes, and the smallest network that solves
-- it. Inputs are (steps, batch, features), PyTorch's order, but in the last part.

local saros = require "saros"
local nn, optim, plot, script = saros.nn, saros.optim, saros.plot, saros.script

local options = script.options {
  [[
Five kinds of sequence problems, from vector to vector to encoder and decoder: trains a small
network for each, or loads the one it trained before, compares it with chance and shows what it
does. The networks and a picture are kept in the folder out/. Ctrl-C stops the training; the next
start goes on with it.]],
  {"steps", "integer", 400, "training steps of each network"},
  {"seed", "integer", 1, "of the weights and of the data"},
  {"device", "device", nil, "cpu or cuda"},
  {"retrain", "flag", false, "train, even if trained networks are there"},
}

saros.set_default_device(options.device)
saros.manual_seed(options.seed)

-- ---- What all share ------------------------------------------------------------------------

local function file_of(name) return ("out/shape_%s.safetensors"):format(name) end

-- All anew or none: a start after Ctrl-C must not find networks of different seeds.
if options.retrain then
  for _, name in ipairs {
    "display", "remainder", "wave", "brackets", "reverse", "reverse_attention",
  } do os.remove(file_of(name)) end
end

-- Trains `model` by the losses of fresh batches that draw_loss() gives; shows some on the way.
-- The run is kept in a file, random state included: what comes behind is the same, trained or
-- loaded.
local function fit(name, model, draw_loss)
  print(model)
  local parameters = model:parameters()
  local optimizer = optim.Adam(parameters, {lr = 0.01})
  local schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, math.max(1, options.steps))
  local run = script.run {
    file = file_of(name), options = options, depends = {"seed", "steps"},
  }
  local state = run:start({model = model, optimizer = optimizer, schedule = schedule},
    {step = 0, losses = {}, seconds = 0})

  local function train(interrupted)
    local start = saros.clock() - state.seconds
    for step = state.step + 1, options.steps do
      local loss = draw_loss()
      optimizer:zero_grad()
      loss:backward()
      nn.utils.clip_grad_norm_(parameters, 1)
      optimizer:step()
      schedule:step()
      if step == 1 or step % math.max(1, options.steps // 5) == 0 then
        table.insert(state.losses, ("%.3f"):format(loss:item()))
      end
      state.step, state.seconds = step, saros.clock() - start
      if interrupted() then return end
    end
  end

  if run.resumed then print(("model: %s, trained for %d steps"):format(run.file, state.step)) end
  if state.step < options.steps then run:train(train) end
  print(("loss %s, %.1f s"):format(table.concat(state.losses, " "), state.seconds))
end

local criterion = nn.CrossEntropyLoss()

-- Classes (..) of scores (.., classes), and which share of them is right.
local function best(scores) return scores:argmax(-1) end
local function share(truth) return truth:float():mean():item() end

local summary = {}

local function report(shape, what, accuracy, chance)
  print(("%s: %.3f right, chance %.3f"):format(what, accuracy, chance))
  table.insert(summary, ("%-22s %-36s %6.3f  %6.3f"):format(shape, what, accuracy, chance))
end

local function heading(text) print(("\n%s\n%s"):format(text, ("-"):rep(#text))) end

-- A random length for a batch.
local function draw_length(from, to) return saros.randint(from, to + 1, {1}):item() end

-- ---- Vector to vector ----------------------------------------------------------------------

heading "vector to vector: which digit does a noisy seven-segment display show?"

-- Segments: top, upper left, upper right, middle, lower left, lower right, bottom.
local segments = saros.tensor {
  {1, 1, 1, 0, 1, 1, 1}, {0, 0, 1, 0, 0, 1, 0}, {1, 0, 1, 1, 1, 0, 1}, {1, 0, 1, 1, 0, 1, 1},
  {0, 1, 1, 1, 0, 1, 0}, {1, 1, 0, 1, 0, 1, 1}, {1, 1, 0, 1, 1, 1, 1}, {1, 0, 1, 0, 0, 1, 0},
  {1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 0, 1, 1},
}:float()

-- Displays (count, 7) and their digits (count), as classes from 1.
local function displays(count)
  local digits = saros.randint(1, 11, {count})
  return saros.embedding(segments, digits) + 0.3 * saros.randn(count, 7), digits
end

local function vector_to_vector()
  local model = nn.Sequential(nn.Linear(7, 32), nn.ReLU(), nn.Linear(32, 10))
  fit("display", model, function()
    local display, digits = displays(64)
    return criterion(model(display), digits)
  end)
  local _ <close> = saros.no_grad()
  local display, digits = displays(1000)
  report("vector to vector", "a noisy display", share(best(model(display)):eq(digits)), 1 / 10)
end

vector_to_vector()

-- ---- Sequence to vector --------------------------------------------------------------------

heading "sequence to vector: the remainder of a binary number by 3"

-- What remains in the state after the last step is read. The network has to find a machine of
-- three states: a bit b takes the remainder r to (2 r + b) mod 3. It is trained on numbers of 1
-- to 8 bits and tested on 20 bits.
local Remainder = nn.Module:extend("Remainder")

function Remainder:init(hidden)
  self.rnn = nn.GRU(2, hidden)
  self.read = nn.Linear(hidden, 3)
end

function Remainder:forward(bits) -- (steps, batch, 2)
  local _, last = self.rnn(bits)
  return self.read(last[1]) -- (batch, 3)
end

local bit_vectors = saros.eye(2)

-- Numbers (length, count, 2), their remainders as classes (count), and their bits.
local function numbers(length, count)
  local bits = saros.randint(0, 2, {length, count})
  local remainder = saros.zeros(count, {dtype = "int64"})
  for t = 1, length do remainder = (2 * remainder + bits[t]) % 3 end
  return saros.embedding(bit_vectors, bits + 1), remainder + 1, bits
end

local function sequence_to_vector()
  local model = Remainder(32)
  fit("remainder", model, function()
    local input, remainder = numbers(draw_length(1, 8), 64)
    return criterion(model(input), remainder)
  end)
  local _ <close> = saros.no_grad()
  local input, remainder, bits = numbers(20, 1000)
  local found = best(model(input))
  for k = 1, 3 do
    local digits = table.concat(bits[{ {}, k }]:totable())
    print(("  %s = %d: remainder %d, it says %d"):format(digits, tonumber(digits, 2),
      remainder[k]:item() - 1, found[k]:item() - 1))
  end
  report("sequence to vector", "20 bits modulo 3", share(found:eq(remainder)), 1 / 3)
end

sequence_to_vector()

-- ---- Vector to sequence --------------------------------------------------------------------

heading "vector to sequence: a wave from its frequency"

-- The vector makes the first state; then nothing comes in, and the state moves on its own, like
-- a pendulum that was let go.
local Wave = nn.Module:extend("Wave")

function Wave:init(hidden)
  self.start = nn.Linear(1, hidden)
  self.rnn = nn.GRU(1, hidden)
  self.draw = nn.Linear(hidden, 1)
end

function Wave:forward(frequency, length) -- (batch, 1)
  local state = self.start(frequency):tanh():unsqueeze(1)
  local output = self.rnn(saros.zeros(length, #frequency, 1), state)
  return self.draw(output):squeeze(3) -- (length, batch)
end

local wave_length = 30
local time = saros.arange(0, wave_length):unsqueeze(2):float()

-- Frequencies from -1 to 1 (count, 1) and their waves (length, count): 1 to 3 periods.
local function waves(count)
  local frequency = 2 * saros.rand(count, 1) - 1
  return frequency, ((0.4 + 0.2 * frequency:t()) * time):sin()
end

local function vector_to_sequence()
  local model, loss = Wave(32), nn.MSELoss()
  fit("wave", model, function()
    local frequency, wave = waves(32)
    return loss(model(frequency, wave_length), wave)
  end)
  local _ <close> = saros.no_grad()
  local frequency, wave = waves(500)
  local drawn = model(frequency, wave_length)
  plot.print_lines({drawn[{ {}, 1 }], wave[{ {}, 1 }]}, {labels = {"drawn", "true"}, height = 9})
  -- A point is right where it is off by less than 0.1; by chance, as those of another wave are.
  local function near(a) return share((a - wave):abs():lt(0.1)) end
  report("vector to sequence", "points of a wave", near(drawn), near(wave:roll(1, 2)))
end

vector_to_sequence()

-- ---- Synced sequences ----------------------------------------------------------------------

heading "synced sequences: how deep in brackets is each letter?"

-- A tag for each step, of what was read so far: the output of every step is read. Trained on texts
-- of 20 signs, tested on 40.
local Tagger = nn.Module:extend("Tagger")

function Tagger:init(signs, hidden, tags)
  self.embedding = nn.Embedding(signs, 8)
  self.rnn = nn.GRU(8, hidden)
  self.read = nn.Linear(hidden, tags)
end

function Tagger:forward(ids) -- (steps, batch)
  local output = self.rnn(self.embedding(ids))
  return self.read(output) -- (steps, batch, tags)
end

local signs, deepest = "abc()", 3
local open, close = 4, 5

-- From any ids, in place, a text whose brackets are at most 3 deep and never close what is not
-- open; gives the depth of each sign, a bracket counting as what it encloses.
local function balance(ids)
  local depth, depths = 0, {}
  for t, id in ipairs(ids) do
    if id == open and depth == deepest then ids[t] = close end
    if id == close and depth == 0 then ids[t] = open end
    if ids[t] == open then depth = depth + 1 end
    depths[t] = depth
    if ids[t] == close then depth = depth - 1 end
  end
  return depths
end

-- Texts and depths + 1, as classes, both (length, count).
local function texts(length, count)
  local ids, tags = saros.randint(1, #signs + 1, {count, length}):totable(), {}
  for row = 1, count do tags[row] = balance(ids[row]) end
  return saros.tensor(ids):t():contiguous(), saros.tensor(tags):t() + 1
end

local function synced()
  local model = Tagger(#signs, 32, deepest + 1)
  fit("brackets", model, function()
    local ids, tags = texts(20, 32)
    return criterion(model(ids):flatten(1, 2), tags:flatten())
  end)
  local _ <close> = saros.no_grad()
  local ids, tags = texts(40, 500)
  local found = best(model(ids))
  local text, depths = {}, {}
  for t, id in ipairs(ids[{ {}, 1 }]:totable()) do
    text[t], depths[t] = signs:sub(id, id), found[{t, 1}]:item() - 1
  end
  print(("  %s\n  %s"):format(table.concat(text), table.concat(depths)))
  local commonest = saros.one_hot(tags:flatten(), deepest + 1):float():mean(1):max():item()
  report("synced sequences", "depth in brackets", share(found:eq(tags)), commonest)
end

synced()

-- ---- Encoder and decoder -------------------------------------------------------------------

heading "encoder and decoder: a word backwards"

-- The encoder reads the word, the decoder writes another, which begins where reading ends. Its
-- state is all that the decoder has of the word; with attention it also looks back, before each
-- letter, at what the encoder said at each step. Here the batch comes first, as attention has it.
local Reverser = nn.Module:extend("Reverser")

local alphabet = "abcdefghijklmnopqrstuvwxyz"
local start_sign = #alphabet + 1 -- what the decoder reads before the first letter

function Reverser:init(hidden, attention)
  self.embedding = nn.Embedding(start_sign, 16)
  self.encoder = nn.GRU(16, hidden, {batch_first = true, bidirectional = true})
  self.decoder = nn.GRU(16, hidden, {batch_first = true})
  if attention then self.attention = nn.BahdanauAttention(hidden, 2 * hidden) end
  self.read = nn.Linear(attention and 3 * hidden or hidden, #alphabet)
end

-- What the decoder has of words (batch, steps): the state of the encoder's first direction,
-- which has read the word to its end, and for attention a memory of both directions.
function Reverser:encode(words)
  local output, state = self.encoder(self.embedding(words))
  return state[{ {1, 1} }], self.attention and self.attention:precompute(output)
end

-- Scores of the letters that follow the letters `before`, (batch, steps), the next state, and
-- the weights of attention, (batch, steps, letters of the word).
function Reverser:decode(before, state, memory)
  local output, weights
  output, state = self.decoder(self.embedding(before), state)
  if memory then
    local context
    context, weights = self.attention(output, memory)
    output = saros.cat({output, context}, 3)
  end
  return self.read(output), state, weights
end

local function start_signs(count)
  return saros.full({count, 1}, start_sign, {dtype = "int64"})
end

-- In training the decoder reads the true letters, all steps at once (teacher forcing).
function Reverser:loss(words, target)
  local state, memory = self:encode(words)
  local before = saros.cat({start_signs(#words), target[{ {}, {1, -2} }]}, 2)
  return criterion(self:decode(before, state, memory):flatten(1, 2), target:flatten())
end

-- Afterwards it reads what it wrote itself, letter by letter. Gives letters (batch, length) and
-- the weights of attention (batch, length, letters of the word).
function Reverser:write(words, length)
  local state, memory = self:encode(words)
  local letters, looks, before = {}, {}, start_signs(#words)
  for t = 1, length do
    local scores
    scores, state, looks[t] = self:decode(before, state, memory)
    before = best(scores)
    letters[t] = before
  end
  return saros.cat(letters, 2), memory and saros.cat(looks, 2)
end

local function words(length, count) return saros.randint(1, #alphabet + 1, {count, length}) end

local function train_reverser(name, what, model)
  fit(name, model, function()
    local input = words(draw_length(3, 8), 32)
    return model:loss(input, input:flip(2))
  end)
  local _ <close> = saros.no_grad()
  local input = words(8, 500)
  local written = model:write(input, 8)
  report("encoder and decoder", what, share(written:eq(input:flip(2))), 1 / #alphabet)
end

-- A word as letters (1, length), and letters (length) as a word.
local function ids_of(word)
  local ids = {}
  for t = 1, #word do ids[t] = alphabet:find(word:sub(t, t)) end
  return saros.tensor {ids}
end

local function word_of(ids)
  local letters = {}
  for t, id in ipairs(ids:totable()) do letters[t] = alphabet:sub(id, id) end
  return table.concat(letters)
end

local function letters_of(word)
  local letters = {}
  for t = 1, #word do letters[t] = word:sub(t, t) end
  return letters
end

-- Where the decoder looks for each letter that it writes: from the last letter to the first.
local function draw_attention(model, word)
  local written, weights = model:write(ids_of(word), #word)
  script.tell_picture("picture", plot.heatmap(weights[1], {
    file = "out/shape_reverse_attention.png", title = "What each letter is read from",
    xlabels = letters_of(word), ylabels = letters_of(word_of(written[1])), xlabel = "read",
    ylabel = "written",
  }))
end

local function encoder_and_decoder()
  local plain, attentive = Reverser(64), Reverser(64, true)
  train_reverser("reverse", "8 letters backwards", plain)
  train_reverser("reverse_attention", "the same with attention", attentive)
  local _ <close> = saros.no_grad()
  for _, word in ipairs {"moon", "eclipse", "sequence"} do
    print(("  %s: %s, with attention %s"):format(word, word_of(plain:write(ids_of(word), #word)[1]),
      word_of(attentive:write(ids_of(word), #word)[1])))
  end
  draw_attention(attentive, "sequence")
end

encoder_and_decoder()

-- ---- What was learned ----------------------------------------------------------------------

print(("\n%-22s %-36s %6s  %6s"):format("shape", "problem", "right", "chance"))
for _, line in ipairs(summary) do print(line) end
