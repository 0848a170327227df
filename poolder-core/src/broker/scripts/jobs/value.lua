-- value.lua: reads a stored value, or the beginning of one that is too large.
-- KEYS 1 hash or string
-- ARGV 1 field of the hash ("" for a string)  2 most bytes of the value
--      3 bytes to return of a larger value
-- Returns {bytes of the value, the value or its beginning}; nothing when there is none
local value
if ARGV[1] == '' then value = redis.call('GET', KEYS[1])
else value = redis.call('HGET', KEYS[1], ARGV[1]) end
if not value then return {} end
return {#value, #value <= tonumber(ARGV[2]) and value or string.sub(value, 1, ARGV[3])}
