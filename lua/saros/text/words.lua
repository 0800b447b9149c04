-- Words of a text, cut as torchtext and Keras cut them, so that ids agree.
--
-- What is not UTF-8 is refused with the position of the first wrong byte.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show
local lower, split = core.utf8.lower, core.utf8.split

local words = {}

local function check_string(where, s)
  if type(s) ~= "string" then fail("text.%s: a string expected, got %s", where, show(s)) end
end

local function check_utf8(where, what, s)
  local length, wrong = utf8.len(s)
  if not length then fail("%s: %s: invalid UTF-8 at byte %d", where, what, wrong) end
end

-- ---- white space ---------------------------------------------------------------------

-- What is white space in ASCII; for Unicode the separators FS, GS, RS and US count as well.
local ascii_space = " \t\n\v\f\r\x1C\x1D\x1E\x1F"

-- The others, as bytes: NEL and NBSP; the Ogham space; U+2000 to U+200A and U+2028, U+2029,
-- U+202F; U+205F; U+3000.
local wide_spaces = {
  "\xC2[\x85\xA0]", "\xE1\x9A\x80", "\xE2\x80[\x80-\x8A\xA8\xA9\xAF]", "\xE2\x81\x9F",
  "\xE3\x80\x80",
}

-- All white space as " ", if there may be other than ASCII's.
local function plain_spaces(s)
  if not s:find("[\x80-\xFF]") then return s end
  for i = 1, #wide_spaces do s = s:gsub(wide_spaces[i], " ") end
  return s
end

--- The characters that Python's str.split() and its regular expressions take for white
--- space (str.isspace): ASCII's, and those of Unicode, as the no-break spaces of French.
words.whitespace = "\t\n\v\f\r\x1C\x1D\x1E\x1F \u{85}\u{A0}\u{1680}\u{2000}\u{2001}\u{2002}"
  .. "\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200A}\u{2028}\u{2029}\u{202F}"
  .. "\u{205F}\u{3000}"

--- What stands between white space, as Python's s.split().
---@param s string
---@return string[]
function words.split(s)
  check_string("split", s)
  check_utf8("text.split", "the text", s)
  return split(plain_spaces(s), ascii_space)
end

-- ---- torchtext -----------------------------------------------------------------------

-- Mostly there is nothing to replace: a plain find is quick.
local function replace(s, plain, replacement)
  return s:find(plain, 1, true) and s:gsub(plain, replacement) or s
end

local basic_separators = ascii_space .. ";:"

--- torchtext's tokenizer "basic_english": lower case; ' . , ( ) ! ? are tokens of their
--- own; " and <br /> are left out; ; and : separate.
---
--- text.basic_english("Don't stop!") gives {"don", "'", "t", "stop", "!"}
---@param line string
---@return string[]
function words.basic_english(line)
  check_string("basic_english", line)
  -- In torchtext's order: a quote within <br /> goes first, a ; within it later.
  local s = replace(replace(lower(line), '"', ""), "<br />", " "):gsub("['.,()!?]", " %0 ")
  return split(plain_spaces(s), basic_separators)
end

--- The tokens, then their n-grams of 2, 3, ... to `ngrams` words joined by a space, as
--- torchtext.data.utils.ngrams_iterator (which yields them in this order).
---
--- for gram in text.ngrams_iterator({"here", "we", "are"}, 2) do ... end
--- gives "here", "we", "are", "here we", "we are".
---@param tokens string[]
---@param ngrams integer
---@return fun(): string|nil
function words.ngrams_iterator(tokens, ngrams)
  local where = "text.ngrams_iterator"
  if type(tokens) ~= "table" then
    fail("%s: a list of tokens expected, got %s", where, show(tokens))
  end
  if not math.type(ngrams) or not math.tointeger(ngrams) or ngrams < 1 then
    fail("%s: ngrams must be an integer of at least 1, got %s", where, show(ngrams))
  end
  for i = 1, #tokens do
    if type(tokens[i]) ~= "string" then
      fail("%s: token %d must be a string, got %s", where, i, show(tokens[i]))
    end
  end
  local size, at = 1, 0
  return function()
    at = at + 1
    while at + size - 1 > #tokens do
      size, at = size + 1, 1
      if size > ngrams or size > #tokens then return nil end
    end
    return table.concat(tokens, " ", at, at + size - 1)
  end
end

-- ---- Keras -----------------------------------------------------------------------------

--- What Keras takes out by default: ASCII punctuation without ', tabs, line feeds. A
--- carriage return or a no-break space is part of a word for Keras; to separate at all
--- white space, give text.keras_filters .. text.whitespace.
words.keras_filters = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

-- Split at a string, however long.
local function split_at(s, separator)
  local list, n, at = {}, 0, 1
  while true do
    local first, last = s:find(separator, at, true)
    local word = s:sub(at, (first or 0) - 1)
    if word ~= "" then
      n = n + 1
      list[n] = word
    end
    if not first then return list end
    at = last + 1
  end
end

-- Any filters, any separator: each filtered character becomes the separator.
local function general_splitter(filters, separator)
  local map = {}
  for _, code in utf8.codes(filters) do map[utf8.char(code)] = separator end
  return function(s) return split_at(s:gsub(utf8.charpattern, map), separator) end
end

--- A function that cuts a text into words as Keras does.
---@param where string
---@param filters string
---@param small boolean lower case first
---@param separator string
---@return fun(s: string): string[]
function words.keras_splitter(where, filters, small, separator)
  if separator == "" then fail("%s: split must not be empty", where) end
  check_utf8(where, "filters", filters)
  check_utf8(where, "split", separator)
  local general = general_splitter(filters, separator)
  local ascii = #separator == 1 and filters:gsub("[\x80-\xFF]+", "") .. separator
  local wide = filters:find("[\x80-\xFF]")
  return function(s)
    if small then s = lower(s) else check_utf8(where, "the text", s) end
    if ascii and not (wide and s:find("[\x80-\xFF]")) then return split(s, ascii) end
    return general(s)
  end
end

local read_keras = options.reader("text.text_to_word_sequence", {
  {"filters", "string", words.keras_filters}, {"lower", "boolean", true}, {"split", "string", " "},
})
local split_default = words.keras_splitter("", words.keras_filters, true, " ")

--- keras.preprocessing.text.text_to_word_sequence: lower case, each character of `filters`
--- replaced by `split`, cut at `split`; empty words are left out.
---@param s string
---@param opts? {filters: string, lower: boolean, split: string}
---@return string[]
function words.text_to_word_sequence(s, opts)
  check_string("text_to_word_sequence", s)
  if opts == nil then return split_default(s) end
  local o = read_keras(opts)
  return words.keras_splitter("text.text_to_word_sequence", o.filters, o.lower, o.split)(s)
end

return words
