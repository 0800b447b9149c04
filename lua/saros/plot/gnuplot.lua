-- Scripts for gnuplot, and running them.
--
-- A script goes through a temporary file, data included. Text is quoted so that
-- gnuplot takes it as it is: in single quotes it expands nothing.

local options = require "saros.options"

local fail = options.fail

local gnuplot = {}

--- Text as a gnuplot string.
---@param text string
---@return string
function gnuplot.quote(text)
  return "'" .. text:gsub("%c", " "):gsub("'", "''") .. "'"
end
local quote = gnuplot.quote

--- A number as gnuplot reads it; what is not finite is a gap.
---@param value number
---@return string
function gnuplot.number(value)
  if value ~= value or value == math.huge or value == -math.huge then return "NaN" end
  return ("%.9g"):format(value)
end

local terminals = {
  png = "pngcairo noenhanced size %d,%d font 'Sans,10' background rgb 'white'",
  svg = "svg noenhanced size %d,%d font 'Sans,12' background rgb 'white'",
}

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

---@class saros.plot.Script
local Script = {}
Script.__index = Script

--- A script that draws into `file`.
---@param file string ending in .png or .svg
---@param width integer pixels
---@param height integer pixels
---@return saros.plot.Script
function gnuplot.script(file, width, height)
  local suffix = file:match("%.(%w+)$")
  local terminal = suffix and terminals[suffix:lower()]
  if not terminal then fail("plot: the file must end in .png or .svg, got '%s'", file) end
  if file:find("%c") then fail("plot: the file name '%s' has control characters", file) end
  if width < 50 or height < 50 or width > 20000 or height > 20000 then
    fail("plot: a picture of %d x %d pixels is not possible (50 to 20000)", width, height)
  end
  local self = setmetatable({lines = {}, file = file}, Script)
  self:add("set encoding utf8")
  self:add("set terminal " .. terminal, width, height)
  -- A name that begins with | would be a command.
  self:add("set output %s", quote(file:find("^[|]") and "./" .. file or file))
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

local function run(script_file)
  local pipe, message = io.popen("gnuplot " .. shell_quote(script_file) .. " 2>&1", "r")
  if not pipe then return nil, message end
  local output = pipe:read("a")
  local ok, _, code = pipe:close()
  if ok then return true end
  if code == 127 then
    return nil, "gnuplot is not installed (Debian: apt install gnuplot-nox)"
  end
  return nil, "gnuplot: " .. complaint(output, script_file)
end

--- Draw.
---@return string|nil file nil if it did not work
---@return string|nil message why not
function Script:run()
  local name = os.tmpname()
  local handle, message = io.open(name, "wb")
  if not handle then return nil, "plot: " .. message end
  local written
  written, message = handle:write(table.concat(self.lines, "\n"), "\n")
  local closed, close_message = handle:close()
  local ok = written and closed
  if ok then
    ok, message = run(name)
  else
    message = message or close_message
  end
  os.remove(name)
  if not ok then return nil, message end
  return self.file
end

return gnuplot
