-- scripts/713_language_model.lua: what it learns, says and refuses.
package.path = "tests/program/?.lua;" .. package.path
local run = require "run"
local trained = require "trained"
local equal, contains, lacks = run.equal, run.contains, run.lacks
local name, file = "713_language_model", "out/language_model.safetensors"
local tests = {}

local function number(output, pattern)
  return tonumber(output:match(pattern)) or error(("no '%s' in %s"):format(pattern, output), 2)
end

-- The shipped story. An epoch tells it how frequent each word is, and little more.
function tests.reads_the_story()
  local r = trained.run(name, "--epochs 1 --words 500 --batch 64 --length 3 --retrain")
  equal(r.code, 0, r.err)
  contains(r.out, "data/eighteen_years.txt: 11781 words, 1369 different ones\n")
  contains(r.out, "3718 windows to train, 196 to test\n")
  contains(r.out, "(lstm_layers): LSTM(100, 128, num_layers=2, batch_first=true, dropout=0.2)")
  assert(number(r.out, "test loss: ([%d.]+) %(guessing: 6.2146%)") < 5.5, r.out)
  contains(r.out, "\ni saw ")
  contains(r.out, "\nbeam search, the best of 8:\n")
  contains(r.out, "\nwords close to: the\n  0.")
  lacks(r.out, "words close to: frankenstein")
  assert(trained.is_png("out/language_model_loss.png"))
end

-- A text that can be learned in seconds: the shipped English sentences, in another order.
local function write_sentences()
  local list, mixed = {}, {}
  for line in io.lines(run.source .. "/data/translation/eng-fra.txt") do
    table.insert(list, line:match("^[^\t]*"))
  end
  for i = 1, #list do mixed[i] = list[1 + i * 257 % #list] end
  return run.write(trained.folder .. "/sentences", table.concat(mixed, "\n") .. "\n")
end

local small = "--data sentences --words 200 --batch 16 --dropout 0 "

function tests.learns_then_loads()
  write_sentences()
  local first = trained.run(name, small .. "--epochs 10 --retrain 'I am'")
  equal(first.code, 0, first.err)
  contains(first.out, "sentences: 2902 words, 186 different ones\n")
  local early = number(first.out, "Epoch 1/10 loss: [%d.]+ %- acc: ([%d.]+) ")
  local late = number(first.out, "Epoch 10/10 loss: [%d.]+ %- acc: ([%d.]+) ")
  assert(late > early + 0.1, early .. " to " .. late)
  local loss = number(first.out, "test loss: ([%d.]+) %(guessing: 5.2983%)")
  assert(loss < 3.8, loss) -- 4.2 by the frequency of words alone
  local accuracy = number(first.out, "test accuracy: ([%d.]+) ")
  assert(accuracy > number(first.out, "always the same word: ([%d.]+)") + 0.05, accuracy)

  local again = trained.run(name,
    "--data sentences --length 4 --beams 3 --near tired 'They are' dog")
  equal(again.code, 0, again.err)
  contains(again.out, "model: " .. file .. ", trained for 10 epochs\n")
  lacks(again.out, "Epoch")
  contains(again.out, ("test loss: %.4f"):format(loss))
  local found = {}
  for score, words in again.out:gmatch("\n +(%-[%d.]+)  they are (%l+ %l+ %l+ %l+)") do
    table.insert(found, {tonumber(score), words})
  end
  equal(#found, 3, "continuations")
  assert(found[1][1] >= found[2][1] and found[2][1] >= found[3][1], again.out)
  contains(again.out, "\nUNK ") -- dog
  equal(select(2, again.out:match("words close to: tired\n(.*)$"):gsub("  0%.%d+  %l+\n", "")), 5)
end

function tests.interrupted_and_resumed()
  write_sentences()
  local arguments = "--data sentences --words 200 --epochs 2 --length 1 --seed 5 "
  local r = trained.interrupt(name, arguments .. "--retrain", file)
  equal(r.code, 130, r.err)
  equal(trained.run(name, "--data sentences --length 1").code, 0)
  local resumed = trained.read(file)
  trained.run(name, arguments .. "--retrain")
  assert(trained.read(file) == resumed, "the resumed run differs from one that was not interrupted")
end

function tests.help()
  local r = trained.run(name, "--help")
  equal(r.code, 0, r.err)
  contains(r.out, "usage: saros 713_language_model.lua [options] [beginning ...]\n")
  contains(r.out, "  --epochs N ")
end

function tests.refuses()
  os.remove(trained.folder .. "/" .. file)
  run.write(trained.folder .. "/empty", "")
  run.write(trained.folder .. "/bytes", "one\ntwo \xff\n")
  trained.refuses(name, {
    ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
    ["--epochs many"] = "--epochs: a whole number expected, got 'many'",
    ["--words 2"] = "--words: at least 3 expected",
    ["--batch 0"] = "--batch: at least 1 expected",
    ["--length 0"] = "--length: at least 1 expected",
    ["--beams 0"] = "--beams: at least 1 expected",
    ["--dropout 1"] = "--dropout: at least 0 and below 1 expected, got 1",
    ["--near xylophone"] = "--near: 'xylophone' is none of the 7500 most frequent words",
    ["'...'"] = "'...': no words in it",
    ["--data /none"] = "--data: there is no file '/none'",
    ["--data empty"] = "empty is too short: more than 80 words expected, there are 0",
    ["--data bytes"] = "data.read_lines: bytes:2: invalid UTF-8 at byte 5",
  })
end

run.all(tests)
