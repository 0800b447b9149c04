-- scripts/700_rnn_by_hand.lua, 701_gradients_through_time.lua and 702_sequence_shapes.lua: what
-- they compute and learn, as they print it.
package.path = "tests/program/?.lua;" .. package.path
local run, trained = require "run", require "trained"
local tests = {}

local by_hand, gradients, shapes = "700_rnn_by_hand", "701_gradients_through_time",
  "702_sequence_shapes"

local function path_of(name) return ("%s/scripts/%s.lua"):format(run.source, name) end

-- 702 keeps its networks: without them.
local function anew(name) return name == shapes and "--retrain" or "" end

-- What a script prints, run once for all tests that ask.
local outputs = {}
local function output_of(name)
  if not outputs[name] then
    local r = trained.run(name, anew(name))
    run.equal(r.code, 0, name .. ": " .. r.err)
    outputs[name] = r.out
  end
  return outputs[name]
end

local function below(value, limit, what)
  if value < limit then return end -- so that NaN fails
  error(("%s: %g is not below %g"):format(what, value, limit), 2)
end

local function above(value, limit, what)
  if value > limit then return end
  error(("%s: %g is not above %g"):format(what, value, limit), 2)
end

-- The words of the first line that begins with `head`, behind that.
local function words_behind(text, head)
  local first, last = ("\n" .. text):find("\n" .. head, 1, true)
  assert(first, "no line begins with " .. head)
  local words = {}
  for word in text:match("[^\n]*", last):gmatch("%S+") do words[#words + 1] = word end
  return words
end

local function numbers_behind(text, head)
  local numbers = {}
  for _, word in ipairs(words_behind(text, head)) do numbers[#numbers + 1] = tonumber(word) end
  return numbers
end

-- ---- 700 -------------------------------------------------------------------------------

function tests.by_hand_agrees_with_built_in()
  local out = output_of(by_hand)
  for head, parameters in pairs {
    ["FedBack  RNNCell "] = 6144, ["FedBack  RNN "] = 6144, ["RNN      RNNCell "] = 6272,
    ["RNN      RNN "] = 6272, ["LSTM     LSTMCell "] = 25088, ["LSTM     LSTM "] = 25088,
    ["GRU      GRUCell "] = 18816, ["GRU      GRU "] = 18816,
  } do
    run.equal(table.concat(words_behind(out, head), " ", 1, 3), "[16, 100, 64]", head)
    local found = numbers_behind(out, head)
    run.equal(found[1], parameters, head)
    run.equal(#found, 4, head)
    below(found[2], 1e-6, head .. "outputs")
    below(found[3], 1e-6, head .. "states")
    below(found[4], 1e-5, head .. "gradients")
  end
  run.contains(out, "GRU(32, 64, num_layers=3, batch_first=true)")
  run.contains(out, "output [16, 100, 64], state [3, 16, 64]")
  run.contains(out, "\nBy hand and built in agree.\n")
end

function tests.by_hand_learns_what_built_in_learns()
  local out = output_of(by_hand)
  for _, name in ipairs {"RNN", "LSTM", "GRU"} do
    local own = numbers_behind(out, name .. " by hand")
    local built_in = numbers_behind(out, "nn." .. name)
    above(own[1], 0.2, name .. " first loss")
    below(math.abs(own[1] - built_in[1]), 0.01, name .. " first losses")
    below(own[5], 0.05, name .. " last loss")
    above(own[6], 0.95, name .. " by hand: accuracy, chance 0.125")
    above(built_in[6], 0.95, name .. ": accuracy, chance 0.125")
  end
end

-- Each gate counts: with one of them changed the script says what differs, and fails.
function tests.a_wrong_gate_is_found()
  local file <close> = assert(io.open(path_of(by_hand)))
  local text = file:read("a")
  for from, kind in pairs {
    ["f * c + i * g"] = "LSTM", ["z * h + (1 - z) * n"] = "GRU",
    ["self.x_h(x) + self.h_h(h)"] = "RNN",
  } do
    local wrong = from:gsub("%+", "-")
    local at, to = text:find(from, 1, true)
    local path = run.write(trained.folder .. "/wrong.lua",
      text:sub(1, at - 1) .. wrong .. text:sub(to + 1))
    local r = run.saros(run.quote(path))
    run.contains(r.err, "wrong.lua: by hand and built in differ: " .. kind .. "Cell outputs: ")
    run.contains(r.err, kind .. " gradients: ")
    run.equal(r.code, 2, kind)
    run.lacks(r.out, "Which symbol")
  end
end

-- ---- 701 -------------------------------------------------------------------------------

-- Norms after 1, 2, 5, 10, 20, 50, 100 steps back and the norm of the weights' gradient.
local function row(name)
  local found = numbers_behind(output_of(gradients), name .. "  ")
  run.equal(#found, 8, name)
  return found
end

function tests.gradients_vanish_and_explode()
  local small, large = row("small (the default)"), row("large")
  for i = 2, 7 do
    below(small[i], small[i - 1], "small weights")
    above(large[i], large[i - 1], "large weights")
  end
  below(small[7], 1e-12, "small weights")
  above(large[7], 1e8, "large weights")
  above(large[8], 1e8, "gradient of large weights")
  below(row("ReLU, small")[7], 1e-12, "ReLU with small weights")
  below(row("LSTM")[7], 1e-12, "LSTM")
  below(row("GRU")[7], 1e-12, "GRU")
end

function tests.remedies_keep_gradients()
  for name, least in pairs {
    Glorot = 1e-8, orthogonal = 1e-6, ["ReLU, He"] = 1e-4, ["ReLU, identity"] = 0.1,
    ["LSTM, forget bias 1"] = 1e-10, ["LSTM, forget bias 3"] = 0.01,
  } do
    above(row(name)[7], least, name)
    below(row(name)[7], 100, name)
  end
  above(row("orthogonal x 1.5")[7], 1, "orthogonal x 1.5")
  -- With normalization the size of the weights does not count.
  for _, kind in ipairs {"layer", "batch"} do
    local small, large = row(kind .. ", small"), row(kind .. ", large")
    for i = 1, 7 do
      below(math.abs(math.log(small[i] / large[i], 10)), 2.5, kind .. " normalization")
    end
    above(small[7], 1e-12, kind .. " normalization")
  end
end

function tests.clipping_and_truncation()
  local free, clipped, cut = row("as they are"), row("clipped to 1"), row("truncated at 25")
  run.equal(clipped[8], 1.0)
  for i = 1, 7 do
    below(math.abs(clipped[i] / free[i] * free[8] - 1), 0.15, "clipped: one factor for all")
  end
  for i = 1, 5 do run.equal(cut[i], free[i], "within the window") end
  run.equal(cut[6], 0)
  run.equal(cut[7], 0)
end

function tests.remedies_help_to_learn()
  local function accuracy(name) return numbers_behind(output_of(gradients), name .. "  ")[3] end
  below(numbers_behind(output_of(gradients), "small weights")[3], 0.35, "small, chance 0.25")
  below(numbers_behind(output_of(gradients), "LSTM       ")[3], 0.35, "LSTM, chance 0.25")
  above(accuracy("LSTM, forget bias 3            "), 0.6, "forget bias 3")
  above(accuracy("orthogonal                     "), 0.9, "orthogonal")
  below(accuracy("orthogonal, truncated at 5"), 0.85, "truncated")
  above(accuracy("orthogonal x 1.5, clipped to 1"), 0.9, "clipped")
  below(accuracy("orthogonal x 1.5, not clipped"), 0.75, "not clipped")
end

function tests.gradient_pictures()
  local out = output_of(gradients)
  for _, file in ipairs {"out/gradients_weights.png", "out/gradients_remedies.png"} do
    run.contains(out, "picture: " .. file)
    assert(trained.is_png(file), file)
  end
  run.contains(out, "log10 of the norm by steps back in time\n")
  run.contains(out, "* large\n")
end

-- ---- 702 -------------------------------------------------------------------------------

function tests.every_shape_is_learned()
  local out = output_of(shapes)
  for head, least in pairs {
    ["vector to vector       a noisy display"] = 0.8,
    ["sequence to vector     20 bits modulo 3"] = 0.8,
    ["vector to sequence     points of a wave"] = 0.9,
    ["synced sequences       depth in brackets"] = 0.97,
    ["encoder and decoder    8 letters backwards"] = 0.25,
    ["encoder and decoder    the same with attention"] = 0.8,
  } do
    local found = numbers_behind(out, head)
    above(found[1], least, head)
    above(found[2], 0.03, head .. ": chance")
    above(found[1], 2 * found[2], head .. ": against chance")
  end
  local count = 0
  for losses in out:gmatch("\nloss ([%d. ]+), ") do
    local first, last = losses:match("^(%S+) .* (%S+)$")
    below(tonumber(last), 0.6 * tonumber(first), "loss " .. losses)
    count = count + 1
  end
  run.equal(count, 6, "losses")
end

function tests.shapes_show_what_they_do()
  local out = output_of(shapes)
  for digits, number in out:gmatch("\n  ([01]+) = (%d+): ") do
    run.equal(tonumber(digits, 2), tonumber(number))
  end
  local number, remainder = out:match(" = (%d+): remainder (%d), it says %d\n")
  run.equal(number % 3, tonumber(remainder))
  run.contains(out, "moon: noom, with attention noom\n")
  run.contains(out, "picture: out/shape_reverse_attention.png\n")
  assert(trained.is_png("out/shape_reverse_attention.png"))
end

-- ---- command lines ---------------------------------------------------------------------

function tests.help()
  for _, name in ipairs {by_hand, gradients, shapes} do
    local r = trained.run(name, "--help")
    run.equal(r.code, 0)
    run.contains(r.out, ("usage: saros %s.lua [options]\n"):format(name))
    for _, option in ipairs {"--steps N", "--seed N", "--device NAME", "--help"} do
      run.contains(r.out, option)
    end
  end
end

function tests.wrong_command_lines()
  for _, name in ipairs {by_hand, gradients, shapes} do
    trained.refuses(name, {
      ["--step 3"] = "unknown option --step, did you mean '--steps'?",
      ["--steps many"] = "--steps: a whole number expected, got 'many'",
      ["--steps -1"] = "--steps: 0 or more expected, got '-1'",
      ["--seed 1.5"] = "--seed: a whole number expected, got '1.5'",
      ["--device gpu"] = "--device: device 'gpu'",
      ["--seed"] = "--seed: a value is missing",
      ["word"] = "unexpected argument 'word'",
    })
  end
end

function tests.without_training()
  for _, name in ipairs {by_hand, gradients, shapes} do
    local r = trained.run(name, "--steps 0 " .. anew(name))
    run.equal(r.err .. r.code, "0", name)
    run.lacks(r.out, "nan", name)
  end
end

function tests.without_gnuplot()
  for _, name in ipairs {gradients, shapes} do
    local r = trained.run(name, "--steps 0 " .. anew(name), "PATH=/none")
    run.contains(r.out, "no picture, gnuplot is not installed")
    run.equal(r.err .. r.code, "0", name)
  end
end

-- Networks that were stopped go on, those that were done are loaded, and all say the same.
function tests.shapes_are_kept()
  local function summary(r)
    run.equal(r.code, 0, r.err)
    return r.out:match("\nshape .*")
  end
  local whole = summary(trained.run(shapes, "--retrain"))
  local again = trained.run(shapes, "")
  run.equal(summary(again), whole)
  for _, kind in ipairs {"display", "reverse_attention"} do
    run.contains(again.out, ("model: out/shape_%s.safetensors, trained for 400 steps"):format(kind))
  end
  local stopped = trained.interrupt(shapes, "--retrain", "out/shape_wave.safetensors")
  run.contains(stopped.err, shapes .. ".lua: interrupted; the next start goes on from ")
  run.equal(stopped.code, 130)
  run.lacks(stopped.out, "points of a wave")
  run.equal(summary(trained.run(shapes, "")), whole)
end

function tests.out_is_a_file()
  local other = run.folder()
  run.write(other .. "/out", "")
  for _, name in ipairs {gradients, shapes} do
    local r = run.shell(("cd %s && %s %s"):format(run.quote(other), run.program,
      run.quote(path_of(name))))
    run.contains(r.err, name .. ".lua: ")
    run.contains(r.err, "out")
    run.equal(select(2, r.err:gsub("\n", "")), 1, r.err)
    run.equal(r.code, 2, name)
  end
end

run.all(tests)
