-- The interactive loop: through a pipe (what is printed), and on a
-- pseudo-terminal made by script(1) (prompts, banner, history, Ctrl-C).
package.path = "tests/program/?.lua"
local run = require "run"
local saros, equal, contains, lacks = run.saros, run.equal, run.contains, run.lacks
local tests = {}

-- Output of these lines, without prompts.
local function lines(text)
  local r = saros("-i", text)
  equal(r.code, 0)
  return r.out, r.err
end

function tests.expressions()
  equal(lines "1 + 1\n2, nil, 'x'\nnil\n(function() end)()\n", "2\n2\tnil\tx\nnil\n")
  equal(lines "= 3\n", "3\n")
  equal(lines "return 4, 5\n", "4\t5\n")
  equal(lines "x = 5\nx\n", "5\n")
end

function tests.values_of_several_lines_stand_below_each_other()
  equal(lines "1, 'a\\nb', nil\n", "1\na\nb\nnil\n")
end

function tests.semicolon_silences()
  equal(lines "1 + 1;\n_ + 1;  \n_\n", "3\n")
end

function tests.underscore_is_the_last_first_result()
  equal(lines "3, 4\n_ * 2\nx = 1\n_\n", "3\t4\n6\n6\n")
end

function tests.statements_over_several_lines()
  equal(lines "for i = 1, 2 do\nprint(i)\nend\n", "1\n2\n")
  equal(lines "f = function(x)\nreturn x\nend\nf(\n3\n)\n", "3\n")
  equal(lines "s = [[\na\nb]]\ns\n", "a\nb\n")
  equal(lines "1 +\n2\n", "3\n")
  equal(lines "{1,\n2}[1]\n(--[[\n]] 7)\n", "7\n")
end

function tests.errors_go_on()
  local out, err = lines "error('boo')\n1\nx = = 2\n2\nerror({})\nerror(nil)\n3\n"
  equal(out, "1\n2\n3\n")
  equal(err, "stdin:1: boo\nstdin:1: unexpected symbol near '='\n" ..
    "(error object is a table value)\n(error object is a nil value)\n")
end

function tests.unfinished_at_the_end()
  local _, err = lines "f(\n"
  contains(err, "near <eof>")
end

function tests.traceback_has_the_users_lines_only()
  local _, err = lines "function f() error('deep') end\nfunction g() f() end\npcall(g)\ng()\n"
  contains(err, "stdin:1: deep\nstack traceback:\n\tstdin:1: in ")
  lacks(err, "[C]")
end

function tests.locals_stay()
  equal(lines "local x = 5\nx\nlocal x, y <const> = x + 1, 2; local z\nx, y, z\n", "5\n6\t2\tnil\n")
  equal(lines "local function f(n) return n < 2 and 1 or n * f(n - 1) end\nf(5)\n", "120\n")
  equal(lines "local n = 0\nfunction up() n = n + 1 end\nup() up()\nn\n", "2\n")
  equal(lines "local a, b\na, b = 1, 2\na + b\n_G.a\n", "3\nnil\n")
  equal(lines "local t = {} for i = 1, 3 do local t = i end\n#t\n", "0\n")
end

function tests.locals_hide_globals_from_nobody_else()
  equal(lines "local string = 'mine'\nstring\n('x'):rep(2)\n_G.string.format('%d', 1)\n",
    "mine\nxx\n1\n")
  equal(lines "local print = print\nprint(1)\n", "1\n")
end

function tests.locals_inside_blocks_are_locals()
  equal(lines "do local q = 1 end\nq\nif true then local q = 2 end\nq\n", "nil\nnil\n")
  equal(lines "function f() local q = 1 end f()\nq\n", "nil\n")
  equal(lines "repeat local q = 1 until q == 1\nq\n", "nil\n")
  local closed = lines "local c <close> = setmetatable({}, {__close = print})\nc\n"
  assert(closed:match("^table: %S+\tnil\nnil\n$"), closed)
end

function tests.words_in_strings_and_comments_are_not_declarations()
  equal(lines "print 'local x = 1' -- local y = 2\nx, y\n", "local x = 1\nnil\tnil\n")
  equal(lines "print [==[local x = ]] 1]==] --[[ do ]] local z = 3\nz\n", "local x = ]] 1\n3\n")
  equal(lines "print('it\\'s do') local w = 4\nw\n", "it's do\n4\n")
  equal(lines "t = {['end'] = 1, x = function() local v = 1 end} local u = 5\nu, v\n", "5\tnil\n")
end

function tests.assignments_without_local_are_globals()
  equal(lines "x = 1\n_G.x\n", "1\n")
end

function tests.pasted_prompts_are_dropped()
  equal(lines "> 1 + 1\n> for i = 1, 2 do\n>> print(i)\n>> end\n>\n", "2\n1\n2\n")
  equal(lines "s = [[\n> kept\n]]\ns\n", "> kept\n\n")
end

function tests.library_globals()
  equal(lines "type(saros), type(nn), saros.nn == nn\n", "table\ttable\ttrue\n")
end

function tests.who()
  local out = lines("x = saros.ones(2, 3)\nlocal w = saros.zeros(5, {dtype = 'float64', "
    .. "requires_grad = true})\nmodel = nn.Linear(3, 4)\nn, s, t = 7, 'a', {1, 2}\n_ = 1\nwho()\n")
  contains(out, "  model  Linear, 16 parameters  (64 bytes)\n  n      7\n  s      \"a\"\n"
    .. "  t      table of 2\n  w      float64 [5] requires_grad  (40 bytes)\n"
    .. "  x      float32 [2, 3]  (24 bytes)\ntensors hold ")
  lacks(out, "saros")
end

function tests.help()
  contains(lines "?nn.GRU\n", "nn.GRU(input_size, hidden_size, options)\nGated recurrent unit")
  contains(lines "help 'softmax'\n", "x:softmax(dim)\n")
  contains(lines "?\n", "who()")
  equal(lines "help = 5\nhelp, _G.help\n", "5\t5\n")
  equal(run.saros([[-e 'help, who = 1, 2' -i]], "help, who\n").out, "1\t2\n")
  equal(run.saros([[-e 'print(help, who)']]).out, "nil\tnil\n")
end

function tests.nothing_but_results_without_a_terminal()
  local out, err = lines "1\n"
  equal(out .. err, "1\n")
end

-- ---- on a terminal ------------------------------------------------------------

local function visible(text)
  return (text:gsub("\27%[[%d;?]*%a", ""):gsub("\r", ""))
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- Wait until what was shown since `from` bytes has a whole line and ends with a prompt.
local function wait_for_prompt(path, from)
  local deadline = os.time() + 20
  repeat
    local shown = visible(read(path)):sub(from + 1)
    if shown:find("\n") and shown:find("> $") then return end
    os.execute("sleep 0.02")
  until os.time() > deadline
  error("no prompt came after: " .. visible(read(path)))
end

-- What a session shows, in a process that takes the place of its shell (a shell would
-- note Ctrl-C, too, and end with a status of its own). A step is some input, then a prompt is
-- waited for; {input} is given half a second to have its effect.
local function session(steps, state)
  local folder = run.folder()
  local path = run.write(folder .. "/shown", "")
  local command = "TERM=xterm NO_COLOR=1 XDG_STATE_HOME=%s script -qec %s /dev/null >%s"
  command = command:format(state or folder, run.quote("exec " .. run.program), path)
  local input = assert(io.popen(command, "w"))
  wait_for_prompt(path, 0)
  for _, step in ipairs(steps) do
    local from = #visible(read(path))
    input:write(type(step) == "table" and step[1] or step)
    input:flush()
    if type(step) == "table" then
      os.execute("sleep 0.5")
    else
      wait_for_prompt(path, from)
    end
  end
  input:write("\4")
  local good, how, code = input:close()
  assert(good, ("%s %s on a terminal"):format(how, code))
  return visible(read(path))
end

function tests.terminal()
  local state = run.folder()
  local out = session({"1 + 41\n", "local kept = 7\n", "kept * 2\n", "for i = 5, 6 do\nprint(i)\n",
    "end\n", "error 'oops'\n", "_ + 1\n"}, state)
  contains(out, "saros ")
  contains(out, "\n42\n")
  contains(out, "\n14\n")
  contains(out, ">> ")
  contains(out, "\n5\n6\n")
  contains(out, "\nstdin:1: oops\n")
  contains(out, "\n15\n")
  local file <close> = assert(io.open(state .. "/saros/history"))
  local history = file:read("a")
  contains(history, "kept * 2\n")
  contains(history, "for i = 5, 6 do\\nprint(i)\\nend\n")
end

function tests.terminal_interrupt()
  local out = session({{"while true do end\n"}, "\3", "1 + 10\n", {"garbage garbage"}, "\3",
    "2 + 20\n", "f(\n", "\3", "\3", "3 + 30\n"})
  contains(out, "interrupted!")
  contains(out, "\n11\n")
  contains(out, "\n22\n")
  contains(out, "\n33\n")
end

-- What cannot be stopped can be left.
function tests.terminal_without_an_answer()
  local folder = run.folder()
  local path = run.write(folder .. "/shown", "")
  local command = "TERM=xterm XDG_STATE_HOME=%s script -qec %s /dev/null >%s"
  local input = assert(io.popen(command:format(folder, run.quote("exec " .. run.program), path),
    "w"))
  wait_for_prompt(path, 0)
  input:write("coroutine.wrap(function() while true do end end)()\n")
  input:flush()
  for _ = 1, 4 do
    os.execute("sleep 0.3")
    input:write("\3")
    input:flush()
  end
  local _, _, code = input:close()
  assert(code == 2 or code == 130, code) -- ended by SIGINT
  contains(visible(read(path)), "still busy: Ctrl-C once more ends saros\n")
end

function tests.terminal_completion_and_recall()
  local state = run.folder()
  local out = session({"words = {alphabet = 9}\n", "words.al\t + 1\n", "\27[A\n"}, state)
  contains(out, "words.alphabet + 1")
  assert(select(2, out:gsub("\n10\n", "")) == 2, out)
  contains(session({"\27[A\27[A\27[A\n", "words.alphabet\n"}, state), "\n9\n")
end

-- What a namespace has not loaded yet, and wrong names on the way, which raise nothing.
function tests.terminal_completion_of_namespaces()
  local out = session({"nn.LST\t(2, 3)\n", "nn.functional.logsig\t == saros.logsigmoid\n",
    "saros.lins\t(1, 2, 2):numel()\n", "nn.wrong.name\t = 1\n", "1 + 41\n"})
  contains(out, "\nLSTM(2, 3)\n")
  contains(out, "\ntrue\n")
  contains(out, "\n2\n")
  contains(out, "saros.nn has no 'wrong'")
  contains(out, "\n42\n")
end

run.all(tests)
