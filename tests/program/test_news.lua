-- scripts/720 to 723 on the shipped news: what they learn, say and refuse.
package.path = "tests/program/?.lua;tests/lua/?.lua;" .. package.path
local run = require "run"
local trained = require "trained"
local support = require "support"
local saros = require "saros"
local equal, contains, lacks = run.equal, run.contains, run.lacks
local tests = {}

local scripts = {
  {name = "720_news_rnn", curve = "rnn", layer = "RNN(64, 32, batch_first=true)"},
  {name = "721_news_lstm", curve = "lstm", layer = "LSTM(64, 32, batch_first=true)"},
  {name = "722_news_packed", curve = "packed", layer = "LSTM(64, 32, batch_first=true)"},
  {
    name = "723_news_bilstm", curve = "bilstm",
    layer = "LSTM(64, 32, num_layers=2, batch_first=true, bidirectional=true)",
  },
}

local function accuracy_of(output) return tonumber(output:match("\ntest accuracy: (0%.%d+)\n")) end

local function file_of(script) return "out/" .. script.name:sub(5) .. ".safetensors" end

-- Chance is 0.25; the headlines of the last lines are told right.
local function check_learned(script)
  local r = trained.run(script.name, "--retrain")
  equal(r.code, 0, r.err)
  contains(r.err, "news (shipped with saros")
  contains(r.out, "400 news to train, 88 to test, 2331 words\n")
  contains(r.out, "(rnn): " .. script.layer)
  local last = tonumber(r.out:match("epoch 20: loss [%d.]+, accuracy ([%d.]+)\n"))
  assert(last > 0.95, last)
  local accuracy = accuracy_of(r.out)
  assert(accuracy > 0.5, accuracy)
  assert(trained.is_png("out/" .. script.name:sub(5) .. "_confusion.png"))
  for headline, class in pairs {
    ["President calls for"] = "World", ["Striker scores"] = "Sports",
    ["Shares fall"] = "Business", ["Scientists launch"] = "Sci/Tech",
  } do
    assert(r.out:find("\n" .. headline .. "[^\n]*\n *%d+ %%  " .. class .. "\n"), r.out)
  end

  local again = trained.run(script.name, "'Rebels attack the capital' 'Qwzx xzwq'")
  equal(again.code, 0, again.err)
  contains(again.out, ("model: %s, trained for 20 epochs\n"):format(file_of(script)))
  lacks(again.out, "epoch 1:")
  equal(accuracy_of(again.out), accuracy)
  assert(again.out:find("\nRebels attack the capital\n *%d+ %%  [^\n]*\n *%d+ %%  [^\n]*\n\n"
    .. "Qwzx xzwq\n  %(none of its words is in the training data%)\n$"), again.out)
end

-- The mean losses of four epochs are PyTorch's (tests/golden/news_curve_shipped.json).
local function check_curve(script)
  local losses = support.golden_row("news_curve_shipped", script.curve)
  local r = trained.run(script.name, "--retrain --seed 7 --epochs 4")
  equal(r.code, 0, r.err)
  for epoch = 1, 4 do
    local sum = 0
    for step = 25 * epoch - 24, 25 * epoch do sum = sum + losses[step] end
    local found = tonumber(r.out:match(("epoch %d: loss ([%%d.]+)"):format(epoch)))
    assert(math.abs(found - sum / 25) < 2e-4, ("epoch %d: loss %.4f, PyTorch's %.4f"):format(epoch,
      found, sum / 25))
  end
end

local function check_resumed(script)
  local file = file_of(script)
  local r = trained.interrupt(script.name, "--epochs 200 --seed 3 --retrain", file)
  equal(r.code, 130, r.err)
  contains(r.err, script.name .. ".lua: interrupted; the next start goes on from " .. file)
  local before = tonumber(r.out:match(".*epoch (%d+):")) or 0
  -- A few epochs from where it was, and the same in one go.
  local epochs = before + 2
  local on = trained.run(script.name, "--epochs " .. epochs)
  equal(on.code, 0, on.err)
  contains(on.out, ("model: %s, trained for %d epochs"):format(file, before))
  lacks(on.out, ("epoch %d:"):format(before))
  contains(on.out, ("epoch %d: loss"):format(epochs))
  local resumed = trained.read(file)
  trained.run(script.name, ("--epochs %d --seed 3 --retrain"):format(epochs))
  assert(trained.read(file) == resumed, "the resumed run differs from one that was not interrupted")
end

-- A model that has become NaN is not trained on, nor kept.
local function check_broken(script)
  equal(trained.run(script.name, "--epochs 1 --retrain").code, 0)
  local path = trained.folder .. "/" .. file_of(script)
  local tensors, lines = saros.load(path)
  tensors["model.fc.bias"]:fill_(0 / 0)
  saros.save(path, tensors, lines)
  local r = trained.run(script.name, "--epochs 2")
  equal(r.code, 2)
  contains(r.err, script.name .. ".lua: the loss is no finite number any more\n")
  lacks(r.err, "traceback")
  equal(saros.load_checkpoint(path, nil, {random_state = false}).state.epoch, 1)
end

for _, script in ipairs(scripts) do
  tests[script.name .. "_learns"] = function() check_learned(script) end
  tests[script.name .. "_follows_pytorch"] = function() check_curve(script) end
  tests[script.name .. "_resumes"] = function() check_resumed(script) end

  tests[script.name .. "_loss_that_is_no_number"] = function() check_broken(script) end

  tests[script.name .. "_wrong_arguments"] = function()
    os.remove(trained.folder .. "/" .. file_of(script))
    trained.refuses(script.name, {
      ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
      ["--epochs many"] = "--epochs: a whole number expected, got 'many'",
      ["--data /none"] = "--data: there is no folder '/none'",
      ["--device gpu"] = "--device: device 'gpu'",
      ["goal ''"] = "argument 2: no words in ''",
      ["' ; '"] = "argument 1: no words in ' ; '",
      ["goal \"$(printf '\\377')\""] = "argument 2: this is not UTF-8",
    })
    equal(trained.read(file_of(script)), nil) -- it did not begin to train
    local help = trained.run(script.name, "--help")
    equal(help.code, 0)
    contains(help.out, "usage: saros " .. script.name .. ".lua [options] [headline ...]\n")
    contains(help.out, "passes over the training data (1; 20 with fewer than 5000)\n")
  end
end

-- Reading is the same in all four: one of them tells.
function tests.broken_data()
  local name = scripts[1].name
  local folder = trained.folder .. "/news"
  assert(os.execute("mkdir -p " .. run.quote(folder)))
  local function refuses(message) trained.refuses(name, {["--data news"] = message}) end
  refuses "data.csv_rows: news/train.csv: No such file"
  run.write(folder .. "/train.csv", "")
  refuses "data.ag_news: news/train.csv has no rows"
  run.write(folder .. "/train.csv", '"1","A","b"\n"2","C\n')
  refuses "data.csv_rows: news/train.csv:2: a quoted field begins here and does not end"
  run.write(folder .. "/train.csv", '"1","A","b"\n"5","C","d"\n')
  refuses "data.ag_news: news/train.csv:2: the class must be 1 to 4"
  run.write(folder .. "/train.csv", '"1","A","b"\n')
  refuses "data.csv_rows: news/test.csv: No such file"
  run.write(folder .. "/test.csv", '"1","A"\n')
  refuses "data.csv_rows: news/test.csv:1: 3 fields expected, got 2"
  run.write(folder .. "/test.csv", '"1","A","b\xFF"\n')
  refuses "data.csv_rows: news/test.csv:1: invalid UTF-8 at byte 11"
end

local function write_news(folder, train, test)
  assert(saros.make_directory(trained.folder .. "/" .. folder))
  run.write(trained.folder .. "/" .. folder .. "/train.csv", train)
  run.write(trained.folder .. "/" .. folder .. "/test.csv", test)
end

-- Few rows and words that were never seen are enough; a model of other words is not used.
function tests.small_data()
  write_news("small", '"1","War and peace","talks"\n"2","Late goal","wins"\n',
    '"2","Goal","celebrated"\n')
  for _, script in ipairs(scripts) do
    local r = trained.run(script.name, "--retrain --data small --epochs 50 goal")
    equal(r.code, 0, r.err)
    contains(r.out, "2 news to train, 1 to test, 8 words\n")
    contains(r.out, "test accuracy: 1.0000\n")
    assert(r.out:find("\ngoal\n *%d+ %%  Sports\n"), r.out)
    local other = trained.run(script.name, "--epochs 0")
    contains(other.err, file_of(script) .. " was made with other ")
  end
end

-- The same words with other classes are other news.
function tests.other_classes()
  write_news("one", '"1","War"," "\n"2","Goal"," "\n', '"2","Goal"," "\n')
  write_news("two", '"2","War"," "\n"1","Goal"," "\n', '"2","Goal"," "\n')
  for _, script in ipairs(scripts) do
    equal(trained.run(script.name, "--retrain --data one --epochs 1").code, 0)
    local on = trained.run(script.name, "--data one --epochs 2")
    contains(on.out, "trained for 1 epochs\nepoch 2: ")
    local r = trained.run(script.name, "--data two --epochs 3")
    contains(r.err, file_of(script) .. " was made with other ")
  end
end

-- Batches of news that have no words at all.
function tests.news_without_words()
  write_news("none", '"1","",""\n"2"," ; ","<br />"\n', '"3","",":"\n')
  for _, script in ipairs(scripts) do
    local r = trained.run(script.name, "--retrain --data none --epochs 2")
    equal(r.code, 0, r.err)
    contains(r.out, "2 news to train, 1 to test, 1 words\n")
    contains(r.out, "\nepoch 2: loss ")
    contains(r.out, "\ntest accuracy: ")
    contains(r.out, "rebels fail\n  (none of its words is in the training data)\n")
  end
end

run.all(tests)
