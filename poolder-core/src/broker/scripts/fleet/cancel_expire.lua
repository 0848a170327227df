-- cancel_expire.lua: forgets orders to cancel that were given too long ago.
-- KEYS 1 cancelled
-- ARGV 1 how long they are kept, in ms
-- Returns how many were forgotten, at most 500
local t = redis.call('TIME')
local oldest = t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', oldest),
  'LIMIT', 0, 500)
if #ids > 0 then redis.call('ZREM', KEYS[1], unpack(ids)) end -- bounded: 500 ids
return #ids
