-- Memory: flat over a long training loop; an allocation that fails, at any point of a
-- training step, is a Lua error and leaks nothing.
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local nn, optim = saros.nn, saros.optim

-- AddressSanitizer keeps freed blocks for a while: the process grows, the runtime does not.
local sanitized = (core.read_file("/proc/self/maps") or ""):find("libasan", 1, true) ~= nil

local function classifier()
  saros.manual_seed(1)
  local rnn, h2o = nn.RNN(5, 8), nn.Linear(8, 3)
  local parameters = rnn:parameters()
  for _, p in ipairs(h2o:parameters()) do parameters[#parameters + 1] = p end
  local optimizer = optim.SGD(parameters, {lr = 0.05, momentum = 0.9})
  local x, y = saros.rand(4, 1, 5), saros.tensor {2}
  local function step()
    local total = 0
    for _ = 1, 2 do
      local _, hidden = rnn(x)
      total = total + saros.nll_loss(h2o(hidden[1]):log_softmax(-1), y)
    end
    total:backward()
    nn.utils.clip_grad_norm_(parameters, 3)
    optimizer:step()
    optimizer:zero_grad()
    return total:item()
  end
  return step, parameters, optimizer
end

local function collect()
  for _ = 1, 3 do collectgarbage() end -- finalizers free, then what they held
end

TestMemory = {}

function TestMemory.test_flat_over_100000_steps()
  local step = classifier()
  local most_live = 0
  local rss
  for i = 1, 100000 do
    step()
    if i % 100 == 0 then most_live = math.max(most_live, core.memory().live_bytes) end
    if i == 20000 then rss, most_live = core.peak_rss(), 0 end
  end
  lu.assertTrue(sanitized or core.peak_rss() - rss < 2 ^ 20,
                "peak memory grew after 20,000 steps")
  lu.assertTrue(most_live < 4 * 2 ^ 20, "garbage of " .. most_live .. " bytes was kept")
end

function TestMemory.test_large_temporaries_are_collected()
  collect()
  core.memory_trim()
  local base = core.memory().live_bytes
  local most = 0
  for _ = 1, 2000 do
    local _ = saros.zeros(1 << 20) + 1 -- 4 MiB each, of which Lua sees 64 bytes
    most = math.max(most, core.memory().live_bytes - base)
  end
  lu.assertTrue(most < 256 * 2 ^ 20, ("%.0f MB of garbage"):format(most / 2 ^ 20))
end

-- Run f with its n-th allocation failing, n = 1, 2, ..., until it succeeds. Every failure
-- must be a Lua error about memory, and leave as many blocks as there were.
local function every_allocation(f, onwards)
  f() -- what is made once (caches, packed weights) is there from now on
  collect()
  local points = 0
  while true do
    local before = core.memory().live_blocks
    points = points + 1
    core.memory_fail_at(points, onwards)
    local ok, message = pcall(f)
    core.memory_fail_at(0)
    collect()
    lu.assertEquals(core.memory().live_blocks, before, "blocks after failure " .. points)
    if ok then return points - 1 end
    lu.assertStrContains(tostring(message), "not enough memory")
  end
end

for name, onwards in pairs {once = false, from_then_on = true} do
  TestMemory["test_every_allocation_of_a_training_step_" .. name] = function()
    local step, parameters, optimizer = classifier()
    step()
    local function whole_step()
      optimizer:zero_grad()
      step()
    end
    local function clean()
      -- gradients that a failed step left behind are the user's, as in any error
      local ok, message = pcall(whole_step)
      if not ok then
        core.memory_fail_at(0)
        for _, p in ipairs(parameters) do p.grad = nil end
        error(message, 0)
      end
    end
    local points = every_allocation(clean, onwards)
    lu.assertTrue(points > 50, "only " .. points .. " allocations were made to fail")
  end
end

-- A change in place that was written but could not be recorded: the gradient is as if all had been
-- done, or nothing, or it is refused; never that of the values before.
function TestMemory.test_every_allocation_of_a_change_in_place()
  local ids, mask = saros.tensor {1, 2}, saros.tensor {true, true, false, false}
  for name, write in pairs {
    ids = function(x, v) x[ids] = v end, range = function(x, v) x[{ {1, 2} }] = v end,
    mask = function(x) x:masked_fill_(mask, 5) end,
  } do
    local refused, n, done = 0, 0, false
    while not done do
      n = n + 1
      local p, v = saros.ones(4, {requires_grad = true}), saros.full({2}, 5.0)
      local x = p * 2
      core.memory_fail_at(n)
      done = pcall(write, x, v)
      core.memory_fail_at(0)
      local written = x:detach():totable()[1] == 5
      local good, message = pcall(function() (x * x):sum():backward() end)
      if good then
        lu.assertEquals(p.grad:totable(), written and {0, 0, 8, 8} or {8, 8, 8, 8}, name .. n)
      else
        refused = refused + 1
        lu.assertStrContains(message, "changed in place")
      end
    end
    lu.assertTrue(refused > 0, name)
  end
end

function TestMemory.test_every_allocation_of_saving_and_loading()
  local path = os.tmpname()
  local tensors = {a = saros.rand(3, 4), b = saros.arange(5)}
  local function f()
    saros.save(path, tensors, {note = "x"})
    local loaded, metadata = saros.load(path)
    lu.assertEquals(metadata.note, "x")
    lu.assertEquals(loaded.b:totable(), {0, 1, 2, 3, 4})
  end
  lu.assertTrue(every_allocation(f, false) > 5)
  local loaded = saros.load(path)
  lu.assertEquals(loaded.a:totable(), tensors.a:totable())
  os.remove(path)
end

function TestMemory.test_million_node_chain()
  local x = saros.zeros(1, {requires_grad = true})
  local y = x
  for _ = 1, 1000000 do y = y + 1 end
  lu.assertEquals(y:item(), 1000000)
  y:backward()
  lu.assertEquals(x.grad:item(), 1)
  y = nil -- luacheck: ignore
  collect()
end

os.exit(lu.LuaUnit.run())
