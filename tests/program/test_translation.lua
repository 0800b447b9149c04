-- scripts/712_translation_attention.lua and 714_translation_lstm.lua on the shipped pairs: what
-- they learn, say and refuse.
package.path = "tests/program/?.lua;tests/lua/?.lua;" .. package.path
local run = require "run"
local support = require "support"
local trained = require "trained"
local equal, contains, lacks = run.equal, run.contains, run.lacks
local attention, lstm = "712_translation_attention", "714_translation_lstm"
local tests = {}

local function number(output, pattern)
  return tonumber(output:match(pattern)) or error(("no '%s' in %s"):format(pattern, output), 2)
end

function tests.the_pairs_are_those_of_the_grammar()
  local file <close> = assert(io.open(run.source .. "/data/translation/eng-fra.txt"))
  equal(run.saros(run.quote(run.source .. "/data/translation/make.lua")).out, file:read("a"))
end

-- ---- 712 -----------------------------------------------------------------------------------

local file = "out/translation_attention.safetensors"

function tests.attention_trains_then_loads()
  local first = trained.run(attention, "--epochs 30 --print-every 10 --retrain")
  equal(first.code, 0, first.err)
  contains(first.out, "621 sentence pairs; 307 French words, 185 English ones\n")
  contains(first.out, "(attention): BahdanauAttention(")
  contains(first.out, "(gru): GRU(256, 128, batch_first=true)")
  local early = number(first.out, "%(10 33%%%) ([%d.]+)\n")
  local late = number(first.out, "%(30 100%%%) ([%d.]+)\n")
  assert(late < 0.5 * early, early .. " to " .. late)
  assert(number(first.out, "loss of the last epoch: ([%d.]+) %(guessing: 5%.2") < 0.3, first.out)
  local right = number(first.out, "translated exactly: (%d+) of 500 ")
  assert(right > 350, right) -- any of 621 sentences by chance
  equal(select(2, first.out:gsub("\n> [^\n]+\n= [^\n]+\n< [^\n]+\n", "")), 10, "translations")
  contains(first.out, "\ninput = je suis trop fatigue pour conduire\noutput = ")
  for i = 1, 4 do assert(trained.is_png(("out/translation_attention_%d.png"):format(i))) end
  assert(trained.is_png("out/translation_attention_loss.png"))

  local again = trained.run(attention, "'Nous avons sommeil.'")
  equal(again.code, 0, again.err)
  contains(again.out, "model: " .. file .. ", trained for 30 epochs\n")
  lacks(again.out, "trained in")
  equal(number(again.out, "translated exactly: (%d+) of 500 "), right)
  contains(again.out, "\ninput = nous avons sommeil\noutput = we are sleepy <EOS>\n")
  lacks(again.out, "je suis trop fatigue pour conduire")
end

-- The mean loss of five epochs is PyTorch's (tests/golden/sequence_curves.json).
function tests.attention_has_the_losses_of_pytorch()
  local losses, sum = support.golden_row("sequence_curves", "attention"), 0
  for step = 1, 100 do sum = sum + losses[step] end
  local r = trained.run(attention, "--retrain --dropout 0 --seed 7 --epochs 5")
  local found = number(r.out, "%(5 100%%%) ([%d.]+)\n")
  assert(math.abs(found - sum / 100) < 1e-4, ("%.4f, PyTorch's %.4f"):format(found, sum / 100))
end

function tests.attention_interrupted_and_resumed()
  trained.goes_on(attention, "--epochs 3 --seed 5", file)
end

function tests.attention_of_other_sentences()
  trained.run(attention, "--epochs 1 --retrain")
  run.write(trained.folder .. "/few", "I am here.\tJe suis ici.\nGo on!\tContinuez !\n"
    .. ("She is very tall.\tElle est très grande.\n"):rep(40))
  local other = trained.run(attention, "--epochs 1 --data few")
  contains(other.err, file .. " was made with other ")
  equal(other.code, 2)
  local r = trained.run(attention, "--epochs 1 --data few --retrain")
  equal(r.code, 0, r.err)
  contains(r.out, "41 sentence pairs; 9 French words, 9 English ones")
  contains(r.out, "\ninput = je suis trop fatigue pour conduire\n(few has no 'trop')\n")
end

function tests.attention_refuses()
  os.remove(trained.folder .. "/" .. file)
  run.write(trained.folder .. "/empty", "")
  run.write(trained.folder .. "/other", "Go on!\tContinuez !\n")
  run.write(trained.folder .. "/broken", "I am here.\tJe suis ici.\nYou are here.\n")
  run.write(trained.folder .. "/bytes", "I am here.\tJe suis \xff.\n")
  trained.refuses(attention, {
    ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
    ["--epochs -1"] = "--epochs: 0 or more expected, got '-1'",
    ["--dropout 1"] = "--dropout: at least 0 and below 1 expected, got 1",
    ["--print-every 0"] = "--print-every: at least 1 expected",
    ["'je suis un dinosaure'"] = "'je suis un dinosaure': 'dinosaure' is none of the 307 words",
    ["'...'"] = "'...': no words in it",
    ["'" .. ("je "):rep(10) .. "'"] = ("'%s': at most 9 words expected, there are 10"):format(
      ("je "):rep(10)),
    ["'je \xff'"] = "lower: invalid UTF-8 at byte 4",
    ["--data /none"] = "--data: there is no file '/none'",
    ["--data empty"] = "empty: no short sentence in it begins like",
    ["--data other"] = "other: no short sentence in it begins like",
    ["--data broken"] = "text.read_pairs: broken:2: two sentences with a tab between them expected",
    ["--data bytes"] = "data.lines: bytes:1: invalid UTF-8 at byte 20",
  })
end

-- ---- 714 -----------------------------------------------------------------------------------

function tests.lstm_trains_then_loads()
  local first = trained.run(lstm, "--samples 124 --retrain")
  equal(first.code, 0, first.err)
  contains(first.out, "621 sentence pairs; ")
  contains(first.out, "497 pairs to train, 124 to test; 9 French words at most, 11 English\n")
  contains(first.out, "(lstm_layers): LSTM(128, 64, num_layers=2, batch_first=true)")
  local pattern = "Epoch %d/40 loss: [%%d.]+ %%- acc: ([%%d.]+) %%- val_loss: [%%d.]+ %%- val_acc: "
  local early = number(first.out, pattern:format(1))
  local late = number(first.out, pattern:format(40))
  assert(late > early + 0.3, early .. " to " .. late)
  assert(number(first.out, "test loss: ([%d.]+) %(guessing: 5.2364%)") < 0.6, first.out)
  local accuracy = number(first.out, "test accuracy: ([%d.]+) %(filling up everywhere: 0%.%d+%)")
  assert(accuracy > 0.85, accuracy)
  equal(select(2, first.out:gsub("> [^\n]+\n= [^\n]+\n< [^\n]+\n", "")), 40 + 124, "translations")
  local said = 0 -- words of the test data, and the end of each sentence
  local tail = first.out:match("\ntest accuracy: .*$")
  for wanted in tail:gmatch("\n= ([^\n]+)") do
    said = said + 1 + select(2, wanted:gsub("%S+", ""))
  end
  local filled = number(tail, "filling up everywhere: ([%d.]+)")
  assert(math.abs(filled - (1 - said / (124 * 11))) < 1e-4, filled)
  assert(trained.is_png("out/translation_lstm_loss.png"))

  local again = trained.run(lstm, "--samples 0 'Je suis trop jeune, xylophone !'")
  equal(again.code, 0, again.err)
  contains(again.out, "model: out/translation_lstm.safetensors, trained for 40 epochs\n")
  lacks(again.out, "Epoch")
  equal(number(again.out, "test accuracy: ([%d.]+)"), accuracy)
  assert(again.out:find("\n\n> je suis trop jeune UNK\n< [%a ]+\n\n$"), again.out)
end

function tests.lstm_interrupted_and_resumed()
  trained.goes_on(lstm, "--words 400 --batch 16 --epochs 2 --seed 5 --samples 0",
    "out/translation_lstm.safetensors", "--samples 0")
end

-- Other words in the middle of the file have other numbers.
function tests.lstm_of_other_sentences()
  local lines = ("Go on!\tContinuez !\n"):rep(10)
  run.write(trained.folder .. "/pairs", lines .. "I am here.\tJe suis ici.\n" .. lines)
  equal(trained.run(lstm, "--data pairs --epochs 1 --retrain").code, 0)
  run.write(trained.folder .. "/pairs", lines .. "I am sad.\tJe suis triste.\n" .. lines)
  local r = trained.run(lstm, "--data pairs --epochs 1")
  contains(r.err, ".safetensors was made with other sentences (--retrain trains anew)")
  equal(r.code, 2)
end

-- Lines on which one sentence has no words.
function tests.lstm_without_words()
  run.write(trained.folder .. "/wordless", ("I am ok.\t\n...\tJe suis !\n"):rep(2)
    .. ("She is very tall.\tElle est très grande.\n"):rep(8))
  local r = trained.run(lstm, "--data wordless --epochs 1 --retrain")
  equal(r.code, 0, r.err)
  contains(r.out, "wordless: 4 of 12 lines left out: a sentence has no words\n")
  contains(r.out, "wordless: 8 sentence pairs; 4 French words, 4 English ones\n")
end

function tests.lstm_loss_is_no_number()
  local r = trained.run(lstm, "--lr 1e38 --epochs 2 --retrain")
  equal(r.code, 2, r.err)
  contains(r.err, lstm .. ".lua: the loss is not a number any more: try a smaller --lr than 1e+38")
  lacks(r.err, "traceback")
end

function tests.lstm_without_data()
  local r = trained.run_without_data(lstm)
  equal(r.code, 2, r.err)
  contains(r.err, lstm .. ".lua: data.path: no data set 'eng-fra.txt'. Looked for:")
  lacks(r.err, "traceback")
end

function tests.lstm_refuses()
  os.remove(trained.folder .. "/out/translation_lstm.safetensors")
  run.write(trained.folder .. "/empty", "")
  run.write(trained.folder .. "/broken", ("I am here.\tJe suis ici.\n"):rep(6) .. "You are here.\n")
  run.write(trained.folder .. "/bytes", "I am here.\tJe suis \xff.\n")
  run.write(trained.folder .. "/silent", ("I am ok.\t!\n"):rep(6))
  trained.refuses(lstm, {
    ["--words 4"] = "--words: 5 to 1000000 expected, got 4",
    ["--words 99999999999"] = "--words: 5 to 1000000 expected, got 99999999999",
    ["--batch 0"] = "--batch: 1 to 1000000 expected, got 0",
    ["--lines 3"] = "--lines: 5 to 1000000000 expected, got 3",
    ["--hidden 0"] = "--hidden: 1 to 10000 expected, got 0",
    ["--lr 1e400"] = "--lr: a finite number above 0 expected, got inf",
    ["\"$(printf 'a\\377')\""] = "sentence 1: this is not UTF-8",
    ["'le xylophone' 'xylophone'"] = "'xylophone': none of its words is one of the ",
    ["--device gpu"] = "--device: device 'gpu'",
    ["'!?'"] = "'!?': no words in it",
    ["--data empty"] = "empty: at least 5 lines expected, there are 0",
    ["--data silent"] = "silent: at least 5 pairs of sentences with words expected, there are 0",
    ["--data broken"] = "broken:7: two sentences with a tab between them expected",
    ["--data bytes"] = "data.read_lines: bytes:1: invalid UTF-8 at byte 20",
  })
end

function tests.help()
  for _, name in ipairs {attention, lstm} do
    local r = trained.run(name, "--help")
    equal(r.code, 0, r.err)
    contains(r.out, ('usage: saros %s.lua [options] ["French sentence" ...]\n'):format(name))
    contains(r.out, "  --epochs N ")
  end
  local r = trained.run(lstm, "--help")
  contains(r.out, "passes over the sentences (20; 40)\n")
  contains(r.out, "in SAROS_DATA or fetch_data's cache, else a shipped one")
end

run.all(tests)
