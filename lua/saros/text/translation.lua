-- Pairs of sentences, as PyTorch's tutorial "Translation with a Sequence to Sequence Network
-- and Attention" reads and numbers them.

local class = require "saros.class"
local options = require "saros.options"
local lines = require "saros.data.lines"
local unicode = require "saros.text.unicode"

local fail, show = options.fail, options.show

local translation = {}

-- ---- words of a language ----------------------------------------------------------------

local SOS, EOS = 1, 2

---@class saros.text.Lang
---@field name string
---@field word2index table<string, integer> the tutorial's ids plus 1
---@field word2count table<string, integer>
---@field index2word table<integer, string> SOS (start of sentence) is 1, EOS (its end) 2
---@field n_words integer SOS and EOS included: the size of an embedding
---@overload fun(name: string): self
local Lang = class.extend(nil, "Lang")
translation.Lang = Lang

---@param name string
function Lang:init(name)
  if type(name) ~= "string" then fail("text.Lang: a name expected, got %s", show(name)) end
  self.name = name
  self.word2index, self.word2count = {}, {}
  self.index2word, self.n_words = {[SOS] = "SOS", [EOS] = "EOS"}, 2
end

function Lang:__tostring() return ("Lang %s of %d words"):format(self.name, self.n_words) end

local function words_of(method, sentence)
  if type(sentence) ~= "string" then
    fail("Lang:%s: a sentence expected, got %s", method, show(sentence))
  end
  return (sentence .. " "):gmatch("([^ ]*) ")
end

--- Count the words of a sentence, which a single space separates; new ones get an id.
---@param sentence string
function Lang:addSentence(sentence)
  for word in words_of("addSentence", sentence) do self:addWord(word) end
end

---@param word string
function Lang:addWord(word)
  if type(word) ~= "string" then fail("Lang:addWord: a word expected, got %s", show(word)) end
  if self.word2index[word] then
    self.word2count[word] = self.word2count[word] + 1
    return
  end
  self.n_words = self.n_words + 1
  self.word2index[word], self.word2count[word] = self.n_words, 1
  self.index2word[self.n_words] = word
end

--- The ids of a sentence's words; an unknown word is an error. EOS is not added.
---@param sentence string
---@return integer[]
function Lang:indexesFromSentence(sentence)
  local ids = {}
  for word in words_of("indexesFromSentence", sentence) do
    local id = self.word2index[word]
    if not id then
      fail("Lang:indexesFromSentence: %s has no word '%s'", self.name, word)
    end
    ids[#ids + 1] = id
  end
  return ids
end

-- ---- sentences ----------------------------------------------------------------------------

--- normalizeString of the tutorial: small letters without accents, ! and ? as words of their
--- own, everything else a space.
---
--- text.normalize_string("Ça va ? Oui.") gives "ca va ? oui".
---@param s string
---@return string
function translation.normalize_string(s)
  if type(s) ~= "string" then
    fail("text.normalize_string: a string expected, got %s", show(s))
  end
  local plain = unicode.strip_marks(unicode.lower(s)):gsub("[.!?]", " %0")
  return (plain:gsub("[^a-zA-Z!?]+", " "):match("^ ?(.-) ?$"))
end

--- How the English sentences begin that the tutorial trains on.
translation.eng_prefixes = {
  "i am ", "i m ", "he is", "he s ", "she is", "she s ", "you are", "you re ", "we are",
  "we re ", "they are", "they re ",
}

local function has_prefix(s, prefixes)
  for _, prefix in ipairs(prefixes) do
    if s:sub(1, #prefix) == prefix then return true end
  end
  return false
end

-- Words between single spaces, as #s.split(' ').
local function count_words(s)
  local _, spaces = s:gsub(" ", "")
  return spaces + 1
end

local read = options.reader("text.read_pairs", {
  {"reverse", "boolean", false}, {"max_length", "integer?"}, {"prefixes", "table?"},
})

local function keeps(o, pair)
  local limit = o.max_length or math.huge
  return count_words(pair[1]) < limit and count_words(pair[2]) < limit
end

--- Pairs of sentences from a file with two columns between tabs (further ones are left
--- aside), both passed through normalize_string.
---
--- The tutorial's 11445 pairs, French to English, are
--- text.read_pairs(data.path("eng-fra.txt"), {reverse = true, max_length = 10,
---   prefixes = text.eng_prefixes})
---@param path string
---@param opts? {reverse: boolean, max_length: integer, prefixes: string[]}
---   reverse: the second column is the source, which comes first in a pair; max_length: both
---   sentences have fewer words than this; prefixes: the target begins with one of them
---@return string[][] pairs {source, target}
function translation.read_pairs(path, opts)
  local o = read(opts)
  local list = {}
  local source, target = o.reverse and 2 or 1, o.reverse and 1 or 2
  for line, number in lines.lines(path) do
    local columns = {line:match("^([^\t]*)\t([^\t]*)")}
    if not columns[1] then
      fail("text.read_pairs: %s:%d: two sentences with a tab between them expected, got %s", path,
        number, show(line))
    end
    local pair = {[2] = translation.normalize_string(columns[target])}
    if not o.prefixes or has_prefix(pair[2], o.prefixes) then
      pair[1] = translation.normalize_string(columns[source])
      if keeps(o, pair) then list[#list + 1] = pair end
    end
  end
  return list
end

return translation
