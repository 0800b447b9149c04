-- Pairs of sentences, as PyTorch's translation tutorial reads and numbers them. Expected
-- strings and numbers are those of the tutorial's Python.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local text = saros.text
local assert_error = support.assert_error

local TestSentences = {}

function TestSentences:test_normalize_string()
  for s, expected in pairs {
    ["Ça va ? Oui."] = "ca va ? oui",
    ["Go!"] = "go !",
    ["  I'm O.K.!!  "] = "i m o k ! !",
    ["C'est 3\u{202F}%\u{A0}!"] = "c est !",
    ["Œuvre naïve — été"] = "uvre naive ete",
    ["İstanbul?"] = "istanbul ?",
    ["..."] = "", [""] = "", ["! ?"] = "! ?", ["1"] = "",
  } do
    lu.assertEquals(text.normalize_string(s), expected)
  end
  assert_error("text.normalize_string: a string expected, got nil", text.normalize_string)
  assert_error("invalid UTF-8 at byte 2", text.normalize_string, "a\xFF")
end

function TestSentences:test_unicode_to_ascii()
  local letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ .,;'-"
  lu.assertEquals(text.unicode_to_ascii("Ślusàrski, O'Néàl-ß ł"), "Slusarski, O'Neal-ß ł")
  lu.assertEquals(text.unicode_to_ascii("Ślusàrski, O'Néàl-ß ł", letters), "Slusarski, O'Neal- ")
  lu.assertEquals(text.unicode_to_ascii("%a]^", "%]"), "%]")
  lu.assertEquals(text.unicode_to_ascii("abc", ""), "")
  assert_error("a string expected, got nil", text.unicode_to_ascii)
  assert_error("a string expected, got number 3", text.unicode_to_ascii, "a", 3)
  assert_error("invalid UTF-8", text.unicode_to_ascii, "a\xFF", letters)
  assert_error("invalid UTF-8", text.unicode_to_ascii, "a", "\xFF")
end

local TestLang = {}

function TestLang:test_words()
  local lang = text.Lang("eng")
  lu.assertEquals(lang.n_words, 2)
  lu.assertEquals(lang.index2word, {"SOS", "EOS"})
  lang:addSentence("i am here i")
  lu.assertEquals(lang.n_words, 5)
  lu.assertEquals(lang.word2index, {i = 3, am = 4, here = 5})
  lu.assertEquals(lang.word2count, {i = 2, am = 1, here = 1})
  lu.assertEquals(lang.index2word, {"SOS", "EOS", "i", "am", "here"})
  lu.assertEquals(lang:indexesFromSentence("here i am"), {5, 3, 4})
  lang:addSentence("a  b") -- as Python's split(' ')
  lu.assertEquals(lang.word2index[""], 7)
  lu.assertEquals(tostring(lang), "Lang eng of 8 words")
end

function TestLang:test_wrong_use()
  local lang = text.Lang("eng")
  assert_error("eng has no word 'no'", lang.indexesFromSentence, lang, "no")
  assert_error("Lang:addSentence: a sentence expected, got nil", lang.addSentence, lang)
  assert_error("Lang:addWord: a word expected, got number 1", lang.addWord, lang, 1)
  assert_error("text.Lang: a name expected, got nil", text.Lang)
end

local TestPairs = {}

local path

function TestPairs:setUp() path = os.tmpname() end
function TestPairs:tearDown() os.remove(path) end

local function file(bytes)
  assert(saros.write_file(path, bytes))
  return path
end

function TestPairs:test_read_pairs()
  file("I'm here.\tJe suis là.\nGo!\tVa !\tsome attribution\n"
    .. "He is one two three four five six seven eight\tIl.\n")
  lu.assertEquals(text.read_pairs(path), {{"i m here", "je suis la"}, {"go !", "va !"},
    {"he is one two three four five six seven eight", "il"}})
  lu.assertEquals(text.read_pairs(path, {reverse = true, max_length = 10}),
    {{"je suis la", "i m here"}, {"va !", "go !"}})
  lu.assertEquals(text.read_pairs(path, {reverse = true, prefixes = text.eng_prefixes}),
    {{"je suis la", "i m here"}, {"il", "he is one two three four five six seven eight"}})
  lu.assertEquals(#text.read_pairs(path, {max_length = 11}), 3)
  lu.assertEquals(text.read_pairs(file("")), {})
end

function TestPairs:test_wrong_files()
  assert_error(":2: two sentences with a tab between them expected, got string 'no tab'",
    text.read_pairs, file("a\tb\nno tab\n"))
  assert_error(":1: two sentences with a tab between them", text.read_pairs, file("\n"))
  assert_error(":2: invalid UTF-8 at byte 3 of the line (0xFF)", text.read_pairs,
    file("a\tb\na\t\xFF\n"))
  assert_error("No such file", text.read_pairs, path .. "-none")
  assert_error("unknown option 'reversed', did you mean 'reverse'?", text.read_pairs, path,
    {reversed = true})
end

local TestFullData = {}

function TestFullData:test_the_tutorials_pairs()
  local full = (os.getenv("SAROS_DATA") or "") .. "/eng-fra.txt"
  if not saros.file_exists(full) then lu.skip("no eng-fra.txt in SAROS_DATA") end
  local pairs_read = text.read_pairs(full,
    {reverse = true, max_length = 10, prefixes = text.eng_prefixes})
  lu.assertEquals(#pairs_read, 11445)
  local langs, sums = {text.Lang("fra"), text.Lang("eng")}, {0, 0}
  for _, pair in ipairs(pairs_read) do
    for side, lang in ipairs(langs) do
      lang:addSentence(pair[side])
      for _, id in ipairs(lang:indexesFromSentence(pair[side])) do
        sums[side] = (sums[side] * 31 + id) % 1000000007
      end
    end
  end
  lu.assertEquals({langs[1].n_words, langs[2].n_words}, {4601, 2991})
  lu.assertEquals(sums, {821797586, 756742464})
end

support.run {
  TestSentences = TestSentences, TestLang = TestLang, TestPairs = TestPairs,
  TestFullData = TestFullData,
}
