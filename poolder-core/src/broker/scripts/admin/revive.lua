-- revive.lua: puts dead jobs back into their lanes. A unique job takes its key again; if another job
--   holds it, the job stays dead. A window goes on as it was. `unique/holder.lua` stands in front.
-- KEYS 1 sorted set: job id by time of death in ms (`dead`)
--      2 hash: job id to record of the dead job (`dead:bodies`)
--      3-7 streams of all lanes: front, suspect, high, normal, low
--      8 hash of the partition's counters (`stats`)
--      9 hash: name of a schedule to its running job
--      10-12 hash of keys to the unique jobs that hold them (`unique`), sorted set of job ids by due
--        time in ms (`due`), and hash of job ids to waiting jobs (`bodies`)
--      13.. completion record of each job, which is removed
-- ARGV for each job, at most 50 jobs: id under which it is stored, time of death in ms as the caller
--      has seen it, head, envelope, name of the schedule whose jobs must not run beside it ("" for
--      none), key of a unique job ("" for another one), ms for which it holds the key,
--      its mode, its generation in ms
-- Returns a string with one digit per job: 1 for revived, 0 for a job that is no longer dead, or
--   has died again since the caller has seen it, 2 for a job whose key another one holds
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local each, key = {}, 13
-- The records are read before a job is moved, so that a key of a wrong type ends the call.
redis.call('HLEN', KEYS[2])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 1, #ARGV, 9 do
  local job, head = ARGV[i], ARGV[i + 2]
  local died = redis.call('ZSCORE', KEYS[1], job)
  local revived, unique, window = 0, ARGV[i + 5], ARGV[i + 7] == '3' and ARGV[i + 5]
  if window then unique = '' end
  local is_dead = died and tonumber(died) == tonumber(ARGV[i + 1])
  if is_dead and unique ~= '' and holder_of(KEYS[10], unique, now, KEYS[11], KEYS[12], 3) then
    revived, is_dead = 2, false
  end
  if is_dead then
    local lane = KEYS[3 + string.byte(head, 1)]
    local added = redis.call('XADD', lane, '*', 'j', ARGV[i + 3], 'c', string.sub(head, 4))
    -- The job is the running one of its schedule again, unless another one is.
    local name, runs = ARGV[i + 4], 0
    if name ~= '' then
      runs = redis.pcall('HSETNX', KEYS[9], name, string.sub(ARGV[i + 3], 3, 18)
        .. string.sub(head, 1, 1) .. added)
    end
    local taken = unique ~= '' and take_key(KEYS[10], unique, string.sub(ARGV[i + 3], 3, 18),
      now + tonumber(ARGV[i + 6]), tonumber(ARGV[i + 8]), tonumber(ARGV[i + 7]),
      string.byte(head, 1), added)
    local gone = type(runs) == 'table' and runs or taken or redis.pcall('DEL', KEYS[key])
    if type(gone) == 'number' then gone = redis.pcall('ZREM', KEYS[1], job) end
    if type(gone) == 'number' then
      gone = redis.pcall('HDEL', KEYS[2], job)
      if type(gone) == 'table' then redis.pcall('ZADD', KEYS[1], died, job) end
    end
    if type(gone) == 'table' then
      -- The job stays dead, and nowhere else.
      if runs == 1 then redis.pcall('HDEL', KEYS[9], name) end
      if unique ~= '' and not taken then drop_key(KEYS[10], unique) end
      redis.pcall('XDEL', lane, added)
      return gone
    end
    -- A counter that is not a number starts again: a counting error must not fail the call.
    if type(redis.pcall('HINCRBY', KEYS[8], 'revived', 1)) == 'table' then
      redis.pcall('HSET', KEYS[8], 'revived', 1)
    end
    -- The data of the job can be replaced at its new place.
    local record = window and redis.pcall('HGET', KEYS[10], window)
    if type(record) == 'string' and #record == 40
      and string.sub(record, 1, 16) == string.sub(ARGV[i + 3], 3, 18) then
      redis.pcall('HSET', KEYS[10], window, string.sub(record, 1, 29) .. string.sub(head, 1, 1)
        .. (packed(added)))
    end
    revived = 1
  end
  each[#each + 1] = revived
  key = key + 1
end
return table.concat(each)
