-- complete.lua: removes completed jobs from their lane. `scripts.rs` lists the other parts of this
--   script: they report, on request, how many jobs wait in each lane, or give permits back.
-- KEYS 1 stream of the entries' lane
--      2 hash of the partition's counters (`stats`)
--      3-7 streams of all lanes: front, suspect, high, normal, low; only when depths are requested
-- ARGV 1 replication id of the server history in which the jobs were claimed
--      2 owner: the consumer that holds the claims
--      3 id of the first entry and  4 least id after the last entry, if the entries are all that
--        one read has claimed; else both are ''
--      5.. entry ids, at most 500; none to get only the depths
-- Returns {verdict, then the number of waiting jobs in each of the lanes of KEYS 3-7}; the verdict
--   is "OK" (all jobs are completed), "EPOCH" (the server has another history: nothing was changed)
--   or a string with one digit per entry id: 1 for completed, 0 for no longer held by the caller
-- Within one history an entry id is given to one claim only. Therefore the numbers that XACK and
-- XDEL return prove that the caller holds the entries.
local lane, verdict = KEYS[1], 'OK'

-- Returns true when the lane has no entry before `first`. Then XTRIM can cut off the whole claimed
-- range, at a fifth of the cost of XDEL. An older entry is either running, or was skipped when the
-- consumer group was moved. XPENDING comes first, since the reply of XRANGE contains a job.
local function is_oldest(first)
  local before = '(' .. first
  return #redis.call('XPENDING', lane, 'workers', '-', before, 1) == 0
    and #redis.call('XRANGE', lane, '-', before, 'COUNT', 1) == 0
end

local n = #ARGV - 4
if n > 0 then
  -- A plain search costs less than a pattern. The text does not match `master_replid2`, the id of
  -- the history before.
  local history = 'master_replid:' .. ARGV[1] .. '\r\n'
  if not string.find(redis.call('INFO', 'replication'), history, 1, true) then
    verdict = 'EPOCH'
  else
    local whole = ARGV[3] ~= '' and is_oldest(ARGV[3])
    local done = redis.call('XACK', lane, 'workers', unpack(ARGV, 5)) -- bounded: 500 ids
    local gone
    if done < n then
      -- Some of the entries are no longer pending. Those that are still in the stream belong to the
      -- caller: their claims, or the whole group, were lost, but no other node has completed the
      -- jobs.
      local each = {}
      done = 0
      for i = 5, #ARGV do
        gone = redis.pcall('XDEL', lane, ARGV[i])
        if type(gone) == 'table' then break end
        each[#each + 1] = gone
        done = done + gone
      end
      verdict = table.concat(each)
    elseif whole then
      gone = redis.pcall('XTRIM', lane, 'MINID', '=', ARGV[4])
    else
      gone = redis.pcall('XDEL', lane, unpack(ARGV, 5)) -- bounded: 500 ids
    end
    if type(gone) == 'table' then
      -- The entries are claimed again: those that are not pending would never be found.
      local again = {'XCLAIM', lane, 'workers', ARGV[2], 0, unpack(ARGV, 5)} -- bounded: 500 ids
      again[#again + 1] = 'FORCE'
      again[#again + 1] = 'JUSTID'
      redis.pcall(unpack(again)) -- bounded: 507 values
      return gone
    end
    -- A counter that is not a number is replaced by this count: a counting error must not fail a
    -- script that has already removed jobs.
    if done > 0 and type(redis.pcall('HINCRBY', KEYS[2], 'completed', done)) == 'table' then
      redis.pcall('HSET', KEYS[2], 'completed', done)
    end
  end
end

local function finish(depths)
  return {verdict, unpack(depths)} -- bounded: 5 lanes
end
