-- remove.lua: deletes jobs that wait or are dead. A job that runs is not deleted.
-- KEYS 1 stream of the lane, or sorted set `due` or `dead`, in which all the jobs are
--      2 hash: job id to body (`bodies` or `dead:bodies`); not used for a lane
--      3 hash of the partition's counters (`stats`)
--      4 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
--      5 hash: batch job id to record of its sealed list (`batch:index`)
--      6 set of batch job ids whose sealed lists are to be removed (`batch:dropped`)
--      7.. completion record of each job
-- ARGV 1 "lane", "due" or "dead"
--      2 completion record to store
--      3.. for each job, at most 500 jobs: job id, entry id (for "lane"), ms for which its record
--        is kept ("" to store none)
-- Returns a string with one digit per job: 1 for deleted, 0 for a job that runs or is no longer
--   there
local place, each, key, count, retrying = ARGV[1], {}, 7, 0, 0
for i = 3, #ARGV, 3 do
  local job, deleted = ARGV[i], 0
  if place == 'lane' then
    local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[i + 1], ARGV[i + 1], 1)
    if held.err or not held[1] then deleted = redis.call('XDEL', KEYS[1], ARGV[i + 1]) end
  else
    local body = place == 'due' and redis.call('HGET', KEYS[2], job)
    if body and string.byte(body, 5) ~= 0 then retrying = retrying + 1 end
    deleted = redis.call('HDEL', KEYS[2], job)
    if deleted == 1 then redis.call('ZREM', KEYS[1], job) end
  end
  if deleted == 1 then
    count = count + 1
    redis.call('ZREM', KEYS[4], job)
    if redis.call('HEXISTS', KEYS[5], job) == 1 then redis.call('SADD', KEYS[6], job) end
    if ARGV[i + 2] ~= '' and place ~= 'dead' then
      redis.call('SET', KEYS[key], ARGV[2], 'PX', ARGV[i + 2])
      redis.call('PUBLISH', KEYS[key], 'end')
    end
  end
  each[#each + 1] = deleted
  key = key + 1
end
if count > 0 then redis.call('HINCRBY', KEYS[3], 'deleted', count) end
if retrying > 0 then redis.call('HINCRBY', KEYS[3], 'retrying', -retrying) end
return table.concat(each)
