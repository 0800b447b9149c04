-- saros.metrics, and text.nearest. Distances are PyTorch's (1 - cosine_similarity, cdist).
package.path = (arg[0]:match("^(.*/)") or "./") .. "?.lua;" .. package.path
local lu = require "luaunit"
local saros = require "saros"
local support = require "support"
local metrics, text = saros.metrics, saros.text
local assert_error = support.assert_error

local TestAccuracy = {}

function TestAccuracy:test_classes_and_scores()
  lu.assertEquals(metrics.accuracy({1, 2, 3, 1}, {1, 2, 2, 3}), 0.5)
  lu.assertEquals(metrics.accuracy(saros.tensor {1, 2}, saros.tensor {1, 2}), 1)
  local scores = saros.tensor {{0.1, 0.9}, {0.8, 0.2}, {0.3, 0.7}}
  lu.assertEquals(metrics.accuracy(scores, saros.tensor {2, 1, 1}), 2 / 3)
  lu.assertEquals(metrics.accuracy(scores, {1, 2, 1}), 0)
  lu.assertEquals(metrics.accuracy(saros.rand(2, 3, 5) * 0, saros.ones(2, 3):long()), 1)
  local none = metrics.accuracy({}, {})
  lu.assertTrue(none ~= none)
end

function TestAccuracy:test_wrong_use()
  assert_error("metrics.accuracy: 2 true classes and 1 predictions: the numbers must be the same",
    metrics.accuracy, {1}, {1, 2})
  assert_error("truth must be classes (int64), got tensor [2] of float32", metrics.accuracy,
    {1, 2}, saros.ones(2))
  assert_error("prediction must be a class, a list or a tensor of classes, got nil",
    metrics.accuracy, nil, {1})
end

local TestConfusion = {}

function TestConfusion:test_counts()
  local confusion = metrics.ConfusionMatrix(3)
  local nothing = confusion:accuracy()
  lu.assertTrue(nothing ~= nothing)
  confusion:add(1, 1)
  confusion:add({1, 2, 2}, {2, 2, 2})
  confusion:add(saros.tensor {{2, 1}}, saros.tensor {{1, 1}})
  lu.assertEquals(confusion.counts, {{2, 1, 0}, {1, 2, 0}, {0, 0, 0}})
  lu.assertEquals({confusion:right(), confusion:total()}, {4, 6})
  lu.assertEquals(math.type(confusion:right()), "integer")
  lu.assertEquals(confusion:accuracy(), 4 / 6)
  local shares = confusion:per_class_accuracy()
  lu.assertEquals({shares[1], shares[2]}, {2 / 3, 2 / 3})
  lu.assertTrue(shares[3] ~= shares[3])
  lu.assertEquals(tostring(confusion), "ConfusionMatrix of 3 classes, 4 of 6 right")
end

function TestConfusion:test_wrong_use()
  local confusion = metrics.ConfusionMatrix(2)
  assert_error("ConfusionMatrix:add: truth 3 is not a class from 1 to 2", confusion.add, confusion,
    {1, 3}, {1, 1})
  assert_error("prediction 0 is not a class from 1 to 2", confusion.add, confusion, {1}, {0})
  assert_error("truth 1.5 is not a class", confusion.add, confusion, 1.5, 1)
  assert_error("truth string 'a' is not a class", confusion.add, confusion, {"a"}, {1})
  assert_error("1 true classes and 2 predictions", confusion.add, confusion, {1}, {1, 2})
  lu.assertEquals(confusion:total(), 0) -- nothing was counted
  assert_error("the number of classes expected, got number 0", metrics.ConfusionMatrix, 0)
  assert_error("the number of classes expected, got nil", metrics.ConfusionMatrix)
end

local TestNearest = {}

local matrix = saros.tensor({{1, 2, 3}, {2, 4, 6}, {-1, -2, -3}, {3, 0, -1}, {1, 2, 2.5},
  {0, 0, 0}}, {dtype = "float64"})

local function check(distances, ids, expected)
  lu.assertEquals(ids.dtype, "int64")
  lu.assertEquals(#ids, #expected)
  for k, pair in ipairs(expected) do
    lu.assertEquals(ids[k]:item(), pair[1])
    lu.assertAlmostEquals(distances[k]:item(), pair[2], 1e-12)
  end
end

function TestNearest:test_rows()
  local distances, ids = text.nearest(matrix, 1, 2)
  check(distances, ids, {{2, 0.0}, {5, 0.003976158888005177}})
  distances, ids = text.nearest(matrix, 4, {k = 1})
  check(distances, ids, {{5, 0.9528595479208968}})
  distances, ids = text.nearest(matrix, 1, 99, {metric = "euclidean"})
  lu.assertEquals(#ids, 5)
  check(distances[{ {1, 1} }], ids[{ {1, 1} }], {{5, 0.5}})
  check(distances[{ {4, 5} }], ids[{ {4, 5} }], {{4, 4.898979485566356}, {3, 7.483314773547883}})
end

function TestNearest:test_vectors()
  local distances, ids = text.nearest(matrix, matrix[4], {k = 2, metric = "euclidean"})
  check(distances, ids, {{4, 0.0}, {6, 3.1622776601683795}})
  distances, ids = text.nearest(matrix:clone():requires_grad_(), matrix[1]:float(), 1)
  lu.assertFalse(distances.requires_grad)
  lu.assertAlmostEquals(distances[1]:item(), 0, 1e-12)
  lu.assertTrue(ids[1]:item() <= 2)
  lu.assertEquals(text.nearest(matrix, saros.tensor(6), 5):numel(), 5)
end

function TestNearest:test_wrong_use()
  assert_error("row 7 is not within 1 to 6", text.nearest, matrix, 7)
  assert_error("row 0 is not within 1 to 6", text.nearest, matrix, 0)
  assert_error("row must be an id or a vector, got string 'king'", text.nearest, matrix, "king")
  assert_error("a vector of 3 numbers expected, got tensor [2]", text.nearest, matrix,
    saros.ones(2))
  assert_error("a matrix of floating point numbers expected, got tensor [3]", text.nearest,
    saros.ones(3), 1)
  assert_error("a matrix of floating point numbers expected", text.nearest, {{1, 2}}, 1)
  assert_error("k must be at least 1, got 0", text.nearest, matrix, 1, 0)
  assert_error("metric must be one of 'cosine', 'euclidean', got string 'manhattan'", text.nearest,
    matrix, 1, {metric = "manhattan"})
end

support.run {TestAccuracy = TestAccuracy, TestConfusion = TestConfusion, TestNearest = TestNearest}
