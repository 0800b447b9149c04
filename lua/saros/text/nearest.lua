-- Nearest neighbours among the rows of an embedding.

local core = require "saros.core"
local options = require "saros.options"

local fail, show = options.fail, options.show

local where = "text.nearest"

local read = options.signature(where, {{"k", "integer", 10}, {"metric", "string", "cosine"}})

local metrics = {}

-- 1 - cos of the angle. As F.cosine_similarity, a row of zeros is perpendicular to all.
function metrics.cosine(matrix, vector)
  local eps = 1e-8
  local length = core.maximum(matrix:norm(2, 2), eps) * core.maximum(vector:norm(), eps)
  return 1 - matrix:mv(vector) / length
end

function metrics.euclidean(matrix, vector)
  return (matrix - vector):square():sum(2):sqrt()
end

-- The vector that is meant, and the row to leave out.
local function vector_of(matrix, row)
  if core.is_tensor(row) and row:numel() > 1 then
    if row:dim() ~= 1 or #row ~= matrix:size(2) then
      fail("%s: a vector of %d numbers expected, got %s", where, matrix:size(2), show(row))
    end
    return row
  end
  local id = core.is_tensor(row) and row:item() or row
  if math.type(id) ~= "integer" then
    fail("%s: row must be an id or a vector, got %s", where, show(row))
  elseif id < 1 or id > #matrix then
    fail("%s: row %d is not within 1 to %d", where, id, #matrix)
  end
  return matrix[id], id
end

--- The rows of an embedding that are nearest to one of them, or to a vector.
---
--- local distances, ids = text.nearest(model.embedding.weight, vocab["king"], 5)
---@param matrix saros.Tensor (rows, size), as an nn.Embedding's weight
---@param row integer|saros.Tensor an id, which is not among the result, or a vector (size)
---@param ... any k = 10 (at most the rows there are), metric = "cosine" (1 - cosine of the
---   angle, 0 to 2) or "euclidean"
---@return saros.Tensor distances (k), the smallest first
---@return saros.Tensor ids (k)
return function(matrix, row, ...)
  local o = read(...)
  options.one_of(where, "metric", o.metric, {"cosine", "euclidean"})
  if not core.is_tensor(matrix) or matrix:dim() ~= 2 or not matrix:is_floating_point() then
    fail("%s: a matrix of floating point numbers expected, got %s", where, show(matrix))
  end
  if o.k < 1 then fail("%s: k must be at least 1, got %d", where, o.k) end
  matrix = matrix:detach()
  local vector, itself = vector_of(matrix, row)
  local distances = metrics[o.metric](matrix, vector:detach():to(matrix))
  if itself then distances[itself] = math.huge end
  local k = math.min(o.k, itself and #matrix - 1 or #matrix)
  return distances:topk(k, -1, false)
end
