-- Scripts for gnuplot, and running them.
--
-- A script goes through a temporary file, data included. Text is quoted so that
-- gnuplot takes it as it is: in single quotes it expands nothing. The picture comes through a
-- pipe: gnuplot does not look whether what it writes arrives, and a file that it began to write
-- would be lost.

local core = require "saros.core"
local options = require "saros.options"

local fail = options.fail

local gnuplot = {}

--- Text as a gnuplot string.
---@param text string
---@return string
function gnuplot.quote(text)
  return "'" .. text:gsub("%c", " "):gsub("'", "''") .. "'"
end

--- A number as gnuplot reads it; what is not finite is a gap.
---@param value number
---@return string
function gnuplot.number(value)
  if value ~= value or value == math.huge or value == -math.huge then return "NaN" end
  return ("%.9g"):format(value)
end

-- How a kind of picture is drawn, and the pattern of its end.
local kinds = {
  png = {
    terminal = "pngcairo noenhanced size %d,%d font 'Sans,10' background rgb 'white'",
    ending = "\0\0\0\0IEND\xaeB`\x82$",
  },
  svg = {
    terminal = "svg noenhanced size %d,%d font 'Sans,12' background rgb 'white'",
    ending = "</svg>%s*$",
  },
}

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

---@class saros.plot.Script
local Script = {}
Script.__index = Script

--- A script whose picture goes to `file`.
---@param file string ending in .png or .svg
---@param width integer pixels
---@param height integer pixels
---@return saros.plot.Script
function gnuplot.script(file, width, height)
  local suffix = file:match("%.(%w+)$")
  local kind = suffix and kinds[suffix:lower()]
  if not kind then fail("plot: the file must end in .png or .svg, got '%s'", file) end
  if file:find("%c") then fail("plot: the file name '%s' has control characters", file) end
  if width < 50 or height < 50 or width > 20000 or height > 20000 then
    fail("plot: a picture of %d x %d pixels is not possible (50 to 20000)", width, height)
  end
  local self = setmetatable({lines = {}, file = file, ending = kind.ending}, Script)
  self:add("set encoding utf8")
  self:add("set terminal " .. kind.terminal, width, height)
  return self
end

--- Add a line; further arguments as for string.format.
function Script:add(format, ...)
  self.lines[#self.lines + 1] = select("#", ...) > 0 and format:format(...)
    or (format:gsub("%%%%", "%%"))
end

--- Add data under a name: $name in a plot command.
function Script:block(name, lines)
  self:add("$%s << EOD", name)
  table.move(lines, 1, #lines, #self.lines + 1, self.lines)
  self:add("EOD")
end

-- What gnuplot said, without the lines that repeat its input.
local function complaint(output, script_file)
  local found = output:match("line %d+: ([^\n]+)") or output:match("(%S[^\n]*)\n*$")
  return (found or "it failed"):gsub(script_file:gsub("%p", "%%%0"), "script")
end

-- Call use(name) with the name of a new temporary file that holds `bytes`.
local function with_temporary(bytes, use)
  local made, name = pcall(os.tmpname) -- it raises where the folder is full
  if not made then return nil, "plot: " .. name end
  local _ <close> = setmetatable({}, {__close = function() os.remove(name) end})
  local written, message = core.write_file(name, bytes)
  if not written then return nil, message end
  return use(name)
end

-- What gnuplot draws, or nil and its complaint, which goes through a file of its own.
local function run(script_file, error_file)
  local pipe, message = io.popen(("gnuplot %s 2>%s"):format(shell_quote(script_file),
    shell_quote(error_file)))
  if not pipe then return nil, message end
  local picture = pipe:read("a")
  local ok, _, code = pipe:close()
  if ok then return picture end
  if code == 127 then
    return nil, "gnuplot is not installed (Debian: apt install gnuplot-nox)"
  end
  return nil, "gnuplot: " .. complaint(core.read_file(error_file) or "", script_file)
end

--- Draw. What is in the place of the picture is replaced by a whole one, or left as it is.
---@return string|nil file nil if it did not work
---@return string|nil message why not
function Script:run()
  local picture, message = with_temporary(table.concat(self.lines, "\n") .. "\n", function(script)
    return with_temporary("", function(errors) return run(script, errors) end)
  end)
  if picture and not picture:find(self.ending) then
    picture, message = nil, "gnuplot: the picture is not whole"
  end
  local written
  if picture then written, message = core.write_file(self.file, picture) end
  if not written then return nil, (message:gsub("^write_file: ", "")) end
  return self.file
end

return gnuplot
