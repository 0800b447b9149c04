-- saros --doctor: what this saros is, what it found around it, and whether its kernels compute
-- what plain loops compute.

local core = require "saros.core"

local doctor = {}

local good = true

local function line(name, format, ...)
  print(("%-18s%s"):format(name, format:format(...)))
end

-- ---- kernels against plain loops ---------------------------------------------------------

local generator = core.Generator():manual_seed(1)

local function random(dtype, device, ...)
  local x = core.empty(..., {dtype = dtype})
  return x:uniform_(-1, 1, {generator = generator}):to(device)
end

-- Largest |got - wanted|, relative to the largest |wanted|; both flat lists.
local function error_of(got, wanted)
  local worst, scale = 0, 0
  for i, value in ipairs(wanted) do
    local difference = math.abs(got[i] - value)
    if difference ~= difference then return difference end
    worst, scale = math.max(worst, difference), math.max(scale, math.abs(value))
  end
  return worst / scale
end

local function flat(x) return x:reshape(-1):totable() end

local function product(m, n, k)
  return function(dtype, device)
    local a, b = random(dtype, device, {m, k}), random(dtype, device, {n, k})
    local rows, columns, wanted = a:totable(), b:totable(), {}
    for i = 1, m do
      for j = 1, n do
        local sum, row, column = 0, rows[i], columns[j]
        for l = 1, k do sum = sum + row[l] * column[l] end
        wanted[#wanted + 1] = sum
      end
    end
    return error_of(flat(a:mm(b:t())), wanted)
  end
end

local function sigmoid(x) return 1 / (1 + math.exp(-x)) end
local function tanh(x) return 2 * sigmoid(2 * x) - 1 end

local function pointwise(name, f, low, high)
  return function(dtype, device)
    local x, wanted = core.linspace(low, high, 10007, {dtype = dtype, device = device}), {}
    for i, value in ipairs(x:totable()) do wanted[i] = f(value) end
    return error_of(flat(core[name](x)), wanted)
  end
end

local function sums(dtype, device)
  local x, wanted = random(dtype, device, {7, 10007}) + 1, {}
  for i, row in ipairs(x:totable()) do
    wanted[i] = 0
    for _, value in ipairs(row) do wanted[i] = wanted[i] + value end
  end
  return error_of(x:sum(2):totable(), wanted)
end

local function softmax(dtype, device)
  local x, wanted = random(dtype, device, {11, 301}) * 8, {}
  for _, row in ipairs(x:totable()) do
    local sum, first = 0, #wanted
    for i, value in ipairs(row) do
      wanted[first + i] = math.exp(value)
      sum = sum + wanted[first + i]
    end
    for i = 1, #row do wanted[first + i] = wanted[first + i] / sum end
  end
  return error_of(flat(x:softmax(2)), wanted)
end

-- h = tanh(W x + U h), step by step.
local function recurrence(dtype, device)
  local steps, batch, inputs, hidden = 6, 3, 5, 17
  local x, h = random(dtype, device, {steps, batch, inputs}), {}
  local w, u = random(dtype, device, {hidden, inputs}), random(dtype, device, {hidden, hidden})
  local xs, ws, us, wanted = x:totable(), w:totable(), u:totable(), {}
  for b = 1, batch do
    h[b] = {}
    for i = 1, hidden do h[b][i] = 0 end
  end
  for t = 1, steps do
    for b = 1, batch do
      local after = {}
      for i = 1, hidden do
        local sum = 0
        for j = 1, inputs do sum = sum + ws[i][j] * xs[t][b][j] end
        for j = 1, hidden do sum = sum + us[i][j] * h[b][j] end
        after[i] = tanh(sum)
        wanted[#wanted + 1] = after[i]
      end
      h[b] = after
    end
  end
  local nn = require "saros.nn"
  local rnn = nn.RNN(inputs, hidden, {bias = false})
  rnn.weight_ih_l0, rnn.weight_hh_l0 = nn.Parameter(w), nn.Parameter(u)
  return error_of(flat(rnn(x)), wanted)
end

-- Name, check(dtype, device) -> error.
local checks = {
  {"small products", product(7, 5, 9)}, {"large products", product(130, 65, 150)},
  {"thin products", product(1, 300, 200)},
  {"exp", pointwise("exp", math.exp, -8, 8)}, {"log", pointwise("log", math.log, 0.01, 9)},
  {"tanh", pointwise("tanh", tanh, -5, 5)}, {"sigmoid", pointwise("sigmoid", sigmoid, -9, 9)},
  {"sin", pointwise("sin", math.sin, -4, 4)}, {"sums", sums}, {"softmax", softmax},
  {"recurrence", recurrence},
}

local bounds = {float32 = 5e-6, float64 = 1e-13}

local function check_kernels(device)
  line("kernels on " .. device, "float32       float64  (largest error against plain loops)")
  for _, check in ipairs(checks) do
    local shown, failed = {}, ""
    for i, dtype in ipairs {"float32", "float64"} do
      local done, found = pcall(check[2], dtype, device)
      if not done then failed = "  FAILED: " .. tostring(found) end
      if done and (found ~= found or found > bounds[dtype]) then failed = "  WRONG" end
      shown[i] = done and ("%.1e"):format(found) or "-"
    end
    good = good and failed == ""
    line("  " .. check[1], "%-14s%s%s", shown[1], shown[2], failed)
  end
end

-- The first value of torch.manual_seed(0); torch.rand(1).
local function check_random()
  local x = core.rand(1, {generator = core.Generator():manual_seed(0)}):item()
  local same = math.abs(x - 0.4962565899) < 1e-9
  good = good and same
  line("random numbers", same and "PyTorch's" or ("WRONG: %.10f"):format(x))
end

-- ---- surroundings -------------------------------------------------------------------------

local function devices()
  local list = {"cpu"}
  for i = 1, core.cuda.device_count() do list[i + 1] = "cuda:" .. i - 1 end
  return list
end

local function show_devices()
  line("devices", "%s", table.concat(devices(), ", "))
  if core.cuda.is_available() then return end
  local _, message = pcall(core.zeros, 0, {device = "cuda"})
  line("", "%s", (message:gsub("^.-zeros: ", "")))
end

local function show_data()
  local files, seen = require "saros.data.files", {}
  for _, place in ipairs(files.places()) do
    local folder = files.shorten(place[1])
    local names = not seen[folder] and core.list_directory(folder)
    if names and #names > 0 then
      line(next(seen) and "" or "data", "%s (%s): %s", folder, place[2], table.concat(names, ", "))
      seen[folder] = true
    end
  end
  if not next(seen) then line("data", "none found; SAROS_DATA may name a folder") end
end

local function show_terminal()
  if not core.is_terminal("stdout") then return line("terminal", "no: output goes elsewhere") end
  line("terminal", "%s, %d columns%s", os.getenv("TERM") or "unknown", core.terminal_width(),
    (os.getenv("NO_COLOR") or "") ~= "" and ", NO_COLOR" or "")
end

local function show_gnuplot()
  local pipe = io.popen("gnuplot --version 2>/dev/null")
  local version = pipe and pipe:read("l")
  if pipe then pipe:close() end
  line("pictures", "%s", version or "no gnuplot: scripts go on without pictures")
end

--- Print everything.
---@return boolean good do all kernels compute what they should?
function doctor.run()
  line("saros", "%s, %s", core.version, _VERSION)
  line("kernels", "%s; products: %s", core.cpu_kernels(), core.product_library())
  line("threads", "%d", core.get_num_threads())
  show_devices()
  show_data()
  show_terminal()
  show_gnuplot()
  check_random()
  for _, device in ipairs(devices()) do check_kernels(device) end
  print(good and "all is well" or "something is WRONG: results of this saros cannot be trusted")
  return good
end

return doctor
