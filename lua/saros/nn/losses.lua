-- What the losses are: their options and how they call the core. From this list
-- come the functions of nn.functional and the modules of nn/loss.lua.

local core = require "saros.core"
local options = require "saros.options"

local losses = {}

-- The fields of each loss behind (input, target), and how the core takes them.
local reduction = {"reduction", "string", "mean"}
local weight = {"weight", "tensor?"}
local ignore = {"ignore_index", "integer", -100}

losses.kinds = {
  nll_loss = {
    fields = {weight, ignore, reduction},
    compute = function(x, t, o)
      return core.nll_loss(x, t, o.weight, o.reduction, o.ignore_index)
    end,
  },
  cross_entropy = {
    fields = {weight, ignore, reduction, {"label_smoothing", "number", 0.0}},
    compute = function(x, t, o)
      return core.cross_entropy(x, t, o.weight, o.reduction, o.ignore_index, o.label_smoothing)
    end,
  },
  mse_loss = {
    fields = {reduction},
    compute = function(x, t, o) return core.mse_loss(x, t, o.reduction) end,
  },
  l1_loss = {
    fields = {reduction},
    compute = function(x, t, o) return core.l1_loss(x, t, o.reduction) end,
  },
  smooth_l1_loss = {
    fields = {reduction, {"beta", "number", 1.0}},
    compute = function(x, t, o) return core.smooth_l1_loss(x, t, o.reduction, o.beta) end,
  },
  binary_cross_entropy = {
    fields = {weight, reduction},
    compute = function(x, t, o) return core.binary_cross_entropy(x, t, o.weight, o.reduction) end,
  },
  binary_cross_entropy_with_logits = {
    fields = {weight, reduction, {"pos_weight", "tensor?"}},
    compute = function(x, t, o)
      return core.binary_cross_entropy_with_logits(x, t, o.weight, o.pos_weight, o.reduction)
    end,
  },
}

--- Refuse option values that a loss has no meaning for.
---@param where string
---@param o table
function losses.check(where, o)
  options.one_of(where, "reduction", o.reduction, {"mean", "sum", "none"})
  if o.label_smoothing and not (o.label_smoothing >= 0 and o.label_smoothing <= 1) then
    options.fail("%s: label_smoothing must be between 0 and 1, got %s", where, o.label_smoothing)
  end
  if o.beta and o.beta < 0 then
    options.fail("%s: beta must not be negative, got %s", where, o.beta)
  end
end

return losses
