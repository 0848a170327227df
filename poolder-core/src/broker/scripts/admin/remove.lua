-- remove.lua: deletes jobs that do not run.
-- KEYS 1 their lane, or due, or dead  2 their bodies (not for a lane)  3 stats  4 cancelled
--      5 index of sealed lists  6 sealed lists to be removed  7.. end record of each job
-- ARGV 1 "lane", "due" or "dead"  2 their end; then per job, at most 500 jobs: job id, entry id (of
--      a lane), how long its end is kept in ms ("" when nobody waits)
-- Returns a string of 1 or 0 per job: deleted, or not there any more, or running
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
