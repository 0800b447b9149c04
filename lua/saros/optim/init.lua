-- saros.optim: optimizers and schedules of their learning rates.

local namespace = require "saros.namespace"
local adam = require "saros.optim.adam"

---@class saros.optim
---@field Optimizer saros.optim.Optimizer base class, for optimizers of one's own
---@field SGD saros.optim.SGD
---@field Adam saros.optim.Adam
---@field AdamW saros.optim.AdamW
---@field RMSprop saros.optim.RMSprop
---@field Adagrad saros.optim.Adagrad
---@field Adadelta saros.optim.Adadelta
---@field lr_scheduler saros.optim.lr_scheduler
return {
  Optimizer = require "saros.optim.optimizer",
  SGD = require "saros.optim.sgd",
  Adam = adam.Adam,
  AdamW = adam.AdamW,
  RMSprop = require "saros.optim.rmsprop",
  Adagrad = require "saros.optim.adagrad",
  Adadelta = require "saros.optim.adadelta",
  lr_scheduler = namespace.strict("saros.optim.lr_scheduler", require "saros.optim.lr_scheduler"),
}
