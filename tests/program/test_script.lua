-- saros.script from outside: what scripts do with their command line.
package.path = "tests/program/?.lua"
local run = require "run"
local equal, contains = run.equal, run.contains
local tests = {}

local folder = run.folder()
local script = run.write(folder .. "/add.lua", [[
local saros = require "saros"
local options = saros.script.options {
  "Adds numbers.\nSlowly.",
  arguments = "[number ...]",
  {"steps", "integer", 27, "how many"},
  {"rate", "number", 0.5, "how fast"}, {"size", "integer", nil, "how large", range = {2, 9}},
  {"name", "string", nil, "whose"},
  {"data", "folder", nil, "where"},
  {"text", "file", nil, "what"},
  {"device", "device", nil, "on what"},
  {"slow", "flag", false, "take your time"},
}
print(options.steps, options.rate, options.name, options.data, options.text, options.device,
  options.slow, table.concat(options, ","))
]])

local function add(arguments) return run.saros(run.quote(script) .. " " .. arguments) end

function tests.defaults()
  local out = add("").out:gsub("cuda", "cpu")
  equal(out, "27\t0.5\tnil\tnil\tnil\tcpu\tfalse\t\n")
end

-- Without a default the device is the GPU, where there is one.
function tests.finds_the_device()
  local text = [[
local saros = require "saros"
saros.cuda.is_available = function() return %s end
print(saros.script.options({"", {"device", "device", nil, ""}}, {%s}).device)
]]
  local function device(available, words)
    return run.saros(run.quote(run.write(run.folder() .. "/device.lua",
      text:format(available, words)))).out
  end
  equal(device("true", ""), "cuda\n")
  equal(device("false", ""), "cpu\n")
  equal(device("true", "'--device', 'cpu'"), "cpu\n")
end

-- A message stands in a line of its own, below a progress bar.
function tests.quits_below_a_bar()
  local path = run.write(run.folder() .. "/bar.lua", [[
local saros = require "saros"
for i in saros.progress(4) do
  if i == 2 then saros.script.quit("enough") end
end
]])
  local r = run.shell(("script -qec %s /dev/null"):format(run.quote(run.program .. " " .. path)))
  contains(r.out, "it/s]")
  contains(r.out, "\r\nbar.lua: enough\r\n")
  equal(r.code, 2)
end

function tests.values()
  equal(add("--steps 3 --rate=-1e-3 a --name 'x y' b --slow --device cpu c").out,
    "3\t-0.001\tx y\tnil\tnil\tcpu\ttrue\ta,b,c\n")
  local where = ("--data %s --text %s"):format(run.quote(folder), run.quote(script))
  equal(add(where).out, ("27\t0.5\tnil\t%s\t%s\tcpu\tfalse\t\n"):format(folder, script))
  equal(add("--name= --steps 1 --steps 2").out, "2\t0.5\t\tnil\tnil\tcpu\tfalse\t\n")
end

function tests.double_dash_and_dash()
  equal(add("- -- --steps -x").out, "27\t0.5\tnil\tnil\tnil\tcpu\tfalse\t-,--steps,-x\n")
end

function tests.help()
  for _, word in ipairs {"--help", "-h", "--slow --help"} do
    local r = add(word)
    equal(r.code, 0)
    contains(r.out, "usage: saros add.lua [options] [number ...]\n\nAdds numbers.\nSlowly.\n\n"
      .. "  --steps N      how many (27)\n  --rate X       how fast (0.5)\n"
      .. "  --size N       how large\n  --name TEXT    whose\n  --data FOLDER  where\n")
    contains(r.out, "\n  --slow         take your time\n  --help         this text\n")
  end
end

function tests.wrong_lines()
  for words, message in pairs {
    ["--step 3"] = "unknown option --step, did you mean '--steps'?",
    ["--zzzzzzzzz"] = "unknown option --zzzzzzzzz (known: --help, --steps, ",
    ["-s"] = "unknown option -s (they begin with two dashes)",
    ["--steps"] = "--steps: a value is missing",
    ["--size 1"] = "--size: 2 to 9 expected, got 1",
    ["--size 10"] = "--size: 2 to 9 expected, got 10",
    ["--steps x"] = "--steps: a whole number expected, got 'x'",
    ["--steps -1"] = "--steps: 0 or more expected, got '-1'",
    ["--steps 1.5"] = "--steps: a whole number expected, got '1.5'",
    ["--rate fast"] = "--rate: a number expected, got 'fast'",
    ["--slow=yes"] = "--slow takes no value",
    ["--data " .. script] = "--data: there is no folder '" .. script .. "'",
    ["--text " .. folder] = "--text: there is no file '" .. folder .. "'",
    ["--device gpu"] = "--device: device 'gpu'",
  } do
    local r = add(words)
    equal(r.code, 2, words)
    equal(r.out, "", words)
    contains(r.err, "add.lua: " .. message, words)
    contains(r.err, " (--help shows the options)\n", words)
    equal(select(2, r.err:gsub("\n", "")), 1, words)
  end
end

function tests.names_files_and_lists()
  local path = run.write(folder .. "/many.lua", [[
local script = require("saros").script
local o = script.options {
  "Many.",
  {"min_count", "integer", 3, "at least"},
  {"add", "named file", nil, "more", many = true},
  {"word", "string", nil, "some", many = true},
}
io.write(o.min_count, script.is_given(o, "min_count") and " given" or "", ":")
for _, added in ipairs(o.add) do io.write(" ", added.name, "=", added.path) end
print(":" .. table.concat(o.word, ","))
print(script.is_given(o, "add"), script.is_given({}, "add"))]])
  local function many(words) return run.saros(run.quote(path) .. " " .. words) end
  equal(many("").out, "3::\nfalse\tfalse\n")
  equal(many(("--min-count 3 --add A=%s --word x --add B=%s --word y"):format(path, path)).out,
    ("3 given: A=%s B=%s:x,y\ntrue\tfalse\n"):format(path, path))
  contains(many("--help").out, "\n  --min-count N    at least (3)\n  --add NAME=FILE  more\n")
  for words, message in pairs {
    ["--min_count 3"] = "unknown option --min_count, did you mean '--min-count'?",
    ["--min-count x"] = "--min-count: a whole number expected, got 'x'",
    ["--add A"] = "--add: NAME=FILE expected, got 'A'",
    ["--add =x"] = "--add: NAME=FILE expected, got '=x'",
    ["--add A=/none"] = "--add: there is no file '/none'",
  } do
    local r = many(words)
    equal(r.err, ("many.lua: %s (--help shows the options)\n"):format(message))
    equal(r.code, 2)
  end
end

function tests.without_arguments()
  local plain = "require('saros').script.options {'Nothing.'}"
  local r = run.saros(run.write(folder .. "/plain.lua", plain) .. " word")
  equal(r.err, "plain.lua: unexpected argument 'word' (--help shows the options)\n")
  equal(r.code, 2)
end

function tests.wrong_specifications()
  for spec, message in pairs {
    ["nil"] = "a table that begins with a description",
    ["{'About.', {'steps', 'integer', 1}}"] = "option 1 must be {name, kind, default, description}",
    ["{'About.', {'steps', 'integr', 1, 'how many'}}"] = "did you mean 'integer'?",
  } do
    local call = ("require('saros').script.options(%s)"):format(spec)
    local r = run.saros("-e " .. run.quote(call))
    equal(r.code, 1, spec)
    contains(r.err, "saros: (command line):1: saros.script.options: ", spec)
    contains(r.err, message, spec)
  end
end

function tests.quit()
  local text = "print 'before' require('saros').script.quit('no %s', 'more')"
  local r = run.saros(run.write(folder .. "/quit.lua", text))
  equal(r.out .. r.err .. r.code, "before\nquit.lua: no more\n2")
end

function tests.check()
  local text = "local check = require('saros').script.check check(1, 'no') check(nil, 'no %d', 2)"
  local r = run.saros(run.write(folder .. "/check.lua", text))
  equal(r.err .. r.code, "check.lua: no 2\n2")
end

function tests.attempt()
  local function attempt(code)
    return run.saros(run.write(folder .. "/attempt.lua",
      "local script, data = require('saros').script, require('saros').data\n" .. code))
  end
  local r = attempt("print(script.attempt(function(...) return ..., 2, nil end, 1))")
  equal(r.out, "1\t2\tnil\n")
  r = attempt("script.attempt(data.read_lines, '/none')")
  equal(r.err, "attempt.lua: data.read_lines: /none: No such file or directory\n")
  equal(r.code, 2)
  r = attempt("script.attempt_or(' (buy one)', error, 'no disk', 0)")
  equal(r.err, "attempt.lua: no disk (buy one)\n")
end

run.all(tests)
