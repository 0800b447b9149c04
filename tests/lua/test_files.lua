-- The calls of saros.core on files and folders, and on the system.
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"

local folder = os.tmpname()
os.remove(folder)
assert(core.make_directory(folder))

local function at(name) return folder .. "/" .. name end

local function remove_all(path)
  for _, name in ipairs(core.list_directory(path) or {}) do
    local inner = path .. "/" .. name
    if core.file_exists(inner) == "directory" then remove_all(inner) else os.remove(inner) end
  end
  os.remove(path)
end

-- ---- whole files -------------------------------------------------------------------------

TestWholeFiles = {}

function TestWholeFiles:test_write_and_read()
  for i, bytes in ipairs{"", "x", "a\0b\n\xff", ("0123456789"):rep(100003)} do
    lu.assertTrue(core.write_file(at("file" .. i), bytes))
    lu.assertTrue(core.read_file(at("file" .. i)) == bytes)
  end
end

function TestWholeFiles:test_write_replaces()
  core.write_file(at "twice", "a long first text")
  core.write_file(at "twice", "short")
  lu.assertEquals(core.read_file(at "twice"), "short")
end

function TestWholeFiles:test_write_leaves_no_other_file()
  core.make_directory(at "alone")
  core.write_file(at "alone/file", "x")
  lu.assertEquals(core.list_directory(at "alone"), {"file"})
end

function TestWholeFiles:test_write_keeps_links()
  core.write_file(at "target", "old")
  lu.assertTrue(os.execute(("ln -s target '%s'"):format(at "link")))
  lu.assertTrue(core.write_file(at "link", "new"))
  lu.assertEquals(core.read_file(at "target"), "new")
end

function TestWholeFiles:test_devices_are_not_replaced()
  local value, message = core.write_file("/dev/null", "x")
  lu.assertNil(value)
  lu.assertStrContains(message, "'/dev/null' is not a regular file")
  lu.assertEquals(core.file_exists("/dev/null"), "other")
  lu.assertEquals(core.read_file("/dev/null"), "")
end

function TestWholeFiles:test_reads_files_without_a_size()
  local text = core.read_file("/proc/self/status")
  lu.assertStrContains(text, "VmRSS")
end

function TestWholeFiles:test_failures_are_values()
  local value, message = core.read_file(at "missing")
  lu.assertNil(value)
  lu.assertEquals(message, ("cannot read '%s': No such file or directory"):format(at "missing"))
  value, message = core.read_file(folder)
  lu.assertNil(value)
  lu.assertEquals(message, ("cannot read '%s': Is a directory"):format(folder))
  value, message = core.write_file(at "no/such/folder", "x")
  lu.assertNil(value)
  lu.assertStrContains(message, "No such file or directory")
  value, message = core.write_file(folder, "x")
  lu.assertNil(value)
  lu.assertStrContains(message, "is not a regular file")
end

-- ---- folders -----------------------------------------------------------------------------

TestFolders = {}

function TestFolders:test_make_with_parents()
  lu.assertTrue(core.make_directory(at "a/b//c/"))
  lu.assertTrue(core.make_directory(at "a/b/c"))
  lu.assertEquals(core.file_exists(at "a/b/c"), "directory")
end

function TestFolders:test_make_below_a_file()
  core.write_file(at "plain", "")
  for _, path in ipairs {at "plain", at "plain/", at "plain/x"} do
    local value, message = core.make_directory(path)
    lu.assertNil(value)
    lu.assertStrContains(message, ("cannot make folder '%s"):format(at "plain"))
    lu.assertStrContains(message, "': it is a file, not a folder")
  end
end

function TestFolders:test_list_is_sorted()
  for _, name in ipairs{"b", "a", "B", ".hidden", "\u{e9}"} do
    core.make_directory(at "list")
    core.write_file(at("list/" .. name), "")
  end
  lu.assertEquals(core.list_directory(at "list"), {".hidden", "B", "a", "b", "\u{e9}"})
end

function TestFolders:test_list_of_nothing()
  core.make_directory(at "empty")
  lu.assertEquals(core.list_directory(at "empty"), {})
  local value, message = core.list_directory(at "missing")
  lu.assertNil(value)
  lu.assertStrContains(message, "cannot list '" .. at "missing")
  core.write_file(at "no_folder", "")
  lu.assertNil((core.list_directory(at "no_folder")))
end

function TestFolders:test_exists()
  core.write_file(at "here", "")
  lu.assertEquals(core.file_exists(at "here"), "file")
  lu.assertEquals(core.file_exists(folder), "directory")
  lu.assertNil(core.file_exists(at "missing"))
  lu.assertNil(core.file_exists(at "here/below"))
end

function TestFolders:test_bad_paths_are_errors()
  for _, name in ipairs{"read_file", "list_directory", "file_exists", "make_directory"} do
    lu.assertErrorMsgContains(name .. ": argument 'path' contains a NUL byte", core[name], "a\0b")
    lu.assertErrorMsgContains(name .. ": argument 'path' must be a string, got nil", core[name])
    lu.assertErrorMsgContains(name .. ": argument 'path' is empty", core[name], "")
  end
  lu.assertErrorMsgContains("write_file: argument 'path' contains", core.write_file, "a\0b", "")
  lu.assertErrorMsgContains("write_file: argument 'bytes' must be", core.write_file, at "x", {})
end

-- ---- safetensors -------------------------------------------------------------------------

TestSafetensors = {}

local function same(a, b)
  return a.dtype == b.dtype and a.shape == b.shape and a:eq(b):all():item()
end

function TestSafetensors:test_save_and_load()
  local names = {"z", "a", "m.0.w", "number"}
  local tensors = {
    saros.tensor{{1.5, 2}, {3, -4}}, saros.tensor{1, 2, 3}, saros.tensor{true, false},
    saros.tensor(7),
  }
  core.save(at "t.safetensors", names, tensors, {note = "\u{e9}", a = ""})
  local got_names, got, metadata = core.load(at "t.safetensors")
  for i, name in ipairs(names) do lu.assertTrue(same(got[name], tensors[i]), name) end
  table.sort(names)
  table.sort(got_names)
  lu.assertEquals(got_names, names)
  lu.assertEquals(metadata, {note = "\u{e9}", a = ""})
end

function TestSafetensors:test_nothing_to_save()
  core.save(at "none.safetensors", {}, {})
  local names, tensors, metadata = core.load(at "none.safetensors", "cpu")
  lu.assertEquals({names, tensors, metadata}, {{}, {}, {}})
end

function TestSafetensors:test_equal_content_makes_equal_files()
  local metadata = {}
  for i = 1, 30 do metadata["key" .. i] = "value" .. i end
  local turned = {}
  for i = 30, 1, -1 do turned["key" .. i] = "value" .. i end
  local x = {saros.tensor{1, 2}}
  core.save(at "1.safetensors", {"x"}, x, metadata)
  core.save(at "2.safetensors", {"x"}, x, turned)
  lu.assertTrue(core.read_file(at "1.safetensors") == core.read_file(at "2.safetensors"))
end

function TestSafetensors:test_wrong_arguments()
  local x = saros.tensor{1}
  local function fails(message, ...) lu.assertErrorMsgContains(message, core.save, ...) end
  fails("save: argument 'path' must be a string, got nil")
  fails("save: argument 'path' contains a NUL byte", "a\0b", {}, {})
  fails("save: argument 'names' must be a table, got nil", at "x")
  fails("save: argument 'tensors' must be a table, got number", at "x", {}, 1)
  fails("save: a tensor's name must be a string, got number", at "x", {1}, {x})
  fails("save: a tensor's name 'a' contains a NUL byte", at "x", {"a\0b"}, {x})
  fails("save: 1 names for 0 tensors", at "x", {"a"}, {})
  fails("save: 'a' must be a tensor, got table", at "x", {"a"}, {{}})
  fails("save: argument 'metadata' must be a table, got string", at "x", {}, {}, "m")
  fails("save: a value of metadata must be a string, got number", at "x", {}, {}, {a = 1})
  fails("save: a key of metadata must be a string, got number", at "x", {}, {}, {"a"})
  lu.assertNil(core.file_exists(at "x"))
end

function TestSafetensors:test_files_that_are_none()
  lu.assertErrorMsgContains(at "missing", core.load, at "missing")
  core.write_file(at "text", "this is no safetensors file")
  lu.assertErrorMsgContains(at "text", core.load, at "text")
  lu.assertError(core.load, folder)
  lu.assertError(core.load, at "text", "no such device")
end

-- ---- system ------------------------------------------------------------------------------

TestSystem = {}

function TestSystem:test_clocks()
  local clock, cpu = core.clock(), core.cpu_time()
  local sum = 0
  for i = 1, 1e6 do sum = sum + i end
  lu.assertTrue(core.clock() > clock)
  lu.assertTrue(core.cpu_time() > cpu)
  lu.assertTrue(core.clock() - clock < 60)
end

function TestSystem:test_terminal()
  for _, stream in ipairs{"stdin", "stdout", "stderr"} do
    lu.assertEquals(type(core.is_terminal(stream)), "boolean")
  end
  lu.assertErrorMsgContains("is_terminal: stream must be one of 'stdin', 'stdout', 'stderr'",
    core.is_terminal, "x")
  lu.assertTrue(math.type(core.terminal_width()) == "integer" and core.terminal_width() > 0)
end

function TestSystem:test_memory_counts()
  collectgarbage()
  collectgarbage()
  local before = core.memory()
  local x = saros.zeros(1000, 1000) -- luacheck: ignore (it only has to be there)
  local with = core.memory()
  lu.assertTrue(with.live_bytes >= before.live_bytes + 4e6)
  lu.assertTrue(with.live_blocks > before.live_blocks)
  lu.assertTrue(with.allocations > before.allocations)
  lu.assertTrue(with.peak_bytes >= with.live_bytes)
  lu.assertTrue(core.peak_rss() >= 4e6)
  x = nil
  collectgarbage()
  collectgarbage()
  lu.assertEquals(core.memory().live_blocks, before.live_blocks)
  core.memory_trim()
  lu.assertEquals(core.memory().cached_bytes, 0)
end

function TestSystem:test_memory_can_be_made_to_fail()
  core.memory_fail_at(1)
  lu.assertError(saros.zeros, 3, 3)
  core.memory_fail_at(0)
  lu.assertEquals(saros.zeros(2):sum():item(), 0)
end

function TestSystem:test_threads()
  local n = core.get_num_threads()
  core.set_num_threads(1)
  lu.assertEquals(core.get_num_threads(), 1)
  core.set_num_threads(n)
  for _, bad in ipairs{0, -1, 1.5, 2^40, "1", false} do
    lu.assertError(core.set_num_threads, bad)
  end
  lu.assertError(core.set_num_threads)
end

function TestSystem:test_what_there_is()
  lu.assertStrMatches(core.version, "%d+%.%d+%.%d+")
  lu.assertTableContains({"baseline", "avx2", "avx512"}, core.cpu_kernels())
  lu.assertEquals(core.cuda.is_available(), core.cuda.device_count() > 0)
end

local failed = lu.LuaUnit.run()
remove_all(folder)
os.exit(failed)
