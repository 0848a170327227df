-- pool_join.lua: who serves an addressed pool, and what the pool is like at the moment.
-- KEYS 1 meta  2 members
-- ARGV 1 node  2 "join" (or stay), "leave" or "look"  3 ms after which a silent member is none
-- Returns {mode, size, generation, drain, tail, stopped, paused; at most 500 members}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if ARGV[2] == 'join' then redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1]) end
if ARGV[2] == 'leave' then redis.call('ZREM', KEYS[2], ARGV[1]) end
local silent = string.format('%.0f', now - ARGV[3])
if ARGV[2] ~= 'look' then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', silent) end
local m = redis.call('HMGET', KEYS[1], 'mode', 'size', 'generation', 'drain', 'tail', 'stopped',
  'paused')
for i = 1, 7 do m[i] = m[i] or '' end
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. silent, '+inf', 'LIMIT', 0, 500)
return {m, members}
