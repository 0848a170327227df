-- flush.lua: adds the counts of a node since its last flush to the frame of the server's minute. A
--   full server refuses it: then the counts are lost, and no job is.
-- KEYS 1 hash: name of a series to its counts in the minute ARGV[1] (`history:m:<minute>`)
--      2 hash of the next minute
--      3 hash: id of an error to the time in ms at which it was seen first, and a sample (`errors`)
--      4 sorted set: id of an error by the time in ms at which it was seen last (`errors:seen`)
--      5 string that exists while the history is watched (`watched`)
--      6 sorted set of the nodes (`nodes`)
-- ARGV 1 number of the minute of KEYS[1]  2 most series of a frame  3 most fields of a frame, behind
--      which the counts of errors are added up  4 retention of a frame in ms  5 most errors
--      6 number of series, at most 200; then name and counts of each series, a MessagePack map of
--      index to count; then id and sample of each error, at most 200
-- Returns {now in ms, 1 (0 if the server's minute is neither, then nothing was added), 1 if the
--   history is watched, else 0, number of nodes}
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local minute = math.floor(t[1] / 60) - ARGV[1]
local reply = {now, 0, redis.call('EXISTS', KEYS[5]), redis.call('ZCARD', KEYS[6])}
if minute ~= 0 and minute ~= 1 then return reply end
reply[2] = 1
local frame, last = KEYS[minute + 1], 6 + 2 * ARGV[6]
local fields = last > 6 and redis.call('HLEN', frame) or 0
for i = 7, last, 2 do
  local name, counts = ARGV[i], ARGV[i + 1]
  local error = string.sub(name, 1, 1) == '!'
  local old = redis.call('HGET', frame, name)
  if not old and fields >= tonumber(ARGV[error and 3 or 2]) then
    name = error and '!*' or '*'
    old = redis.call('HGET', frame, name)
  end
  -- Counts that cannot be read start again.
  local read, sum = pcall(cmsgpack.unpack, old or '')
  if read and type(sum) == 'table' then
    for index, count in pairs(cmsgpack.unpack(counts)) do -- bounded: indices of one kind
      sum[index] = (tonumber(sum[index]) or 0) + count
    end
    counts = cmsgpack.pack(sum)
  end
  redis.call('HSET', frame, name, counts)
  if not old then fields = fields + 1 end
end
if last > 6 then redis.call('PEXPIRE', frame, ARGV[4]) end
if #ARGV > last then
  for i = last + 1, #ARGV, 2 do
    redis.call('ZADD', KEYS[4], now, ARGV[i])
    redis.call('HSETNX', KEYS[3], ARGV[i], now .. ' ' .. ARGV[i + 1])
  end
  local more = redis.call('ZCARD', KEYS[4]) - ARGV[5]
  if more > 0 then
    local oldest = redis.call('ZRANGE', KEYS[4], 0, math.min(more, 200) - 1)
    redis.call('HDEL', KEYS[3], unpack(oldest)) -- bounded: 200 ids
    redis.call('ZREM', KEYS[4], unpack(oldest)) -- bounded: 200 ids
  end
end
return reply
