--- Arguments, timing and the JSON line that every bench prints.
--
-- A bench is `saros tests/bench/NAME.lua [--steps N | --examples N] [--warmup N]
-- [--threads N] [--device NAME] [--seed N] [--data PATH]`. It prints one line of JSON with
-- workload, unit, value, steps, final_loss (mean of the last 20 timed steps), threads,
-- peak_rss_mb, seconds and best_block (the rate of the fastest fifth of the steps: a noise
-- check).
local saros = require "saros"
local core = require "saros.core"

local bench = {}

---Read the flags; `defaults` has steps, warmup and, where a step is more than one example,
---batch: what --examples is divided by; `extra` is a list of the bench's own flags.
---@param workload string
---@param defaults table
---@param extra table[]?
---@return table args
function bench.parse(workload, defaults, extra)
  local flags = {
    "Measures " .. workload .. " and prints one line of JSON.",
    {"steps", "integer", defaults.steps, "timed steps"},
    {"examples", "integer", nil, "the same in examples"},
    {"warmup", "integer", defaults.warmup or 2, "steps before the clock starts"},
    {"threads", "integer", 2, "for large operations"},
    {"device", "device", "cpu", "where"},
    {"seed", "integer", 1, "of random numbers"},
    {"data", "string", nil, "file or folder of the data set"},
  }
  local args = saros.script.options(table.move(extra or {}, 1, #(extra or {}), #flags + 1, flags))
  args.workload = workload
  for name, value in pairs(defaults) do
    if args[name] == nil then args[name] = value end
  end
  if args.examples then args.steps = math.ceil(args.examples / (args.batch or 1)) end
  if args.steps < 1 or args.threads < 1 then
    saros.script.quit("--steps and --threads must be positive")
  end
  saros.set_default_device(args.device)
  saros.set_num_threads(args.threads)
  saros.manual_seed(args.seed)
  return args
end

---Time args.steps calls of step(), which returns (units done, loss or nil).
---@param args table
---@param step fun(): number, number?
---@return table result with value (units a second), seconds, best_block, final_loss
function bench.measure(args, step)
  for _ = 1, args.warmup do step() end
  collectgarbage()
  local losses, done, block_done, best = {}, 0, 0, 0
  local block = math.max(1, args.steps // 5)
  local start = core.clock()
  local block_start = start
  for i = 1, args.steps do
    local n, loss = step()
    done = done + n
    losses[i] = loss
    if i % block == 0 then
      local now = core.clock()
      best = math.max(best, (done - block_done) / (now - block_start))
      block_done, block_start = done, now
    end
  end
  local seconds = core.clock() - start
  local sum, count = 0, 0
  for i = math.max(1, args.steps - 19), args.steps do
    if losses[i] then sum, count = sum + losses[i], count + 1 end
  end
  return {value = done / seconds, seconds = seconds, best_block = best,
          final_loss = count > 0 and sum / count or nil}
end

---A function that gives the batches of a loop (data.batches) pass after pass.
---@param loop saros.data.Loader
---@return fun(): ...
function bench.forever(loop)
  local last
  local function keep(first, ...)
    last = first
    return first, ...
  end
  return function()
    if last == nil then return keep(loop()) end
    local batch = table.pack(loop(nil, last))
    if batch[1] == nil then return keep(loop()) end
    return keep(table.unpack(batch, 1, batch.n))
  end
end

local function json(value)
  if type(value) == "number" then
    if math.type(value) == "integer" then return tostring(value) end
    return value ~= value and "null" or string.format("%.6g", value)
  elseif type(value) == "table" and #value > 0 then
    local parts = {}
    for i, item in ipairs(value) do parts[i] = json(item) end
    return "[" .. table.concat(parts, ", ") .. "]"
  elseif type(value) == "table" then
    local names, parts = {}, {}
    for name in pairs(value) do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do
      parts[i] = string.format("%q: %s", name, json(value[name]))
    end
    return "{" .. table.concat(parts, ", ") .. "}"
  elseif type(value) == "boolean" then
    return tostring(value)
  end
  return string.format("%q", value)
end

---Print the line. `more` is added to it.
---@param args table
---@param unit string
---@param result table
---@param more table?
function bench.report(args, unit, result, more)
  local line = {workload = args.workload, unit = unit, steps = args.steps,
                threads = args.threads, device = args.device, seed = args.seed,
                kernels = core.cpu_kernels(),
                peak_rss_mb = core.peak_rss() / 2^20}
  for name, value in pairs(result) do line[name] = value end
  for name, value in pairs(more or {}) do line[name] = value end
  print(json(line))
end

return bench
