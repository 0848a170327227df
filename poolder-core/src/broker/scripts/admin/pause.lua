-- pause.lua: pauses a partition, or lets it go on.
-- KEYS 1 meta
-- ARGV 1 "1" to pause, "0" to go on  2 control channel
-- Returns 1 if that changed anything, else 0
local changed
if ARGV[1] == '1' then
  local t = redis.call('TIME')
  local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
  changed = redis.call('HSETNX', KEYS[1], 'paused', now)
else
  changed = redis.call('HDEL', KEYS[1], 'paused')
end
if changed == 1 then redis.call('HINCRBY', KEYS[1], 'orders', 1) end
-- Told in any case: whoever asks again may do so because somebody did not hear.
redis.call('PUBLISH', ARGV[2], 'orders')
return changed
