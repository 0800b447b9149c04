-- torchtext.vocab: tokens and their ids.
--
-- Ids are torchtext's plus 1: where torchtext gives 0 to the first special token, it is 1
-- here, and nn.Embedding(#vocab, ...) takes both.

local core = require "saros.core"
local options = require "saros.options"
local counts = require "saros.text.counts"
local each = require "saros.text.each"

local fail, show = options.fail, options.show

-- What a vocabulary holds stands under keys that are no strings: vocab[token] is for tokens.
local TOKENS, IDS, DEFAULT = {}, {}, {}

---@class saros.text.Vocab
---@field [string] integer id of a token
---@overload fun(tokens: string[], options?: {default_index: integer}): saros.text.Vocab
---@operator len: integer
---@operator call(string[]): integer[] lookup_indices
local Vocab = {__name = "Vocab"}
local methods = {}

local function id_of(self, token)
  local id = self[IDS][token] or self[DEFAULT]
  if id then return id end
  if type(token) ~= "string" then
    fail("Vocab: a token (a string) expected, got %s; lookup_token(id) gives the token of an id",
      show(token))
  end
  fail("Vocab: token '%s' is not in the vocabulary and there is no default: call "
    .. "set_default_index(id)", token)
end

-- A token that is the name of a method is found by lookup_indices.
function Vocab:__index(token)
  local method = methods[token]
  if method then return method end
  return id_of(self, token)
end

function Vocab:__newindex(token)
  fail("Vocab: vocab['%s'] cannot be set: use append_token or insert_token", tostring(token))
end

function Vocab:__len() return #self[TOKENS] end
function Vocab:__call(tokens) return self:lookup_indices(tokens) end
function Vocab:__tostring() return ("Vocab of %d tokens"):format(#self) end

local function check_list(method, what, list)
  if type(list) ~= "table" then
    fail("Vocab:%s: a list of %s expected, got %s", method, what, show(list))
  end
end

local function check_new(method, ids, token)
  if type(token) ~= "string" then
    fail("Vocab:%s: a token must be a string, got %s", method, show(token))
  elseif ids[token] then
    fail("Vocab:%s: token '%s' is there already, with id %d", method, token, ids[token])
  end
end

local read_vocab = options.signature("text.Vocab", {{"default_index", "integer?"}})

local function new(_, tokens, ...)
  local o = read_vocab(...)
  check_list("new", "tokens", tokens)
  local self = {[TOKENS] = {}, [IDS] = {}, [DEFAULT] = o.default_index or false}
  for id, token in ipairs(tokens) do
    check_new("new", self[IDS], token)
    self[TOKENS][id], self[IDS][token] = token, id
  end
  return setmetatable(self, Vocab)
end

setmetatable(Vocab, {__call = new})

--- Is it a token of the vocabulary?
---@param token string
---@return boolean
function methods:has_token(token) return self[IDS][token] ~= nil end

--- The id for unknown tokens; nil: they are errors. It need not be a token's.
---@param index integer|nil
function methods:set_default_index(index)
  if index ~= nil and math.type(index) ~= "integer" then
    fail("Vocab:set_default_index: an id or nil expected, got %s", show(index))
  end
  self[DEFAULT] = index or false
end

---@return integer|nil
function methods:get_default_index() return self[DEFAULT] or nil end

--- The ids of tokens; unknown ones have the default index, or are an error.
---@param tokens string[]
---@return integer[]
function methods:lookup_indices(tokens)
  check_list("lookup_indices", "tokens", tokens)
  local ids, default, list = self[IDS], self[DEFAULT], {}
  for i = 1, #tokens do
    list[i] = ids[tokens[i]] or default or id_of(self, tokens[i])
  end
  return list
end

---@param index integer
---@return string
function methods:lookup_token(index)
  local token = self[TOKENS][index]
  if not token then
    fail("Vocab: id %s is not within 1 to %d", type(index) == "number" and index or show(index),
      #self)
  end
  return token
end

--- The tokens of ids, given as a list or a tensor of 1 dimension.
---@param indices integer[]|saros.Tensor
---@return string[]
function methods:lookup_tokens(indices)
  if core.is_tensor(indices) then indices = indices:totable() end
  check_list("lookup_tokens", "ids", indices)
  local list = {}
  for i, index in ipairs(indices) do list[i] = self:lookup_token(index) end
  return list
end

--- Give a new token the next id.
---@param token string
function methods:append_token(token) self:insert_token(token, #self + 1) end

--- Give a new token an id; ids from there on grow by 1.
---@param token string
---@param index integer 1 to #vocab + 1
function methods:insert_token(token, index)
  local tokens, ids = self[TOKENS], self[IDS]
  check_new("insert_token", ids, token)
  if math.type(index) ~= "integer" or index < 1 or index > #tokens + 1 then
    fail("Vocab:insert_token: id %s is not within 1 to %d", tostring(index), #tokens + 1)
  end
  table.insert(tokens, index, token)
  for i = index, #tokens do ids[tokens[i]] = i end
end

--- All tokens in the order of their ids, a copy. (To keep a vocabulary in a file: join it by
--- line feeds; text.Vocab(list) is the way back.)
---@return string[]
function methods:get_itos() return table.move(self[TOKENS], 1, #self, 1, {}) end

--- token -> id, a copy.
---@return table<string, integer>
function methods:get_stoi()
  local copy = {}
  for token, id in pairs(self[IDS]) do copy[token] = id end
  return copy
end

-- ---- building ------------------------------------------------------------------------

local build = "text.build_vocab_from_iterator"

local read_build = options.signature(build, {
  {"min_freq", "integer", 1}, {"specials", "table?"}, {"special_first", "boolean", true},
  {"max_tokens", "integer?"},
})

local function count_tokens(iterator)
  local count = counts.new()
  for tokens in each(build, iterator) do
    if type(tokens) ~= "table" then
      fail("%s: lists of tokens expected, got %s", build, show(tokens))
    end
    for i = 1, #tokens do
      if type(tokens[i]) ~= "string" then
        fail("%s: a token must be a string, got %s", build, show(tokens[i]))
      end
    end
    counts.add(count, tokens)
  end
  return count
end

-- torchtext cuts at max_tokens first, then takes out special and rare tokens.
local function choose(count, o, specials)
  local ranked, chosen = counts.ranked(count, true), {}
  local is_special = {}
  for _, token in ipairs(specials) do is_special[token] = true end
  for i = 1, math.min(#ranked, o.max_tokens and o.max_tokens - #specials or #ranked) do
    local token = ranked[i]
    if count[token] >= o.min_freq and not is_special[token] then chosen[#chosen + 1] = token end
  end
  return chosen
end

--- A vocabulary of the tokens that an iterator yields in lists, as torchtext builds it:
--- special tokens, then the others by falling count, ties in alphabetical order (of code
--- points).
---
--- local vocab = text.build_vocab_from_iterator(token_lists, {specials = {"<unk>", "<pad>"}})
--- vocab:set_default_index(vocab["<unk>"])
---@param iterator string[][]|fun(): string[]|nil
---@param ... any min_freq = 1, specials = {}, special_first = true, max_tokens (special ones
---   included; default: all)
---@return saros.text.Vocab
local function build_vocab_from_iterator(iterator, ...)
  local o = read_build(...)
  local specials = o.specials or {}
  if o.max_tokens and o.max_tokens <= #specials then
    fail("%s: max_tokens %d leaves no room beside %d special tokens", build, o.max_tokens,
      #specials)
  end
  local tokens = choose(count_tokens(iterator), o, specials)
  local at = o.special_first and 1 or #tokens + 1
  table.move(tokens, at, #tokens, at + #specials)
  table.move(specials, 1, #specials, at, tokens)
  return Vocab(tokens)
end

return {Vocab = Vocab, build_vocab_from_iterator = build_vocab_from_iterator}
