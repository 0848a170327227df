-- slot_release.lua: releases the lease of a slot, so that another node can take it at once.
-- KEYS 1 hash of the slot's lease  2 stream of the front lane  3 stream of the normal lane
-- ARGV 1 node  2 term of its lease  3 "1" to stop the slot too: no node takes a stopped slot until
--      an operator starts it again
-- Returns 1 when released, 0 when the node does not hold the lease of that term
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local l = redis.call('HMGET', KEYS[1], 'holder', 'term')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return 0 end
-- A consumer that still holds entries stays: the next holder finds them under its name. The next
-- holder also removes a consumer that an error leaves: such an error must not keep the lease.
for lane = 2, 3 do
  local pending = redis.pcall('XPENDING', KEYS[lane], 'workers', '-', '+', 1, ARGV[1])
  if not pending.err and #pending == 0 then
    redis.pcall('XGROUP', 'DELCONSUMER', KEYS[lane], 'workers', ARGV[1])
  end
end
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'holder', '', 'until', '0', 'stopped', '1')
else
  redis.call('HSET', KEYS[1], 'holder', '', 'until', '0')
end
return 1
