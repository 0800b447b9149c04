-- saros.script: the command line of a script, read the same way in all of them.
--
--   local options = saros.script.options {
--     "Trains a network that adds numbers.",
--     arguments = "[number ...]",
--     {"epochs", "integer", 27, "passes over the training data"},
--     {"data", "folder", nil, 'with text files (the data set "names")'},
--     {"retrain", "flag", false, "train, even if a trained model is there"},
--   }
--
-- `saros add.lua --epochs 3 --retrain 1 2` gives {epochs = 3, retrain = true, "1", "2"}. A wrong
-- command line ends the script with one line that says what is wrong; --help prints what the
-- script says of itself and its options.
--
-- saros.script.run (script_run.lua) keeps a training run in a file.

local core = require "saros.core"
local options = require "saros.options"
local progress = require "saros.progress"

---@class saros.script
local script = {}

-- What follows --name in the help, and how a word becomes a value: nil and what is expected, or
-- nil and a whole message, where it cannot.
local kinds = {
  integer = {"N", function(word)
    local n = math.tointeger(tonumber(word))
    if n and n < 0 then return nil, "0 or more" end
    return n, "a whole number"
  end},
  number = {"X", function(word) return tonumber(word), "a number" end},
  string = {"TEXT", function(word) return word end},
  file = {"FILE", function(word)
    if core.file_exists(word) == "file" then return word end
    return nil, nil, ("there is no file '%s'"):format(word)
  end},
  ["named file"] = {"NAME=FILE", function(word)
    local name, path = word:match("^([^=]+)=(.+)$")
    if not name then return nil, "NAME=FILE" end
    if core.file_exists(path) == "file" then return {name = name, path = path} end
    return nil, nil, ("there is no file '%s'"):format(path)
  end},
  folder = {"FOLDER", function(word)
    if core.file_exists(word) == "directory" then return word end
    return nil, nil, ("there is no folder '%s'"):format(word)
  end},
  device = {"NAME", function(word)
    local good, message = pcall(core.zeros, 0, {device = word})
    if good then return word end
    return nil, nil, (message:gsub("^.-zeros: ", ""))
  end},
  flag = {},
}

--- What messages call the script: the name of its file.
---@return string
function script.name() return arg and arg[0] and arg[0]:match("[^/]*$") or "script" end

--- Say what is wrong: one line on standard error, below a progress bar if there is one.
---@param format string as for string.format
function script.warn(format, ...)
  local message = select("#", ...) > 0 and format:format(...) or format
  io.stdout:flush()
  progress.leave()
  io.stderr:write(script.name(), ": ", message, "\n")
end

--- End the script: one line on standard error, exit status 2.
---@param format string as for string.format
function script.quit(format, ...)
  script.warn(format, ...)
  os.exit(2)
end

--- quit with a message, unless what was checked is true.
---@param good any
---@param format string
function script.check(good, format, ...)
  if not good then script.quit(format, ...) end
end

local function wrong_line(format, ...)
  script.quit("%s (--help shows the options)", format:format(...))
end

--- f(...), for what a user's files and disks can spoil: its error ends the script with one line
--- that says what is wrong with them, without the lines of the script that led there.
---@param f fun(...): ...
---@return ... what f returns
function script.attempt(f, ...) return script.attempt_or("", f, ...) end

--- An error's message without the line of the script that led to it.
---@param problem any
---@return string
function script.message(problem) return (tostring(problem):gsub("^[^\n]-:%d+: ", "")) end

--- The same as attempt, with an advice that follows the message.
---@param advice string
---@param f fun(...): ...
---@return ... what f returns
function script.attempt_or(advice, f, ...)
  local results = table.pack(pcall(f, ...))
  if not results[1] then
    if results[2] == "interrupted!" then error(results[2], 0) end -- Ctrl-C: nothing is wrong
    script.quit("%s%s", script.message(results[2]), advice)
  end
  return table.unpack(results, 2, results.n)
end

--- Say where a picture is, or why there is none: script.tell_picture("loss", plot.lines(...)).
---@param what string
---@param file string|nil
---@param message? string
function script.tell_picture(what, file, message)
  print(file and ("%s: %s"):format(what, file) or ("%s: no picture, %s"):format(what, message))
end

-- ---- help ------------------------------------------------------------------------

-- The option min_count is --min-count on the command line.
local function on_line(name) return "--" .. name:gsub("_", "-") end

local function left_column(field)
  local placeholder = kinds[field[2]][1]
  return ("  %s%s"):format(on_line(field[1]), placeholder and " " .. placeholder or "")
end

-- What an option is that was not given: of a device without a default, the one there is.
local function default_of(field)
  if field[2] == "device" and field[3] == nil then
    return core.cuda.is_available() and "cuda" or "cpu"
  end
  return field[3]
end

local function default_text(field)
  local default = default_of(field)
  return default ~= nil and field[2] ~= "flag" and (" (%s)"):format(default) or ""
end

local function help_text(spec)
  local rows, width, lines = {}, 0, {}
  for i, field in ipairs(spec.fields) do
    rows[i] = {left_column(field), field[4] .. default_text(field)}
  end
  rows[#rows + 1] = {"  --help", "this text"}
  for _, row in ipairs(rows) do width = math.max(width, #row[1]) end
  for i, row in ipairs(rows) do lines[i] = ("%-" .. width .. "s  %s"):format(row[1], row[2]) end
  return ("usage: saros %s [options]%s\n\n%s\n\n%s"):format(script.name(),
    spec.arguments and " " .. spec.arguments or "", spec.about, table.concat(lines, "\n"))
end

-- ---- reading -----------------------------------------------------------------------

local function find(spec, name)
  local names = {"help"}
  for i, field in ipairs(spec.fields) do
    names[i + 1] = on_line(field[1]):sub(3)
    if names[i + 1] == name then return field end
  end
  local near = options.closest(name, names)
  wrong_line("unknown option --%s%s", name, near and (", did you mean '--%s'?"):format(near)
    or (" (known: --%s)"):format(table.concat(names, ", --")))
end

local function convert(field, word)
  local name = on_line(field[1])
  if word == nil then wrong_line("%s: a value is missing", name) end
  local value, expected, message = kinds[field[2]][2](word)
  if value == nil then
    wrong_line("%s: %s", name, message or ("%s expected, got '%s'"):format(expected, word))
  end
  local range = field.range
  if range and (value < range[1] or value > range[2]) then
    wrong_line("%s: %d to %d expected, got %d", name, range[1], range[2], value)
  end
  return value
end

-- Options that were on the command line, by the table that script.options gave.
local given = setmetatable({}, {__mode = "k"})

--- Was this option given on the command line, or is its value the default?
---@param result table as script.options gave it
---@param name string
---@return boolean
function script.is_given(result, name) return (given[result] or {})[name] == true end

local function set(result, field, value)
  local name = field[1]
  if field.many then table.insert(result[name], value) else result[name] = value end
  given[result][name] = true
end

-- --name, --name=value or --name value at words[i]: sets result[name]; the place of the next word.
local function read_option(spec, words, i, result)
  local name, value = words[i]:match("^%-%-([^=]+)=(.*)$")
  name = name or words[i]:match("^%-%-(.+)$")
  if name == "help" or words[i] == "-h" then
    print(help_text(spec))
    os.exit(0)
  end
  if not name then wrong_line("unknown option %s (they begin with two dashes)", words[i]) end
  local field = find(spec, name)
  if field[2] == "flag" then
    if value then wrong_line("--%s takes no value", name) end
    set(result, field, true)
    return i + 1
  end
  set(result, field, convert(field, value or words[i + 1]))
  return value and i + 1 or i + 2
end

local function read_words(spec, words)
  local result, i, only_arguments = {}, 1, false
  given[result] = {}
  for _, field in ipairs(spec.fields) do
    if field.many then result[field[1]] = {} else result[field[1]] = default_of(field) end
  end
  while words[i] do
    if not only_arguments and words[i] == "--" then
      only_arguments, i = true, i + 1
    elseif not only_arguments and words[i]:find("^%-.") then
      i = read_option(spec, words, i, result)
    else
      if not spec.arguments then wrong_line("unexpected argument '%s'", words[i]) end
      result[#result + 1], i = words[i], i + 1
    end
  end
  return result
end

local function check_spec(where, items)
  if type(items) ~= "table" or type(items[1]) ~= "string" then
    options.fail("%s: a table that begins with a description expected", where)
  end
  local spec = {about = items[1], arguments = items.arguments, fields = table.pack(select(2,
    table.unpack(items)))}
  for i, field in ipairs(spec.fields) do
    if type(field) ~= "table" or type(field[1]) ~= "string" or type(field[4]) ~= "string" then
      options.fail("%s: option %d must be {name, kind, default, description}", where, i)
    end
    if not kinds[field[2]] then
      options.one_of(where, "the kind of " .. field[1], field[2],
        {"integer", "number", "string", "file", "named file", "folder", "device", "flag"})
    end
  end
  return spec
end

--- The options and arguments that the script was called with; see the top of this file.
--- Kinds: integer (0 or more), number, string, file and folder (which exist), named file
--- (NAME=FILE, gives {name, path}), device (one that is there; without a default it is cuda where
--- that is available, else cpu) and flag. With `many = true` an option can be given several times
--- and is a list; an integer may have a `range = {least, most}`. min_count is --min-count on the
--- line. The first item is what --help says of the script; with `arguments`, words without dashes
--- are taken and are the list part of the result.
---@param spec table
---@param words? string[] default: the global `arg`
---@return table
function script.options(spec, words)
  io.stdout:setvbuf("line") -- a log shows each line when it is printed
  return read_words(check_spec("saros.script.options", spec), words or arg or {})
end

--- A training run that is kept in a file: script_run.lua.
---@param spec saros.script.RunSpec
---@return saros.script.Run
function script.run(spec) return require("saros.script_run")(spec) end

return script
