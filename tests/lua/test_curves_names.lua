-- The scripts 711 and 730 follow PyTorch's losses, step by step: the same weights from the seed,
-- examples, forward, backward and updates. tests/golden/*_curve.json say how they were made.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;tests/program/?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local trained = require "trained"

local TOLERANCE = 1e-4

local function compare(expected, found, what)
  lu.assertEquals(#found, #expected, what)
  for step = 1, #expected do
    local difference = math.abs(expected[step] - found[step])
    lu.assertTrue(difference <= TOLERANCE, ("%s, step %d: %.7f, PyTorch's %.7f"):format(what, step,
      found[step], expected[step]))
  end
end

-- The values that a run of a script left.
local function state_of(script, arguments, file)
  local r = trained.run(script, arguments .. " --retrain")
  lu.assertEquals(r.code, 0, r.out .. r.err)
  return saros.load_checkpoint(trained.folder .. "/out/" .. file, nil, {random_state = false}).state
end

local Test = {}

function Test:test_names_generation()
  local expected = support.golden_row("generation_curve", "losses")
  lu.assertEquals(#expected, 500)
  local state = state_of("711_names_generation",
    "--steps 500 --seed 7 --dropout 0 --plot-every 1", "names_generation.safetensors")
  compare(expected, state.losses, "711")
end

for optimizer, lr in pairs {rmsprop = 0.003, adam = 0.01} do
  Test["test_char_rnn_" .. optimizer] = function()
    local state = state_of("730_char_rnn", ("--optimizer %s --lr %g --seed 7 --hidden 64 "
      .. "--seq-length 25 --epochs 3 --length 1"):format(optimizer, lr), "char_rnn.safetensors")
    compare(support.golden_row("char_rnn_curve", optimizer), state.losses, optimizer)
    compare(support.golden_row("char_rnn_curve", optimizer .. "_valid"), state.valid_curve,
      optimizer .. ", validation")
  end
end

support.run {TestCurvesNames = Test}
