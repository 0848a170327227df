-- cancel.lua: ends a job that waits; orders one that runs, or cannot be found, never to run.
-- KEYS 1 lane of the entry  2 due  3 bodies  4 dead  5 cancelled  6 stats  7 meta  8 end record
--      9 index of sealed lists  10 sealed lists to be removed
-- ARGV 1 job id  2 where it was seen: "lane", "due" or ""  3 entry id ("lane")
--      4 text of a plain entry ("" for a packed one)  5 its end  6 how long that is kept, in ms
--      ("" when nobody waits)  7 control channel  8 when it was known to be due, in ms (0 if not)
--      9 most orders  10 "1" to order what was not where it was seen  11 "1" if no other job will
--      ever have this id
-- Returns "removed", "running" (ordered), "noted" (ordered), "dead", "ended", "full" (too many
--   orders, nothing was done), or "again": it is no longer where it was seen
local job = ARGV[1]
if redis.call('ZSCORE', KEYS[4], job) then return 'dead' end

local function removed()
  redis.call('ZREM', KEYS[5], job)
  redis.call('HINCRBY', KEYS[6], 'cancelled', 1)
  if redis.call('HEXISTS', KEYS[9], job) == 1 then redis.call('SADD', KEYS[10], job) end
  if ARGV[6] ~= '' then
    redis.call('SET', KEYS[8], ARGV[5], 'PX', ARGV[6])
    redis.call('PUBLISH', KEYS[8], 'end')
  end
  return 'removed'
end

local function order(answer)
  if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[9]) then return 'full' end
  local t = redis.call('TIME')
  local at, due = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[8])
  -- What is enqueued after an order is not meant by it; what was to come later is, for a week.
  if due > at then at = due + 604800000 end
  redis.call('ZADD', KEYS[5], string.format('%.0f', at), job)
  redis.call('HINCRBY', KEYS[7], 'orders', 1)
  redis.call('PUBLISH', ARGV[7], 'orders')
  return answer
end

local body = redis.call('HGET', KEYS[3], job)
if body then
  if ARGV[2] ~= 'due' then return 'again' end
  redis.call('ZREM', KEYS[2], job)
  redis.call('HDEL', KEYS[3], job)
  if string.byte(body, 5) ~= 0 then redis.call('HINCRBY', KEYS[6], 'retrying', -1) end
  return removed()
end
if ARGV[2] == 'lane' then
  local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
  local f = entry and entry[2]
  local same = false
  if f and ARGV[4] ~= '' then same = table.concat(f, '\0') == ARGV[4]
  elseif f then same = f[1] == 'j' and string.sub(f[2], 3, 18) == job end
  if same then
    -- Without a group nothing is claimed.
    local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[3], ARGV[3], 1)
    if not held.err and held[1] then return order('running') end
    redis.call('XDEL', KEYS[1], ARGV[3])
    return removed()
  end
end
if ARGV[2] ~= '' and ARGV[10] ~= '1' then return 'again' end
if ARGV[11] == '1' and redis.call('EXISTS', KEYS[8]) == 1 then return 'ended' end
return order('noted')
