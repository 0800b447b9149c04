-- A short run of scripts/710_names_classification.lua on the shipped names.
local lu = require "luaunit"
local core = require "saros.core"

local function line_of(command)
  local pipe = assert(io.popen(command))
  local line = pipe:read()
  pipe:close()
  return line
end

local first = 0
while arg[first - 1] do first = first - 1 end
local here = line_of("pwd")
local program = arg[first]:find("^/") and arg[first] or here .. "/" .. arg[first]
local folder = os.tmpname()
os.remove(folder)
assert(core.make_directory(folder))

-- Output and exit code of the script, run in a folder of its own.
local function run(arguments)
  local command = ("cd '%s' && env -u SAROS_DATA XDG_CACHE_HOME=/none '%s' "
    .. "'%s/scripts/710_names_classification.lua' %s 2>&1"):format(folder, program, here, arguments)
  local pipe = assert(io.popen(command))
  local output = pipe:read("a")
  local _, _, code = pipe:close()
  return output, code
end

local Test = {}

function Test:test_train_then_load()
  local output, code = run("--epochs 6 --seed 1")
  lu.assertEquals(code, 0, output)
  lu.assertStrContains(output, "names of 19 languages")
  lu.assertStrContains(output, "(rnn): RNN(58, 128)")
  local before, after = output:match("epoch 1: loss ([%d.]+).*epoch 6: loss ([%d.]+)")
  lu.assertTrue(tonumber(after) < 0.75 * tonumber(before), "loss " .. before .. " to " .. after)
  local accuracy = tonumber(output:match("\ntest accuracy: (0%.%d%d)\n"))
  lu.assertTrue(accuracy > 0.3, "accuracy " .. accuracy)
  lu.assertStrContains(output, "\nDovesky\n")

  local again, again_code = run("Mäkinen")
  lu.assertEquals(again_code, 0, again)
  lu.assertStrContains(again, "trained for 6 epochs")
  lu.assertNotStrContains(again, "epoch 1:")
  lu.assertStrContains(again, ("test accuracy: %.2f"):format(accuracy))
  lu.assertStrMatches(again, ".*\nMäkinen\n *%d+ %%  %a+\n.*")
end

function Test:test_wrong_arguments()
  for arguments, message in pairs {
    ["--epoch 3"] = "unknown option --epoch, did you mean '--epochs'?",
    ["--epochs many"] = "--epochs: a whole number expected, got 'many'",
    ["--data /none"] = "--data: there is no folder '/none'",
    ["--data " .. here .. "/lua/saros"] = "--data: no .txt file with names",
    ["--device gpu"] = "--device: device 'gpu'",
  } do
    local output, code = run(arguments)
    lu.assertStrContains(output, "710_names_classification.lua: " .. message)
    lu.assertEquals(select(2, output:gsub("\n", "")), 1, output)
    lu.assertEquals(code, 2)
  end
end

local failed = lu.LuaUnit.new():runSuiteByInstances {{"TestNames", Test}}
os.execute(("rm -r '%s'"):format(folder))
os.exit(failed)
