---@meta ft.resample
--- Sums over rows that are drawn again and again, with replacement: the work of a bootstrap.

---@class ft.resample
local resample = {}

--- Takes the rows of two sides, which are drawn together.
---@param width integer      numbers in each row
---@param a number[][]       at least one row
---@param b number[][]       as many
---@param seed integer       alone decides what is drawn, on every machine
---@return ft.resample.Pairs
function resample.pairs(width, a, b, seed) end

---@class ft.resample.Pairs
local Pairs = {}

--- Draws as many rows as there are, and puts the sums of both sides into the lists.
---@param sums_a number[]
---@param sums_b number[]
function Pairs:draw(sums_a, sums_b) end

--- Frees the rows. Idempotent.
function Pairs:close() end

return resample
