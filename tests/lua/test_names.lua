-- data.names, on the names shipped with saros and on files that are none; data.checksum.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local data = saros.data
local assert_error = support.assert_error

local folder

local TestNames = {}

function TestNames:setUp()
  folder = os.tmpname()
  os.remove(folder)
  assert(saros.make_directory(folder))
end

function TestNames:tearDown()
  for _, path in ipairs(data.list_files(folder)) do os.remove(path) end
  os.remove(folder)
end

local function write(name, text)
  assert(saros.write_file(folder .. "/" .. name, text))
  return folder .. "/" .. name
end

function TestNames:test_languages()
  write("Orkish.txt", "Ugluk\n\nGorbag\n")
  write("Elvish.txt", "Fëanor\r\nElendil")
  write("README.md", "Names.\n")
  write(".txt", "No language.\n")
  write("._Orkish.txt", "\0\5\22\7")
  local languages, names = data.names(folder)
  lu.assertEquals(languages, {"Elvish", "Orkish"})
  lu.assertEquals(names, {{"Fëanor", "Elendil"}, {"Ugluk", "Gorbag"}})
end

function TestNames:test_added()
  write("Orkish.txt", "Ugluk\n")
  write("Elvish.txt", "Elendil\n")
  local elvish = write("elvish.csv", "Name,Count\nGaladriel,12\nFeanor,800\n")
  local dwarvish = write("dwarvish", "Durin\nBalin\n")
  local languages, names = data.names(folder, {
    add = {{name = "Elvish", path = elvish}, {name = "Dwarvish", path = dwarvish}},
    min_count = 700,
  })
  lu.assertEquals(languages, {"Dwarvish", "Elvish", "Orkish"})
  lu.assertEquals(names, {{"Durin", "Balin"}, {"Feanor"}, {"Ugluk"}})
end

function TestNames:test_shipped()
  local languages, names = data.names("data/names")
  lu.assertEquals(#languages, 19)
  lu.assertEquals(#names, 19)
  local count = 0
  for _, list in ipairs(names) do count = count + #list end
  lu.assertEquals(count, 3105)
end

function TestNames:test_files_that_are_none()
  assert_error("data.names: there is no .txt file with names in " .. folder, data.names, folder)
  local empty = write("empty", "\n")
  local function added(min_count)
    return {add = {{name = "Elvish", path = empty}}, min_count = min_count}
  end
  assert_error("data.names: there are no names in " .. empty, data.names, folder, added(0))
  write("empty", "Elendil,3\n")
  assert_error("there are no names in " .. empty .. " with a count of at least 4", data.names,
    folder, added(4))
  lu.assertEquals(select(2, data.names(folder, added(3))), {{"Elendil"}})
  local path = write("Elvish.txt", "")
  assert_error("data.names: there are no names in " .. path, data.names, folder)
  write("Elvish.txt", "Elendil\nF\xEBanor\n")
  assert_error(path .. ":2: invalid UTF-8", data.names, folder)
  assert_error("No such file", data.names, folder .. "/none")
end

function TestNames:test_wrong_calls()
  assert_error("data.names: a folder expected, got number 1", data.names, 1)
  assert_error("data.names: unknown option 'added'", data.names, folder, {added = {}})
  assert_error("data.names: add must be a list of {name = ..., path = ...}, item 1 is string 'x'",
    data.names, folder, {add = {"x"}})
end

local TestChecksum = {}

-- The same for the same data, however they were made; another one for all others.
function TestChecksum:test_tells_apart()
  local seen = {}
  for i, value in ipairs {
    "", "a", "b", "ab", "a\0", ("a"):rep(31), ("a"):rep(32), ("a"):rep(33), ("a"):rep(64), "1", 1,
    1.0, 1.5, -1, {}, {{}}, {"a"}, {"a", "b"}, {"b", "a"}, {"ab"}, {"a", {"b"}}, {{"a"}, {"b"}},
    {{"a", "b"}, {}}, {{}, {"a", "b"}}, {x = "a"}, {y = "a"}, {x = "a", y = "b"},
    {x = "b", y = "a"}, {"a", x = "b"}, {{label = 1, text = "b"}, {label = 2, text = "a"}},
    {{label = 2, text = "b"}, {label = 1, text = "a"}},
  } do
    local sum = data.checksum(value)
    lu.assertStrMatches(sum, ("%x"):rep(16))
    lu.assertNil(seen[sum], ("values %s and %d"):format(seen[sum], i))
    seen[sum] = i
  end
  local built = {y = "b"}
  built.x = "a"
  lu.assertEquals(data.checksum(built), data.checksum {x = "a", y = "b"})
end

-- Each bit of a text counts, wherever it stands.
function TestChecksum:test_single_bits()
  local seen, text = {}, ("Anna\n"):rep(20)
  for i = 1, #text do
    for bit = 0, 7 do
      local changed = text:sub(1, i - 1) .. string.char(text:byte(i) ~ 1 << bit) .. text:sub(i + 1)
      local sum = data.checksum(changed)
      lu.assertNil(seen[sum])
      seen[sum] = true
    end
  end
  lu.assertNil(seen[data.checksum(text)])
end

-- Files keep it: it must not change from one version to the next.
function TestChecksum:test_fixed()
  lu.assertEquals(data.checksum {"Abe", "Bea"}, "dc6a45ec850a8b54")
end

function TestChecksum:test_wrong_calls()
  local message = "data.checksum: strings, numbers and tables of them expected, got "
  assert_error(message .. "nil", data.checksum)
  assert_error(message .. "boolean true", data.checksum, {"a", {true}})
  assert_error(message .. "tensor [2]", data.checksum, {x = saros.zeros(2)})
  for _, gap in ipairs {{[0] = 1}, {[3] = "x"}, {1, [1.5] = 2}, {[true] = 1}} do
    assert_error("must be strings and positions without gaps", data.checksum, gap)
  end
  local ring = {}
  ring[1] = {inner = ring}
  assert_error("nested deeper than 100, or a table that contains itself", data.checksum, ring)
end

support.run {TestNames = TestNames, TestChecksum = TestChecksum}
