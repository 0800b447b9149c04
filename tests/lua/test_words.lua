-- Words and ids, as torchtext, Keras and Python make them: tests/golden/tokenizers.lua has
-- what they gave. On full data (SAROS_DATA): how many, and a checksum of all ids.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local text, data = saros.text, saros.data
local assert_error = support.assert_error
local golden = dofile "tests/golden/tokenizers.lua"

-- ---- words ---------------------------------------------------------------------------

local TestWords = {}

function TestWords:test_basic_english()
  for _, case in ipairs(golden.basic_english) do
    lu.assertEquals(text.basic_english(case[1]), case[2], case[1])
  end
end

function TestWords:test_split()
  for _, case in ipairs(golden.split) do lu.assertEquals(text.split(case[1]), case[2], case[1]) end
  for _, code in utf8.codes(text.whitespace) do
    lu.assertEquals(text.split("a" .. utf8.char(code) .. "b"), {"a", "b"})
    lu.assertEquals(text.basic_english("a" .. utf8.char(code) .. "b"), {"a", "b"})
  end
  lu.assertEquals(utf8.len(text.whitespace), 29)
end

function TestWords:test_text_to_word_sequence()
  for _, case in ipairs(golden.text_to_word_sequence) do
    lu.assertEquals(text.text_to_word_sequence(case[1], case[2]), case[3], case[1])
  end
end

function TestWords:test_ngrams_iterator()
  local function grams(tokens, n)
    local list = {}
    for gram in text.ngrams_iterator(tokens, n) do list[#list + 1] = gram end
    return list
  end
  lu.assertEquals(grams({"here", "we", "are"}, 1), {"here", "we", "are"})
  lu.assertEquals(grams({"here", "we", "are"}, 2), {"here", "we", "are", "here we", "we are"})
  lu.assertEquals(grams({"a", "b", "c"}, 9), {"a", "b", "c", "a b", "b c", "a b c"})
  lu.assertEquals(grams({}, 2), {})
  assert_error("ngrams must be an integer of at least 1, got number 0", text.ngrams_iterator, {}, 0)
  assert_error("a list of tokens expected, got string 'a b'", text.ngrams_iterator, "a b", 2)
  assert_error("token 2 must be a string, got number 1", text.ngrams_iterator, {"a", 1}, 2)
end

function TestWords:test_a_huge_line()
  local line = ("word, "):rep(1000000)
  lu.assertEquals(#text.basic_english(line), 2000000)
  lu.assertEquals(#text.text_to_word_sequence(line), 1000000)
  local solid = ("é"):rep(3000000)
  lu.assertTrue(text.basic_english(solid)[1] == solid)
  lu.assertTrue(text.text_to_word_sequence(solid, {split = "--"})[1] == solid)
end

function TestWords:test_wrong_use()
  for _, name in ipairs {"basic_english", "split", "text_to_word_sequence"} do
    assert_error("text." .. name .. ": a string expected, got nil", text[name])
    assert_error("invalid UTF-8 at byte 3", text[name], "ab\xFF")
  end
  local words = text.text_to_word_sequence
  assert_error("the text: invalid UTF-8 at byte 3", words, "ab\xFF", {lower = false})
  assert_error("split must not be empty", words, "a", {split = ""})
  assert_error("split: invalid UTF-8 at byte 1", words, "a", {split = "\xA0"})
  assert_error("filters: invalid UTF-8 at byte 2", words, "a", {filters = "a\xC3"})
  assert_error("unknown option 'filter', did you mean 'filters'?", words, "a", {filter = ""})
end

-- ---- Keras's tokenizer -------------------------------------------------------------------

local TestKeras = {}

function TestKeras:test_golden()
  for i, case in ipairs(golden.keras) do
    local t = text.KerasTokenizer(case.options)
    t:fit_on_texts(case.texts)
    local counts = {}
    for word, count in pairs(t.word_counts) do counts[#counts + 1] = {word, count} end
    lu.assertEquals(counts, case.counts, i)
    lu.assertEquals(t.word_index, case.word_index, i)
    lu.assertEquals(t.index_word, case.index_word, i)
    lu.assertEquals(t.document_count, #case.texts)
    local sequences = t:texts_to_sequences(case.probe)
    lu.assertEquals(sequences, case.sequences, i)
    lu.assertEquals(t:sequences_to_texts(sequences), case.back, i)
    lu.assertEquals(t:sequences_to_texts {{0, 1, 2, 3, 99}}, case.ids_back, i)
  end
end

function TestKeras:test_fitting_goes_on()
  local t = text.KerasTokenizer()
  t:fit_on_texts {"b a", "a"}
  lu.assertEquals(t.index_word, {"a", "b"})
  t:fit_on_texts {"b c b"}
  lu.assertEquals(t.index_word, {"b", "a", "c"})
  lu.assertEquals(t.document_count, 3)
end

function TestKeras:test_iterators_and_tensors()
  local t = text.KerasTokenizer {oov_token = "?"}
  t:fit_on_texts(("one two;two three;three three"):gmatch("[^;]+"))
  lu.assertEquals(t.index_word, {"?", "three", "two", "one"})
  local padded = text.pad_sequences(t:texts_to_sequences {"one two", "three"})
  lu.assertEquals(t:sequences_to_texts(padded), {"one two", "? three"})
  lu.assertStrContains(tostring(t), "KerasTokenizer(3 words, num_words=nil)")
end

function TestKeras:test_wrong_use()
  local t = text.KerasTokenizer()
  assert_error("texts_to_sequences: no words are known: call fit_on_texts first",
    t.texts_to_sequences, t, {"a"})
  assert_error("sequences_to_texts: no words are known", t.sequences_to_texts, t, {{1}})
  assert_error("fit_on_texts: a list or an iterator function expected, got string 'abc'",
    t.fit_on_texts, t, "abc")
  assert_error("fit_on_texts: a text or a list of tokens expected, got number 3", t.fit_on_texts,
    t, {3})
  assert_error("fit_on_texts: token 2 must be a string, got number 3", t.fit_on_texts, t,
    {{"a", 3}})
  assert_error("invalid UTF-8 at byte 2", t.fit_on_texts, t, {"a\xFF"})
  t:fit_on_texts {}
  assert_error("call fit_on_texts first", t.texts_to_sequences, t, {})
  t:fit_on_texts {"a"}
  assert_error("sequences_to_texts: a list of ids expected, got number 1", t.sequences_to_texts,
    t, {1})
  assert_error("sequences_to_texts: an id must be a number, got string 'a'", t.sequences_to_texts,
    t, {{"a"}})
  assert_error("num_words must be at least 1, got 0", text.KerasTokenizer, {num_words = 0})
  assert_error("unknown option 'oov_tokens', did you mean 'oov_token'?", text.KerasTokenizer,
    {oov_tokens = "?"})
end

-- ---- pad_sequences ------------------------------------------------------------------------

local TestPadding = {}

function TestPadding:test_golden()
  for i, case in ipairs(golden.pad_sequences) do
    local padded = text.pad_sequences(case[1], case[2])
    lu.assertEquals(padded.dtype, "int64")
    lu.assertEquals(padded:totable(), case[3], i)
  end
end

function TestPadding:test_dtypes_and_tensors()
  local padded = text.pad_sequences({saros.tensor {1, 2}, {3}}, {maxlen = 3, dtype = "float64"})
  lu.assertEquals(padded.dtype, "float64")
  lu.assertEquals(padded:totable(), {{0, 1, 2}, {0, 0, 3}})
  lu.assertEquals(text.pad_sequences({{0.5}, {}}).dtype, "float32")
  lu.assertEquals(tostring(text.pad_sequences({{}, {}}).shape), "[2, 0]")
end

function TestPadding:test_wrong_use()
  local pad = text.pad_sequences
  assert_error("a list of sequences expected, got an empty one", pad, {})
  assert_error("a list of sequences expected, got number 3", pad, 3)
  assert_error("sequence 2 must be a list of numbers", pad, {{1}, "a"})
  assert_error("sequence 1 must be a list of numbers", pad, {saros.ones(2, 2)})
  assert_error("item 2 of sequence 1 must be a number, got string 'a'", pad, {{1, "a"}})
  assert_error("padding must be one of 'pre', 'post', got string 'left'", pad, {{1}},
    {padding = "left"})
  assert_error("truncating must be one of", pad, {{1}}, {truncating = "all"})
  assert_error("maxlen must be at least 1, got 0", pad, {{1}}, {maxlen = 0})
end

-- ---- full data ------------------------------------------------------------------------------

local TestFullData = {}
local folder = os.getenv("SAROS_DATA")

-- As a number with base 31, modulo a prime.
local function checksum(sequences)
  local sum, count = 0, 0
  for _, ids in ipairs(sequences) do
    for i = 1, #ids do sum = (sum * 31 + ids[i]) % 1000000007 end
    count = count + #ids
  end
  return sum, count
end

local function read(name)
  local path = folder and folder .. "/" .. name
  if not path or not saros.file_exists(path) then lu.skip("no " .. name .. " in SAROS_DATA") end
  return data.read_lines(path)
end

function TestFullData:test_frankenstein()
  local t = text.KerasTokenizer {num_words = 7500, oov_token = "UNK"}
  local whole = {table.concat(read "frankenstein.txt", "\n")}
  t:fit_on_texts(whole)
  lu.assertEquals(#t.index_word, 7103)
  lu.assertEquals({checksum(t:texts_to_sequences(whole))}, {625575189, 75234})
end

function TestFullData:test_english_and_french()
  local sides = {{}, {}}
  for i, line in ipairs(read "eng-fra.txt") do
    sides[1][i], sides[2][i] = line:match("^([^\t]*)\t([^\t]*)")
  end
  local expected = {{13593, 507077255, 839175}, {27464, 970306462, 913266}}
  for side, lines in ipairs(sides) do
    local t = text.KerasTokenizer {num_words = 9998, oov_token = "UNK"}
    t:fit_on_texts(lines)
    lu.assertEquals({#t.index_word, checksum(t:texts_to_sequences(lines))}, expected[side])
  end
end

support.run {
  TestWords = TestWords, TestKeras = TestKeras, TestPadding = TestPadding,
  TestFullData = TestFullData,
}
