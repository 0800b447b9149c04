-- saros.progress: how far a loop is, on standard error.
--
-- On a terminal a bar in place, at most ten times a second:
--   epoch 1:  45%|####5     | 120/267 [00:03<00:04, 35.2it/s, loss=1.23]
-- Elsewhere (a log file, a pipe) a plain line at most every ten seconds, and one at the end.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"

local fail, show = options.fail, options.show

local progress = {}

-- ---- words -------------------------------------------------------------------

local function clock(seconds)
  local whole = math.floor(seconds)
  local minutes, rest = whole // 60, whole % 60
  if minutes < 60 then return ("%02d:%02d"):format(minutes, rest) end
  return ("%d:%02d:%02d"):format(minutes // 60, minutes % 60, rest)
end

-- "35.2it/s", for slow loops "2.50s/it".
local function speed(rate, unit)
  if not rate then return "?" .. unit .. "/s" end
  if rate < 1 then return ("%.2fs/%s"):format(1 / rate, unit) end
  return ("%.1f%s/s"):format(rate, unit)
end

local function value_text(value)
  if core.is_tensor(value) then value = value:item() end
  return math.type(value) == "float" and ("%.4g"):format(value) or tostring(value)
end

local function postfix_text(values)
  local words = {}
  for key, value in pairs(values) do
    words[#words + 1] = type(key) == "string" and key .. "=" .. value_text(value)
      or value_text(value)
  end
  table.sort(words)
  return table.concat(words, ", ")
end

-- Eighths of a block where the terminal shows UTF-8, else # and digits.
local function uses_unicode()
  local locale = os.getenv("LC_ALL")
  if not locale or locale == "" then locale = os.getenv("LC_CTYPE") end
  if not locale or locale == "" then locale = os.getenv("LANG") end
  return (locale or ""):upper():find("UTF%-?8") ~= nil
end

local blocks = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"}

local function meter(share, width, unicode)
  local steps = unicode and 8 or 10
  local filled = math.floor(share * width * steps + 1e-9)
  local whole, rest = filled // steps, filled % steps
  local bar = (unicode and "█" or "#"):rep(whole)
  if rest == 0 or whole >= width then return bar .. (" "):rep(width - whole) end
  return bar .. (unicode and blocks[rest] or tostring(rest)) .. (" "):rep(width - whole - 1)
end

-- ---- the bar ---------------------------------------------------------------------

---@class saros.progress.Bar
local Bar = class.extend(nil, "Bar")

local read = options.reader("progress", {
  {"total", "integer?"}, {"desc", "string?"}, {"unit", "string", "it"}, {"leave", "boolean", true},
})

function Bar:init(opts)
  local o = read(opts)
  self.total, self.desc, self.unit, self.leave = o.total, o.desc, o.unit, o.leave
  self.terminal = core.is_terminal("stderr")
  self.interval = self.terminal and 0.1 or 10
  self.unicode = uses_unicode()
  self.count, self.started, self.extra = 0, core.clock(), ""
  self.shown = self.started
  if self.terminal then self:draw(self.started) end
end

-- "epoch 1: " "120/267" "[00:03<00:04, 35.2it/s, loss=1.23]"
local function words(self, now)
  local elapsed = now - self.started
  local rate = elapsed > 0 and self.count > 0 and self.count / elapsed or nil
  local before = self.desc and self.desc .. ": " or ""
  local count = self.total and ("%d/%d"):format(self.count, self.total)
    or ("%d%s"):format(self.count, self.unit)
  local left = ""
  if self.total then
    left = "<" .. (rate and clock(math.max(0, self.total - self.count) / rate) or "?")
  end
  local tail = ("[%s%s, %s%s]"):format(clock(elapsed), left, speed(rate, self.unit),
    self.extra ~= "" and ", " .. self.extra or "")
  return before, count, tail
end

local function line_for_terminal(self, now)
  local before, count, tail = words(self, now)
  if not self.total or self.total == 0 then return before .. count .. " " .. tail end
  local share = math.min(1, self.count / self.total)
  before = before .. ("%3d%%"):format(math.floor(share * 100))
  local room = core.terminal_width() - 1 - #before - #count - #tail - 4
  if room < 4 then return before .. " " .. count .. " " .. tail end
  return ("%s|%s| %s %s"):format(before, meter(share, room, self.unicode), count, tail)
end

-- The bar that the terminal's cursor stands behind.
local drawn

--- Begin a new line, if the cursor stands behind a bar.
---@return boolean did it?
function progress.leave()
  local left = drawn ~= nil
  if left then io.stderr:write("\n") end
  drawn = nil
  return left
end

function Bar:draw(now)
  self.shown = now
  if self.terminal then
    drawn = self
    io.stderr:write("\r", line_for_terminal(self, now), "\27[K")
  else
    local before, count, tail = words(self, now)
    io.stderr:write(before, count, " ", tail, "\n")
  end
end

--- Count steps, and show them when it is time.
---@param steps? integer default 1
function Bar:update(steps)
  self.count = self.count + (steps or 1)
  local now = core.clock()
  if now - self.shown >= self.interval then self:draw(now) end
end

--- Show values behind the bar: bar:postfix{loss = 0.3}. Tensors of one element are numbers.
---@param values table<string, any>
function Bar:postfix(values)
  if type(values) ~= "table" then
    fail("progress.postfix: a table of values expected, got %s", show(values))
  end
  self.extra = postfix_text(values)
end

--- Finish the line. Again is harmless.
function Bar:close()
  if self.closed then return end
  self.closed = true
  if self.terminal and not self.leave then
    io.stderr:write("\r\27[K")
  else
    self:draw(core.clock())
    if self.terminal then io.stderr:write("\n") end
  end
  drawn = nil
end

Bar.__close = Bar.close

--- A bar to move by hand: local bar <close> = saros.progress.bar{total = 10, desc = "load"};
--- bar:update(), bar:postfix{...}, bar:close().
---@param opts? {total: integer, desc: string, unit: string, leave: boolean}
---@return saros.progress.Bar
function progress.bar(opts) return Bar(opts) end

-- ---- around a loop --------------------------------------------------------------------

-- Length (or nil) and a function that gives the next item each time.
local function source(items)
  if math.type(items) == "integer" then
    local i = 0
    return items, function()
      i = i + 1
      return i <= items and i or nil
    end
  end
  if type(items) == "function" then return nil, items end
  local meta = type(items) == "table" and getmetatable(items)
  if type(meta) == "table" and meta.__call then
    local previous
    local function keep(first, ...)
      previous = first
      return first, ...
    end
    return meta.__len and #items or nil, function() return keep(items(nil, previous)) end
  end
  local length, item = require("saros.data.dataset").open("progress", items)
  local i = 0
  return length, function()
    i = i + 1
    if i <= length then return item(i) end
  end
end

local Loop = class.extend(nil, "progress")

function Loop:init(items, opts)
  local length, advance = source(items)
  self.bar = Bar {
    total = opts and opts.total or length, desc = opts and opts.desc, unit = opts and opts.unit,
    leave = opts == nil or opts.leave,
  }
  self.advance, self.started = advance, false
end

local function pass(self, first, ...)
  if first == nil then self.bar:close() end
  return first, ...
end

function Loop:__call()
  if self.started then self.bar:update(1) end
  self.started = true
  return pass(self, self.advance())
end

function Loop:postfix(values) self.bar:postfix(values) end

function Loop:close() self.bar:close() end

Loop.__close = Loop.close

local read_loop = options.reader("saros.progress", {
  {"total", "integer?"}, {"desc", "string?"}, {"unit", "string?"}, {"leave", "boolean?"},
})

-- saros.progress(items, options): for item in saros.progress(list, {desc = "reading"}) do
-- `items` is a list, a data set, a number n (for 1 .. n), or an iterator function.
local function around(_, items, opts)
  read_loop(opts)
  local loop = Loop(items, opts)
  return loop, nil, nil, loop
end

return setmetatable(progress, {__call = around})
