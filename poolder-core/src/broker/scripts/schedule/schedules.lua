-- schedules.lua: reads schedules: some by name, or those whose next tick has come.
-- KEYS 1 records  2 states  3 next ticks  4 running  5 queued
-- ARGV 1 now in ms ("" for the server's clock)  2 most that are due, at most 100 (0 to read by
--      name)  3.. names, at most 500
-- Returns {now in ms, time of the first tick (-1 for none), how many names were looked up; then per
--   schedule that is there: name, record, state, time of its next tick (-1 for none), 1 or 0 its
--   job is under way, 1 or 0 another waits}
local now = ARGV[1]
if now == '' then
  local t = redis.call('TIME')
  now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
local head = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
local names
if ARGV[2] == '0' then
  names = {unpack(ARGV, 3)} -- bounded: 500 names
else
  names = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, ARGV[2])
end
local reply = {now, head[2] or '-1', 0}
local bytes = 0
-- Nothing that is counted has 19 digits, and no name such bytes. The job at the end is hex, and may
-- look like any number.
local function readable(name, state)
  local counts = string.match(state, '^(%d+ %-?%d+ %d+ %d+ %d+) %S+$')
  return counts and not string.find(counts, string.rep('%d', 19))
    and not string.find(name, '[^%w%p]')
end
for i, name in ipairs(names) do
  local record = redis.call('HGET', KEYS[1], name)
  local state = redis.call('HGET', KEYS[2], name)
  if record and state and readable(name, state) then
    bytes = bytes + #record
    if i > 1 and bytes > 1048576 then break end
    for _, value in ipairs({name, record, state,
      redis.call('ZSCORE', KEYS[3], name) or '-1',
      redis.call('HEXISTS', KEYS[4], name), redis.call('HEXISTS', KEYS[5], name)}) do
      reply[#reply + 1] = value
    end
  elseif ARGV[2] ~= '0' then
    -- A name without a schedule that can be ticked would be due for ever.
    redis.call('ZREM', KEYS[3], name)
  end
  reply[3] = i
end
return reply
