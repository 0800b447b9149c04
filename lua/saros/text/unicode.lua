-- Unicode text. Strings are bytes in UTF-8, positions count bytes from 1.
--
-- Everything here refuses what is not UTF-8 with the position of the first wrong byte.

local core = require "saros.core"
local options = require "saros.options"

local utf8_next, utf8_next_grapheme = core.utf8.next, core.utf8.next_grapheme
local fail, show = options.fail, options.show

local text = {}

local function check_string(where, s)
  if type(s) ~= "string" then fail("text.%s: a string expected, got %s", where, show(s)) end
end

--- One of the four normal forms: composed (NFC), decomposed (NFD), and both with
--- compatibility characters replaced (NFKC, NFKD).
---@param s string
---@param form "NFC"|"NFD"|"NFKC"|"NFKD"
---@return string
function text.normalize(s, form)
  check_string("normalize", s)
  options.one_of("text.normalize", "form", form, {"NFC", "NFD", "NFKC", "NFKD"})
  return core.utf8.normalize(s, form)
end

--- General category of a character: "Lu", "Ll", "Mn", "Nd", "Po", "Zs", ...
---@param character string|integer a character or its code point
---@return string
function text.category(character)
  if type(character) ~= "string" and math.type(character) ~= "integer" then
    fail("text.category: a character or a code point expected, got %s", show(character))
  end
  return core.utf8.category(character)
end

--- Lower case, as Python's str.lower: "ÉΣ" gives "ές" (a sigma that ends a word is ς).
---@param s string
---@return string
function text.lower(s)
  check_string("lower", s)
  return core.utf8.lower(s)
end

--- For comparing without regard to case; more than lower case: "Straße" gives "strasse".
---@param s string
---@return string
function text.casefold(s)
  check_string("casefold", s)
  return core.utf8.casefold(s)
end

--- Without accents: decomposed (NFD), marks of category Mn left out. "é" gives "e".
---@param s string
---@return string
function text.strip_marks(s)
  check_string("strip_marks", s)
  return core.utf8.strip_marks(s)
end

-- letters -> {letter = itself, others = ""}, for gsub.
local keep = setmetatable({}, {__mode = "v"})
local function nothing() return "" end

local function keeper(letters)
  local map = keep[letters]
  if not map then
    map = setmetatable({}, {__index = nothing})
    for _, letter in text.codes(letters) do map[letter] = letter end
    keep[letters] = map
  end
  return map
end

--- unicodeToAscii of PyTorch's tutorials: without accents (as strip_marks), and where
--- `letters` is given only the characters in it: "Ślusàrski" gives "Slusarski".
---@param s string
---@param letters? string the characters that may stay, default: all
---@return string
function text.unicode_to_ascii(s, letters)
  check_string("unicode_to_ascii", s)
  local plain = core.utf8.strip_marks(s)
  if letters == nil then return plain end
  check_string("unicode_to_ascii", letters)
  return (plain:gsub(utf8.charpattern, keeper(letters)))
end

--- for code, character, position in text.codes(s) do: each code point, as a number and as a
--- string, and the position of its first byte.
---@param s string
---@return fun(): integer|nil, string, integer
function text.codes(s)
  check_string("codes", s)
  local at = 1
  return function()
    local start = at
    local code, following = utf8_next(s, start)
    if not code then return nil end
    at = following
    return code, s:sub(start, following - 1), start
  end
end

--- for cluster, position in text.graphemes(s) do: what a reader sees as one character,
--- as "e" with a combining accent, or a flag.
---@param s string
---@return fun(): string|nil, integer
function text.graphemes(s)
  check_string("graphemes", s)
  local at = 1
  return function()
    local start = at
    local following = utf8_next_grapheme(s, start)
    if not following then return nil end
    at = following
    return s:sub(start, following - 1), start
  end
end

--- Number of code points, or of graphemes.
---@param s string
---@param unit? "codes"|"graphemes" default "codes"
---@return integer
function text.length(s, unit)
  check_string("length", s)
  unit = unit or "codes"
  options.one_of("text.length", "unit", unit, {"codes", "graphemes"})
  local count = 0
  for _ in text[unit](s) do count = count + 1 end
  return count
end

return text
