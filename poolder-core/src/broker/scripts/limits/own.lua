-- own.lua: sets or removes the own limits of a group of a limited queue.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 list of the turns (`limits:turns`)
--      4 hash: group to its own limits (`limits:own`)
--      5 list of tokens for claimers that wait (`limits:wake`)
--      6 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV 1 group  2 its limits ("" for those of the queue)
-- Returns 1, or 0 when the queue has no limits: then nothing was changed
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local k = {limits = 1, groups = 2, turns = 3, own = 4, wake = 5, timers = 6}
if redis.call('HGET', KEYS[1], 'on') ~= '1' then return 0 end
local turns = redis.call('LLEN', KEYS[3])
local known = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
redis.call('HLEN', KEYS[4])
-- The mark goes first and is removed last: without it own limits are not looked at.
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[4], ARGV[1])
  if redis.call('EXISTS', KEYS[4]) == 0 then redis.call('HDEL', KEYS[1], 'own') end
else
  redis.call('HSET', KEYS[1], 'own', '1')
  redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
end
local anew = known and change_group(k, ARGV[1], function() end)
if anew or turns > 0 then wake(k) end
return 1
