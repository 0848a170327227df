-- node_beat.lua: a node's sign of life; tells it who has been silent, who is dead, and whether it is.
-- KEYS 1 nodes  2 marks
-- ARGV 1 node  2 silence in ms after which a node is named  3 marks younger than this are named
-- Returns {"OK" | "DEAD", now in ms, silent nodes and their last beats, dead nodes}
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
-- CH makes a changed score count; an absent node is either marked, or the roster was lost.
if redis.call('ZADD', KEYS[1], 'XX', 'CH', now, ARGV[1]) == 0 then
  if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return {'DEAD', now, {}, {}} end
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2], 'WITHSCORES',
  'LIMIT', 0, 100)
-- A beat that lies ahead of the clock was given before the clock was set back: whoever lives gives
-- another, and nobody waits until the clock has caught up with the dead.
local ahead = redis.call('ZRANGEBYSCORE', KEYS[1], now + ARGV[2], '+inf', 'WITHSCORES',
  'LIMIT', 0, 100)
for i = 1, #ahead do silent[#silent + 1] = ahead[i] end
local dead = redis.call('ZRANGEBYSCORE', KEYS[2], now - ARGV[3], '+inf', 'LIMIT', 0, 100)
return {'OK', now, silent, dead}
