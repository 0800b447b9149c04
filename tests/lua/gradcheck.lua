--- Gradients against central finite differences in float64.
local saros = require "saros"

local gradcheck = {}

local STEP, TOLERANCE = 1e-6, 1e-6

---The inputs again: each as it is, as a transposed view, and as every second column of a
---wider tensor, so that strides other than dense ones are seen.
---@param x userdata a dense float64 tensor
---@return userdata[] the same values in several layouts
function gradcheck.layouts(x)
  local list = {x}
  if x.ndim >= 2 then
    list[#list + 1] = x:transpose(-1, -2):contiguous():transpose(-1, -2)
    local shape = {table.unpack(x.shape)}
    shape[#shape] = 2 * shape[#shape]
    local wide = saros.zeros(shape, {dtype = "float64"})
    local key = {}
    for d = 1, #shape - 1 do key[d] = {} end
    key[#shape] = {1, -1, 2}
    wide[key] = x
    list[#list + 1] = wide[key]
  end
  return list
end

local function random_like(x, seed)
  return saros.empty(x.shape, {dtype = "float64"})
      :uniform_(-1, 1, {generator = saros.Generator():manual_seed(seed)})
end

-- f(inputs) contracted with fixed random cotangents, so that every output counts.
local function contract(f, inputs)
  local outputs = {f(table.unpack(inputs))}
  local total = 0
  for i, y in ipairs(outputs) do
    if y.dtype == "float64" then total = total + (y * random_like(y, i)):sum() end
  end
  return total
end

---Raises unless the gradients of f agree with finite differences, element by element.
---@param name string for the message
---@param f fun(...): userdata
---@param inputs userdata[] float64 tensors; each gets a gradient
function gradcheck.check(name, f, inputs)
  local leaves = {}
  for i, x in ipairs(inputs) do leaves[i] = x:detach():requires_grad_() end
  local loss = contract(f, leaves)
  local grads = {saros.grad(loss, leaves, {allow_unused = true})}
  for i = 1, #leaves do
    local dense = leaves[i]:detach():clone()
    local flat = dense:view(-1)
    local analytic = grads[i] and grads[i]:contiguous():view(-1):totable() or {}
    local function value()
      local moved = {}
      for k = 1, #leaves do moved[k] = leaves[k]:detach() end
      moved[i] = dense
      return saros.no_grad(function() return contract(f, moved):item() end)
    end
    for k = 1, flat:numel() do
      local at = flat[k]:item()
      flat[k] = at + STEP
      local up = value()
      flat[k] = at - STEP
      local down = value()
      flat[k] = at
      local numeric = (up - down) / (2 * STEP)
      local found = analytic[k] or 0
      local close = math.abs(numeric - found) <= TOLERANCE * (1 + math.abs(numeric))
      if not close then -- also where one of them is NaN
        error(string.format("%s: gradient of input %d, element %d: %.9g, finite difference %.9g",
                            name, i, k, found, numeric), 2)
      end
    end
  end
end

---The same for a function of tensors that it holds, a module's parameters, say: along two
---random directions in each of them, in which all elements move together.
---@param name string for the message
---@param f fun(): userdata
---@param held userdata[] float64 tensors that f uses; each gets a gradient
function gradcheck.check_held(name, f, held)
  for _, x in ipairs(held) do x:requires_grad_() end
  local gradients = {saros.grad(contract(f, {}), held, {allow_unused = true})}
  local function loss() return contract(f, {}):item() end
  for i, x in ipairs(held) do
    for seed = 1, 2 do
      local direction, values = random_like(x, seed), x:detach():clone()
      local found = gradients[i] and (gradients[i] * direction):sum():item() or 0
      local numeric = saros.no_grad(function()
        x:copy_(values + direction * STEP)
        local up = loss()
        x:copy_(values - direction * STEP)
        local down = loss()
        x:copy_(values)
        return (up - down) / (2 * STEP)
      end)
      local close = math.abs(numeric - found) <= TOLERANCE * (1 + math.abs(numeric))
      if not close then -- also where one of them is NaN
        error(string.format("%s: derivative of input %d in direction %d: %.9g, finite "
          .. "difference %.9g", name, i, seed, found, numeric), 2)
      end
    end
  end
end

---check() for every layout of every input in turn.
function gradcheck.check_layouts(name, f, inputs)
  gradcheck.check(name, f, inputs)
  for i, x in ipairs(inputs) do
    for l, layout in ipairs(gradcheck.layouts(x)) do
      if l > 1 then
        local moved = {table.unpack(inputs)}
        moved[i] = layout
        gradcheck.check(name .. " (layout " .. l .. " of input " .. i .. ")", f, moved)
      end
    end
  end
end

return gradcheck
