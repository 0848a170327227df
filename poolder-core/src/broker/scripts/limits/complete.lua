-- complete.lua: a part of the script of that name on a limited queue, the last one: gives back the
--   permits of the jobs that were removed.
-- KEYS 3 hash of the limits of the queue (`limits`)
--      4 hash: group to its record (`limits:groups`)
--      5 list of the turns (`limits:turns`)
--      6 hash: group to its own limits (`limits:own`)
--      7 list of tokens for claimers that wait (`limits:wake`)
--      8 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- Returns {verdict}
-- The jobs are removed, so nothing may fail: a permit that cannot be given back is found by the
-- leader, which counts the jobs that run.
local k = {limits = 3, groups = 4, turns = 5, own = 6, wake = 7, timers = 8}
local function give_back()
  local counts, names = {}, {}
  for i = 1, n do
    if verdict == 'OK' or string.byte(verdict, i) == 49 then
      local group = of_groups[i + 1]
      local count = counts[group]
      if not count then names[#names + 1] = group end
      counts[group] = (count or 0) + 1
    end
  end
  if not names[1] then return end
  local f = redis.call('HMGET', KEYS[3], 'each', 'own', 'seq', 'idle', 'each_rate')
  local each, seq, each_rate = tonumber(f[1]) or 0, tonumber(f[3]) or 0, rate_of(f[5])
  local records = redis.call('HMGET', KEYS[4], unpack(names)) -- bounded: 500 groups
  local owns = f[2] and redis.call('HMGET', KEYS[6], unpack(names)) -- bounded: 500 groups
  local sets, gone, ring, later, set = {}, {}, {}, {}, 0
  for i = 1, #names do
    local name, at = names[i], nil
    local head, tail, waiting, running, ticket, state, credit, full_at, held =
      read_group(records[i])
    local limit, weight, rate = each, 1, each_rate
    if owns then limit, weight, rate = limits_of(owns[i], each, each_rate) end
    if full_at > 0 or held > 0 then full_at, held = times_of(full_at, held, rate) end
    running = math.max(0, running - counts[name])
    if state == FULL then
      state, at = state_of(waiting, running, limit, rate, full_at, held)
      if state == TURN then
        seq = seq + 1
        ticket = seq
        ring[#ring + 1] = turn_of(ticket, name)
      end
    end
    if state == EMPTY and running == 0 then at = kept_until(full_at, held) end
    if at then later[#later + 1], later[#later + 2] = at, name end
    if not records[i] or state == EMPTY and running == 0 and not at then
      gone[#gone + 1] = name
    else
      sets[set + 1], sets[set + 2] = name,
        pack_group(head, tail, waiting, running, ticket, state, credit, full_at, held)
      set = set + 2
    end
  end
  if ring[1] then redis.call('HSET', KEYS[3], 'seq', seq) end
  -- A turn and a timer go before the record, without which they are void.
  if ring[1] then redis.call('RPUSH', KEYS[5], unpack(ring)) end -- bounded: 500 groups
  add_timers(k, later)
  if sets[1] then redis.call('HSET', KEYS[4], unpack(sets)) end -- bounded: 1,000 values
  if gone[1] then redis.call('HDEL', KEYS[4], unpack(gone)) end -- bounded: 500 groups
  -- The limit of the queue may have kept others waiting.
  if f[4] and of_groups[1] ~= '1' and redis.call('LLEN', KEYS[5]) > 0 then
    redis.call('HDEL', KEYS[3], 'idle')
    redis.call('RPUSH', KEYS[7], '1')
  end
end
if n > 0 and verdict ~= 'EPOCH' then pcall(give_back) end
return finish({})
