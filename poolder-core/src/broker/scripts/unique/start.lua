-- start.lua: frees the key of a unique job that starts to run.
-- KEYS 1 hash: key to the unique job that holds it (`unique`)
-- ARGV 1 key  2 job id  3 generation of the job in 6 bytes ("" for a generated id)
-- Returns 1 when the job held the key, 0 when another one holds it, or none
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or string.sub(record, 1, 16) ~= ARGV[2] then return 0 end
if ARGV[3] ~= '' and string.sub(record, 23, 28) ~= ARGV[3] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
