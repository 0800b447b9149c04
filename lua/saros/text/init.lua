-- saros.text: from text to ids and back.

local unicode = require "saros.text.unicode"
local words = require "saros.text.words"
local vocabulary = require "saros.text.vocab"
local translation = require "saros.text.translation"

---@class saros.text
local text = {
  -- characters
  normalize = unicode.normalize,
  category = unicode.category,
  lower = unicode.lower,
  casefold = unicode.casefold,
  strip_marks = unicode.strip_marks,
  unicode_to_ascii = unicode.unicode_to_ascii,
  codes = unicode.codes,
  graphemes = unicode.graphemes,
  length = unicode.length,
  -- words
  whitespace = words.whitespace,
  split = words.split,
  basic_english = words.basic_english,
  ngrams_iterator = words.ngrams_iterator,
  keras_filters = words.keras_filters,
  text_to_word_sequence = words.text_to_word_sequence,
  -- ids
  KerasTokenizer = require "saros.text.keras",
  pad_sequences = require "saros.text.padding",
  Vocab = vocabulary.Vocab,
  build_vocab_from_iterator = vocabulary.build_vocab_from_iterator,
  nearest = require "saros.text.nearest",
  -- pairs of sentences
  Lang = translation.Lang,
  eng_prefixes = translation.eng_prefixes,
  normalize_string = translation.normalize_string,
  read_pairs = translation.read_pairs,
}

return text
