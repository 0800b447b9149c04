-- saros.script.run from outside: runs that are stopped, go on, are other ones, or broken.
package.path = "tests/program/?.lua"
local run = require "run"
local equal, contains, lacks = run.equal, run.contains, run.lacks
local tests = {}

local folder = run.folder()
local file = folder .. "/out/deep/run.safetensors"

-- Draws a number in each step; --kill N presses Ctrl-C during step N, --again once more.
local script = run.write(folder .. "/draw.lua", [[
local saros = require "saros"
local options = saros.script.options {
  "Draws.",
  {"steps", "integer", 8, ""}, {"seed", "integer", 1, ""}, {"rate", "number", 0.5, ""},
  {"kill", "integer", 0, ""}, {"again", "flag", false, ""}, {"word", "string", "a", ""},
  {"die", "integer", 0, ""}, {"lose", "integer", 0, ""},
  {"retrain", "flag", false, ""},
}
local run = saros.script.run {
  file = "out/deep/run.safetensors", options = options, depends = {"seed", "rate"},
  goal = "steps", data = {words = options.word},
  save_every = options.die + options.lose > 0 and 0 or nil,
}
saros.manual_seed(options.seed)
local model = saros.nn.Linear(2, 1)
local state = run:start({model = model}, {step = 0, drawn = {}})
print("from", state.step, run.resumed, options.seed, options.rate, options.steps)
local function ctrl_c() io.popen("kill -INT $PPID"):close() end
if state.step < options.steps then
  run:train(function(interrupted)
    while state.step < options.steps do
      state.step = state.step + 1
      if state.step == options.die then io.popen("kill -KILL $PPID"):close() end
      if state.step == options.kill then
        ctrl_c()
        if options.again then ctrl_c() end
      end
      if state.step == options.lose then os.rename("out", "lost") end
      if state.step == options.lose + 1 then os.rename("lost", "out") end
      state.drawn[state.step] = saros.rand(1):item() * options.rate
      model.bias:detach():add_(1)
      if interrupted() then return end
    end
  end)
end
print(table.concat(state.drawn, " "), model.bias:item())
]])

local function read(path)
  local handle <close> = assert(io.open(path, "rb"))
  return handle:read("a")
end

local function draw(words)
  return run.shell(("cd %s && %s %s %s"):format(run.quote(folder), run.program, run.quote(script),
    words))
end

function tests.goes_on_as_if_it_had_not_stopped()
  local whole = draw("--retrain")
  equal(whole.code, 0, whole.err)
  contains(whole.out, "from\t0\tfalse\t1\t0.5\t8\n")
  local r = draw("--retrain --kill 3")
  equal(r.code, 130, r.err)
  equal(r.err, "draw.lua: interrupted; the next start goes on from out/deep/run.safetensors\n")
  equal(r.out, "from\t0\tfalse\t1\t0.5\t8\n")
  local on = draw("")
  contains(on.out, "from\t3\ttrue\t1\t0.5\t8\n")
  equal(on.out:match("\n(.*)"), whole.out:match("\n(.*)"))
  contains(draw("").out, "from\t8\ttrue") -- done: no training
end

function tests.goal_and_options_are_those_of_the_file()
  draw("--retrain --steps 5 --seed 4 --rate 2")
  contains(draw("").out, "from\t5\ttrue\t4\t2\t5\n")
  contains(draw("--seed 4 --rate 2").out, "from\t5\ttrue\t4\t2\t5\n")
  contains(draw("--steps 6").out, "from\t5\ttrue\t4\t2\t6\n") -- longer
  contains(draw("--steps 2").out, "from\t6\ttrue") -- it has been trained for more
end

function tests.another_run()
  draw("--retrain --seed 4")
  local bytes = read(file)
  for arguments, difference in pairs {["--seed 5"] = "--seed 4", ["--word b"] = "other words"} do
    local r = draw(arguments)
    equal(r.err, ("draw.lua: out/deep/run.safetensors was made with %s (--retrain trains anew)\n")
      :format(difference))
    equal(r.out .. r.code, "2")
    equal(read(file), bytes)
    contains(draw(arguments .. " --retrain").out, "from\t0\tfalse")
    draw("--retrain --seed 4")
  end
end

-- A run is also saved from time to time: one that is killed has lost what came after that.
function tests.goes_on_after_it_was_killed()
  local whole = draw("--retrain")
  local r = draw("--retrain --die 4")
  equal(r.code, 137, r.err)
  local on = draw("")
  contains(on.out, "from\t3\ttrue\t1\t0.5\t8\n")
  equal(on.out:match("\n(.*)"), whole.out:match("\n(.*)"))
end

-- A disk that is full for a while does not end the training.
function tests.goes_on_when_it_cannot_be_saved()
  local whole = draw("--retrain")
  local r = draw("--retrain --lose 3")
  equal(r.code, 0, r.err)
  contains(r.err, "draw.lua: save: 'out/deep/run.safetensors': ")
  contains(r.err, "; training goes on\n")
  equal(select(2, r.err:gsub("\n", "")), 1, r.err)
  equal(r.out, whole.out)
end

-- On a terminal the message stands in a line of its own, below ^C and a progress bar.
function tests.interrupted_on_a_terminal()
  local r = run.shell(("cd %s && script -qec %s /dev/null"):format(run.quote(folder),
    run.quote(("%s %s --retrain --kill 3"):format(run.program, run.quote(script)))))
  contains(r.out, "8\r\n\r\ndraw.lua: interrupted; the next start goes on from out/deep/run")
  equal(r.code, 130, r.out)
end

function tests.interrupted_in_the_last_step()
  local r = draw("--retrain --kill 8")
  equal(r.code, 130)
  contains(draw("").out, "from\t8\ttrue")
end

function tests.twice_ends_at_once()
  draw("--retrain --steps 2")
  local r = draw("--steps 6 --kill 4 --again")
  equal(r.code, 130) -- by the signal
  lacks(r.err, "goes on")
  contains(draw("").out, "from\t2\ttrue")
end

function tests.broken_files()
  local function refused(content, message)
    run.write(file, content)
    local r = draw("")
    equal(r.code, 2, r.out)
    contains(r.err, "draw.lua: " .. message)
    contains(r.err, " (--retrain trains anew)\n")
    equal(select(2, r.err:gsub("\n", "")), 1, r.err)
    equal(draw("--retrain").code, 0)
  end
  draw("--retrain")
  refused("", "load: 'out/deep/run.safetensors'")
  refused("x", "load: 'out/deep/run.safetensors'")
  local function save(code)
    run.saros("-e " .. run.quote("local s = require 'saros' local f = " .. ("%q"):format(file)
      .. " " .. code))
    return read(file)
  end
  refused(save("s.save(f, {a = s.zeros(1)})"),
    "saros.load_checkpoint: 'out/deep/run.safetensors' is no checkpoint")
  refused(save("s.save_checkpoint(f, {a = 1})"),
    "out/deep/run.safetensors is no run of this script")
  local settings = "{options = {}, data = {words = 'a'}}"
  refused(save("s.save_checkpoint(f, {settings = " .. settings .. ", state = {1}})"),
    "saros.load_checkpoint: 'out/deep/run.safetensors' has no 'model'")
  for _, wrong in ipairs {"steps = 'abc'", "steps = 1.5", "steps = -5", "seed = 'x'"} do
    refused(save("s.save_checkpoint(f, {settings = {options = {" .. wrong
      .. "}, data = {words = 'a'}}, state = {step = 1, drawn = {}}, model = s.nn.Linear(2, 1)})"),
      "out/deep/run.safetensors is no run of this script")
  end
  refused(save("s.save_checkpoint(f, {settings = " .. settings
    .. ", state = {step = 'x', drawn = {}}, model = s.nn.Linear(2, 1)})"),
    "out/deep/run.safetensors is no run of this script")
end

function tests.places_that_cannot_be_written()
  assert(os.execute("rm -rf " .. run.quote(folder .. "/out")))
  run.write(folder .. "/out", "a file")
  local r = draw("")
  equal(r.code, 2)
  equal(select(2, r.err:gsub("\n", "")), 1, r.err)
  contains(r.err, "draw.lua: cannot make folder 'out")
  os.remove(folder .. "/out")
  assert(os.execute("mkdir -p " .. run.quote(file)))
  r = draw("--retrain")
  equal(r.code, 2)
  contains(r.err, "draw.lua: save: 'out/deep/run.safetensors'")
  assert(os.execute("rm -rf " .. run.quote(folder .. "/out")))
end

-- Outside of train, Ctrl-C is what it was before; an error in train gives it back.
function tests.other_interrupts()
  local r = run.saros(run.write(folder .. "/held.lua", [[
local saros = require "saros"
local function ctrl_c() io.popen("kill -INT $PPID"):close() end
saros.hold_interrupts()
print(saros.interrupt_seen())
ctrl_c()
print(saros.interrupt_seen())
saros.hold_interrupts(false)
saros.hold_interrupts(false)
print(saros.interrupt_seen())
saros.hold_interrupts(true)
print(saros.interrupt_seen())
saros.hold_interrupts(false)
local run = saros.script.run {file = os.tmpname() .. ".run", options = {}}
run:start({}, {})
print(pcall(run.train, run, function() error("mine", 0) end))
os.remove(run.file)
ctrl_c()
print("not reached")
]]))
  equal(r.out, "false\ntrue\ntrue\nfalse\nfalse\tmine\n")
  contains(r.err, "held.lua:2: interrupted!\n")
  run.lacks(r.err, "traceback")
  equal(r.code, 130)
end

function tests.wrong_calls()
  for code, message in pairs {
    ["run()"] = "saros.script.run: file is missing",
    ["run {file = 'x'}"] = "saros.script.run: options is missing",
    ["run {file = 'x', options = {}, goals = 'y'}"] = "did you mean 'goal'?",
    ["run({file = 'x', options = {}}):start()"] = "a table of objects and a table of values",
    ["run({file = 'x', options = {}}):save()"] = "the run has not been started",
    ["run({file = 'x', options = {}}):train()"] = "a function expected, got nil",
  } do
    local r = run.saros("-e " .. run.quote("local run = require('saros').script.run " .. code))
    equal(r.code, 1, code)
    contains(r.err, "(command line):1: ", code)
    contains(r.err, message, code)
  end
end

run.all(tests)
