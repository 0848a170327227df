-- schedule_drop.lua: removes a schedule. Jobs that it has enqueued go on.
-- KEYS 1 records  2 states  3 next ticks  4 running  5 queued
-- ARGV 1 name
-- Returns 1 removed, 0 it was not there
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
