-- How often each token occurs, and tokens by falling count.

local ordered = require "saros.ordered"

local counts = {}

--- An empty count: token -> how often, pairs() in the order of first appearance.
---@return table<string, integer>
function counts.new() return ordered.new() end

---@param count table<string, integer>
---@param tokens string[]
function counts.add(count, tokens)
  for i = 1, #tokens do
    local token = tokens[i]
    count[token] = (count[token] or 0) + 1
  end
end

--- Tokens by falling count; equal ones in the order of `pairs(count)`, or, with
--- `sorted_ties`, by their bytes (which for UTF-8 is by code points).
---@param count table<string, integer>
---@param sorted_ties? boolean
---@return string[]
function counts.ranked(count, sorted_ties)
  local groups, sizes = {}, {} -- count -> tokens; the counts there are
  for token, n in pairs(count) do
    local group = groups[n]
    if not group then
      group = {}
      groups[n] = group
      sizes[#sizes + 1] = n
    end
    group[#group + 1] = token
  end
  table.sort(sizes, function(a, b) return a > b end)
  local list = {}
  for _, n in ipairs(sizes) do
    if sorted_ties then table.sort(groups[n]) end
    table.move(groups[n], 1, #groups[n], #list + 1, list)
  end
  return list
end

return counts
