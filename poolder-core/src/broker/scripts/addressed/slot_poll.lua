-- slot_poll.lua: one turn of an addressed slot: completes jobs that have ended and claims the next,
--   in order, if the lease is still ours. From the front, which holds what was tried before, one.
-- KEYS 1 lease  2 front  3 normal  4 stats
-- ARGV 1 node  2 term  3 most jobs to claim, 0 to 16  4 "1" to look first for what we hold
--      without knowing  5 generation of the pool  6 "1" when entries of this generation may run
--      7 "1" when the last ids are known  8 lane of the jobs to complete, "2" or "3"
--      9.. their ids, at most 16
-- Returns {"LOST"} or {word, how many were completed, …}:
--   "STOP" somebody stopped the slot;  "IDLE" nothing was to be claimed;  "JOB", or "FOUND" by
--   looking, lane, then for each entry its id, how many strings its fields are, and those;  "HOLD",
--   ms to wait for a retry;  "WAIT" older generations must drain elsewhere, or the caller must
--   learn of a later one;  "EMPTY", last ids of front and normal unless they are known
local l = redis.call('HMGET', KEYS[1], 'holder', 'term', 'gen', 'hold', 'stopped')
if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return {'LOST'} end

-- Nothing is pending here but what this holder has claimed: what is pending under an id is ours.
-- What is not pending stays: after a failover another job may have the id of one that was lost.
local completed = 0
if ARGV[9] then
  local lane, done = KEYS[tonumber(ARGV[8])], {}
  for i = 9, #ARGV do
    if redis.call('XACK', lane, 'workers', ARGV[i]) == 1 then done[#done + 1] = ARGV[i] end
  end
  if #done > 0 then completed = redis.call('XDEL', lane, unpack(done)) end -- bounded: 16 ids
end
if completed > 0 then redis.call('HINCRBY', KEYS[4], 'completed', completed) end
if l[5] then return {'STOP', completed} end
local count = tonumber(ARGV[3])
if count == 0 then return {'IDLE', completed} end

local function read(lane, from, most)
  local key = KEYS[lane]
  local reply = redis.pcall('XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', most, 'STREAMS',
    key, from)
  if reply and reply.err then
    -- The stream or its group was lost: what is in it now is unfinished.
    redis.pcall('XGROUP', 'CREATE', key, 'workers', '0', 'MKSTREAM')
    reply = redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', most, 'STREAMS', key,
      from)
  end
  local entries = reply and reply[1][2]
  return entries and entries[1] and entries or nil
end

-- Flat: the tables of an entry cost the server a microsecond to write out.
local function claimed(word, lane, entries)
  local reply = {word, completed, lane}
  for _, entry in ipairs(entries) do -- bounded: 16 entries
    local fields = entry[2]
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = #fields
    for _, text in ipairs(fields) do reply[#reply + 1] = text end
  end
  return reply
end

if ARGV[4] == '1' then
  for lane = 2, 3 do
    local entries = read(lane, '0', 1)
    while entries and not entries[1][2] do -- bounded: each turn lets one deleted entry go
      redis.call('XACK', KEYS[lane], 'workers', entries[1][1])
      entries = read(lane, '0', 1)
    end
    if entries then return claimed('FOUND', lane, entries) end
  end
end

local function last(key)
  local info = redis.pcall('XINFO', 'STREAM', key)
  if info.err then return '0-0' end
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return info[i + 1] end
  end
  return '0-0'
end

if l[3] ~= ARGV[5] and tonumber(l[3] or 0) < tonumber(ARGV[5]) then
  -- What was stored before the pool's present generation lies up to the edge.
  redis.call('HSET', KEYS[1], 'gen', ARGV[5], 'edge', last(KEYS[3]))
end

-- Settled entries are deleted and nothing is pending: what a lane has, it has to be run.
if l[4] or redis.call('XLEN', KEYS[2]) > 0 then
  if l[4] then
    local t = redis.call('TIME')
    local wait = tonumber(l[4]) - (t[1] * 1000 + math.floor(t[2] / 1000))
    if wait > 0 and redis.call('XLEN', KEYS[2]) > 0 then return {'HOLD', completed, wait} end
    redis.call('HDEL', KEYS[1], 'hold')
  end
  local entries = read(2, '>', 1)
  if entries then return claimed('JOB', 2, entries) end
end

-- Where the slot knows of a later generation than the caller, that one's entries wait, too.
if ARGV[6] ~= '1' or tonumber(l[3] or 0) > tonumber(ARGV[5]) then
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
