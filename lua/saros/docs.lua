-- The documentation comments of the library, read from its own sources, which are embedded in
-- the program: for help() in the REPL. Nothing is read before the first question.
--
-- A block of lines that begin with --- is text, then tags (LuaCATS); a line without tag
-- behind one goes on with it. It belongs to the line of code that follows it.

local core = require "saros.core"

local docs = {}

-- ---- lines into blocks ---------------------------------------------------------------

-- The type at the beginning of text, and what follows it: types have spaces inside brackets
-- and behind ":" and ",".
local function split_type(text)
  local depth = 0
  for i = 1, #text do
    local c = text:sub(i, i)
    if c:find("[%(%[{<]") then
      depth = depth + 1
    elseif c:find("[%)%]}>]") then
      depth = depth - 1
    elseif c == " " and depth == 0 and not text:sub(i - 1, i - 1):find("[:,]") then
      return text:sub(1, i - 1), text:sub(i + 1)
    end
  end
  return text, ""
end

-- "x? type text" -> {name = "x?", type =, text =}
local function named(text)
  local name, rest = text:match("^(%S+)%s*(.*)$")
  local kind, about = split_type(rest or "")
  return {name = name or "", type = kind, text = about}
end

local readers = {
  param = function(block, text) return block.params, named(text) end,
  field = function(block, text) return block.fields, named(text) end,
  ["return"] = function(block, text)
    local kind, about = split_type(text)
    return block.returns, {type = kind, text = about}
  end,
  overload = function(block, text) return block.overloads, {type = text, text = ""} end,
}

local function new_block()
  return {text = {}, params = {}, returns = {}, fields = {}, overloads = {}}
end

-- A block may hold several classes: each begins with its @class line, and has the fields
-- behind it. A class may be described in several places, as "saros" is.
local function read_block(comments, classes, aliases)
  local block = new_block()
  local into, last = block, nil
  for _, comment in ipairs(comments) do
    local tag, text = comment:match("^@(%w+)%s*(.*)$")
    if tag == "class" then
      local name, parent = text:match("^([%w_.]+)%s*:?%s*([%w_.]*)")
      into = classes[name] or new_block()
      if #into.text == 0 then into.text = block.text end
      into.parent, last = into.parent or (parent ~= "" and parent or nil), nil
      classes[name] = into
    elseif tag == "alias" then
      local name, kind = text:match("^(%S+)%s+(.*)$")
      if name then aliases[name] = split_type(kind) end
    elseif readers[tag] then
      local list, entry = readers[tag](into, text)
      list[#list + 1], last = entry, entry
    elseif not tag and last then
      last.text = last.text .. " " .. comment
    elseif not tag then
      block.text[#block.text + 1] = comment
    end
  end
  return block
end

-- ---- the whole library -----------------------------------------------------------------

-- Module -> line of code -> block; name -> block; name -> type.
local blocks, classes, aliases

local function read_source(module, source)
  local comments, number = {}, 0
  blocks[module] = {}
  for text in (source .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    local comment = text:match("^%-%-%-%s?(.*)$")
    if comment then
      comments[#comments + 1] = comment
    elseif #comments > 0 then
      blocks[module][number] = read_block(comments, classes, aliases)
      comments = {}
    end
  end
  if #comments > 0 then read_block(comments, classes, aliases) end
end

local function read_all()
  if blocks then return end
  blocks, classes, aliases = {}, {}, {}
  for module, source in pairs(core.library_sources()) do read_source(module, source) end
end

--- What is said of a class, and its fields: docs.class "saros.nn.LSTM".
---@param name string
---@return table|nil block text, fields, overloads, parent
function docs.class(name)
  read_all()
  return classes[name]
end

--- The same by the last part of its name, if that is the name of one class only.
---@param name string
---@return table|nil block
function docs.class_called(name)
  read_all()
  local found
  for full, block in pairs(classes) do
    if full:match("[%w_]+$") == name then
      if found then return nil end
      found = block
    end
  end
  return found
end

--- What a name stands for in a type: docs.alias "saros.dtype".
---@param name string
---@return string|nil
function docs.alias(name)
  read_all()
  return aliases[name]
end

--- What is said of a function of the library that is written in Lua.
---@param f function
---@return table|nil block text, params, returns
function docs.of_function(f)
  read_all()
  local info = debug.getinfo(f, "S")
  local module = info.source:match("^=(saros.*)$")
  if not module then return nil end
  module = module:gsub("/", "."):gsub("^saros%.init$", "saros")
  return blocks[module] and blocks[module][info.linedefined]
end

--- Names of a function's parameters: {"x", "dim", "..."}.
---@param f function
---@return string[]
function docs.parameters(f)
  local info, names = debug.getinfo(f, "u"), {}
  for i = 1, info.nparams do names[i] = debug.getlocal(f, i) or "?" end
  if info.isvararg then names[#names + 1] = "..." end
  return names
end

--- The parameters of a type "fun(x: integer, y?: string): z": {name, type, text} each.
---@param signature string
---@return table[]|nil
function docs.arguments(signature)
  local inside = signature:match("^fun(%b())")
  if not inside then return nil end
  local list, rest = {}, inside:sub(2, -2) .. ","
  local depth, from = 0, 1
  for i = 1, #rest do
    local c = rest:sub(i, i)
    depth = depth + (c:find("[%(%[{<]") and 1 or c:find("[%)%]}>]") and -1 or 0)
    if c == "," and depth == 0 then
      local name, kind = rest:sub(from, i - 1):match("^%s*([^:]+):?%s*(.-)%s*$")
      if name then list[#list + 1] = {name = name, type = kind, text = ""} end
      from = i + 1
    end
  end
  return list
end

return docs
