-- Wrong calls of operations, products, losses and autograd.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local wrong = require "wrong_calls"

local F = saros.nn.functional
local huge = 1 << 62
local nan = 0 / 0
local nothing = function() end

local x = saros.tensor {{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}} -- (2, 3)
local y = saros.ones(4, 5)
local v = saros.tensor {1.0, 2.0, 3.0}
local ids = saros.tensor {1, 2}
local mask = saros.tensor {true, false}
local number = saros.tensor(2.5)
local double = saros.ones(2, 3, {dtype = "float64"})
local leaf = saros.ones(2, 2, {requires_grad = true})

local function new_leaf() return saros.ones(2, 2, {requires_grad = true}) end

local function released()
  local t = saros.ones(2)
  debug.getmetatable(t).__gc(t)
  return t
end

TestPointwise = wrong.tests {
  {"add_shapes", function() local _ = x + y end, "add", "[2, 3]", "[4, 5]"},
  {"add_table", function() local _ = x + {} end, "add", "table"},
  {"add_string", function() local _ = x + "1" end, "add", "string"},
  {"add_string_before", function() local _ = "1" + x end, "add", "string"},
  {"add_nil", function() local _ = x + nil end, "add", "nil"},
  {"add_function", function() local _ = nothing + x end, "add", "function"},
  {"add_method_nothing", function() x:add() end, "add", "other"},
  {"add_alpha_typo", function() x:add(x, {alfa = 2}) end, "add", "'alpha'"},
  {"add_alpha_string", function() x:add(x, {alpha = "2"}) end, "add", "alpha", "string"},
  {"sub_shapes", function() local _ = x - v:view(3, 1) end, "sub", "[2, 3]", "[3, 1]"},
  {"mul_shapes", function() local _ = x * saros.ones(2) end, "mul", "[2, 3]", "[2]"},
  {"div_boolean_table", function() local _ = x / {true} end, "div", "table"},
  {"pow_nil", function() local _ = x ^ nil end, "pow", "nil"},
  {"remainder_by_0", function() local _ = ids % 0 end, "remainder", "zero"},
  {"floor_divide_by_0", function() local _ = ids // 0 end, "floor_divide", "zero"},
  {"negative_pow_of_int", function() local _ = ids ^ -1 end, "pow", "negative"},
  {"less_of_many", function() local _ = x < x end, "<", "lt"},
  {"less_equal_of_many", function() local _ = x <= 3 end, "<=", "le"},
  {"less_table", function() local _ = number < {} end, "<", "table"},
  {"concat_to_call", function() x:tanh(1) end, "tanh", "1"},
  {"tanh_nothing", function() saros.tanh() end, "tanh", "nil"},
  {"tanh_number", function() saros.tanh("x") end, "tanh", "string"},
  {"tanh_function", function() saros.tanh(nothing) end, "tanh", "function"},
  {"tanh_two", function() saros.tanh(x, x) end, "tanh", "2"},
  {"tanh_released", function() released():tanh() end, "tanh"},
  {"print_index_released", function() local _ = released()[1] end, "index"},
  {"shape_released", function() local _ = released().shape end, "index"},
  {"exp_of_bool_in_place", function() mask:exp_() end, "exp_", "bool"},
  {"exp_of_int_in_place", function() ids:exp_() end, "exp_", "int64"},
  {"div_of_int_in_place", function() ids:div_(2) end, "div_", "int64"},
  {"add_float_to_int_in_place", function() ids:add_(v[{{1, 2}}]) end, "add"},
  {"add_grows_in_place", function() v:add_(x) end, "add_", "[3]", "[2, 3]"},
  {"in_place_on_number", function() saros.add_(1, x) end, "add", "in-place"},
  {"leaky_relu_option", function() saros.leaky_relu(x, {slope = 1}) end, "leaky_relu", "slope"},
  {"leaky_relu_string", function() F.leaky_relu(x, "0.1") end, "leaky_relu", "negative_slope"},
  {"softplus_three", function() saros.softplus(x, 1, 2, 3) end, "softplus", "4"},
  {"clamp_strings", function() x:clamp("0", "1") end, "clamp", "min"},
  {"clamp_nothing", function() x:clamp() end, "clamp"},
  {"maximum_number_string", function() saros.maximum(x, "1") end, "maximum", "string"},
  {"minimum_shapes", function() saros.minimum(x, y) end, "minimum", "[4, 5]"},
  {"eq_nil", function() x:eq() end, "eq", "nil"},
  {"eq_table", function() x:eq({}) end, "eq", "table"},
  {"gt_shapes", function() x:gt(y) end, "gt", "[4, 5]"},
  {"logical_and_float", function() saros.logical_and(mask, {}) end, "logical_and"},
  {"fill_nil", function() x:fill_() end, "fill_", "nil"},
  {"fill_string", function() x:fill_("0") end, "fill_", "string"},
  {"fill_int_nan", function() ids:fill_(nan) end, "fill_"},
  {"copy_number", function() x:copy_(1) end, "copy_", "1"},
  {"copy_shapes", function() x:copy_(y) end, "copy_", "[4, 5]"},
  {"item_of_many", function() x:item() end, "item", "[2, 3]"},
  {"item_of_none", function() saros.zeros(0):item() end, "item", "[0]"},
  {"item_released", function() released():item() end, "item"},
  {"totable_released", function() released():totable() end, "totable"},
  {"method_without_self", function() x.tanh() end, "tanh", "nil"},
  {"method_with_dot", function() x.sum(1) end, "sum", "1"},
}

TestReduce = wrong.tests {
  {"sum_dim_3", function() x:sum(3) end, "sum", "3"},
  {"sum_dim_0", function() x:sum(0) end, "sum", "0"},
  {"sum_dim_minus_3", function() x:sum(-3) end, "sum", "-3"},
  {"sum_dim_twice", function() x:sum({1, 1}) end, "sum"},
  {"sum_dim_and_same_from_end", function() x:sum({1, -2}) end, "sum"},
  {"sum_dim_string", function() x:sum("1") end, "sum", "string"},
  {"sum_dim_huge", function() x:sum(huge) end, "sum", "4611686018427387904"},
  {"sum_dim_fraction", function() x:sum(1.5) end, "sum", "1.5"},
  {"sum_nine_dims", function() x:sum {1, 1, 1, 1, 1, 1, 1, 1, 1} end, "sum", "9"},
  {"sum_typo", function() x:sum(1, {keepdims = true}) end, "sum", "'keepdim'"},
  {"sum_keepdim_number", function() x:sum(1, 1) end, "sum", "keepdim"},
  {"sum_twice_given", function() x:sum(1, {dim = 1}) end, "sum", "dim", "twice"},
  {"sum_many_arguments", function() x:sum(1, true, 3) end, "sum", "4"},
  {"mean_of_int", function() ids:mean() end, "mean", "int64"},
  {"mean_of_bool", function() mask:mean() end, "mean", "bool"},
  {"prod_dim", function() x:prod(5) end, "prod", "5"},
  {"norm_p_string", function() x:norm("nuc") end, "norm", "p"},
  {"norm_p_nan", function() x:norm(nan) end, "norm"},
  {"norm_of_int", function() ids:norm() end, "norm", "int64"},
  {"var_of_int", function() ids:var() end, "var", "int64"},
  {"var_unbiased_number", function() x:var(1, 0) end, "var", "unbiased"},
  {"std_dim", function() x:std(3) end, "std", "3"},
  {"max_of_nothing", function() saros.zeros(0):max() end, "max"},
  {"max_dim_of_nothing", function() saros.zeros(2, 0):max(2) end, "max"},
  {"max_dims", function() x:max({1, 2}) end, "max", "2"},
  {"max_string", function() x:max("1") end, "max", "string"},
  {"min_dim", function() x:min(4) end, "min", "4"},
  {"amax_of_nothing", function() saros.zeros(0):amax() end, "amax"},
  {"argmax_dims", function() x:argmax({1, 2}) end, "argmax"},
  {"argmax_of_nothing", function() saros.zeros(0):argmax() end, "argmax"},
  {"cumsum_missing", function() x:cumsum() end, "cumsum", "dim"},
  {"cumsum_dim", function() x:cumsum(3) end, "cumsum", "3"},
  {"sort_dim", function() x:sort(3) end, "sort", "3"},
  {"sort_descending_number", function() x:sort(1, 1) end, "sort", "descending"},
  {"topk_too_many", function() x:topk(4) end, "topk", "4", "3"},
  {"topk_negative", function() x:topk(-1) end, "topk", "-1"},
  {"topk_missing", function() x:topk() end, "topk", "k"},
  {"logsumexp_int", function() ids:logsumexp(1) end, "logsumexp", "int64"},
  {"softmax_missing", function() x:softmax() end, "softmax", "dim"},
  {"softmax_dim", function() x:softmax(3) end, "softmax", "3"},
  {"softmax_int", function() ids:softmax(1) end, "softmax", "int64"},
  {"log_softmax_zero", function() x:log_softmax(0) end, "log_softmax", "0"},
}

TestProducts = wrong.tests {
  {"mm_inner", function() x:mm(x) end, "mm", "[2, 3]"},
  {"mm_vector", function() x:mm(v) end, "mm", "[3]"},
  {"mm_dtypes", function() x:mm(double:t()) end, "mm", "float32", "float64"},
  {"mm_int", function() saros.eye(2):long():mm(saros.eye(2):long()) end, "mm", "int64"},
  {"mm_number", function() x:mm(2) end, "mm", "2"},
  {"mm_nil", function() x:mm() end, "mm", "nil"},
  {"matmul_inner", function() x:matmul(y) end, "matmul", "[2, 3]", "[4, 5]"},
  {"matmul_number_tensor", function() x:matmul(number) end, "matmul"},
  {"matmul_batches", function() saros.ones(2, 3, 4):matmul(saros.ones(3, 4, 5)) end, "matmul"},
  {"bmm_matrix", function() x:bmm(x) end, "bmm", "[2, 3]"},
  {"bmm_batches", function() saros.ones(2, 1, 1):bmm(saros.ones(3, 1, 1)) end, "bmm", "[2, 1, 1]"},
  {"mv_length", function() x:mv(saros.ones(2)) end, "mv", "[2]"},
  {"dot_lengths", function() v:dot(saros.ones(2)) end, "dot", "[3]", "[2]"},
  {"dot_matrix", function() x:dot(x) end, "dot", "[2, 3]"},
  {"outer_matrix", function() x:outer(v) end, "outer", "[2, 3]"},
  {"linear_width", function() F.linear(x, y) end, "linear", "[2, 3]", "[4, 5]"},
  {"linear_bias", function() F.linear(x, saros.ones(4, 3), saros.ones(3)) end, "linear", "[3]"},
  {"linear_missing", function() F.linear(x) end, "linear", "weight"},
  {"einsum_no_equation", function() saros.einsum(x, x) end, "einsum", "equation"},
  {"einsum_letters", function() saros.einsum("ijk,jk->i", x, x) end, "einsum"},
  {"einsum_sizes", function() saros.einsum("ij,jk->ik", x, y) end, "einsum"},
  {"einsum_count", function() saros.einsum("ij,jk->ik", x) end, "einsum"},
  {"einsum_unknown_output", function() saros.einsum("ij->z", x) end, "einsum", "z"},
  {"einsum_junk", function() saros.einsum("->->,,!", x) end, "einsum"},
  {"einsum_empty", function() saros.einsum("", x) end, "einsum"},
  {"einsum_number", function() saros.einsum("i,i", v, 2) end, "einsum", "number"},
}

local logits = saros.tensor {{0.1, 0.2, 0.7}, {0.3, 0.3, 0.4}}

TestLosses = wrong.tests {
  {"nll_label_0", function() F.nll_loss(logits, ids - 1) end, "nll_loss", "0", "ignore_index"},
  {"nll_label_beyond", function() F.nll_loss(logits, ids + 2) end, "nll_loss", "4", "3"},
  {"nll_label_minus_1", function() F.nll_loss(logits, -ids) end, "nll_loss", "-1"},
  {"nll_float_labels", function() F.nll_loss(logits, saros.ones(2)) end, "nll_loss", "float32"},
  {"nll_nan_labels", function() F.nll_loss(logits, saros.full({2}, nan)) end, "float32"},
  {"nll_count", function() F.nll_loss(logits, saros.tensor {1, 2, 3}) end, "nll_loss", "[2, 3]"},
  {"nll_weight", function() F.nll_loss(logits, ids, {weight = saros.ones(2)}) end, "[2]", "3"},
  {"nll_reduction", function() F.nll_loss(logits, ids, {reduction = "avg"}) end, "avg", "'mean'"},
  {"nll_typo", function() F.nll_loss(logits, ids, {reducton = "sum"}) end, "'reduction'"},
  {"nll_no_target", function() F.nll_loss(logits) end, "nll_loss", "target", "nil"},
  {"nll_of_int", function() F.nll_loss(saros.tensor {{1, 2}}, ids[{{1, 1}}]) end, "int64"},
  {"cross_entropy_label_0", function() F.cross_entropy(logits, ids - 1) end, "cross_entropy", "0"},
  {"cross_entropy_smoothing", function() F.cross_entropy(logits, ids, {label_smoothing = 2}) end,
    "cross_entropy", "label_smoothing", "2"},
  {"cross_entropy_probabilities", function() F.cross_entropy(logits, saros.ones(2, 4)) end,
    "cross_entropy", "[2, 4]"},
  {"mse_string", function() F.mse_loss(x, "x") end, "mse_loss", "target", "string"},
  {"mse_shapes", function() F.mse_loss(x, y) end, "mse_loss", "[2, 3]", "[4, 5]"},
  {"smooth_l1_beta", function() F.smooth_l1_loss(x, x, {beta = -1}) end, "smooth_l1_loss", "-1"},
  {"bce_outside", function() F.binary_cross_entropy(x, x) end, "binary_cross_entropy", "got 6"},
  {"bce_shapes", function() F.binary_cross_entropy(saros.ones(2), saros.ones(3)) end, "[3]"},
  {"bce_logits_weight", function()
    F.binary_cross_entropy_with_logits(x, x, {weight = y})
  end, "binary_cross_entropy_with_logits", "[4, 5]"},
  {"dropout_p", function() F.dropout(x, 1.5) end, "dropout", "1.5"},
  {"dropout_nan", function() F.dropout(x, nan) end, "dropout"},
  {"dropout_string", function() F.dropout(x, "0.5") end, "dropout", "string"},
  {"layer_norm_shape", function() F.layer_norm(x, {4}) end, "layer_norm", "[2, 3]", "[4]"},
  {"layer_norm_weight", function() F.layer_norm(x, {3}, {weight = y}) end, "layer_norm", "[4, 5]"},
  {"batch_norm_alone", function()
    F.batch_norm(saros.ones(1, 3), {training = true})
  end, "batch_norm", "[1, 3]"},
  {"batch_norm_mean", function() F.batch_norm(x, v, saros.ones(2)) end, "batch_norm", "[2]"},
  {"embedding_zero", function() F.embedding(ids - 1, y) end, "embedding", "0", "padding_idx"},
  {"embedding_beyond", function() F.embedding(ids + 3, y) end, "embedding", "5", "4"},
  {"embedding_float", function() F.embedding(v, y) end, "embedding", "float32"},
  {"embedding_weight", function() F.embedding(ids, v) end, "embedding", "[3]"},
}

TestAutograd = wrong.tests {
  {"backward_of_many", function() (leaf * 2):backward() end, "backward", "[2, 2]"},
  {"backward_of_leaf_without", function() number:backward() end, "backward"},
  {"backward_twice", function()
    local loss = (leaf * leaf):sum()
    loss:backward()
    leaf.grad = nil
    loss:backward()
  end, "backward", "retain_graph"},
  {"backward_gradient_shape", function() (leaf * 2):backward(v) end, "backward", "[3]"},
  {"backward_gradient_number", function() (leaf * 2):backward(1) end, "backward", "gradient"},
  {"backward_typo", function() (leaf * 2):sum():backward {retain = true} end, "'retain'"},
  {"backward_after_no_grad", function()
    saros.no_grad(function() return (leaf * 2):sum() end):backward()
  end, "backward"},
  {"in_place_on_leaf", function() new_leaf():add_(1) end, "add", "leaf"},
  {"in_place_on_view_of_leaf", function() new_leaf()[1]:zero_() end, "zero_: ", "leaf"},
  {"fill_of_leaf", function() new_leaf():fill_(0) end, "fill_", "leaf"},
  {"copy_to_leaf", function() new_leaf():copy_(leaf) end, "copy_", "leaf"},
  {"assign_to_leaf", function() new_leaf()[1] = 0 end, "leaf"},
  {"mask_of_leaf", function() new_leaf():masked_fill_(leaf:gt(0), 1) end, "masked_fill_", "leaf"},
  {"uniform_of_leaf", function() leaf:uniform_(leaf, 1) end, "uniform_", "from"},
  {"saved_value_changed", function()
    local a = leaf * 1
    local b = a:tanh()
    b:mul_(2)
    b:sum():backward()
  end, "tanh"},
  {"no_grad_view_of_leaf", function()
    local view = saros.no_grad(function() return leaf[1] end)
    view:zero_()
  end, "zero_: ", "no_grad"},
  {"no_grad_view_of_result", function()
    local result = leaf * 2
    local view = saros.no_grad(function() return result:t() end)
    view:mul_(2)
  end, "mul_: ", "no_grad"},
  {"no_grad_view_of_view", function()
    local view = saros.no_grad(function() return leaf:view(4) end)
    view[1] = 0
  end, "index: ", "no_grad"},
  {"no_grad_view_seen_outside", function()
    local view = saros.no_grad(function() return leaf:view(4) end)
    view[{ {1, 2} }]:uniform_()
  end, "uniform_: ", "no_grad"},
  {"requires_grad_of_result", function() (leaf * 2):requires_grad_(false) end, "requires_grad"},
  {"requires_grad_of_int", function() ids:requires_grad_() end, "requires_grad", "int64"},
  {"requires_grad_set_string", function() x.requires_grad = "yes" end, "requires_grad", "string"},
  {"grad_set_shape", function() leaf.grad = v end, "grad", "[3]", "[2, 2]"},
  {"grad_set_number", function() leaf.grad = 1 end, "grad", "1"},
  {"grad_set_dtype", function() leaf.grad = double[{{}, {1, 2}}] end, "grad", "float64"},
  {"detach_of_nothing", function() saros.detach() end, "detach", "nil"},
  {"retain_grad_without", function() number:retain_grad() end, "retain_grad"},
  {"grad_no_inputs", function() saros.grad(leaf:sum()) end, "grad", "inputs", "nil"},
  {"grad_unused", function()
    saros.grad(leaf:sum(), saros.ones(1, {requires_grad = true}))
  end, "grad", "allow_unused"},
  {"grad_input_without", function() saros.grad(leaf:sum(), number) end, "grad"},
  {"grad_of_many", function() saros.grad(leaf * 2, leaf) end, "grad", "[2, 2]"},
  {"grad_outputs_shape", function() saros.grad(leaf * 2, leaf, {v}) end, "grad", "[3]"},
  {"grad_outputs_number", function() saros.grad(leaf * 2, leaf, 1) end, "grad_outputs", "number"},
  {"grad_of_numbers", function() saros.grad({1}, {leaf}) end, "grad", "outputs", "number"},
  {"no_grad_number", function() saros.no_grad(1) end, "no_grad", "number"},
  {"no_grad_error_inside", function() saros.no_grad(function() error("inside") end) end, "inside"},
  {"set_grad_enabled_nil", function() saros.set_grad_enabled() end, "boolean"},
  {"set_detect_anomaly_nil", function() saros.set_detect_anomaly(1) end, "boolean"},
  {"is_tensor_nothing", function() saros.is_tensor() end, "is_tensor"},
}

local max = saros.max

local fail_at = saros.memory_fail_at

-- Messages begin with the function that the script called, whatever it is made of.
TestFunctionNames = wrong.tests {
  {"max", function() saros.zeros(0):max() end, "max: there are no"},
  {"max_through_a_local", function() max(saros.zeros(0)) end, "max: there are no"},
  {"max_of_two", function() x:max(y) end, "max: shapes"},
  {"min_dim", function() x:min(3) end, "min: dimension 3"},
  {"amax", function() saros.zeros(0):amax() end, "amax: there are no"},
  {"add_in_place", function() x:add_(y) end, "add_: shapes"},
  {"add_operator", function() return x + y end, "add: shapes"},
  {"mul_in_place_table", function() x:mul_({}) end, "mul_: argument 'other'"},
  {"clamp_in_place", function() x:clamp_("a") end, "clamp_: argument 'min'"},
  {"tanh_of_leaf", function() leaf:tanh_() end, "tanh_: a leaf"},
  {"ones_on_device", function() saros.ones(2, {device = "gpu"}) end, "ones: device 'gpu'"},
  {"grad_of_leafless", function() saros.grad(x:sum(), leaf) end, "grad: the tensor does not"},
  {"one_argument", function() x:tanh(2) end, "tanh: takes at most 1 argument, got 2"},
  {"memory_of_operator", function() fail_at(1) return x + 1 end, "add: not enough memory"},
  {"memory_of_method", function() fail_at(1) x:softmax(1) end, "softmax: not enough memory"},
  {"memory_of_sub_steps", function() fail_at(3) x:var(1) end, "var: not enough memory"},
  {"memory_of_function", function() fail_at(1) saros.randn(3) end, "randn: not enough memory"},
  {"memory_of_tensor", function() fail_at(1) saros.tensor {1, 2} end, "tensor: not enough"},
  {"memory_of_read", function() fail_at(1) return x[1] end, "index: not enough memory"},
  {"memory_of_write", function() fail_at(1) x[1] = 2 end, "index: not enough memory"},
}

os.exit(lu.LuaUnit.run())
