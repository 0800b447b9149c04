-- nn.RNNCell, nn.LSTMCell, nn.GRUCell: one step of a recurrent layer, for loops that one
-- writes oneself. A cell is a layer that runs over a single step.

local core = require "saros.core"
local options = require "saros.options"
local parts = require "saros.nn.module"

local Module, Parameter = parts.Module, parts.Parameter
local recurrent, is_tensor = core.recurrent, core.is_tensor
local fail, show, shape_text = options.fail, options.show, options.shape_text

---@class saros.nn.RNNCellBase: saros.nn.Module
---@field input_size integer
---@field hidden_size integer
---@field bias boolean
---@field weight_ih saros.Tensor (G hidden_size, input_size); G gates: 1, LSTM 4, GRU 3
---@field weight_hh saros.Tensor (G hidden_size, hidden_size)
---@field bias_ih? saros.Tensor (G hidden_size)
---@field bias_hh? saros.Tensor (G hidden_size)
local RNNCellBase = Module:extend("RNNCellBase")

---@class saros.nn.RNNCellOptions
---@field bias? boolean default true
---@field device? string
---@field dtype? string

local function signature(where, fields)
  local all = {{"input_size", "integer"}, {"hidden_size", "integer"}, {"bias", "boolean", true}}
  table.move(fields, 1, #fields, #all + 1, all)
  table.move({{"device", "string?"}, {"dtype", "string?"}}, 1, 2, #all + 1, all)
  return options.signature(where, all)
end

local function setup(self, o, mode)
  for _, name in ipairs {"input_size", "hidden_size"} do
    if o[name] < 1 then
      fail("nn.%s: %s must be greater than 0, got %d", self.__name, name, o[name])
    end
  end
  self.mode, self.input_size, self.hidden_size = mode, o.input_size, o.hidden_size
  self.bias = o.bias
  local rows, made = self._gates * o.hidden_size, {device = o.device, dtype = o.dtype}
  self.weight_ih = Parameter(core.empty(rows, o.input_size, made))
  self.weight_hh = Parameter(core.empty(rows, o.hidden_size, made))
  if o.bias then
    self.bias_ih = Parameter(core.empty(rows, made))
    self.bias_hh = Parameter(core.empty(rows, made))
  end
  self:reset_parameters()
end

--- Draw new values, as PyTorch draws them: uniform within 1 / sqrt(hidden_size).
function RNNCellBase:reset_parameters()
  local bound = 1 / math.sqrt(self.hidden_size)
  local _ <close> = core.no_grad()
  for _, p in ipairs(self:parameters()) do p:uniform_(-bound, bound) end
end

-- Whether the input has a batch dimension.
local function check_input(self, input)
  local dims = is_tensor(input) and input:dim()
  if (dims ~= 1 and dims ~= 2) or input:size(-1) ~= self.input_size then
    fail("%s: expected input (batch, %d) or (%d), got %s", self.__name, self.input_size,
      self.input_size, is_tensor(input) and shape_text(input) or show(input))
  end
  return dims == 2
end

-- A state, (B, H) or (H), as (1, B, H); nil for zeros.
local function check_state(self, t, name, input, batched)
  if t == nil then return nil end
  local wanted = batched and ("(%d, %d)"):format(input:size(1), self.hidden_size)
    or ("(%d)"):format(self.hidden_size)
  local got = is_tensor(t) and shape_text(t) or show(t)
  if got ~= wanted then fail("%s: expected %s %s, got %s", self.__name, name, wanted, got) end
  return t:view(1, -1, self.hidden_size)
end

-- h' and c' of one step.
local function run(self, input, h, c)
  local batched = check_input(self, input)
  h = check_state(self, h, "h0", input, batched)
  c = check_state(self, c, "c0", input, batched)
  local _, hn, cn = recurrent(self.mode, input:view(1, -1, self.input_size), nil, nil, h, c, false,
    self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
  if batched then return hn[1], cn and cn[1] end
  return hn:view(-1), cn and cn:view(-1)
end

--- One step.
---@param input saros.Tensor (B, input_size) or (input_size)
---@param h? saros.Tensor (B, hidden_size) or (hidden_size); zeros where absent
---@return saros.Tensor h after the step
function RNNCellBase:forward(input, h) return (run(self, input, h)) end

function RNNCellBase:extra_repr()
  local words = ("%d, %d"):format(self.input_size, self.hidden_size)
  if not self.bias then words = words .. ", bias=false" end
  if self.nonlinearity == "relu" then words = words .. ", nonlinearity=relu" end
  return words
end

--- h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it.
---@class saros.nn.RNNCell: saros.nn.RNNCellBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNCellOptions): self
local RNNCell = RNNCellBase:extend("RNNCell")
RNNCell._gates = 1

local read_rnn = signature("nn.RNNCell", {{"nonlinearity", "string", "tanh"}})

--- Options as saros.nn.RNNCellOptions, and nonlinearity = "tanh" or "relu".
function RNNCell:init(...)
  local o = read_rnn(...)
  options.one_of("nn.RNNCell", "nonlinearity", o.nonlinearity, {"tanh", "relu"})
  self.nonlinearity = o.nonlinearity
  setup(self, o, "rnn_" .. o.nonlinearity)
end

--- Long short-term memory; gate order i, f, g, o. `local h, c = cell(x, {h, c})`
---@class saros.nn.LSTMCell: saros.nn.RNNCellBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNCellOptions): self
local LSTMCell = RNNCellBase:extend("LSTMCell")
LSTMCell._gates = 4

local read_lstm = signature("nn.LSTMCell", {})

function LSTMCell:init(...) setup(self, read_lstm(...), "lstm") end

--- One step.
---@param input saros.Tensor (B, input_size) or (input_size)
---@param state? saros.Tensor[] {h, c}, each (B, hidden_size) or (hidden_size); zeros where absent
---@return saros.Tensor h, saros.Tensor c after the step
function LSTMCell:forward(input, state)
  if state ~= nil and (type(state) ~= "table" or state[1] == nil or state[2] == nil) then
    fail("LSTMCell: the state is a table {h, c}, got %s", show(state))
  end
  return run(self, input, state and state[1], state and state[2])
end

--- Gated recurrent unit; gate order r, z, n.
---@class saros.nn.GRUCell: saros.nn.RNNCellBase
---@overload fun(input_size: integer, hidden_size: integer, options?: saros.nn.RNNCellOptions): self
local GRUCell = RNNCellBase:extend("GRUCell")
GRUCell._gates = 3

local read_gru = signature("nn.GRUCell", {})

function GRUCell:init(...) setup(self, read_gru(...), "gru") end

return {RNNCellBase = RNNCellBase, RNNCell = RNNCell, LSTMCell = LSTMCell, GRUCell = GRUCell}
