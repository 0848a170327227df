-- pool_join.lua: records whether a node serves an addressed pool, and returns the pool's state.
-- KEYS 1 hash of the pool (`meta` of the queue's first partition)
--      2 sorted set: node that serves the pool by time of its last call in ms (`members`)
-- ARGV 1 node
--      2 "join" to become or stay a member, "leave", or "look" to change nothing
--      3 ms without a call after which a node no longer counts as a member
-- Returns {{mode, size, generation, drain, tail, stopped, paused, before, top}, members, at most
--   500}; a field that is not set is "". `drain` is the number of slots that must first run the
--   entries of older generations, `tail` the number of slots in service, also those beyond the size,
--   `before` a generation and the size before it, `top` the most slots that the pool ever had
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local m = redis.call('HMGET', KEYS[1], 'mode', 'size', 'generation', 'drain', 'tail', 'stopped',
  'paused', 'before', 'top')
local silent = string.format('%.0f', now - ARGV[3])
-- The removal goes first: after it a full server refuses no write.
if ARGV[2] ~= 'look' then redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', silent) end
if ARGV[2] == 'join' then redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1]) end
if ARGV[2] == 'leave' then redis.call('ZREM', KEYS[2], ARGV[1]) end
for i = 1, 9 do m[i] = m[i] or '' end
local members = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. silent, '+inf', 'LIMIT', 0, 500)
return {m, members}
