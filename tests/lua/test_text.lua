-- saros.text: what the library adds to saros.core's utf8 (test_utf8.lua).
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local text = saros.text
local assert_error = support.assert_error

local TestText = {}

function TestText:test_forms()
  lu.assertEquals(text.normalize("é", "NFD"), "e\u{301}")
  lu.assertEquals(text.normalize("e\u{301}", "NFC"), "é")
  lu.assertEquals(text.normalize("ﬁ²", "NFKC"), "fi2")
  lu.assertEquals(text.normalize("", "NFKD"), "")
  lu.assertEquals(text.casefold("Straße ÄÖ"), "strasse äö")
  lu.assertEquals(text.lower("Straße ÄÖ ΟΔΟΣ"), "straße äö οδος")
  lu.assertEquals(text.strip_marks("Ślusàrski, Mäkelä, Đặng"), "Slusarski, Makela, Đang")
end

function TestText:test_category()
  lu.assertEquals(text.category("A"), "Lu")
  lu.assertEquals(text.category(0x301), "Mn")
  lu.assertEquals(text.category("٣"), "Nd")
end

function TestText:test_codes()
  local found = {}
  for code, character, position in text.codes("aé€😀") do
    found[#found + 1] = {code, character, position}
  end
  lu.assertEquals(found, {{97, "a", 1}, {0xE9, "é", 2}, {0x20AC, "€", 4}, {0x1F600, "😀", 7}})
  for _ in text.codes("") do lu.fail("nothing to iterate") end
end

function TestText:test_graphemes()
  local found = {}
  for cluster, position in text.graphemes("e\u{301}🇫🇮x") do
    found[#found + 1] = {cluster, position}
  end
  lu.assertEquals(found, {{"e\u{301}", 1}, {"🇫🇮", 4}, {"x", 12}})
end

function TestText:test_length()
  lu.assertEquals(text.length("e\u{301}🇫🇮x"), 5)
  lu.assertEquals(text.length("e\u{301}🇫🇮x", "graphemes"), 3)
end

function TestText:test_wrong_use()
  assert_error("invalid UTF-8 at byte 3 (0xff)", text.normalize, "ab\xFF", "NFC")
  assert_error("invalid UTF-8 at byte 2", text.strip_marks, "a\xC3")
  assert_error("invalid UTF-8 at byte 1", text.casefold, "\xC0\x80")
  assert_error("invalid UTF-8 at byte 2", function()
    local advance = text.codes("a\xED\xA0\x80")
    lu.assertEquals({advance()}, {97, "a", 1})
    advance()
  end)
  assert_error("invalid UTF-8 at byte 1", function() text.graphemes("\x80")() end)
  assert_error("form must be one of 'NFC', 'NFD', 'NFKC', 'NFKD', got string 'nfc', did you mean "
    .. "'NFC'?", text.normalize, "a", "nfc")
  assert_error("text.casefold: a string expected, got number 3", text.casefold, 3)
  assert_error("text.lower: a string expected, got nil", text.lower)
  assert_error("invalid UTF-8 at byte 1", text.lower, "\xFF")
  assert_error("text.codes: a string expected, got nil", text.codes)
  assert_error("a character or a code point expected", text.category, 1.5)
  assert_error("unit must be one of", text.length, "a", "bytes")
end

function TestText:test_failing_memory()
  local long = ("É"):rep(3000)
  local failures = support.each_failing_allocation(function() text.lower(long) end, function()
    lu.assertEquals(text.lower("É"), "é")
  end)
  lu.assertTrue(failures > 2)
end

support.run {TestText = TestText}
