-- nn.RNN, nn.LSTM, nn.GRU: layers over whole sequences.
--
-- All three are one class with another mode. A layer with all its directions is one call of
-- core.recurrent; the forms that PyTorch does not have and that change what happens in a
-- step (peepholes, layer normalization, ...) are walked step by step in recurrent_steps.lua.
--
-- Shapes, with D = 2 where bidirectional, else 1, and P = proj_size or hidden_size:
--   input   (T, B, input_size), (B, T, input_size) with batch_first, (T, input_size), or a
--           PackedSequence
--   state   h (D num_layers, B, P), c (D num_layers, B, hidden_size); without batch
--           (D num_layers, P)
--   output  (T, B, D P), batch first, without batch or packed like the input

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"

local Module, Parameter = parts.Module, parts.Parameter
local recurrent, is_tensor = core.recurrent, core.is_tensor
local fail, show, shape_text = options.fail, options.show, options.shape_text

---@class saros.nn.RNNBase: saros.nn.Module
---@field mode string rnn_tanh, rnn_relu, lstm or gru
---@field input_size integer
---@field hidden_size integer
---@field num_layers integer
---@field bias boolean
---@field batch_first boolean
---@field dropout number
---@field bidirectional boolean
---@field proj_size integer 0: none
local RNNBase = Module:extend("RNNBase")

--- Options of PyTorch, then those it does not have.
---@class saros.nn.RNNOptions
---@field num_layers? integer default 1
---@field bias? boolean default true
---@field batch_first? boolean default false: input is (T, B, input_size)
---@field dropout? number default 0: between layers, while training
---@field bidirectional? boolean default false
---@field device? string
---@field dtype? string
---@field layer_norm? boolean default false: normalize the gates' sums, and c (Ba et al., 2016)
---@field recurrent_dropout? number default 0: of h where it meets weight_hh, with one mask for all
--- steps, while training (Gal & Ghahramani, 2016)
---@field zoneout? number|table default 0: probability that a unit of the state keeps its value of
--- the step before; {h = .., c = ..} for an LSTM (Krueger et al., 2017)
---@field learn_initial_state? boolean default false: the state that is used where none is given is
--- a parameter (zeros at first), initial_h, initial_c: (D num_layers, 1, P or hidden_size)

---@class saros.nn.LSTMOptions: saros.nn.RNNOptions
---@field proj_size? integer default 0: h is projected to that many numbers
---@field forget_bias? number bias of the forget gate at first (Jozefowicz et al., 2015)
---@field peepholes? boolean default false: the gates see c (Gers & Schmidhuber, 2000)

---@class saros.nn.GRUOptions: saros.nn.RNNOptions
---@field reset? "after"|"before" default "after": whether the reset gate multiplies what weight_hh
--- gave (PyTorch) or the state before that (Cho et al., 2014)

local shared_fields = {
  {"bias", "boolean", true}, {"batch_first", "boolean", false}, {"dropout", "number", 0.0},
  {"bidirectional", "boolean", false}, {"device", "string?"}, {"dtype", "string?"},
  {"layer_norm", "boolean", false}, {"recurrent_dropout", "number", 0.0},
  {"zoneout", "number|table", 0.0}, {"learn_initial_state", "boolean", false},
}

local function signature(where, first_fields, last_fields)
  local fields = {
    {"input_size", "integer"}, {"hidden_size", "integer"}, {"num_layers", "integer", 1},
  }
  for _, more in ipairs {first_fields, shared_fields, last_fields} do
    table.move(more, 1, #more, #fields + 1, fields)
  end
  return options.signature(where, fields)
end

-- ---- construction -------------------------------------------------------------

local function check_probability(where, name, p)
  if not (type(p) == "number" and p >= 0 and p <= 1) then
    fail("%s: %s should be a probability in range [0, 1], got %s", where, name, show(p))
  end
end

local function check_options(where, o)
  for _, name in ipairs {"input_size", "hidden_size", "num_layers"} do
    if o[name] < 1 then fail("%s: %s must be greater than 0, got %d", where, name, o[name]) end
  end
  if o.num_layers > 1000 then
    fail("%s: num_layers must be at most 1000, got %d", where, o.num_layers)
  end
  check_probability(where, "dropout", o.dropout)
  check_probability(where, "recurrent_dropout", o.recurrent_dropout)
  if o.dropout > 0 and o.num_layers == 1 then
    warn(("%s: dropout works between layers, so it does nothing with num_layers = 1"):format(where))
  end
  local proj_size = o.proj_size or 0
  if proj_size < 0 or proj_size >= o.hidden_size then
    fail("%s: proj_size must be less than hidden_size %d, or 0 for no projection, got %d", where,
      o.hidden_size, proj_size)
  end
end

-- Probabilities {h = .., c = ..} from a number or such a table.
local function read_zoneout(where, given, states)
  if type(given) == "number" then given = {h = given, c = states > 1 and given or nil} end
  if type(given) ~= "table" then
    fail("%s: zoneout must be a number, got %s", where, show(given))
  end
  for name, p in pairs(given) do
    if name ~= "h" and not (name == "c" and states > 1) then
      fail("%s: zoneout has no '%s'; give a number%s", where, tostring(name),
        states > 1 and " or {h = .., c = ..}" or "")
    end
    check_probability(where, "zoneout", p)
  end
  return {h = given.h or 0, c = given.c or 0}
end

-- Names of the parameters of a layer (from 1) and direction, as PyTorch has them (layers from
-- 0), by what they are: names.weight_ih = "weight_ih_l0". Only those that this layer has.
local function parameter_names(self, layer, reverse)
  local tail = ("_l%d%s"):format(layer - 1, reverse and "_reverse" or "")
  local names = {reverse = reverse, order = {}}
  local function add(condition, ...)
    for _, name in ipairs(condition and {...} or {}) do
      names[name] = name .. tail
      table.insert(names.order, name)
    end
  end
  add(true, "weight_ih", "weight_hh")
  add(self.bias, "bias_ih", "bias_hh")
  add(self.proj_size > 0, "weight_hr")
  add(self.peepholes, "weight_peephole")
  add(self.layer_norm, "norm_ih", "norm_hh")
  add(self.layer_norm and self._states > 1, "norm_c", "norm_c_bias")
  return names
end

-- Shapes by name. norm_*: gains of the layer normalization, whose shifts are the biases.
local function parameter_shapes(self, inputs)
  local hidden, width = self.hidden_size, self._gates * self.hidden_size
  local state = self.proj_size > 0 and self.proj_size or hidden
  return {
    weight_ih = {width, inputs}, weight_hh = {width, state}, bias_ih = {width},
    bias_hh = {width}, weight_hr = {state, hidden}, weight_peephole = {3, hidden},
    norm_ih = {width}, norm_hh = {width}, norm_c = {hidden}, norm_c_bias = {hidden},
  }
end

local function add_parameters(self, made)
  local layers = {}
  for layer = 1, self.num_layers do
    local inputs = layer == 1 and self.input_size or self._directions * self._state_size
    for direction = 1, self._directions do
      local names, shapes = parameter_names(self, layer, direction == 2),
        parameter_shapes(self, inputs)
      for _, name in ipairs(names.order) do
        self[names[name]] = Parameter(core.empty(shapes[name], made))
      end
      layers[#layers + 1] = names
    end
  end
  rawset(self, "_layers", layers)
  if not self.learn_initial_state then return end
  self.initial_h = Parameter(core.empty(#layers, 1, self._state_size, made))
  if self._states > 1 then
    self.initial_c = Parameter(core.empty(#layers, 1, self.hidden_size, made))
  end
end

-- Called by the classes below with what their signature read.
local function setup(self, o, mode)
  local where = "nn." .. self.__name
  check_options(where, o)
  self.mode = mode
  self.input_size, self.hidden_size, self.num_layers = o.input_size, o.hidden_size, o.num_layers
  self.bias, self.batch_first = o.bias, o.batch_first
  self.dropout, self.bidirectional = o.dropout, o.bidirectional
  self.proj_size = o.proj_size or 0
  self.layer_norm, self.recurrent_dropout = o.layer_norm, o.recurrent_dropout
  self.zoneout = read_zoneout(where, o.zoneout, self._states)
  self.learn_initial_state = o.learn_initial_state
  self.forget_bias, self.peepholes, self.reset = o.forget_bias, o.peepholes, o.reset
  rawset(self, "_directions", o.bidirectional and 2 or 1)
  rawset(self, "_state_size", self.proj_size > 0 and self.proj_size or o.hidden_size)
  -- One layer in one direction, as fused operation: what `forward` does without a detour.
  rawset(self, "_simple", o.num_layers == 1 and not o.bidirectional and self.proj_size == 0
    and not o.learn_initial_state)
  add_parameters(self, {device = o.device, dtype = o.dtype})
  self:reset_parameters()
end

-- The forget gate's rows of the biases: together forget_bias.
local function set_forget_bias(self)
  local hidden = self.hidden_size
  for _, names in ipairs(self._layers) do
    self[names.bias_ih]:narrow(1, hidden + 1, hidden):fill_(self.forget_bias)
    self[names.bias_hh]:narrow(1, hidden + 1, hidden):fill_(0)
  end
end

--- Draw new values, as PyTorch draws them: uniform within 1 / sqrt(hidden_size). Gains of
--- layer normalization are 1, learned initial states 0.
function RNNBase:reset_parameters()
  local bound = 1 / math.sqrt(self.hidden_size)
  local _ <close> = core.no_grad()
  for name, p in self:named_parameters() do
    if name:find("^initial_") or name:find("^norm_c_bias") then
      p:fill_(0)
    elseif name:find("^norm_") then
      p:fill_(1)
    else
      p:uniform_(-bound, bound)
    end
  end
  if self.forget_bias then set_forget_bias(self) end
end

--- Does nothing; for scripts that call it in PyTorch.
function RNNBase:flatten_parameters() end

-- ---- arguments of forward ----------------------------------------------------------

local function expected_input(self)
  local first = self.batch_first and "batch, seq" or "seq, batch"
  return ("expected input (%s, %d) or, without batch, (seq, %d)"):format(first, self.input_size,
    self.input_size)
end

local function is_packed(value)
  return type(value) == "table" and require("saros.nn.packed_sequence").is_packed(value)
end

local function check_last_size(self, input, dims)
  if input:size(-1) == self.input_size then return end
  local names = {"seq, ", self.batch_first and "batch, seq, " or "seq, batch, "}
  fail("%s: expected input (%s%d), got %s: last size %d is not input_size %d", self.__name,
    dims and names[dims - 1] or "rows, ", self.input_size, shape_text(input), input:size(-1),
    self.input_size)
end

-- Whether the input has a batch dimension.
local function check_input(self, input)
  if not is_tensor(input) then
    fail("%s: %s, got %s", self.__name, expected_input(self), show(input))
  end
  local dims = input:dim()
  if dims ~= 2 and dims ~= 3 then
    fail("%s: %s, got %s: %d dimensions", self.__name, expected_input(self), shape_text(input),
      dims)
  end
  check_last_size(self, input, dims)
  if input:size(dims == 3 and self.batch_first and 2 or 1) == 0 then
    fail("%s: expected at least one step, got %s", self.__name, shape_text(input))
  end
  return dims == 3
end

-- A state tensor as (D num_layers, B, size).
local function check_state(self, t, name, size, batch, batched)
  local layers = #self._layers
  local wanted = batched and ("(%d, %d, %d)"):format(layers, batch, size)
    or ("(%d, %d)"):format(layers, size)
  if not is_tensor(t) then
    fail("%s: expected %s %s, got %s", self.__name, name, wanted, show(t))
  end
  if shape_text(t) ~= wanted then
    fail("%s: expected %s %s, got %s", self.__name, name, wanted, shape_text(t))
  end
  return batched and t or t:unsqueeze(2)
end

-- h0 and c0 as (D num_layers, B, ..), nil for zeros.
local function check_states(self, state, batch, batched)
  if state == nil then
    if not self.learn_initial_state then return nil, nil end
    return self.initial_h:expand(-1, batch, -1),
      self.initial_c and self.initial_c:expand(-1, batch, -1)
  end
  if self._states == 1 then
    return check_state(self, state, "h0", self._state_size, batch, batched), nil
  end
  if type(state) ~= "table" or state[1] == nil or state[2] == nil then
    fail("%s: the state is a table {h, c}, got %s", self.__name, show(state))
  end
  return check_state(self, state[1], "h0", self._state_size, batch, batched),
    check_state(self, state[2], "c0", self.hidden_size, batch, batched)
end

-- ---- forward -------------------------------------------------------------------------

-- The parameters of direction k (of all layers) as core.recurrent takes them.
local function weights_of(self, k)
  local names = self._layers[k]
  return self[names.weight_ih], self[names.weight_hh], names.bias_ih and self[names.bias_ih],
    names.bias_hh and self[names.bias_hh], names.weight_hr and self[names.weight_hr]
end

-- One layer in all its directions as one operation. x: (N, I) with the batch sizes of the
-- steps, or (T, B, I) and nil. Gives output, hn (D, B, P), cn and, asked for, the cells.
local function fused_layer(self, layer, x, sizes, batch, h0, c0, cells)
  local k = (layer - 1) * self._directions + 1
  local a, b, c, d, e = weights_of(self, k)
  if self._directions == 1 then
    return recurrent(self.mode, x, sizes, batch, h0, c0, cells, a, b, c, d, e)
  end
  return recurrent(self.mode, x, sizes, batch, h0, c0, cells, a, b, c, d, e,
    weights_of(self, k + 1))
end

-- Does an option ask for what the fused operation does not have? They may be changed later.
local function is_stepwise(self)
  local zoneout = self.zoneout
  if type(zoneout) ~= "table" then
    zoneout = read_zoneout(self.__name, zoneout, self._states)
    self.zoneout = zoneout
  end
  return zoneout.h > 0 or zoneout.c > 0 or self.layer_norm or self.peepholes
    or self.reset == "before" or (self.recurrent_dropout > 0 and self.training)
end

local function layer_function(self)
  return is_stepwise(self) and require "saros.nn.recurrent_steps" or fused_layer
end

-- The states of one layer, (D, B, ..), of those of all.
local function part_of(self, state, layer)
  if not state or self.num_layers == 1 then return state end
  return state:narrow(1, (layer - 1) * self._directions + 1, self._directions)
end

local function joined(states)
  return #states > 1 and core.cat(states, 1) or states[1]
end

-- All layers over x, see fused_layer. h0, c0, hn, cn: (D num_layers, B, ..).
local function run_layers(self, x, sizes, batch, h0, c0, want_cells)
  local hn, cn, run = {}, {}, layer_function(self)
  local cells
  for layer = 1, self.num_layers do
    if layer > 1 and self.dropout > 0 and self.training then
      x = core.dropout(x, self.dropout, true)
    end
    local wanted = want_cells and layer == self.num_layers
    if self._states == 1 then
      x, hn[layer] = run(self, layer, x, sizes, batch, part_of(self, h0, layer))
    else
      x, hn[layer], cn[layer], cells = run(self, layer, x, sizes, batch, part_of(self, h0, layer),
        part_of(self, c0, layer), wanted)
    end
  end
  return x, joined(hn), joined(cn), cells
end

local function pack_state(hn, cn)
  if cn then return {hn, cn} end
  return hn
end

-- With the sequences in another order.
local function reordered(state, indices)
  return state and indices and state:index_select(2, indices) or state
end

local function forward_packed(self, packed, state, cells)
  local x, batch = packed.data, packed.batch
  if x:dim() ~= 2 then
    fail("%s: expected packed data (rows, %d), got %s", self.__name, self.input_size,
      shape_text(x))
  end
  check_last_size(self, x)
  local h0, c0 = check_states(self, state, batch, true)
  if state then
    h0, c0 = reordered(h0, packed.sorted_indices), reordered(c0, packed.sorted_indices)
  end
  local out, hn, cn, c = run_layers(self, x, packed.batch_sizes, batch, h0, c0, cells)
  hn, cn = reordered(hn, packed.unsorted_indices), reordered(cn, packed.unsorted_indices)
  local function same_structure(data) return packed:apply(function() return data end) end
  return same_structure(out), pack_state(hn, cn), c and same_structure(c)
end

-- Any input but the plain one.
local function forward_general(self, input, state, cells)
  if is_packed(input) then return forward_packed(self, input, state, cells) end
  local batched = check_input(self, input)
  local x = input
  if not batched then
    x = x:unsqueeze(2)
  elseif self.batch_first then
    x = x:transpose(1, 2)
  end
  local h0, c0 = check_states(self, state, x:size(2), batched)
  local out, hn, cn, c = run_layers(self, x, nil, nil, h0, c0, cells)
  if not batched then
    return out:squeeze(2), pack_state(hn:squeeze(2), cn and cn:squeeze(2)), c and c:squeeze(2)
  end
  if self.batch_first then out, c = out:transpose(1, 2), c and c:transpose(1, 2) end
  return out, pack_state(hn, cn), c
end

local function wants_cells(self, given)
  if given == nil then return false end
  if is_tensor(given) then
    fail("%s: the state is %s, one argument", self.__name, self._states > 1 and "a table {h, c}"
      or "a tensor")
  end
  local cells = options.signature(self.__name, {{"cells", "boolean", false}})(given).cells
  if cells and self._states == 1 then fail("%s: has no cell state to return", self.__name) end
  return cells
end

--- Run over sequences.
---@param input saros.Tensor|saros.nn.PackedSequence (T, B, input_size); (B, T, input_size) with
--- batch_first; (T, input_size)
---@param state? saros.Tensor|saros.Tensor[] h0; for an LSTM {h0, c0}; zeros where absent
---@param opts? {cells?: boolean} cells = true: an LSTM also gives its c after each step
---@return saros.Tensor|saros.nn.PackedSequence output the last layer's output at each step
---@return saros.Tensor|saros.Tensor[] state after the last step: hn, for an LSTM {hn, cn}
---@return saros.Tensor|saros.nn.PackedSequence|nil cells of the last layer, as the output
function RNNBase:forward(input, state, opts)
  if not (self._simple and state == nil and opts == nil and is_tensor(input)
          and input:dim() == 3 and not self.batch_first and not is_stepwise(self)) then
    return forward_general(self, input, state, wants_cells(self, opts))
  end
  local steps, _, size = input:size(1), input:size(2), input:size(3)
  if size ~= self.input_size or steps == 0 then check_input(self, input) end
  local out, hn, cn = recurrent(self.mode, input, nil, nil, nil, nil, false, self.weight_ih_l0,
    self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0)
  return out, cn and {hn, cn} or hn
end

local function show_zoneout(z)
  if type(z) ~= "table" then return z end
  if z.c == 0 or z.c == z.h then return z.h end
  return ("{h=%s, c=%s}"):format(z.h, z.c)
end

function RNNBase:extra_repr()
  local words = {("%d, %d"):format(self.input_size, self.hidden_size)}
  local function add(name, default, value)
    if value == nil then value = self[name] end
    if value ~= nil and value ~= default then words[#words + 1] = ("%s=%s"):format(name, value) end
  end
  add("num_layers", 1)
  add("bias", true)
  add("batch_first", false)
  add("dropout", 0)
  add("bidirectional", false)
  add("proj_size", 0)
  add("nonlinearity", "tanh")
  add("layer_norm", false)
  add("recurrent_dropout", 0)
  add("zoneout", 0, show_zoneout(self.zoneout))
  add("learn_initial_state", false)
  add("forget_bias")
  add("peepholes", false)
  add("reset", "after")
  return table.concat(words, ", ")
end

-- ---- the layers -------------------------------------------------------------------------

--- h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. `local out, hn = rnn(x, h0)`
---@class saros.nn.RNN: saros.nn.RNNBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNOptions): self
local RNN = RNNBase:extend("RNN")
RNN._gates, RNN._states = 1, 1

local read_rnn = signature("nn.RNN", {{"nonlinearity", "string", "tanh"}}, {})

--- Options as saros.nn.RNNOptions, and nonlinearity = "tanh" or "relu".
function RNN:init(...)
  local o = read_rnn(...)
  options.one_of("nn.RNN", "nonlinearity", o.nonlinearity, {"tanh", "relu"})
  self.nonlinearity = o.nonlinearity
  setup(self, o, "rnn_" .. o.nonlinearity)
end

--- Long short-term memory; gate order i, f, g, o. `local out, state = lstm(x, {h0, c0})`
---@class saros.nn.LSTM: saros.nn.RNNBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.LSTMOptions): self
local LSTM = RNNBase:extend("LSTM")
LSTM._gates, LSTM._states = 4, 2

local read_lstm = signature("nn.LSTM", {},
  {{"proj_size", "integer", 0}, {"forget_bias", "number?"}, {"peepholes", "boolean", false}})

--- Options as saros.nn.LSTMOptions.
function LSTM:init(...)
  local o = read_lstm(...)
  if o.forget_bias and not o.bias then
    fail("nn.LSTM: forget_bias needs bias = true")
  end
  setup(self, o, "lstm")
end

--- Gated recurrent unit; gate order r, z, n. `local out, hn = gru(x, h0)`
---@class saros.nn.GRU: saros.nn.RNNBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.GRUOptions): self
local GRU = RNNBase:extend("GRU")
GRU._gates, GRU._states = 3, 1

local read_gru = signature("nn.GRU", {}, {{"reset", "string", "after"}})

--- Options as saros.nn.GRUOptions.
function GRU:init(...)
  local o = read_gru(...)
  options.one_of("nn.GRU", "reset", o.reset, {"after", "before"})
  setup(self, o, "gru")
end

return {RNNBase = RNNBase, RNN = RNN, LSTM = LSTM, GRU = GRU}
