-- Losses as modules: criterion(prediction, target) gives one number to minimise.
--
-- Their options are those of the functions in nn.functional. Classes count from 1;
-- a target that is ignore_index (default -100) adds nothing.

local options = require "saros.options"
local losses = require "saros.nn.losses"
local Module = require("saros.nn.module").Module

local classes = {}

-- Options that are tensors are buffers, so that they are moved and saved with the loss.
local function define(name, function_name)
  local loss = losses.kinds[function_name]
  local fields, compute, where = loss.fields, loss.compute, "nn." .. name
  local read = options.signature(where, fields)
  local class = Module:extend(name)
  function class:init(...)
    local o = read(...)
    losses.check(where, o)
    for _, field in ipairs(fields) do
      if field[2] == "tensor?" then
        self:register_buffer(field[1], o[field[1]])
      else
        self[field[1]] = o[field[1]]
      end
    end
  end
  function class:forward(input, target) return compute(input, target, self) end
  classes[name] = class
end

define("NLLLoss", "nll_loss")
define("CrossEntropyLoss", "cross_entropy")
define("MSELoss", "mse_loss")
define("L1Loss", "l1_loss")
define("SmoothL1Loss", "smooth_l1_loss")
define("BCELoss", "binary_cross_entropy")
define("BCEWithLogitsLoss", "binary_cross_entropy_with_logits")

---@class saros.nn.LossOptions
---@field weight? saros.Tensor (C): factor of each class; for BCE of each element
---@field reduction? "mean"|"sum"|"none" default "mean"
---@field ignore_index? integer a target that adds nothing, default -100 (0 for padding with zeros)

---@class saros.nn.CrossEntropyOptions: saros.nn.LossOptions
---@field label_smoothing? number 0 to 1, default 0: share of the target spread over all classes

---@class saros.nn.SmoothL1Options
---@field reduction? "mean"|"sum"|"none" default "mean"
---@field beta? number default 1: below it the error is squared

---@class saros.nn.BCEWithLogitsOptions
---@field weight? saros.Tensor
---@field pos_weight? saros.Tensor (C): factor of the positive part
---@field reduction? "mean"|"sum"|"none" default "mean"

--- -log_probabilities[target]: input (N, C) or (C), target int64 (N) or ().
---@class saros.nn.NLLLoss: saros.nn.Module
---@overload fun(options?: saros.nn.LossOptions): self
--- The same of logits.
---@class saros.nn.CrossEntropyLoss: saros.nn.Module
---@overload fun(options?: saros.nn.CrossEntropyOptions): self
--- (x - y)^2
---@class saros.nn.MSELoss: saros.nn.Module
---@overload fun(options?: {reduction: string}): self
--- |x - y|
---@class saros.nn.L1Loss: saros.nn.Module
---@overload fun(options?: {reduction: string}): self
--- Squared below beta, absolute above.
---@class saros.nn.SmoothL1Loss: saros.nn.Module
---@overload fun(options?: saros.nn.SmoothL1Options): self
--- Of probabilities and targets between 0 and 1.
---@class saros.nn.BCELoss: saros.nn.Module
---@overload fun(options?: saros.nn.LossOptions): self
--- The same of logits.
---@class saros.nn.BCEWithLogitsLoss: saros.nn.Module
---@overload fun(options?: saros.nn.BCEWithLogitsOptions): self

return classes
