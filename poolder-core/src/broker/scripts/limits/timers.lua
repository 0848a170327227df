-- timers.lua: a part of scripts of a limited queue, behind groups.lua: gives a turn to groups whose
--   time has come.
-- KEYS of its function are given by k, as in groups.lua
-- Returns nothing: it defines a function

-- Gives a turn to groups that may start a job by now, at most 100, and forgets those that have no job
-- and nothing to remember. Returns the ms to the next time, at most a day, -1 for none.
-- The timers go last: an error leaves them, and the records say what was done already.
local function pass_timers(k)
  local first = redis.call('ZRANGE', KEYS[k.timers], 0, 0, 'WITHSCORES')[2]
  if not first then return -1 end
  local now = math.floor(micros() / 1000)
  local function left(time)
    return math.min(86400000, math.max(0, math.ceil(tonumber(time) - now)))
  end
  if tonumber(first) > now then return left(first) end
  local names = redis.call('ZRANGEBYSCORE', KEYS[k.timers], '-inf', now, 'LIMIT', 0, 100)
  local records = redis.call('HMGET', KEYS[k.groups], unpack(names)) -- bounded: 100 groups
  local seq = tonumber(redis.call('HGET', KEYS[k.limits], 'seq')) or 0
  local sets, gone, ring = {}, {}, {}
  for i, name in ipairs(names) do
    local head, tail, waiting, running, ticket, state, credit, full_at, held = read_group(records[i])
    if state == LATER then
      seq = seq + 1
      ring[#ring + 1] = turn_of(seq, name)
      sets[#sets + 1] = name
      sets[#sets + 1] = pack_group(head, tail, waiting, running, seq, TURN, 0, full_at, held)
    elseif state == EMPTY and running == 0 and math.max(full_at / 1000, held) <= now then
      gone[#gone + 1] = name
    end
  end
  if ring[1] then
    redis.call('HSET', KEYS[k.limits], 'seq', seq)
    redis.call('RPUSH', KEYS[k.turns], unpack(ring)) -- bounded: 100 groups
    redis.call('HSET', KEYS[k.groups], unpack(sets)) -- bounded: 200 values
  end
  if gone[1] then redis.call('HDEL', KEYS[k.groups], unpack(gone)) end -- bounded: 100 groups
  redis.call('ZREM', KEYS[k.timers], unpack(names)) -- bounded: 100 groups
  first = redis.call('ZRANGE', KEYS[k.timers], 0, 0, 'WITHSCORES')[2]
  return first and left(first) or -1
end
