-- consumer_remove.lua: removes a consumer that holds no entries. Removing one that holds entries
--   would lose their jobs.
-- KEYS 1 stream of the lane  2 hash with the note of the suspect that the consumer ran last
--      (`lease`), only for the suspect lane
-- ARGV 1 consumer
-- Returns 1 when removed, 0 when the consumer still holds entries
if #redis.call('XPENDING', KEYS[1], 'workers', '-', '+', 1, ARGV[1]) > 0 then return 0 end
if KEYS[2] then redis.call('HDEL', KEYS[2], 'begun:' .. ARGV[1]) end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[1])
return 1
