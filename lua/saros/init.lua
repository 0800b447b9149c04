-- saros: tensors, autograd and recurrent networks for Lua.
--
-- The functions of saros.core, and the library's parts, loaded when first named.

local core = require "saros.core"
local namespace = require "saros.namespace"

---@class saros
---@field nn saros.nn
---@field optim saros.optim
---@field data saros.data
---@field text saros.text
---@field metrics saros.metrics
---@field plot saros.plot
---@field progress saros.progress
---@field sequence_mask fun(lengths: integer[]|saros.Tensor, max_length?: integer): saros.Tensor
---@field script saros.script
---@field sample fun(logits: saros.Tensor, options?: table): saros.Tensor
---@field beam_search fun(options: table): saros.Hypothesis[]
---@field version string
---@field cuda {is_available: fun(): boolean, device_count: fun(): integer}
local saros = {}
for name, value in pairs(core) do saros[name] = value end

-- core's save and load take lists; the library's take tables.
saros.save, saros.load = nil, nil

local loaders = {}
for _, part in ipairs {
  "nn", "optim", "data", "text", "metrics", "plot", "progress", "script",
} do
  local title = "saros." .. part
  loaders[part] = function() return namespace.strict(title, require(title)) end
end
-- Function -> the file that it is in.
for name, file in pairs {
  save = "archive", load = "archive", sequence_mask = "masks", sample = "sampling",
  beam_search = "beam", save_checkpoint = "checkpoint", load_checkpoint = "checkpoint",
  isclose = "composed", allclose = "composed", equal = "composed", tril = "composed",
  triu = "composed", bincount = "composed", unique = "composed", meshgrid = "composed",
  logspace = "composed",
} do
  loaders[name] = function() return require("saros." .. file)[name] end
end
-- Functions that are methods, too.
for _, name in ipairs {"isclose", "allclose", "equal", "tril", "triu", "bincount", "unique"} do
  core.methods[name] = function(...)
    core.methods[name] = saros[name]
    return saros[name](...)
  end
end

return namespace.lazy("saros", saros, loaders)
