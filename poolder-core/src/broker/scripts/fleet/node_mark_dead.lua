-- node_mark_dead.lua: declares a node dead, if it has not given a sign of life since.
-- KEYS 1 nodes  2 marks  3 about
-- ARGV 1 node  2 its last beat, as it was seen  3 how long marks are kept, in ms
-- Returns 1 marked, 0 it lives or is gone
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ARGV[3]))
return 1
