-- schedule_drop.lua: removes a schedule. Jobs that it has put into a lane still run; a job that
--   waits for an earlier one of the schedule is removed, and counted as deleted.
-- KEYS 1 hash: name to record  2 hash: name to state  3 sorted set: name by time of the next tick
--      4 hash: name to running job  5 hash: name to queued job
--      6 hash of the partition's counters (`stats`)  7 hash: name to last runs
-- ARGV 1 name of the schedule
-- Returns {1 when removed or 0 when there is no such schedule, id of the removed job or ""}
-- The keys are read before one is changed: a call that ends at a key of a wrong type must not leave
-- a schedule that no longer ticks.
for i = 1, 5 do redis.call(i == 3 and 'ZCARD' or 'HLEN', KEYS[i]) end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
local queued = redis.call('HGET', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[1])
-- A counter that is not a number starts again: a counting error must not fail the call.
if queued and type(redis.pcall('HINCRBY', KEYS[6], 'deleted', 1)) == 'table' then
  redis.pcall('HSET', KEYS[6], 'deleted', 1)
end
-- The runs must not keep the schedule.
redis.pcall('HDEL', KEYS[7], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
return {redis.call('HDEL', KEYS[1], ARGV[1]), queued and string.sub(queued, 4, 19) or ''}
