-- saros.nn: modules, functions and initial values, loaded when first named.

local namespace = require "saros.namespace"
local parts = require "saros.nn.module"
require "saros.nn.use" -- adds train, eval, apply, zero_grad, requires_grad_
require "saros.nn.state" -- adds state_dict, load_state_dict, to

---@class saros.nn
---@field Module saros.nn.Module
---@field Parameter fun(t: saros.Tensor, requires_grad?: boolean): saros.Tensor
---@field functional saros.nn.functional
---@field init saros.nn.init
---@field utils saros.nn.utils
---@field detach fun(state: any): any
---@field reset_rows fun(state: any, rows: integer[]|saros.Tensor, initial: any): any
local nn = {Module = parts.Module, Parameter = parts.Parameter}

-- File -> the classes in it.
local files = {
  linear = "Linear Identity Flatten",
  recurrent = "RNNBase RNN LSTM GRU",
  cells = "RNNCellBase RNNCell LSTMCell GRUCell",
  attention = "BahdanauAttention LuongAttention",
  embedding = "Embedding Dropout",
  normalization = "LayerNorm BatchNorm1d",
  containers = "Sequential ModuleList ModuleDict",
  activation = "Tanh Sigmoid ReLU LeakyReLU ELU GELU SiLU Softplus LogSigmoid Softmax LogSoftmax",
  loss = "NLLLoss CrossEntropyLoss MSELoss L1Loss SmoothL1Loss BCELoss BCEWithLogitsLoss",
}

local function part(name, file)
  return function()
    return namespace.strict("saros.nn." .. name, require("saros.nn." .. file))
  end
end

-- Name -> function that gives its value.
local loaders = {
  functional = part("functional", "functional"),
  init = part("init", "initializers"),
  utils = part("utils", "utils"),
  detach = function() return require("saros.nn.carry").detach end,
  reset_rows = function() return require("saros.nn.carry").reset_rows end,
}
for file, names in pairs(files) do
  for name in names:gmatch("%S+") do
    loaders[name] = function() return require("saros.nn." .. file)[name] end
  end
end

return namespace.lazy("saros.nn", nn, loaders)
