-- What the REPL offers besides the library: who() and help(x). Loaded when it starts.

local core = require "saros.core"

local repl = {}

-- ---- who ------------------------------------------------------------------------------

local function readable(bytes)
  for _, unit in ipairs {"bytes", "KiB", "MiB"} do
    if bytes < 1024 then return ("%.4g %s"):format(bytes, unit) end
    bytes = bytes / 1024
  end
  return ("%.4g GiB"):format(bytes)
end

local widths = {float32 = 4, float64 = 8, int64 = 8, bool = 1}

local function tensor_bytes(t) return t:numel() * widths[t.dtype] end

-- One line and the bytes of a module, a tensor or anything else.
local function describe(value)
  if core.is_tensor(value) then
    local text = ("%s %s"):format(value.dtype, value.shape)
    if value.device ~= "cpu" then text = text .. " " .. value.device end
    if value.requires_grad then text = text .. " requires_grad" end
    return text, tensor_bytes(value)
  end
  local kind, meta = type(value), getmetatable(value)
  if kind == "table" and type(meta) == "table" and meta._is_module then
    local bytes, count = 0, 0
    for _, list in ipairs {value:parameters(), value:buffers()} do
      for _, t in ipairs(list) do bytes = bytes + tensor_bytes(t) end
    end
    for _, p in ipairs(value:parameters()) do count = count + p:numel() end
    return ("%s, %d parameters"):format(meta.__name, count), bytes
  end
  if kind == "table" then
    local name = type(meta) == "table" and rawget(meta, "__name") or "table"
    local count = 0
    for _ in next, value do count = count + 1 end
    return ("%s of %d"):format(type(name) == "string" and name or "table", count)
  end
  if kind == "string" and #value > 40 then return ("string of %d bytes"):format(#value) end
  if kind == "string" then return ("%q"):format(value) end
  if kind == "number" or kind == "boolean" then return tostring(value) end
  return kind
end

-- The variables that were not there when the REPL started: locals and globals.
local function variables(environment, known)
  local values = {}
  for name, value in pairs(_G) do
    if known[name] == nil then values[name] = value end
  end
  for name, value in next, environment do values[name] = value end
  local names = {}
  for name in pairs(values) do
    if type(name) == "string" and name ~= "_" then names[#names + 1] = name end
  end
  table.sort(names)
  return names, values
end

local function who(environment, known)
  local names, values = variables(environment, known)
  local width = 0
  for _, name in ipairs(names) do width = math.max(width, #name) end
  for _, name in ipairs(names) do
    local text, bytes = describe(values[name])
    print(("  %-" .. width .. "s  %s%s"):format(name, text,
      bytes and ("  (%s)"):format(readable(bytes)) or ""))
  end
  local memory = core.memory()
  print(("tensors hold %s, at most %s so far"):format(readable(memory.live_bytes),
    readable(memory.peak_bytes)))
end

-- ---- set-up -----------------------------------------------------------------------------

--- Add who and help to the globals, unless the names are taken.
---@param environment table the REPL's variables
function repl.install(environment)
  local known = {}
  if _G.help == nil then
    _G.help = function(...) return require("saros.help").help(...) end
  end
  if _G.who == nil then _G.who = function() return who(environment, known) end end
  for name in pairs(_G) do known[name] = true end
end

return repl
