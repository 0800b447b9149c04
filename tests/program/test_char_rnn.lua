-- scripts/730_char_rnn.lua on the shipped text: what it learns, says and refuses.
package.path = "tests/program/?.lua;" .. package.path
local run = require "run"
local saros = require "saros"
local trained = require "trained"
local equal, contains = run.equal, run.contains
local name, file = "730_char_rnn", "out/char_rnn.safetensors"
local tests = {}

local small = "--hidden 48 --layers 1 --batch 20 --seq-length 25 --lr 0.01 --length 60 "

local function unseen_bits(output)
  return tonumber(output:match("bits per character on text it has not seen: ([%d.]+)"))
end

function tests.trains_then_loads()
  local first = trained.run(name, small .. "--epochs 4 --dropout 0.1 --retrain")
  equal(first.code, 0, first.err)
  contains(first.out, "57978 letters, 66 different ones")
  contains(first.out, "(lstm): LSTM(66, 48)")
  contains(first.out, "/436 (epoch 4) train_loss = ")
  local frequencies = tonumber(first.out:match("how frequent each letter is: ([%d.]+)"))
  assert(frequencies > 4.3 and frequencies < 4.4, frequencies)
  local bits = unseen_bits(first.out)
  assert(bits < frequencies - 1, "bits per character " .. bits)
  contains(first.out, "---- 60 letters at temperature 0.5 ----")
  contains(first.out, "---- 60 letters at temperature 1 ----")
  assert(trained.is_png("out/char_rnn_loss.png"))

  -- the size of the model comes from the file; a prime text is continued, the same each time
  local write = "--temperature 0 --length 30 --prime 'The sea '"
  local again = trained.run(name, write)
  contains(again.out, "model: " .. file .. ", trained for 4 epochs")
  contains(again.out, "(lstm): LSTM(66, 48)")
  run.lacks(again.out, "train_loss")
  equal(unseen_bits(again.out), bits)
  local continued = again.out:match("at temperature 0 ----\n(The sea .*)\n$")
  equal(#continued, #"The sea " + 30)
  contains(trained.run(name, write).out, continued)
  assert(continued:find("the", 1, true), "the likeliest letters: " .. continued)
end

function tests.other_options_are_another_model()
  local quick = "--epochs 1 --batch 50 --seq-length 50 --length 1 "
  trained.run(name, "--hidden 48 --retrain " .. quick)
  local r = trained.run(name, "--hidden 16 " .. quick)
  contains(r.err, file .. " was made with --hidden 48 (--retrain trains anew)")
  equal(r.code, 2)
  local text = run.write(trained.folder .. "/text", ("Sääksmäki, mitä ääntä! "):rep(400))
  local on_text = "--epochs 1 --length 1 --data " .. run.quote(text)
  local bytes = trained.read(file)
  local other = trained.run(name, on_text)
  contains(other.err, file .. " was made with other ")
  equal(other.code, 2)
  assert(trained.read(file) == bytes, "the model is as it was")
  other = trained.run(name, on_text .. " --retrain")
  equal(other.code, 0, other.err)
  contains(other.out, "9201 letters, 12 different ones")
end

-- Without options.
function tests.learns_the_story()
  local r = trained.run(name, "--retrain --length 100")
  equal(r.code, 0, r.err)
  contains(r.out, "(lstm): LSTM(66, 64, num_layers=2)")
  local bits = unseen_bits(r.out)
  assert(bits < 2.4, "bits per character " .. bits)
  local path = trained.folder .. "/" .. file
  local state = saros.load_checkpoint(path, nil, {random_state = false}).state
  equal(#state.train_curve, 12)
  equal(state.loss, 0)
  equal(state.losses, nil)
end

function tests.without_data()
  local r = trained.run_without_data(name)
  equal(r.code, 2, r.err)
  contains(r.err, name .. ".lua: data.path: no data set 'frankenstein.txt'. Looked for:")
  run.lacks(r.err, "traceback")
end

function tests.interrupted_and_resumed()
  local on = trained.goes_on(name, small .. "--epochs 3 --dropout 0.2 --seed 5", file, "--length 1")
  contains(on.out, "327/327 (epoch 3)")
  assert(tonumber(on.out:match("trained on (%d+) letters")) < 327 * 20 * 25, on.out)
end

function tests.help()
  local r = trained.run(name, "--help")
  equal(r.code, 0)
  contains(r.out, "usage: saros 730_char_rnn.lua [options]\n")
  contains(r.out, "  --seq-length N    letters that a gradient looks back (50)\n")
  contains(r.out, "passes over the text (50; 12)\n")
  contains(r.out, "in SAROS_DATA or fetch_data's cache, else a shipped one")
end

function tests.wrong_arguments()
  os.remove(trained.folder .. "/" .. file)
  trained.refuses(name, {
    ["--hiden 3"] = "unknown option --hiden, did you mean '--hidden'?",
    ["more"] = "unexpected argument 'more'",
    ["--hidden 0"] = "--hidden: 1 to 10000 expected, got 0",
    ["--hidden 1000000"] = "--hidden: 1 to 10000 expected, got 1000000",
    ["--hidden 9223372036854775807"] = "--hidden: 1 to 10000 expected, got 9223372036854775807",
    ["--layers 9999999999"] = "--layers: 1 to 1000 expected, got 9999999999",
    ["--lr-decay -1"] = "--lr-decay: a finite number above 0 expected, got -1",
    ["--temperature 1e400"] = "--temperature: 0 or a finite number above 0 expected, got inf",
    ["--seq-length 0"] = "--seq-length: 1 to 1000000000 expected, got 0",
    ["--optimizer sgd"] = "--optimizer: rmsprop or adam expected, got 'sgd'",
    ["--dropout 1.5"] = "--dropout: at least 0 and below 1 expected, got 1.5",
    ["--lr 0"] = "--lr: a finite number above 0 expected, got 0",
    ["--temperature -1"] = "--temperature: 0 or a finite number above 0 expected, got -1",
    ["--prime 'Ägä'"] = "--prime: 'Ä' is not in the text",
    ["--prime ''"] = "--prime: at least one letter expected",
    ["--prime $(printf 'a\\377')"] = "--prime: this is not UTF-8",
    ["--batch 2000"] = run.source .. "/data/eighteen_years.txt is too short: with --batch ",
    ["--batch 1000000000 --seq-length 1000000000"] = run.source
      .. "/data/eighteen_years.txt is too short: ",
    ["--batch 4611686018427387904"] = "--batch: 1 to 1000000000 expected, got 4611686018427387904",
    ["--data /none"] = "--data: there is no file '/none'",
  })
end

function tests.learning_rate_too_large()
  local r = trained.run(name, small .. "--epochs 2 --lr 1e38 --retrain")
  equal(r.code, 2, r.err)
  contains(r.err, "730_char_rnn.lua: the loss is not a number any more: try a smaller --lr ")
  run.lacks(r.err, "traceback")
end

function tests.broken_data()
  run.write(trained.folder .. "/empty", "")
  trained.refuses(name, {["--data empty"] = "empty is too short: "})
  run.write(trained.folder .. "/bytes", "one\ntwo \xff\n")
  trained.refuses(name, {["--data bytes"] = "data.read_lines: bytes:2: invalid UTF-8 at byte 5"})
end

function tests.broken_file_and_full_disk()
  trained.run(name, "--hidden 48 --epochs 1 --length 1 --retrain")
  local path, whole = trained.folder .. "/" .. file, trained.read(file)
  run.write(path, whole:sub(1, -9))
  trained.refuses(name, {[""] = "load: '" .. file .. "': "})
  run.write(path, whole)
  local full = run.shell(("trap '' XFSZ; ulimit -f 16; %s"):format(
    trained.command(name, small .. "--epochs 1 --retrain")))
  equal(full.code, 2, full.err)
  contains(full.err, "730_char_rnn.lua: save: '" .. file .. "': File too large\n")
  assert(trained.read(file) == whole, "the file that was there is gone")
end

run.all(tests)
