-- schedule_put.lua: stores a schedule that is new, or of which the caller has seen the latest
--   revision, so that no change is lost; a tick that is being published for an older one is not.
-- KEYS 1 records  2 states  3 next ticks
-- ARGV 1 name  2 revision that was seen ("" for none)  3 record  4 time of its next tick in ms
--      ("" for none)  5 ticks up to this time in ms are decided ("" to go on where it was)
--      6 most schedules that are kept  7 control channel
-- Returns {"ok", revision} or {"conflict", revision ("" for none)} or {"full", count}
local name = ARGV[1]
local state = redis.call('HGET', KEYS[2], name)
local revision, last, rest = '', 0, ' 0 0 0 -'
if state then revision, last, rest = string.match(state, '^(%d+) (%-?%d+)( .*)$') end
if revision ~= ARGV[2] then return {'conflict', revision} end
if not state then
  local count = redis.call('HLEN', KEYS[1])
  if count >= tonumber(ARGV[6]) then return {'full', count} end
end
if ARGV[5] ~= '' and (not state or tonumber(ARGV[5]) > tonumber(last)) then last = ARGV[5] end
-- Revisions are never used twice, not even for a schedule that was removed and made anew.
revision = redis.call('HINCRBY', KEYS[2], '', 1)
redis.call('HSET', KEYS[1], name, ARGV[3])
redis.call('HSET', KEYS[2], name, string.format('%.0f', revision) .. ' ' .. last .. rest)
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[3], name)
else
  redis.call('ZADD', KEYS[3], ARGV[4], name)
  if redis.call('ZRANGE', KEYS[3], 0, 0)[1] == name then
    redis.call('PUBLISH', ARGV[7], 'tick')
  end
end
return {'ok', revision}
