-- Runs the scripts in scripts/ for tests: in a folder of their own, on the shipped data.
local run = require "run"

local M = {}

M.folder = run.folder()

--- The shell command that runs scripts/NAME.lua there.
---@param name string
---@param arguments string in shell syntax
---@param environment? string NAME=VALUE ..., in shell syntax
---@return string
function M.command(name, arguments, environment)
  return ("cd %s && env -u SAROS_DATA XDG_CACHE_HOME=/none %s %s %s %s"):format(
    run.quote(M.folder), environment or "", run.program,
    run.quote(run.source .. "/scripts/" .. name .. ".lua"), arguments)
end

--- Run it: {out =, err =, code =}.
---@param name string
---@param arguments string
---@param environment? string
---@return {out: string, err: string, code: integer}
function M.run(name, arguments, environment)
  return run.shell(M.command(name, arguments, environment))
end

--- Run it, press Ctrl-C when it begins to train, and give its end: {out =, err =, code =}.
---@param name string
---@param arguments string
---@param file string that it makes when it begins to train, as "out/x.safetensors"
---@return {out: string, err: string, code: integer}
function M.interrupt(name, arguments, file)
  local path = run.quote(M.folder .. "/" .. file)
  return run.shell(([[
rm -f %s
( %s ) & pid=$!
while [ ! -e %s ] && kill -0 $pid; do sleep 0.02; done
kill -INT $pid
wait $pid]]):format(path, M.command(name, arguments):gsub("&& env", "&& exec env", 1), path))
end

--- A run that is stopped by Ctrl-C and started again ends with the same file as one that is not.
---@param name string
---@param arguments string of the run
---@param file string where it is kept
---@param again? string arguments of the second start, those of the run being kept
---@return {out: string, err: string, code: integer} what the second start said
function M.goes_on(name, arguments, file, again)
  local stopped = M.interrupt(name, arguments .. " --retrain", file)
  run.equal(stopped.code, 130, stopped.err)
  run.contains(stopped.err, name .. ".lua: interrupted; the next start goes on from " .. file)
  run.lacks(stopped.err, "traceback")
  local on = M.run(name, again or "")
  run.equal(on.code, 0, on.err)
  local resumed = M.read(file)
  run.equal(M.run(name, arguments .. " --retrain").code, 0)
  assert(resumed and M.read(file) == resumed, "the stopped run differs from a whole one")
  return on
end

--- Run copies of the script and of the program where there is no data set at all.
---@param name string
---@return {out: string, err: string, code: integer}
function M.run_without_data(name)
  local folder = run.quote(run.folder())
  return run.shell(("cp %s %s/saros && cp %s %s && cd %s && %s ./saros %s.lua"):format(run.program,
    folder, run.quote(run.source .. "/scripts/" .. name .. ".lua"), folder, folder,
    "env -u SAROS_DATA XDG_CACHE_HOME=/none", name))
end

--- The bytes of a file that the scripts made, or nil.
---@param path string
---@return string|nil
function M.read(path)
  local file <close> = io.open(M.folder .. "/" .. path, "rb")
  return file and file:read("a")
end

--- Is it a PNG with a size above nothing?
---@param path string
---@return boolean
function M.is_png(path)
  local bytes = M.read(path) or ""
  return #bytes > 1000 and bytes:sub(1, 8) == "\137PNG\r\n\26\n" and (">I4I4"):unpack(bytes, 17) > 0
end

--- Command lines that the script refuses, by the message: one line, exit status 2.
---@param name string
---@param lines table<string, string> arguments -> what the message says
function M.refuses(name, lines)
  for arguments, message in pairs(lines) do
    local r = M.run(name, arguments)
    run.contains(r.err, name .. ".lua: " .. message, arguments)
    run.equal(select(2, r.err:gsub("^data: [^\n]*\n", ""):gsub("\n", "")), 1, r.err)
    run.equal(r.code, 2, arguments)
  end
end

return M
