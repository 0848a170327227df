-- release.lua: frees a key on the command of an operator. The job that held it goes on, and one that
--   waits behind it takes the key and is due. `unique/next.lua` stands in front.
-- KEYS 1 hash: key to the unique job that holds it (`unique`)
--      2 sorted set: job id by due time in ms (`due`)
-- ARGV 1 key  2 id of the job that holds it as the caller has seen it  3 control channel
-- Returns 1 when the job no longer holds the key, 0 when another job holds it
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 1 end
if string.sub(record, 1, 16) ~= ARGV[2] then return 0 end
local next = next_of(redis.call, record, KEYS[2])
pass_key(redis.call, KEYS[1], ARGV[1], record, KEYS[2], next)
if next then redis.pcall('PUBLISH', ARGV[3], 'due') end -- hints may be lost
return 1
