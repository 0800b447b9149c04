-- saros.data: data sets, batches, long sequences, files.

local core = require "saros.core"
local options = require "saros.options"
local dataset = require "saros.data.dataset"
local files = require "saros.data.files"
local sequences = require "saros.data.sequences"
local lines = require "saros.data.lines"
local csv = require "saros.data.csv"

---@class saros.data
local data = {
  Dataset = dataset.Dataset,
  Subset = dataset.Subset,
  TensorDataset = dataset.TensorDataset,
  random_split = dataset.random_split,
  batches = require("saros.data.loader").batches,
  batchify = sequences.batchify,
  tbptt = sequences.tbptt,
  pad_collate = require("saros.data.collate").pad_collate,
  lines = lines.lines,
  read_lines = lines.read_lines,
  csv_rows = csv.csv_rows,
  read_csv = csv.read_csv,
  read_words = require("saros.data.words").read_words,
  names = require "saros.data.names",
  ag_news = require "saros.data.ag_news",
  checksum = require "saros.data.checksum",
  list_files = files.list_files,
  path = files.path,
  cache_folder = files.cache_folder,
}

local deepest = 100

local function from0(t, depth)
  if type(t) == "number" or core.is_tensor(t) then return t + 1 end
  if type(t) ~= "table" then
    options.fail("data.from0: a tensor, a number or a list expected, got %s", options.show(t))
  end
  if depth > deepest then
    options.fail("data.from0: lists nested deeper than %d, or a list that contains itself", deepest)
  end
  local list = {}
  for i, value in ipairs(t) do list[i] = from0(value, depth + 1) end
  return list
end

--- 0-based labels or ids, as files for other programs have them, counted from 1.
---@param t saros.Tensor|integer|integer[] a tensor, a number or a list
---@return saros.Tensor|integer|integer[] the same plus 1
function data.from0(t) return from0(t, 1) end

return data
