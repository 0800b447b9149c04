-- Name classifier (710): nn.RNN 58 -> 128, examples one by one within a batch of 64.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local bench = require "common"
local args = bench.parse("names_cls", {steps = 40, warmup = 4, batch = 64})
local saros = require "saros"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text

local LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'_"
local BATCH = 64

local function line_tensor(name)
  local ids = {}
  for _, char in text.codes(name) do
    ids[#ids + 1] = LETTERS:find(char, 1, true) or #LETTERS
  end
  return saros.one_hot(saros.tensor(ids), #LETTERS):float():unsqueeze(2)
end

local items, classes = {}, {}
local folder = args.data or data.path("names")
for _, file in ipairs(data.list_files(folder, "%.txt$")) do
  classes[#classes + 1] = file
  for _, name in ipairs(data.read_lines(file)) do
    if name ~= "" then
      items[#items + 1] = {line = line_tensor(name), label = saros.tensor{#classes}}
    end
  end
end
local train = data.random_split(items, {0.85, 0.15},
                                {generator = saros.Generator():manual_seed(2024)})

local Classifier = nn.Module:extend("Classifier")

function Classifier:init(inputs, hidden, outputs)
  self.rnn = nn.RNN(inputs, hidden)
  self.h2o = nn.Linear(hidden, outputs)
  self.softmax = nn.LogSoftmax(-1)
end

function Classifier:forward(x)
  local _, hidden = self.rnn(x)
  return self.softmax(self.h2o(hidden[1]))
end

local model = Classifier(#LETTERS, 128, #classes)
local criterion = nn.NLLLoss()
local optimizer = optim.SGD(model:parameters(), {lr = 0.15})

local next_batch = bench.forever(data.batches(train, {size = BATCH, shuffle = true}))

local function step()
  local batch = next_batch()
  local total = 0
  for _, item in ipairs(batch) do
    total = total + criterion(model(item.line), item.label)
  end
  total:backward()
  nn.utils.clip_grad_norm_(model:parameters(), 3)
  optimizer:step()
  optimizer:zero_grad()
  return #batch, total:item() / #batch
end

bench.report(args, "examples/s", bench.measure(args, step), {examples = #items})
