-- Keeps the order of the folders under src/: an include may point to its own
-- folder or to a lower one, and each third-party header has one place.
-- Run from the source folder by stock Lua (no saros needed).

local below = {
  base = {},
  backend = {"base"},
  ["backend/cpu"] = {"base", "backend"},
  ["backend/cuda"] = {"base", "backend"},
  tensor = {"base", "backend"},
  autograd = {"base", "backend", "tensor"},
  ops = {"base", "backend", "tensor", "autograd"},
  recurrent = {"base", "backend", "tensor", "autograd", "ops"},
  io = {"base", "backend", "tensor", "autograd", "ops"},
  lua = {"base", "backend", "tensor", "autograd", "ops", "recurrent", "io"},
  app = {"lua"},
}

-- Header pattern -> where it may stand (patterns of the file name).
local foreign = {
  {"^blis%.h$", {"^src/backend/cpu/gemm%.c$"}},
  {"^cblas", {}},
  {"^utf8proc%.h$", {"^src/base/utf8%.c$"}},
  {"^jansson%.h$", {"^src/io/"}},
  {"^lua%.h$", {"^src/lua/", "^src/app/"}},
  {"^lauxlib%.h$", {"^src/lua/", "^src/app/"}},
  {"^lualib%.h$", {"^src/lua/", "^src/app/"}},
  {"^editline/", {"^src/app/"}},
  {"^histedit", {"^src/app/"}},
  {"^readline/", {}},
  {"^cuda", {"^src/backend/cuda/"}},
  {"^cublas", {"^src/backend/cuda/"}},
  {"^cmocka", {}},
}

local bad = {}
local function complain(file, line, text)
  bad[#bad + 1] = ("%s:%d: %s"):format(file, line, text)
end

local function contains(list, value)
  for _, v in ipairs(list) do
    if v == value then return true end
  end
end

local function check_own(file, line, included)
  local from = file:match("^src/(.*)/[^/]*$")
  local to = included:match("^(.*)/[^/]*$")
  if included == "saros.h" or from == to then return end
  if not to then
    complain(file, line, ("write \"folder/%s\": includes are relative to src/"):format(included))
  elseif not below[to] then
    complain(file, line, ("no layer '%s'"):format(to))
  elseif not contains(below[from], to) then
    complain(file, line, ("%s may not include %s (\"%s\")"):format(from, to, included))
  end
end

local function check_foreign(file, line, included)
  for _, rule in ipairs(foreign) do
    if included:find(rule[1]) then
      for _, place in ipairs(rule[2]) do
        if file:find(place) then return end
      end
      complain(file, line, ("<%s> has no place here"):format(included))
    end
  end
end

local function check(file)
  local folder = file:match("^src/(.*)/[^/]*$")
  if folder and not below[folder] then return complain(file, 1, "no layer '" .. folder .. "'") end
  local number = 0
  for text in io.lines(file) do
    number = number + 1
    local own = text:match('^%s*#%s*include%s*"([^"]+)"')
    local other = text:match("^%s*#%s*include%s*<([^>]+)>")
    if own and folder then check_own(file, number, own) end
    if own or other then check_foreign(file, number, own or other) end
  end
end

local files = io.popen("find src -type f")
local count = 0
for file in files:lines() do
  check(file)
  count = count + 1
end
files:close()
table.sort(bad)
for _, text in ipairs(bad) do print(text) end
print(count .. " files, " .. #bad .. " wrong includes")
os.exit(count > 0 and #bad == 0)
