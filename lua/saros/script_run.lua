-- saros.script.run: a training run that is kept in a file, so that it can be stopped and go on.
--
--   local run = saros.script.run {
--     file = "out/adder.safetensors", options = options, goal = "epochs",
--     depends = {"seed", "hidden"}, data = {letters = alphabet},
--   }
--   ... the model, optimizer and loader that the options ask for ...
--   local state = run:start({model = model, optimizer = optimizer, loader = loop},
--     {epoch = 0, losses = {}})
--   if state.epoch < options.epochs then
--     run:train(function(interrupted)
--       ... after each step: if interrupted() then return end ...
--     end)
--   end
--
-- The file is a checkpoint (saros.save_checkpoint), written every minute, on Ctrl-C and at the end.
-- Ctrl-C waits for the end of the step, so that a run which was interrupted, or killed, and went on
-- ends with the same bits as one which was not. A file of another run is never written over, but
-- with --retrain.

local core = require "saros.core"
local checkpoint = require "saros.checkpoint"
local class = require "saros.class"
local options = require "saros.options"
local progress = require "saros.progress"
local script = require "saros.script"

local fail, show = options.fail, options.show

---@class saros.script.RunSpec
---@field file string where the run is kept; its folder is made
---@field options table as saros.script.options gave it; with `retrain`, what is there is not used
---@field depends? string[] options that a run cannot change: those of the file are the defaults
---@field goal? string the option that says how long to train; that of the file is the default
---@field data? table<string, string|number> what else must be as it was, by the word for it
---@field save_every? number seconds of training between two saves, default 60

---@class saros.script.Run
---@field file string
---@field state table the values that the file keeps, as run:start gave them
---@field resumed boolean did an earlier run leave them?
local Run = class.extend(nil, "saros.script.run")

local read = options.signature("saros.script.run", {
  {"file", "string"}, {"options", "table"}, {"depends", "table", {}}, {"goal", "string?"},
  {"data", "table", {}}, {"save_every", "number", 60},
})

-- Why a run with these settings is none that can go on here, or nil.
local function difference(self, settings)
  for _, name in ipairs(self.depends) do
    local value, before = self.options[name], settings.options[name]
    if script.is_given(self.options, name) and value ~= before then
      return ("was made with --%s %s"):format(name:gsub("_", "-"), tostring(before))
    end
  end
  for word, value in pairs(self.data) do
    if settings.data[word] ~= value then return "was made with other " .. word end
  end
end

-- Can these be the options of an earlier run? A file may have been changed by hand.
local function are_options(self, options_then)
  local goal = self.goal and options_then[self.goal]
  if goal and (math.type(goal) ~= "integer" or goal < 0) then return false end
  for _, name in ipairs(self.depends) do
    local value, now = options_then[name], self.options[name]
    if value ~= nil and now ~= nil and type(value) ~= type(now) then return false end
  end
  return true
end

local anew = " (--retrain trains anew)"

local function refuse(self) script.quit("%s is no run of this script%s", self.file, anew) end

-- The settings that an earlier run left, or nil.
local function read_file(self)
  if self.options.retrain or not core.file_exists(self.file) then return nil end
  local saved = script.attempt_or(anew, checkpoint.load_checkpoint, self.file, nil,
    {random_state = false})
  local settings = saved.settings
  if type(settings) ~= "table" or type(settings.options) ~= "table"
    or type(settings.data) ~= "table" or type(saved.state) ~= "table"
    or not are_options(self, settings.options) then
    refuse(self)
  end
  local other = difference(self, settings)
  if other then script.quit("%s %s%s", self.file, other, anew) end
  return settings
end

-- Options that were not given are those of the earlier run.
local function adopt(self, settings)
  local names = table.move(self.depends, 1, #self.depends, 1, {})
  names[#names + 1] = self.goal
  for _, name in ipairs(names) do
    local value = settings.options[name]
    if value ~= nil and not script.is_given(self.options, name) then self.options[name] = value end
  end
end

function Run:init(spec)
  local o = read(spec)
  self.file, self.options, self.depends, self.goal = o.file, o.options, o.depends, o.goal
  self.data, self.save_every = o.data, o.save_every
  local folder = o.file:match("^(.*)/[^/]*$")
  if folder then
    local made, message = core.make_directory(folder)
    if not made then script.quit("%s", message) end
  end
  local settings = read_file(self)
  self.resumed = settings ~= nil
  if settings then adopt(self, settings) end
end

-- Has it the values of a run that begins with `state`?
local function is_like(saved, state)
  for key, value in pairs(state) do
    if type(saved[key]) ~= type(value) then return false end
  end
  return true
end

--- Bring the objects and the values to where the earlier run was, if there was one.
---@param objects table<string, any> by name: model, optimizer, loader, ...
---@param state table values at the start: numbers, strings, tensors, lists of them
---@return table state run.state: the earlier run's values, or those given
function Run:start(objects, state)
  if type(objects) ~= "table" or type(state) ~= "table" then
    fail("saros.script.run.start: a table of objects and a table of values expected, got %s and %s",
      show(objects), show(state))
  end
  self.objects, self.state = objects, state
  if self.resumed then
    self.state = script.attempt_or(anew, checkpoint.load_checkpoint, self.file, objects).state
    if not is_like(self.state, state) then refuse(self) end
  end
  return self.state
end

local function write(self)
  local settings = {options = {}, data = self.data}
  for _, name in ipairs(self.depends) do settings.options[name] = self.options[name] end
  if self.goal then settings.options[self.goal] = self.options[self.goal] end
  local entries = {settings = settings, state = self.state}
  for name, object in pairs(self.objects) do entries[name] = object end
  checkpoint.save_checkpoint(self.file, entries)
end

--- Write all of the run to its file.
function Run:save()
  if not self.state then fail("saros.script.run.save: the run has not been started") end
  script.attempt(write, self)
end

-- interrupted(): was Ctrl-C pressed? The train function asks after each step, when all is in a
-- state to go on from: so this is also where the run is saved from time to time.
local function watch(self)
  local saved = core.clock()
  return function()
    if core.interrupt_seen() then return true end
    if core.clock() - saved >= self.save_every then
      local good, message = pcall(write, self)
      if not good then script.warn("%s; training goes on", script.message(message)) end
      saved = core.clock()
    end
    return false
  end
end

local holding = setmetatable({}, {__close = function() core.hold_interrupts(false) end})

--- Call train(interrupted), which asks interrupted() after each step and returns if it is true,
--- then save. After Ctrl-C the script ends here, with exit status 130; a second Ctrl-C ends it
--- at once, without saving.
---@param train fun(interrupted: fun(): boolean)
function Run:train(train)
  if type(train) ~= "function" then
    fail("saros.script.run.train: a function expected, got %s", show(train))
  end
  core.hold_interrupts(true)
  local _ <close> = holding
  self:save() -- a folder that cannot be written is found out now, not after hours
  train(watch(self))
  self:save()
  if not core.interrupt_seen() then return end
  if not progress.leave() and core.is_terminal("stderr") then io.stderr:write("\n") end -- ^C
  script.warn("interrupted; the next start goes on from %s", self.file)
  os.exit(130)
end

return Run
