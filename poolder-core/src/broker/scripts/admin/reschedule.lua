-- reschedule.lua: gives a job that waits another time.
-- KEYS 1 lane of the entry  2 due  3 bodies  4 stats
-- ARGV 1 job id  2 where it was seen: "lane" or "due"  3 entry id  4 when it shall be due, in ms
--      ("" for now)  5 head  6 envelope (both for "lane")  7 control channel
-- Returns 1 done, 0 it is no longer where it was seen
local job, at = ARGV[1], ARGV[4]
if at == '' then
  local t = redis.call('TIME')
  at = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
if ARGV[2] == 'due' then
  if redis.call('HEXISTS', KEYS[3], job) == 0 then return 0 end
  redis.call('ZADD', KEYS[2], at, job)
else
  local id = ARGV[3]
  if #redis.call('XRANGE', KEYS[1], id, id) == 0 then return 0 end
  local held = redis.pcall('XPENDING', KEYS[1], 'workers', id, id, 1)
  if not held.err and held[1] then return 0 end
  -- One of this id may wait already; there is one place for both.
  if redis.call('HEXISTS', KEYS[3], job) == 1 then return 0 end
  redis.call('HSET', KEYS[3], job, ARGV[5] .. ARGV[6])
  redis.call('ZADD', KEYS[2], at, job)
  redis.call('XDEL', KEYS[1], id)
  if string.byte(ARGV[5], 5) ~= 0 then redis.call('HINCRBY', KEYS[4], 'retrying', 1) end
end
redis.call('PUBLISH', ARGV[7], 'due')
return 1
