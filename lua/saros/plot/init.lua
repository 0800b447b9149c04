-- saros.plot: pictures in files (PNG or SVG, by the file's name) and in the terminal.
--
-- Pictures are drawn by gnuplot, a program of its own. Where it is missing, or cannot
-- draw, a function gives nil and a message, and the script goes on.

local values = require "saros.plot.values"
local options = require "saros.options"
local gnuplot = require "saros.plot.gnuplot"
local terminal = require "saros.plot.terminal"

local quote = gnuplot.quote

---@class saros.plot
local plot = {
  print_confusion = terminal.print_confusion,
  print_lines = terminal.print_lines,
}

---@class saros.plot.Options
---@field file string ending in .png or .svg
---@field title? string
---@field width? integer pixels
---@field height? integer pixels
---@field xlabel? string
---@field ylabel? string

local common = {
  {"file", "string"}, {"title", "string?"}, {"width", "integer?"}, {"height", "integer?"},
  {"xlabel", "string?"}, {"ylabel", "string?"},
}

local function reader(where, more)
  local fields = table.move(common, 1, #common, 1, {})
  return options.reader(where, table.move(more, 1, #more, #fields + 1, fields))
end

-- Lines of a script that all pictures begin with.
local function begin(o, width, height)
  local script = gnuplot.script(o.file, o.width or width, o.height or height)
  if o.title then script:add("set title %s font ',14'", quote(o.title)) end
  if o.xlabel then script:add("set xlabel %s", quote(o.xlabel)) end
  if o.ylabel then script:add("set ylabel %s", quote(o.ylabel)) end
  return script
end

local ink = " textcolor rgb '#222222'"

-- ---- matrices ----------------------------------------------------------------------

-- White to dark blue, even in lightness.
local blues = "set palette defined (0 '#ffffff', 0.2 '#d6e5f4', 0.4 '#9dc6e4', 0.6 '#559fd0', "
  .. "0.8 '#2270b5', 1 '#08306b')"

-- gnuplot takes the text of a tic as a format.
local function add_tics(script, axis, labels, count, cell)
  if not labels then
    script:add("set %stics out nomirror%s", axis, ink)
    return
  end
  local tics = {}
  for i = 1, count do
    tics[i] = ("%s %d"):format(quote((labels[i]:gsub("%%", "%%%%"))), i)
  end
  local narrow = cell < 18
  local turned = axis == "x" and (narrow and " rotate by 90 right" or " rotate by 45 right") or ""
  script:add("set %stics out nomirror scale 0 (%s)%s%s%s", axis, table.concat(tics, ", "), turned,
    narrow and " font ',8'" or "", ink)
end

-- Values as text in the cells, white on dark ones; `format` gives nil for no text.
local function add_cell_texts(script, rows, low, high, format)
  local dark, light = {}, {}
  for i, row in ipairs(rows) do
    for j, value in ipairs(row) do
      local word = format(value)
      if word then
        local share = high > low and (value - low) / (high - low) or 0
        local list = share > 0.55 and light or dark
        list[#list + 1] = ("%d %d %s"):format(j, i, word)
      end
    end
  end
  script:block("dark", dark)
  script:block("light", light)
end

-- One cell for each element; row 1 on top.
local function draw_cells(script, rows, o)
  local low, high = values.range(rows)
  if o.low then low, high = o.low, o.high end
  local cells = {}
  for i, row in ipairs(rows) do
    for j, value in ipairs(row) do
      cells[#cells + 1] = ("%d %d %s"):format(j, i, gnuplot.number(value))
    end
  end
  script:block("cells", cells)
  script:add(blues)
  if high <= low then high = low + 1 end
  script:add("set cbrange [%s:%s]", gnuplot.number(low), gnuplot.number(high))
  script:add("set xrange [0.5:%d.5]", #rows[1])
  script:add("set yrange [%d.5:0.5]", #rows)
  script:add("set border lc rgb '#999999'")
  script:add("set cbtics out scale 0.5%s", ink)
  script:add("unset key")
  local layers = {"$cells using 1:2:3 with image pixels"}
  if o.format then
    add_cell_texts(script, rows, low, high, o.format)
    local font = (" font ',%d' notitle"):format(o.font or 9)
    layers[2] = "$dark using 1:2:3 with labels tc rgb '#333333'" .. font
    layers[3] = "$light using 1:2:3 with labels tc rgb '#ffffff'" .. font
  end
  script:add("plot %s", table.concat(layers, ", "))
end

-- Pixels that a picture needs beside its cells: for labels, title and colour scale.
local function cell_size(count)
  return math.max(12, math.min(count <= 6 and 64 or 44, 760 // count))
end

local read_confusion = reader("plot.confusion_matrix", {{"normalize", "boolean", true}})

--- A confusion matrix as a picture: rows are true classes, columns predictions.
---@param matrix number[][]|saros.Tensor counts: matrix[truth][prediction]
---@param labels string[] names of the classes
---@param opts saros.plot.Options|{normalize: boolean} normalize (default true): shares of each row
---@return string|nil file nil if there is no picture
---@return string|nil message why not
function plot.confusion_matrix(matrix, labels, opts)
  local where = "plot.confusion_matrix"
  local o = read_confusion(opts)
  local rows = values.square(where, matrix)
  labels = values.labels(where, labels, #rows)
  local counts = not o.normalize
  if o.normalize then rows = values.shares(rows) end
  local cell, longest = cell_size(#rows), values.longest(labels)
  o.xlabel, o.ylabel = o.xlabel or "predicted", o.ylabel or "true"
  local margin = 190 + 9 * longest
  local script = begin(o, math.max(360, #rows * cell + margin), #rows * cell + margin - 60)
  add_tics(script, "x", labels, #rows, cell)
  add_tics(script, "y", labels, #rows, cell)
  local cells = {font = math.max(6, math.min(10, cell // 4))}
  if not counts then
    script:add("set format cb '%%g %%%%'")
    for _, row in ipairs(rows) do
      for j, share in ipairs(row) do row[j] = 100 * share end
    end
    cells.low, cells.high = 0, 100
  end
  if cell >= 20 then
    cells.format = function(value) return value >= 0.5 and ("%.0f"):format(value) or nil end
  end
  draw_cells(script, rows, cells)
  return script:run()
end

local read_heatmap = reader("plot.heatmap",
  {{"xlabels", "table?"}, {"ylabels", "table?"}, {"values", "boolean", false}})

--- Any matrix as a picture, as the attention of a translation.
---@param matrix number[][]|saros.Tensor row 1 on top
---@param opts saros.plot.Options|{xlabels: string[], ylabels: string[], values: boolean}
---@return string|nil file
---@return string|nil message
function plot.heatmap(matrix, opts)
  local where = "plot.heatmap"
  local o = read_heatmap(opts)
  local rows = values.rows(where, matrix)
  local columns = #rows[1]
  local xlabels = o.xlabels and values.labels(where, o.xlabels, columns)
  local ylabels = o.ylabels and values.labels(where, o.ylabels, #rows)
  local cell = cell_size(math.max(#rows, columns))
  local script = begin(o, math.max(360, columns * cell + 200 + 8 * values.longest(ylabels or {})),
    math.max(280, #rows * cell + 130 + 7 * values.longest(xlabels or {})))
  add_tics(script, "x", xlabels, columns, cell)
  add_tics(script, "y", ylabels, #rows, cell)
  script:add("set format cb '%%g'")
  local cells = {}
  if o.values then
    cells.format = function(value) return value == value and ("%.2g"):format(value) or nil end
  end
  draw_cells(script, rows, cells)
  return script:run()
end

-- ---- lines -----------------------------------------------------------------------------

-- Colours that also differ for the colour-blind (Okabe and Ito).
local colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

local read_lines = reader("plot.lines",
  {{"labels", "table?"}, {"x", "table|tensor?"}, {"logy", "boolean", false}})

--- Curves as a picture: plot.lines(losses, {file = "loss.png"}), or several with labels.
---@param series number[]|number[][]|saros.Tensor one curve or a list of curves
---@param opts saros.plot.Options|{labels: string[], x: number[], logy: boolean}
---@return string|nil file
---@return string|nil message
function plot.lines(series, opts)
  local where = "plot.lines"
  local o = read_lines(opts)
  local curves = values.curves(where, series)
  local labels = o.labels and values.labels(where, o.labels, #curves)
  local x = o.x and values.list(where, o.x)
  local script = begin(o, 800, 500)
  script:add("set grid back lt 1 lw 0.5 lc rgb '#dddddd'")
  script:add("set border 3 lc rgb '#999999'")
  script:add("set tics nomirror out%s", ink)
  script:add("set autoscale xfix")
  if not x and values.longest_curve(curves) <= 20 then script:add("set xtics 1") end
  if o.logy then script:add("set logscale y") end
  script:add(labels and "set key outside right top Left reverse" .. ink or "unset key")
  local layers = {}
  for k, curve in ipairs(curves) do
    local points = {}
    for i, y in ipairs(curve) do
      points[i] = ("%s %s"):format(gnuplot.number(x and x[i] or i), gnuplot.number(y))
    end
    script:block("curve" .. k, points)
    local style = #curve <= 60 and ("linespoints pt 7 ps %s"):format(#curve > 1 and 0.5 or 1)
      or "lines"
    layers[k] = ("$curve%d using 1:2 with %s lw 2 lc rgb '%s' title %s"):format(k, style,
      colours[(k - 1) % #colours + 1], quote(labels and labels[k] or ""))
  end
  script:add("plot %s", table.concat(layers, ", "))
  return script:run()
end

return plot
