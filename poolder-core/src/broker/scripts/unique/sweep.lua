-- sweep.lua: frees keys whose time is over and whose jobs are gone: those of windows, and those of
--   jobs that were lost. `unique/holder.lua` stands in front.
-- KEYS 1 hash: key to the unique job that holds it (`unique`)
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4-8 streams of all lanes: front, suspect, high, normal, low
-- ARGV 1 cursor of the call before ("0" to begin)  2 about how many keys to look at, at most 500
-- Returns {cursor of the next call ("0" when all were looked at), number of keys looked at, number
--   of keys that were freed}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local looked, freed = 0, 0
for at = 1, #page[2], 2 do
  local key = page[2][at]
  if key ~= '\0' then
    looked = looked + 1
    if not holder_of(KEYS[1], key, now, KEYS[2], KEYS[3], 4) then
      freed = freed + redis.call('HDEL', KEYS[1], key)
    end
  end
end
-- The long value alone is left.
if redis.call('HLEN', KEYS[1]) == 1 then redis.call('HDEL', KEYS[1], '\0') end
return {page[1], looked, freed}
