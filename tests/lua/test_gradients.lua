-- Every differentiable operation against float64 finite differences, with broadcast and
-- non-contiguous inputs. The pointwise ones come from the runtime's own list, so a new
-- line of pointwise.def is tested without a change here.
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local core = require "saros.core"
local gradcheck = require "gradcheck"

local generator = saros.Generator():manual_seed(1)

local function random(low, high, ...)
  return saros.empty(..., {dtype = "float64"}):uniform_(low, high, {generator = generator})
end

-- Distinct values a step apart: no ties, no kinks within a finite difference.
local function distinct(...)
  local x = saros.empty(..., {dtype = "float64"})
  local n = x:numel()
  local order = saros.randperm(n, {generator = generator}):double()
  return ((order - (n + 1) / 2) * 0.37 + 0.11):view(x.shape)
end

TestPointwise = {}

-- Parameters where the defaults are refused.
local parameters = {clamp = {-1, 1}}

local function with_parameters(name, f)
  if not parameters[name] then return f end
  return function(...)
    local arguments = {...}
    table.move(parameters[name], 1, #parameters[name], #arguments + 1, arguments)
    return f(table.unpack(arguments))
  end
end

for _, op in ipairs(core.pointwise_operations) do
  if op.differentiable then
    TestPointwise["test_" .. op.name] = function()
      local f = with_parameters(op.name, op.call)
      local function fresh(...) return random(op.low, op.high, ...) end
      if op.arity == 1 then
        gradcheck.check_layouts(op.name, f, {fresh {3, 4}})
        gradcheck.check(op.name .. " of an expanded tensor",
                        function(x) return f(x:expand(3, 4)) end, {fresh {3, 1}})
        return
      end
      gradcheck.check_layouts(op.name, f, {fresh {3, 4}, fresh {3, 4}})
      gradcheck.check(op.name .. " broadcast", f, {fresh {2, 1, 4}, fresh {3, 1}})
      gradcheck.check(op.name .. " with a 0-dimensional tensor", f, {fresh {2, 3}, fresh {}})
      gradcheck.check(op.name .. " by a number", function(x) return f(x, 0.7) end, {fresh {2, 3}})
      gradcheck.check(op.name .. " of a number", function(x) return f(0.7, x) end, {fresh {2, 3}})
    end
    if op.in_place then
      TestPointwise["test_in_place_" .. op.name] = function()
        local f = with_parameters(op.name, core[op.name .. "_"])
        local function changed(x, ...) return f(x * 1, ...) end
        local inputs = {random(op.low, op.high, {3, 4})}
        if op.arity == 2 then inputs[2] = random(op.low, op.high, {4}) end
        gradcheck.check(op.name .. "_", changed, inputs)
      end
    end
  end
end

-- name, function, inputs
local cases = {
  {"sum", function(x) return x:sum() end, distinct {3, 4}},
  {"sum dim", function(x) return x:sum(1), x:sum({1, 3}), x:sum(-1, true) end, distinct {2, 3, 4}},
  {"mean", function(x)
    return x:mean(), x:mean(2), x:mean({1, 2}, {keepdim = true})
  end, distinct {2, 3, 4}},
  {"prod", function(x) return x:prod(), x:prod(2) end, random(0.5, 2, {2, 3})},
  {"prod with zeros", function(x)
    return x:prod(2)
  end, saros.tensor({{1., 0., 2.}, {0., 3., 0.}}, {dtype = "float64"})},
  {"norm", function(x)
    return x:norm(), x:norm(1, 2), x:norm(3, 1), x:norm(math.huge)
  end, distinct {3, 4}},
  {"var", function(x) return x:var(), x:var(1), x:var(2, {correction = 0}) end, distinct {3, 4}},
  {"std", function(x) return x:std(), x:std(1, {keepdim = true}) end, distinct {3, 4}},
  {"logsumexp", function(x) return x:logsumexp(1), x:logsumexp({1, 2}) end, distinct {3, 4}},
  {"amax", function(x) return x:amax(1), x:amin(2, true), x:max(), x:min() end, distinct {3, 4}},
  {"max dim", function(x) return (x:max(1)), (x:min(2)) end, distinct {3, 4}},
  {"cumsum", function(x) return x:cumsum(1), x:cumsum(2) end, distinct {3, 4}},
  {"cumprod", function(x) return x:cumprod(1), x:cumprod(2) end, random(0.5, 2, {3, 4})},
  {"cumprod with zeros", function(x)
    return x:cumprod(2)
  end, saros.tensor({{1.5, 0.0, 2.0, 0.7}, {0.0, 3.0, 0.0, 2.0}, {2.0, 3.0, -1.5, 0.0}},
    {dtype = "float64"})},
  {"sort", function(x) return (x:sort(1)), (x:sort(2, {descending = true})) end, distinct {3, 4}},
  {"topk", function(x)
    return (x:topk(2)), (x:topk(2, {dim = 1, largest = false}))
  end, distinct {3, 4}},
  {"view", function(x)
    return x:contiguous():view(4, 3), x:reshape(2, -1), x:flatten()
  end, distinct {3, 4}},
  {"transpose", function(x)
    return x:transpose(1, 3), x:permute(2, 3, 1), x.T
  end, distinct {2, 3, 4}},
  {"t", function(x) return x:t() end, distinct {3, 4}},
  {"squeeze", function(x) return x:unsqueeze(2):squeeze(), x:unsqueeze(-1) end, distinct {3, 4}},
  {"expand", function(x)
    return x:expand(2, 3, 4), x:unsqueeze(1):expand(5, -1, -1)
  end, distinct {3, 4}},
  {"narrow", function(x)
    return x:narrow(1, 2, 2), x:select(2, 1), x:select(1, -1)
  end, distinct {3, 4}},
  {"tril", function(x) return x:tril(), x:triu(1) end, distinct {2, 3, 4}},
  {"diagonal", function(x) return x:diagonal() end, distinct {3, 4}},
  {"index", function(x)
    return x[1], x[-1], x[{2, 3}], x[{{1, 3, 2}, {}}], x[{{}, -1}]
  end, distinct {3, 4}},
  {"index by tensor", function(x)
    return x[saros.tensor {1, 3, 1}], x[x:gt(0)], x[saros.tensor {true, false, true}]
  end, distinct {3, 4}},
  {"cat", function(x, y)
    return saros.cat({x, y, x}, 1), saros.stack({x, y}, 2)
  end, distinct {3, 4}, distinct {3, 4}},
  {"split", function(x)
    return x:split(2, 1)[2], x:chunk(2, 2)[1], x:unbind(2)[3]
  end, distinct {3, 4}},
  {"flip", function(x)
    return x:flip(1), x:flip({1, 2}), x:roll(1, 2), x:tile(2, 3)
  end, distinct {3, 4}},
  {"clone", function(x) return x:clone(), x:contiguous(), x:to("float64") end, distinct {3, 4}},
  {"assign", function(x, v)
    local y = x * 1
    y[2] = v
    y[{1, {1, 2}}] = 0
    return y
  end, distinct {3, 4}, distinct {4}},
  {"assign by tensors", function(x, v, w)
    local a, b, c = x * 1, x * 2, x * 3
    a[saros.tensor {3, 1}] = w
    a[saros.tensor {2}] = 0.5
    b[saros.tensor {true, false, true}] = v
    c[saros.tensor {{true, false, true, true}, {false, true, false, false},
      {false, false, false, false}}] = v
    return a, b, c
  end, distinct {3, 4}, distinct {4}, distinct {2, 4}},
  {"scatter in place", function(x, v)
    local index = saros.tensor {{1, 2}, {4, 3}}
    return (x * 1):scatter_(2, index, v), (x * 1):scatter_(2, index, 0.5),
      (x * 1):scatter_add_(2, saros.tensor {{1, 1}, {4, 4}}, v)
  end, distinct {3, 4}, distinct {2, 2}},
  {"fill, copy", function(x, v)
    local y, z = x * 1, x * 2
    z:copy_(v)
    y:masked_fill_(y:gt(0), 5)
    return y, z, x:masked_fill(x:lt(0), 1)
  end, distinct {3, 4}, distinct {4}},
  {"clamp by tensors", function(x, low, high)
    return x:clamp(low, high), x:clamp(low), x:clamp {max = high}, (x * 1):clamp_(low, 0.9)
  end, distinct {3, 4}, random(-1, 0, {4}), random(0.1, 1, {3, 1})},
  {"gelu by tanh", function(x) return x:gelu {approximate = "tanh"} end, random(-3, 3, {3, 4})},
  {"where", function(x, y)
    return saros.where(x:gt(0), x, y), saros.where(x:gt(0), y, 1.5)
  end, distinct {3, 4}, distinct {4}},
  {"index_select", function(x)
    return x:index_select(2, saros.tensor {1, 1, -1})
  end, distinct {3, 4}},
  {"gather", function(x) return x:gather(2, saros.tensor {{1, 1}, {4, 2}}) end, distinct {3, 4}},
  {"scatter", function(x, v)
    local index = saros.tensor {{1, 2}, {4, 3}}
    return x:scatter(2, index, v), x:scatter(2, index, 0.5),
      x:scatter_add(2, saros.tensor {{1, 1}, {4, 4}}, v)
  end, distinct {3, 4}, distinct {2, 2}},
  {"embedding", function(w)
    return saros.embedding(w, saros.tensor {{1, 5}, {5, 2}})
  end, distinct {5, 3}},
  {"matmul", function(a, b)
    return a:matmul(b)
  end, random(-1, 1, {2, 1, 3, 4}), random(-1, 1, {3, 4, 2})},
  {"matmul vectors", function(a, b)
    return a:matmul(b), b:t():matmul(a), a:dot(a), a:outer(b[{{}, 1}])
  end, random(-1, 1, {4}), random(-1, 1, {4, 3})},
  {"mm", function(a, b)
    return a:mm(b), a:mv(b[{{}, 1}])
  end, random(-1, 1, {3, 4}), random(-1, 1, {4, 2})},
  {"bmm", function(a, b) return a:bmm(b) end, random(-1, 1, {2, 3, 4}), random(-1, 1, {2, 4, 2})},
  {"einsum", function(a, b)
    return saros.einsum("bij,bjk->bik", a, b), saros.einsum("bij,bjk->ki", a, b),
      saros.einsum("bij->j", a), saros.einsum("...ij,...jk->...k", a, b),
      saros.einsum("b...,b...", a[{ {}, {}, {1, 2} }], b[{ {}, {1, 3} }])
  end, random(-1, 1, {2, 3, 4}), random(-1, 1, {2, 4, 2})},
  {"linear", function(x, w, b)
    return saros.linear(x, w, b), saros.linear(x[1], w), saros.linear(x:transpose(1, 2), w, b)
  end, random(-1, 1, {2, 3, 4}), random(-1, 1, {5, 4}), random(-1, 1, {5})},
  {"softmax", function(x)
    return x:softmax(1), x:softmax(-1), x:log_softmax(2)
  end, random(-2, 2, {2, 3, 4})},
  {"layer_norm", function(x, w, b)
    return saros.layer_norm(x, {4}, w, b)
  end, random(-2, 2, {2, 3, 4}), random(-2, 2, {4}), random(-2, 2, {4})},
  {"batch_norm", function(x, w, b)
    return saros.batch_norm(x, nil, nil, w, b, true)
  end, random(-2, 2, {4, 3}), random(-2, 2, {3}), random(-2, 2, {3})},
  {"batch_norm 3", function(x, w, b)
    return saros.batch_norm(x, nil, nil, w, b, true)
  end, random(-2, 2, {3, 2, 3}), random(-2, 2, {2}), random(-2, 2, {2})},
  {"nll_loss", function(x)
    local target, w = saros.tensor {1, 3, 2}, saros.tensor({0.5, 1.5, 2, 1}, {dtype = "float64"})
    return saros.nll_loss(x, target), saros.nll_loss(x, target, w, "sum"),
      saros.nll_loss(x, target, w),
        saros.nll_loss(x, target, nil, "none", 3)
  end, random(-2, 2, {3, 4})},
  {"cross_entropy", function(x)
    local target = saros.tensor {1, 3, 2}
    return saros.cross_entropy(x, target), saros.cross_entropy(x, target, nil, "mean", 1, 0.1)
  end, random(-2, 2, {3, 4})},
  {"cross_entropy of probabilities", function(x, p)
    return saros.cross_entropy(x, p:softmax(-1))
  end, random(-2, 2, {3, 4}), random(-1, 1, {3, 4})},
  {"mse_loss", function(x, y)
    return saros.mse_loss(x, y), saros.mse_loss(x, y, "sum"), saros.mse_loss(x, y, "none")
  end, distinct {3, 4}, random(-1, 1, {3, 4})},
  {"l1_loss", function(x, y)
    return saros.l1_loss(x, y), saros.smooth_l1_loss(x, y), saros.smooth_l1_loss(x, y, "sum", 0.3)
  end, distinct {3, 4}, random(-0.05, 0.05, {3, 4})},
  {"binary_cross_entropy", function(x, y)
    return saros.binary_cross_entropy(x, y)
  end, random(0.1, 0.9, {3, 4}), random(0.1, 0.9, {3, 4})},
  {"binary_cross_entropy_with_logits", function(x, y)
    local w = saros.tensor({0.5, 1.5, 2, 1}, {dtype = "float64"})
    return saros.binary_cross_entropy_with_logits(x, y),
      saros.binary_cross_entropy_with_logits(x, y, w, nil, "sum"),
        saros.binary_cross_entropy_with_logits(x, y, nil, w)
  end, random(-2, 2, {3, 4}), random(0.1, 0.9, {3, 4})},
}

TestOperations = {}

for _, case in ipairs(cases) do
  TestOperations["test_" .. case[1]:gsub("%W", "_")] = function()
    gradcheck.check_layouts(case[1], case[2], {table.unpack(case, 3)})
  end
end

-- PyTorch's rule for max(): NaN is the largest and the smallest element.
function TestOperations.test_amax_of_nan()
  local function grad(name, values)
    local x = saros.tensor(values, {requires_grad = true})
    x[name](x):backward()
    return x.grad:totable()
  end
  local nan = 0 / 0
  for _, name in ipairs {"max", "min", "amax", "amin"} do
    lu.assertEquals(grad(name, {1.0, nan, 3.0}), {0, 1, 0}, name)
    lu.assertEquals(grad(name, {nan, 1.0, nan}), {0.5, 0, 0.5}, name)
  end
  local x = saros.tensor({{1.0, nan}, {2.0, 2.0}}, {requires_grad = true})
  x:amax(2):sum():backward()
  lu.assertEquals(x.grad:totable(), {{0, 1}, {0.5, 0.5}})
end

function TestOperations.test_views_that_may_be_changed()
  local x = saros.ones(2, 2, {requires_grad = true})
  saros.no_grad(function()
    local view = x:t()[1]
    view:mul_(3)
    view[2] = 5
  end)
  saros.no_grad(function() return x:detach() end):view(4):add_(1) -- as in PyTorch
  x:detach()[2]:mul_(2)
  lu.assertEquals(x:totable(), {{4, 2}, {12, 4}})
  local plain = saros.no_grad(function() return saros.zeros(3)[{ {1, 2} }] end)
  plain:add_(1)
  lu.assertEquals(plain:totable(), {1, 1})
end

os.exit(lu.LuaUnit.run())
