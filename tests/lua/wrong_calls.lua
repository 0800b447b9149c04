-- How tests of wrong calls are run: test_wrong_calls*.lua give lists of
--   {description, function that makes the call, words that its message contains ...}
--
-- Each call must raise an error whose message begins with the file and line of the call
-- and contains the words. Afterwards a small computation gives the right result, and when
-- the call was made once more, the runtime holds as much memory as before.

local lu = require "luaunit"
local saros = require "saros"

local wrong = {}

local function check_message(call, message, words)
  lu.assertIsString(message, "the error must be a message")
  local source = debug.getinfo(call, "S")
  local start = source.short_src .. ":"
  local line, text = message:match("^(%d+): (.*)$", #start + 1)
  if message:sub(1, #start) ~= start or not line then
    lu.fail("the message does not begin with " .. start .. "<line>: " .. message)
  end
  line = math.tointeger(line)
  if line < source.linedefined or line > source.lastlinedefined then
    lu.fail(("line %d is not that of the call, %d to %d: %s"):format(line, source.linedefined,
      source.lastlinedefined, message))
  end
  for _, word in ipairs(words) do
    if not text:find(word, 1, true) then lu.fail(("no '%s' in: %s"):format(word, text)) end
  end
end

local function attempt(call, words)
  local done, message = pcall(call)
  if done then lu.fail("no error was raised") end
  check_message(call, message, words)
end

local function held()
  collectgarbage()
  collectgarbage()
  local info = saros.memory()
  return ("%d blocks, %d bytes"):format(info.live_blocks, info.live_bytes)
end

-- d sum(w w) / dw = row sums of w below one another + column sums side by side.
local function check_computation()
  local w = saros.tensor({{1.0, 2.0}, {3.0, 4.0}}, {requires_grad = true})
  local loss = w:mm(w):sum()
  loss:backward()
  lu.assertEquals(loss:item(), 54)
  lu.assertEquals(w.grad:totable(), {{7, 11}, {9, 13}})
end

local function check(call, words)
  attempt(call, words)
  check_computation()
  local before = held()
  attempt(call, words)
  check_computation()
  lu.assertEquals(held(), before, "memory that is not given back")
  lu.assertTrue(saros.is_grad_enabled(), "gradients are no longer recorded")
end

--- A class for luaunit with a test for each item.
---@param list table[]
---@return table<string, fun()>
function wrong.tests(list)
  local tests = {}
  for i, item in ipairs(list) do
    local words = table.move(item, 3, #item, 1, {})
    assert(type(item[2]) == "function" and #words > 0, item[1])
    tests[("test_%03d_%s"):format(i, item[1])] = function() check(item[2], words) end
  end
  return tests
end

return wrong
