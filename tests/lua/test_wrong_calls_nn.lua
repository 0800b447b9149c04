-- Wrong calls of modules, initial values, optimizers.

package.path = (arg[0]:match("^.*/") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local wrong = require "wrong_calls"

local nn, optim = saros.nn, saros.optim
local init, utils = nn.init, nn.utils
local huge = 1 << 62
local nan = 0 / 0
local nothing = function() end

local v = saros.tensor {1.0, 2.0, 3.0}
local ids = saros.tensor {1, 2}
local number = saros.tensor(2.5)
local weight = saros.ones(2, 3)
local line = saros.ones(5, 1, 4) -- (T, B, I)

local linear = nn.Linear(3, 2)
local rnn = nn.RNN(4, 6)
-- Arguments of the operation behind nn.RNN, for `rows` rows.
local function rows_of(rows, sizes, weight_ih)
  return "rnn_tanh", saros.ones(rows, 4), sizes, nil, nil, nil, false,
    weight_ih or rnn.weight_ih_l0, rnn.weight_hh_l0
end
local two = nn.RNN(4, 6, {num_layers = 2, bidirectional = true, batch_first = true})
local embedding = nn.Embedding(4, 3)
local model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
local norm = nn.LayerNorm(3)
local batch_norm = nn.BatchNorm1d(3)
local state = model:state_dict()

local Empty = nn.Module:extend("Empty")

local function with(key, value)
  local copy = {}
  for name, tensor in pairs(state) do copy[name] = tensor end
  copy[key] = value
  return copy
end

local function parameters() return {saros.ones(2, {requires_grad = true})} end
local function sgd(options) return optim.SGD(parameters(), options) end

-- Tail calls: the error is at the line that calls these.
local function load_with(option, value)
  local dict = sgd():state_dict()
  dict.param_groups[1][option] = value
  return sgd():load_state_dict(dict)
end

local function load_adam(parameter_state)
  local adam = optim.Adam(parameters())
  local groups = adam:state_dict().param_groups
  return adam:load_state_dict {param_groups = groups, state = {parameter_state}}
end

local ring = nn.Sequential(nn.Tanh())
ring.again = ring

TestBuild = wrong.tests {
  {"linear_nothing", function() nn.Linear() end, "nn.Linear", "in_features"},
  {"linear_one", function() nn.Linear(3) end, "nn.Linear", "out_features", "missing"},
  {"linear_string", function() nn.Linear("3", 2) end, "nn.Linear", "in_features", "string '3'"},
  {"linear_fraction", function() nn.Linear(2.5, 2) end, "nn.Linear", "2.5"},
  {"linear_negative", function() nn.Linear(-1, 2) end, "nn.Linear", "-1"},
  {"linear_huge", function() nn.Linear(huge, huge) end, "4611686018427387904"},
  {"linear_typo", function() nn.Linear(3, 2, {bais = false}) end, "nn.Linear", "'bias'"},
  {"linear_bias_number", function() nn.Linear(3, 2, {bias = 0}) end, "nn.Linear", "bias", "0"},
  {"linear_twice", function() nn.Linear(3, 2, {in_features = 3}) end, "nn.Linear", "twice"},
  {"linear_too_many", function() nn.Linear(3, 2, true, "cpu", "float32", 1) end, "at most 5", "6"},
  {"linear_dtype", function() nn.Linear(3, 2, {dtype = "int64"}) end, "int64"},
  {"linear_device", function() nn.Linear(3, 2, {device = "cuda:55"}) end, "cuda:55"},
  {"rnn_nothing", function() nn.RNN() end, "nn.RNN", "input_size"},
  {"rnn_zero", function() nn.RNN(0, 3) end, "nn.RNN", "input_size", "0"},
  {"rnn_negative", function() nn.RNN(3, -3) end, "nn.RNN", "hidden_size", "-3"},
  {"rnn_layers", function() nn.RNN(3, 3, {num_layers = 0}) end, "nn.RNN", "num_layers"},
  {"rnn_typo", function() nn.RNN(3, 3, {num_layer = 2}) end, "nn.RNN", "'num_layers'"},
  {"rnn_dropout", function() nn.RNN(3, 3, {dropout = 2}) end, "nn.RNN", "dropout", "2"},
  {"rnn_nonlinearity", function() nn.RNN(3, 3, {nonlinearity = "relo"}) end, "'relu'"},
  {"lstm_bidirectional", function() nn.LSTM(3, 3, {bidirectional = 1}) end, "bidirectional"},
  {"gru_table", function() nn.GRU {3} end, "nn.GRU", "hidden_size", "missing"},
  {"embedding_nothing", function() nn.Embedding() end, "nn.Embedding", "num_embeddings"},
  {"embedding_none", function() nn.Embedding(0, 3) end, "nn.Embedding"},
  {"embedding_padding", function() nn.Embedding(4, 3, {padding_idx = 9}) end, "padding_idx", "9"},
  {"from_pretrained_number", function() nn.Embedding.from_pretrained(3) end, "from_pretrained"},
  {"from_pretrained_vector", function() nn.Embedding.from_pretrained(v) end, "[3]"},
  {"dropout_p", function() nn.Dropout(1.5) end, "nn.Dropout", "1.5"},
  {"dropout_nan", function() nn.Dropout(nan) end, "nn.Dropout"},
  {"layer_norm_nothing", function() nn.LayerNorm() end, "nn.LayerNorm", "normalized_shape"},
  {"layer_norm_empty", function() nn.LayerNorm({}) end, "nn.LayerNorm"},
  {"layer_norm_words", function() nn.LayerNorm({"3"}) end, "nn.LayerNorm", "string"},
  {"batch_norm_zero", function() nn.BatchNorm1d(0) end, "nn.BatchNorm1d", "0"},
  {"batch_norm_momentum", function() nn.BatchNorm1d(3, {momentum = true}) end, "momentum"},
  {"sequential_number", function() nn.Sequential(linear, 3) end, "nn.Sequential", "item 2", "3"},
  {"sequential_function", function() nn.Sequential(nothing) end, "nn.Sequential", "function"},
  {"sequential_names", function() nn.Sequential {a = linear} end, "nn.Sequential", "'a'"},
  {"sequential_class", function() nn.Sequential(nn.Tanh) end, "nn.Sequential"},
  {"module_list_tensor", function() nn.ModuleList {v} end, "nn.ModuleList", "tensor [3]"},
  {"module_list_append", function() nn.ModuleList():append(v) end, "append", "tensor [3]"},
  {"module_dict_list", function() nn.ModuleDict(3) end, "nn.ModuleDict", "3"},
  {"module_dict_tensor", function() nn.ModuleDict {a = v} end, "'a'", "tensor [3]"},
  {"parameter_number", function() nn.Parameter(3) end, "nn.Parameter", "3"},
  {"parameter_int", function() nn.Parameter(ids) end, "int64"},
  {"extend_no_name", function() nn.Module:extend() end, "extend", "nil"},
  {"extend_dot", function() nn.Module.extend("Net") end, "extend", "colon"},
  {"softplus_string", function() nn.Softplus("1") end, "nn.Softplus", "beta"},
  {"softmax_string", function() nn.Softmax("1") end, "nn.Softmax", "dim"},
  {"gelu_word", function() nn.GELU("tan")(v) end, "approximate", "tan"},
  {"loss_reduction", function() nn.NLLLoss {reduction = "average"} end, "nn.NLLLoss", "average"},
  {"loss_typo", function() nn.CrossEntropyLoss {smoothing = 0.1} end, "label_smoothing"},
  {"loss_weight", function() nn.NLLLoss {weight = {1, 2}} end, "nn.NLLLoss", "weight"},
}

TestUse = wrong.tests {
  {"linear_no_input", function() linear() end, "linear", "nil"},
  {"linear_width", function() linear(saros.ones(5)) end, "linear", "[5]", "[2, 3]"},
  {"linear_number", function() linear(3) end, "linear", "3"},
  {"linear_int", function() linear(saros.ones(1, 3):long()) end, "linear", "int64"},
  {"linear_double", function() linear(saros.ones(1, 3):double()) end, "float64"},
  {"linear_scalar", function() linear(number) end, "linear"},
  {"rnn_no_input", function() rnn() end, "RNN", "nil"},
  {"rnn_width", function() rnn(saros.ones(5, 1, 3)) end, "RNN", "(5, 1, 3)", "input_size 4"},
  {"rnn_dims", function() rnn(saros.ones(4)) end, "RNN", "(4)"},
  {"rnn_four_dims", function() rnn(saros.ones(1, 1, 1, 4)) end, "RNN", "4 dimensions"},
  {"rnn_no_steps", function() rnn(saros.ones(0, 1, 4)) end, "RNN", "(0, 1, 4)"},
  {"rnn_int", function() rnn(line:long()) end, "int64"},
  {"rnn_double", function() rnn(line:double()) end, "float64"},
  {"rnn_state_shape", function() rnn(line, saros.ones(1, 2, 6)) end, "RNN", "h0", "(1, 1, 6)"},
  {"rnn_state_number", function() rnn(line, 0) end, "RNN", "h0", "0"},
  {"rnn_state_table", function() rnn(line, {v, v}) end, "RNN", "h0", "table"},
  {"rnn_state_dtype", function() rnn(line, saros.ones(1, 1, 6):double()) end, "float64"},
  {"rnn_layers_state", function() two(saros.ones(1, 5, 4), saros.ones(2, 1, 6)) end, "(4, 1, 6)"},
  {"rnn_table", function() rnn({line}) end, "RNN", "table"},
  {"lstm_state_tensor", function() nn.LSTM(4, 6)(line, v) end, "LSTM", "{h, c}", "[3]"},
  {"lstm_state_half", function() nn.LSTM(4, 6)(line, {v}) end, "LSTM", "{h, c}"},
  {"core_recurrent_mode", function() saros.recurrent("elman", v) end, "recurrent", "elman"},
  {"core_recurrent_rows", function() saros.recurrent(rows_of(5, 2)) end, "recurrent", "5", "2"},
  {"core_recurrent_growing", function() saros.recurrent(rows_of(3, {1, 2})) end, "2"},
  {"core_recurrent_sum", function() saros.recurrent(rows_of(5, {2, 2})) end, "5"},
  {"core_recurrent_overflow", function()
    saros.recurrent(rows_of(5, {huge, huge, huge, huge}))
  end, "batch"},
  {"core_recurrent_weights", function()
    saros.recurrent(rows_of(5, 1, weight))
  end, "RNN", "[5, 4]"},
  {"core_recurrent_cells", function()
    saros.recurrent("gru", saros.ones(5, 4), 1, nil, nil, nil, true, weight, weight)
  end, "GRU", "no cell state"},
  {"embedding_zero", function() embedding(ids - 1) end, "embedding", "0", "padding_idx"},
  {"embedding_beyond", function() embedding(ids + 3) end, "embedding", "5"},
  {"embedding_floats", function() embedding(v) end, "embedding", "float32"},
  {"embedding_table", function() embedding({1, 2}) end, "embedding", "table"},
  {"sequential_shape", function() model(saros.ones(5)) end, "linear", "[5]"},
  {"norm_shape", function() norm(saros.ones(2, 4)) end, "layer_norm", "[2, 4]"},
  {"batch_norm_shape", function() batch_norm(saros.ones(2, 4)) end, "BatchNorm1d", "[2, 4]"},
  {"batch_norm_dims", function() batch_norm(v) end, "BatchNorm1d", "[3]"},
  {"batch_norm_one", function() batch_norm(saros.ones(1, 3)) end, "BatchNorm1d", "[1, 3]"},
  {"loss_no_target", function() nn.NLLLoss()(weight) end, "nll_loss", "target"},
  {"loss_labels", function() nn.CrossEntropyLoss()(weight, ids + 5) end, "target 6"},
  {"loss_string", function() nn.MSELoss()(v, "v") end, "mse_loss", "string"},
  {"tanh_module_nil", function() nn.Tanh()() end, "tanh", "nil"},
  {"softmax_module_dim", function() nn.Softmax(4)(weight) end, "softmax", "4"},
  {"no_forward", function() Empty()(v) end, "Empty", "forward"},
  {"dot_train", function() model.train() end, "train", "colon"},
  {"dot_parameters", function() model.parameters() end, "parameters", "colon"},
  {"train_number", function() model:train(1) end, "train", "1"},
  {"apply_nil", function() model:apply() end, "apply", "nil"},
  {"to_unknown", function() model:to("tpu") end, "tpu"},
  {"to_int", function() model:to("int64") end, "Module.to", "int64"},
  {"to_typo", function() model:to {dvice = "cpu"} end, "'device'"},
  {"to_number", function() model:to(3) end, "Module.to", "3"},
  {"zero_grad_typo", function() model:zero_grad {to_none = true} end, "set_to_none"},
  {"parameters_typo", function() model:parameters {recursive = true} end, "'recurse'"},
  {"register_buffer_name", function() Empty():register_buffer("a.b", v) end, "a.b"},
  {"register_buffer_number", function() Empty():register_buffer("a", 1) end, "register_buffer"},
  {"register_buffer_method", function() Empty():register_buffer("forward", v) end, "forward"},
  {"register_parameter_tensor", function() Empty():register_parameter("a", v) end, "nn.Parameter"},
  {"add_module_tensor", function() Empty():add_module("a", v) end, "add_module", "tensor [3]"},
  {"parameter_replaced", function()
    local m = nn.Linear(2, 2)
    m.weight = saros.ones(2, 2)
    m:parameters()
  end, "weight", "nn.Parameter"},
  {"state_of_ring", function() ring:state_dict() end, "contains itself"},
}

TestState = wrong.tests {
  {"load_nil", function() model:load_state_dict() end, "load_state_dict", "nil"},
  {"load_tensor", function() model:load_state_dict(v) end, "load_state_dict", "tensor"},
  {"load_missing", function() model:load_state_dict(with("0.weight")) end, "Missing", "0.weight"},
  {"load_unexpected", function() model:load_state_dict(with("x.y", v)) end, "Unexpected", "x.y"},
  {"load_shape", function() model:load_state_dict(with("0.weight", weight)) end, "0.weight",
    "[2, 3]", "[4, 3]"},
  {"load_number", function() model:load_state_dict(with("0.weight", 3)) end, "0.weight", "3"},
  {"load_shape_not_strict", function()
    model:load_state_dict(with("0.weight", weight), {strict = false})
  end, "size mismatch"},
  {"load_typo", function() model:load_state_dict(state, {stric = false}) end, "'strict'"},
  {"load_strict_string", function() model:load_state_dict(state, {strict = "no"}) end, "strict"},
}

TestInit = wrong.tests {
  {"uniform_number", function() init.uniform_(3) end, "nn.init.uniform_", "3"},
  {"uniform_backwards", function() init.uniform_(weight, 2, 1) end, "uniform_"},
  {"normal_std", function() init.normal_(weight, 0, -1) end, "normal_", "-1"},
  {"normal_typo", function() init.normal_(weight, {sdt = 1}) end, "'std'"},
  {"constant_nothing", function() init.constant_(weight) end, "nn.init.constant_", "val"},
  {"eye_vector", function() init.eye_(v) end, "nn.init.eye_", "[3]"},
  {"xavier_vector", function() init.xavier_uniform_(v) end, "xavier_uniform_", "[3]"},
  {"kaiming_mode", function() init.kaiming_normal_(weight, {mode = "fan"}) end, "fan_in"},
  {"kaiming_word", function() init.kaiming_uniform_(weight, {nonlinearity = "tan"}) end, "tan"},
  {"orthogonal_vector", function() init.orthogonal_(v) end, "orthogonal_", "[3]"},
  {"generator_number", function() init.normal_(weight, {generator = 1}) end, "generator"},
  {"generator_file", function() init.normal_(weight, {generator = io.stderr}) end, "Generator"},
  {"of_int", function() init.normal_(ids) end, "normal_", "int64"},
}

TestUtils = wrong.tests {
  {"clip_norm_nothing", function() utils.clip_grad_norm_() end, "clip_grad_norm_"},
  {"clip_norm_no_limit", function() utils.clip_grad_norm_(parameters()) end, "max_norm"},
  {"clip_norm_module", function() utils.clip_grad_norm_(model, 1) end, "clip_grad_norm_", "list"},
  {"clip_norm_numbers", function() utils.clip_grad_norm_({1}, 1) end, "item 1", "number"},
  {"clip_norm_string", function() utils.clip_grad_norm_(parameters(), "1") end, "max_norm"},
  {"clip_value_nil", function() utils.clip_grad_value_(parameters()) end, "clip_value"},
  {"vector_numbers", function() utils.parameters_to_vector({1}) end, "item 1"},
  {"vector_none", function() utils.parameters_to_vector({}) end, "at least one tensor"},
  {"vector_back_length", function() utils.vector_to_parameters(v, parameters()) end, "2", "[3]"},
}

TestOptim = wrong.tests {
  {"sgd_nothing", function() optim.SGD() end, "optim.SGD", "nil"},
  {"sgd_empty", function() optim.SGD({}) end, "optim.SGD", "empty"},
  {"sgd_tensor", function() optim.SGD(v) end, "optim.SGD", "tensor"},
  {"sgd_module", function() optim.SGD(model) end, "optim.SGD", "parameters()"},
  {"sgd_iterator", function() optim.SGD(model:named_parameters()) end, "optim.SGD", "iterator"},
  {"sgd_numbers", function() optim.SGD({1, 2}) end, "optim.SGD", "1"},
  {"sgd_result", function() optim.SGD({parameters()[1] * 2}) end, "optim.SGD", "leaf"},
  {"sgd_twice", function()
    local p = parameters()[1]
    optim.SGD({p, p})
  end, "optim.SGD", "twice"},
  {"sgd_lr_negative", function() sgd {lr = -1} end, "optim.SGD", "-1"},
  {"sgd_lr_nan", function() sgd {lr = nan} end, "optim.SGD", "got NaN"},
  {"sgd_lr_string", function() sgd {lr = "0.1"} end, "optim.SGD", "lr", "string"},
  {"sgd_lr_number_alone", function() sgd(0.1) end, "optim.SGD", "option table"},
  {"sgd_momentum", function() sgd {momentum = -0.9} end, "optim.SGD", "momentum", "-0.9"},
  {"sgd_weight_decay", function() sgd {weight_decay = -1} end, "weight_decay"},
  {"sgd_nesterov", function() sgd {nesterov = true} end, "optim.SGD", "Nesterov"},
  {"sgd_typo", function() sgd {learning_rate = 1} end, "optim.SGD", "learning_rate"},
  {"sgd_typo_near", function() sgd {momentun = 0.9} end, "'momentum'"},
  {"adam_lr", function() optim.Adam(parameters(), {lr = -1}) end, "optim.Adam", "-1"},
  {"adam_eps", function() optim.Adam(parameters(), {eps = nan}) end, "optim.Adam: eps", "NaN"},
  {"adam_beta_1", function() optim.Adam(parameters(), {betas = {0.9, 1}}) end, "betas[2]", "1"},
  {"adam_beta_nan", function() optim.Adam(parameters(), {betas = {nan, 0}}) end, "betas[1]"},
  {"adam_beta_string", function() optim.Adam(parameters(), {betas = {"a", 0}}) end, "betas[1]"},
  {"adam_one_beta", function() optim.Adam(parameters(), {betas = {0.9}}) end, "two numbers", "1"},
  {"adam_betas_number", function() optim.Adam(parameters(), {betas = 0.9}) end, "betas", "0.9"},
  {"adam_betas_tensor", function() optim.Adam(parameters(), {betas = v}) end, "betas", "tensor"},
  {"adam_betas_string", function() optim.Adam(parameters(), {betas = "x"}) end, "betas", "string"},
  {"adam_typo", function() optim.Adam(parameters(), {beta = 1}) end, "optim.Adam", "'betas'"},
  {"adamw_decay", function() optim.AdamW(parameters(), {weight_decay = -1}) end, "optim.AdamW"},
  {"rmsprop_alpha", function() optim.RMSprop(parameters(), {alpha = -1}) end, "alpha", "-1"},
  {"rmsprop_typo", function() optim.RMSprop(parameters(), {centred = true}) end, "'centered'"},
  {"adagrad_decay", function() optim.Adagrad(parameters(), {lr_decay = -1}) end, "lr_decay"},
  {"adagrad_sum", function()
    optim.Adagrad(parameters(), {initial_accumulator_value = -2})
  end, "optim.Adagrad", "initial_accumulator_value", "-2"},
  {"adadelta_rho", function() optim.Adadelta(parameters(), {rho = 1.5}) end, "rho", "1.5"},
  {"group_betas", function()
    optim.Adam {{params = parameters(), betas = {2, 0}}}
  end, "optim.Adam", "betas[1]", "2"},
  {"group_typo", function() optim.SGD({{params = parameters(), rl = 1}}) end, "optim.SGD", "'lr'"},
  {"group_no_params", function() optim.SGD({{lr = 1}}) end, "optim.SGD", "params"},
  {"group_empty", function() optim.SGD({{params = {}}}) end, "optim.SGD", "empty"},
  {"step_number", function() sgd():step(1) end, "step", "1"},
  {"step_error_inside", function()
    sgd():step(function() error("inside") end)
  end, "inside"},
  {"zero_grad_typo", function() sgd():zero_grad {none = true} end, "zero_grad", "none"},
  {"load_nil", function() sgd():load_state_dict() end, "load_state_dict", "nil"},
  {"load_groups", function()
    sgd():load_state_dict {param_groups = {}, state = {}}
  end, "0, here 1"},
  {"load_sizes", function()
    sgd():load_state_dict {param_groups = {{params = {1, 2}}}, state = {}}
  end, "2 parameters, here 1"},
  {"load_bad_value", function() load_with("lr", -5) end, "-5"},
  {"load_bad_type", function() load_with("lr", "fast") end, "lr", "fast"},
  {"load_missing", function() load_with("nesterov", nil) end, "group 1", "'nesterov'"},
  {"load_other", function()
    sgd():load_state_dict(optim.RMSprop(parameters()):state_dict())
  end, "'dampening'", "another optimizer"},
  {"load_other_alike", function()
    optim.AdamW(parameters()):load_state_dict {
      param_groups = optim.AdamW(parameters()):state_dict().param_groups,
      state = {{step = 1, square_avg = saros.ones(2)}},
    }
  end, "parameter 1", "another optimizer"},
  {"load_state_number", function() load_adam(7) end, "parameter 1", "number 7"},
  {"load_state_nothing", function() load_adam {step = 1} end, "exp_avg", "nil"},
  {"load_state_size", function()
    load_adam {step = 1, exp_avg = saros.ones(2), exp_avg_sq = saros.ones(3)}
  end, "exp_avg_sq", "[3]", "[2]"},
  {"load_state_step", function()
    load_adam {step = -1, exp_avg = saros.ones(2), exp_avg_sq = saros.ones(2)}
  end, "step", "-1"},
  {"lr_set_to_string", function()
    local p = parameters()
    local o = optim.SGD(p)
    p[1].grad = saros.ones(2)
    o.param_groups[1].lr = "fast"
    o:step()
  end, "lr", "string"},
}

os.exit(lu.LuaUnit.run())
