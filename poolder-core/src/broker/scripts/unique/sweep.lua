-- sweep.lua: frees keys whose time is over and whose jobs are gone: those of windows, and those of
--   jobs that were lost. A job that waits behind a lost one takes the key, and one that waits behind
--   none is due. `unique/next.lua` and `unique/holder.lua` stand in front.
-- KEYS 1 hash: key to the unique job that holds it (`unique`)
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4-8 streams of all lanes: front, suspect, high, normal, low
-- ARGV 1 cursor of the call before ("0" to begin)  2 about how many keys to look at, at most 500
--      3 control channel
-- Returns {cursor of the next call ("0" when all were looked at), number of keys looked at, number
--   of keys that were freed}
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local looked, freed, started = 0, 0, false
for at = 1, #page[2], 2 do
  local key = page[2][at]
  if key ~= '\0' then
    looked = looked + 1
    local job, record = holder_of(KEYS[1], key, now, KEYS[2], KEYS[3], 4, true)
    if not job then
      local next = next_of(redis.call, record, KEYS[2])
      pass_key(redis.call, KEYS[1], key, record, KEYS[2], next)
      freed, started = freed + 1, started or next ~= nil
    end
  end
end
-- The long value alone is left.
if redis.call('HLEN', KEYS[1]) == 1 then redis.call('HDEL', KEYS[1], '\0') end
-- A record that was removed by hand leaves a job behind none. Each call looks at some, from another
-- place on.
local waiting, bytes = redis.call('ZCOUNT', KEYS[2], behind, behind), 0
local some = waiting > 0
  and redis.call('ZRANGEBYSCORE', KEYS[2], behind, behind, 'LIMIT', t[2] % waiting, 20) or {}
for _, id in ipairs(some) do
  local body = bytes < 1048576 and redis.call('HGET', KEYS[3], id)
  local from, key, is_noted = 1, nil, not body
  bytes = bytes + (body and #body or 0)
  local envelope = body and #body > 3
    and string.sub(body, 4 + struct.unpack('>I2', string.sub(body, 2, 3))) or '' -- bounded: one number
  while not is_noted do -- bounded: by the options, 4,096 bytes
    key, from = key_in(envelope, from)
    if not key then break end
    is_noted = next_of(redis.call, redis.call('HGET', KEYS[1], key) or '', KEYS[2]) == id
  end
  if not is_noted then
    redis.call('ZADD', KEYS[2], string.format('%.0f', now), id)
    started = true
  end
end
if started then redis.pcall('PUBLISH', ARGV[3], 'due') end -- hints may be lost
return {page[1], looked, freed}
