-- scripts/710_names_classification.lua on the shipped names: what it learns, says and refuses.
package.path = "tests/program/?.lua;" .. package.path
local run = require "run"
local trained = require "trained"
local saros = require "saros"
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
  r = trained.run(name, "--epochs 1")
  contains(r.err, file .. " was made with other languages or names (--retrain trains anew)")
end

-- Two languages, of which the second has other names than the first time, but as many.
function tests.other_names()
  for folder, names in pairs {nA = {"Elendil\nFeanor\n", "Ugluk\n"},
    nB = {"Elendil\nUgluk\n", "Feanor\n"}} do
    assert(saros.make_directory(trained.folder .. "/" .. folder))
    run.write(("%s/%s/Elvish.txt"):format(trained.folder, folder), names[1])
    run.write(("%s/%s/Orkish.txt"):format(trained.folder, folder), names[2])
  end
  equal(trained.run(name, "--epochs 1 --retrain --data nA").code, 0)
  contains(trained.run(name, "--epochs 2 --data nA").out, "trained for 1 epochs\nepoch 2: ")
  local r = trained.run(name, "--epochs 3 --data nB")
  contains(r.err, file .. " was made with other languages or names (--retrain trains anew)")
end

-- Too few names to keep some for the test.
function tests.one_name()
  assert(saros.make_directory(trained.folder .. "/one"))
  run.write(trained.folder .. "/one/Elvish.txt", "Elendil\n")
  local r = trained.run(name, "--epochs 1 --retrain --data one Feanor")
  equal(r.code, 0, r.err)
  contains(r.out, "1 names of 1 languages: 1 to train, 0 to test\n")
  contains(r.out, "\nno test: 1 names are too few to keep some for it\n")
  contains(r.out, "\nFeanor\n  100 %  Elvish\n")
  lacks(r.out:lower(), "nan")
end

-- A model that has become NaN is not trained on, nor kept.
function tests.loss_that_is_no_number()
  equal(trained.run(name, "--epochs 1 --retrain").code, 0)
  local path = trained.folder .. "/" .. file
  local tensors, lines = saros.load(path)
  tensors["model.h2o.bias"]:fill_(0 / 0)
  saros.save(path, tensors, lines)
  local r = trained.run(name, "--epochs 2")
  equal(r.code, 2)
  contains(r.err, name .. ".lua: the loss is no finite number any more\n")
  lacks(r.err, "traceback")
  equal(saros.load_checkpoint(path, nil, {random_state = false}).state.epoch, 1)
end

-- A program and a script that lie alone, where no data set is.
function tests.no_data_set()
  local r = run.shell(("cd %s && cp %s saros && cp %s . && env -u SAROS_DATA XDG_CACHE_HOME=/none "
    .. "./saros %s.lua --epochs 0"):format(run.quote(run.folder()), run.program,
    run.quote(run.source .. "/scripts/" .. name .. ".lua"), name))
  for _, share in ipairs {"/usr/local/share", "/usr/share"} do
    if saros.file_exists(share .. "/saros/data/names") then return equal(r.code, 0, r.err) end
  end
  contains(r.err, name .. ".lua: data.path: no data set 'names'. Looked for:")
  lacks(r.err, "traceback")
  equal(r.code, 2)
end

function tests.interrupted_and_resumed()
  local on = trained.goes_on(name, "--epochs 4 --seed 3", file)
  assert(on.out:find("model: " .. file .. ", trained for [0-3] epochs"), on.out)
  contains(on.out, "epoch 4: loss ")
end

function tests.wrong_arguments()
  trained.refuses(name, {
    ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
    ["--epochs many"] = "--epochs: a whole number expected, got 'many'",
    ["--data /none"] = "--data: there is no folder '/none'",
    ["--data " .. run.quote(run.source .. "/lua/saros")] = "data.names: there is no .txt file",
    ["--device gpu"] = "--device: device 'gpu'",
    ["--add x"] = "--add: NAME=FILE expected, got 'x'",
    ["--min-count 3"] = "--min-count: it needs --add",
  })
  -- before it trains
  os.remove(trained.folder .. "/" .. file)
  trained.refuses(name, {
    ["--epochs 1 Abe \"$(printf '\\377')\""] = "argument 2: this is not UTF-8",
    ["--epochs 1 ''"] = "argument 1: a name expected, it is empty",
  })
  equal(trained.read(file), nil)
  contains(trained.run(name, "--help").out, "; may be repeated\n")
end

function tests.broken_data()
  local folder = trained.folder .. "/names"
  assert(os.execute("mkdir -p " .. run.quote(folder)))
  trained.refuses(name, {["--data names"] = "data.names: there is no .txt file with names in "})
  run.write(folder .. "/Elvish.txt", "Elendil\nF\xEBanor\n")
  trained.refuses(name, {["--data names"] = "data.read_lines: names/Elvish.txt:2: invalid UTF-8"})
  run.write(folder .. "/Elvish.txt", "Elendil\n")
  run.write(folder .. "/Klingon.txt", "")
  trained.refuses(name, {
    ["--data names"] = "data.names: there are no names in names/Klingon.txt",
    ["--add Klingon=names/Klingon.txt"] = "data.names: there are no names in names/Klingon.txt",
  })
end

run.all(tests)
