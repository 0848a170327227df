-- slot_move.lua: records that the job in front of a slot moves to another slot, before it is stored
--   there. A later holder of the slot then goes on with the same move, so that the job is stored
--   once.
-- KEYS 1 hash of the slot's lease
-- ARGV 1 node  2 term of its lease  3 job id, 16 bytes  4 number of the slot to which it moves
--      5 id of the move, 16 bytes
-- Returns {number of the slot, id of the move} as recorded first, or {} when the node does not hold
--   the lease of that term
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local l = redis.call('HMGET', KEYS[1], 'holder', 'term', 'moving')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return {} end
if l[3] and string.sub(l[3], 1, 16) == ARGV[3] then
  return {string.sub(l[3], 33), string.sub(l[3], 17, 32)}
end
redis.call('HSET', KEYS[1], 'moving', ARGV[3] .. ARGV[5] .. ARGV[4])
return {ARGV[4], ARGV[5]}
