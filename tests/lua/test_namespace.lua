-- Names that a namespace lacks are errors at the script's line; what is there is found.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local namespace = require "saros.namespace"
local support = require "support"
local assert_error = support.assert_error

local TestNamespace = {}

function TestNamespace:test_nearest_name()
  assert_error("saros.nn has no 'Lstm', did you mean 'LSTM'?",
    function() return saros.nn.Lstm(2) end)
  assert_error("saros has no 'tensr', did you mean 'tensor'?", function() saros.tensr {1} end)
  assert_error("saros.nn.functional has no 'rleu', did you mean 'relu'?",
    function() return saros.nn.functional.rleu end)
  assert_error("saros.nn.init has no 'xavier_uniform', did you mean 'xavier_uniform_'?",
    function() return saros.nn.init.xavier_uniform end)
  assert_error("saros.nn.utils has no 'clip_grad_norm', did you mean 'clip_grad_norm_'?",
    function() return saros.nn.utils.clip_grad_norm end)
  assert_error("saros.optim has no 'SDG', did you mean 'SGD'?", function() saros.optim.SDG {} end)
  assert_error("saros.data has no 'batch', did you mean 'batches'?",
    function() return saros.data.batch end)
  assert_error("saros.text has no 'normalise', did you mean 'normalize'?",
    function() return saros.text.normalise end)
  assert_error("saros.plot has no 'line', did you mean 'lines'?",
    function() return saros.plot.line end)
  assert_error("did you mean 'backward'?", function() saros.ones(1):backwards() end)
end

function TestNamespace:test_no_name_near()
  local message = assert_error("saros has no 'unheard_of_and_long'",
    function() return saros.unheard_of_and_long end)
  lu.assertNotStrContains(message, "did you mean")
  assert_error("letters has no 'zzz' (it has alpha, beta)", function()
    return namespace.strict("letters", {beta = 1, alpha = 2, _hidden = 3}).zzz
  end)
end

function TestNamespace:test_asking_without_an_error()
  lu.assertFalse(pcall(function() return saros.nn.Conv9d end))
  lu.assertNil(saros[1])
  for _ in ipairs(saros) do lu.fail("saros is no list") end
  lu.assertNil(rawget(saros, "tensr"))
  lu.assertStrContains(tostring(saros.nn), "saros.nn")
end

function TestNamespace:test_all_names_are_there()
  local names = {}
  for name, value in pairs(saros.nn) do
    names[name] = true
    lu.assertTrue(saros.nn[name] == value, name)
  end
  for _, name in ipairs {"Module", "LSTM", "functional", "utils", "init", "CrossEntropyLoss"} do
    lu.assertTrue(names[name], name)
  end
end

function TestNamespace:test_lazy()
  local made = 0
  local t = namespace.lazy("t", {here = 1}, {later = function() made = made + 1 return "value" end})
  lu.assertEquals(made, 0)
  lu.assertEquals({t.here, t.later, t.later}, {1, "value", "value"})
  lu.assertEquals(made, 1)
  assert_error("t has no 'latr', did you mean 'later'?", function() return t.latr end)
  local u = namespace.lazy("u", {}, {later = function() return 1 end})
  lu.assertEquals(support.names(pairs(u)), {"later"})
end

function TestNamespace:test_what_a_metatable_did_before_it_still_does()
  local t = namespace.strict("t", setmetatable({}, {
    __index = {inherited = 1}, __call = function(_, x) return x end,
  }))
  lu.assertEquals({t.inherited, t(7)}, {1, 7})
  assert_error("t has no 'other'", function() return t.other end)
  lu.assertTrue(namespace.strict("t", t) == t)
end

support.run {TestNamespace = TestNamespace}
