-- scripts/711_names_generation.lua on the shipped names: what it learns, says and refuses.
package.path = "tests/program/?.lua;" .. package.path
local run = require "run"
local trained = require "trained"
local saros = require "saros"
local equal, contains, lacks = run.equal, run.contains, run.lacks
local name, file = "711_names_generation", "out/names_generation.safetensors"
local tests = {}

local chance = math.log(59)

local function mean_loss(output)
  return tonumber(output:match("mean loss of the last %d+ names: ([%d.]+)"))
end

local function lines_of(output)
  local list = {}
  for language, made in output:gmatch("\n(%a+): ([^\n]+)") do list[language] = made end
  return list
end

function tests.trains_then_loads()
  local first = trained.run(name, "--steps 3000 --print-every 1000 --retrain")
  equal(first.code, 0, first.err)
  contains(first.out, "19 languages: Arabic Chinese ")
  contains(first.out, "(i2h): Linear(in_features=206, out_features=128, bias=true)")
  contains(first.out, " (1000 33%) ")
  contains(first.out, " (3000 100%) ")
  local loss = mean_loss(first.out)
  assert(loss < 0.88 * chance, "loss " .. loss)
  assert(trained.is_png("out/names_generation_loss.png"))
  local made = lines_of(first.out)
  for language, pattern in pairs {
    Russian = "^R%S* U%S* S%S*$", German = "^G%S* E%S* R%S*$", Spanish = "^S%S* P%S* A%S*$",
    Chinese = "^C%S* H%S* I%S*$", Finnish = "^A%S* B%S* C.* J%S* K%S* L%S*$",
  } do
    assert(made[language]:find(pattern), language .. ": " .. made[language])
  end

  local again = trained.run(name, "Finnish=AB Irish=O")
  contains(again.out, "trained on 3000 names")
  lacks(again.out, "(1000 33%)")
  equal(mean_loss(again.out), loss)
  assert(again.out:find("\nFinnish: A%S* B%S*\nIrish: O%S*\n$"), again.out)
  equal(lines_of(again.out).Finnish, made.Finnish:match("^%S+ %S+"), "the likeliest letters")
end

function tests.drawing()
  trained.run(name, "--steps 10 --retrain")
  local function draw(options)
    return lines_of(trained.run(name, "Greek=PPPPPPPP " .. options).out).Greek
  end
  local likeliest = draw ""
  equal(likeliest, (likeliest:match("^%S+") .. " "):rep(8):sub(1, -2))
  equal(draw "--temperature 1 --top-k 1", likeliest)
  equal(draw "--temperature 1 --top-p 0.001", likeliest)
  assert(draw "--temperature 1" ~= likeliest)
end

function tests.another_language()
  local names = run.write(trained.folder .. "/Elvish.csv",
    "Name,Holders\nElendil,900\nFeanor,800\nGaladriel,12\nCelebrian,700\n")
  local r = trained.run(name, ("--steps 20 --retrain --min-count 700 --add Elvish=%s Elvish=FE"
    ):format(run.quote(names)))
  equal(r.code, 0, r.err)
  contains(r.out, "20 languages: ")
  contains(r.out, " Elvish ")
  assert(r.out:find("\nElvish: F%S* E%S*\n$"), r.out)
  -- without it the run is another one
  local other = trained.run(name, "--steps 20")
  contains(other.err, file .. " was made with other languages or names (--retrain trains anew)")
  equal(other.code, 2)
end

local function write_language(folder, language, names)
  assert(saros.make_directory(trained.folder .. "/" .. folder))
  run.write(("%s/%s/%s.txt"):format(trained.folder, folder, language), names)
end

-- The same language with other names.
function tests.other_names()
  write_language("nA", "Elvish", "Elendil\nFeanor\n")
  write_language("nB", "Elvish", "Elendil\nFeanar\n")
  equal(trained.run(name, "--steps 2 --retrain --data nA Elvish=E").code, 0)
  contains(trained.run(name, "--steps 3 --data nA Elvish=E").out, "trained on 2 names\n")
  local r = trained.run(name, "--steps 4 --data nB Elvish=E")
  contains(r.err, file .. " was made with other languages or names (--retrain trains anew)")
end

-- A name so long that the gradients explode: the broken model is not trained on, nor kept.
function tests.loss_that_is_no_number()
  write_language("long", "Elvish", ("Elendilium"):rep(500) .. "\n")
  local r = trained.run(name, "--steps 60 --retrain --data long")
  equal(r.code, 2)
  contains(r.err, name .. ".lua: the loss is no finite number any more: try a smaller "
    .. "learning_rate than 0.0005, or shorter names (this one has 5000 letters)\n")
  lacks(r.err, "traceback")
  for key, tensor in pairs(saros.load(trained.folder .. "/" .. file)) do
    assert(tensor:isfinite():all():item(), key)
  end
end

-- A program and a script that lie alone, where no data set is.
function tests.no_data_set()
  local r = run.shell(("cd %s && cp %s saros && cp %s . && env -u SAROS_DATA XDG_CACHE_HOME=/none "
    .. "./saros %s.lua --steps 0"):format(run.quote(run.folder()), run.program,
    run.quote(run.source .. "/scripts/" .. name .. ".lua"), name))
  for _, share in ipairs {"/usr/local/share", "/usr/share"} do
    if saros.file_exists(share .. "/saros/data/names") then return equal(r.code, 0, r.err) end
  end
  contains(r.err, name .. ".lua: data.path: no data set 'names'. Looked for:")
  lacks(r.err, "traceback")
  equal(r.code, 2)
end

function tests.interrupted_and_resumed()
  local on = trained.goes_on(name, "--steps 1500 --plot-every 100 --seed 5", file)
  local before = tonumber(on.out:match("model: %S+, trained on (%d+) names"))
  assert(before > 0 and before < 1500, before)
  contains(on.out, "trained on " .. 1500 - before .. " names")
end

function tests.help()
  local r = trained.run(name, "--help")
  equal(r.code, 0)
  contains(r.out, "usage: saros 711_names_generation.lua [options] [LANGUAGE=LETTERS ...]\n")
  contains(r.out, "  --print-every N  names between two lines of progress (5000)\n")
  contains(r.out, "; may be repeated\n")
end

function tests.wrong_arguments()
  trained.run(name, "--steps 1 --retrain")
  trained.refuses(name, {
    ["--step 3"] = "unknown option --step, did you mean '--steps'?",
    ["--add Finnish"] = "--add: NAME=FILE expected, got 'Finnish'",
    ["--add Finnish=/none"] = "--add: there is no file '/none'",
    ["--data /none"] = "--data: there is no folder '/none'",
    ["--dropout 1"] = "--dropout: at least 0 and below 1 expected, got 1",
    ["--plot-every 0"] = "--plot-every: at least 1 expected",
    ["--top-p 0"] = "--top-p: above 0 and at most 1 expected, got 0",
    ["--temperature -1"] = "--temperature: a finite number of at least 0 expected, got -1",
    ["--temperature 1e400"] = "--temperature: a finite number of at least 0 expected, got inf",
    ["--min-count 3"] = "--min-count: it needs --add",
  })
  -- before it trains
  os.remove(trained.folder .. "/" .. file)
  local lines = {["\"Greek=$(printf '\\377')\""] = "argument 1: this is not UTF-8"}
  for _, word in ipairs {"Klingon=K", "Greek", "Greek=", "=K", "''"} do
    lines[word] = ("'%s': LANGUAGE=LETTERS expected; there are Arabic, "):format(
      (word:gsub("'", "")))
  end
  for _, letter in ipairs {"Ä", "1"} do
    lines["Greek=A" .. letter] = ("'Greek=A%s': '%s' is not in the alphabet"):format(letter, letter)
  end
  trained.refuses(name, lines)
  equal(trained.read(file), nil)
end

function tests.broken_data()
  local folder = trained.folder .. "/names"
  assert(os.execute("mkdir -p " .. run.quote(folder)))
  trained.refuses(name, {["--data names"] = "data.names: there is no .txt file with names in "})
  run.write(folder .. "/Elvish.txt", "\n\n")
  trained.refuses(name, {["--data names"] = "data.names: there are no names in names/Elvish.txt"})
  run.write(folder .. "/Elvish.txt", "123\n北京\n")
  trained.refuses(name, {["--data names"] = "Elvish: no name in it has a letter of the alphabet"})
  run.write(folder .. "/Elvish.txt", "Elendil\nF\xEBanor\n")
  trained.refuses(name, {["--data names"] = "data.read_lines: names/Elvish.txt:2: invalid UTF-8"})
  run.write(trained.folder .. "/table", "Elendil\t3\nFeanor\n")
  trained.refuses(name, {["--add Elvish=table"] = "data.read_words: table:2: a word, a tab or "})
  run.write(trained.folder .. "/table", "")
  trained.refuses(name, {["--add Elvish=table"] = "data.names: there are no names in table"})
end

-- A file that is no run of this script, or none at all, and a disk without room.
function tests.broken_file_and_full_disk()
  trained.run(name, "--steps 1 --retrain")
  local path, whole = trained.folder .. "/" .. file, trained.read(file)
  run.write(path, whole:sub(1, -9))
  trained.refuses(name, {[""] = "load: '" .. file .. "': "})
  run.write(path, "not a model")
  trained.refuses(name, {[""] = "load: '" .. file .. "': "})
  run.write(path, whole)
  local full = run.shell(("trap '' XFSZ; ulimit -f 16; %s"):format(
    trained.command(name, "--steps 1 --retrain")))
  equal(full.code, 2, full.err)
  contains(full.err, "711_names_generation.lua: save: '" .. file .. "': File too large\n")
  assert(trained.read(file) == whole, "the file that was there is gone")
end

run.all(tests)
