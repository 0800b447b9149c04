-- saros.save_checkpoint and saros.load_checkpoint: all that a training run needs to go on as
-- if it had not stopped, in one safetensors file.
--
--   saros.save_checkpoint("run.safetensors", {
--     model = model, optimizer = optimizer, scheduler = scheduler, loader = loop, epoch = 3,
--   })
--   local saved = saros.load_checkpoint("run.safetensors", {
--     model = model, optimizer = optimizer, scheduler = scheduler, loader = loop,
--   })
--   for epoch = saved.epoch, 10 do ... end
--
-- Objects are what has state_dict and load_state_dict: modules, optimizers, schedules, loaders,
-- a script's own. The state of the default generator is always in the file. Values lie in the
-- metadata (flat.lua), tensors under names as model.rnn.weight_ih_l0, so that other programs
-- can read the file too.

local core = require "saros.core"
local archive = require "saros.archive"
local flat = require "saros.flat"
local options = require "saros.options"
local ordered = require "saros.ordered"
local stateful = require "saros.stateful"

local fail, show = options.fail, options.show

local checkpoint = {}

-- Keys of the metadata that no path is: a space stands only within quotes there.
local FORMAT, RANDOM, CLASS = "saros checkpoint", "random state", "class of "

-- ---- saving ---------------------------------------------------------------------------------

local function check_names(where, what, t)
  if type(t) ~= "table" or getmetatable(t) ~= nil then
    fail("%s: a table of %s by name expected, got %s", where, what, show(t))
  end
  for key in pairs(t) do
    if type(key) ~= "string" then
      fail("%s: each of the %s needs a name, got %s", where, what, show(key))
    end
  end
end

--- Write a checkpoint, as a whole or not at all. An entry is an object, whose state is saved, or
--- a value: a tensor, number, string or boolean, or a table of them, nested as you like.
---@param path string
---@param entries table<string, any>
function checkpoint.save_checkpoint(path, entries)
  local where = "saros.save_checkpoint"
  archive.check_path(where, path)
  check_names(where, "entries", entries)
  local tree, classes = {}, {}
  for name, value in pairs(entries) do
    if stateful.is(value) then
      classes[name] = stateful.class_of(value)
      value = value:state_dict()
    end
    tree[name] = value
  end
  local lines, tensors = flat.write(where, tree)
  for name, class in pairs(classes) do lines[CLASS .. flat.path(name)] = class end
  lines[FORMAT], lines[RANDOM] = "1", flat.hex(core.get_rng_state())
  archive.save(path, tensors, lines)
end

-- ---- loading --------------------------------------------------------------------------------

-- Entries by name, classes of the objects among them, state of the default generator.
local function read(where, path, device)
  local tensors, lines = archive.load(path, {device = device})
  if not lines[FORMAT] then
    fail("%s: '%s' is no checkpoint; saros.load reads its tensors", where, path)
  elseif lines[FORMAT] ~= "1" then
    fail("%s: '%s' is of version %s, this program reads version 1", where, path, lines[FORMAT])
  end
  local random, classes = flat.unhex(lines[RANDOM] or ""), {}
  lines[FORMAT], lines[RANDOM] = nil, nil
  for key, class in pairs(lines) do
    if key:sub(1, #CLASS) == CLASS then classes[key:sub(#CLASS + 1)] = class end
  end
  for name in pairs(classes) do lines[CLASS .. name] = nil end
  local tree = flat.read(("%s: '%s'"):format(where, path), lines, tensors)
  if not random or not pcall(core.Generator().set_state, core.Generator(), random) then
    fail("%s: '%s': the random state is damaged", where, path)
  end
  return tree, classes, random
end

local function check_entry(where, path, name, object, tree, classes)
  if not stateful.is(object) then
    fail("%s: '%s' must be an object with state_dict and load_state_dict, got %s", where, name,
      show(object))
  end
  local state, class, own = tree[name], classes[flat.path(name)], stateful.class_of(object)
  if state == nil then
    fail("%s: '%s' has no '%s' (it has %s)", where, path, name,
      table.concat(ordered.keys(tree), ", "))
  elseif not class or type(state) ~= "table" then
    fail("%s: '%s' in '%s' is a value, not the state of an object", where, name, path)
  elseif class ~= own then
    fail("%s: '%s' in '%s' is the state of %s, given is %s", where, name, path, class, own)
  end
end

local read_options = options.reader("saros.load_checkpoint",
  {{"device", "string?"}, {"random_state", "boolean", true}})

--- Load a checkpoint into objects, and set the default generator's state. When something does
--- not fit, an error says what, and no object is changed.
---@param path string
---@param objects? table<string, any> by the names they were saved under
---@param opts? {device: string, random_state: boolean} where tensors of the result are made;
--- random_state = false leaves the generator alone
---@return table<string, any> values all entries but those: values, and as tables the states of
--- objects that were not asked for
function checkpoint.load_checkpoint(path, objects, opts)
  local where = "saros.load_checkpoint"
  archive.check_path(where, path)
  objects = objects or {}
  check_names(where, "objects", objects)
  local o = read_options(opts)
  local tree, classes, random = read(where, path, o.device)
  local changes, own = {}, {}
  for _, name in ipairs(ordered.keys(objects)) do
    check_entry(where, path, name, objects[name], tree, classes)
    local change = stateful.check(objects[name], tree[name])
    if change then changes[#changes + 1] = change else own[#own + 1] = name end
  end
  for _, name in ipairs(own) do objects[name]:load_state_dict(tree[name]) end -- may still fail
  for _, change in ipairs(changes) do change() end
  for name in pairs(objects) do tree[name] = nil end
  if o.random_state then core.set_rng_state(random) end
  return tree
end

return checkpoint
