-- saros.metrics: how good predictions are.

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"

local fail, show = options.fail, options.show

---@class saros.metrics
local metrics = {}

-- ---- classes as lists ------------------------------------------------------------------

-- One class, a list of them or a tensor, as a list of integers.
local function class_list(where, name, classes)
  if core.is_tensor(classes) then
    if classes.dtype ~= "int64" then
      fail("%s: %s must be classes (int64), got %s of %s", where, name, show(classes),
        classes.dtype)
    end
    return classes:flatten():totable()
  end
  if type(classes) == "number" then return {classes} end
  if type(classes) ~= "table" then
    fail("%s: %s must be a class, a list or a tensor of classes, got %s", where, name,
      show(classes))
  end
  return classes
end

local function class_pairs(where, truths, predictions)
  truths = class_list(where, "truth", truths)
  predictions = class_list(where, "prediction", predictions)
  if #truths ~= #predictions then
    fail("%s: %d true classes and %d predictions: the numbers must be the same", where, #truths,
      #predictions)
  end
  return truths, predictions
end

-- ---- accuracy ----------------------------------------------------------------------------

--- Share of right predictions: accuracy(logits, targets) with scores (..., classes) or
--- accuracy(classes, targets). NaN where there are none.
---@param output saros.Tensor|integer[] scores of each class in the last dimension, or classes
---@param target saros.Tensor|integer[] true classes
---@return number 0 to 1
function metrics.accuracy(output, target)
  if core.is_tensor(output) and output:is_floating_point() then output = output:argmax(-1) end
  local truths, predictions = class_pairs("metrics.accuracy", target, output)
  local right = 0
  for i = 1, #truths do
    if truths[i] == predictions[i] then right = right + 1 end
  end
  return right / #truths
end

-- ---- confusion matrix -----------------------------------------------------------------------

---@class saros.metrics.ConfusionMatrix
---@field counts integer[][] counts[truth][prediction], as the functions of saros.plot take it
---@field num_classes integer
---@overload fun(num_classes: integer): self
local ConfusionMatrix = class.extend(nil, "ConfusionMatrix")
metrics.ConfusionMatrix = ConfusionMatrix

---@param num_classes integer
function ConfusionMatrix:init(num_classes)
  if math.type(num_classes) ~= "integer" or num_classes < 1 then
    fail("metrics.ConfusionMatrix: the number of classes expected, got %s", show(num_classes))
  end
  self.num_classes, self.counts = num_classes, {}
  for truth = 1, num_classes do
    self.counts[truth] = {}
    for prediction = 1, num_classes do self.counts[truth][prediction] = 0 end
  end
end

function ConfusionMatrix:__tostring()
  return ("ConfusionMatrix of %d classes, %d of %d right"):format(self.num_classes, self:right(),
    self:total())
end

local function check_class(self, name, c)
  if math.type(c) ~= "integer" or c < 1 or c > self.num_classes then
    fail("ConfusionMatrix:add: %s %s is not a class from 1 to %d", name,
      type(c) == "number" and c or show(c), self.num_classes)
  end
end

--- Count predictions: one, or as many as the lists or tensors hold.
---@param truth integer|integer[]|saros.Tensor
---@param prediction integer|integer[]|saros.Tensor
function ConfusionMatrix:add(truth, prediction)
  local truths, predictions = class_pairs("ConfusionMatrix:add", truth, prediction)
  for i = 1, #truths do
    check_class(self, "truth", truths[i])
    check_class(self, "prediction", predictions[i])
  end
  for i = 1, #truths do
    local row = self.counts[truths[i]]
    row[predictions[i]] = row[predictions[i]] + 1
  end
end

--- How many predictions were right.
---@return integer
function ConfusionMatrix:right()
  local right = 0
  for c = 1, self.num_classes do right = right + self.counts[c][c] end
  return right
end

local function sum(row)
  local total = 0
  for _, count in ipairs(row) do total = total + count end
  return total
end

--- How many predictions were counted.
---@return integer
function ConfusionMatrix:total()
  local total = 0
  for _, row in ipairs(self.counts) do total = total + sum(row) end
  return total
end

--- Share of right predictions, NaN where there are none.
---@return number
function ConfusionMatrix:accuracy() return self:right() / self:total() end

--- For each class the share of its items that was recognised (recall), NaN for a class
--- without items.
---@return number[]
function ConfusionMatrix:per_class_accuracy()
  local shares = {}
  for c, row in ipairs(self.counts) do shares[c] = row[c] / sum(row) end
  return shares
end

return metrics
