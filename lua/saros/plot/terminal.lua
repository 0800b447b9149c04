-- Pictures in letters: a confusion matrix and curves in the terminal.

local core = require "saros.core"
local values = require "saros.plot.values"
local options = require "saros.options"

local terminal = {}

-- ---- words ------------------------------------------------------------------------

local function pad(word, width)
  return word .. (" "):rep(width - (utf8.len(word) or #word))
end

local function pad_left(word, width)
  return (" "):rep(width - (utf8.len(word) or #word)) .. word
end

-- The letters of a word, as strings.
local function letters(word)
  local list = {}
  for letter in word:gmatch(utf8.len(word) and utf8.charpattern or ".") do
    list[#list + 1] = letter
  end
  return list
end

-- Two letters for each label, different ones where that is possible: Po, Pr for Polish
-- and Portuguese.
local function abbreviations(labels)
  local short, taken = {}, {}
  for i, label in ipairs(labels) do
    local list = letters(label)
    local first = list[1] or " "
    short[i] = first .. (list[2] or " ")
    for k = 2, #list do
      local try = first .. list[k]
      if not taken[try] then
        short[i] = try
        break
      end
    end
    taken[short[i]] = true
  end
  return short
end

-- Shades for a share of 0 to 1; nothing for next to nothing.
local shades = {"·", "░", "▒", "▓", "█"}

local function shade(share)
  if share <= 0 then return " " end
  if share < 0.02 then return shades[1] end
  return shades[math.min(5, 2 + math.floor(share * 4))]
end

-- ---- confusion matrix ----------------------------------------------------------------

-- Most frequent wrong predictions of a row, as many as fit: "Irish 12 %, Scottish 8 %".
local function confusions(counts, shares, truth, labels, most, room)
  local order = {}
  for j, share in ipairs(shares) do
    if j ~= truth and share > 0 then order[#order + 1] = j end
  end
  table.sort(order, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  local text = ""
  for k = 1, math.min(most, #order) do
    local j = order[k]
    local more = ("%s%s %.0f %%"):format(k > 1 and ", " or "", labels[j], 100 * shares[j])
    if k > 1 and values.longest {text .. more} > room then break end
    text = text .. more
  end
  return text
end

local read_confusion = options.reader("plot.print_confusion",
  {{"file", "any?"}, {"most", "integer", 3}})

--- A confusion matrix in the terminal: for each class how many there were, how many of
--- them were recognised, a row of shades (one for each prediction) and what it was taken for.
---@param matrix number[][]|saros.Tensor counts: matrix[truth][prediction]
---@param labels string[]
---@param opts? {file: file*, most: integer} file: where to (standard output); most: how many
---   confusions are named, default 3
function terminal.print_confusion(matrix, labels, opts)
  local where = "plot.print_confusion"
  local o = read_confusion(opts)
  local rows = values.square(where, matrix)
  labels = values.labels(where, labels, #rows)
  local shares = values.shares(rows)
  local width = math.max(5, values.longest(labels))
  local lines = {("%s  count  recall  %s  taken for"):format(pad("class", width),
    table.concat(abbreviations(labels)))}
  local room = math.max(30, core.terminal_width() - width - 2 * #rows - 21)
  for i, row in ipairs(rows) do
    local count, cells = 0, {}
    for j, value in ipairs(row) do
      count = count + value
      cells[j] = shade(shares[i][j]):rep(2)
    end
    local line = ("%s  %5d  %s  %s  %s"):format(pad(labels[i], width), math.floor(count),
      count > 0 and ("%4.0f %%"):format(100 * shares[i][i]) or "     -", table.concat(cells),
      confusions(row, shares[i], i, labels, o.most, room))
    lines[#lines + 1] = line:gsub(" +$", "")
  end
  local file = o.file or io.stdout
  file:write(table.concat(lines, "\n"), "\n")
end

-- ---- curves ----------------------------------------------------------------------------

local marks = {"*", "o", "+", "x", "#", "@"}

local read_lines = options.reader("plot.print_lines", {
  {"file", "any?"}, {"title", "string?"}, {"labels", "table?"}, {"width", "integer", 64},
  {"height", "integer", 12},
})

-- Columns of marks: one curve after the other, the first on top.
local function paint(curves, low, high, width, height)
  local canvas, longest = {}, 1
  for r = 1, height do canvas[r] = {} end
  for _, curve in ipairs(curves) do longest = math.max(longest, #curve) end
  for k = #curves, 1, -1 do
    for i, y in ipairs(curves[k]) do
      if y == y and math.abs(y) < math.huge then
        local c = longest > 1 and math.floor((i - 1) / (longest - 1) * (width - 1) + 0.5) + 1 or 1
        local r = math.floor((high - y) / (high - low) * (height - 1) + 0.5) + 1
        canvas[r][c] = marks[(k - 1) % #marks + 1]
      end
    end
  end
  return canvas, longest
end

--- Curves in the terminal.
---@param series number[]|number[][]|saros.Tensor
---@param opts? {title: string, labels: string[], width: integer, height: integer, file: file*}
function terminal.print_lines(series, opts)
  local where = "plot.print_lines"
  local o = read_lines(opts)
  if o.width < 2 or o.height < 2 then
    options.fail("%s: width and height must be 2 or more", where)
  end
  local curves = values.curves(where, series)
  local labels = o.labels and values.labels(where, o.labels, #curves)
  local low, high = values.range(curves)
  if high == low then high = low + 1 end
  local canvas, longest = paint(curves, low, high, o.width, o.height)
  local lines, axis = {o.title}, {}
  for r = 1, o.height do
    axis[r] = ("%.4g"):format(high - (high - low) * (r - 1) / (o.height - 1))
  end
  local margin = values.longest(axis)
  for r = 1, o.height do
    local cells = {}
    for c = 1, o.width do cells[c] = canvas[r][c] or " " end
    local scale = (r == 1 or r == o.height or r == (o.height + 1) // 2) and axis[r] or ""
    local line = ("%s |%s"):format(pad_left(scale, margin), table.concat(cells))
    lines[#lines + 1] = line:gsub(" +$", "")
  end
  lines[#lines + 1] = (" "):rep(margin) .. " +" .. ("-"):rep(o.width)
  lines[#lines + 1] = (" "):rep(margin) .. "  1" .. pad_left(tostring(longest), o.width - 1)
  for k, label in ipairs(labels or {}) do
    lines[#lines + 1] = (" "):rep(margin) .. "  " .. marks[(k - 1) % #marks + 1] .. " " .. label
  end
  local file = o.file or io.stdout
  file:write(table.concat(lines, "\n"), "\n")
end

return terminal
