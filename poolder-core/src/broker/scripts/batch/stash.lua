-- stash.lua: adds entries to a list that waits, for a time, to be settled with its batch.
-- KEYS 1 list
-- ARGV 1 how long it is kept, in ms; then at most 500 entries
-- Returns how many entries it has
local count = redis.call('RPUSH', KEYS[1], unpack(ARGV, 2)) -- bounded: 500 entries
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
