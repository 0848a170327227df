-- timer_postpone.lua: postpones timers, if they still exist.
-- KEYS 1 sorted set: job id or timer by due time in ms (`due`)
-- ARGV 1 ms from now until the timers are due again  2.. timers, at most 500
-- Returns the number of timers that were postponed
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local t = redis.call('TIME')
local due = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[1])
local moved = 0
for i = 2, #ARGV do
  moved = moved + redis.call('ZADD', KEYS[1], 'XX', 'CH', due, ARGV[i])
end
return moved
