-- The models of scripts 712 to 714, without dropout, follow PyTorch's losses from the same
-- seed on the shipped data: initial weights, order of batches, forward, backward, optimizers.
-- tests/golden/sequence_curves.json has PyTorch's losses and says how they were made.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local models = require "sequence_models"
local support = require "support"
local data = saros.data

local PAIRS, TOLERANCE = "data/translation/eng-fra.txt", 1e-4

-- The losses of step(...) on batches of 32, pass after pass, against a row of the file.
local function compare(name, step, ...)
  local expected = support.golden_row("sequence_curves", name)
  lu.assertEquals(#expected, 100)
  local loop, count = data.batches(data.TensorDataset(...), {size = 32, shuffle = true}), 0
  while true do
    for x, y, z in loop do
      local loss = step(x, y, z)
      count = count + 1
      lu.assertAlmostEquals(loss, expected[count], TOLERANCE, ("step %d"):format(count))
      if count == #expected then return end
    end
  end
end

local TestCurves = {}

function TestCurves:test_translation_with_attention()
  local source, target, sizes = models.read_pairs(PAIRS)
  saros.manual_seed(7)
  compare("attention", models.attention(sizes, 128, 0), source, target)
end

-- The English sentences as one text.
function TestCurves:test_language_model()
  local english = {}
  for line in data.lines(PAIRS) do table.insert(english, line:match("^[^\t]*")) end
  local windows, words = models.read_windows(table.concat(english, "\n"), 200, 40, 3)
  saros.manual_seed(7)
  compare("language_model", models.language_model(200, 100, 128, 0), windows, words)
end

function TestCurves:test_translation_with_lstm()
  local source, given, target = models.read_lstm_pairs(PAIRS, 200, math.huge)
  saros.manual_seed(7)
  compare("lstm", models.lstm(200, 128, 256), source, given, target)
end

support.run {TestCurves = TestCurves}
