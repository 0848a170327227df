-- schedules.lua: reads schedules by name, or those whose next tick is due.
-- KEYS 1 hash: name to record  2 hash: name to state  3 sorted set: name by time of the next tick
--      4 hash: name to running job  5 hash: name to queued job  6 hash: name to last runs
-- ARGV 1 now in ms ("" for the server's clock)
--      2 most due schedules to read, at most 100 (0 to read by name)
--      3.. names of the schedules to read, at most 500
-- Returns {now in ms, time in ms of the first tick of any schedule (-1 for none), number of names
--   that were looked up; then for each schedule that exists: name, record, state, time in ms of its
--   next tick (-1 for none), 1 or 0 for a running job, 1 or 0 for a queued job, last runs ("" for a
--   schedule that is due)}. Records have at most 1 MiB in all, but at least one is read; running and
--   queued jobs are known only where jobs of a schedule must not overlap
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
-- Returns true when a client can read the schedule: no number in its state has 19 digits, and its
-- name consists of letters, digits and punctuation. The job id at the end of the state is hex and
-- may contain any number of digits.
local function readable(name, state)
  local counts = string.match(state, '^(%d+ %-?%d+ %d+ %d+ %d+) %S+$')
  return counts and not string.find(counts, string.rep('%d', 19))
    and not string.find(name, '[^%w%p]')
end
-- Returns the last runs of a schedule; "" for more bytes than ten runs have.
local function runs_of(name)
  local runs = ARGV[2] == '0' and redis.pcall('HGET', KEYS[6], name)
  return type(runs) == 'string' and #runs <= 8192 and runs or ''
end

for i, name in ipairs(names) do
  local record = redis.call('HGET', KEYS[1], name)
  local state = redis.call('HGET', KEYS[2], name)
  if record and state and readable(name, state) then
    bytes = bytes + #record
    if i > 1 and bytes > 1048576 then break end
    for _, value in ipairs({name, record, state,
      redis.call('ZSCORE', KEYS[3], name) or '-1',
      redis.call('HEXISTS', KEYS[4], name), redis.call('HEXISTS', KEYS[5], name),
      runs_of(name)}) do
      reply[#reply + 1] = value
    end
  elseif ARGV[2] ~= '0' then
    -- A name without a readable schedule would be due on every call.
    redis.call('ZREM', KEYS[3], name)
  end
  reply[3] = i
end
return reply
