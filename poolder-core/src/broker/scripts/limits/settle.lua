-- settle.lua: a part of jobs/settle.lua on a limited queue, with the operations of a job that
--   holds a permit of its group.
-- KEYS 16 hash of the limits of the queue (`limits`)
--      17 hash: group to its record (`limits:groups`)
--      18 list of the turns (`limits:turns`)
--      19 hash: group to its own limits (`limits:own`)
--      20 list of tokens for claimers that wait (`limits:wake`)
--      21 sorted set: group by the time in ms at which it may go on (`limits:timers`)
--      22 hash: number and group to the waiting job (`limits:jobs`)
-- ARGV 5 names "claims" when a claim of the caller follows in the same round trip
-- Operations:
--   "to_lane_held" head, group: adds the job to the lane that the head names, front or suspect; it
--     keeps its permit
--   "to_group" head, group, cost, ms, queue: puts the job before the others of its group, which is
--     held for this time, or the whole queue is; where the limits have ended since it was claimed, it
--     waits for the time
--   "charge" group, cost, units: lets the job have taken so many tokens of its group and of the queue,
--     once the entry is removed, in place of its cost
--   "leave" group: gives the permit back, once the entry is removed
local k = {limits = 16, groups = 17, turns = 18, own = 19, wake = 20, timers = 21}
local leaving, returned, charging = nil, false, nil

ops.to_lane_held = function(head, group)
  added_to = KEYS[7 + string.byte(head, 1)]
  added = {redis.call('XADD', added_to, '*', 'j', body, 'c', string.sub(head, 4), 'g', group)}
  returned = true
end

ops.to_group = function(head, group, cost, ms, queue)
  if not redis.call('HGET', KEYS[16], 'on') then return ops.to_due(head, ms) end
  local counters = string.sub(head, 4)
  local value = '\32' .. pack_in('>I2', #counters) .. counters .. body
  if cost > 1 then value = '\34' .. pack_in('>I2I4', #counters + 4, cost) .. counters .. body end
  local till = math.floor(micros() / 1000) + ms
  change_group(k, group, function(r)
    r[1] = r[1] - 1
    grouped, grouped_in = field_of(r[1], group), KEYS[22]
    redis.call('HSET', grouped_in, grouped, value)
    r[3] = r[3] + 1
    if not queue then r[9] = math.max(r[9], till) end
  end)
  if queue and till > (tonumber(redis.call('HGET', KEYS[16], 'held')) or 0) then
    till = string.format('%.0f', till)
    redis.call('HSET', KEYS[16], 'held', till, 'again', till)
    tell_leader(k)
  end
end

ops.charge = function(group, cost, units) charging = {group = group, cost = cost, units = units} end

ops.leave = function(group) leaving = group end

-- Returns when a bucket is full again once the job has taken what it has cost. Beyond its tokens a
-- bucket lacks at most as many as come back in a window.
local function charged(rate, full_at)
  local more = charging.units - math.min(charging.cost, rate.burst)
  full_at = (more > 0 and math.max(full_at, micros()) or full_at) + more * rate.step
  if full_at <= micros() then return 0 end
  return math.min(full_at, micros() + rate.full + rate.window)
end

local function charge_queue()
  local f = redis.call('HMGET', KEYS[16], 'rate', 'full_at')
  local rate = rate_of(f[1])
  if not rate then return end
  local full_at = charged(rate, (times_of(tonumber(f[2]) or 0, 0, rate)))
  redis.call('HSET', KEYS[16], 'full_at', string.format('%.0f', full_at))
  -- The next claim says anew when the queue may go on.
  redis.call('HDEL', KEYS[16], 'again')
end

local function give_back()
  if charging then charge_queue() end
  local group = leaving or charging and charging.group
  if group and redis.call('HEXISTS', KEYS[17], group) == 1 then
    change_group(k, group, function(r, rate)
      if leaving then r[4] = r[4] - 1 end
      if charging and rate then r[8] = charged(rate, r[8]) end
    end)
  end
  -- A job that came back to its lane must be claimed as well.
  local turns = returned or redis.call('LLEN', KEYS[18]) > 0
  if turns and not string.find(ARGV[5], 'claims', 1, true) then wake(k) end
end

-- The entry is removed, so nothing may fail: a permit that cannot be given back is found by the
-- leader, which counts the jobs that run.
after_removal = function()
  pcall(give_back)
  leaving, returned, charging = nil, false, nil
end
