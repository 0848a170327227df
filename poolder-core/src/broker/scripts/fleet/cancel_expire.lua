-- cancel_expire.lua: removes cancellations that are older than a given age.
-- KEYS 1 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
-- ARGV 1 ms for which a cancellation is kept
-- Returns the number of cancellations that were removed, at most 500
local t = redis.call('TIME')
local oldest = t[1] * 1000 + math.floor(t[2] / 1000) - ARGV[1]
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', oldest),
  'LIMIT', 0, 500)
if #ids > 0 then redis.call('ZREM', KEYS[1], unpack(ids)) end -- bounded: 500 ids
return #ids
