-- Text files line by line: any size, only a line at a time in memory.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local lines = {}

local CR, LF = ("\r\n"):byte(1, 2)
local byte_order_mark = "\xEF\xBB\xBF"

local function open(where, path)
  if type(path) ~= "string" then fail("%s: a file name expected, got %s", where, show(path)) end
  if core.file_exists(path) == "directory" then fail("%s: %s is a directory", where, path) end
  local file, message = io.open(path, "rb")
  if not file then fail("%s: %s", where, message) end
  return file
end

local function check_utf8(where, path, number, line)
  local length, wrong = utf8.len(line)
  if length then return end
  fail("%s: %s:%d: invalid UTF-8 at byte %d of the line (0x%02X)", where, path, number, wrong,
    line:byte(wrong))
end

--- Lines as they are, with their ends: a function that gives the next line and its number,
--- nil at the end, and the file, to be closed (it closes itself at the end).
--- With encoding "utf-8" a byte order mark is left out, and what is not UTF-8 is refused.
---@param where string name of the function in messages
---@param path string
---@param encoding "utf-8"|"bytes"
---@return fun(): string|nil, integer
---@return file*
function lines.raw(where, path, encoding)
  options.one_of(where, "encoding", encoding, {"utf-8", "bytes"})
  local file, number = open(where, path), 0
  local is_utf8 = encoding == "utf-8"
  return function()
    if not file then return nil end
    local line, message = file:read("L")
    if not line then
      file:close()
      file = nil
      if message then fail("%s: %s: %s", where, path, message) end
      return nil
    end
    number = number + 1
    if is_utf8 then
      if number == 1 and line:sub(1, 3) == byte_order_mark then line = line:sub(4) end
      check_utf8(where, path, number, line)
    end
    return line, number
  end, file
end

local fields = {{"encoding", "string", "utf-8"}, {"skip_empty", "boolean", false}}
local read_lines = options.reader("data.lines", fields)
local read_read_lines = options.reader("data.read_lines", fields)

local function without_end(line)
  local last = #line
  if line:byte(last) == LF then last = last - 1 end
  if line:byte(last) == CR and last < #line then last = last - 1 end
  return line:sub(1, last)
end

local function each_line(where, path, o)
  local advance, file = lines.raw(where, path, o.encoding)
  return function()
    while true do
      local line, number = advance()
      if not line then return nil end
      line = without_end(line)
      if line ~= "" or not o.skip_empty then return line, number end
    end
  end, nil, nil, file -- the last is closed when a loop ends
end

--- for line, number in data.lines(path) do: the lines of a text file, without their ends (LF
--- or CRLF) and without a byte order mark. What is not UTF-8 is refused with its line and byte.
---@param path string
---@param opts? {encoding: "utf-8"|"bytes", skip_empty: boolean} "bytes" takes lines as they are
---@return fun(): string|nil, integer
function lines.lines(path, opts)
  return each_line("data.lines", path, read_lines(opts))
end

--- The lines that data.lines gives, as a list.
---@param path string
---@param opts? {encoding: "utf-8"|"bytes", skip_empty: boolean}
---@return string[]
function lines.read_lines(path, opts)
  local list, n = {}, 0
  for line in each_line("data.read_lines", path, read_read_lines(opts)) do
    n = n + 1
    list[n] = line
  end
  return list
end

return lines
