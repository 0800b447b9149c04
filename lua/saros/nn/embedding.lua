-- nn.Embedding, nn.Dropout.

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"
local initializers = require "saros.nn.initializers"

local Module, Parameter = parts.Module, parts.Parameter
local fail, show = options.fail, options.show

-- ---- Embedding ---------------------------------------------------------------

---@class saros.nn.Embedding: saros.nn.Module
---@field weight saros.Tensor (num_embeddings, embedding_dim)
---@field padding_idx integer|nil
---@overload fun(rows: integer, width: integer, options?: saros.nn.EmbeddingOptions): self
local Embedding = Module:extend("Embedding")

---@class saros.nn.EmbeddingOptions
---@field padding_idx? integer an id whose row stays zero; negative from the end; 0 has no row
---@field device? string
---@field dtype? string

local read_embedding = options.signature("nn.Embedding", {
  {"num_embeddings", "integer"}, {"embedding_dim", "integer"}, {"padding_idx", "integer?"},
  {"device", "string?"}, {"dtype", "string?"},
})

-- 0 stays: an id without a row. Negative ids count from the end.
local function padding_position(where, padding_idx, rows)
  if padding_idx == nil or padding_idx == 0 then return padding_idx end
  if math.abs(padding_idx) > rows then
    fail("%s: padding_idx must be within num_embeddings (%d), got %d", where, rows, padding_idx)
  end
  return padding_idx > 0 and padding_idx or rows + 1 + padding_idx
end

--- A row of `weight` for each id. Ids count from 1.
function Embedding:init(...)
  local o = read_embedding(...)
  if o.num_embeddings < 1 or o.embedding_dim < 0 then
    fail("nn.Embedding: at least one row is needed, got (%d, %d)", o.num_embeddings,
      o.embedding_dim)
  end
  self.num_embeddings, self.embedding_dim = o.num_embeddings, o.embedding_dim
  self.padding_idx = padding_position("nn.Embedding", o.padding_idx, o.num_embeddings)
  self.weight = Parameter(core.empty(o.num_embeddings, o.embedding_dim,
    {device = o.device, dtype = o.dtype}))
  self:reset_parameters()
end

--- Draw new values from the normal distribution; the row of padding_idx is zero.
function Embedding:reset_parameters()
  initializers.normal_(self.weight)
  local row = self.padding_idx
  if row and row > 0 then
    local _ <close> = core.no_grad()
    self.weight[row]:zero_()
  end
end

local read_pretrained = options.reader("nn.Embedding.from_pretrained",
  {{"freeze", "boolean", true}, {"padding_idx", "integer?"}})

--- An embedding with given rows: nn.Embedding.from_pretrained(weight, {freeze = false}).
---@param weight saros.Tensor (num_embeddings, embedding_dim)
---@param opts? {freeze: boolean, padding_idx: integer} freeze (default true): not trained
---@return saros.nn.Embedding
function Embedding.from_pretrained(weight, opts)
  local where = "nn.Embedding.from_pretrained"
  if not core.is_tensor(weight) or weight:dim() ~= 2 then
    fail("%s: a tensor of 2 dimensions expected, got %s", where, show(weight))
  end
  local o = read_pretrained(opts)
  local self = setmetatable(Embedding._prepare(), Embedding)
  self.num_embeddings, self.embedding_dim = weight:size(1), weight:size(2)
  self.padding_idx = padding_position(where, o.padding_idx, weight:size(1))
  self.weight = Parameter(weight, not o.freeze)
  return self
end

---@param ids saros.Tensor int64 (..)
---@return saros.Tensor (.., embedding_dim)
function Embedding:forward(ids)
  return core.embedding(self.weight, ids, self.padding_idx)
end

function Embedding:extra_repr()
  local text = ("%d, %d"):format(self.num_embeddings, self.embedding_dim)
  return self.padding_idx and text .. ", padding_idx=" .. self.padding_idx or text
end

-- ---- Dropout --------------------------------------------------------------------

---@class saros.nn.Dropout: saros.nn.Module
---@field p number
---@overload fun(p?: number, options?: {inplace: boolean}): self
local Dropout = Module:extend("Dropout")

local read_dropout = options.signature("nn.Dropout",
  {{"p", "number", 0.5}, {"inplace", "boolean", false}})

--- While training, zeroes elements with probability p and scales the rest by 1 / (1 - p).
function Dropout:init(...)
  local o = read_dropout(...)
  if not (o.p >= 0 and o.p <= 1) then
    fail("nn.Dropout: dropout probability has to be between 0 and 1, got %s", o.p)
  end
  self.p, self.inplace = o.p, o.inplace
end

---@param input saros.Tensor
---@return saros.Tensor
function Dropout:forward(input)
  if not self.training then return input end
  local output = core.dropout(input, self.p, true)
  return self.inplace and input:copy_(output) or output
end

function Dropout:extra_repr()
  return ("p=%s, inplace=%s"):format(self.p, self.inplace)
end

return {Embedding = Embedding, Dropout = Dropout}
