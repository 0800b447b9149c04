-- scripts/710_names_classification.lua on the shipped names: what it learns, says and refuses.
package.path = "tests/program/?.lua;" .. package.path
local run = require "run"
local trained = require "trained"
local equal, contains, lacks = run.equal, run.contains, run.lacks
local name, file = "710_names_classification", "out/names_classification.safetensors"
local tests = {}

local function accuracy_of(output) return tonumber(output:match("\ntest accuracy: (0%.%d%d)\n")) end

function tests.trains_then_loads()
  local first = trained.run(name, "--epochs 6 --seed 1 --retrain")
  equal(first.code, 0, first.err)
  contains(first.out, "names of 19 languages")
  contains(first.out, "(rnn): RNN(58, 128)")
  local before, after = first.out:match("epoch 1: loss ([%d.]+).*epoch 6: loss ([%d.]+)")
  assert(tonumber(after) < 0.75 * tonumber(before), "loss " .. before .. " to " .. after)
  local accuracy = accuracy_of(first.out)
  assert(accuracy > 0.3, accuracy)
  contains(first.out, "\nDovesky\n")
  contains(first.out, "\nSourander\n")
  assert(trained.is_png("out/names_loss.png"))
  assert(trained.is_png("out/names_confusion.png"))

  local again = trained.run(name, "Mäkinen")
  equal(again.code, 0, again.err)
  contains(again.out, "trained for 6 epochs")
  lacks(again.out, "epoch 1:")
  equal(accuracy_of(again.out), accuracy)
  assert(again.out:find("\nMäkinen\n *%d+ %%  %a+\n"), again.out)
end

-- Names with counts make a language more, or take the place of one that is there.
function tests.added_languages()
  local names = {"Sukunimi,Määrä"}
  for i = 1, 40 do names[#names + 1] = ("Korho%snen,%d"):format(("a"):rep(i), 741 - 2 * i) end
  local path = run.quote(run.write(trained.folder .. "/Elvish.csv", table.concat(names, "\n")))
  local r = trained.run(name, ("--epochs 1 --retrain --min-count 700 --add Elvish=%s "
    .. "--add Finnish=%s Korhoaanen"):format(path, path))
  equal(r.code, 0, r.err)
  -- 3105 names, of them 156 Finnish ones
  contains(r.out, ("%d names of 20 languages"):format(3105 - 156 + 2 * 20))
  assert(r.out:find("\nElvish *%d"), r.out)
  contains(r.out, "\nKorhoaanen\n")
  contains(trained.run(name, "--epochs 1").out, file .. " was made with other ")
end

function tests.interrupted_and_resumed()
  local r = trained.interrupt(name, "--epochs 4 --seed 3 --retrain", file)
  equal(r.code, 130, r.err)
  contains(r.err, "710_names_classification.lua: interrupted; the next start goes on from " .. file)
  lacks(r.err, "traceback")
  local on = trained.run(name, "")
  equal(on.code, 0, on.err)
  assert(on.out:find("model: " .. file .. ", trained for [0-3] epochs"), on.out)
  contains(on.out, "epoch 4: loss ")
  local resumed = trained.read(file)
  trained.run(name, "--epochs 4 --seed 3 --retrain")
  assert(trained.read(file) == resumed, "the resumed run differs from one that was not interrupted")
end

function tests.wrong_arguments()
  trained.refuses(name, {
    ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
    ["--epochs many"] = "--epochs: a whole number expected, got 'many'",
    ["--data /none"] = "--data: there is no folder '/none'",
    ["--data " .. run.quote(run.source .. "/lua/saros")] = "--data: no .txt file with names",
    ["--device gpu"] = "--device: device 'gpu'",
    ["--add x"] = "--add: NAME=FILE expected, got 'x'",
  })
end

function tests.broken_data()
  local folder = trained.folder .. "/names"
  assert(os.execute("mkdir -p " .. run.quote(folder)))
  trained.refuses(name, {["--data names"] = "--data: no .txt file with names in it"})
  run.write(folder .. "/Elvish.txt", "Elendil\nF\xEBanor\n")
  trained.refuses(name, {["--data names"] = "data.read_lines: names/Elvish.txt:2: invalid UTF-8"})
  run.write(folder .. "/Elvish.txt", "Elendil\n")
  run.write(folder .. "/Klingon.txt", "")
  trained.refuses(name, {["--data names"] = "Klingon: there are no names in it"})
end

run.all(tests)
