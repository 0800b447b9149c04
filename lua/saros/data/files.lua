-- Folders, and where the data sets lie.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local files = {}

--- Names of the files in a folder that match a Lua pattern, sorted: paths with the folder.
---@param folder string
---@param pattern? string default: all
---@return string[]
function files.list_files(folder, pattern)
  local where = "data.list_files"
  if type(folder) ~= "string" then fail("%s: a folder expected, got %s", where, show(folder)) end
  if pattern ~= nil and type(pattern) ~= "string" then
    fail("%s: a pattern expected, got %s", where, show(pattern))
  end
  local well_formed, complaint = pcall(string.find, "", pattern or "")
  if not well_formed then fail("%s: pattern '%s': %s", where, pattern, complaint) end
  local names, message = core.list_directory(folder)
  if not names then fail("%s: %s", where, message) end
  local list = {}
  for _, name in ipairs(names) do
    local path = folder:gsub("/+$", "") .. "/" .. name
    if (not pattern or name:find(pattern)) and core.file_exists(path) == "file" then
      list[#list + 1] = path
    end
  end
  return list
end

-- ---- data sets ---------------------------------------------------------------------

local function folder_of(path)
  return path and (path:match("^(.*)/[^/]*$") or ".")
end

-- Where the program lies: its path, or the folder of $PATH that has it.
local function program_folder()
  local first = 0
  while arg and arg[first - 1] do first = first - 1 end
  local program = arg and first < 0 and arg[first]
  if not program then return nil end
  if program:find("/", 1, true) then return folder_of(program) end
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    if core.file_exists(folder .. "/" .. program) == "file" then return folder end
  end
end

--- Where scripts/fetch_data.lua keeps the full data sets: $XDG_CACHE_HOME/saros or
--- ~/.cache/saros; nil if neither variable is set.
---@return string?
function files.cache_folder()
  local home, cache = os.getenv("HOME"), os.getenv("XDG_CACHE_HOME")
  if not cache or cache == "" then cache = home and home .. "/.cache" end
  return cache and cache .. "/saros"
end

--- Folders that may hold data sets, best first: {folder, what it is}.
---@return string[][]
function files.places()
  local list = {}
  local function add(folder, what)
    if folder and folder ~= "" then list[#list + 1] = {folder, what} end
  end
  add(os.getenv("SAROS_DATA"), "SAROS_DATA")
  add(files.cache_folder(), "the full set in the cache")
  local script = arg and arg[0] and folder_of(arg[0])
  if script then
    for _, up in ipairs {"/../data", "/../../data", "/data"} do
      add(script .. up, "shipped with saros")
    end
  end
  add("data", "shipped with saros")
  local program = program_folder()
  if program then
    add(program .. "/../share/saros/data", "installed with saros")
    add(program .. "/../../../data", "shipped with saros")
  end
  add("/usr/local/share/saros/data", "installed with saros")
  add("/usr/share/saros/data", "installed with saros")
  return list
end

--- scripts/../data -> data
---@param path string
---@return string
function files.shorten(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return (path:sub(1, 1) == "/" and "/" or "") .. table.concat(parts, "/")
end

-- Say once where a data set was found; `wanted` is the name of the one that was looked for first.
local told = {}
local function tell(name, path, what, wanted)
  if told[name] == path then return end
  told[name] = path
  local set = os.getenv("SAROS_DATA")
  local hint = name ~= wanted and ", in place of " .. wanted or ""
  if set and set ~= "" and what ~= "SAROS_DATA" then hint = hint .. "; it is not in SAROS_DATA" end
  io.stderr:write(("data: %s from %s (%s%s)\n"):format(name, path, what, hint))
end

-- Path of a data set and what the place is, or nil and the paths that were tried.
local function find(name)
  local searched, seen = {}, {}
  for _, place in ipairs(files.places()) do
    local path = place[1]:gsub("/+$", "") .. "/" .. name
    local short = files.shorten(path)
    if core.file_exists(path) then
      return core.file_exists(short) and short or path, place[2]
    end
    if not seen[short] then searched[#searched + 1] = short end
    seen[short] = true
  end
  return nil, searched
end

local function check_name(where, what, name)
  if type(name) ~= "string" or name == "" then
    fail("%s: %s expected, got %s", where, what, show(name))
  end
end

--- Where a data set lies: a file or folder in $SAROS_DATA, else in the user's cache of full
--- sets ($XDG_CACHE_HOME/saros or ~/.cache/saros), else among those shipped with saros.
--- Says on standard error which one it took, once for each name.
---@param name string as "names" or "eng-fra.txt"
---@param substitute? string name of another set to take where there is none of that name, as a
---   small one that is shipped
---@return string path
function files.path(name, substitute)
  local where = "data.path"
  check_name(where, "the name of a data set", name)
  if substitute ~= nil then check_name(where, "the name of a substitute", substitute) end
  local searched = {}
  for _, candidate in ipairs {name, substitute} do
    local path, found = find(candidate)
    if path then
      tell(candidate, path, found, name)
      return path
    end
    table.move(found, 1, #found, #searched + 1, searched)
  end
  fail("%s: no data set '%s'. Looked for:\n\t%s\n"
    .. "Set SAROS_DATA to the folder that holds it.", where, name, table.concat(searched, "\n\t"))
end

return files
