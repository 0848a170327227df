-- broadcast.lua: stores a job that every living slot of a broadcast pool runs. Entries are numbered
--   consecutively, so that a reader notices the entries that it missed. A number that an error
--   left without an entry counts as missed.
-- KEYS 1 broadcast stream  2 counter of its entries
-- ARGV 1 envelope  2 approximate number of entries to keep
-- Returns the id of the new entry
redis.call('XLEN', KEYS[1]) -- a stream of a wrong type must not use up a number
local number = redis.call('INCR', KEYS[2])
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'j', ARGV[1], 'n', number)
