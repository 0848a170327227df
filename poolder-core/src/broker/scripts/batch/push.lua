-- push.lua: adds entries to the list in which a group gathers them. A full list is sealed: it is
--   renamed, and the batch job that refers to it becomes ready; no entry is copied. Entries that
--   fill a batch by themselves go straight into a sealed list. A call without entries only seals.
-- KEYS 1 hash of the batcher
--      2 hash: group to generation, time of the first entry in ms, and bytes of its list
--      3 list of the entries that the group gathers
--      4 stream of the lane for batch jobs
--      5 sorted set: job id or timer by due time in ms (`due`)
--      6 hash: batch job id to record of its sealed list (`batch:index`)
--      7 receipt of an idempotent push
--      8.. sealed list of each job id
-- ARGV 1 name of the batcher
--      2 group
--      3 revision of the options that the caller knows ("" for a call that only seals)
--      4 most entries of a batch
--      5 ms from the first entry until the list is sealed ("" for no limit)
--      6 most bytes of a batch ("" for no limit)
--      7 most waiting entries of the batcher ("" for no limit)
--      8 most groups that gather entries ("" for no limit)
--      9 ms for which the receipt is kept ("" for a push that is not idempotent)
--      10 "RPUSH" to add at the back of the list, "LPUSH" at its front
--      11 list to seal at the end: "" for none, "any" for the current one, or the generation of a
--        timer's list
--      12 control channel
--      13 bytes of all entries
--      14 number of job ids
--      15.. the job ids, then at most 500 entries
-- Returns {verdict, number of entries stored, number of batches sealed, id of the last batch job or
--   ""}; the first entries are stored, as many as the number says. The verdict is "OK", "FULL" (the
--   batcher may have no more waiting entries), "GROUPS" (no more groups may gather), "AGAIN" (an
--   earlier push under this receipt has stored the entries), "OPTIONS" (another revision is stored)
--   or "UNDECLARED" (no options are stored). With "OK", entries remain for another call if the job
--   ids did not suffice
-- Most pushes neither seal a list nor start one. Data that only other pushes need is read where it
-- is needed, since each command and each formatted number costs about as much as storing five
-- entries.
local name, group, limit = ARGV[1], ARGV[2], tonumber(ARGV[4])
-- The steps that take back the writes of this call, the latest last: commands, and the numbers of
-- entries that were added to the gathering list.
local undo = {}
-- Number of entries that were added to the gathering list since it was sealed last, and the data of
-- the group before this call changed them. Most pushes write nothing else.
local added, changed_meta = 0, nil
local clock, now
local function read_clock()
  if clock then return end
  local t = redis.call('TIME')
  clock = t[1] * 1000 + math.floor(t[2] / 1000)
  now = string.format('%.0f', clock)
end
local function timer(generation)
  return 'timer:batch:seal:' .. name .. ':' .. generation .. ':' .. group
end

-- A call that only seals also works on a full server, which refuses no write after this one.
if ARGV[3] == '' then redis.call('PERSIST', KEYS[1]) end
local about = redis.call('HMGET', KEYS[1], 'revision', 'waiting', 'generation', 'pushed')
if not about[1] then
  -- The timer is postponed by a minute: the batcher may be declared by then.
  if ARGV[11] ~= '' and ARGV[11] ~= 'any' then
    read_clock()
    redis.call('ZADD', KEYS[5], 'XX', string.format('%.0f', clock + 60000), timer(ARGV[11]))
  end
  return {'UNDECLARED', 0, 0, ''}
end
if ARGV[3] ~= '' and ARGV[3] ~= about[1] then return {'OPTIONS', 0, 0, ''} end
if ARGV[9] ~= '' then
  local receipt = redis.call('GET', KEYS[7])
  if receipt then
    -- A WAIT on the same connection waits for the last write of this connection.
    local left = redis.call('PTTL', KEYS[7])
    redis.call('PEXPIRE', KEYS[7], left > 0 and left or ARGV[9])
    return {'AGAIN', tonumber(receipt), 0, ''}
  end
end

-- Does all that can change a key. An error ends the call as if it had stored nothing, so that the
-- call can be repeated. One function for all commands costs less than one around each of them.
local function push()
  local ids = tonumber(ARGV[14])
  local first, last = 15 + ids, #ARGV
  local average = tonumber(ARGV[13]) / math.max(last - first + 1, 1)
  local verdict = 'OK'
  if ARGV[7] ~= '' and first <= last then
    local room = tonumber(ARGV[7]) - tonumber(about[2] or 0)
    if last - first + 1 > room then
      verdict, last = 'FULL', first + math.max(room, 0) - 1
    end
  end
  local meta = redis.call('HGET', KEYS[2], group)
  if first <= last and not meta and ARGV[8] ~= ''
    and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[8]) then
    verdict, last = 'GROUPS', first - 1
  end

  local count = redis.call('LLEN', KEYS[3])
  local generation, since, bytes = string.match(meta or '', '^(%d+) (%d+) (%d+)$')
  bytes = tonumber(bytes or 0)
  local stored_generation = generation
  local used, sealed_entries, job = 0, 0, ''
  local fields, all_free
  local notes, reasons = {}, {}
  -- The generation whose timer ends, since its list is sealed.
  local ended_timer

  -- Takes the next job id, for a batch that is sealed now; returns false when none is left. An id
  -- whose sealed list exists already is skipped, since that list belongs to another job.
  local function take_id()
    read_clock()
    if all_free == nil then
      all_free = ids > 0 and redis.call('EXISTS', unpack(KEYS, 8, 7 + ids)) == 0 -- bounded: 502 ids
    end
    repeat
      used = used + 1
      if used > ids then return false end
    until all_free or redis.call('EXISTS', KEYS[7 + used]) == 0
    job = ARGV[14 + used]
    return true
  end

  -- Adds the batch job of the taken id to its lane. Its sealed list is created later in this
  -- script.
  local function add_job(entries, size, from, why)
    fields = fields or redis.call('HMGET', KEYS[1], 'head', 'tail', 'sealed', 'sealed_entries')
    local payload = cmsgpack.pack({group = group, entries = entries, bytes = size,
      since = tonumber(from), sealed = clock})
    local entry = redis.call('XADD', KEYS[4], '*', 'j', fields[1] .. job .. fields[2] .. payload)
    undo[#undo + 1] = {'XDEL', KEYS[4], entry}
    notes[#notes + 1] = job
    notes[#notes + 1] =
      string.format('1 %d %.0f %s %s %s:%s', entries, size, from, now, name, group)
    sealed_entries = sealed_entries + entries
    reasons[why] = (reasons[why] or 0) + 1
  end

  local function seal(why)
    if not take_id() then return false end
    add_job(count, bytes, since or now, why)
    redis.call('RENAMENX', KEYS[3], KEYS[7 + used])
    undo[#undo + 1] = added
    undo[#undo + 1] = {'RENAMENX', KEYS[7 + used], KEYS[3]}
    added = 0
    ended_timer = stored_generation or ended_timer
    count, bytes, generation, stored_generation = 0, 0, nil, nil
    return true
  end

  local max_bytes = tonumber(ARGV[6])
  local at, batches = first, 0
  while at <= last do
    -- Takes as many entries as fit into the batch. Their bytes are added up one by one only where
    -- the bytes of a batch are limited.
    local till = math.max(at, math.min(last + 1, at + limit - count))
    local size = bytes + math.floor(average * (till - at) + 0.5)
    if max_bytes then
      local fits = at
      size = bytes
      while fits < till do
        local grown = size + #ARGV[fits]
        if grown > max_bytes and count + fits > at then break end
        size, fits = grown, fits + 1
      end
      till = fits
    end
    local full = count + till - at >= limit and 'limit' or till <= last and 'bytes'
    local whole = full and count == 0 and till > at
    if whole then
      if not take_id() then break end
      add_job(till - at, size, now, full)
      undo[#undo + 1] = {'UNLINK', KEYS[7 + used]}
      redis.call(ARGV[10], KEYS[7 + used], unpack(ARGV, at, till - 1)) -- bounded: 500 entries
      at, batches = till, batches + 1
    elseif till > at then
      if not generation then
        read_clock()
        generation = string.format('%.0f', math.max(clock, tonumber(about[3] or 0) + 1))
        about[3], since = generation, now
      end
      redis.call(ARGV[10], KEYS[3], unpack(ARGV, at, till - 1)) -- bounded: 500 entries
      added = added + till - at
      count, bytes, at = count + till - at, size, till
    end
    if full and not whole then
      if not seal(full) then break end
      batches = batches + 1
    end
  end
  local stored = at - first
  if ARGV[11] ~= '' then
    local why = ARGV[11] == 'any' and 'flush' or 'timeout'
    if count > 0 and (why == 'flush' or ARGV[11] == generation) and seal(why) then
      batches = batches + 1
    end
  end

  local changes = {}
  if stored > 0 then
    changes = {'waiting', (tonumber(about[2]) or 0) + stored,
      'pushed', (tonumber(about[4]) or 0) + stored}
  end
  local first_due
  if generation and stored > 0 then
    redis.call('HSET', KEYS[2], group, string.format('%s %s %.0f', generation, since, bytes))
    changed_meta = meta
    if not stored_generation then
      changes[#changes + 1] = 'generation'
      changes[#changes + 1] = generation
      if ARGV[5] ~= '' then
        local due, member = string.format('%.0f', clock + ARGV[5]), timer(generation)
        redis.call('ZADD', KEYS[5], due, member)
        undo[#undo + 1] = {'ZREM', KEYS[5], member}
        first_due = redis.call('ZRANK', KEYS[5], member) == 0
      end
    end
  elseif meta and not generation then
    redis.call('HDEL', KEYS[2], group)
    changed_meta = meta
  end
  if batches > 0 then
    local forget = {'HDEL', KEYS[6]}
    for i = 1, #notes, 2 do forget[#forget + 1] = notes[i] end
    redis.call('HSET', KEYS[6], unpack(notes)) -- bounded: two for each batch
    undo[#undo + 1] = forget
    changes[#changes + 1] = 'sealed'
    changes[#changes + 1] = (tonumber(fields[3]) or 0) + batches
    changes[#changes + 1] = 'sealed_entries'
    changes[#changes + 1] = (tonumber(fields[4]) or 0) + sealed_entries
  end
  if stored > 0 and ARGV[9] ~= '' then
    redis.call('SET', KEYS[7], stored, 'PX', ARGV[9])
    undo[#undo + 1] = {'DEL', KEYS[7]}
  end
  if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end -- bounded: five at most
  -- All is stored. A timer without its list does nothing when it is due, hints may be lost, and
  -- these counters are only shown.
  -- The first timer in `due` stays until it is due, for which the leader waits already: behind it,
  -- the timer of the next list needs no hint.
  if ended_timer and redis.pcall('ZRANK', KEYS[5], timer(ended_timer)) ~= 0 then
    redis.pcall('ZREM', KEYS[5], timer(ended_timer))
  end
  if ARGV[11] ~= '' and ARGV[11] ~= 'any' then redis.pcall('ZREM', KEYS[5], timer(ARGV[11])) end
  if first_due then redis.pcall('PUBLISH', ARGV[12], 'due') end
  for why, times in pairs(reasons) do redis.pcall('HINCRBY', KEYS[1], 'sealed_' .. why, times) end
  return {verdict, stored, batches, job}
end

local done, reply = pcall(push)
if done then return reply end
if changed_meta then redis.pcall('HSET', KEYS[2], group, changed_meta) end
if changed_meta == false then redis.pcall('HDEL', KEYS[2], group) end
undo[#undo + 1] = added
for i = #undo, 1, -1 do
  if type(undo[i]) == 'table' then
    redis.pcall(unpack(undo[i])) -- bounded: 502 values
  elseif undo[i] > 0 and ARGV[10] == 'RPUSH' then
    redis.pcall('LTRIM', KEYS[3], 0, 0 - undo[i] - 1)
  elseif undo[i] > 0 then
    redis.pcall('LTRIM', KEYS[3], undo[i], -1)
  end
end
error(reply, 0)
