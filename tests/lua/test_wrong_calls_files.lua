-- Wrong calls on files, data sets, text, pictures and the system; broken files.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local wrong = require "wrong_calls"

local data, text, plot, progress = saros.data, saros.text, saros.plot, saros.progress
local nothing = function() end
local x = saros.tensor {{1.0, 2.0}, {3.0, 4.0}}
local list = {1, 2, 3, 4}

local folder = os.tmpname()
os.remove(folder)
assert(core.make_directory(folder))
local function at(name) return folder .. "/" .. name end

local function written(name, bytes)
  assert(core.write_file(at(name), bytes))
  return at(name)
end

-- ---- safetensors files that break one rule -------------------------------------------------

local function file(header, values)
  return ("<I8"):pack(#header) .. header .. (values or "")
end

local four = ("\0"):rep(4)
local function entry(fields, name)
  return ('{"%s":{%s}}'):format(name or "a", fields)
end

local good = entry '"dtype":"F32","shape":[1],"data_offsets":[0,4]'
local full = file(good, four)
assert(core.write_file(at "good", full) and saros.load(at "good").a:item() == 0)

local broken = {
  empty = "",
  one_byte = "x",
  seven_bytes = "1234567",
  text = "This is a text, not a file of tensors.",
  only_length = ("<I8"):pack(10),
  length_beyond = ("<I8"):pack(1000) .. good,
  length_2_63 = ("<I8"):pack(math.mininteger) .. good,
  length_all_ones = ("<I8"):pack(-1) .. good,
  length_0 = ("<I8"):pack(0) .. four,
  no_json = file("not json", four),
  list = file("[1, 2]", four),
  number = file("12", four),
  unclosed = file('{"a":', four),
  trailing = file(good .. "x", four),
  twice = file(good:sub(1, -2) .. "," .. good:sub(2), four),
  invalid_utf8 = file(entry('"dtype":"F32","shape":[1],"data_offsets":[0,4]', "\xff"), four),
  nul_name = file(entry('"dtype":"F32","shape":[1],"data_offsets":[0,4]', "a\\u0000b"), four),
  deep = file(("["):rep(100000), four),
  deep_objects = file(('{"a":'):rep(100000), four),
  entry_number = file('{"a":1}', four),
  no_dtype = file(entry '"shape":[1],"data_offsets":[0,4]', four),
  no_shape = file(entry '"dtype":"F32","data_offsets":[0,4]', four),
  no_offsets = file(entry '"dtype":"F32","shape":[1]', four),
  dtype_unknown = file(entry '"dtype":"F31","shape":[1],"data_offsets":[0,4]', four),
  dtype_number = file(entry '"dtype":32,"shape":[1],"data_offsets":[0,4]', four),
  shape_number = file(entry '"dtype":"F32","shape":1,"data_offsets":[0,4]', four),
  shape_negative = file(entry '"dtype":"F32","shape":[-1],"data_offsets":[0,4]', four),
  shape_two_negative = file(entry '"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]', four),
  shape_fraction = file(entry '"dtype":"F32","shape":[1.5],"data_offsets":[0,4]', four),
  shape_float = file(entry '"dtype":"F32","shape":[1.0],"data_offsets":[0,4]', four),
  shape_string = file(entry '"dtype":"F32","shape":["1"],"data_offsets":[0,4]', four),
  shape_2_64 = file(entry('"dtype":"F32","shape":[18446744073709551617],"data_offsets":[0,4]'),
    four),
  shape_wraps = file(entry(
    '"dtype":"F32","shape":[4294967296,4294967296,1],"data_offsets":[0,4]'), four),
  shape_nine = file(entry '"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]', four),
  shape_too_large = file(entry '"dtype":"F32","shape":[2],"data_offsets":[0,4]', four),
  offsets_one = file(entry '"dtype":"F32","shape":[1],"data_offsets":[4]', four),
  offsets_three = file(entry '"dtype":"F32","shape":[1],"data_offsets":[0,4,8]', four),
  offsets_backwards = file(entry '"dtype":"F32","shape":[1],"data_offsets":[4,0]', four),
  offsets_negative = file(entry '"dtype":"F32","shape":[1],"data_offsets":[-4,0]', four),
  offsets_beyond = file(entry '"dtype":"F32","shape":[1],"data_offsets":[4,8]', four),
  offsets_huge = file(entry(
    '"dtype":"F32","shape":[1],"data_offsets":[9223372036854775804,9223372036854775808]'), four),
  offsets_gap = file(entry '"dtype":"F32","shape":[1],"data_offsets":[4,8]', four .. four),
  data_missing = file(good),
  data_short = file(good, "\0\0\0"),
  data_long = file(good, four .. "\0"),
  overlap = file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
    .. '"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', four),
  metadata_number = file('{"__metadata__":{"a":1}}'),
  metadata_list = file('{"__metadata__":[]}'),
}

local broken_calls, names = {}, {}
for name in pairs(broken) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local path = written(name .. ".safetensors", broken[name])
  broken_calls[#broken_calls + 1] = {name, function() saros.load(path) end, "load", path}
end
for size = 1, #full - 1, 7 do -- cut short anywhere
  local path = written("cut" .. size, full:sub(1, size))
  broken_calls[#broken_calls + 1] = {"cut_" .. size, function() saros.load(path) end, "load", path}
end

TestBroken = wrong.tests(broken_calls)

TestFiles = wrong.tests {
  {"load_nothing", function() saros.load() end, "load", "nil"},
  {"load_empty_name", function() saros.load("") end, "load"},
  {"load_number", function() saros.load(3) end, "load", "3"},
  {"load_missing", function() saros.load(at "missing") end, "load", "missing", "No such file"},
  {"load_folder", function() saros.load(folder) end, "load", folder},
  {"load_device", function() saros.load(at "good", {device = "tpu"}) end, "tpu"},
  {"load_typo", function() saros.load(at "good", {devise = "cpu"}) end, "load", "'device'"},
  {"load_nul", function() saros.load(at "good\0x") end, "load", "NUL"},
  {"load_null_device", function() saros.load("/dev/null") end, "load", "/dev/null"},
  {"save_nothing", function() saros.save() end, "save", "nil"},
  {"save_no_tensors", function() saros.save(at "s") end, "save", "nil"},
  {"save_tensor", function() saros.save(at "s", x) end, "save", "tensor [2, 2]"},
  {"save_module", function() saros.save(at "s", saros.nn.Linear(1, 1)) end, "state_dict()"},
  {"save_numbers", function() saros.save(at "s", {a = 1}) end, "save", "'a'", "1"},
  {"save_nested", function() saros.save(at "s", {a = {b = x}}) end, "save", "'a'", "nested"},
  {"save_list", function() saros.save(at "s", {x, x}) end, "save", "names", "1"},
  {"save_function", function() saros.save(at "s", {a = nothing}) end, "save", "function"},
  {"save_metadata_string", function() saros.save(at "s", {a = x}, "note") end, "metadata"},
  {"save_metadata_number", function() saros.save(at "s", {a = x}, {n = 1}) end, "metadata", "n"},
  {"save_metadata_bytes", function() saros.save(at "s", {a = x}, {n = "\xff"}) end, "UTF-8"},
  {"save_metadata_nul", function() saros.save(at "s", {a = x}, {n = "a\0b"}) end, "NUL"},
  {"save_name_bytes", function() saros.save(at "s", {["\xff"] = x}) end, "save", "UTF-8"},
  {"save_name_nul", function() saros.save(at "s", {["a\0b"] = x}) end, "save", "NUL"},
  {"save_name_reserved", function() saros.save(at "s", {__metadata__ = x}) end, "__metadata__"},
  {"save_no_folder", function() saros.save(at "no/such", {a = x}) end, "save", "No such file"},
  {"save_on_folder", function() saros.save(folder, {a = x}) end, "save", folder},
  {"save_on_device", function() saros.save("/dev/null", {a = x}) end, "save", "/dev/null"},
}

TestData = wrong.tests {
  {"lines_nothing", function() data.read_lines() end, "read_lines", "nil"},
  {"lines_missing", function() data.read_lines(at "missing") end, "read_lines", "missing"},
  {"lines_folder", function() data.read_lines(folder) end, "read_lines", folder},
  {"lines_invalid", function() data.read_lines(written("l", "ok\na\xffb\n")) end, "l:2", "byte 2"},
  {"lines_encoding", function() data.read_lines(at "l", {encoding = "latin1"}) end, "latin1"},
  {"lines_typo", function() data.read_lines(at "l", {encodin = "bytes"}) end, "'encoding'"},
  {"files_nothing", function() data.list_files() end, "list_files", "nil"},
  {"files_missing", function() data.list_files(at "missing") end, "list_files", "missing"},
  {"files_pattern", function() data.list_files(folder, 3) end, "list_files", "3"},
  {"files_bad_pattern", function() data.list_files(folder, "[") end, "list_files", "pattern"},
  {"path_nothing", function() data.path() end, "data.path", "nil"},
  {"path_unknown", function() data.path("no such set") end, "data.path", "no such set"},
  {"read_words_nothing", function() data.read_words() end, "data.read_words", "nil"},
  {"read_words_count", function() data.read_words(at "good", {min_count = "7"}) end,
   "data.read_words", "min_count"},
  {"batches_nothing", function() data.batches() end, "data.batches", "nil"},
  {"batches_number", function() data.batches(3) end, "data.batches", "3"},
  {"batches_function", function() data.batches(nothing) end, "data.batches", "function"},
  {"batches_scalar", function() data.batches(saros.tensor(1)) end, "0-dimensional"},
  {"batches_size_0", function() data.batches(list, {size = 0}) end, "data.batches", "size", "0"},
  {"batches_size_string", function() data.batches(list, {size = "2"}) end, "size", "string"},
  {"batches_size_alone", function() data.batches(list, 2) end, "data.batches", "option table"},
  {"batches_typo", function() data.batches(list, {shufle = true}) end, "'shuffle'"},
  {"batches_shuffle", function() data.batches(list, {shuffle = 1}) end, "shuffle", "1"},
  {"batches_collate", function() data.batches(list, {collate = "stack"}) end, "collate"},
  {"batches_generator", function() data.batches(list, {generator = 3}) end, "generator"},
  {"batches_error_inside", function()
    for _ in data.batches(list, {collate = function() error("inside") end}) do end
  end, "inside"},
  {"split_nothing", function() data.random_split() end, "random_split", "nil"},
  {"split_no_lengths", function() data.random_split(list) end, "random_split", "nil"},
  {"split_sum", function() data.random_split(list, {1, 2}) end, "random_split", "3", "4"},
  {"split_shares", function() data.random_split(list, {1.5, -0.5}) end, "random_split", "1.5"},
  {"split_negative", function() data.random_split(list, {5, -1}) end, "random_split", "-1"},
  {"split_strings", function() data.random_split(list, {"1", "3"}) end, "length 1", "string"},
  {"split_fraction", function() data.random_split(list, {1.5, 2.5}) end, "whole", "1.5"},
  {"subset_zero", function() data.Subset(list, {0}) end, "data.Subset", "0"},
  {"subset_beyond", function() data.Subset(list, {5}) end, "data.Subset", "5"},
  {"subset_string", function() data.Subset(list, "all") end, "data.Subset", "all"},
  {"subset_floats", function() data.Subset(list, {1.5}) end, "data.Subset", "1.5"},
  {"dataset_no_length", function() local _ = #data.Dataset:extend("Set")() end, "Set", "__len"},
  {"dataset_no_get", function() data.Dataset:extend("Set")():get(1) end, "Set", "get"},
  {"dataset_extend", function() data.Dataset.extend("Set") end, "extend", "colon"},
  {"from0_string", function() data.from0("a") end, "from0"},
  {"from0_nil", function() data.from0() end, "from0"},
}

TestText = wrong.tests {
  {"normalize_nothing", function() text.normalize() end, "normalize", "nil"},
  {"normalize_number", function() text.normalize(12, "NFC") end, "normalize", "12"},
  {"normalize_no_form", function() text.normalize("a") end, "normalize", "form", "nil"},
  {"normalize_form", function() text.normalize("a", "nfc") end, "normalize", "'NFC'"},
  {"normalize_invalid", function() text.normalize("ab\xff", "NFC") end, "byte 3", "0xff"},
  {"casefold_table", function() text.casefold({}) end, "casefold", "table"},
  {"casefold_truncated", function() text.casefold("caf\xc3") end, "casefold", "byte 4"},
  {"strip_marks_nil", function() text.strip_marks() end, "strip_marks", "nil"},
  {"strip_marks_overlong", function() text.strip_marks("\xc0\x80") end, "byte 1"},
  {"category_nothing", function() text.category() end, "category", "nil"},
  {"category_two", function() text.category("ab") end, "category", "one character"},
  {"category_negative", function() text.category(-1) end, "category", "-1"},
  {"category_large", function() text.category(0x110000) end, "category", "1114112"},
  {"category_surrogate", function() text.category("\xed\xa0\x80") end, "byte 1"},
  {"codes_number", function() text.codes(5) end, "codes", "5"},
  {"codes_invalid", function() for _ in text.codes("a\x80") do end end, "byte 2"},
  {"graphemes_nil", function() text.graphemes() end, "graphemes", "nil"},
  {"graphemes_invalid", function() for _ in text.graphemes("a\xff") do end end, "byte 2"},
  {"length_unit", function() text.length("a", "bytes") end, "length", "unit", "bytes"},
  {"length_invalid", function() text.length("\xff") end, "byte 1"},
}

TestPictures = wrong.tests {
  {"lines_nothing", function() plot.lines() end, "plot.lines"},
  {"lines_no_file", function() plot.lines({1, 2}) end, "plot.lines", "file"},
  {"lines_strings", function() plot.lines({"a"}, {file = at "p.png"}) end, "plot.lines", "'a'"},
  {"lines_typo", function() plot.lines({1}, {file = at "p.png", titel = "t"}) end, "'title'"},
  {"lines_ending", function() plot.lines({1}, {file = at "p.jpg"}) end, "plot", "p.jpg"},
  {"heatmap_vector", function() plot.heatmap({1, 2}, {file = at "p.png"}) end, "plot.heatmap"},
  {"heatmap_ragged", function() plot.heatmap({{1, 2}, {3}}, {file = at "p.png"}) end, "row 2"},
  {"confusion_not_square", function()
    plot.confusion_matrix({{1, 2}}, {"a"}, {file = at "p.png"})
  end, "square"},
  {"confusion_labels", function()
    plot.confusion_matrix({{1, 2}, {3, 4}}, {"a"}, {file = at "p.png"})
  end, "2 labels", "1"},
  {"print_confusion_cube", function() plot.print_confusion(saros.ones(1, 1, 1), {"a"}) end,
    "print_confusion", "[1, 1, 1]"},
  {"progress_nothing", function() progress() end, "progress", "nil"},
  {"progress_typo", function() progress(list, {desk = "x"}) end, "progress", "'desc'"},
  {"progress_userdata", function() progress(io.stdout) end, "progress"},
  {"progress_total", function() progress.bar {total = "3"} end, "progress", "total", "string"},
}

TestSystem = wrong.tests {
  {"threads_zero", function() saros.set_num_threads(0) end, "set_num_threads", "0"},
  {"threads_nil", function() saros.set_num_threads() end, "set_num_threads", "nil"},
  {"threads_fraction", function() saros.set_num_threads(1.5) end, "set_num_threads", "1.5"},
  {"threads_huge", function() saros.set_num_threads(1 << 40) end, "set_num_threads"},
  {"cuda_arguments", function() saros.cuda.is_available(1) end, "is_available", "1"},
  {"terminal_stream", function() saros.is_terminal("screen") end, "is_terminal", "screen"},
  {"hold_interrupts", function() saros.hold_interrupts("yes") end, "hold_interrupts", "string"},
  {"interrupt_seen", function() saros.interrupt_seen(1) end, "interrupt_seen", "1"},
  {"memory_fail_negative", function() saros.memory_fail_at(-1) end, "memory_fail_at", "-1"},
  {"next_allocation_fails", function()
    saros.memory_fail_at(1, true)
    local _ <close> = setmetatable({}, {__close = function() saros.memory_fail_at(0) end})
    local _ = x * 2
  end, "memory"},
  {"endless_detach", function()
    local t = {}
    t[1] = t
    saros.nn.detach(t)
  end, "detach"},
}

local failed = lu.LuaUnit.run()
for _, name in ipairs(core.list_directory(folder)) do os.remove(at(name)) end
os.remove(folder)
os.exit(failed)
