-- check_cancelled.lua: tells which of the given jobs are cancelled. A cancellation that is older
--   than the enqueue of a job was meant for an earlier job of the same id, and is removed.
-- KEYS 1 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
-- ARGV for each job, at most 500 jobs: job id, time of its enqueue in ms ("" for a job that was
--      moved since)
-- Returns a string with one digit per job: 1 for cancelled, 0 for not cancelled
local each = {}
for i = 1, #ARGV, 2 do
  local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if at and ARGV[i + 1] ~= '' and tonumber(ARGV[i + 1]) > tonumber(at) then
    redis.call('ZREM', KEYS[1], ARGV[i])
    at = false
  end
  each[#each + 1] = at and 1 or 0
end
return table.concat(each)
