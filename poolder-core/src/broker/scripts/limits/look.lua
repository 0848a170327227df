-- look.lua: lets groups of a limited queue start jobs that may start since a limit was raised.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 list of the turns (`limits:turns`)
--      4 hash: group to its own limits (`limits:own`)
--      5 list of tokens for claimers that wait (`limits:wake`)
--      6 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV groups, at most 250
-- Returns the number of groups that stand in the list of turns anew
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local k = {limits = 1, groups = 2, turns = 3, own = 4, wake = 5, timers = 6}
local anew, turns = 0, redis.call('LLEN', KEYS[3])
for _, group in ipairs(ARGV) do
  if redis.call('HEXISTS', KEYS[2], group) == 1 and change_group(k, group, function() end) then
    anew = anew + 1
  end
end
-- The limit of the queue may have been raised.
if anew + turns > 0 then wake(k) end
return anew
