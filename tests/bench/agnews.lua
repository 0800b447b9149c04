-- What the four AG News classifiers share: vocabulary, batches, training step.
--
-- Text is cut into words batch by batch, as in the course. The full training set gives 95812
-- embedding rows, and Adam's update of them is most of a step; a smaller set gets unused rows
-- up to --vocab, so that a step does the same work.
local bench = require "common"
local saros = require "saros"
local nn, optim, data, text = saros.nn, saros.optim, saros.data, saros.text

local BATCH, EMBED, HIDDEN, CLASSES, REPORT = 16, 64, 32, 4, 200

local agnews = {}

-- The course's first weights of the LSTMs' embeddings.
function agnews.embedding(vocab, embed)
  local embedding = nn.Embedding(vocab, embed)
  nn.init.normal_(embedding.weight, {mean = -0.5, std = 1})
  return embedding
end

local function vocabulary(rows)
  local i = 0
  return text.build_vocab_from_iterator(function()
    i = i + 1
    return rows[i] and text.basic_english(rows[i].text)
  end, {specials = {"<unk>", "<pad>"}})
end

---model_of(vocab size, embedding, hidden, classes) makes the network; its forward takes words
---(batch, steps) and lengths (batch).
function agnews.run(workload, model_of)
  local args = bench.parse(workload, {steps = 300, warmup = 30, batch = BATCH}, {
    {"vocab", "integer", 95812, "least number of embedding rows"},
  })
  local rows = data.ag_news(args.data and args.data:gsub("/train%.csv$", ""))
  local words = vocabulary(rows)
  words:set_default_index(1)
  local pad = data.pad_collate {padding_value = 1}
  local function collate(items)
    local encoded = {}
    for i, item in ipairs(items) do
      encoded[i] = {item.label, words(text.basic_english(item.text))}
    end
    return pad(encoded)
  end

  local vocab = math.max(#words, args.vocab)
  local model = model_of(vocab, EMBED, HIDDEN, CLASSES)
  local optimizer = optim.Adam(model:parameters(), {lr = 0.001})
  local criterion = nn.CrossEntropyLoss()
  model:train()
  local next_batch = bench.forever(data.batches(rows,
    {size = BATCH, shuffle = true, collate = collate}))
  local total, right, seen, turn = 0, 0, 0, 0

  local function step()
    local labels, padded, lengths = next_batch()
    optimizer:zero_grad()
    local out = model(padded, lengths)
    local loss = criterion(out, labels)
    loss:backward()
    optimizer:step()
    total = total + loss:detach()
    right = right + out:argmax(2):eq(labels):sum()
    seen, turn = seen + #labels, turn + 1
    if turn % REPORT == 0 then right:item() end
    return #labels, loss:item()
  end

  bench.report(args, "examples/s", bench.measure(args, step),
    {vocab = vocab, words = #words, acc = right:item() / seen})
end

return agnews
