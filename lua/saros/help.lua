-- help(x) of the REPL: what the library's documentation says of a function, a class, a module,
-- a tensor or a name.

local core = require "saros.core"
local docs = require "saros.docs"
local options = require "saros.options"

local help = {}

-- ---- names ----------------------------------------------------------------------------

-- Tables that are looked through, under the names that a script gives them.
local function namespaces()
  local saros = require "saros"
  local list = {}
  for _, name in ipairs {"nn", "optim", "data", "text", "metrics", "plot", "progress", "script"} do
    list[#list + 1] = {name, saros[name]}
  end
  for _, name in ipairs {"functional", "init", "utils"} do
    list[#list + 1] = {"nn." .. name, saros.nn[name]}
  end
  list[#list + 1] = {"nn.utils.rnn", saros.nn.utils.rnn}
  list[#list + 1] = {"optim.lr_scheduler", saros.optim.lr_scheduler}
  list[#list + 1] = {"saros", saros}
  return list
end

-- title -> value and value -> title, made at the first question. Of several titles of a value
-- the one in the most special namespace counts, and there the one that is no other name of it.
local values, titles, spaces

-- The field that documents what a title names, where code does not.
local function field_of(title)
  local space, name = title:match("^(.*)[.:]([%w_]+)$")
  for _, class in ipairs {"saros." .. (space or ""), space or "", "saros.Tensor"} do
    for _, field in ipairs((docs.class(class) or {fields = {}}).fields) do
      if field.name:gsub("%?$", "") == name then return field end
    end
  end
end

local function is_alias(title, value)
  local field = field_of(title)
  local other = field and title:gsub("[%w_]+$", field.text:gsub("%%", "%%%%"))
  return other ~= title and values[other] == value
end

local function add_titles(list)
  table.sort(list)
  for _, aliases in ipairs {false, true} do
    for _, title in ipairs(list) do
      local value = values[title]
      local kind = type(value)
      if (kind == "function" or kind == "table") and not titles[value]
        and is_alias(title, value) == aliases then
        titles[value] = title
      end
    end
  end
end

local function index()
  if values then return end
  values, titles, spaces = {}, {}, {}
  for _, space in ipairs(namespaces()) do
    local name, t = space[1], space[2]
    local list = {}
    values[name], titles[t], spaces[t] = t, name, true
    for key, value in pairs(t) do
      list[#list + 1] = name .. "." .. tostring(key)
      values[list[#list]] = value
    end
    add_titles(list)
  end
  local list = {}
  for name, method in pairs(core.methods) do
    list[#list + 1] = "x:" .. name
    values["x:" .. name] = method
  end
  add_titles(list)
end

-- "LSTM", "nn.LSTM", "saros.nn.LSTM", "tanh" -> value, title
local function look_up(word)
  local plain = word:gsub("^saros%.", "")
  for _, title in ipairs {plain, "saros." .. plain, "x:" .. plain} do
    if values[title] ~= nil then return values[title], title end
  end
  local ends = {}
  for title in pairs(values) do
    if title:match("[%w_]+$") == plain then ends[#ends + 1] = title end
  end
  table.sort(ends)
  if ends[1] then return values[ends[1]], ends[1] end
end

-- ---- printing -----------------------------------------------------------------------------

local function short_type(kind)
  return (kind:gsub("saros%.nn%.", "nn."):gsub("saros%.", ""))
end

local function padded(text, width) return text .. (" "):rep(width - #text) end

local function print_rows(rows)
  local names, types = 0, 0
  for _, row in ipairs(rows) do
    row.type = short_type(row.type)
    names, types = math.max(names, #row.name), math.max(types, math.min(#row.type, 24))
  end
  for _, row in ipairs(rows) do
    local text = ("  %s  %s  %s"):format(padded(row.name, names), padded(row.type, types), row.text)
    print((text:gsub("%s+$", "")))
  end
end

local function names_of(rows)
  local names = {}
  for i, row in ipairs(rows) do names[i] = row.name:gsub("%?$", "") end
  return table.concat(names, ", ")
end

-- The fields of the option classes among the parameters, those of their parents first.
local function print_options(rows)
  for _, row in ipairs(rows) do
    local fields, name = {}, row.type:match("saros%.[%w_.]*Options")
    while name do
      local class = docs.class(name)
      if not class then break end
      table.move(class.fields, 1, #class.fields, #fields + 1, fields)
      name = class.parent
    end
    if #fields > 0 then
      print((row.name:gsub("%?$", "")))
      print_rows(fields)
    end
  end
end

local function copy(rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = {name = row.name, type = row.type, text = row.text} end
  return list
end

-- What goes in, what comes out, and the options among the former.
local function print_arguments(arguments, returns)
  local rows = copy(arguments)
  for _, r in ipairs(returns) do
    rows[#rows + 1] = {name = "returns", type = r.type, text = r.text}
  end
  print_rows(rows)
  print_options(arguments)
end

local function print_function(title, f, block)
  local params = block and block.params or {}
  print(("%s(%s)"):format(title, #params > 0 and names_of(params)
    or table.concat(docs.parameters(f), ", ")))
  if not block then return end
  for _, line in ipairs(block.text) do print(line) end
  print_arguments(params, block.returns)
end

-- A function of C, or one that was made by another: a field of the class of its namespace.
local function print_field(title, field)
  local kind = docs.alias(field.type) or field.type
  local arguments, result = docs.arguments(kind), kind:match("^fun%b():%s*(.*)$")
  if not arguments then
    print(title .. (kind ~= "" and "  " .. short_type(kind) or ""))
  else
    if arguments[1] and arguments[1].name == "self" then
      table.remove(arguments, 1)
      title = "x:" .. title:match("[%w_]+$")
    end
    print(("%s(%s)"):format(title, names_of(arguments)))
  end
  if field.text ~= "" then print(field.text) end
  if arguments then print_arguments(arguments, {result and {type = result, text = ""}}) end
end

local function describe_function(title, f)
  local block = docs.of_function(f)
  if block and (#block.text > 0 or #block.params > 0) then
    return print_function(title or "function", f, block)
  end
  local field = title and field_of(title)
  if field then return print_field(title, field) end
  if title then return print_function(title, f, nil) end
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return print "a function of Lua or C" end
  print(("function(%s) of %s:%d"):format(table.concat(docs.parameters(f), ", "), info.short_src,
    info.linedefined))
end

-- ---- classes -----------------------------------------------------------------------------

-- Public methods of a class and those above it, down to `root`.
local function methods_of(class, root)
  local names, seen = {}, {init = true, extra_repr = true, extend = true}
  while class and class ~= root do
    for name, value in pairs(class) do
      if type(value) == "function" and name:find("^%a") and not seen[name] then
        seen[name], names[#names + 1] = true, name
      end
    end
    class = rawget(class, "super")
  end
  table.sort(names)
  return names
end

local function describe_class(title, class)
  local block = docs.class("saros." .. title) or titles[class] and docs.class_called(class.__name)
  local first = block and block.overloads[1]
  local arguments = first and docs.arguments(first.type)
  if arguments then
    print(("%s(%s)"):format(title, names_of(arguments)))
  else
    print(title)
  end
  for _, line in ipairs(block and block.text or {}) do print(line) end
  local init = rawget(class, "init") and docs.of_function(class.init)
  for _, line in ipairs(init and init.text or {}) do print(line) end
  if arguments then
    print_rows(copy(arguments))
    print_options(arguments)
  elseif init then
    print_rows(copy(init.params))
  end
  if type(class.forward) == "function" and docs.of_function(class.forward) then
    print()
    print_function("forward", class.forward, docs.of_function(class.forward))
  end
  local module = require("saros.nn").Module
  local below = class._is_module and class ~= module
  local names = methods_of(class, below and module)
  if below then names[#names + 1] = "and those of nn.Module" end
  if #names > 0 then print("\nmethods: " .. table.concat(names, ", ")) end
end

local function is_class(x)
  return type(x) == "table" and rawget(x, "__name") ~= nil and rawget(x, "__index") ~= nil
end

-- ---- other values ----------------------------------------------------------------------

local function sorted_names(t, wanted)
  local names = {}
  for name in pairs(t) do
    if type(name) == "string" and name:find("^%a") and (not wanted or wanted(name)) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function print_names(names)
  local width, line = core.terminal_width(), " "
  for i, name in ipairs(names) do
    if #line + #name + 2 > width then
      print(line)
      line = " "
    end
    line = line .. " " .. name .. (i < #names and "," or "")
  end
  if line ~= " " then print(line) end
end

local function describe_tensor(x)
  print(("a %s tensor of shape %s on %s"):format(x.dtype, x.shape, x.device))
  print "attributes: shape, dtype, device, ndim, grad, requires_grad, is_leaf, grad_fn, T"
  print 'methods (help "tanh", ...; with _ at the end in place):'
  print_names(sorted_names(core.methods, function(name)
    return name:sub(-1) ~= "_" or not core.methods[name:sub(1, -2)]
  end))
end

local general = [[
help(x), ?x      about a function, a class, a module, a tensor: ?nn.LSTM, ?saros.cat
help "word"      about what has this name: help "softmax"
help(nn)         names in it; also saros, optim, data, text, nn.functional, nn.init, nn.utils
who()            your variables, with shapes and bytes
_                the last result; a line that ends in ; shows none
Tab              completes names
Ctrl-C           stops what runs, Ctrl-D leaves]]

local describe

local function describe_word(word)
  local value, title = look_up(word)
  if value ~= nil then return describe(value, title) end
  local names = {}
  for title_ in pairs(values) do names[#names + 1] = title_:match("[%w_]+$") end
  table.sort(names)
  local near = options.closest(word, names)
  print(("nothing is called '%s'%s"):format(word, near and (", did you mean '%s'?"):format(near)
    or ""))
end

function describe(x, title)
  local name = title or titles[x]
  if type(x) == "function" then return describe_function(name, x) end
  if core.is_tensor(x) then return describe_tensor(x) end
  if spaces[x] then
    print(name .. " has")
    return print_names(sorted_names(x))
  end
  if is_class(x) then return describe_class(name or tostring(x.__name), x) end
  local meta = type(x) == "table" and getmetatable(x)
  if meta and is_class(meta) then
    return describe_class(titles[meta] or tostring(meta.__name), meta)
  end
  print(("%s (nothing more is known of it)"):format(options.show(x)))
end

--- Print what is known of x: a function, a class, a module, a tensor, or a name in quotes.
---@param ... any nothing: what the REPL offers
function help.help(...)
  if select("#", ...) == 0 then return print(general) end
  index()
  local x = ...
  if x == nil then
    print 'nil has no help; a name goes in quotes: help "softmax"'
  elseif type(x) == "string" then
    describe_word(x)
  else
    describe(x)
  end
end

return help
