-- leader_resign.lua: gives up the leadership of a partition, so that another node can take it at
--   once.
-- KEYS 1 lease of the leader (`leader`)
-- ARGV 1 node  2 control channel
-- Returns 1 when the node has resigned, 0 when it did not lead
local holder = string.match(redis.call('GET', KEYS[1]) or '', '^%d+ (.+)$')
if holder ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[2], 'lease')
return 1
