-- pool_resize.lua: changes the size of an addressed pool, which starts a new generation.
-- KEYS 1 hash of the pool (`meta` of the queue's first partition)
--      2 set of the slots that have drained  3 set of the slots that have retired
-- ARGV 1 new number of slots
-- Returns {"ok", generation}, {"none"} when no such pool is registered, or {"busy", number of slots
--   that must still drain after the resize before}
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local m = redis.call('HMGET', KEYS[1], 'mode', 'size', 'generation', 'drain', 'tail', 'top',
  'before')
if not m[1] then return {'none'} end
local size, drain = tonumber(m[2]), tonumber(m[4] or 0)
if size == tonumber(ARGV[1]) then return {'ok', tonumber(m[3])} end
if drain > 0 then return {'busy', drain - redis.call('SCARD', KEYS[2])} end
-- Slots beyond the new size stay in service until they are empty.
local in_service = math.max(size, tonumber(m[5] or 0))
-- Only mode `phash` keeps an order per key, which a move to another slot could break. Therefore
-- only its slots drain.
drain = m[1] == 'phash' and in_service or 0
local generation = tonumber(m[3]) + 1
-- `before` is the size of the generation before this one. `top` is the most slots that the pool
-- ever had: late jobs may arrive in any of them.
local tail = math.max(in_service, tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'size', ARGV[1], 'generation', generation, 'drain', drain, 'tail', tail,
  'before', generation .. ' ' .. m[2], 'top', math.max(tail, tonumber(m[6] or 0)))
local gone = redis.pcall('DEL', KEYS[2], KEYS[3])
if type(gone) == 'table' then
  -- Reports of the generation before must not count for this one.
  redis.pcall('HSET', KEYS[1], 'size', m[2], 'generation', m[3], 'drain', m[4] or 0,
    'tail', m[5] or 0, 'before', m[7] or '', 'top', m[6] or 0)
  return gone
end
return {'ok', generation}
