-- consumer_remove.lua: removes a consumer that holds nothing; removing one that does would lose its jobs.
-- KEYS 1 lane
-- ARGV 1 consumer
-- Returns 1 removed, 0 it still holds something
if #redis.call('XPENDING', KEYS[1], 'workers', '-', '+', 1, ARGV[1]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[1])
return 1
