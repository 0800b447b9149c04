-- How modules are printed: as PyTorch does, parts indented below their owner.

local printing = {}

--- Name(..) around lines, each of which may have several lines itself.
---@param name string
---@param lines string[]
---@return string
function printing.block(name, lines)
  if #lines == 0 then return name .. "()" end
  return ("%s(\n  %s\n)"):format(name, (table.concat(lines, "\n"):gsub("\n", "\n  ")))
end

local active = {} -- modules whose text is being made

--- A __tostring for modules. One that contains itself is not printed inside itself again.
---@param describe fun(self: saros.nn.Module): string
---@return fun(self: saros.nn.Module): string
function printing.printer(describe)
  return function(self)
    if active[self] then return self.__name .. "(itself)" end
    active[self] = true
    local _ <close> = setmetatable({}, {__close = function() active[self] = nil end})
    return (describe(self))
  end
end

return printing
