-- data.ag_news, on the news shipped with saros and on files that are none.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local data = saros.data
local assert_error = support.assert_error

local folder

local TestAgNews = {}

function TestAgNews:setUp()
  folder = os.tmpname()
  os.remove(folder)
  assert(saros.make_directory(folder))
end

function TestAgNews:tearDown()
  for _, path in ipairs(data.list_files(folder)) do os.remove(path) end
  os.remove(folder)
end

local row = '"2","A ""late"" goal","Rovers 2, Albion 1."\n'

local function write(train, test)
  assert(saros.write_file(folder .. "/train.csv", train))
  if test then assert(saros.write_file(folder .. "/test.csv", test)) end
end

function TestAgNews:test_rows()
  write(row .. "4,Chip,Two cores\n", row)
  local train, test, classes = data.ag_news(folder .. "/")
  local item = {label = 2, text = 'A "late" goal Rovers 2, Albion 1.'}
  lu.assertEquals(train, {item, {label = 4, text = "Chip Two cores"}})
  lu.assertEquals(test, {item})
  lu.assertEquals(classes, {"World", "Sports", "Business", "Sci/Tech"})
end

-- The shipped set: as many of each class, no row in both files, none twice.
function TestAgNews:test_shipped()
  local train, test = data.ag_news("data/news")
  lu.assertEquals({#train, #test}, {400, 88})
  local seen = {}
  for share, items in pairs {[100] = train, [22] = test} do
    local count = {0, 0, 0, 0}
    for _, item in ipairs(items) do
      lu.assertNil(seen[item.text])
      seen[item.text], count[item.label] = true, count[item.label] + 1
    end
    lu.assertEquals(count, {share, share, share, share})
  end
end

function TestAgNews:test_files_that_are_none()
  assert_error(folder .. "/train.csv: No such file", data.ag_news, folder)
  write("")
  assert_error(folder .. "/train.csv has no rows", data.ag_news, folder)
  write(row)
  assert_error(folder .. "/test.csv: No such file", data.ag_news, folder)
  write(row, row .. "1,two fields\n")
  assert_error(folder .. "/test.csv:2: 3 fields expected, got 2", data.ag_news, folder)
  for _, class in ipairs {"0", "5", "Sports", "", "1.5"} do
    write(row .. "\"" .. class .. "\",a,b\n", row)
    assert_error(folder .. "/train.csv:2: the class must be 1 to 4 (World, Sports, Business, "
      .. "Sci/Tech), got '" .. class .. "'", data.ag_news, folder)
  end
  write('1,"never closed,b\n', row)
  assert_error(folder .. "/train.csv:1: a quoted field begins here and does not end",
    data.ag_news, folder)
  assert_error("data.ag_news: a folder expected, got number 1", data.ag_news, 1)
end

support.run {TestAgNews = TestAgNews}
