-- stash.lua: appends entries of a batch to a list, which the settlement of the batch job will use.
-- KEYS 1 list
-- ARGV 1 ms after which the list expires  2.. entries, at most 500
-- Returns the number of entries in the list
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local count = redis.call('RPUSH', KEYS[1], unpack(ARGV, 2)) -- bounded: 500 entries
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
