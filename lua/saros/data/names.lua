-- data.names: names in several languages, the data set of PyTorch's tutorials on names.

local options = require "saros.options"
local files = require "saros.data.files"
local lines = require "saros.data.lines"
local words = require "saros.data.words"

local fail, show = options.fail, options.show

local where = "data.names"
local read = options.reader(where, {{"add", "table", {}}, {"min_count", "integer", 0}})

---@class saros.data.NamedFile
---@field name string
---@field path string

local function check_added(added)
  for i, file in ipairs(added) do
    if type(file) ~= "table" or type(file.name) ~= "string" or type(file.path) ~= "string" then
      fail("%s: add must be a list of {name = ..., path = ...}, item %d is %s", where, i,
        show(file))
    end
  end
end

local function added_names(path, min_count)
  local list = words.read_words(path, {min_count = min_count})
  if #list == 0 and min_count > 0 then
    fail("%s: there are no names in %s with a count of at least %d", where, path, min_count)
  end
  return list
end

--- Names by language: each file LANGUAGE.txt of a folder has the names of a language, one a line.
--- A file in which there are none is refused.
---
--- local languages, names = data.names()
--- print(languages[1], names[1][1])
---@param folder? string default: data.path("names")
---@param opts? {add: saros.data.NamedFile[], min_count: integer} add: further languages, or some
---   that take the place of those in the folder: files as data.read_words reads them, which leaves
---   out names that are rarer than min_count
---@return string[] languages sorted
---@return string[][] names names[i] are those of languages[i]
return function(folder, opts)
  if folder ~= nil and type(folder) ~= "string" then
    fail("%s: a folder expected, got %s", where, show(folder))
  end
  local o = read(opts)
  check_added(o.add)
  folder = folder or files.path("names")
  local languages, of_language, names = {}, {}, {}
  local function add(language, path, list)
    if #list == 0 then fail("%s: there are no names in %s", where, path) end
    if not of_language[language] then languages[#languages + 1] = language end
    of_language[language] = list
  end
  for _, path in ipairs(files.list_files(folder, ".%.txt$")) do
    local language = path:match("([^/]+)%.txt$")
    if language:sub(1, 1) ~= "." then -- hidden files are not meant
      add(language, path, lines.read_lines(path, {skip_empty = true}))
    end
  end
  for _, file in ipairs(o.add) do add(file.name, file.path, added_names(file.path, o.min_count)) end
  if #languages == 0 then fail("%s: there is no .txt file with names in %s", where, folder) end
  table.sort(languages)
  for i, language in ipairs(languages) do names[i] = of_language[language] end
  return languages, names
end
