-- Drives the program as a subprocess, for the tests in this folder.
-- The program under test is the one that runs the test.
local M = {}

function M.quote(text)
  return "'" .. text:gsub("'", [['\'']]) .. "'"
end

local function absolute(path)
  if path:find("^/") then return path end
  local pipe <close> = assert(io.popen("pwd"))
  return pipe:read() .. "/" .. path
end

M.source = absolute("."):sub(1, -3) -- where the tests run: the source folder
M.program = M.quote(absolute(arg[-1]))

-- A new folder, removed when the test ends.
function M.folder()
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkdir -p " .. M.quote(name)))
  M.removed[#M.removed + 1] = name
  return name
end

M.removed = setmetatable({}, {__gc = function(names)
  for _, name in ipairs(names) do os.execute("rm -rf " .. M.quote(name)) end
end})

function M.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

-- Run a shell command: {out =, err =, code =}. `input` is its stdin.
function M.shell(command, input)
  local folder = M.folder()
  local stdin = M.write(folder .. "/in", input or "")
  local redirected = ("{ %s ; } <%s >%s/out 2>%s/err"):format(command, stdin, folder, folder)
  local _, _, code = os.execute(redirected)
  local function read(name)
    local file <close> = assert(io.open(folder .. "/" .. name, "rb"))
    return file:read("a")
  end
  return {out = read("out"), err = read("err"), code = code}
end

-- saros with arguments (shell syntax).
function M.saros(arguments, input)
  return M.shell(M.program .. " " .. arguments, input)
end

function M.equal(got, wanted, what)
  if got == wanted then return end
  error(("%s: expected %q, got %q"):format(what or "value", wanted, got), 2)
end

function M.contains(text, part, what)
  if text:find(part, 1, true) then return end
  error(("%s: expected to find %q in %q"):format(what or "text", part, text), 2)
end

function M.lacks(text, part, what)
  if not text:find(part, 1, true) then return end
  error(("%s: did not expect %q in %q"):format(what or "text", part, text), 2)
end

-- Run each function of a table of tests, in the order of their names.
function M.all(tests)
  local names, failed = {}, 0
  for name in pairs(tests) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local good, message = xpcall(tests[name], debug.traceback)
    if not good then
      failed = failed + 1
      print("FAILED " .. name .. "\n" .. message)
    end
  end
  print(("%d tests, %d failed"):format(#names, failed))
  os.exit(failed == 0, true)
end

return M
