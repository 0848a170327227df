-- define.lua: limits a queue, or changes its limits.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 hash: number and group to the waiting job (`limits:jobs`)
--      4 hash with the number of commands of operators (`meta`)
-- ARGV 1 how many jobs of each group may run at a time, and  2 how many of the queue ("" for any
--        number)
--      3 rate of each group, and  4 of the queue ("" for none)
--      5 "1" to leave limits that were set before as they are
--      6 control channel
-- Returns 1 if the limits were set, 0 if others are set already
redis.call('PERSIST', KEYS[4]) -- the first write, which a full server accepts
local on = redis.call('HGET', KEYS[1], 'on')
local known = redis.call('HEXISTS', KEYS[4], 'limited') == 1
for i = 2, 3 do redis.call('HLEN', KEYS[i]) end
if ARGV[5] == '1' and on == '1' then return 0 end
-- A long field keeps Redis from a form of hashes in which each look walks all fields.
for i = 2, 3 do redis.call('HSET', KEYS[i], '\0', string.rep('-', 65)) end
for i, name in ipairs({'each', 'all', 'each_rate', 'rate'}) do
  if ARGV[i] == '' then redis.call('HDEL', KEYS[1], name)
  else redis.call('HSET', KEYS[1], name, ARGV[i]) end
end
redis.call('HDEL', KEYS[1], 'again')
redis.call('HSET', KEYS[1], 'on', '1')
if on ~= '1' or not known then
  -- The number goes first: one that an error leaves without a command is harmless.
  redis.call('HINCRBY', KEYS[4], 'orders', 1)
  redis.call('HSET', KEYS[4], 'limited', '1')
  redis.pcall('PUBLISH', ARGV[6], 'orders') -- hints may be lost
end
return 1
