-- on_time.lua: lets groups of a limited queue, and the queue, go on whose time has come.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 list of the turns (`limits:turns`)
--      4 hash: group to its own limits (`limits:own`)
--      5 list of tokens for claimers that wait (`limits:wake`)
--      6 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV none
-- Returns {ms to the next time (-1 for none), the server's clock in ms}
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local k = {limits = 1, groups = 2, turns = 3, own = 4, wake = 5, timers = 6}
local next = pass_timers(k)
local now = math.floor(micros() / 1000)
local again = tonumber(redis.call('HGET', KEYS[1], 'again'))
if redis.call('LLEN', KEYS[3]) > 0 then
  if again and again > now then
    if next < 0 or again - now < next then next = again - now end
  else
    -- The claim that is woken says anew when the queue may go on.
    if again then redis.call('HDEL', KEYS[1], 'again') end
    wake(k)
  end
end
return {next, now}
