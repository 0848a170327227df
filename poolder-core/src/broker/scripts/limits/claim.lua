-- claim.lua: admits jobs of a limited queue and claims them: takes jobs of groups that may start one,
--   in turn, adds them to the front lane, or to that of the suspects, and claims from the front lane.
--   A job holds a permit of its group while it is in one of both lanes.
-- KEYS 1 hash of the limits of the queue (`limits`)
--      2 hash: group to its record (`limits:groups`)
--      3 hash: number and group to the waiting job (`limits:jobs`)
--      4 list of the turns (`limits:turns`)
--      5 hash: group to its own limits (`limits:own`)
--      6 list of tokens for claimers that wait (`limits:wake`)
--      7-8 streams of the lanes front and suspect
--      9 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV 1 consumer
--      2 most jobs to claim, at most 250
--      3 most bytes of the entries in the reply, which has one entry in any case
--      4 most bytes of an entry that is read at all
--      5 "1" when the caller was woken by a token
-- Returns {number of suspects that no consumer holds, 1 when the next call may find more, else 0},
--   then for each claimed entry its id, the number of strings in its fields, and these strings; or
--   its id, -2, its envelope and its group; or its id, 0, its bytes, and its job id ("" for an entry
--   without one), when the entry is not read
-- Groups whose entry is void are passed over. An error in the middle takes the round back.
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local most_bytes, most_looks = math.min(1048576, tonumber(ARGV[3])), 500
local k = {limits = 1, groups = 2, turns = 4, own = 5, wake = 6, timers = 9}
pass_timers(k)
local f = redis.call('HMGET', KEYS[1], 'each', 'all', 'own', 'seq', 'idle', 'on', 'each_rate', 'rate',
  'full_at', 'held', 'again')
local each, seq, idle = tonumber(f[1]) or 0, tonumber(f[4]) or 0, f[5]
local each_rate, queue_rate = rate_of(f[7]), rate_of(f[8])
local queue_full_at, queue_held =
  times_of(tonumber(f[9]) or 0, tonumber(f[10]) or 0, queue_rate)
-- A time that a clock has written which went back is stored as it counts, so that it passes.
if queue_full_at > 0 and queue_full_at < tonumber(f[9]) then
  redis.call('HSET', KEYS[1], 'full_at', string.format('%.0f', queue_full_at))
end

-- Returns the number of entries of a lane, and how many of them no consumer holds.
local function depth_of(lane)
  local length = redis.call('XLEN', lane)
  local waiting = length
  if length > 0 then
    for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', lane)) do
      if group[2] == 'workers' then waiting = waiting - group[6] end
    end
  end
  return length, waiting
end

-- Jobs that were rescued or handed back hold their permits, and are claimed before all others.
local front, left = depth_of(KEYS[7])
local suspects, unheld = depth_of(KEYS[8])
local wanted, full = tonumber(ARGV[2]) - left, false
if f[2] then
  local room = tonumber(f[2]) - front - suspects
  if room < wanted then wanted, full = room, true end
end
-- The units of the queue's bucket; nil without a rate of the queue.
local tokens = queue_rate and units_in(queue_rate, queue_full_at)
if tokens and tokens < wanted then wanted, full = tokens, true end
if queue_held > 0 then wanted, full = math.min(wanted, 0), true end

-- Returns how often a node has died under a job, going by its counters.
local function crashes_of(counters)
  local wide = ({[0xcc] = 1, [0xcd] = 2, [0xce] = 4})[string.byte(counters, 2)] or 0
  return string.byte(counters, 3 + wide) or 0
end

-- The changes of a round: entries that it has added, and the groups as they were.
local added_suspects, popped, names, records, returned, before_round
local admitted, bytes, read, looks, suspected, filled = 0, 0, 0, 0, false, false
-- The units that the jobs have taken from the bucket of the queue, and those for which the next job
-- waits.
local units, lacks, full_before = 0, nil, 0

-- The entries that were added to the front lane, and the reply if they are all that is claimed.
local fresh, listed, end_of_list = {}, {0, 0}, 2
local in_front, most_of_entry = KEYS[7], tonumber(ARGV[4])

-- Lists an entry that is too large to be read.
local function list_unread(id, size, job)
  local at = end_of_list
  listed[at + 1], listed[at + 2], listed[at + 3], listed[at + 4] = id, 0, size, job
  fresh[#fresh + 1], end_of_list = id, at + 4
end

-- A waiting job is its envelope, which begins with 1; or 32, the length of its counters, the counters
-- and the envelope; or 33 and the text of an entry that is no job; or 34, the length of what follows up
-- to the envelope, its cost in 4 bytes, the counters if there are any, and the envelope.
local function cost_of(value)
  if string.byte(value, 1) ~= 34 or #value < 7 then return 1 end
  return math.max(1, (number_in('>I4', value, 4)))
end

local function admit(value, group)
  local form = string.byte(value, 1)
  local length = (form == 32 or form == 34) and number_in('>I2', value, 2)
  if form == 34 and length <= 4 then form, value = 1, string.sub(value, 4 + length) end
  if form == 32 or form == 34 then
    local counters, body = string.sub(value, 4, 3 + length), string.sub(value, 4 + length)
    if form == 34 then counters = string.sub(counters, 5) end
    if crashes_of(counters) >= 2 then
      suspected, unheld = true, unheld + 1
      added_suspects[#added_suspects + 1] =
        redis.call('XADD', KEYS[8], '*', 'j', body, 'c', counters, 'g', group)
      return
    end
    local id = call('XADD', in_front, '*', 'j', body, 'c', counters, 'g', group)
    if #value > most_of_entry then return list_unread(id, #value, string.sub(body, 3, 18)) end
    local at = end_of_list
    listed[at + 1], listed[at + 2], listed[at + 3], listed[at + 4], listed[at + 5], listed[at + 6],
      listed[at + 7], listed[at + 8] = id, 6, 'j', body, 'c', counters, 'g', group
    fresh[#fresh + 1], end_of_list = id, at + 8
    return
  end
  local is_job = form ~= 33
  if not is_job then value = sub(value, 2) end
  local id = call('XADD', in_front, '*', is_job and 'j' or 'raw', value, 'g', group)
  if #value > most_of_entry then
    return list_unread(id, #value, is_job and sub(value, 3, 18) or '')
  end
  local at = end_of_list
  if is_job then
    listed[at + 1], listed[at + 2], listed[at + 3], listed[at + 4] = id, -2, value, group
    end_of_list = at + 4
  else
    listed[at + 1], listed[at + 2], listed[at + 3], listed[at + 4], listed[at + 5], listed[at + 6] =
      id, 4, 'raw', value, 'g', group
    end_of_list = at + 6
  end
  fresh[#fresh + 1] = id
end

local function take_back()
  if fresh[before_round + 1] then
    redis.pcall('XDEL', KEYS[7], unpack(fresh, before_round + 1)) -- bounded: 250 entries
  end
  if added_suspects[1] then
    redis.pcall('XDEL', KEYS[8], unpack(added_suspects)) -- bounded: 250 entries
  end
  for i, name in ipairs(names) do
    if records[i] then redis.pcall('HSET', KEYS[2], name, records[i]) end
  end
  for i = #popped, 1, -1 do
    if not returned[popped[i]] then redis.pcall('LPUSH', KEYS[4], popped[i]) end
  end
  if tokens then redis.pcall('HSET', KEYS[1], 'full_at', string.format('%.0f', full_before)) end
end

-- Reads the jobs of the round a few at a time, as many as are expected to fit into 1 MiB.
local function reader(fields)
  local values, upto = {}, 0
  return function(i)
    if i > upto then
      local count = 8
      if read > 0 then
        count = math.max(1, math.min(128, math.floor((most_bytes - bytes) * read / (bytes + 1))))
      end
      local to = math.min(#fields, upto + count)
      local page = redis.call('HMGET', KEYS[3], unpack(fields, upto + 1, to)) -- bounded: 128
      for n = 1, to - upto do values[upto + n] = page[n] end
      upto = to
    end
    return values[i]
  end
end

-- Admits jobs of the groups whose turn is next. Returns false when no group has a turn.
local function round()
  added_suspects, popped, names, records, returned = {}, {}, {}, {}, {}
  before_round, full_before = #fresh, queue_full_at
  popped = redis.call('LPOP', KEYS[4], math.min(wanted, 128)) or {}
  local count = #popped
  if count == 0 then return false end
  for i = 1, count do names[i] = sub(popped[i], 7) end
  records = call('HMGET', KEYS[2], unpack(names)) -- bounded: 128
  local owns = f[3] and call('HMGET', KEYS[5], unpack(names)) -- bounded: 128
  -- Where more is wanted than all these groups start in a turn, several turns are one.
  local limits, weights, rates, starts = {}, {}, {}, count
  if owns then
    starts = 0
    for i = 1, count do
      limits[i], weights[i], rates[i] = limits_of(owns[i], each, each_rate)
      starts = starts + weights[i]
    end
  end
  local turns = starts < wanted and math.floor(wanted / starts) or 1
  -- How many jobs each may start: known before the jobs are. nil for a void entry, -1 for a group that
  -- keeps its turn.
  local takes, sizes, fields, asked, budget = {}, {}, {}, 0, wanted
  local heads, tails, waits, runs, fulls, holds = {}, {}, {}, {}, {}, {}
  for i = 1, count do
    local name, record = names[i], records[i]
    local head, tail, waiting, running, ticket, state, credit, full_at, held = read_group(record)
    if state == TURN and sub(popped[i], 1, 6) == sub(record, 19, 24) then
      local limit, turn, rate = each, turns, each_rate
      if owns then limit, turn, rate = limits[i], turns * weights[i], rates[i] end
      -- The rest of a turn for which a claim was too small.
      if credit > 0 and turns == 1 and credit < turn then turn = credit end
      local take = turn
      if take > budget then take = budget end
      if take > tail - head then take = tail - head end
      if limit ~= 0 and take > limit - running then take = limit - running end
      if full_at > 0 or held > 0 then full_at, held = times_of(full_at, held, rate) end
      if rate then take = math.min(take, units_in(rate, full_at)) end
      if take < 0 or held > 0 then take = 0 end
      takes[i] = budget > 0 and take or -1
      heads[i], tails[i], waits[i], runs[i] = head, tail, waiting, running
      sizes[i], fulls[i], holds[i] = turn, full_at, held
      budget = budget - take
      for number = head, head + take - 1 do
        asked = asked + 1
        fields[asked] = pack_in('>I5c0', number, name)
      end
    end
  end
  looks = looks + count + asked
  local job_at = reader(fields)
  local used, sets, gone, ring, ahead, back, later = {}, {}, {}, {}, {}, {}, {}
  local units_before, from, set = units, 0, 0
  for i = 1, count do
    local name, take = names[i], takes[i]
    if take and (take < 0 or filled or lacks) then
      back[#back + 1] = popped[i]
    elseif take then
      local head, tail, waiting, running = heads[i], tails[i], waits[i], runs[i]
      local full_at, held = fulls[i], holds[i]
      local before, group_lacks, limit, rate = admitted, nil, each, each_rate
      if owns then limit, rate = limits[i], rates[i] end
      for n = from + 1, from + take do
        local value = job_at(n)
        if value and admitted > 0 and bytes + #value > most_bytes then
          filled = true
          break
        end
        -- Without a value the job was removed.
        if value then
          if rate or tokens then
            -- A cost above a full bucket counts as that.
            local cost = cost_of(value)
            local group_cost = rate and math.min(cost, rate.burst) or 0
            if rate and group_cost > units_in(rate, full_at) then
              group_lacks = group_cost
              break
            end
            local queue_cost = tokens and math.min(cost, queue_rate.burst) or 0
            if tokens and units + queue_cost > tokens then
              lacks = queue_cost
              break
            end
            if rate then full_at = math.max(full_at, micros()) + group_cost * rate.step end
            units = units + queue_cost
          end
          admit(value, name)
          read, bytes = read + 1, bytes + #value
          used[#used + 1] = fields[n]
          if waiting > 0 then waiting = waiting - 1 end
          running = running + 1
          admitted, wanted = admitted + 1, wanted - 1
        end
        head = head + 1
      end
      if waiting == 0 or head >= tail then waiting, head = 0, tail end
      local state, at = state_of(waiting, running, limit, rate, full_at, held, group_lacks)
      local ticket, credit = 0, 0
      if state == EMPTY and running == 0 then at = kept_until(full_at, held) end
      if at then later[#later + 1], later[#later + 2] = at, name end
      if state == TURN then
        seq = seq + 1
        ticket = seq
        credit = turns == 1 and math.max(0, sizes[i] - (admitted - before)) or 0
        -- A turn that was cut short goes on before all others.
        if credit > 0 or lacks then ahead[#ahead + 1] = turn_of(ticket, name)
        else ring[#ring + 1] = turn_of(ticket, name) end
      end
      if state == EMPTY and running == 0 and not at then
        gone[#gone + 1] = name
      else
        sets[set + 1], sets[set + 2] = name,
          pack_group(head, tail, waiting, running, ticket, state, credit, full_at, held)
        set = set + 2
      end
    end
    from = from + math.max(0, take or 0)
  end
  redis.call('HSET', KEYS[1], 'seq', seq)
  add_timers(k, later)
  if sets[1] then redis.call('HSET', KEYS[2], unpack(sets)) end -- bounded: 256
  if gone[1] then redis.call('HDEL', KEYS[2], unpack(gone)) end -- bounded: 128
  if ring[1] then redis.call('RPUSH', KEYS[4], unpack(ring)) end -- bounded: 128
  for i = #back, 1, -1 do
    redis.call('LPUSH', KEYS[4], back[i])
    returned[back[i]] = true
  end
  for i = #ahead, 1, -1 do redis.call('LPUSH', KEYS[4], ahead[i]) end
  if units > units_before then
    queue_full_at = math.max(queue_full_at, micros()) + (units - units_before) * queue_rate.step
    redis.call('HSET', KEYS[1], 'full_at', string.format('%.0f', queue_full_at))
  end
  if used[1] then redis.call('HDEL', KEYS[3], unpack(used)) end -- bounded: 250
  return true
end

local more = false
while wanted > 0 do
  if looks >= most_looks or filled then
    more = not lacks
    break
  end
  if lacks then break end
  local done, found = pcall(round)
  if not done then
    take_back()
    error(found, 0)
  end
  if not found then break end
end

-- The jobs are admitted, so nothing of what follows may fail: claimers wait 5 s at most.
-- When the queue may start the next job, in ms, if it may not now. The leader wakes a claimer then.
local again = queue_held
if tokens and queue_full_at > 0 and units_in(queue_rate, queue_full_at) < (lacks or 1) then
  again = math.max(again, math.ceil(time_of_units(queue_rate, queue_full_at, lacks or 1) / 1000))
end
if again > 0 and tonumber(f[11]) ~= again then
  redis.pcall('HSET', KEYS[1], 'again', string.format('%.0f', again))
  tell_leader(k)
end

local function push_token()
  if redis.pcall('LLEN', KEYS[6]) == 0 then redis.pcall('RPUSH', KEYS[6], '1') end
end
-- The caller may not be able to run a suspect.
if suspected and idle then push_token() end
-- A claimer that found too little is woken when a job may start. One that was woken, and leaves
-- something, wakes the next.
if not f[6] then
  -- The limits have ended since the caller has read the commands.
  more = false
elseif not more and (wanted > 0 or full) then
  if not idle then redis.pcall('HSET', KEYS[1], 'idle', '1') end
elseif idle or ARGV[5] == '1' then
  local turns = redis.pcall('LLEN', KEYS[4])
  if type(turns) == 'number' and turns > 0 then
    if idle then redis.pcall('HDEL', KEYS[1], 'idle') end
    push_token()
  elseif not idle then
    redis.pcall('HSET', KEYS[1], 'idle', '1')
  end
end

local reply, room, claimed = {unheld, more and 1 or 0}, tonumber(ARGV[3]), 0
listed[1], listed[2] = reply[1], reply[2]
local function show(id, fields)
  local size, at = 0, #reply
  for i = 1, #fields do size = size + #fields[i] end
  reply[at + 1] = id
  if size <= tonumber(ARGV[4]) and (size <= room or claimed == 0) then
    reply[at + 2] = #fields
    for i = 1, #fields do reply[at + 2 + i] = fields[i] end
  else
    reply[at + 2], reply[at + 3] = 0, size
    reply[at + 4] = fields[1] == 'j' and string.sub(fields[2], 3, 18) or ''
  end
  room, claimed = room - size, claimed + 1
end
if left == 0 then
  -- The lane has only what was added just now: it is claimed without being read again.
  if fresh[1] then
    local claim = {'XCLAIM', KEYS[7], 'workers', ARGV[1], 0, unpack(fresh)} -- bounded: 250
    local at = #claim
    claim[at + 1], claim[at + 2], claim[at + 3], claim[at + 4] = 'FORCE', 'JUSTID', 'LASTID',
      fresh[#fresh]
    redis.call(unpack(claim)) -- bounded: 259 values
  end
  return listed
end
while claimed < tonumber(ARGV[2]) and room > 0 do
  local found = redis.pcall('XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', 1, 'STREAMS',
    KEYS[7], '>')
  if found and found.err then
    -- The caller must get the entries that are claimed already.
    if claimed == 0 then return found end
    break
  end
  local entry = found and found[1][2][1]
  if not entry then break end
  show(entry[1], entry[2])
end
return reply
