-- slot_begin.lua: records that a suspect starts to run in a slot. If the slot's holder dies, the
--   record tells that this job was running and did not only wait.
-- KEYS 1 hash of the slot's lease
-- ARGV 1 node  2 term of its lease  3 id of the job's entry
-- Returns 1 when recorded, 0 when the node does not hold the lease of that term
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local l = redis.call('HMGET', KEYS[1], 'holder', 'term')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'begun', ARGV[3])
return 1
