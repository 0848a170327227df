-- broadcast.lua: stores a job that every living slot runs, with a number by which a reader sees
--   what it missed.
-- KEYS 1 broadcast stream  2 its counter
-- ARGV 1 envelope  2 about how many entries are kept
-- Returns entry id
local number = redis.call('INCR', KEYS[2])
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'j', ARGV[1], 'n', number)
