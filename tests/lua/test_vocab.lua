-- Vocabularies as torchtext builds them (tests/golden/tokenizers.lua).
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local text, data = saros.text, saros.data
local assert_error = support.assert_error
local golden = dofile "tests/golden/tokenizers.lua"

local build = text.build_vocab_from_iterator

local TestBuild = {}

function TestBuild:test_golden()
  for i, case in ipairs(golden.vocab) do
    local vocab = build(case[1], case[2])
    lu.assertEquals(vocab:get_itos(), case[3], i)
    lu.assertEquals(#vocab, #case[3])
    for id, token in ipairs(case[3]) do lu.assertEquals(vocab[token], id) end
  end
end

function TestBuild:test_iterators()
  local lists, at = {{"a", "b"}, {"b"}}, 0
  local function iterator()
    at = at + 1
    return lists[at]
  end
  lu.assertEquals(build(iterator):get_itos(), {"b", "a"})
  local Set = data.Dataset:extend("Set")
  function Set:__len() return 2 end
  function Set:get(i) return lists[i] end
  lu.assertEquals(build(Set()):get_itos(), {"b", "a"})
  lu.assertEquals(build({}, {specials = {"<unk>"}}):get_itos(), {"<unk>"})
  lu.assertEquals(build(lists, 2, {"<unk>"}, false):get_itos(), {"b", "<unk>"}) -- by position
end

function TestBuild:test_wrong_use()
  assert_error("lists of tokens expected, got string 'a'", build, {"a"})
  assert_error("a token must be a string, got number 1", build, {{1}})
  assert_error("a list or an iterator function expected, got string 'a b'", build, "a b")
  assert_error("max_tokens 2 leaves no room beside 2 special tokens", build, {},
    {max_tokens = 2, specials = {"a", "b"}})
  assert_error("token 'a' is there already, with id 1", build, {}, {specials = {"a", "a"}})
  assert_error("unknown option 'special', did you mean 'specials'?", build, {}, {special = {}})
end

local TestVocab = {}

function TestVocab:test_lookup()
  local vocab = text.Vocab {"<unk>", "sea", "otter"}
  lu.assertEquals(#vocab, 3)
  lu.assertEquals(vocab["otter"], 3)
  lu.assertEquals(vocab:lookup_indices {"otter", "sea"}, {3, 2})
  lu.assertEquals(vocab {"otter", "sea"}, {3, 2})
  lu.assertEquals(vocab:lookup_token(2), "sea")
  lu.assertEquals(vocab:lookup_tokens {3, 1}, {"otter", "<unk>"})
  lu.assertEquals(vocab:lookup_tokens(saros.tensor {3, 1}), {"otter", "<unk>"})
  lu.assertEquals(vocab:get_stoi(), {["<unk>"] = 1, sea = 2, otter = 3})
  lu.assertTrue(vocab:has_token("sea"))
  lu.assertFalse(vocab:has_token("land"))
  lu.assertEquals(tostring(vocab), "Vocab of 3 tokens")
end

function TestVocab:test_default_index()
  local vocab = text.Vocab {"<unk>", "sea"}
  lu.assertNil(vocab:get_default_index())
  assert_error("token 'land' is not in the vocabulary and there is no default: call "
    .. "set_default_index(id)", function() return vocab["land"] end)
  assert_error("token 'land' is not in the vocabulary", vocab.lookup_indices, vocab, {"land"})
  vocab:set_default_index(vocab["<unk>"])
  lu.assertEquals(vocab["land"], 1)
  lu.assertEquals(vocab {"land", "sea"}, {1, 2})
  vocab:set_default_index(0)
  lu.assertEquals(vocab["land"], 0)
  lu.assertFalse(vocab:has_token("land"))
  vocab:set_default_index(nil)
  assert_error("not in the vocabulary", vocab.lookup_indices, vocab, {"land"})
  lu.assertEquals(text.Vocab({"a"}, {default_index = 1})["b"], 1)
end

-- Words that are also names in Lua or in the library are words.
function TestVocab:test_words_like_names()
  local words = {"init", "super", "size", "__index", "contains", "tokens", "default", "1", "end"}
  local vocab = text.Vocab(words)
  for id, word in ipairs(words) do lu.assertEquals(vocab[word], id) end
  lu.assertEquals(text.Vocab {"lookup_token"}:lookup_indices {"lookup_token"}, {1})
end

function TestVocab:test_growing()
  local vocab = text.Vocab {"a", "b"}
  vocab:append_token("c")
  vocab:insert_token("first", 1)
  lu.assertEquals(vocab:get_itos(), {"first", "a", "b", "c"})
  lu.assertEquals(vocab {"first", "a", "b", "c"}, {1, 2, 3, 4})
  assert_error("insert_token: token 'b' is there already, with id 3", function()
    vocab:append_token("b")
  end)
  assert_error("insert_token: id 6 is not within 1 to 5", vocab.insert_token, vocab, "x", 6)
  assert_error("insert_token: a token must be a string, got number 1", vocab.insert_token, vocab, 1,
    1)
  lu.assertEquals(#vocab, 4)
  vocab:get_itos()[1] = "changed" -- copies
  vocab:get_stoi().a = 9
  lu.assertEquals(vocab {"first", "a"}, {1, 2})
end

function TestVocab:test_wrong_use()
  local vocab = text.Vocab {"a"}
  assert_error("id 0 is not within 1 to 1", vocab.lookup_token, vocab, 0)
  assert_error("id 2 is not within 1 to 1", vocab.lookup_tokens, vocab, {1, 2})
  assert_error("id string 'a' is not within", vocab.lookup_token, vocab, "a")
  assert_error("lookup_indices: a list of tokens expected, got string 'a'", vocab.lookup_indices,
    vocab, "a")
  assert_error("a token (a string) expected, got number 1; lookup_token(id)", function()
    return vocab[1]
  end)
  assert_error("vocab['b'] cannot be set", function() vocab.b = 2 end)
  assert_error("set_default_index: an id or nil expected, got string '<unk>'",
    vocab.set_default_index, vocab, "<unk>")
  assert_error("a list of tokens expected, got nil", text.Vocab)
  assert_error("token 'a' is there already", text.Vocab, {"a", "a"})
end

local TestFullData = {}

function TestFullData:test_ag_news()
  local path = (os.getenv("SAROS_DATA") or "") .. "/ag_news_csv/train.csv"
  if not saros.file_exists(path) then lu.skip("no ag_news_csv in SAROS_DATA") end
  local texts, labels = {}, 0
  for row in data.csv_rows(path, {columns = 3}) do
    texts[#texts + 1] = text.basic_english(row[2] .. " " .. row[3])
    labels = (labels * 31 + math.tointeger(tonumber(row[1]))) % 1000000007
  end
  if #texts ~= 54000 then lu.skip("another train.csv") end
  local vocab = build(texts, {specials = {"<unk>", "<pad>"}})
  local ids, tokens = 0, 0
  for _, list in ipairs(texts) do
    for _, id in ipairs(vocab(list)) do ids = (ids * 31 + id) % 1000000007 end
    tokens = tokens + #list
  end
  lu.assertEquals({#vocab, tokens, ids, labels}, {65973, 2356037, 361271910, 246450209})
end

support.run {TestBuild = TestBuild, TestVocab = TestVocab, TestFullData = TestFullData}
