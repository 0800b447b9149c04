-- saros.save and saros.load: tensors by name in safetensors files, which other programs
-- read and write too.

local core = require "saros.core"
local options = require "saros.options"
local ordered = require "saros.ordered"

local fail, show, is_tensor = options.fail, options.show, core.is_tensor

local archive = {}

-- Also for checkpoint.lua.
function archive.check_path(where, path)
  if type(path) ~= "string" or path == "" then
    fail("%s: a file name expected, got %s", where, show(path))
  end
end

local function check_metadata(metadata)
  if metadata == nil then return end
  if type(metadata) ~= "table" or is_tensor(metadata) then
    fail("saros.save: metadata must be a table of strings, got %s", show(metadata))
  end
  for key, value in pairs(metadata) do
    if type(key) ~= "string" or type(value) ~= "string" then
      fail("saros.save: metadata['%s'] must be a string under a name, got %s", tostring(key),
        show(value))
    end
  end
end

--- Write tensors to a file, as a whole or not at all. The order of a state_dict is kept;
--- other tables are written in the order of their names.
---@param path string
---@param tensors table<string, saros.Tensor> as model:state_dict() gives
---@param metadata? table<string, string>
function archive.save(path, tensors, metadata)
  archive.check_path("saros.save", path)
  if type(tensors) ~= "table" then
    fail("saros.save: a table of tensors by name expected, got %s", show(tensors))
  end
  if type(tensors.state_dict) == "function" then
    fail("saros.save: a table of tensors by name expected, got %s: give its state_dict()",
      show(tensors))
  end
  check_metadata(metadata)
  local names, list = {}, {}
  for i, name in ipairs(ordered.keys(tensors)) do
    local value = tensors[name]
    if type(name) ~= "string" then
      fail("saros.save: names must be strings, got %s", show(name))
    elseif type(value) == "table" then
      fail("saros.save: '%s' holds a table: nested tables are not saved, give each tensor a name "
        .. "of its own, or use saros.save_checkpoint", name)
    elseif not is_tensor(value) then
      fail("saros.save: '%s' must be a tensor, got %s%s", name, show(value),
        (type(value) == "string" or type(value) == "number")
        and " (strings go into the metadata, the third argument)" or "")
    end
    names[i], list[i] = name, value
  end
  core.save(path, names, list, metadata)
end

local read_load = options.reader("saros.load", {{"device", "string?"}})

--- Read the tensors of a file. pairs() follows the order of the file.
---@param path string
---@param opts? {device: string} default: where new tensors are made
---@return table<string, saros.Tensor> tensors
---@return table<string, string> metadata
function archive.load(path, opts)
  archive.check_path("saros.load", path)
  local o = read_load(opts)
  local names, tensors, metadata = core.load(path, {device = o.device})
  local result = ordered.new()
  for _, name in ipairs(names) do result[name] = tensors[name] end
  return result, metadata
end

return archive
