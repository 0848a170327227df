-- timer_postpone.lua: lets timers come again later, where they still are.
-- KEYS 1 due
-- ARGV 1 how much later than now, in ms; then the timers, at most 500
-- Returns how many there were
local t = redis.call('TIME')
local due = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000) + ARGV[1])
local moved = 0
for i = 2, #ARGV do
  moved = moved + redis.call('ZADD', KEYS[1], 'XX', 'CH', due, ARGV[i])
end
return moved
