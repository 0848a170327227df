-- pause.lua: pauses a partition, or resumes it.
-- KEYS 1 hash with the time of the pause and the number of commands of operators (`meta`)
-- ARGV 1 "1" to pause, "0" to resume  2 control channel
-- Returns 1 if the state was changed, else 0
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local paused = redis.call('HEXISTS', KEYS[1], 'paused')
local changed = paused == tonumber(ARGV[1]) and 0 or 1
if changed == 1 then
  -- The number goes first: nodes read the commands only when it has changed. One that an error
  -- leaves without a command is harmless.
  redis.call('HINCRBY', KEYS[1], 'orders', 1)
  if ARGV[1] == '1' then
    local t = redis.call('TIME')
    local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
    redis.call('HSET', KEYS[1], 'paused', now)
  else
    redis.call('HDEL', KEYS[1], 'paused')
  end
end
-- The hint is published in any case: an operator may repeat the command because a node has missed
-- the first hint.
redis.pcall('PUBLISH', ARGV[2], 'orders')
return changed
