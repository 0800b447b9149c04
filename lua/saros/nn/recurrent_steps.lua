-- A recurrent layer step by step, as a composition of operations on tensors: for the forms of
-- the step that the fused operation (core.recurrent) does not have. What it gives for the
-- plain forms is equal; nn.RNN, nn.LSTM and nn.GRU call it where an option asks for it.
--
-- Notation of a step, rows being the B sequences that are still running:
--   x, h, c   sums W_ih x of all inputs (B, G H) and states (B, P), (B, H) before the step
--   u         sums W_hh h (B, G H), with recurrent dropout W_hh (mask * h)
-- and with layer normalization LN(x) and LN(u) take the places of x and u: the normalized
-- sums times a gain; the biases are the shifts.

local core = require "saros.core"

local cat, linear = core.cat, core.linear

-- ---- gates, as the formulas have them -----------------------------------------------------

local gates = {}

-- h' = tanh(x + u)
local function simple(activation)
  return function(_, _, x, u) return core[activation](x + u) end
end
gates.rnn_tanh, gates.rnn_relu = simple("tanh"), simple("relu")

-- i, f = sigmoid(..), g = tanh(..), c' = f c + i g, o = sigmoid(..), h' = o tanh(c').
-- Peepholes p: i and f also see p_i c and p_f c, o sees p_o c'. Layer normalization: tanh(LN(c')).
function gates.lstm(self, names, x, u, _, c)
  local sums = x + u
  local i, f, g, o = table.unpack(sums:chunk(4, 2))
  local peephole = names.weight_peephole and self[names.weight_peephole]
  if peephole then i, f = i + peephole[1] * c, f + peephole[2] * c end
  c = f:sigmoid() * c + i:sigmoid() * g:tanh()
  if peephole then o = o + peephole[3] * c end
  local shown = c
  if names.norm_c then
    shown = core.layer_norm(c, {self.hidden_size}, self[names.norm_c], self[names.norm_c_bias])
  end
  return o:sigmoid() * shown:tanh(), c
end

-- r, z = sigmoid(..), n = tanh(x_n + r u_n), h' = (1 - z) n + z h
function gates.gru(_, _, x, u, h)
  local x_r, x_z, x_n = table.unpack(x:chunk(3, 2))
  local u_r, u_z, u_n = table.unpack(u:chunk(3, 2))
  local r, z = (x_r + u_r):sigmoid(), (x_z + u_z):sigmoid()
  local n = (x_n + r * u_n):tanh()
  return n + z * (h - n)
end

-- ---- sums -----------------------------------------------------------------------------------

local function parameter(self, names, name)
  return names[name] and self[names[name]]
end

-- x W^T + b, with layer normalization gain * normalized(x W^T) + b.
local function sums(self, names, side, x)
  local weight, bias = self[names["weight_" .. side]], parameter(self, names, "bias_" .. side)
  local gain = parameter(self, names, "norm_" .. side)
  if not gain then return linear(x, weight, bias) end
  return core.layer_norm(linear(x, weight), {weight:size(1)}, gain, bias)
end

-- A GRU whose reset gate comes before weight_hh: the sums of n are of r * h.
local function gru_reset_before(self, names, x, h, seen)
  local hidden = self.hidden_size
  local weight, bias = self[names.weight_hh], parameter(self, names, "bias_hh")
  local gain = parameter(self, names, "norm_hh")
  local function part(first, count, input)
    local own_bias = bias and bias:narrow(1, first + 1, count)
    local u = linear(input, weight:narrow(1, first + 1, count), not gain and own_bias or nil)
    if not gain then return u end
    return core.layer_norm(u, {count}, gain:narrow(1, first + 1, count), own_bias)
  end
  local x_rz, x_n = x:narrow(2, 1, 2 * hidden), x:narrow(2, 2 * hidden + 1, hidden)
  local r, z = table.unpack((x_rz + part(0, 2 * hidden, seen)):sigmoid():chunk(2, 2))
  local n = (x_n + part(2 * hidden, hidden, r * seen)):tanh()
  return n + z * (h - n)
end

-- ---- zoneout ----------------------------------------------------------------------------------

-- While training each unit keeps its old value with probability p; then, the expected value.
local function zoned(p, training, before, after)
  if p == 0 then return after end
  if not training then return after + p * (before - after) end
  local keep = core.rand(after.shape, {dtype = after.dtype, device = after.device}):lt(p)
  return core.where(keep, before, after)
end

-- ---- one step -----------------------------------------------------------------------------------

local function step(self, names, x, h, c, mask)
  local seen = mask and h * mask or h -- by weight_hh
  local new_h, new_c
  if self.reset == "before" then
    new_h = gru_reset_before(self, names, x, h, seen)
  else
    new_h, new_c = gates[self.mode](self, names, x, sums(self, names, "hh", seen), h, c)
  end
  if names.weight_hr then new_h = linear(new_h, self[names.weight_hr]) end
  new_h = zoned(self.zoneout.h, self.training, h, new_h)
  return new_h, new_c and zoned(self.zoneout.c, self.training, c, new_c)
end

-- ---- one direction ----------------------------------------------------------------------------

-- Batch sizes as a list; of (T, B, I), B at each step.
local function list_of_sizes(x, sizes)
  if sizes then return sizes:totable() end
  local list = {}
  for t = 1, x:size(1) do list[t] = x:size(2) end
  return list
end

local function rows(state, first, last)
  return state and state:narrow(1, first, last - first + 1)
end

-- The rows of `states` one after the other, in place of which there may be nil.
local function stacked(states)
  if #states == 0 then return nil end
  return #states > 1 and cat(states, 1) or states[1]
end

-- Time forward: the shortest sequences end first, their states are set aside.
local function walk_forward(sizes, h, c, advance)
  local ended_h, ended_c = {}, {}
  local function set_aside(n)
    if n >= h:size(1) then return end
    table.insert(ended_h, 1, rows(h, n + 1, h:size(1)))
    if c then table.insert(ended_c, 1, rows(c, n + 1, c:size(1))) end
    h, c = rows(h, 1, n), rows(c, 1, n)
  end
  for t = 1, #sizes do
    set_aside(sizes[t])
    h, c = advance(t, h, c)
  end
  table.insert(ended_h, 1, h)
  if c then table.insert(ended_c, 1, c) end
  return stacked(ended_h), stacked(ended_c)
end

-- Time backward: the longest begin first, the others join with their initial states.
local function walk_backward(sizes, h0, c0, advance)
  local h, c = rows(h0, 1, 0), rows(c0, 1, 0)
  local function join(n)
    local count = h:size(1)
    if n <= count then return end
    h = count == 0 and rows(h0, 1, n) or cat({h, rows(h0, count + 1, n)}, 1)
    if c then c = count == 0 and rows(c0, 1, n) or cat({c, rows(c0, count + 1, n)}, 1) end
  end
  for t = #sizes, 1, -1 do
    join(sizes[t])
    h, c = advance(t, h, c)
  end
  join(h0:size(1))
  return h, c
end

-- Packed rows x (N, I) through direction k: outputs and cells as rows, hn (B, P), cn (B, H).
local function run_direction(self, k, x, sizes, h0, c0)
  local names, batch = self._layers[k], h0:size(1)
  local x_sums, offsets, outputs, cells = sums(self, names, "ih", x), {}, {}, {}
  local mask
  if self.recurrent_dropout > 0 and self.training then
    local ones = core.ones(batch, self._state_size, {dtype = x.dtype, device = x.device})
    mask = core.dropout(ones, self.recurrent_dropout, true)
  end
  local offset = 0
  for t, size in ipairs(sizes) do offsets[t], offset = offset, offset + size end
  local function advance(t, h, c)
    local new_h, new_c = step(self, names, x_sums:narrow(1, offsets[t] + 1, sizes[t]), h, c,
      rows(mask, 1, sizes[t]))
    outputs[t], cells[t] = new_h, new_c
    return new_h, new_c
  end
  local walk = names.reverse and walk_backward or walk_forward
  local hn, cn = walk(sizes, h0, c0, advance)
  return stacked(outputs) or rows(hn, 1, 0), hn, stacked(cells), cn
end

-- ---- one layer --------------------------------------------------------------------------------

local function zeros(self, x, batch, size)
  return core.zeros(self._directions, batch, size, {dtype = x.dtype, device = x.device})
end

-- Outputs of the directions side by side, in the shape of the input.
local function side_by_side(list, x, padded)
  local all = #list > 1 and cat(list, 2) or list[1]
  return padded and all:view(x:size(1), x:size(2), all:size(2)) or all
end

--- A layer in all its directions: arguments and results as fused_layer in recurrent.lua has them.
return function(self, layer, x, sizes, batch, h0, c0, want_cells)
  local padded, input = sizes == nil, x
  if padded then
    batch = x:size(2)
    input = x:reshape(x:size(1) * batch, x:size(3))
  end
  local list = list_of_sizes(x, sizes)
  h0 = h0 or zeros(self, x, batch, self._state_size)
  if self._states > 1 then c0 = c0 or zeros(self, x, batch, self.hidden_size) end
  local outputs, hn, cells, cn = {}, {}, {}, {}
  for direction = 1, self._directions do
    outputs[direction], hn[direction], cells[direction], cn[direction] = run_direction(self,
      (layer - 1) * self._directions + direction, input, list, h0[direction],
      c0 and c0[direction])
  end
  return side_by_side(outputs, x, padded), core.stack(hn, 1), cn[1] and core.stack(cn, 1),
    want_cells and side_by_side(cells, x, padded) or nil
end
