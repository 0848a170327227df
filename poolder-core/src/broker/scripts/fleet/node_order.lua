-- node_order.lua: gives an order to a node, which reads it with its next heartbeat.
-- KEYS 1 sorted set: node by time of its last heartbeat in ms (`nodes`)
--      2 hash: node to the order that it is to carry out (`orders`)
-- ARGV 1 node  2 order: "quiet", "resume" or "stop"
-- Returns 1 when the order is given, or the node is to stop in any case, 0 when the node is not in the
--   roster
redis.call('PERSIST', KEYS[2]) -- the first write, which a full server accepts
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('HGET', KEYS[2], ARGV[1]) ~= 'stop' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
return 1
