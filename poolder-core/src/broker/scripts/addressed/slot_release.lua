-- slot_release.lua: gives up the lease of a slot, so that another node takes it at once.
-- KEYS 1 lease  2 front  3 normal
-- ARGV 1 node  2 term  3 "1" to stop the slot: nobody takes it until it is started again
-- Returns 1 released, 0 it was not ours
local l = redis.call('HMGET', KEYS[1], 'holder', 'term')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'holder', '', 'until', '0')
-- What is still pending the taker finds under our name.
for lane = 2, 3 do
  local pending = redis.pcall('XPENDING', KEYS[lane], 'workers', '-', '+', 1, ARGV[1])
  if not pending.err and #pending == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[lane], 'workers', ARGV[1])
  end
end
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'stopped', '1') end
return 1
