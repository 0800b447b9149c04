-- The names classifier follows PyTorch's losses from the same seed: initial weights, split,
-- order, forward, backward, clipping and SGD, step by step.
--
-- tests/golden/names_curve_shipped.json is the curve on data/names; names_curve_seed7.json
-- is the one on the full names, compared where $SAROS_DATA has them.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text

local LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'_"
local BATCH, TOLERANCE = 64, 1e-4

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- (letters, 1, 58), one-hot; letters without a place are `_`.
local function line_tensor(name)
  local ids = {}
  for _, char in text.codes(name) do ids[#ids + 1] = LETTERS:find(char, 1, true) or #LETTERS end
  return saros.one_hot(saros.tensor(ids), #LETTERS):float():unsqueeze(2)
end

local function read_names(folder)
  local items, files = {}, data.list_files(folder, "%.txt$")
  for label, file in ipairs(files) do
    local names = read_file(file):match("^%s*(.-)%s*$")
    for name in (names .. "\n"):gmatch("(.-)\n") do
      items[#items + 1] = {line = line_tensor(name), label = saros.tensor {label}}
    end
  end
  return items, #files
end

local function losses(kind, folder, steps)
  local items, classes = read_names(folder)
  local train = data.random_split(items, {0.85, 0.15},
                                  {generator = saros.Generator():manual_seed(2024)})
  saros.manual_seed(7)
  local rnn, h2o = nn[kind](58, 128), nn.Linear(128, classes)
  local parameters = {}
  for _, module in ipairs {rnn, h2o} do
    for _, p in ipairs(module:parameters()) do parameters[#parameters + 1] = p end
  end
  local optimizer = optim.SGD(parameters, {lr = 0.15})
  local order = saros.randperm(#train):totable()
  local list = {}
  for step = 1, steps do
    local total = 0
    for k = (step - 1) * BATCH + 1, step * BATCH do
      local item = train:get(order[k])
      local _, hidden = rnn(item.line)
      if kind == "LSTM" then hidden = hidden[1] end -- of {h, c}
      total = total + saros.nll_loss(h2o(hidden[1]):log_softmax(-1), item.label)
    end
    total:backward()
    nn.utils.clip_grad_norm_(parameters, 3)
    optimizer:step()
    optimizer:zero_grad()
    list[step] = total:item() / BATCH
  end
  return list
end

local function compare(expected, found)
  for step = 1, #expected do
    lu.assertTrue(math.abs(expected[step] - found[step]) <= TOLERANCE,
                  ("step %d: loss %.7f, PyTorch's %.7f"):format(step, found[step], expected[step]))
  end
end

TestNamesCurve = {}

for _, kind in ipairs {"RNN", "LSTM", "GRU"} do
  TestNamesCurve["test_shipped_names_" .. kind] = function()
    local expected = support.golden_row("names_curve_shipped", kind)
    lu.assertTrue(#expected >= 40)
    compare(expected, losses(kind, "data/names", #expected))
  end

  if os.getenv("SAROS_DATA") then
    TestNamesCurve["test_full_names_" .. kind] = function()
      local expected = support.golden_row("names_curve_seed7", kind)
      lu.assertEquals(#expected, 60)
      compare(expected, losses(kind, os.getenv("SAROS_DATA") .. "/names", 60))
    end
  end
end

os.exit(lu.LuaUnit.run())
