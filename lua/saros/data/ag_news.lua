-- data.ag_news: short news of four classes, the data set of many a text classifier.

local options = require "saros.options"
local csv = require "saros.data.csv"
local files = require "saros.data.files"

local fail, show = options.fail, options.show

local where = "data.ag_news"

-- In the order of their numbers in the files.
local classes = {"World", "Sports", "Business", "Sci/Tech"}

---@class saros.data.NewsItem
---@field label integer class, 1 to 4
---@field text string headline and summary, joined by a space

local function item_of(path, line, row)
  local label = math.tointeger(tonumber(row[1]))
  if not classes[label or 0] then
    fail("%s: %s:%d: the class must be 1 to %d (%s), got '%s'", where, path, line, #classes,
      table.concat(classes, ", "), row[1])
  end
  return {label = label, text = row[2] .. " " .. row[3]}
end

local function read(path)
  local items = {}
  for row, line in csv.csv_rows(path, {columns = 3}) do
    items[#items + 1] = item_of(path, line, row)
  end
  if #items == 0 then fail("%s: %s has no rows", where, path) end
  return items
end

--- The AG News data set, as torchtext.datasets.AG_NEWS reads it: the rows of train.csv and of
--- test.csv, `"class","headline","summary"` each. What is no such row is refused with the
--- number of its line.
---
--- local train, test, classes = data.ag_news()
--- print(classes[train[1].label], train[1].text)
---@param folder? string with both files; default: data.path("ag_news_csv"), and where that is
---   not there the small set "news" which is shipped with saros
---@return saros.data.NewsItem[] train
---@return saros.data.NewsItem[] test
---@return string[] classes their names: World, Sports, Business, Sci/Tech
return function(folder)
  if folder ~= nil and type(folder) ~= "string" then
    fail("%s: a folder expected, got %s", where, show(folder))
  end
  folder = (folder or files.path("ag_news_csv", "news")):gsub("(.)/+$", "%1")
  return read(folder .. "/train.csv"), read(folder .. "/test.csv"), table.move(classes, 1,
    #classes, 1, {})
end
