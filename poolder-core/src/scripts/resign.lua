-- resign.lua: gives up the leadership of a partition, so that another node takes it at once.
-- KEYS 1 lease
-- ARGV 1 node  2 control channel
-- Returns 1 resigned, 0 it was not ours
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'until', 0)
redis.call('PUBLISH', ARGV[2], 'lease')
return 1
