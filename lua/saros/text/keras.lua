-- keras.preprocessing.text.Tokenizer. Its ids are the same here and in Keras: words are
-- numbered from 1, and 0 is what pad_sequences fills up with.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"
local counts = require "saros.text.counts"
local each = require "saros.text.each"
local words = require "saros.text.words"
local unicode = require "saros.text.unicode"

local fail, show = options.fail, options.show

---@class saros.text.KerasTokenizerOptions
---@field num_words? integer ids stay below it: the num_words - 1 most frequent words are kept
---@field filters? string characters that separate words, default text.keras_filters
---@field lower? boolean default true
---@field split? string default " "
---@field char_level? boolean each character is a token, default false
---@field oov_token? string has the id 1 and stands for unknown words, which are left out else

---@class saros.text.KerasTokenizer
---@field word_index table<string, integer> ids: by falling count, ties by first appearance
---@field index_word table<integer, string>
---@field word_counts table<string, integer> pairs() follows the first appearance
---@field document_count integer
---@overload fun(options?: saros.text.KerasTokenizerOptions): self
local Tokenizer = class.extend(nil, "KerasTokenizer")

local where = "text.KerasTokenizer"

local read = options.signature(where, {
  {"num_words", "integer?"}, {"filters", "string", words.keras_filters}, {"lower", "boolean", true},
  {"split", "string", " "}, {"char_level", "boolean", false}, {"oov_token", "string?"},
})

--- text.KerasTokenizer{num_words = 10000, oov_token = "UNK"}; with options as in Keras.
function Tokenizer:init(...)
  local o = read(...)
  if o.num_words and o.num_words < 1 then
    fail("%s: num_words must be at least 1, got %d", where, o.num_words)
  end
  self.num_words, self.oov_token = o.num_words, o.oov_token
  self.filters, self.split, self.lower, self.char_level = o.filters, o.split, o.lower, o.char_level
  self.cut = words.keras_splitter(where, o.filters, o.lower, o.split)
  self.word_counts, self.document_count = counts.new(), 0
  self.word_index, self.index_word = {}, {}
end

function Tokenizer:__tostring()
  return ("KerasTokenizer(%d words, num_words=%s)"):format(#self.word_counts,
    tostring(self.num_words))
end

local function characters(s)
  local list, n = {}, 0
  for _, character in unicode.codes(s) do
    n = n + 1
    list[n] = character
  end
  return list
end

-- The tokens of a text, a string or a list of tokens.
local function tokens_of(self, method, text)
  if type(text) == "table" then
    local list = {}
    for i, token in ipairs(text) do
      if type(token) ~= "string" then
        fail("%s:%s: token %d must be a string, got %s", where, method, i, show(token))
      end
      list[i] = self.lower and unicode.lower(token) or token
    end
    return list
  elseif type(text) ~= "string" then
    fail("%s:%s: a text or a list of tokens expected, got %s", where, method, show(text))
  elseif self.char_level then
    return characters(self.lower and unicode.lower(text) or text)
  end
  return self.cut(text)
end

--- Count the words of the texts, beside those counted before, and number them anew.
---@param texts string[]|string[][]|fun(): string|string[]|nil texts, lists of tokens, or an
---   iterator over one or the other
function Tokenizer:fit_on_texts(texts)
  for text in each(where .. ":fit_on_texts", texts) do
    counts.add(self.word_counts, tokens_of(self, "fit_on_texts", text))
    self.document_count = self.document_count + 1
  end
  local ranked = counts.ranked(self.word_counts)
  if self.oov_token then table.insert(ranked, 1, self.oov_token) end
  -- An oov_token that is a word of the texts too keeps its later id, as in Keras.
  self.word_index, self.index_word = {}, {}
  for id, word in ipairs(ranked) do self.word_index[word] = id end
  for word, id in pairs(self.word_index) do self.index_word[id] = word end
end

local function check_fitted(self, method)
  if self.document_count == 0 then
    fail("%s:%s: no words are known: call fit_on_texts first", where, method)
  end
end

--- The ids of each text's words. Unknown words, and those whose id is num_words or more,
--- become the oov_token's id; without an oov_token they are left out.
---@param texts string[]|string[][]|fun(): string|string[]|nil
---@return integer[][]
function Tokenizer:texts_to_sequences(texts)
  local method = "texts_to_sequences"
  check_fitted(self, method)
  local index, limit = self.word_index, self.num_words or math.maxinteger
  local oov = self.oov_token and index[self.oov_token]
  local sequences = {}
  for text in each(where .. ":" .. method, texts) do
    local ids, n = {}, 0
    for _, word in ipairs(tokens_of(self, method, text)) do
      local id = index[word]
      if not id or id >= limit then id = oov end
      if id then
        n = n + 1
        ids[n] = id
      end
    end
    sequences[#sequences + 1] = ids
  end
  return sequences
end

--- Words joined by a space for each sequence of ids. An id without a word (0 is one) becomes
--- the oov_token, without one it is left out, as in Keras.
---@param sequences integer[][]|saros.Tensor
---@return string[]
function Tokenizer:sequences_to_texts(sequences)
  local method = "sequences_to_texts"
  check_fitted(self, method)
  if core.is_tensor(sequences) then sequences = sequences:totable() end
  local word_of, limit = self.index_word, self.num_words or math.maxinteger
  local texts = {}
  for ids in each(where .. ":" .. method, sequences) do
    if core.is_tensor(ids) then ids = ids:totable() end
    if type(ids) ~= "table" then
      fail("%s:%s: a list of ids expected, got %s", where, method, show(ids))
    end
    local list = {}
    for _, id in ipairs(ids) do
      if type(id) ~= "number" then
        fail("%s:%s: an id must be a number, got %s", where, method, show(id))
      end
      list[#list + 1] = id < limit and word_of[id] or self.oov_token
    end
    texts[#texts + 1] = table.concat(list, " ")
  end
  return texts
end

return Tokenizer
