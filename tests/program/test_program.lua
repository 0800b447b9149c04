-- The program from outside: options, arguments, streams, messages, exit status.
-- What stock lua5.4 does with the same command line is the reference.
package.path = "tests/program/?.lua"
local run = require "run"
local saros, equal, contains, lacks = run.saros, run.equal, run.contains, run.lacks
local tests = {}

local folder = run.folder()
local function script(text)
  return run.write(folder .. "/script.lua", text)
end

function tests.execute_and_require()
  local r = saros [[-e 'print(1)' -l g=string -lmath -e 'print(g == string, math.pi > 3)']]
  equal(r.out, "1\ntrue\ttrue\n")
  equal(r.code, 0)
end

function tests.require_makes_the_global()
  run.write(folder .. "/thing-v2.lua", "return {name = ...}")
  local r = run.shell(("LUA_PATH=%s/?.lua %s -l thing-v2 -e 'print(thing.name)'")
    :format(folder, run.program))
  equal(r.out, "thing-v2\n")
end

function tests.arguments()
  local name = script "print(...) print(#arg, arg[0], arg[-1], arg[-2], arg[3])"
  local r = saros(("-W %s a 'b c' -e"):format(name))
  equal(r.out, "a\tb c\t-e\n3\t" .. name .. "\t-W\t" .. arg[-1] .. "\t-e\n")
end

function tests.no_script_arg_counts_from_the_program()
  equal(saros [[-e 'print(arg[0], arg[1])']].out, arg[-1] .. "\t-e\n")
end

function tests.stdin()
  equal(saros("", "print(...) print(1 + 1)").out, "\n2\n")
  equal(saros("- a b", "print(...)").out, "a\tb\n")
  equal(saros("-e 'print(io.read())'", "line\n").out, "line\n")
end

function tests.double_dash_ends_options()
  equal(run.shell(("cd %s && echo 'print(1)' > ./-e && %s -- -e"):format(folder,
    run.quote(io.popen("realpath " .. run.program):read()))).out, "1\n")
end

function tests.errors_end_with_status_1()
  for _, case in ipairs {
    {"-e 'error(\"boom\")'", "saros: (command line):1: boom\n"},
    {"-e 'error(\"boom\", 0)'", "saros: boom\n"},
    {"-e 'error({})'", "saros: (error object is a table value)"},
    {"-e 'error()'", "saros: (error object is a nil value)"},
    {"-e 'error(setmetatable({}, {__tostring = function() return \"object\" end}))'",
     "saros: object\n"},
    {"-e 'x = = 1'", "saros: (command line):1: unexpected symbol near '='\n"},
    {"no-such-file.lua", "saros: cannot open no-such-file.lua"},
    {"-l no_such_module", "saros: module 'no_such_module' not found"},
    {"-x", "saros: unrecognized option '-x'\nusage: saros"},
    {"--nonsense", "saros: unrecognized option '--nonsense'"},
    {"-ix", "saros: unrecognized option '-ix'"},
    {"-e", "saros: '-e' needs argument"},
    {"-l -e", "saros: '-l' needs argument"},
    {"--seed x", "saros: an integer expected, got 'x'"},
    {"--threads", "saros: unrecognized option '--threads'"},
    {"--device no_such_device -e ''", "saros: "},
  } do
    local r = saros(case[1])
    equal(r.code, 1, case[1])
    equal(r.out, "", case[1])
    contains(r.err, case[2], case[1])
    if case[2]:sub(-1) == "\n" then
      equal(r.err:sub(1, #case[2]), case[2])
    end
  end
end

function tests.os_exit()
  equal(saros("-e 'os.exit(3)'").code, 3)
  equal(saros("-e 'os.exit(false)'").code, 1)
  equal(saros("-e 'os.exit(true, true)'").code, 0)
end

function tests.error_stops_what_follows()
  local r = saros("-e 'error(1)' -e 'print(2)'")
  equal(r.out, "")
end

function tests.traceback_names_the_script()
  local name = script [[
local function inner() local x = nil; return x.y end
local function outer() local v = inner() return v end
outer()]]
  local r = saros(name)
  contains(r.err, name .. ":1: attempt to index a nil value (local 'x')")
  contains(r.err, "\n\t" .. name .. ":2: in ")
  contains(r.err, "\n\t" .. name .. ":3: in main chunk")
  lacks(r.err, "[C]")
end

function tests.deep_recursion_is_shortened()
  local r = saros [[-e 'local function f(n) return 1 + f(n + 1) end f(1)']]
  contains(r.err, "stack overflow")
  contains(r.err, "\n\t...\n")
  assert(select(2, r.err:gsub("\n", "")) < 40)
end

function tests.environment_variables()
  local function with(arguments)
    return run.shell(("LUA_INIT='print(\"init\")' %s %s"):format(run.program, arguments)).out
  end
  equal(with "-e 'print(1)'", "init\n1\n")
  equal(with "-E -e 'print(1)'", "1\n")
  local file = script "print 'from file'"
  equal(run.shell(("LUA_INIT_5_4=@%s LUA_INIT='error()' %s -e ''"):format(file, run.program)).out,
    "from file\n")
  local r = run.shell(("LUA_INIT='x x' %s -e 'print(1)'"):format(run.program))
  equal(r.code, 1)
  contains(r.err, "saros: LUA_INIT:1:")
end

function tests.ignored_environment_reaches_the_search_path()
  local command = "LUA_PATH=/from/environment/?.lua %s %s -e 'print(package.path)'"
  contains(run.shell(command:format(run.program, "")).out, "/from/environment/")
  lacks(run.shell(command:format(run.program, "-E")).out, "/from/environment/")
end

function tests.warnings()
  equal(saros [[-e 'warn("hi")']].err, "")
  equal(saros [[-W -e 'warn("hi")']].err, "Lua warning: hi\n")
  equal(saros [[-e 'warn("@on") warn("hi")']].err, "Lua warning: hi\n")
end

function tests.version_and_help()
  for _, option in ipairs {"-v", "--version"} do
    assert(saros(option).out:match("^saros %d+%.%d+%.%d+ %(Lua 5%.4%.%d+%)\n$"))
  end
  equal(saros("--version -e 'print(1)'").out:match("\n(.*)"), "")
  contains(saros("-v -e 'print(1)'").out, "\n1\n")
  contains(saros("--help").out, "usage: saros")
  equal(saros("--help").code, 0)
end

function tests.doctor()
  for _, isa in ipairs {"", "baseline"} do
    local command = "SAROS_ISA=%s SAROS_DATA=%s %s --doctor --threads=1 -e 'print(1)'"
    local r = run.shell(command:format(isa, run.quote(folder), run.program))
    equal(r.err, "")
    equal(r.code, 0)
    contains(r.out, "\nthreads           1\n")
    contains(r.out, "\ndevices           cpu")
    contains(r.out, folder .. " (SAROS_DATA): script.lua")
    contains(r.out, "\nrandom numbers    PyTorch's\n")
    assert(r.out:find("\n  large products  [%d.e+-]+ +[%d.e+-]+\n"), r.out)
    assert(r.out:find("\n  recurrence      [%d.e+-]+ +[%d.e+-]+\n"), r.out)
    equal(r.out:match("[^\n]*\n$"), "all is well\n")
  end
  local spoiled = saros([[-e 'local core = require "saros.core" core.tanh = core.sigmoid' ]]
    .. [[-e 'print(require("saros.doctor").run())']])
  assert(spoiled.out:find("\n  tanh +[%d.e+-]+ +[%d.e+-]+  WRONG\n"), spoiled.out)
  contains(spoiled.out, "cannot be trusted\nfalse\n")
  contains(saros("--doctor --device no_such_device").err, "saros: ")
  contains(saros("--help").out, "  --doctor ")
end

function tests.scripts_get_no_globals()
  equal(saros([[-e 'print(saros, nn, optim, data, text)']]).out, "nil\tnil\tnil\tnil\tnil\n")
  equal(saros("", "print(saros, nn)").out, "nil\tnil\n")
end

function tests.require_works_anywhere()
  local name = script "print(type(require 'saros'))"
  equal(run.shell(("LUA_PATH= LUA_CPATH= %s %s"):format(run.program, name)).out, "table\n")
end

function tests.configuration()
  local probe = [[-e 'local s = require "saros" print(s.rand(1):item())']]
  equal(saros("--seed 7 " .. probe).out, saros("--seed=7 " .. probe).out)
  assert(saros("--seed 7 " .. probe).out ~= saros("--seed 8 " .. probe).out)
  local threads = [[-e 'print(require "saros".get_num_threads())']]
  equal(saros("--threads 1 --device cpu " .. threads).out, "1\n")
end

function tests.interactive_after_script()
  local name = script "x = 41"
  local r = saros("-i " .. name, "x + 1\nerror('no')\nx\n")
  equal(r.out, "42\n41\n")
  equal(r.err, "stdin:1: no\n")
  equal(r.code, 0)
end

function tests.second_interrupt_is_not_needed()
  local r = run.shell(("timeout --preserve-status -s INT 1 %s -e 'print(1) while true do end'")
    :format(run.program))
  equal(r.out, "1\n")
  equal(r.err, "saros: (command line):1: interrupted!\n")
  equal(r.code, 130)
end

function tests.interrupts_that_are_caught()
  local loop = "local s = require 'saros' local good, e = pcall(function() "
    .. "io.popen('kill -INT $PPID'):close() while true do end end) "
  for ending, code in pairs {
    ["error(e)"] = 130, ["error(e, 0)"] = 130, ["print(e)"] = 0, ["error('mine', 0)"] = 1,
  } do equal(saros("-e " .. run.quote(loop .. ending)).code, code, ending) end
  local attempt = "require('saros').script.attempt(function() "
    .. "io.popen('kill -INT $PPID'):close() while true do end end)"
  local r = saros("-e " .. run.quote(attempt))
  equal(r.err, "saros: (command line):1: interrupted!\n")
  equal(r.code, 130)
  equal(saros("-e " .. run.quote("error('interrupted!', 0)")).code, 1)
end

run.all(tests)
