-- optim.lr_scheduler: learning rates that change from epoch to epoch.

local closed = require "saros.optim.lr_scheduler.closed"

---@class saros.optim.lr_scheduler
---@field LRScheduler saros.optim.LRScheduler base class, for schedules of one's own
return {
  LRScheduler = require "saros.optim.lr_scheduler.scheduler",
  StepLR = closed.StepLR,
  MultiStepLR = closed.MultiStepLR,
  ExponentialLR = closed.ExponentialLR,
  CosineAnnealingLR = closed.CosineAnnealingLR,
  LambdaLR = closed.LambdaLR,
  OneCycleLR = require "saros.optim.lr_scheduler.one_cycle",
  ReduceLROnPlateau = require "saros.optim.lr_scheduler.plateau",
}
