-- node_mark_dead.lua: declares a node dead, unless it has sent a heartbeat meanwhile.
-- KEYS 1 sorted set: node by time of its last heartbeat in ms (`nodes`)
--      2 sorted set: dead node by time of death in ms (`marks`)
--      3 hash: node to its description (`about`)
--      4 hash: node to the order that it is to carry out (`orders`)
-- ARGV 1 node  2 its last heartbeat in ms, as `node_beat.lua` has listed it
--      3 ms for which marks of dead nodes are kept
-- Returns 1 when marked as dead, 0 when the node has another last heartbeat or is not in the roster
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1])
redis.pcall('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - ARGV[3]))
-- A description or an order that stays harms less than a mark on a node whose heartbeats still count.
redis.pcall('HDEL', KEYS[3], ARGV[1])
redis.pcall('HDEL', KEYS[4], ARGV[1])
-- The last heartbeat goes last: by it a repeated call finds the node.
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
