-- ack_missing.lua: acknowledges claims whose entries are missing from the stream. The caller has
--   found them missing before; the script checks again, since after a change of the server's
--   history another job's entry may have the same id.
-- KEYS 1 stream of the lane
-- ARGV 1.. ids of the missing entries, at most 500
-- Returns the number of claims that were acknowledged
local ended = 0
for i = 1, #ARGV do
  if #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) == 0 then
    ended = ended + redis.call('XACK', KEYS[1], 'workers', ARGV[i])
  end
end
return ended
