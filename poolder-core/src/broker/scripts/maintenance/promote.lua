-- promote.lua: puts jobs whose time has come into their ready lanes. What has no readable head goes
--   to the normal lane as it is: whoever claims it runs it, or buries it and says why.
-- KEYS 1 due  2 bodies  3-7 all lanes, best first  8 stats
-- ARGV 1 most jobs to move, at most 500  2 now in ms ("" for the server's clock)
-- Returns {moved, due time of the next in ms (-1 for none), now in ms, timers that are due}
-- A member that has a body is a job. One without, longer than a job id of 16 bytes, is a timer: it
-- stays, and whoever knows what it stands for does that, and removes it, in the same script.
local now = tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

-- The lane of a waiting body, where its envelope begins, and its failed attempts: the second number
-- of the counters.
local function head(body)
  local lane, high, low = string.byte(body, 1, 3)
  local from = low and 4 + high * 256 + low
  if not from or lane > 4 or from > #body then return KEYS[6], 1, 0 end
  return KEYS[3 + lane], from, from > 5 and string.byte(body, 5) or 0
end

local moved, bytes, retried, timers = 0, 0, 0, {}
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do
  local body = redis.call('HGET', KEYS[2], id)
  if body then
    bytes = bytes + #body
    if moved > 0 and bytes > 1048576 then break end
    local lane, from, failed = head(body)
    local envelope = string.sub(body, from)
    if from > 5 then
      redis.call('XADD', lane, '*', 'j', envelope, 'c', string.sub(body, 4, from - 1))
    else
      redis.call('XADD', lane, '*', 'j', envelope)
    end
    redis.call('HDEL', KEYS[2], id)
    moved = moved + 1
    if failed ~= 0 then retried = retried + 1 end
  end
  if body or #id <= 16 then redis.call('ZREM', KEYS[1], id) else timers[#timers + 1] = id end
end
-- A counter that is no number starts again: counting must hold up nothing.
if retried > 0 and type(redis.pcall('HINCRBY', KEYS[8], 'retrying', -retried)) == 'table' then
  redis.pcall('HDEL', KEYS[8], 'retrying')
end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {moved, tonumber(first[2] or -1), now, timers}
