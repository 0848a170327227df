-- slot_poll.lua: polls an addressed slot: completes jobs that have ended and claims the next jobs
--   in order, if the node still holds the lease. Jobs in the front were tried before; from there
--   one job is claimed at a time.
-- KEYS 1 hash of the slot's lease  2 stream of the front lane  3 stream of the normal lane
--      4 hash of the partition's counters (`stats`)
-- ARGV 1 node
--      2 term of its lease
--      3 most jobs to claim, 0 to 16
--      4 "1" to look first for entries that are pending for this node, which it may not know after
--        a lost reply; then no jobs are completed
--      5 generation of the pool that the node knows
--      6 "1" when entries of this generation may run
--      7 "1" when the node knows the last ids
--      8 lane of the jobs to complete: "2" for the front, "3" for normal
--      9 number of polls of this lease whose reply was lost before. A poll that arrives after one
--        with a greater number was given up by the node: it must not claim
--      10 most bytes of an entry in the reply
--      11.. entry ids of the jobs to complete, at most 16
-- Returns {"LOST"} when the node does not hold the lease of that term, else {status, number of jobs
--   completed, then more values for some of the statuses}:
--   "STOP": the slot is stopped
--   "IDLE": no job was to be claimed, or the poll is late
--   "JOB": entries were claimed; with the lane (2 or 3), then for each entry its id, the number of
--     strings in its fields, and these strings; or its id, 0, its bytes, and its job id ("" for a
--     plain entry), when it has more bytes than that
--   "FOUND": entries were pending already; with the same data as "JOB"
--   "HOLD": the front waits for a retry; with the ms that remain
--   "WAIT": other slots must first run the entries of older generations, or the slot knows a later
--     generation than the node
--   "EMPTY": no job is ready; with the last ids of the front and the normal lane, unless the node
--     knows them
local l = redis.call('HMGET', KEYS[1], 'holder', 'term', 'gen', 'hold', 'stopped', 'lost')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return {'LOST'} end
if l[6] ~= ARGV[9] then
  local lost, seen = tonumber(ARGV[9]), tonumber(l[6] or '') or 0
  if lost < seen then return {'IDLE', 0} end
  if lost > seen then
    -- PERSIST changes nothing. After it a full server refuses no write.
    redis.call('PERSIST', KEYS[1])
    redis.call('HSET', KEYS[1], 'lost', ARGV[9])
  end
end

-- Only the lease holder claims from these lanes, so a pending entry is held by this node. An entry
-- that is not pending stays: after a failover its id may belong to another job than the one that
-- was lost. A node that may have claimed that other job does not know it: it must not complete by
-- id.
local completed = 0
if ARGV[11] and ARGV[4] ~= '1' then
  local lane, done, failure = KEYS[tonumber(ARGV[8])], {}, nil
  for i = 11, #ARGV do
    local removed = redis.pcall('XACK', lane, 'workers', ARGV[i])
    if removed == 1 then
      done[#done + 1] = ARGV[i]
    elseif removed ~= 0 then
      failure = removed
      break
    end
  end
  if done[1] and not failure then
    completed = redis.pcall('XDEL', lane, unpack(done)) -- bounded: 16 ids
    if completed ~= #done and type(completed) == 'table' then failure = completed end
  end
  if failure then
    -- The jobs are claimed again: entries that are not pending would never be found.
    if done[1] then
      done[#done + 1] = 'FORCE'
      done[#done + 1] = 'JUSTID'
      redis.pcall('XCLAIM', lane, 'workers', ARGV[1], 0, unpack(done)) -- bounded: 16 ids
    end
    return failure
  end
end
-- A counter that is not a number starts again: a counting error must not fail a script that has
-- already removed jobs.
if completed > 0 and type(redis.pcall('HINCRBY', KEYS[4], 'completed', completed)) == 'table' then
  redis.pcall('HSET', KEYS[4], 'completed', completed)
end
if l[5] then return {'STOP', completed} end
local count = tonumber(ARGV[3])
if count == 0 then return {'IDLE', completed} end

local function read(lane, from, most)
  local key = KEYS[lane]
  local reply = redis.pcall('XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', most, 'STREAMS',
    key, from)
  if reply and reply.err then
    -- The stream or its group was lost. The new group begins at 0, since every entry in the stream
    -- is unfinished.
    redis.pcall('XGROUP', 'CREATE', key, 'workers', '0', 'MKSTREAM')
    reply = redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', most, 'STREAMS', key,
      from)
  end
  local entries = reply and reply[1][2]
  return entries and entries[1] and entries or nil
end

-- Builds a flat reply: a nested table costs the server a microsecond for each entry. Counts the
-- bytes while it copies, and cuts what it has copied when they are too many.
local function claimed(status, lane, entries)
  local reply, at, most = {status, completed, lane}, 3, tonumber(ARGV[10])
  for i = 1, #entries do -- bounded: 16 entries
    local fields, bytes = entries[i][2], 0
    local count = #fields
    reply[at + 1], reply[at + 2] = entries[i][1], count
    for n = 1, count do
      bytes = bytes + #fields[n]
      reply[at + 2 + n] = fields[n]
    end
    if bytes > most then
      for n = 3, count do reply[at + 2 + n] = nil end
      reply[at + 2], reply[at + 3] = 0, bytes
      reply[at + 4] = fields[1] == 'j' and string.sub(fields[2], 3, 18) or ''
      count = 2
    end
    at = at + 2 + count
  end
  return reply
end

-- A job that returns to the front must take along those that were claimed behind it. Therefore they
-- are found together.
if ARGV[4] == '1' then
  for lane = 2, 3 do
    local entries = read(lane, '0', 16)
    while entries do -- bounded: acknowledges the claim of a deleted entry each
      local found = {}
      for _, entry in ipairs(entries) do -- bounded: 16 entries
        if entry[2] then
          found[#found + 1] = entry
        else
          redis.call('XACK', KEYS[lane], 'workers', entry[1])
        end
      end
      if found[1] then return claimed('FOUND', lane, found) end
      entries = read(lane, '0', 16)
    end
  end
end

-- Defined only for the polls that may need it, since each function costs about a hundredth of a
-- poll.
local known = l[3] ~= ARGV[5] and tonumber(l[3] or 0)
local is_older = known and known < tonumber(ARGV[5])
-- A node that does not know the slot's generation cannot tell which jobs belong here.
if known and known > tonumber(ARGV[5]) then return {'WAIT', completed} end
local last = (is_older or ARGV[7] ~= '1') and function(key)
  if redis.call('EXISTS', key) == 0 then return '0-0' end
  local info = redis.call('XINFO', 'STREAM', key)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  return '0-0'
end

if is_older then
  redis.call('PERSIST', KEYS[1])
  -- The edge is the last entry id from before the current generation of the pool.
  redis.call('HSET', KEYS[1], 'gen', ARGV[5], 'edge', last(KEYS[3]))
end

-- Settled entries are deleted and no entry is pending here. Therefore every entry that a lane has
-- is still to be run.
if l[4] or redis.call('XLEN', KEYS[2]) > 0 then
  if l[4] then
    local t = redis.call('TIME')
    local wait = tonumber(l[4]) - (t[1] * 1000 + math.floor(t[2] / 1000))
    local first = wait > 0 and redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
    if first then
      -- The hold belongs to one entry, unless an older version wrote it. An operator may have moved
      -- or removed that entry.
      local held, of = redis.call('HGET', KEYS[1], 'held') or '', l[4] .. ' '
      if string.sub(held, 1, #of) ~= of or held == of .. first[1] then
        return {'HOLD', completed, wait}
      end
    end
    redis.call('HDEL', KEYS[1], 'hold', 'held')
  end
  local entries = read(2, '>', 1)
  if entries then return claimed('JOB', 2, entries) end
end

if ARGV[6] ~= '1' then
  local first = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
  if not first then return {'WAIT', completed} end
  local edge = redis.call('HGET', KEYS[1], 'edge') or '0-0'
  local ms, seq = string.match(first[1], '(%d+)-(%d+)')
  local edge_ms, edge_seq = string.match(edge, '(%d+)-(%d+)')
  ms, edge_ms = tonumber(ms), tonumber(edge_ms)
  if ms > edge_ms or (ms == edge_ms and tonumber(seq) > tonumber(edge_seq)) then
    return {'WAIT', completed}
  end
  count = 1
end
local entries = read(3, '>', count)
if entries then return claimed('JOB', 3, entries) end
if ARGV[7] == '1' then return {'EMPTY', completed} end
return {'EMPTY', completed, last(KEYS[2]), last(KEYS[3])}
