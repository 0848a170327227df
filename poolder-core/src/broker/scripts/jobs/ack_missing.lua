-- ack_missing.lua: ends claims whose entries are gone. It looks again, since an entry id may be another
--   job's by now, when the server's history has changed meanwhile.
-- KEYS 1 lane
-- ARGV 1.. entry ids, at most 500
-- Returns how many claims were ended
local ended = 0
for i = 1, #ARGV do
  if #redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i]) == 0 then
    ended = ended + redis.call('XACK', KEYS[1], 'workers', ARGV[i])
  end
end
return ended
