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

local core = require "saros.core"
local options = require "saros.options"

---@class saros.script
local script = {}

-- What follows --name in the help, and how a word becomes a value: nil and what is expected, or
-- nil and a whole message, where it cannot.
local kinds = {
  integer = {"N", function(word)
    local n = math.tointeger(tonumber(word))
    if n and n >= 0 then return n end
    return nil, "a whole number"
  end},
  number = {"X", function(word) return tonumber(word), "a number" end},
  string = {"TEXT", function(word) return word end},
  file = {"FILE", function(word)
    if core.file_exists(word) == "file" then return word end
    return nil, nil, ("there is no file '%s'"):format(word)
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

local function program_name()
  return arg and arg[0] and arg[0]:match("[^/]*$") or "script"
end

--- End the script: one line on standard error, exit status 2.
---@param format string as for string.format
function script.quit(format, ...)
  local message = select("#", ...) > 0 and format:format(...) or format
  io.stdout:flush()
  io.stderr:write(program_name(), ": ", message, "\n")
  os.exit(2)
end

local function wrong_line(format, ...)
  script.quit("%s (--help shows the options)", format:format(...))
end

-- ---- help ------------------------------------------------------------------------

local function left_column(field)
  local placeholder = kinds[field[2]][1]
  return ("  --%s%s"):format(field[1], placeholder and " " .. placeholder or "")
end

local function default_text(field)
  local default = field[3]
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
  return ("usage: saros %s [options]%s\n\n%s\n\n%s"):format(program_name(),
    spec.arguments and " " .. spec.arguments or "", spec.about, table.concat(lines, "\n"))
end

-- ---- reading -----------------------------------------------------------------------

local function find(spec, name)
  local names = {"--help"}
  for i, field in ipairs(spec.fields) do
    if field[1] == name then return field end
    names[i + 1] = "--" .. field[1]
  end
  wrong_line("unknown option --%s%s", name, options.suggest("--" .. name, names))
end

local function convert(field, word)
  if word == nil then wrong_line("--%s: a value is missing", field[1]) end
  local value, expected, message = kinds[field[2]][2](word)
  if value ~= nil then return value end
  wrong_line("--%s: %s", field[1], message or ("%s expected, got '%s'"):format(expected, word))
end

-- --name, --name=value or --name value at words[i]: sets result[name]; the place of the next word.
local function read_option(spec, words, i, result)
  local name, given = words[i]:match("^%-%-([^=]+)=(.*)$")
  name = name or words[i]:match("^%-%-(.+)$")
  if name == "help" or words[i] == "-h" then
    print(help_text(spec))
    os.exit(0)
  end
  if not name then wrong_line("unknown option %s (they begin with two dashes)", words[i]) end
  local field = find(spec, name)
  if field[2] == "flag" then
    if given then wrong_line("--%s takes no value", name) end
    result[name] = true
    return i + 1
  end
  result[name] = convert(field, given or words[i + 1])
  return given and i + 1 or i + 2
end

local function read_words(spec, words)
  local result, i, only_arguments = {}, 1, false
  for _, field in ipairs(spec.fields) do result[field[1]] = field[3] end
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

local function check_spec(where, given)
  if type(given) ~= "table" or type(given[1]) ~= "string" then
    options.fail("%s: a table that begins with a description expected", where)
  end
  local spec = {about = given[1], arguments = given.arguments, fields = table.pack(select(2,
    table.unpack(given)))}
  for i, field in ipairs(spec.fields) do
    if type(field) ~= "table" or type(field[1]) ~= "string" or type(field[4]) ~= "string" then
      options.fail("%s: option %d must be {name, kind, default, description}", where, i)
    end
    if not kinds[field[2]] then
      options.one_of(where, "the kind of " .. field[1], field[2],
        {"integer", "number", "string", "file", "folder", "device", "flag"})
    end
  end
  return spec
end

--- The options and arguments that the script was called with; see the top of this file.
--- Kinds: integer (0 or more), number, string, file and folder (which exist), device (one that
--- is there) and flag. The first item is what --help says of the script; with `arguments`, words
--- without dashes are taken and are the list part of the result.
---@param spec table
---@param words? string[] default: the global `arg`
---@return table
function script.options(spec, words)
  return read_words(check_spec("saros.script.options", spec), words or arg or {})
end

return script
