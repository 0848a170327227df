-- repair.lua: sets how many jobs of a group run, as they were counted, and gives the group a turn
--   anew, unless anything of it has changed since.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 list of the turns (`limits:turns`)
--      4 hash: group to its own limits (`limits:own`)
--      5 list of tokens for claimers that wait (`limits:wake`)
--      6 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV 1 group  2 its record before the jobs were counted  3 number of jobs that run
-- Returns 1 if it was set, 0 if the group has changed
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local k = {limits = 1, groups = 2, turns = 3, own = 4, wake = 5, timers = 6}
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('LLEN', KEYS[3])
local function set(r)
  r[4], r[6] = tonumber(ARGV[3]), EMPTY
end
if change_group(k, ARGV[1], set) then wake(k) end
return 1
