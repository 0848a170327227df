-- slot_begin.lua: notes that a suspect begins in a slot: should the slot's holder die, it ran.
-- KEYS 1 lease
-- ARGV 1 node  2 term  3 entry id
-- Returns 1 noted, 0 the lease is somebody else's
local l = redis.call('HMGET', KEYS[1], 'holder', 'term')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'begun', ARGV[3])
return 1
