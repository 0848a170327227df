-- revive.lua: gives dead jobs another life, in their lanes.
-- KEYS 1 dead  2 dead bodies  3-7 all lanes, best first  8 stats  9.. end record of each job
-- ARGV per job, at most 50 jobs: job id, time of death in ms as it was seen, head, envelope
-- Returns a string of 1 or 0 per job: revived, or not dead any more as it was seen
local each, key = {}, 9
for i = 1, #ARGV, 4 do
  local job, head = ARGV[i], ARGV[i + 2]
  local died = redis.call('ZSCORE', KEYS[1], job)
  local revived = 0
  if died and tonumber(died) == tonumber(ARGV[i + 1]) then
    local lane = KEYS[3 + string.byte(head, 1)]
    redis.call('XADD', lane, '*', 'j', ARGV[i + 3], 'c', string.sub(head, 4))
    redis.call('ZREM', KEYS[1], job)
    redis.call('HDEL', KEYS[2], job)
    redis.call('DEL', KEYS[key])
    redis.call('HINCRBY', KEYS[8], 'revived', 1)
    revived = 1
  end
  each[#each + 1] = revived
  key = key + 1
end
return table.concat(each)
