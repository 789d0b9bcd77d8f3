--- The length of the longest common subsequence of two lists, many positions at a time: the rows of the usual table
--- differ by steps of 0 or 1, which are kept as bits (M. Crochemore et al., A fast and practical bit-vector algorithm
--- for the longest common subsequence problem, 2001; H. Hyyrö, Bit-parallel LCS-length computation revisited, 2004).
--- Memory grows with the lists' lengths, not with their product.
local M = {}

local BITS = 62 -- a sum of two blocks and a carry is still no negative integer
local FULL = (1 << BITS) - 1

--- The places of each item as bits: item -> block -> bits.
local function places(list)
  local of = {}
  for i, item in ipairs(list) do
    local block, bit = (i - 1) // BITS + 1, 1 << (i - 1) % BITS
    local blocks = of[item]
    if not blocks then
      blocks = {}
      of[item] = blocks
    end
    blocks[block] = (blocks[block] or 0) | bit
  end
  return of
end

--- How many items two lists have in common in the same order.
---@param a string[]
---@param b string[]
---@return integer
function M.length(a, b)
  local of, blocks, v = places(a), (#a + BITS - 1) // BITS, {}
  for k = 1, blocks do v[k] = FULL end
  for _, item in ipairs(b) do
    local here = of[item]
    if here then
      local carry = 0
      for k = 1, blocks do
        local bits = here[k]
        if bits or carry > 0 then
          local before = v[k]
          local sum = before + (before & (bits or 0)) + carry
          carry = sum >> BITS
          v[k] = sum & FULL | before & ~(bits or 0)
        end
      end
    end
  end
  local length = 0
  for k = 1, blocks do
    -- what is no place of the list stays set: those bits are never matched, and a carry runs over them
    local zeros = ~v[k] & (k < blocks and FULL or (1 << (#a - (blocks - 1) * BITS)) - 1)
    while zeros ~= 0 do
      zeros = zeros & (zeros - 1)
      length = length + 1
    end
  end
  return length
end

return M
