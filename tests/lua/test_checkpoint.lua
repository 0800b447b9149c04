-- Checkpoints: values as they were to the bit, objects, and files that do not fit. (Runs that
-- go on in a new process: tests/program/test_resume.lua.)
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local support = require "support"
local nn, optim, data = saros.nn, saros.optim, saros.data
local assert_error = support.assert_error

local path = os.tmpname()

local function round_trip(entries)
  saros.save_checkpoint(path, entries)
  return saros.load_checkpoint(path)
end

local function bits(number) return math.type(number) .. (" %a"):format(number) end

-- ---- values --------------------------------------------------------------------------------

local TestValues = {}

function TestValues:test_numbers_to_the_bit()
  local numbers = {
    0, 1, -1, math.maxinteger, math.mininteger, 0.0, -0.0, 0.1, 1 / 3, 1e300, 5e-324, 2.0 ^ 53,
    -1e22, 1e15, 123456789012345678.0, math.pi, math.huge, -math.huge,
  }
  saros.manual_seed(3)
  for _, value in ipairs(saros.randn(200, {dtype = "float64"}):totable()) do
    numbers[#numbers + 1] = value * 2.0 ^ math.random(-1000, 1000)
  end
  local entries = {list = numbers}
  for i, value in ipairs(numbers) do entries["n" .. i] = value end
  local saved = round_trip(entries)
  for i, value in ipairs(numbers) do
    lu.assertEquals(bits(saved["n" .. i]), bits(value))
    lu.assertEquals(bits(saved.list[i]), bits(value))
  end
  local nan = round_trip({nan = 0 / 0}).nan
  lu.assertTrue(nan ~= nan)
end

-- Long lists are tensors of the file: a permutation of a large data set does not fit its header.
function TestValues:test_long_lists()
  local entries = {whole = {}, floats = {}, mixed = {}, inner = {order = {}}}
  for i = 1, 1500 do
    entries.whole[i] = math.maxinteger - i
    entries.floats[i] = (i % 2 == 0 and -1 or 1) * 0.1 ^ (i % 300)
    entries.mixed[i] = i % 2 == 0 and i or i + 0.5
    entries.inner.order[i] = i
  end
  entries.floats[7], entries.floats[8] = math.huge, -0.0
  local saved = round_trip(entries)
  for name, list in pairs(entries) do
    if name == "inner" then list, saved.inner = list.order, saved.inner.order end
    lu.assertEquals(#saved[name], #list)
    for i, value in ipairs(list) do lu.assertEquals(bits(saved[name][i]), bits(value)) end
  end
  local tensors, lines = saros.load(path)
  lu.assertEquals(tensors["inner.order"].dtype, "int64")
  lu.assertEquals(lines["inner.order"], "numbers inner.order")
  lu.assertNil(tensors.mixed)
  local million = {}
  for i = 1, 3000000 do million[i] = i end
  lu.assertEquals(#round_trip({order = million}).order, #million)
end

function TestValues:test_tables_and_strings()
  local entries = {
    epoch = 3, done = false, yes = true, nothing = {}, text = "M\u{e4}kinen\n\"quoted\" \\ x",
    empty = "", bytes = "a\0b\xff\n", number_like = "12", list = {1, 2.0, -3},
    history = {{loss = 1.5, words = {"a", "b"}}, {loss = 0.25, words = {}}},
    [""] = 1, ["a.b"] = {["c d"] = 2, ["[1]"] = 3, ['say "x"'] = 4, ["\xff"] = 5, [-7] = 6},
    sparse = {[1] = 10, [3] = 30}, ["\u{e4}"] = "umlaut", mixed = {1, 2, name = "x"},
    deep = {{{{{{{"x"}}}}}}}, ["random state"] = "mine", ["saros checkpoint"] = "mine too",
    ["class of x"] = "and this",
  }
  lu.assertEquals(round_trip(entries), entries)
end

function TestValues:test_tensors()
  local entries = {
    float = saros.randn(2, 3), double = saros.randn(4, {dtype = "float64"}),
    int = saros.tensor {1, 2, 3}, mask = saros.tensor {true, false}, none = saros.zeros(0, 2),
    scalar = saros.tensor(2.5), part = saros.arange(1, 13):reshape(3, 4).T[2],
    best = {weights = {saros.ones(2), saros.zeros(1)}}, parameter = nn.Parameter(saros.ones(2)),
  }
  local saved = round_trip(entries)
  for name, tensor in pairs(entries) do
    if saros.is_tensor(tensor) then support.assert_same(saved[name], tensor, name) end
  end
  support.assert_same(saved.best.weights[1], saros.ones(2))
  support.assert_same(saved.best.weights[2], saros.zeros(1))
  lu.assertFalse(saved.parameter.requires_grad)
end

-- Different places whose names run together keep their own tensors.
function TestValues:test_names_that_run_together()
  local saved = round_trip {
    a = {["b.c"] = saros.tensor {1}, b = {c = saros.tensor {2}}}, ["a.b.c"] = saros.tensor {3},
    __metadata__ = saros.tensor {4}, ["\xff"] = saros.tensor {5},
  }
  lu.assertEquals({saved.a["b.c"]:item(), saved.a.b.c:item(), saved["a.b.c"]:item(),
    saved.__metadata__:item(), saved["\xff"]:item()}, {1, 2, 3, 4, 5})
end

function TestValues:test_the_file_is_readable()
  local model = nn.Linear(2, 1)
  saros.save_checkpoint(path, {model = model, epoch = 3, lr = 0.1, note = "x"})
  local tensors, metadata = saros.load(path)
  support.assert_same(tensors["model.weight"], model.weight)
  lu.assertEquals({metadata.epoch, metadata.lr, metadata.note, metadata["model.bias"]},
    {"3", "0.1", '"x', "tensor model.bias"})
end

function TestValues:test_equal_runs_make_equal_files()
  local entries = {model = nn.Linear(2, 1), a = 1, b = {x = 1, y = 2, z = {3, 4}}, c = "text"}
  saros.save_checkpoint(path, entries)
  local first = saros.read_file(path)
  saros.save_checkpoint(path, entries)
  lu.assertTrue(saros.read_file(path) == first)
end

function TestValues:test_what_cannot_be_saved()
  saros.save_checkpoint(path, {epoch = 1})
  local saved = saros.read_file(path)
  local endless = {}
  endless.again = endless
  for _, case in ipairs {
    {"a table of entries by name expected, got nil", nil},
    {"a table of entries by name expected, got Linear", nn.Linear(1, 1)},
    {"each of the entries needs a name, got number 1", {nn.Linear(1, 1)}},
    {"'f' holds function: tensors, numbers, strings", {f = print}},
    {"'a.b[2].c' holds function", {a = {b = {1, {c = print}}}}},
    {"'models[1]' holds Linear: only plain tables are saved, and objects at the top",
     {models = {nn.Linear(1, 1)}}},
    {"'g' holds userdata", {g = saros.Generator()}},
    {"'t' has the key number 1.5: keys are strings and integers", {t = {[1.5] = 1}}},
    {"'t' has the key boolean true", {t = {[true] = 1}}},
    {"tables nested deeper than 100, or a table that contains itself", {endless = endless}},
  } do
    assert_error(case[1], saros.save_checkpoint, path, case[2])
  end
  assert_error("a file name expected, got nil", saros.save_checkpoint, nil, {})
  assert_error("/none/file", saros.save_checkpoint, "/none/file", {})
  lu.assertTrue(saros.read_file(path) == saved) -- nothing was written
end

-- ---- objects ------------------------------------------------------------------------------

-- What a run consists of, trained for some steps.
local function make_run(name, seed, steps)
  saros.manual_seed(seed)
  local model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
  local optimizer = optim[name](model:parameters(), {lr = 0.1})
  local r = {
    model = model, optimizer = optimizer,
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
    loader = data.batches({1, 2, 3, 4, 5, 6, 7}, {size = 2, shuffle = true}),
  }
  local batch
  for _ = 1, steps do
    batch = r.loader(nil, batch) or r.loader()
    optimizer:zero_grad()
    model(saros.rand(#batch, 3)):square():sum():backward()
    optimizer:step()
    r.scheduler:step()
  end
  return r
end

-- All of a run, and the generator, as text without storage addresses.
local function snapshot(r)
  local words = {core.get_rng_state()}
  local function add(value)
    if saros.is_tensor(value) then value = value:reshape(-1):totable() end
    if type(value) ~= "table" then
      words[#words + 1] = type(value) == "number" and bits(value) or tostring(value)
      return
    end
    local keys = {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
    for _, key in ipairs(keys) do
      words[#words + 1] = tostring(key)
      add(value[key])
    end
  end
  for _, name in ipairs {"model", "optimizer", "scheduler", "loader"} do
    add(r[name]:state_dict())
  end
  return table.concat(words, " ")
end

local TestObjects = {}

function TestObjects:test_all_of_a_run()
  local first = make_run("Adam", 1, 3)
  local before = snapshot(first)
  saros.save_checkpoint(path, first)
  local second = make_run("Adam", 2, 5)
  lu.assertTrue(snapshot(second) ~= before)
  lu.assertEquals(saros.load_checkpoint(path, second), {})
  lu.assertTrue(snapshot(second) == before)
end

function TestObjects:test_some_of_a_run()
  local r = make_run("Adam", 1, 3)
  r.epoch = 4
  saros.save_checkpoint(path, r)
  local model = make_run("Adam", 2, 0).model
  local random = core.get_rng_state()
  local rest = saros.load_checkpoint(path, {model = model}, {random_state = false})
  lu.assertTrue(core.get_rng_state() == random)
  support.assert_same(model[1].weight, r.model[1].weight)
  lu.assertEquals(rest.epoch, 4)
  lu.assertNil(rest.model)
  lu.assertEquals(rest.optimizer.param_groups[1].betas, {0.9, 0.999})
  lu.assertEquals(rest.optimizer.state[1].step, 3)
  lu.assertEquals(rest.scheduler.last_epoch, 3)
end

-- A script's own objects: what has state_dict and load_state_dict.
function TestObjects:test_own_objects()
  local Average = {__name = "Average"}
  Average.__index = Average
  function Average:state_dict() return {sum = self.sum, n = self.n} end
  function Average:load_state_dict(state)
    if state.n > 5 then error("too many", 2) end
    self.sum, self.n = state.sum, state.n
  end
  local function average(sum, n) return setmetatable({sum = sum, n = n}, Average) end
  saros.save_checkpoint(path, {loss = average(2.5, 3), model = nn.Linear(1, 1)})
  local loaded = average(0, 0)
  saros.load_checkpoint(path, {loss = loaded})
  lu.assertEquals({loaded.sum, loaded.n}, {2.5, 3})

  saros.save_checkpoint(path, {loss = average(2.5, 9), model = nn.Linear(1, 1)})
  local model = nn.Linear(1, 1)
  local weight = model.weight:item()
  local ok, message = pcall(saros.load_checkpoint, path, {loss = loaded, model = model})
  lu.assertFalse(ok)
  lu.assertStrContains(message, "too many")
  lu.assertEquals(model.weight:item(), weight)
end

-- ---- what does not fit ------------------------------------------------------------------------

-- The checkpoint of `saved`, loaded into a run, must be refused with `text`, the run untouched.
local function refuse(text, saved, r, wanted)
  if saved then saros.save_checkpoint(path, saved) end
  local before = snapshot(r)
  assert_error(text, saros.load_checkpoint, path, wanted or r)
  lu.assertTrue(snapshot(r) == before, text)
end

local function with(t, key, value)
  local copy = {}
  for name, item in pairs(t) do copy[name] = item end
  copy[key] = value
  return copy
end

local TestMisfits = {}

function TestMisfits:test_another_model()
  local r = make_run("Adam", 1, 3)
  local other = make_run("Adam", 2, 3)
  local large = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 2))
  refuse("size mismatch for 0.weight", with(other, "model", large), r)
  refuse("Missing key(s) in state_dict: \"2.weight\", \"2.bias\"",
    with(other, "model", nn.Sequential(nn.Linear(3, 4))), r)
  refuse("Unexpected key(s)", with(other, "model",
    nn.Sequential(nn.Linear(3, 4), nn.Linear(1, 1), nn.Linear(4, 2))), r)
end

-- The model fits and would be changed before the others if they were not looked at first.
function TestMisfits:test_another_optimizer()
  local r = make_run("Adam", 1, 3)
  refuse("'optimizer' in '" .. path .. "' is the state of AdamW, given is Adam",
    make_run("AdamW", 2, 3), r)
  refuse("is the state of SGD, given is Adam", make_run("SGD", 2, 3), r)
  local other = make_run("Adam", 2, 3)
  refuse("different number of parameter groups: 2, here 1", with(other, "optimizer",
    optim.Adam({{params = other.model[1]:parameters()}, {params = other.model[3]:parameters()}})),
    r)
  local wide = make_run("Adam", 2, 3)
  local p = nn.Parameter(saros.zeros(4, 3))
  local list = {p, table.unpack(wide.model:parameters(), 2)}
  list[2] = nn.Parameter(saros.zeros(9))
  list[2].grad = saros.ones(9)
  local misfit = optim.Adam(list)
  misfit:step()
  refuse("state of parameter 2: size mismatch for exp_avg: shape [9] in the state dict, the "
    .. "parameter here has [4]", with(wide, "optimizer", misfit), r)
end

function TestMisfits:test_another_schedule_or_loader()
  local r, other = make_run("SGD", 1, 3), make_run("SGD", 2, 3)
  refuse("is the state of ExponentialLR, given is StepLR", with(other, "scheduler",
    optim.lr_scheduler.ExponentialLR(other.optimizer, 0.5)), r)
  refuse("the state is of a data set of 3 items, here are 7", with(other, "loader",
    data.batches({1, 2, 3}, {shuffle = true})), r)
  refuse("is the state of Module, given is Loader", with(other, "loader", nn.Linear(1, 1)), r)
end

function TestMisfits:test_missing_entries()
  local r, other = make_run("SGD", 1, 3), make_run("SGD", 2, 3)
  refuse("has no 'loader' (it has model, optimizer, scheduler)", with(other, "loader", nil), r)
  refuse("'loader' in '" .. path .. "' is a value, not the state of an object",
    with(other, "loader", 7), r)
  refuse("'loader' in '" .. path .. "' is a value", with(other, "loader", {at = 1}), r)
  refuse("'epoch' must be an object with state_dict and load_state_dict, got number 3", other, r,
    with(r, "epoch", 3))
  refuse("each of the objects needs a name", nil, r, {r.model})
  refuse("a table of objects by name expected, got Sequential", nil, r, r.model)
end

function TestMisfits:test_options()
  assert_error("unknown option 'random_stat', did you mean 'random_state'?", saros.load_checkpoint,
    path, {}, {random_stat = false})
  assert_error("a file name expected, got table", saros.load_checkpoint, {})
end

-- ---- files that are damaged --------------------------------------------------------------------

local TestFiles = {}

function TestFiles:test_no_checkpoint()
  local r = make_run("Adam", 1, 3)
  saros.save(path, r.model:state_dict())
  refuse("'" .. path .. "' is no checkpoint; saros.load reads its tensors", nil, r)
  os.remove(path)
  refuse("No such file", nil, r)
  saros.write_file(path, "")
  refuse(path, nil, r)
  saros.write_file(path, ("junk"):rep(1000))
  refuse(path, nil, r)
end

-- Wherever the file ends, loading is an error and the run as before.
function TestFiles:test_truncated()
  saros.save_checkpoint(path, make_run("Adam", 2, 2))
  local bytes = saros.read_file(path)
  local r = make_run("Adam", 1, 3)
  local before = snapshot(r)
  for size = 0, #bytes - 1, 97 do
    saros.write_file(path, bytes:sub(1, size))
    assert_error(path, saros.load_checkpoint, path, r)
  end
  saros.write_file(path, bytes:sub(1, -2))
  assert_error(path, saros.load_checkpoint, path, r)
  lu.assertTrue(snapshot(r) == before)
end

-- The metadata changed by a hand.
local function edit(changes)
  local tensors, metadata = saros.load(path)
  for key, value in pairs(changes) do metadata[key] = value or nil end
  saros.save(path, tensors, metadata)
end

function TestFiles:test_damaged_entries()
  local function damage(text, changes)
    saros.save_checkpoint(path, {model = nn.Linear(2, 1), epoch = 1, list = {1, 2}})
    edit(changes)
    local model = nn.Linear(2, 1)
    local before, random = model.weight:totable(), core.get_rng_state()
    assert_error(text, saros.load_checkpoint, path, {model = model})
    lu.assertEquals(model.weight:totable(), before)
    lu.assertTrue(core.get_rng_state() == random)
  end
  for _, value in ipairs {"", "x", "1x", "0x10", "1 2", "[1 x]", "[1 2", "hex 0", "hex 0g",
    "tensor no", "numbers no", "numbers model.weight",
    "function", "nil", " 1", "--1", "1e", "+1"} do
    damage("the entry string 'epoch' = string '" .. value .. "' is damaged", {epoch = value})
  end
  for _, key in ipairs {"a..b", ".a", "a.", "a b", "[", "[1", "[x]", '["x]', "[hex 0]", "[1.5]",
    "a[1]b", "1a", "", ("a."):rep(200) .. "a", "[99999999999999999999]"} do
    damage("is damaged", {[key] = "1"})
  end
  damage("is damaged", {["epoch.x"] = "1"}) -- epoch is a number
  damage("is damaged", {['["epoch"]'] = "2"}) -- twice
  damage("is damaged", {["list[1]"] = "5"})
  damage("the random state is damaged", {["random state"] = "00"})
  damage("the random state is damaged", {["random state"] = "zz"})
  damage("the random state is damaged", {["random state"] = false})
  damage("is of version 2, this program reads version 1", {["saros checkpoint"] = "2"})
  damage("Missing key(s) in state_dict: \"bias\"", {["model.bias"] = false})
  damage("'model' in '" .. path .. "' is a value", {["class of model"] = false})
  damage("bias: a tensor expected, got number 3", {["model.bias"] = "3"})
end

-- Any byte of the header changed: an error, or a file that still says what it should; never a
-- crash.
function TestFiles:test_changed_bytes()
  saros.save_checkpoint(path, {model = nn.Linear(2, 1), epoch = 1, list = {1, 2}})
  local bytes = saros.read_file(path)
  local header = string.unpack("<I8", bytes)
  for at = 1, math.min(8 + header, 700), 3 do
    local byte = bytes:byte(at)
    saros.write_file(path, bytes:sub(1, at - 1) .. string.char(byte ~ 5) .. bytes:sub(at + 1))
    pcall(saros.load_checkpoint, path, {model = nn.Linear(2, 1)})
  end
end

function TestFiles:test_no_memory()
  local r = make_run("Adam", 1, 3)
  saros.save_checkpoint(path, make_run("Adam", 2, 4))
  local wanted = make_run("Adam", 2, 4)
  local before = snapshot(r)
  saros.set_rng_state(before:sub(1, 2560))
  local failures = support.each_failing_allocation(function()
    saros.load_checkpoint(path, r)
  end, function() lu.assertTrue(snapshot(r) == before) end)
  lu.assertTrue(failures > 5)
  lu.assertEquals(r.optimizer:state_dict().state[1].step,
    wanted.optimizer:state_dict().state[1].step)
end

local suites = {
  TestValues = TestValues, TestObjects = TestObjects, TestMisfits = TestMisfits,
  TestFiles = TestFiles,
}
for _, suite in pairs(suites) do suite.tearDown = function() os.remove(path) end end
support.run(suites)
