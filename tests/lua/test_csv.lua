-- Tables and lines of text files, and batches of items of different lengths.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local data = saros.data
local assert_error = support.assert_error
local golden = dofile "tests/golden/tokenizers.lua"

local path

local function set_up() path = os.tmpname() end
local function tear_down() os.remove(path) end

local function file(bytes)
  assert(saros.write_file(path, bytes))
  return path
end

local TestCsv = {setUp = set_up, tearDown = tear_down}

-- Python's csv.reader, strict=True.
function TestCsv:test_golden()
  for i, case in ipairs(golden.csv) do
    lu.assertEquals(data.read_csv(file(case[1]), case[2]), case[3], i .. ": " .. case[1])
  end
end

function TestCsv:test_rows_and_their_lines()
  file('a,"1\n2"\n"x\n\ny",b\nlast,c')
  local found = {}
  for row, line in data.csv_rows(path) do found[#found + 1] = {line, row} end
  lu.assertEquals(found, {{1, {"a", "1\n2"}}, {3, {"x\n\ny", "b"}}, {6, {"last", "c"}}})
end

function TestCsv:test_empty_and_marks()
  lu.assertEquals(data.read_csv(file("")), {})
  lu.assertEquals(data.read_csv(file("\n")), {{}})
  lu.assertEquals(data.read_csv(file("\xEF\xBB\xBFa,b\n")), {{"a", "b"}})
  lu.assertEquals(data.read_csv(file("a,\xFF\n"), {encoding = "bytes"}), {{"a", "\xFF"}})
  lu.assertEquals(data.read_csv(file("a\0b,c\n")), {{"a\0b", "c"}})
  lu.assertEquals(data.read_csv(file("a|b;c\n"), {delimiter = "|"}), {{"a", "b;c"}})
  lu.assertEquals(data.read_csv(file("1xx2\n"), {delimiter = "x"}), {{"1", "", "2"}})
  lu.assertEquals(data.read_csv(file("a^b]c%d\n"), {delimiter = "^"}), {{"a", "b]c%d"}})
end

function TestCsv:test_long_fields()
  local long = ("line\n"):rep(200000)
  local rows = data.read_csv(file('"' .. long .. '",' .. ("x"):rep(1000000) .. "\n"))
  lu.assertTrue(rows[1][1] == long)
  lu.assertEquals(#rows[1][2], 1000000)
  rows = data.read_csv(file('"' .. ('""'):rep(500000) .. '"\n' .. (","):rep(100000)))
  lu.assertEquals(#rows[1][1], 500000)
  lu.assertEquals(#rows[2], 100001)
end

function TestCsv:test_broken_files()
  local read = data.read_csv
  assert_error(path .. ":2: ',' expected after the closing quote at column 3, got 'c'", read,
    file('x,y\n"b"c\n'))
  assert_error(":3: ',' expected after the closing quote at column 2, got 'é'", read,
    file('x\n"a\nb"é\n'))
  assert_error(":1: ';' expected after the closing quote at column 3, got ' '", read,
    file('"a" ;b\n'), {delimiter = ";"})
  assert_error(path .. ":2: a quoted field begins here and does not end", read,
    file('a,b\nc,"d\ne,f\n'))
  assert_error(":1: a quoted field begins here and does not end", read, file('"'))
  assert_error(":2: a carriage return in a field without quotes", read, file("a\nb\rc\n"))
  assert_error(":2: 2 fields expected, got 1", read, file("a,b\nc\n"), {columns = 2})
  assert_error(":3: 2 fields expected, got 0", read, file("a,b\nc,d\n\n"), {columns = 2})
  assert_error("data.csv_rows: " .. path .. ":2: invalid UTF-8 at byte 3 of the line (0xFF)",
    function() for _ in data.csv_rows(file("a\nb,\xFF\n")) do lu.assertTrue(true) end end)
  assert_error("No such file", read, path .. "-none")
  assert_error("data.read_csv: / is a directory", read, "/")
  assert_error("a file name expected, got nil", read)
end

function TestCsv:test_wrong_use()
  for _, delimiter in ipairs {"", ",,", '"', "\n", "\r", "é"} do
    assert_error("delimiter must be one ASCII character, no quote or line end", data.csv_rows, path,
      {delimiter = delimiter})
  end
  assert_error("unknown option 'sep'", data.csv_rows, path, {sep = ";"})
  assert_error("encoding must be one of 'utf-8', 'bytes'", data.csv_rows, path,
    {encoding = "latin-1"})
end

local TestLines = {setUp = set_up, tearDown = tear_down}

function TestLines:test_lines()
  file("one\r\n\ntwo\n\r\nlast\r")
  local found = {}
  for line, number in data.lines(path) do found[#found + 1] = {line, number} end
  lu.assertEquals(found, {{"one", 1}, {"", 2}, {"two", 3}, {"", 4}, {"last\r", 5}})
  found = {}
  for line, number in data.lines(path, {skip_empty = true}) do
    found[#found + 1] = {line, number}
  end
  lu.assertEquals(found, {{"one", 1}, {"two", 3}, {"last\r", 5}})
  for _ in data.lines(file("")) do lu.fail("no line in an empty file") end
end

function TestLines:test_wrong_files()
  file("fine\nab\xFFc\n")
  local seen = {}
  assert_error("data.lines: " .. path .. ":2: invalid UTF-8 at byte 3 of the line (0xFF)",
    function() for line in data.lines(path) do seen[#seen + 1] = line end end)
  lu.assertEquals(seen, {"fine"})
  assert_error("data.lines: / is a directory", data.lines, "/")
  assert_error("No such file", data.lines, path .. "-none")
end

-- At the end of a loop, after a break and after an error.
function TestLines:test_files_are_closed()
  local function open_files() return #saros.list_directory("/proc/self/fd") end
  file('a\n"b\n')
  local before = open_files()
  collectgarbage("stop")
  for line in data.lines(path) do
    lu.assertEquals(open_files(), before + 1)
    if line == "a" then break end
  end
  data.read_lines(path)
  pcall(data.read_csv, path)
  pcall(function() for _ in data.csv_rows(path) do error("stop") end end)
  lu.assertEquals(open_files(), before)
  collectgarbage("restart")
end

local TestCollate = {}

function TestCollate:test_pad_collate()
  local items = {{2, {5, 6, 7}}, {1, {8}}, {saros.tensor(4), saros.tensor {9, 9}}}
  local labels, ids, lengths = data.pad_collate()(items)
  lu.assertEquals({labels.dtype, ids.dtype, lengths.dtype}, {"int64", "int64", "int64"})
  lu.assertEquals(labels:totable(), {2, 1, 4})
  lu.assertEquals(ids:totable(), {{5, 6, 7}, {8, 0, 0}, {9, 9, 0}})
  lu.assertEquals(lengths:totable(), {3, 1, 2})
  local _, columns = data.pad_collate {padding_value = 1, batch_first = false}(items)
  lu.assertEquals(columns:totable(), {{5, 8, 9}, {6, 1, 9}, {7, 1, 1}})
end

function TestCollate:test_within_batches()
  local set = {{1, {1}}, {2, {2, 3}}, {3, {4, 5, 6}}}
  local shapes = {}
  for labels, ids, lengths in data.batches(set, {size = 2, collate = data.pad_collate()}) do
    shapes[#shapes + 1] = ("%s %s %s"):format(labels.shape, ids.shape, lengths.shape)
  end
  lu.assertEquals(shapes, {"[2] [2, 2] [2]", "[1] [1, 3] [1]"})
end

function TestCollate:test_wrong_items()
  local collate = data.pad_collate()
  assert_error("item 2 must be a list {label, ids}, got number 3", collate, {{1, {1}}, 3})
  assert_error("the label of item 1 must be a number, got string 'World'", collate,
    {{"World", {1}}})
  assert_error("item 1 must be a list {label, ids}, its ids are nil", collate, {{1}})
  assert_error("item 1 of sequence 1 must be a number, got string 'a'", collate, {{1, {"a"}}})
  assert_error("unknown option 'padding'", data.pad_collate, {padding = 1})
end

support.run {TestCsv = TestCsv, TestLines = TestLines, TestCollate = TestCollate}
