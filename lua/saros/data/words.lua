-- data.read_words: lists of words, and tables of words with their counts.

local options = require "saros.options"
local lines = require "saros.data.lines"

local words = {}

local where = "data.read_words"
local read = options.reader(where, {{"min_count", "integer", 0}})

-- "Sourander<TAB>712" or "Sourander,712": the word and the count; nil for a line that is a word.
local function split(line)
  local word, count = line:match("^(.-)%s*[\t,]%s*(%d+)$")
  return word, count and math.tointeger(tonumber(count))
end

-- {line, its number} for the lines that are not empty, without spaces around them; does one of
-- them have a count?
local function read_lines(path)
  local advance, file = lines.raw(where, path, "utf-8")
  local _ <close> = file
  local list, counted = {}, false
  for line, number in advance do
    line = line:match("^%s*(.-)%s*$")
    counted = counted or split(line) ~= nil
    if line ~= "" then list[#list + 1] = {line, number} end
  end
  return list, counted
end

--- The words of a UTF-8 text file, one a line, without spaces around them; empty lines are left
--- out. Where lines have counts, `word<TAB>count` or `word,count`, all must, but for a heading
--- in the first line, and words that are rarer than min_count are left out.
---@param path string
---@param opts? {min_count: integer} default 0
---@return string[]
function words.read_words(path, opts)
  local o = read(opts)
  local list, found, counted = {}, read_lines(path)
  for _, entry in ipairs(found) do
    local word, count = entry[1], nil
    if counted then word, count = split(word) end
    if counted and not count and entry[2] > 1 then
      options.fail("%s: %s:%d: a word, a tab or comma, and a count expected, got '%s'", where, path,
        entry[2], entry[1])
    end
    if not counted or count and count >= o.min_count then list[#list + 1] = word end
  end
  return list
end

return words
