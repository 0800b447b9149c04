-- Tables in text files: comma-separated values (RFC 4180), read as Python's csv module reads
-- them with strict=True.
--
-- A field between quotes may hold commas, line ends and, doubled, quotes. A quote within a
-- field that does not begin with one is itself, and so is a backslash anywhere. What breaks
-- these rules is refused with the number of its line.

local options = require "saros.options"
local lines = require "saros.data.lines"

local fail = options.fail

local csv = {}

local QUOTE, CR, LF = ("\"\r\n"):byte(1, 3)

---@class saros.data.CsvOptions
---@field delimiter? string one character, default ","; "\t" for tab-separated values
---@field columns? integer refuse rows with more or fewer fields
---@field encoding? "utf-8"|"bytes" default "utf-8"; "bytes" takes fields as they are

local fields = {
  {"delimiter", "string", ","}, {"columns", "integer?"}, {"encoding", "string", "utf-8"},
}

-- A field between quotes that starts at line[at]; it may go on in the next lines.
-- Returns it, its last line and the position behind its closing quote.
local function quoted(reader, line, at)
  local first, parts, start = reader.number, {}, at
  while true do
    local quote = line:find('"', at, true)
    if not quote then
      parts[#parts + 1] = line:sub(start)
      line, reader.number = reader.advance()
      if not line then
        fail("%s: %s:%d: a quoted field begins here and does not end", reader.where, reader.path,
          first)
      end
      start, at = 1, 1
    elseif line:byte(quote + 1) == QUOTE then
      parts[#parts + 1] = line:sub(start, quote)
      start, at = quote + 2, quote + 2
    else
      local rest = line:sub(start, quote - 1)
      if #parts == 0 then return rest, line, quote + 1 end
      parts[#parts + 1] = rest
      return table.concat(parts), line, quote + 1
    end
  end
end

local function check_end(reader, line, at)
  local c = line:byte(at)
  if c == LF or (c == CR and (line:byte(at + 1) == LF or at == #line)) then return end
  if c == CR then
    fail("%s: %s:%d: a carriage return in a field without quotes", reader.where, reader.path,
      reader.number)
  end
  fail("%s: %s:%d: '%s' expected after the closing quote at column %d, got '%s' (a quote within "
    .. "quotes is doubled)", reader.where, reader.path, reader.number, reader.delimiter, at - 1,
    line:match(utf8.charpattern, at) or "")
end

-- The fields of the row that begins with `line`.
local function row_of(reader, line)
  local row, n, at, stop_at, delimiter = {}, 0, 1, reader.stop_at, reader.delimiter_byte
  if line:find("^\r?\n?$") then return row end
  while true do
    n = n + 1
    if line:byte(at) == QUOTE then
      row[n], line, at = quoted(reader, line, at + 1)
    else
      local stop = line:find(stop_at, at) or #line + 1
      row[n], at = line:sub(at, stop - 1), stop
    end
    if line:byte(at) == delimiter then
      at = at + 1
    else
      if at <= #line then check_end(reader, line, at) end
      return row
    end
  end
end

local function check_delimiter(where, delimiter)
  if #delimiter ~= 1 or delimiter:find('["\r\n]') then
    fail("%s: delimiter must be one ASCII character, no quote or line end, got %s", where,
      options.show(delimiter))
  end
end

local function rows(where, path, o)
  check_delimiter(where, o.delimiter)
  local advance, file = lines.raw(where, path, o.encoding)
  local reader = {
    where = where, path = path, advance = advance, delimiter = o.delimiter,
    delimiter_byte = o.delimiter:byte(), stop_at = "[\r\n%" .. o.delimiter .. "]",
  }
  if o.delimiter:find("%w") then reader.stop_at = "[\r\n" .. o.delimiter .. "]" end
  return function()
    local line, number = advance()
    if not line then return nil end
    reader.number = number
    local row = row_of(reader, line)
    if o.columns and #row ~= o.columns then
      fail("%s: %s:%d: %d fields expected, got %d", where, path, number, o.columns, #row)
    end
    return row, number
  end, nil, nil, file -- the last is closed when a loop ends
end

local read_rows = options.reader("data.csv_rows", fields)
local read_csv = options.reader("data.read_csv", fields)

--- for row, line in data.csv_rows(path) do: the rows of a CSV file as lists of strings, and the
--- line that each begins at. Only one row at a time is in memory. An empty line is an empty
--- row.
---@param path string
---@param opts? saros.data.CsvOptions
---@return fun(): string[]|nil, integer
function csv.csv_rows(path, opts)
  return rows("data.csv_rows", path, read_rows(opts))
end

--- All rows of a CSV file.
---@param path string
---@param opts? saros.data.CsvOptions
---@return string[][]
function csv.read_csv(path, opts)
  local list, n = {}, 0
  for row in rows("data.read_csv", path, read_csv(opts)) do
    n = n + 1
    list[n] = row
  end
  return list
end

return csv
