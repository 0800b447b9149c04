-- Unicode text: normal forms, case folding, marks, characters.
local lu = require "luaunit"
local utf8 = require "saros.core".utf8

TestText = {}

function TestText:test_normal_forms()
  local text = "\u{e9}\u{fb01}e\u{301}"
  lu.assertEquals(utf8.normalize(text, "NFC"), "\u{e9}\u{fb01}\u{e9}")
  lu.assertEquals(utf8.normalize(text, "NFD"), "e\u{301}\u{fb01}e\u{301}")
  lu.assertEquals(utf8.normalize(text, "NFKC"), "\u{e9}fi\u{e9}")
  lu.assertEquals(utf8.normalize(text, "NFKD"), "e\u{301}fie\u{301}")
  lu.assertEquals(utf8.normalize{s = text, form = "NFC"}, "\u{e9}\u{fb01}\u{e9}")
end

function TestText:test_hangul_and_order_of_marks()
  lu.assertEquals(utf8.normalize("\u{1112}\u{1161}\u{11ab}", "NFC"), "\u{d55c}")
  lu.assertEquals(utf8.normalize("a\u{301}\u{323}", "NFD"), "a\u{323}\u{301}")
end

function TestText:test_casefold()
  lu.assertEquals(utf8.casefold("Stra\u{df}e \u{c4}\u{3a3}"), "strasse \u{e4}\u{3c3}")
end

function TestText:test_lower()
  lu.assertEquals(utf8.lower("Stra\u{df}e \u{c4}\u{3a3}"), "stra\u{df}e \u{e4}\u{3c2}")
  lu.assertEquals(utf8.lower("\u{130}"), "i\u{307}")
end

function TestText:test_strip_marks()
  lu.assertEquals(utf8.strip_marks("\u{c5}ngstr\u{f6}m \u{15a}lus\u{e0}rski"), "Angstrom Slusarski")
  lu.assertEquals(utf8.strip_marks("\u{f8}\u{142}"), "\u{f8}\u{142}")
end

function TestText:test_plain_bytes()
  for _, name in ipairs{"casefold", "strip_marks"} do
    lu.assertEquals(utf8[name](""), "")
    lu.assertEquals(utf8[name]("a\0b"), "a\0b")
    local long = ("abc "):rep(100000)
    lu.assertTrue(utf8[name](long) == long)
  end
  lu.assertEquals(utf8.normalize("", "NFC"), "")
end

function TestText:test_split()
  lu.assertEquals(utf8.split("a, b,,c ", ", "), {"a", "b", "c"})
  lu.assertEquals(utf8.split("é ß", " "), {"é", "ß"})
  lu.assertEquals(utf8.split("a\0b", "\0"), {"a", "b"})
  lu.assertEquals(utf8.split("a b", ""), {"a b"})
  lu.assertEquals(utf8.split("", " "), {})
  lu.assertEquals(utf8.split("   ", " "), {})
  lu.assertErrorMsgContains("split: separators must be ASCII characters, byte 2 is 0xc3",
    utf8.split, "a", " é")
  lu.assertErrorMsgContains("split: argument 's' must be a string, got nil", utf8.split)
  lu.assertErrorMsgContains("argument 'separators' must be a string, got nil", utf8.split, "a")
end

TestCharacters = {}

function TestCharacters:test_category()
  lu.assertEquals(utf8.category("A"), "Lu")
  lu.assertEquals(utf8.category("\u{e9}"), "Ll")
  lu.assertEquals(utf8.category(0x301), "Mn")
  lu.assertEquals(utf8.category(" "), "Zs")
  lu.assertEquals(utf8.category(0), "Cc")
  lu.assertEquals(utf8.category(0x10ffff), "Cn")
end

function TestCharacters:test_next_walks()
  local text, found, i = "a\u{e9}\u{20ac}\u{1f600}", {}, 1
  while true do
    local c, after = utf8.next(text, i)
    if not c then break end
    found[#found + 1] = {i, c}
    i = after
  end
  lu.assertEquals(found, {{1, 0x61}, {2, 0xe9}, {4, 0x20ac}, {7, 0x1f600}})
  lu.assertEquals(i, #text + 1)
  lu.assertEquals((utf8.next("x")), 0x78)
  lu.assertNil(utf8.next(""))
end

function TestCharacters:test_next_grapheme_walks()
  -- e with a mark, a family joined by ZWJ, a flag, CR LF
  local text = "e\u{301}\u{1f468}\u{200d}\u{1f469}\u{1f1eb}\u{1f1ee}\r\n"
  local ends, i = {}, 1
  while true do
    local after = utf8.next_grapheme(text, i)
    if not after then break end
    ends[#ends + 1] = after
    i = after
  end
  lu.assertEquals(ends, {4, 15, 23, 25})
end

TestWrong = {}

local function fails(message, call, ...) lu.assertErrorMsgContains(message, call, ...) end

function TestWrong:test_invalid_utf8_is_located()
  for bytes, position in pairs{
    ["\xff"] = 1,
    ["ab\xc3"] = 3,
    ["a\xc0\xafb"] = 2,
    ["\u{e9}\xed\xa0\x80"] = 3,
    ["\xf4\x90\x80\x80"] = 1,
    ["ok\0\x80"] = 4,
  } do
    local message = ("invalid UTF-8 at byte %d (0x%02x)"):format(position, bytes:byte(position))
    fails("normalize: " .. message, utf8.normalize, bytes, "NFC")
    fails("lower: " .. message, utf8.lower, bytes)
    fails("casefold: " .. message, utf8.casefold, bytes)
    fails("strip_marks: " .. message, utf8.strip_marks, bytes)
    fails("category: " .. message, utf8.category, bytes)
    fails("next: " .. message, utf8.next, bytes, position)
    fails("next_grapheme: " .. message, utf8.next_grapheme, bytes, position)
  end
end

function TestWrong:test_invalid_in_a_long_text()
  local text = ("\u{e9}"):rep(5000) .. "\x80"
  fails("at byte 10001 (0x80)", utf8.normalize, text, "NFKD")
end

function TestWrong:test_positions()
  for _, name in ipairs{"next", "next_grapheme"} do
    for _, i in ipairs{0, -1, 5, math.maxinteger, math.mininteger} do
      local message = ": position %d is outside of a string of 3 bytes"
      fails(name .. message:format(i), utf8[name], "abc", i)
    end
    lu.assertNil(utf8[name]("abc", 4))
    fails(name .. ": argument 'i' must be an integer, got 1.5", utf8[name], "abc", 1.5)
    fails(name .. ": invalid UTF-8 at byte 2", utf8[name], "\u{e9}", 2)
  end
end

function TestWrong:test_arguments()
  fails("normalize: argument 's' must be a string, got nil", utf8.normalize)
  fails("normalize: argument 's' must be a string, got 1", utf8.normalize, 1, "NFC")
  fails("normalize: argument 'form' must be a string, got nil", utf8.normalize, "x")
  fails("normalize: form must be one of 'NFC', 'NFD', 'NFKC', 'NFKD', got 'NFX'", utf8.normalize,
    "x", "NFX")
  fails("normalize: unknown option 'fom', did you mean 'form'?", utf8.normalize, "x", {fom = "NFC"})
  fails("casefold: argument 's' must be a string, got table", utf8.casefold, {})
  fails("category: one character is needed, got a string of 2 bytes", utf8.category, "ab")
  fails("category: one character is needed, got a string of 0 bytes", utf8.category, "")
  fails("category: -1 is no code point", utf8.category, -1)
  fails("category: 1114112 is no code point", utf8.category, 0x110000)
  fails("category: argument 'character' must be an integer, got boolean", utf8.category, true)
end

os.exit(lu.LuaUnit.run())
