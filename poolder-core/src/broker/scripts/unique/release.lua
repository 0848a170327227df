-- release.lua: frees a key on the command of an operator. The job that held it goes on.
-- KEYS 1 hash: key to the unique job that holds it (`unique`)
-- ARGV 1 key  2 id of the job that holds it as the caller has seen it
-- Returns 1 when the key is free, 0 when another job holds it
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 1 end
if string.sub(record, 1, 16) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
