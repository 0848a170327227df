-- pool_report.lua: records that a slot has run all entries from before the current generation, or
--   that a slot beyond the pool's size is empty and leaves service. When all slots concerned have
--   reported, the pool no longer drains, or has only the slots of its size.
-- KEYS 1 hash of the pool (`meta` of the queue's first partition)
--      2 set of the slots that have reported (`drained` or `retired`)
-- ARGV 1 generation that the slot knows  2 number of the slot  3 "drained" or "retired"
-- Returns 1 when the report is recorded, 0 when the pool has another generation or needs no such
--   report from the slot
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local m = redis.call('HMGET', KEYS[1], 'generation', 'drain', 'tail', 'size')
if m[1] ~= ARGV[1] then return 0 end
local slot, drain, tail, size = tonumber(ARGV[2]), tonumber(m[2]), tonumber(m[3]), tonumber(m[4])
-- New slots have no entries from before the generation, so their reports do not count.
if ARGV[3] == 'drained' and slot >= drain then return 0 end
-- A slot that drains stays in service, whatever the node knows: the drain waits for its report.
if ARGV[3] == 'retired' and (slot < size or slot >= tail or drain > 0) then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
local count = redis.call('SCARD', KEYS[2])
-- The reports of a generation are used up with its last one; pool_resize.lua removes those that an
-- error left.
if ARGV[3] == 'drained' and count >= drain then
  redis.call('HSET', KEYS[1], 'drain', 0)
  redis.pcall('DEL', KEYS[2])
elseif ARGV[3] == 'retired' and count >= tail - size then
  redis.call('HSET', KEYS[1], 'tail', m[4])
  redis.pcall('DEL', KEYS[2])
end
return 1
