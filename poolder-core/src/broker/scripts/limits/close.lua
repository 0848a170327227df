-- close.lua: ends the limits of a queue: at once for jobs that wait, and for the queue as a whole
--   when none waits in a group any more.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 hash: number and group to the waiting job (`limits:jobs`)
--      4 list of the turns (`limits:turns`)
--      5 hash: group to its own limits (`limits:own`)
--      6 list of tokens for claimers that wait (`limits:wake`)
--      7 sorted set: group by the time in ms at which it may go on (`limits:timers`)
--      8 hash with the number of commands of operators (`meta`)
-- ARGV 1 control channel  2 "1" to go on with an end that was asked for before, and do nothing else
-- Returns the number of jobs that wait in groups, -1 when the queue has no limits
redis.call('PERSIST', KEYS[8]) -- the first write, which a full server accepts
local k = {limits = 1, wake = 6}
local on = redis.call('HGET', KEYS[1], 'on')
if not on then return -1 end
if ARGV[2] == '1' and on == '1' then return -1 end
if on == '1' then
  redis.call('UNLINK', KEYS[5])
  redis.call('HDEL', KEYS[1], 'each', 'all', 'own', 'each_rate', 'rate', 'full_at', 'held', 'again')
  redis.call('HSET', KEYS[1], 'on', '0')
  wake(k)
end
local waiting = redis.call('HLEN', KEYS[3]) - redis.call('HEXISTS', KEYS[3], '\0')
if waiting > 0 then return waiting end
-- The limits go last: without them the call is not repeated.
redis.call('HINCRBY', KEYS[8], 'orders', 1)
redis.call('HDEL', KEYS[8], 'limited')
for _, i in ipairs({2, 3, 4, 7}) do redis.call('DEL', KEYS[i]) end
redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[1], 'orders') -- hints may be lost
-- Those that wait for a token find the queue without limits. The tokens go by themselves.
for _ = 1, 64 do redis.pcall('RPUSH', KEYS[6], '1') end
redis.pcall('PEXPIRE', KEYS[6], 10000)
return -1
