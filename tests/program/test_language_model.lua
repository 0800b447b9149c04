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

-- How many different words there are.
local function count_different(words)
  local seen, count = {}, 0
  for word in words:gmatch("%S+") do
    if not seen[word] then seen[word], count = true, count + 1 end
  end
  return count
end

-- The shipped story, without options.
function tests.learns_the_story()
  local r = trained.run(name, "--retrain")
  equal(r.code, 0, r.err)
  contains(r.out, "data/eighteen_years.txt: 11781 words, 1369 different ones\n")
  contains(r.out, "11186 windows to train, 589 to test\n")
  contains(r.out, "(lstm_layers): LSTM(100, 64, num_layers=2, batch_first=true, dropout=0.2)")
  assert(number(r.out, "test loss: ([%d.]+) %(guessing: 7.2218%)") < 5.6, r.out)
  local accuracy = number(r.out, "test accuracy: ([%d.]+) ")
  assert(accuracy > number(r.out, "always the same word: ([%d.]+)") + 0.03, accuracy)
  local greedy = r.out:match("\n(i saw [^\n]+)\nbeam search")
  assert(count_different(greedy) >= 6, greedy)
  contains(r.out, "\nbeam search, the best of 8:\n")
  contains(r.out, "\nwords close to: the\n  ")
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

local small = "--data sentences --words 200 --batch 16 --window 40 --step 3 --dropout 0 "

function tests.learns_then_loads()
  write_sentences()
  local first = trained.run(name, small .. "--epochs 10 --retrain 'I am'")
  equal(first.code, 0, first.err)
  contains(first.out, "sentences: 2902 words, 186 different ones\n")
  local early = number(first.out, "Epoch 1/10 loss: [%d.]+ %- acc: ([%d.]+) ")
  local late = number(first.out, "Epoch 10/10 loss: [%d.]+ %- acc: ([%d.]+) ")
  assert(late > early + 0.1, early .. " to " .. late)
  local loss = number(first.out, "test loss: ([%d.]+) %(guessing: 5.2257%)")
  assert(loss < 3.8, loss) -- 4.2 by the frequency of words alone
  local accuracy = number(first.out, "test accuracy: ([%d.]+) ")
  assert(accuracy > number(first.out, "always the same word: ([%d.]+)") + 0.05, accuracy)

  local again = trained.run(name,
    "--data sentences --length 4 --beams 3 --near Tired 'They are' 'My dog'")
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
  contains(again.out, "\nmy UNK ")
  equal(select(2, again.out:match("words close to: tired\n(.*)$"):gsub("  0%.%d+  %l+\n", "")), 5)
end

-- Words that have no number of their own are all "UNK", which can occur then.
function tests.guessing_among_few_words()
  write_sentences()
  local r = trained.run(name, "--data sentences --words 100 --epochs 0 --length 1 --retrain")
  contains(r.out, "(guessing: 4.5951)") -- log 99
end

function tests.loss_is_no_number()
  write_sentences()
  local r = trained.run(name, "--data sentences --lr 1e38 --epochs 1 --retrain")
  equal(r.code, 2, r.err)
  contains(r.err, name .. ".lua: the loss is not a number any more: try a smaller --lr than 1e+38")
  lacks(r.err, "traceback")
end

function tests.without_data()
  local r = trained.run_without_data(name)
  equal(r.code, 2, r.err)
  contains(r.err, name .. ".lua: data.path: no data set 'frankenstein.txt'. Looked for:")
  lacks(r.err, "traceback")
end

function tests.interrupted_and_resumed()
  write_sentences()
  trained.goes_on(name, "--data sentences --words 200 --epochs 2 --length 1 --seed 5", file,
    "--data sentences --length 1")
end

function tests.help()
  local r = trained.run(name, "--help")
  equal(r.code, 0, r.err)
  contains(r.out, "usage: saros 713_language_model.lua [options] [beginning ...]\n")
  contains(r.out, "passes over the text (32; 9)\n")
  contains(r.out, "in SAROS_DATA or fetch_data's cache, else a shipped one")
  contains(r.out, "may be repeated")
end

function tests.refuses()
  os.remove(trained.folder .. "/" .. file)
  run.write(trained.folder .. "/empty", "")
  run.write(trained.folder .. "/bytes", "one\ntwo \xff\n")
  trained.refuses(name, {
    ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
    ["--epochs many"] = "--epochs: a whole number expected, got 'many'",
    ["--words 2"] = "--words: 3 to 1000000 expected, got 2",
    ["--words 99999999999"] = "--words: 3 to 1000000 expected, got 99999999999",
    ["--hidden 1000000"] = "--hidden: 1 to 10000 expected, got 1000000",
    ["--batch 0"] = "--batch: 1 to 1000000 expected, got 0",
    ["--window 0"] = "--window: 1 to 10000 expected, got 0",
    ["--step 0"] = "--step: 1 to 10000 expected, got 0",
    ["--lr 0"] = "--lr: a finite number above 0 expected, got 0",
    ["--length 0"] = "--length: 1 to 1000000 expected, got 0",
    ["--beams 0"] = "--beams: 1 to 10000 expected, got 0",
    ["--dropout 1"] = "--dropout: at least 0 and below 1 expected, got 1",
    ["--near xylophone"] = "--near: 'xylophone' is none of the 1369 words known from ",
    ["--words 100 --near xylophone"] = "--near: 'xylophone' is none of the 98 words known from ",
    ["--near 'my dog'"] = "--near: one word expected, got 'my dog'",
    ["--near $(printf 'a\\377')"] = "--near: this is not UTF-8",
    ["\"$(printf 'a\\377')\""] = "beginning 1: this is not UTF-8",
    ["xylophone"] = "'xylophone': none of its words is one of the 1369 words known from ",
    ["'...'"] = "'...': no words in it",
    ["--data /none"] = "--data: there is no file '/none'",
    ["--data empty"] = "empty is too short: more than 12 words expected, there are 0",
    ["--data bytes"] = "data.read_lines: bytes:2: invalid UTF-8 at byte 5",
  })
end

run.all(tests)
