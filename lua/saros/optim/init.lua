-- saros.optim: optimizers. Each class has a file of its own.

---@class saros.optim
---@field Optimizer saros.optim.Optimizer base class, for optimizers of one's own
---@field SGD saros.optim.SGD
return {
  Optimizer = require "saros.optim.optimizer",
  SGD = require "saros.optim.sgd",
}
