-- Progress bars: what they write, through a clock and a terminal made for the test.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local support = require "support"
local assert_error = support.assert_error

local real = {
  clock = core.clock, is_terminal = core.is_terminal, width = core.terminal_width,
  stderr = io.stderr, getenv = os.getenv,
}
local now, written

local function set(clock, is_terminal, width, stderr, getenv)
  core.clock, core.is_terminal, core.terminal_width = clock, is_terminal, width
  rawset(io, "stderr", stderr)
  rawset(os, "getenv", getenv)
end

local function fake(terminal, locale)
  now, written = 100, {}
  set(function() return now end, function() return terminal end, function() return 60 end,
    {write = function(_, ...) written[#written + 1] = table.concat({...}) end},
    function(name) return name == "LC_ALL" and locale or nil end)
end

local function restore()
  set(real.clock, real.is_terminal, real.width, real.stderr, real.getenv)
end

local TestTerminal = {tearDown = restore}

function TestTerminal:test_bar()
  fake(true, "C")
  local bar = saros.progress.bar {total = 4, desc = "epoch 1"}
  lu.assertEquals(written[1], "\repoch 1:   0%|" .. (" "):rep(23)
    .. "| 0/4 [00:00<?, ?it/s]\27[K")
  now = 102
  bar:postfix {loss = 0.25}
  bar:update(2)
  lu.assertEquals(written[2], "\repoch 1:  50%|###   | 2/4 [00:02<00:02, 1.0it/s, loss=0.25]\27[K")
  now = 102.05
  bar:update()
  lu.assertEquals(#written, 2) -- at most ten times a second
  now = 110
  bar:update()
  lu.assertStrContains(written[3], "100%")
  lu.assertStrContains(written[3], "| 4/4 [00:10<00:00, 2.50s/it, loss=0.25]")
  bar:close()
  bar:close()
  lu.assertEquals(#written, 5)
  lu.assertEquals(written[5], "\n")
end

function TestTerminal:test_utf8_blocks_and_width()
  fake(true, "en_US.UTF-8")
  local bar = saros.progress.bar {total = 8}
  for i = 1, 8 do
    now = 100 + i
    bar:update()
    local shown = written[#written]:match("\r(.*)\27")
    lu.assertEquals(utf8.len(shown), 59)
  end
  lu.assertStrContains(table.concat(written), "█")
end

function TestTerminal:test_no_total()
  fake(true)
  local bar = saros.progress.bar()
  now = 101
  bar:update(30)
  lu.assertEquals(written[2], "\r30it [00:01, 30.0it/s]\27[K")
end

function TestTerminal:test_too_narrow_for_a_bar()
  fake(true)
  core.terminal_width = function() return 30 end
  saros.progress.bar {total = 3, desc = "a long description"}
  lu.assertEquals(written[1], "\ra long description:   0% 0/3 [00:00<?, ?it/s]\27[K")
end

function TestTerminal:test_bar_that_does_not_stay()
  fake(true)
  saros.progress.bar({total = 3, leave = false}):close()
  lu.assertEquals(written[2], "\r\27[K")
end

local TestPlain = {tearDown = restore}

function TestPlain:test_lines()
  fake(false)
  do
    local bar <close> = saros.progress.bar {total = 100, desc = "load"}
    for i = 1, 100 do
      now = 100 + i * 0.3
      bar:update()
    end
  end
  lu.assertEquals(written, {
    "load: 34/100 [00:10<00:19, 3.3it/s]\n", "load: 68/100 [00:20<00:09, 3.3it/s]\n",
    "load: 100/100 [00:30<00:00, 3.3it/s]\n",
  })
end

function TestPlain:test_hours()
  fake(false)
  local bar = saros.progress.bar {total = 2}
  now = 100 + 3 * 3600 + 62
  bar:update()
  lu.assertEquals(written, {"1/2 [3:01:02<3:01:02, 10862.00s/it]\n"})
end

local TestLoops = {tearDown = restore}

local function collect(loop, ...)
  local list = {}
  for item in loop, ... do list[#list + 1] = item end
  return list
end

function TestLoops:test_sources()
  fake(false)
  lu.assertEquals(collect(saros.progress {"a", "b"}), {"a", "b"})
  lu.assertEquals(collect(saros.progress(3)), {1, 2, 3})
  lu.assertEquals(collect(saros.progress(("a b c"):gmatch("%a"), {total = 3})), {"a", "b", "c"})
  lu.assertEquals(#collect(saros.progress((saros.data.batches({1, 2, 3}, {size = 2})))), 2)
  lu.assertEquals(written[1], "2/2 [00:00<?, ?it/s]\n")
  lu.assertEquals(#written, 4)
end

function TestLoops:test_break_ends_the_line()
  fake(false)
  for i in saros.progress(10, {desc = "some"}) do
    now = now + 1
    if i == 4 then break end
  end
  lu.assertEquals(written, {"some: 3/10 [00:04<00:09, 1.33s/it]\n"})
end

function TestLoops:test_error_ends_the_line()
  fake(false)
  pcall(function() for _ in saros.progress(10) do error("stop") end end)
  lu.assertEquals(#written, 1)
end

function TestLoops:test_batches()
  fake(false)
  local loop = saros.data.batches({1, 2, 3}, {size = 2, progress = "epoch 1"})
  for batch in loop do
    now = now + 1
    loop:postfix {loss = saros.tensor(0.5), batch = #batch}
  end
  lu.assertEquals(written, {"epoch 1: 2/2 [00:02<00:00, 1.0it/s, batch=1, loss=0.5]\n"})
  for item in saros.data.batches({1, 2, 3}, {progress = true}) do
    if item then break end
  end
  lu.assertEquals(written[2], "0/3 [00:00<?, ?it/s]\n")
end

function TestLoops:test_wrong_use()
  assert_error("progress: unknown option 'totl', did you mean 'total'?", saros.progress.bar,
    {totl = 3})
  assert_error("saros.progress: unknown option 'description'", saros.progress, {},
    {description = "x"})
  assert_error("a data set expected", saros.progress, "x")
  assert_error("a table of values expected", function() saros.progress.bar():postfix("loss") end)
end

support.run {TestTerminal = TestTerminal, TestPlain = TestPlain, TestLoops = TestLoops}
