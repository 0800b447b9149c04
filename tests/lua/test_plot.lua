-- Pictures: files that gnuplot draws, text in the terminal, what happens without gnuplot.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local support = require "support"
local plot = saros.plot
local assert_error = support.assert_error

local has_gnuplot = os.execute("command -v gnuplot > /dev/null 2>&1")

local folder = os.tmpname()
os.remove(folder)
assert(core.make_directory(folder))

local function at(name) return folder .. "/" .. name end

local function need_gnuplot()
  lu.skipIf(not has_gnuplot, "gnuplot is not installed")
end

local function check_picture(file, message)
  lu.assertNotNil(file, message)
  local bytes = core.read_file(file)
  local is_png = bytes:sub(1, 8) == "\137PNG\r\n\26\n"
  local is_svg = bytes:find("<svg", 1, true) and bytes:find("</svg>", 1, true)
  lu.assertTrue(file:find("png$") and is_png or file:find("svg$") and is_svg ~= nil)
  os.remove(file)
  return bytes
end

local counts = {{8, 2, 0}, {1, 5, 4}, {0, 0, 3}}
local labels = {"Czech", "O'Brien \"x\" `id` $(id) \\n %d @a", "Việt_Nam {^2}"}

local TestFiles = {}

function TestFiles:test_confusion_matrix()
  need_gnuplot()
  for _, name in ipairs {"c.png", "c.svg"} do
    for _, normalize in ipairs {true, false} do
      check_picture(plot.confusion_matrix(counts, labels,
        {file = at(name), normalize = normalize, title = "it's 100 % \\ `ls`"}))
    end
  end
  check_picture(plot.confusion_matrix(saros.tensor(counts), labels, {file = at("it's.png")}))
end

function TestFiles:test_text_is_taken_as_it_is()
  need_gnuplot()
  local svg = check_picture(plot.confusion_matrix(counts, labels, {file = at("c.svg")}))
  lu.assertStrContains(svg, "O'Brien")
  lu.assertStrContains(svg, "`id` $(id) \\n %d @a")
  lu.assertStrContains(svg, "Việt_Nam {^2}")
end

function TestFiles:test_lines()
  need_gnuplot()
  check_picture(plot.lines({3.0, 2, 1.5}, {file = at("l.png"), xlabel = "x", ylabel = "y"}))
  check_picture(plot.lines({{1, 0 / 0, 3}, saros.tensor({3.0, 2, 1 / 0})},
    {file = at("l.svg"), labels = {"a", "b"}, x = {10, 20, 30}, logy = true}))
  check_picture(plot.lines({7}, {file = at("l.png")}))
  check_picture(plot.lines(saros.rand(2, 100), {file = at("l.png"), width = 300, height = 200}))
end

function TestFiles:test_heatmap()
  need_gnuplot()
  check_picture(plot.heatmap(saros.rand(5, 8), {file = at("h.png")}))
  check_picture(plot.heatmap({{1, 2}, {3, 0 / 0}, {5, 6}}, {file = at("h.svg"), values = true,
    xlabels = {"je", "suis"}, ylabels = {"I", "am", "<EOS>"}}))
  check_picture(plot.heatmap({{1}}, {file = at("h.png")}))
end

local program = 0
while arg[program - 1] do program = program - 1 end

-- What the program says of a curve in `file`, started by a shell that ran `before`.
local function draw(before, file)
  local code = ('print(require("saros").plot.lines({1, 2}, {file = "%s"}))'):format(file)
  local pipe = io.popen(("%s; '%s' -e '%s' 2>&1"):format(before, arg[program], code))
  local output = pipe:read("a")
  pipe:close()
  return output
end

-- A script in place of gnuplot: what to run before drawing.
local function replace_gnuplot(lines)
  core.make_directory(at "bin")
  core.write_file(at "bin/gnuplot", "#!/bin/sh\n" .. lines)
  assert(os.execute(("chmod +x '%s'"):format(at "bin/gnuplot")))
  return ("PATH='%s':$PATH"):format(at "bin")
end

-- Nothing is in the folder but the old picture, as it was.
local function check_left_alone(name)
  lu.assertEquals(core.list_directory(at "pictures"), {name})
  lu.assertEquals(core.read_file(at("pictures/" .. name)), "old")
  os.remove(at("pictures/" .. name))
end

local function old_picture(name)
  core.make_directory(at "pictures")
  core.write_file(at("pictures/" .. name), "old")
  return at("pictures/" .. name)
end

-- The same in place of gnuplot: it draws the beginning and the end of a picture of 9 kB.
local function draw_whole(name)
  local first, last = "<svg>", "</svg>\n\n"
  if name:find("png$") then first, last = "\137PNG\r\n\26\n", "\0\0\0\0IEND\xaeB`\x82" end
  core.write_file(at "whole", first .. (" "):rep(9000) .. last)
  return replace_gnuplot(("cat '%s'"):format(at "whole"))
end

function TestFiles:test_folders_that_cannot_be_written()
  for place, reason in pairs {[at "none"] = "No such file or directory\n", ["/proc"] = ""} do
    for _, name in ipairs {"l.png", "l.svg"} do
      local output = draw(draw_whole(name), place .. "/" .. name)
      lu.assertStrContains(output, ("nil\t'%s/%s': %s"):format(place, name, reason))
    end
  end
end

function TestFiles:test_no_room_for_the_picture()
  for _, name in ipairs {"l.png", "l.svg"} do
    local file = old_picture(name)
    local before = draw_whole(name)
    lu.assertEquals(draw(before .. "; trap '' XFSZ; ulimit -f 8", file), -- larger files fail
      ("nil\t'%s': File too large\n"):format(file))
    check_left_alone(name)
    old_picture(name)
    lu.assertEquals(draw(before, file), file .. "\n")
    lu.assertEquals(core.read_file(file), core.read_file(at "whole"))
    os.remove(file)
  end
end

function TestFiles:test_a_cut_picture_is_none()
  for _, name in ipairs {"l.png", "l.svg"} do
    for _, drawn in ipairs {"", [[\211PNG\r\n\032\n\0\0]], "<svg><g>"} do
      local file = old_picture(name)
      lu.assertEquals(draw(replace_gnuplot(("printf '%s'"):format(drawn)), file),
        "nil\tgnuplot: the picture is not whole\n")
      check_left_alone(name)
    end
  end
end

function TestFiles:test_complaints_of_gnuplot()
  local output = draw(replace_gnuplot([[echo '"x" line 3: no colours left' >&2; exit 1]]),
    old_picture("l.png"))
  lu.assertEquals(output, "nil\tgnuplot: no colours left\n")
  check_left_alone("l.png")
end

function TestFiles:test_without_gnuplot()
  lu.assertStrContains(draw("PATH=/none", at "l.png"), "nil\tgnuplot is not installed")
end

function TestFiles:test_wrong_use()
  local c = plot.confusion_matrix
  assert_error("file is missing (a string)", c, counts, labels)
  assert_error("must end in .png or .svg, got 'x.jpg'", c, counts, labels, {file = "x.jpg"})
  assert_error("3 labels expected, got 2", c, counts, {"a", "b"}, {file = "x.png"})
  assert_error("a square matrix expected, got (1, 2)", c, {{1, 2}}, labels, {file = "x.png"})
  assert_error("row 2 has 1 items, row 1 has 2", c, {{1, 2}, {3}}, labels, {file = "x.png"})
  assert_error("a matrix expected", c, {}, {}, {file = "x.png"})
  assert_error("a matrix expected, got tensor [3]", c, saros.ones(3), labels, {file = "x.png"})
  assert_error("item 2 must be a number, got string 'x'", c, {{1, "x"}}, labels, {file = "x.png"})
  assert_error("unknown option 'normalise', did you mean 'normalize'?", c, counts, labels,
    {file = "x.png", normalise = true})
  assert_error("is not possible (50 to 20000)", plot.lines, {1}, {file = "x.png", width = 10})
  assert_error("has control characters", plot.lines, {1}, {file = "a\nb.png"})
  assert_error("a list of numbers or of curves expected", plot.lines, {}, {file = "x.png"})
  assert_error("a list of numbers or of curves expected", plot.lines, 3, {file = "x.png"})
end

-- ---- terminal ---------------------------------------------------------------------

local TestTerminal = {}

local function catch(f, value, ...)
  local written = {}
  local file = {write = function(_, ...) written[#written + 1] = table.concat({...}) end}
  local arguments = {...}
  arguments[#arguments].file = file
  f(value, table.unpack(arguments))
  return table.concat(written)
end

function TestTerminal:test_confusion()
  lu.assertEquals(catch(plot.print_confusion, counts, {"Czech", "Dutch", "Việt"}, {}), [[
class  count  recall  CzDuVi  taken for
Czech     10    80 %  ██░░    Dutch 20 %
Dutch     10    50 %  ░░▓▓▒▒  Việt 40 %, Czech 10 %
Việt       3   100 %      ██
]])
end

function TestTerminal:test_empty_class()
  local output = catch(plot.print_confusion, {{0, 0}, {1, 1}}, {"a", "b"}, {most = 1})
  lu.assertStrContains(output, "a          0       -")
end

function TestTerminal:test_lines()
  lu.assertEquals(catch(plot.print_lines, {4, 3, 2, 1, 0}, {width = 9, height = 5, title = "loss"}),
    [[
loss
4 |*
  |  *
2 |    *
  |      *
0 |        *
  +---------
   1       5
]])
end

function TestTerminal:test_lines_of_all_kinds()
  local output = catch(plot.print_lines, {{1, 2}, {2, 0 / 0}}, {labels = {"up", "other"}})
  lu.assertStrContains(output, "* up")
  lu.assertStrContains(output, "o other")
  catch(plot.print_lines, {5}, {})
  catch(plot.print_lines, {0 / 0}, {})
  assert_error("width and height must be 2 or more", plot.print_lines, {1}, {width = 1})
end

local suites = {TestFiles = TestFiles, TestTerminal = TestTerminal}
function TestFiles:tearDown()
  for _, name in ipairs(core.list_directory(folder) or {}) do os.remove(at(name)) end
end
core.make_directory(folder)
support.run(suites)
