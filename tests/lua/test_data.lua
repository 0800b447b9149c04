-- Data sets, splits, batches in PyTorch's order, text files, places of data.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local support = require "support"
local data = saros.data
local assert_error = support.assert_error

local function seeded(seed) return saros.Generator():manual_seed(seed) end

local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = i end
  return list
end

local function all_items(loop, ...)
  local list = {}
  for batch in loop, ... do
    for _, item in ipairs(batch) do list[#list + 1] = item end
  end
  return list
end

-- ---- golden --------------------------------------------------------------------

local TestGolden = {}

for _, seed in ipairs {0, 7, 2024} do
  TestGolden["test_split_" .. seed] = function()
    local case = support.golden("split_seed" .. seed)
    local train, test = data.random_split(numbers(97), {83, 14}, {generator = seeded(seed)})
    lu.assertEquals(train.indices, (case.train + 1):totable())
    lu.assertEquals(test.indices, (case.test + 1):totable())
  end
  TestGolden["test_loader_" .. seed] = function()
    local case = support.golden("split_seed" .. seed)
    saros.manual_seed(seed)
    lu.assertEquals(all_items(data.batches(numbers(23), {size = 5, shuffle = true})),
      (case.loader_order + 1):totable())
  end
end

-- ---- data sets --------------------------------------------------------------------

local TestDataset = {}

local Squares = data.Dataset:extend("Squares")
function Squares:init(n) self.n = n end
function Squares:__len() return self.n end
function Squares:get(i) return i * i end

function TestDataset:test_own_class()
  local squares = Squares(4)
  lu.assertEquals(#squares, 4)
  lu.assertEquals(squares[3], 9)
  lu.assertNil(squares[5])
  lu.assertNil(squares[0])
  local list = {}
  for i, item in ipairs(squares) do list[i] = item end
  lu.assertEquals(list, {1, 4, 9, 16})
  lu.assertEquals(tostring(squares), "Squares of 4 items")
end

function TestDataset:test_missing_methods()
  local Empty = data.Dataset:extend("Empty")
  assert_error("write function Empty:__len()", function() return #Empty() end)
  assert_error("write function Empty:get(i)", function() return Empty():get(1) end)
  assert_error("data.Dataset:extend(\"Name\")", data.Dataset.extend, "X")
end

function TestDataset:test_subset()
  local part = data.Subset(Squares(5), {5, 1, 1})
  lu.assertEquals({#part, part[1], part[2], part[3]}, {3, 25, 1, 1})
  lu.assertEquals(data.Subset(numbers(9), saros.tensor({2, 3}))[2], 3)
  assert_error("position 6 is not within 1 to 5", data.Subset, Squares(5), {6})
  assert_error("position 0 is not within", data.Subset, Squares(5), {0})
  assert_error("a data set expected", data.Subset, 3, {1})
end

function TestDataset:test_tensors()
  local x, y = saros.arange(1, 8):view(7, 1):float(), saros.arange(11, 18)
  local set = data.TensorDataset(x, y)
  lu.assertEquals({#set, set[3][1]:item(), set[3][2]:item()}, {7, 3, 13})
  local seen = {}
  for a, b in data.batches(set, {size = 3}) do
    lu.assertEquals(b:totable(), (a + 10):long():flatten():totable())
    table.insert(seen, tostring(a.shape))
  end
  lu.assertEquals(seen, {"[3, 1]", "[3, 1]", "[1, 1]"})
  assert_error("argument 1 must be a tensor (items, ...), got nil", data.TensorDataset)
  assert_error("argument 2 must be a tensor (items, ...), got number 3", data.TensorDataset, x, 3)
  assert_error("argument 2 must be a tensor (items, ...), got nil", data.TensorDataset, x, nil)
  assert_error("equal length expected, got [7, 1] and [3]", data.TensorDataset, x, saros.ones(3))
end

-- Shuffled batches and parts hold the items that they would hold one by one.
function TestDataset:test_batches_of_tensors_are_those_of_their_items()
  local ids = saros.arange(1, 12)
  local part = data.random_split(data.TensorDataset(ids), {8, 3}, {generator = seeded(3)})
  local again = data.random_split(ids:totable(), {8, 3}, {generator = seeded(3)})
  saros.manual_seed(4)
  local whole = {}
  for batch in data.batches(part, {size = 3, shuffle = true}) do
    table.insert(whole, batch:totable())
  end
  saros.manual_seed(4)
  local items = {}
  for batch in data.batches(again, {size = 3, shuffle = true}) do table.insert(items, batch) end
  lu.assertEquals(whole, items)
  local collate = function(list) return #list, list[1] end
  local collated = data.batches(part, {size = 3, collate = collate})
  lu.assertEquals({collated()}, {3, part[1]})
  assert_error("Subset: item 9 of 8", part.get_batch, part, {9})
end

function TestDataset:test_shares_are_rounded_as_in_pytorch()
  local function lengths(n, shares)
    local list = {}
    for i, part in ipairs {data.random_split(numbers(n), shares)} do list[i] = #part end
    return list
  end
  lu.assertEquals(lengths(20074, {0.85, 0.15}), {17063, 3011})
  lu.assertEquals(lengths(10, {1 / 3, 1 / 3, 1 / 3}), {4, 3, 3})
  lu.assertEquals(lengths(11, {1 / 3, 1 / 3, 1 / 3}), {4, 4, 3})
  lu.assertEquals(lengths(5, {1}), {5})
  lu.assertEquals(lengths(5, {2, 0, 3}), {2, 0, 3})
  lu.assertEquals(lengths(0, {0.5, 0.5}), {0, 0})
end

function TestDataset:test_split_of_a_split()
  local train, rest = data.random_split(Squares(20), {0.5, 0.5}, {generator = seeded(1)})
  local a, b = data.random_split(rest, {5, 5}, {generator = seeded(2)})
  local seen, count = {}, 0
  for _, part in ipairs {train, a, b} do
    for _, item in ipairs(part) do
      lu.assertNil(seen[item])
      seen[item], count = true, count + 1
    end
  end
  lu.assertEquals(count, 20)
end

function TestDataset:test_wrong_splits()
  assert_error("the lengths add up to 9, the data set has 10 items", data.random_split,
    numbers(10), {4, 5})
  assert_error("share 1 must be between 0 and 1, got 1.5", data.random_split, numbers(10),
    {1.5, -0.5})
  assert_error("length 1 must be a whole number", data.random_split, numbers(10), {4.5, 5.5})
  assert_error("length 2 must be a number", data.random_split, numbers(10), {4, "6"})
  assert_error("a list of lengths or shares expected", data.random_split, numbers(10), 0.5)
  assert_error("a data set expected", data.random_split, "names", {0.5, 0.5})
  assert_error("generator must be a generator, got number 3", data.random_split, numbers(10),
    {0.5, 0.5}, {generator = 3})
end

function TestDataset:test_from0()
  lu.assertEquals(data.from0(0), 1)
  lu.assertEquals(data.from0 {0, 4, {2}}, {1, 5, {3}})
  lu.assertEquals(data.from0(saros.tensor({0, 2})):totable(), {1, 3})
end

-- ---- batches ------------------------------------------------------------------------

local TestBatches = {}

function TestBatches:test_sizes()
  local function sizes(opts)
    local list = {}
    for batch in data.batches(numbers(7), opts) do list[#list + 1] = #batch end
    return list
  end
  lu.assertEquals(sizes {size = 3}, {3, 3, 1})
  lu.assertEquals(sizes {size = 3, drop_last = true}, {3, 3})
  lu.assertEquals(sizes {size = 10}, {7})
  lu.assertEquals(sizes {batch_size = 4}, {4, 3})
  lu.assertEquals(sizes {size = 10, drop_last = true}, {})
  lu.assertEquals(sizes(), {1, 1, 1, 1, 1, 1, 1})
  lu.assertEquals(all_items(data.batches(numbers(7), {size = 2})), numbers(7))
  lu.assertEquals(all_items(data.batches({}, {size = 2})), {})
end

function TestBatches:test_length()
  local loop = data.batches(numbers(7), {size = 3})
  lu.assertEquals(#loop, 3)
  loop = data.batches(numbers(7), {size = 3, drop_last = true})
  lu.assertEquals(#loop, 2)
end

function TestBatches:test_data_sets_of_all_kinds()
  lu.assertEquals(all_items(data.batches(Squares(3))), {1, 4, 9})
  local sums = {}
  for batch in data.batches(saros.ones(3, 2), {size = 2}) do
    for _, row in ipairs(batch) do sums[#sums + 1] = row:sum():item() end
  end
  lu.assertEquals(sums, {2, 2, 2})
end

function TestBatches:test_collate_with_several_results()
  local function collate(items) return saros.tensor(items), #items end
  local total, count = 0, 0
  for x, n in data.batches(numbers(5), {size = 2, collate = collate}) do
    total, count = total + x:sum():item(), count + n
  end
  lu.assertEquals({total, count}, {15, 5})
end

function TestBatches:test_each_loop_is_a_pass()
  local loop = data.batches(numbers(10), {size = 2, shuffle = true})
  saros.manual_seed(4)
  local first = all_items(loop)
  local second = all_items(loop)
  lu.assertNotEquals(first, second)
  table.sort(second)
  lu.assertEquals(second, numbers(10))
  saros.manual_seed(4)
  for batch in loop do
    if batch then break end -- the first order is drawn
  end
  lu.assertEquals(all_items(loop), (function()
    saros.manual_seed(4)
    all_items(loop)
    return all_items(loop)
  end)())
end

-- The default generator moves by one draw of 64 bits in a pass in order, by two in a
-- shuffled one, whatever the size.
function TestBatches:test_draws()
  local function after(draws)
    saros.manual_seed(9)
    for _ = 1, draws do core.random_int64() end
    return saros.rand(1):item()
  end
  saros.manual_seed(9)
  all_items(data.batches(numbers(50), {size = 8}))
  lu.assertEquals(saros.rand(1):item(), after(1))
  saros.manual_seed(9)
  all_items(data.batches(numbers(50), {size = 8, shuffle = true}))
  lu.assertEquals(saros.rand(1):item(), after(2))
end

function TestBatches:test_own_generator()
  local function order(seed)
    return all_items(data.batches(numbers(20), {shuffle = true, generator = seeded(seed)}))
  end
  lu.assertEquals(order(3), order(3))
  lu.assertNotEquals(order(3), order(4))
  local g = seeded(3)
  core.random_int64(g)
  lu.assertEquals(order(3), saros.randperm(20, {generator = g}):totable())
end

function TestBatches:test_growing_data_set()
  local list = numbers(2)
  local loop = data.batches(list, {size = 2})
  all_items(loop)
  list[3] = 3
  lu.assertEquals(#loop, 1) -- as of the last pass
  lu.assertEquals(all_items(loop), numbers(3))
end

function TestBatches:test_wrong_use()
  assert_error("data.batches: unknown option 'collate_fn', did you mean 'collate'?", data.batches,
    {}, {collate_fn = 3})
  assert_error("size must be at least 1, got 0", data.batches, {}, {size = 0})
  assert_error("size and batch_size are two names of one option", data.batches, {},
    {size = 1, batch_size = 1})
  assert_error("a data set expected", data.batches, nil, {size = 1})
  assert_error("collate must be a function", data.batches, {}, {collate = "stack"})
end

-- ---- state of batches ---------------------------------------------------------------

local TestState = {}

local shuffled = {size = 3, shuffle = true}

-- Batches of two passes and a half; with `resume`, a new loader goes on from the state taken
-- in the body of the loop at that batch (counted through all passes).
local function batches_of(make, resume)
  saros.manual_seed(9)
  local loop, list = make(), {}
  for pass = 1, 3 do
    local again = true
    while again do
      again = false
      for batch in loop do
        list[#list + 1] = table.concat(batch, " ")
        if #list == resume then
          local state, random = loop:state_dict(), saros.get_rng_state()
          saros.manual_seed(77)
          loop = make()
          loop:load_state_dict(state)
          saros.set_rng_state(random)
          again = true
          break
        end
        if pass == 3 and #list % 5 == 2 then return list end
      end
    end
  end
  return list
end

-- A pass that was left by break goes on after loading; one that was closed has ended.
function TestState:test_closed_after_break()
  local loop = data.batches(saros.arange(1, 9), {size = 2})
  loop() -- the first batch, as a loop that is left by break
  lu.assertEquals(loop:state_dict().at, 2)
  loop:close()
  lu.assertNil(loop:state_dict().at)
  local again = data.batches(saros.arange(1, 9), {size = 2})
  again:load_state_dict(loop:state_dict())
  lu.assertEquals(again()[1]:item(), 1)
end

function TestState:test_a_loop_inside_itself()
  local loop = data.batches(saros.arange(1, 9), {size = 2})
  assert_error("this pass has ended", function()
    for _ in loop do
      for _ in loop do end
    end
  end)
end

function TestState:test_goes_on_where_it_was()
  for _, opts in ipairs {
    {size = 3}, shuffled, {size = 3, shuffle = true, drop_last = true}, {size = 13, shuffle = true},
    {size = 3, shuffle = true, own = true}, {size = 2, own = true},
  } do
    local function make()
      local own = opts.own and seeded(4) or nil
      return data.batches(numbers(13), {
        size = opts.size, shuffle = opts.shuffle, drop_last = opts.drop_last, generator = own,
      })
    end
    local whole = batches_of(make)
    for at = 1, #whole - 1 do lu.assertEquals(batches_of(make, at), whole) end
  end
end

function TestState:test_state()
  local loop = data.batches(numbers(5), {size = 2})
  lu.assertEquals(loop:state_dict(), {length = 5})
  loop()
  lu.assertEquals(loop:state_dict(), {length = 5, at = 2})
  local mixed = data.batches(numbers(5), shuffled)
  mixed()
  local state = mixed:state_dict()
  lu.assertEquals(state.at, 3)
  table.sort(state.order)
  lu.assertEquals(state.order, numbers(5))
end

-- Another size of batches is allowed: the position is counted in items.
function TestState:test_another_size()
  local a, b = data.batches(numbers(7), {size = 3}), data.batches(numbers(7), {size = 2})
  a()
  b:load_state_dict(a:state_dict())
  lu.assertEquals(all_items(b), {4, 5, 6, 7})
  lu.assertEquals(all_items(b), numbers(7))
end

function TestState:test_progress_begins_in_the_middle()
  local a = data.batches(numbers(6), {size = 2})
  a()
  local b = data.batches(numbers(6), {size = 2, progress = "test"})
  b:load_state_dict(a:state_dict())
  b()
  lu.assertEquals(b.bar.count, 1)
  b.bar.closed = true -- nothing is to be shown
end

function TestState:test_refuses_what_does_not_fit()
  local loop = data.batches(numbers(4), {size = 2, shuffle = true})
  loop()
  local before = loop:state_dict()
  local function refuse(text, state, target)
    target = target or loop
    assert_error("Loader.load_state_dict: " .. text, target.load_state_dict, target, state)
    lu.assertEquals(loop:state_dict(), before)
  end
  refuse("a table of state_dict() expected, got number 3", 3)
  refuse("the state is of a data set of nil items, here are 4", {})
  refuse("the state is of a data set of 5 items, here are 4", {length = 5})
  refuse("at must be from 0 to 4, got number 5", {length = 4, at = 5})
  refuse("at must be from 0 to 4, got number -1", {length = 4, at = -1})
  refuse("at must be from 0 to 4, got string '1'", {length = 4, at = "1"})
  refuse("the state is of a loader without shuffle, this one is with", {length = 4, at = 1})
  refuse("the state is of a loader with shuffle, this one is without", before,
    data.batches(numbers(4)))
  refuse("order must be a list of 4 positions, got 2", {length = 4, at = 1, order = {1, 2}})
  refuse("order must be a list of 4 positions, got boolean true",
    {length = 4, at = 1, order = true})
  refuse("order[4] must be a new position from 1 to 4, got number 1",
    {length = 4, at = 1, order = {1, 2, 3, 1}})
  refuse("order[1] must be a new position from 1 to 4, got number 0",
    {length = 4, at = 1, order = {0, 2, 3, 1}})
  refuse("the state is of a loader with a generator of its own, this one is without",
    {length = 4, generator = "x"})
  refuse("the state is of a loader without a generator of its own, this one is with", {length = 4},
    data.batches(numbers(4), {generator = seeded(1)}))
  refuse("generator must be the state of a generator, got string 'x'",
    {length = 4, generator = "x"}, data.batches(numbers(4), {generator = seeded(1)}))
end

-- ---- files --------------------------------------------------------------------------------

local TestFiles = {}

local folder

function TestFiles:setUp()
  folder = os.tmpname()
  os.remove(folder)
  assert(core.make_directory(folder))
end

function TestFiles:tearDown()
  for _, name in ipairs(core.list_directory(folder)) do os.remove(folder .. "/" .. name) end
  os.remove(folder)
end

local function file(name, bytes)
  assert(core.write_file(folder .. "/" .. name, bytes))
  return folder .. "/" .. name
end

function TestFiles:test_read_lines()
  lu.assertEquals(data.read_lines(file("a", "one\ntwo\n")), {"one", "two"})
  lu.assertEquals(data.read_lines(file("a", "one\r\ntwo\r\n\r\nlast")), {"one", "two", "", "last"})
  lu.assertEquals(data.read_lines(file("a", "\xEF\xBB\xBFé\n\nß")), {"é", "", "ß"})
  lu.assertEquals(data.read_lines(file("a", "a\n\n\nb\n\n"), {skip_empty = true}), {"a", "b"})
  lu.assertEquals(data.read_lines(file("a", "")), {})
  lu.assertEquals(data.read_lines(file("a", "\n")), {""})
  lu.assertEquals(data.read_lines(file("a", "a\0b\r\r\n")), {"a\0b\r"})
  local long = ("é"):rep(1000000)
  lu.assertTrue(data.read_lines(file("a", long))[1] == long)
end

function TestFiles:test_invalid_utf8()
  local path = file("a", "fine\nab\xFFc\n")
  assert_error(path .. ":2: invalid UTF-8 at byte 3 of the line (0xFF)", data.read_lines, path)
  lu.assertEquals(data.read_lines(path, {encoding = "bytes"}), {"fine", "ab\xFFc"})
  assert_error(":1: invalid UTF-8 at byte 1 of the line (0xED)", data.read_lines,
    file("b", "\xED\xA0\x80"))
end

function TestFiles:test_missing_files()
  assert_error("No such file", data.read_lines, folder .. "/none")
  assert_error("directory", data.read_lines, folder)
  assert_error("a file name expected, got nil", data.read_lines)
  assert_error("encoding must be one of 'utf-8', 'bytes'", data.read_lines, folder,
    {encoding = "latin-1"})
  assert_error("No such file", data.list_files, folder .. "/none")
end

function TestFiles:test_list_files()
  file("b.txt", "")
  file("a.txt", "")
  file("c.md", "")
  lu.assertEquals(data.list_files(folder, "%.txt$"), {folder .. "/a.txt", folder .. "/b.txt"})
  lu.assertEquals(data.list_files(folder .. "/"), {folder .. "/a.txt", folder .. "/b.txt",
    folder .. "/c.md"})
  assert_error("a folder expected", data.list_files)
end

-- Run a script with an environment; what it printed, errors too.
local function run(environment, script)
  local first = 0
  while arg[first - 1] do first = first - 1 end
  local pipe = io.popen(("%s '%s' -e '%s' 2>&1"):format(environment, arg[first], script))
  local output = pipe:read("a")
  pipe:close()
  return output
end

local program = 'local d = require "saros".data; '

function TestFiles:test_path()
  lu.assertStrContains(run("env -u SAROS_DATA XDG_CACHE_HOME=/none",
    program .. 'print(d.path("names")) print(d.path("names"))'),
    "data: names from data/names (shipped with saros)\ndata/names\ndata/names\n")
  file("words", "")
  lu.assertStrContains(run("SAROS_DATA=" .. folder, program .. 'print(d.path("words"))'),
    ("data: words from %s/words (SAROS_DATA)\n%s/words\n"):format(folder, folder))
  lu.assertStrContains(run("XDG_CACHE_HOME=/none SAROS_DATA=" .. folder,
    program .. 'print(d.path("names"))'), "shipped with saros; it is not in SAROS_DATA")
  assert(core.make_directory(folder .. "/saros"))
  os.rename(folder .. "/words", folder .. "/saros/words")
  lu.assertStrContains(run("env -u SAROS_DATA XDG_CACHE_HOME=" .. folder,
    program .. 'print(d.path("words"))'), "(the full set in the cache)")
  os.remove(folder .. "/saros/words")
  local output = run("SAROS_DATA=" .. folder, program .. 'd.path("nothing")')
  lu.assertStrContains(output, "data.path: no data set 'nothing'. Looked for:")
  lu.assertStrContains(output, folder .. "/nothing")
  assert_error("the name of a data set expected", data.path)
end

function TestFiles:test_read_words()
  local path = file("words", "Korhonen\n  Virtanen \r\n\nde la Cruz\n")
  lu.assertEquals(data.read_words(path), {"Korhonen", "Virtanen", "de la Cruz"})
  lu.assertEquals(data.read_words(path, {min_count = 5}), {"Korhonen", "Virtanen", "de la Cruz"})
  for _, separator in ipairs {"\t", ",", " , "} do
    local text = ("Name%sHolders\nKorhonen%s21964\nde la Cruz%s0700 \n\nRare%s699\n"):gsub("%%s",
      separator)
    path = file("words", text)
    lu.assertEquals(data.read_words(path), {"Korhonen", "de la Cruz", "Rare"})
    lu.assertEquals(data.read_words(path, {min_count = 700}), {"Korhonen", "de la Cruz"})
    lu.assertEquals(data.read_words(path, {min_count = 10 ^ 6}), {})
  end
  lu.assertEquals(data.read_words(file("words", "Korhonen\t21964\nVirtanen\t3\n"), {min_count = 4}),
    {"Korhonen"})
  lu.assertEquals(data.read_words(file("words", "")), {})
  assert_error("words:3: a word, a tab or comma, and a count expected, got 'Virtanen'",
    data.read_words, file("words", "Name\tCount\nKorhonen\t3\nVirtanen\n"))
  assert_error("words:1: invalid UTF-8", data.read_words, file("words", "M\xE4kinen\n"))
end

support.run {
  TestGolden = TestGolden, TestDataset = TestDataset, TestBatches = TestBatches,
  TestState = TestState, TestFiles = TestFiles,
}
