-- The scripts 711 and 730 follow PyTorch's losses, step by step: the same weights from the seed,
-- examples, forward, backward and updates. tests/golden/*_curve.json say how they were made.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;tests/program/?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local run = require "run"
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

-- The values that a run of a script left, and what it printed.
local function state_of(script, arguments, file, environment)
  local r = trained.run(script, arguments .. " --retrain", environment)
  lu.assertEquals(r.code, 0, r.out .. r.err)
  local path = trained.folder .. "/out/" .. file
  return saros.load_checkpoint(path, nil, {random_state = false}).state, r.out
end

local Test = {}

function Test:test_names_generation()
  local expected = support.golden_row("generation_curve", "losses")
  lu.assertEquals(#expected, 500)
  local state = state_of("711_names_generation",
    "--steps 500 --seed 7 --dropout 0 --plot-every 1", "names_generation.safetensors")
  compare(expected, state.losses, "711")
end

-- Run before the script: it prints the loss of each window of training.
local print_losses = [[
local data = require("saros").data
local tbptt = data.tbptt
function data.tbptt(...)
  local loop = tbptt(...)
  function loop:postfix(values) print(("window loss %.9g"):format(values.loss)) end
  return loop
end]]

for optimizer, lr in pairs {rmsprop = 0.003, adam = 0.01} do
  Test["test_char_rnn_" .. optimizer] = function()
    local state, output = state_of("730_char_rnn", ("--optimizer %s --lr %g --seed 7 --hidden 64 "
      .. "--batch 50 --seq-length 25 --epochs 3 --length 1"):format(optimizer, lr),
      "char_rnn.safetensors", "LUA_INIT=" .. run.quote(print_losses))
    local losses = {}
    for loss in output:gmatch("window loss (%S+)\n") do table.insert(losses, tonumber(loss)) end
    compare(support.golden_row("char_rnn_curve", optimizer), losses, optimizer)
    compare(support.golden_row("char_rnn_curve", optimizer .. "_valid"), state.valid_curve,
      optimizer .. ", validation")
  end
end

support.run {TestCurvesNames = Test}
