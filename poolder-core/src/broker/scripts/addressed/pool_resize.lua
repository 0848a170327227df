-- pool_resize.lua: gives an addressed pool another size, as a new generation.
-- KEYS 1 meta  2 drained  3 retired
-- ARGV 1 size
-- Returns {"ok", generation}, {"none"} for no such pool, or {"busy", slots that must still drain}
local m = redis.call('HMGET', KEYS[1], 'mode', 'size', 'generation', 'drain', 'tail')
if not m[1] then return {'none'} end
local size, drain = tonumber(m[2]), tonumber(m[4] or 0)
if size == tonumber(ARGV[1]) then return {'ok', tonumber(m[3])} end
if drain > 0 then return {'busy', drain - redis.call('SCARD', KEYS[2])} end
-- Slots beyond the new size stay in service until they are empty.
local all = math.max(size, tonumber(m[5] or 0))
-- Only keys have an order that a move could break.
drain = m[1] == 'phash' and all or 0
local generation = tonumber(m[3]) + 1
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('HSET', KEYS[1], 'size', ARGV[1], 'generation', generation, 'drain', drain,
  'tail', math.max(all, tonumber(ARGV[1])))
return {'ok', generation}
