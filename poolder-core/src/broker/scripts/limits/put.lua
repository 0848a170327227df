-- put.lua: stores jobs that are ready now: each behind the others of its group; in the lane normal
--   when the queue has no limits, when jobs wait there that are not put into their groups yet, so that
--   the order of a group is kept, and when the caller has no right to the keys of the limits.
--   `limits/groups.lua` stands in front.
-- KEYS 1 stream of the lane normal
--      2 hash of the limits of the queue (`limits`)
--      3 hash: group to its record (`limits:groups`)
--      4 hash: number and group to the waiting job (`limits:jobs`)
--      5 list of the turns (`limits:turns`)
--      6 hash: group to its own limits (`limits:own`)
--      7 list of tokens for claimers that wait (`limits:wake`)
--      8 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV for each job, at most 250: its group, and the job as it waits: its envelope, or one with a cost
-- Returns for each job its number in its group, or the id of its entry in the lane
-- The jobs are written first: a full server refuses them, and nothing was changed.
local k = {limits = 2, groups = 3, turns = 5, own = 6, wake = 7, timers = 8}

local function add_to_lane()
  local entries = {}
  for i = 2, #ARGV, 2 do
    local job = ARGV[i]
    -- The envelope has its cost as well.
    if string.byte(job, 1) == 34 then job = string.sub(job, 8) end
    entries[#entries + 1] = redis.call('XADD', KEYS[1], '*', 'j', job)
  end
  return entries
end

local f = redis.pcall('HMGET', KEYS[2], 'on', 'each', 'own', 'seq', 'each_rate')
if f.err or f[1] ~= '1' or redis.pcall('XLEN', KEYS[1]) ~= 0 then return add_to_lane() end
local order, counts = {}, {}
for i = 1, #ARGV, 2 do
  local name = ARGV[i]
  local count = counts[name]
  if not count then order[#order + 1] = name end
  counts[name] = (count or 0) + 1
end
local records = redis.pcall('HMGET', KEYS[3], unpack(order)) -- bounded: 250 groups
local owns = f[3] and redis.pcall('HMGET', KEYS[6], unpack(order)) -- bounded: 250 groups
if records.err or owns and owns.err then return add_to_lane() end

local each, seq, each_rate = tonumber(f[2]) or 0, tonumber(f[4]) or 0, rate_of(f[5])
local sets, ring, later, at = {}, {}, {}, 0
for i, name in ipairs(order) do
  local head, tail, waiting, running, ticket, state, credit, full_at, held = read_group(records[i])
  local count = counts[name]
  -- The number of the next job of the group, from here on.
  counts[name] = tail
  waiting = waiting + count
  if state == EMPTY then
    local limit, weight, rate = limits_of(owns and owns[i], each, each_rate)
    local time
    full_at, held = times_of(full_at, held, rate)
    state, time = state_of(waiting, running, limit, rate, full_at, held)
    if state == TURN then
      seq = seq + 1
      ticket = seq
      ring[#ring + 1] = turn_of(ticket, name)
    elseif state == LATER then
      later[#later + 1], later[#later + 2] = time, name
    end
  end
  sets[at + 1], sets[at + 2] = name,
    pack_group(head, tail + count, waiting, running, ticket, state, credit, full_at, held)
  at = at + 2
end
local jobs, numbers = {}, {}
for i = 1, #ARGV, 2 do
  local name = ARGV[i]
  local number = counts[name]
  counts[name] = number + 1
  numbers[#numbers + 1] = number
  jobs[i], jobs[i + 1] = field_of(number, name), ARGV[i + 1]
end
local stored = redis.pcall('HSET', KEYS[4], unpack(jobs)) -- bounded: 500 values
if type(stored) == 'table' then
  if string.find(stored.err, 'NOPERM', 1, true) then return add_to_lane() end
  return stored
end
local done, failure = pcall(function()
  if ring[1] then
    redis.call('HSET', KEYS[2], 'seq', seq)
    -- A turn and a timer go before the record, without which they are void.
    redis.call('RPUSH', KEYS[5], unpack(ring)) -- bounded: 250 groups
  end
  add_timers(k, later)
  redis.call('HSET', KEYS[3], unpack(sets)) -- bounded: 500 values
end)
if not done then
  for i = 1, #jobs, 2 do redis.pcall('HDEL', KEYS[4], jobs[i]) end
  error(failure, 0)
end
if ring[1] then wake(k) end
return numbers
