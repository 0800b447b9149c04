-- nn.RNN, nn.LSTM, nn.GRU: layers over whole sequences.
--
-- All three are one class with another mode. A layer and direction is one call of
-- core.recurrent over packed rows (N, I): the rows of step 1, then of step 2, ...
-- with batch sizes for each step; a padded batch has the same size at every step.
--
-- Shapes, with D = 2 where bidirectional, else 1:
--   input   (T, B, input_size), (B, T, input_size) with batch_first, (T, input_size)
--   state   (D num_layers, B, hidden_size); without batch (D num_layers, hidden_size)
--   output  (T, B, D hidden_size), batch first or without batch like the input

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"

local Module, Parameter = parts.Module, parts.Parameter
local recurrent, is_tensor = core.recurrent, core.is_tensor
local fail, show = options.fail, options.show

---@class saros.nn.RNNBase: saros.nn.Module
---@field input_size integer
---@field hidden_size integer
---@field num_layers integer
---@field bias boolean
---@field batch_first boolean
---@field dropout number
---@field bidirectional boolean
local RNNBase = Module:extend("RNNBase")

---@class saros.nn.RNNOptions
---@field num_layers? integer default 1
---@field bias? boolean default true
---@field batch_first? boolean default false: input is (T, B, input_size)
---@field dropout? number default 0: between layers, while training
---@field bidirectional? boolean default false
---@field device? string
---@field dtype? string

local shared_fields = {
  {"bias", "boolean", true}, {"batch_first", "boolean", false}, {"dropout", "number", 0.0},
  {"bidirectional", "boolean", false}, {"device", "string?"}, {"dtype", "string?"},
}

local function signature(where, first_fields)
  local fields = {
    {"input_size", "integer"}, {"hidden_size", "integer"}, {"num_layers", "integer", 1},
  }
  table.move(first_fields, 1, #first_fields, #fields + 1, fields)
  table.move(shared_fields, 1, #shared_fields, #fields + 1, fields)
  return options.signature(where, fields)
end

-- ---- construction -------------------------------------------------------------

local function check_sizes(where, o)
  for _, name in ipairs {"input_size", "hidden_size", "num_layers"} do
    if o[name] < 1 then fail("%s: %s must be greater than 0, got %d", where, name, o[name]) end
  end
  if not (o.dropout >= 0 and o.dropout <= 1) then
    fail("%s: dropout should be a number in range [0, 1], the probability of an element being "
      .. "zeroed, got %s", where, o.dropout)
  end
  if o.dropout > 0 and o.num_layers == 1 then
    warn(("%s: dropout works between layers, so it does nothing with num_layers = 1"):format(where))
  end
end

-- Parameter names of a layer and direction, as PyTorch has them (layers from 0).
local function parameter_names(layer, reverse, bias)
  local tail = ("_l%d%s"):format(layer - 1, reverse and "_reverse" or "")
  return {
    weight_ih = "weight_ih" .. tail, weight_hh = "weight_hh" .. tail,
    bias_ih = bias and "bias_ih" .. tail or nil, bias_hh = bias and "bias_hh" .. tail or nil,
    reverse = reverse,
  }
end

local function add_parameters(self, names, inputs, made)
  local rows = self._gates * self.hidden_size
  self[names.weight_ih] = Parameter(core.empty(rows, inputs, made))
  self[names.weight_hh] = Parameter(core.empty(rows, self.hidden_size, made))
  if not self.bias then return end
  self[names.bias_ih] = Parameter(core.empty(rows, made))
  self[names.bias_hh] = Parameter(core.empty(rows, made))
end

-- Called by the classes below with what their signature read.
local function setup(self, o, mode)
  check_sizes("nn." .. self.__name, o)
  self.mode = mode
  self.input_size, self.hidden_size, self.num_layers = o.input_size, o.hidden_size, o.num_layers
  self.bias, self.batch_first = o.bias, o.batch_first
  self.dropout, self.bidirectional = o.dropout, o.bidirectional
  local directions = o.bidirectional and 2 or 1
  local made = {device = o.device, dtype = o.dtype}
  local layers = {}
  for layer = 1, o.num_layers do
    local inputs = layer == 1 and o.input_size or o.hidden_size * directions
    for direction = 1, directions do
      local names = parameter_names(layer, direction == 2, o.bias)
      add_parameters(self, names, inputs, made)
      layers[#layers + 1] = names
    end
  end
  rawset(self, "_layers", layers)
  rawset(self, "_directions", directions)
  -- One layer, one direction, time first: what `forward` does without a detour.
  rawset(self, "_plain", o.num_layers == 1 and directions == 1 and not o.batch_first)
  self:reset_parameters()
end

--- Draw new values, as PyTorch draws them: uniform within 1 / sqrt(hidden_size).
function RNNBase:reset_parameters()
  local bound = 1 / math.sqrt(self.hidden_size)
  local _ <close> = core.no_grad()
  for _, p in ipairs(self:parameters()) do p:uniform_(-bound, bound) end
end

--- Does nothing; for scripts that call it in PyTorch.
function RNNBase:flatten_parameters() end

-- ---- arguments of forward ----------------------------------------------------------

local function expected_input(self)
  local first = self.batch_first and "batch, seq" or "seq, batch"
  return ("expected input (%s, %d) or, without batch, (seq, %d)"):format(first, self.input_size,
    self.input_size)
end

local function list_sizes(t)
  return "(" .. tostring(t.shape):sub(2, -2) .. ")"
end

-- Steps, batch and whether the input has a batch dimension.
local function check_input(self, input)
  if not is_tensor(input) then
    fail("%s: %s, got %s", self.__name, expected_input(self), show(input))
  end
  local dims = input:dim()
  if dims ~= 2 and dims ~= 3 then
    fail("%s: %s, got %s: %d dimensions", self.__name, expected_input(self), list_sizes(input),
      dims)
  end
  if input:size(dims) ~= self.input_size then
    fail("%s: expected input (%s%d), got %s: last size %d is not input_size %d", self.__name,
      dims == 2 and "seq, " or self.batch_first and "batch, seq, " or "seq, batch, ",
      self.input_size, list_sizes(input), input:size(dims), self.input_size)
  end
  if input:numel() == 0 then
    fail("%s: expected at least one step and one sequence, got %s", self.__name, list_sizes(input))
  end
  return dims == 3
end

-- A state tensor as (D num_layers, B, hidden_size).
local function check_state(self, t, name, batch, batched)
  local layers, hidden = #self._layers, self.hidden_size
  local wanted = batched and ("(%d, %d, %d)"):format(layers, batch, hidden)
    or ("(%d, %d)"):format(layers, hidden)
  if not is_tensor(t) then
    fail("%s: expected %s %s, got %s", self.__name, name, wanted, show(t))
  end
  if list_sizes(t) ~= wanted then
    fail("%s: expected %s %s, got %s", self.__name, name, wanted, list_sizes(t))
  end
  return batched and t or t:unsqueeze(2)
end

local function check_states(self, state, batch, batched)
  if state == nil then return nil, nil end
  if self._states == 1 then return check_state(self, state, "h0", batch, batched), nil end
  if type(state) ~= "table" or state[1] == nil or state[2] == nil then
    fail("%s: the state is a table {h, c}, got %s", self.__name, show(state))
  end
  return check_state(self, state[1], "h0", batch, batched),
    check_state(self, state[2], "c0", batch, batched)
end

-- ---- forward -------------------------------------------------------------------------

-- One layer, in each of its directions: its output (N, D H); final states are added
-- to the lists hn and cn.
local function run_layer(self, layer, x, sizes, h0, c0, hn, cn)
  local outputs = {}
  for direction = 1, self._directions do
    local k = (layer - 1) * self._directions + direction
    local names = self._layers[k]
    outputs[direction], hn[k], cn[k] = recurrent(self.mode, x, sizes, h0 and h0[k], c0 and c0[k],
      self[names.weight_ih], self[names.weight_hh], names.bias_ih and self[names.bias_ih],
      names.bias_hh and self[names.bias_hh], names.reverse)
  end
  if self._directions == 1 then return outputs[1] end
  return core.cat(outputs, 2)
end

-- All layers over packed rows x (N, input_size); `sizes` are the batch sizes of the
-- steps, or one integer for all. Gives the output (N, D H) and hn, cn (D num_layers, B, H).
function RNNBase:_run(x, sizes, h0, c0)
  local hn, cn = {}, {}
  for layer = 1, self.num_layers do
    if layer > 1 and self.dropout > 0 and self.training then
      x = core.dropout(x, self.dropout, true)
    end
    x = run_layer(self, layer, x, sizes, h0, c0, hn, cn)
  end
  return x, core.stack(hn, 1), cn[1] and core.stack(cn, 1)
end

local function pack_state(hn, cn)
  if cn then return {hn, cn} end
  return hn
end

-- Any input but the plain one.
local function forward_general(self, input, state)
  local batched = check_input(self, input)
  local x = input
  if not batched then
    x = x:unsqueeze(2)
  elseif self.batch_first then
    x = x:transpose(1, 2)
  end
  local steps, batch = x:size(1), x:size(2)
  local h0, c0 = check_states(self, state, batch, batched)
  local out, hn, cn = self:_run(x:reshape(steps * batch, self.input_size), batch, h0, c0)
  out = out:view(steps, batch, self._directions * self.hidden_size)
  if not batched then
    return out:squeeze(2), pack_state(hn:squeeze(2), cn and cn:squeeze(2))
  end
  if self.batch_first then out = out:transpose(1, 2) end
  return out, pack_state(hn, cn)
end

--- Run over sequences.
---@param input saros.Tensor (T, B, input_size); (B, T, input_size); (T, input_size)
---@param state? saros.Tensor|saros.Tensor[] h0; for an LSTM {h0, c0}; zeros where absent
---@return saros.Tensor output the last layer's output at each step
---@return saros.Tensor|saros.Tensor[] state after the last step: hn, for an LSTM {hn, cn}
function RNNBase:forward(input, state)
  if not (self._plain and state == nil and is_tensor(input) and input:dim() == 3) then
    return forward_general(self, input, state)
  end
  local steps, batch, size = input:size(1), input:size(2), input:size(3)
  if size ~= self.input_size or steps == 0 or batch == 0 then check_input(self, input) end
  local out, hn, cn = recurrent(self.mode, input, nil, nil, nil, self.weight_ih_l0,
    self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0, false)
  return out, cn and {hn, cn} or hn
end

function RNNBase:extra_repr()
  local words = {("%d, %d"):format(self.input_size, self.hidden_size)}
  local function add(name, default)
    if self[name] ~= default then words[#words + 1] = ("%s=%s"):format(name, self[name]) end
  end
  add("num_layers", 1)
  add("bias", true)
  add("batch_first", false)
  add("dropout", 0)
  add("bidirectional", false)
  return table.concat(words, ", ")
end

-- ---- the layers -------------------------------------------------------------------------

--- h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. `local out, hn = rnn(x, h0)`
---@class saros.nn.RNN: saros.nn.RNNBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNOptions): self
local RNN = RNNBase:extend("RNN")
RNN._gates, RNN._states = 1, 1

local read_rnn = signature("nn.RNN", {{"nonlinearity", "string", "tanh"}})

--- Options as saros.nn.RNNOptions, and nonlinearity = "tanh" or "relu".
function RNN:init(...)
  local o = read_rnn(...)
  options.one_of("nn.RNN", "nonlinearity", o.nonlinearity, {"tanh", "relu"})
  self.nonlinearity = o.nonlinearity
  setup(self, o, "rnn_" .. o.nonlinearity)
end

--- Long short-term memory; gate order i, f, g, o. `local out, state = lstm(x, {h0, c0})`
---@class saros.nn.LSTM: saros.nn.RNNBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNOptions): self
local LSTM = RNNBase:extend("LSTM")
LSTM._gates, LSTM._states = 4, 2

local read_lstm = signature("nn.LSTM", {})

function LSTM:init(...) setup(self, read_lstm(...), "lstm") end

--- Gated recurrent unit; gate order r, z, n. `local out, hn = gru(x, h0)`
---@class saros.nn.GRU: saros.nn.RNNBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNOptions): self
local GRU = RNNBase:extend("GRU")
GRU._gates, GRU._states = 3, 1

local read_gru = signature("nn.GRU", {})

function GRU:init(...) setup(self, read_gru(...), "gru") end

return {RNNBase = RNNBase, RNN = RNN, LSTM = LSTM, GRU = GRU}
