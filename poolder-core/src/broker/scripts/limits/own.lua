-- own.lua: sets or removes the own limits of a group of a limited queue, pauses the group, or lets a
--   paused one go on. A paused group keeps its limits, and may be given others.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 list of the turns (`limits:turns`)
--      4 hash: group to its own limits (`limits:own`)
--      5 list of tokens for claimers that wait (`limits:wake`)
--      6 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV 1 group
--      2 "limits", "pause" or "resume"
--      3 for "limits" its limits ("" for those of the queue)
-- Returns 1, 0 when nothing was to be changed, -1 when the queue has no limits: then nothing was
--   changed
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local k = {limits = 1, groups = 2, turns = 3, own = 4, wake = 5, timers = 6}
if redis.call('HGET', KEYS[1], 'on') ~= '1' then return -1 end
local turns = redis.call('LLEN', KEYS[3])
local known = redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1
local before = redis.call('HGET', KEYS[4], ARGV[1]) or ''
local paused, limits = string.match(before, '^(p%d+ )(.*)$')
if not paused then paused, limits = '', before end
if ARGV[2] == 'limits' then
  limits = ARGV[3]
elseif ARGV[2] == 'resume' then
  paused = ''
elseif paused == '' then
  local t = redis.call('TIME')
  paused = string.format('p%.0f ', t[1] * 1000 + math.floor(t[2] / 1000))
end
local own = paused .. limits
-- The mark goes first and is removed last: without it own limits are not looked at.
if own == '' then
  redis.call('HDEL', KEYS[4], ARGV[1])
  if redis.call('EXISTS', KEYS[4]) == 0 then redis.call('HDEL', KEYS[1], 'own') end
else
  redis.call('HSET', KEYS[1], 'own', '1')
  redis.call('HSET', KEYS[4], ARGV[1], own)
end
-- A call that is repeated after an error finds its limits set, and the group where it was.
local anew = known and change_group(k, ARGV[1], function() end)
if anew or turns > 0 then wake(k) end
return own == before and 0 or 1
