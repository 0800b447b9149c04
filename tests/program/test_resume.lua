-- Training that is stopped, saved and goes on in a new process ends with the bits of one that
-- was not stopped: every optimizer, with dropout, shuffling, a schedule, in and between epochs.
package.path = "tests/program/?.lua;" .. package.path
local run = require "run"
local tests = {}

-- script.lua OPTIMIZER STEPS [--from FILE] [--to FILE]: trains for so many steps altogether,
-- prints each loss and at the end all parameters, exactly.
local script = [[
local saros = require "saros"
local nn, optim, data = saros.nn, saros.optim, saros.data
local name, steps, from, to, generator = ...
steps = math.tointeger(steps)

saros.manual_seed(11)
local items = {}
for i = 1, 23 do items[i] = {x = saros.rand(6, {generator = saros.Generator():manual_seed(i)})} end
for i, item in ipairs(items) do item.y = saros.tensor {i % 3 + 1} end

local model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3),
  nn.Linear(8, 3))
local options = {
  SGD = {lr = 0.1, momentum = 0.9, dampening = 0.2, weight_decay = 0.01},
  Adam = {lr = 0.01, amsgrad = true, betas = {0.85, 0.97}}, AdamW = {lr = 0.01},
  RMSprop = {lr = 0.01, centered = true, momentum = 0.5}, Adagrad = {lr = 0.1, lr_decay = 0.05},
  Adadelta = {lr = 1},
}
local optimizer = optim[name]({
  {params = model[1]:parameters()}, {params = model[5]:parameters(), lr = 0.02},
  {params = model[2]:parameters()},
}, options[name])
local schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 13, {eta_min = 1e-4})
local plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, {patience = 1, factor = 0.7})
local loop = data.batches(items, {
  size = 5, shuffle = true,
  generator = generator ~= "none" and saros.Generator():manual_seed(5) or nil,
})
local objects = {
  model = model, optimizer = optimizer, schedule = schedule, plateau = plateau, loader = loop,
}

local step, epoch, losses = 0, 0, {}
if from ~= "none" then
  local saved = saros.load_checkpoint(from, objects)
  step, epoch, losses = saved.step, saved.epoch, saved.losses
end

local function save()
  local entries = {step = step, epoch = epoch, losses = losses}
  for key, object in pairs(objects) do entries[key] = object end
  saros.save_checkpoint(to, entries)
end

local function train()
  while true do
    for batch in loop do
      local x, y = {}, {}
      for i, item in ipairs(batch) do x[i], y[i] = item.x, item.y end
      local loss = nn.functional.cross_entropy(model(saros.stack(x)), saros.cat(y))
      optimizer:zero_grad()
      loss:backward()
      nn.utils.clip_grad_norm_(model:parameters(), 0.5)
      optimizer:step()
      schedule:step()
      step = step + 1
      losses[step] = loss:item()
      if step == steps then return end
    end
    epoch = epoch + 1
    plateau:step(losses[step])
  end
end

train()
if to ~= "none" then save() end
for i, loss in ipairs(losses) do print(i, ("%a"):format(loss)) end
print(epoch, ("%a %a"):format(optimizer.param_groups[1].lr, saros.rand(1):item()))
for _, tensor in pairs(model:state_dict()) do
  for _, value in ipairs(tensor:reshape(-1):totable()) do print(("%a"):format(value)) end
end
]]

local folder = run.folder()
local file = run.write(folder .. "/script.lua", script)

local function train(name, steps, from, to, generator)
  local r = run.saros(("%s %s %d %s %s %s"):format(run.quote(file), name, steps, from, to,
    generator or "none"))
  run.equal(r.code, 0, r.err)
  return r.out
end

-- Stopped after `first` of 20 steps; an epoch has 5.
local function check(name, first, generator)
  local saved = folder .. "/" .. name .. ".safetensors"
  local whole = train(name, 20, "none", "none", generator)
  train(name, first, "none", saved, generator)
  run.equal(train(name, 20, saved, "none", generator), whole, name .. " after " .. first)
end

for _, name in ipairs {"SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta"} do
  tests["resume_" .. name] = function() check(name, 10) end -- the last batch of the second epoch
end

function tests.resume_within_an_epoch() check("Adam", 8) end
function tests.resume_after_one_step() check("SGD", 1) end
function tests.resume_with_a_generator_of_its_own() check("AdamW", 12, "own") end

-- And again from what was resumed: 20 = 4 + 7 + 9.
function tests.resume_twice()
  local a, b = folder .. "/a.safetensors", folder .. "/b.safetensors"
  train("Adam", 4, "none", a)
  train("Adam", 11, a, b)
  run.equal(train("Adam", 20, b, "none"), train("Adam", 20, "none", "none"))
end

run.all(tests)
