-- promote.lua: puts jobs whose time has come into their ready lanes.
-- KEYS 1 due  2 bodies  3-7 all lanes, best first  8 stats
-- ARGV 1 most jobs to move, at most 500  2 now in ms ("" for the server's clock)
-- Returns {moved, due time of the next in ms (-1 for none), now in ms, timers that are due}
-- A member of 16 bytes is a job id. A longer one is a timer: it stays, and whoever knows what it
-- stands for does that, and removes it, in the same script.
local now = tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local moved, bytes, retried, timers = 0, 0, 0, {}
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do
  local body = #id == 16 and redis.call('HGET', KEYS[2], id)
  if body then
    bytes = bytes + #body
    if moved > 0 and bytes > 1048576 then break end
    local lane = KEYS[3 + string.byte(body, 1)]
    local from = 4 + string.byte(body, 2) * 256 + string.byte(body, 3)
    local envelope = string.sub(body, from)
    if from > 5 then
      redis.call('XADD', lane, '*', 'j', envelope, 'c', string.sub(body, 4, from - 1))
    else
      redis.call('XADD', lane, '*', 'j', envelope)
    end
    redis.call('HDEL', KEYS[2], id)
    moved = moved + 1
    -- The second number of the counters: attempts that failed.
    if string.byte(body, 5) ~= 0 then retried = retried + 1 end
  end
  if #id == 16 then redis.call('ZREM', KEYS[1], id) else timers[#timers + 1] = id end
end
if retried > 0 then redis.call('HINCRBY', KEYS[8], 'retrying', -retried) end
local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {moved, tonumber(head[2] or -1), now, timers}
