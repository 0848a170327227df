-- wait_begin.lua: asks for a wait permit of a partition, the right of a node to block until a job
--   comes. A node that gets none rests until it is woken.
-- KEYS 1 sorted set: node with a wait permit by the time at which the permit ends in ms (`waiting`)
--      2 sorted set: node that rests by the time at which its entry ends in ms (`resting`)
--      3-7 streams of all lanes: front, suspect, high, normal, low
-- ARGV 1 node  2 most permits  3 ms that a permit lasts  4 ms that an entry of `resting` lasts
--      5.. nodes known to be dead, at most 100
-- Returns {1 when the node has a permit | 0 when it rests, then the number of waiting jobs in each of
--   the lanes}. The depths are read after the node is entered, so that a job that is stored later
--   finds it.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function at(ms) return string.format('%.0f', ms) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at(now))
-- A permit that ends later than any can is from before the clock was set back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. at(now + 2 * ARGV[3]), '+inf')
if #ARGV > 4 then redis.call('ZREM', KEYS[1], unpack(ARGV, 5)) end -- bounded: 100 names
local permit = 0
if redis.call('ZSCORE', KEYS[1], ARGV[1])
  or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[2]) then
  permit = 1
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[1], at(now + ARGV[3]), ARGV[1])
else
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', at(now))
  redis.call('ZADD', KEYS[2], at(now + ARGV[4]), ARGV[1])
end

local function finish(depths)
  return {permit, unpack(depths)} -- bounded: 5 lanes
end
