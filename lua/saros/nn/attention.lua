-- nn.BahdanauAttention, nn.LuongAttention: what of a sequence matters for a query.
--
-- For a query q and the keys k_1 .. k_T of the same batch row:
--   score_t   says how well k_t fits q; each class has its own
--   weights = softmax of the scores over t, and 0 where t is padding
--   context = sum over t of weights_t value_t; without values they are the keys
--
-- Shapes:
--   query    (B, Q) or (B, S, Q)
--   keys     (B, T, K)           values   (B, T, V)
--   context  (B, V) or (B, S, V) weights  (B, T) or (B, S, T)

local core = require "saros.core"
local class = require "saros.class"
local options = require "saros.options"
local parts = require "saros.nn.module"
local initializers = require "saros.nn.initializers"
local masks = require "saros.masks"
local Linear = require("saros.nn.linear").Linear

local Module, Parameter = parts.Module, parts.Parameter
local linear, is_tensor = core.linear, core.is_tensor
local fail, show = options.fail, options.show

-- ---- memory: keys, as every query needs them ---------------------------------------

---@class saros.nn.AttentionMemory
---@field keys saros.Tensor (B, T, K)
---@field values saros.Tensor (B, T, V)
---@field projected saros.Tensor (B, T, ..) what the score needs of the keys
---@field padding saros.Tensor|nil (B, 1, T) bool, true where no weight goes
---@field owner saros.nn.Attention
local Memory = class.extend(nil, "AttentionMemory")

function Memory:__tostring()
  return ("AttentionMemory(keys %s, values %s)"):format(self.keys.shape, self.values.shape)
end

-- ---- what both kinds share ------------------------------------------------------------

---@class saros.nn.Attention: saros.nn.Module
---@field query_size integer
---@field key_size integer
local Attention = Module:extend("Attention")

---@class saros.nn.AttentionOptions
---@field lengths? integer[]|saros.Tensor (B): row b has keys 1 .. lengths[b], the rest is padding
---@field mask? saros.Tensor (B, T) bool: true for a key, false for padding
---@field values? saros.Tensor (B, T, V) what the context is made of; default: the keys

local read_memory = options.reader("attention", {
  {"lengths", "table|tensor?"}, {"mask", "tensor?"}, {"values", "tensor?"},
})

local function check_keys(self, keys)
  if not is_tensor(keys) or keys:dim() ~= 3 or keys:size(3) ~= self.key_size then
    fail("%s: expected keys (batch, steps, %d), got %s", self.__name, self.key_size, show(keys))
  end
end

local function check_values(self, values, keys)
  local batch, steps = keys:size(1), keys:size(2)
  if values:dim() ~= 3 or values:size(1) ~= batch or values:size(2) ~= steps then
    fail("%s: expected values (%d, %d, size) for keys %s, got %s", self.__name, batch, steps,
      keys.shape, show(values))
  end
end

-- The mask (B, T) that `lengths` or `mask` describes, or nil.
local function read_mask(self, o, keys)
  local batch, steps = keys:size(1), keys:size(2)
  if o.lengths then
    if o.mask then fail("%s: give lengths or mask, not both", self.__name) end
    if #o.lengths ~= batch then
      fail("%s: expected lengths of %d rows for keys %s, got %s of %d", self.__name, batch,
        keys.shape, show(o.lengths), #o.lengths)
    end
    return masks.sequence_mask(o.lengths, steps):to(keys.device)
  end
  local mask = o.mask
  if mask and (mask.dtype ~= "bool" or mask:dim() ~= 2 or mask:size(1) ~= batch
      or mask:size(2) ~= steps) then
    fail("%s: expected mask (%d, %d) of bool for keys %s, got %s of %s", self.__name, batch, steps,
      keys.shape, show(mask), mask.dtype)
  end
  return mask
end

--- What every query needs of the keys, computed once: a decoder that steps through time gives
--- the result to `forward` in place of the keys, for all steps before one `backward`.
---   local memory = attention:precompute(keys, {lengths = lengths})
---   for t = 1, steps do
---     local context, weights = attention(hidden, memory)
---@param keys saros.Tensor (B, T, key_size)
---@param opts? saros.nn.AttentionOptions
---@return saros.nn.AttentionMemory
function Attention:precompute(keys, opts)
  parts.need_self(self, "precompute")
  check_keys(self, keys)
  local o = read_memory(opts)
  local memory = Memory()
  memory.owner, memory.keys, memory.values = self, keys, o.values or keys
  if o.values then check_values(self, o.values, keys) end
  local mask = read_mask(self, o, keys)
  memory.padding = mask and mask:logical_not():unsqueeze(2)
  memory.projected = self:project(keys)
  return memory
end

local function check_memory(self, memory, opts)
  if opts ~= nil then
    fail("%s: lengths, mask and values go to precompute, with the keys", self.__name)
  end
  if memory.owner ~= self then
    fail("%s: the keys were precomputed by another module", self.__name)
  end
end

local function check_query(self, query, keys)
  local dims = is_tensor(query) and query:dim()
  if (dims ~= 2 and dims ~= 3) or query:size(dims) ~= self.query_size
    or query:size(1) ~= keys:size(1) then
    local batch = keys:size(1)
    fail("%s: expected query (%d, %d) or (%d, steps, %d) for keys %s, got %s", self.__name, batch,
      self.query_size, batch, self.query_size, keys.shape, show(query))
  end
end

-- The most negative number, for scores of padding: the exponential of its distance to any
-- other score is 0, and a row that is nothing but padding stays finite (-inf - -inf is not).
local lowest = {float32 = -0x1.fffffep127, float64 = -0x1.fffffffffffffp1023}

-- Scores (B, S, T) -> weights. The second fill is for rows that are nothing but padding.
local function normalize(scores, padding)
  if not padding then return scores:softmax(3) end
  return scores:masked_fill(padding, lowest[scores.dtype]):softmax(3):masked_fill(padding, 0)
end

--- The context of each query and the weights of the keys in it. Padding has weight 0; a row
--- without keys has weights and context 0.
---@param query saros.Tensor (B, query_size) or (B, S, query_size)
---@param keys saros.Tensor|saros.nn.AttentionMemory (B, T, key_size), or what precompute gave
---@param opts? saros.nn.AttentionOptions
---@return saros.Tensor context (B, V) or (B, S, V)
---@return saros.Tensor weights (B, T) or (B, S, T)
function Attention:forward(query, keys, opts)
  local memory = keys
  if class.is(keys, Memory) then
    check_memory(self, memory, opts)
  else
    memory = self:precompute(keys, opts)
  end
  check_query(self, query, memory.keys)
  local single = query:dim() == 2
  if single then query = query:unsqueeze(2) end
  local weights = normalize(self:score(query, memory.projected), memory.padding)
  local context = weights:bmm(memory.values)
  if single then return context:squeeze(2), weights:squeeze(2) end
  return context, weights
end

local function check_sizes(where, o, names)
  for _, name in ipairs(names) do
    if o[name] < 1 then fail("%s: %s must be greater than 0, got %d", where, name, o[name]) end
  end
end

-- v^T tanh(q + k) (+ bias) for q (B, S, H), k (B, T, H), v (1, H): (B, S, T)
local function additive_score(q, k, v, bias)
  return linear((q:unsqueeze(3) + k:unsqueeze(2)):tanh(), v, bias):squeeze(4)
end

-- ---- Bahdanau --------------------------------------------------------------------------

--- Additive attention: score = Va tanh(Wa q + Ua k), with the parameters of PyTorch's
--- translation tutorial, whose files load.
---   local attention = nn.BahdanauAttention(128)
---   local context, weights = attention(hidden, encoder_outputs, {lengths = lengths})
---@class saros.nn.BahdanauAttention: saros.nn.Attention
---@field Wa saros.nn.Linear query_size -> hidden_size
---@field Ua saros.nn.Linear key_size -> hidden_size
---@field Va saros.nn.Linear hidden_size -> 1
---@overload fun(query: integer, key?: integer, hidden?: integer, o?: saros.nn.LinearOptions): self
local BahdanauAttention = Attention:extend("BahdanauAttention")

local read_bahdanau = options.signature("nn.BahdanauAttention", {
  {"query_size", "integer"}, {"key_size", "integer?"}, {"hidden_size", "integer?"},
  {"bias", "boolean", true}, {"device", "string?"}, {"dtype", "string?"},
})

--- Sizes of query, keys and what is added; the last two are query_size where not given.
function BahdanauAttention:init(...)
  local o = read_bahdanau(...)
  o.key_size, o.hidden_size = o.key_size or o.query_size, o.hidden_size or o.query_size
  check_sizes("nn.BahdanauAttention", o, {"query_size", "key_size", "hidden_size"})
  local made = {bias = o.bias, device = o.device, dtype = o.dtype}
  self.query_size, self.key_size, self.hidden_size = o.query_size, o.key_size, o.hidden_size
  self.Wa = Linear(o.query_size, o.hidden_size, made)
  self.Ua = Linear(o.key_size, o.hidden_size, made)
  self.Va = Linear(o.hidden_size, 1, made)
end

function BahdanauAttention:project(keys) return self.Ua(keys) end

function BahdanauAttention:score(query, projected)
  return additive_score(self.Wa(query), projected, self.Va.weight, self.Va.bias)
end

-- ---- Luong -----------------------------------------------------------------------------

--- Multiplicative attention, with the parameters of PyTorch's chatbot tutorial:
---   dot      score = q^T k
---   general  score = q^T attn(k)
---   concat   score = v^T tanh(attn([q, k]))
---@class saros.nn.LuongAttention: saros.nn.Attention
---@field score_name "dot"|"general"|"concat"
---@field attn saros.nn.Linear|nil general: key_size -> query_size; concat: both -> hidden_size
---@field v saros.Tensor|nil concat: (hidden_size)
---@overload fun(query: integer, key?: integer, options?: saros.nn.LuongOptions): self
local LuongAttention = Attention:extend("LuongAttention")

---@class saros.nn.LuongOptions
---@field score? "dot"|"general"|"concat" default "dot"
---@field hidden_size? integer of concat, default query_size
---@field bias? boolean default true: of attn; in general it changes no weight
---@field device? string
---@field dtype? string

local read_luong = options.signature("nn.LuongAttention", {
  {"query_size", "integer"}, {"key_size", "integer?"}, {"score", "string", "dot"},
  {"hidden_size", "integer?"}, {"bias", "boolean", true}, {"device", "string?"},
  {"dtype", "string?"},
})

-- For each score: make the parameters, project the keys, score (B, S, T).
local scores = {}

scores.dot = {
  make = function(_, o)
    if o.query_size ~= o.key_size then
      fail("nn.LuongAttention: score 'dot' needs query_size and key_size to be equal, got %d and "
        .. "%d; 'general' takes any", o.query_size, o.key_size)
    end
  end,
  project = function(_, keys) return keys end,
  score = function(_, query, keys) return query:bmm(keys:transpose(2, 3)) end,
}

scores.general = {
  make = function(self, o, made) self.attn = Linear(o.key_size, o.query_size, made) end,
  project = function(self, keys) return self.attn(keys) end,
  score = scores.dot.score,
}

-- attn([q, k]) is computed in parts, W = [W_q W_k], so that keys are projected without a query.
scores.concat = {
  make = function(self, o, made)
    self.attn = Linear(o.query_size + o.key_size, o.hidden_size, made)
    self.v = Parameter(core.empty(o.hidden_size, {device = o.device, dtype = o.dtype}))
    initializers.uniform_(self.v, -1 / math.sqrt(o.hidden_size), 1 / math.sqrt(o.hidden_size))
  end,
  project = function(self, keys)
    local weight = self.attn.weight:narrow(2, self.query_size + 1, self.key_size)
    return linear(keys, weight, self.attn.bias)
  end,
  score = function(self, query, projected)
    local weight = self.attn.weight:narrow(2, 1, self.query_size)
    return additive_score(linear(query, weight), projected, self.v:unsqueeze(1))
  end,
}

--- Sizes of query and keys; key_size is query_size where not given.
function LuongAttention:init(...)
  local o = read_luong(...)
  local where = "nn.LuongAttention"
  options.one_of(where, "score", o.score, {"dot", "general", "concat"})
  if o.hidden_size and o.score ~= "concat" then
    fail("%s: hidden_size is for score 'concat', got score '%s'", where, o.score)
  end
  o.key_size, o.hidden_size = o.key_size or o.query_size, o.hidden_size or o.query_size
  check_sizes(where, o, {"query_size", "key_size", "hidden_size"})
  self.query_size, self.key_size, self.score_name = o.query_size, o.key_size, o.score
  scores[o.score].make(self, o, {bias = o.bias, device = o.device, dtype = o.dtype})
end

function LuongAttention:project(keys) return scores[self.score_name].project(self, keys) end

function LuongAttention:score(query, projected)
  return scores[self.score_name].score(self, query, projected)
end

function LuongAttention:extra_repr()
  return ("%d, %d, score='%s'"):format(self.query_size, self.key_size, self.score_name)
end

return {BahdanauAttention = BahdanauAttention, LuongAttention = LuongAttention}
