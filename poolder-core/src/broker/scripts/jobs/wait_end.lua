-- wait_end.lua: gives up the wait permit of a node that has no room for a job, and wakes nodes that
--   rest: one for each job that waits, and one when few nodes with a permit are left.
-- KEYS 1 sorted set: node with a wait permit by the time at which the permit ends in ms (`waiting`)
--      2 sorted set: node that rests by the time at which its entry ends in ms (`resting`)
--      3-7 streams of all lanes
-- ARGV 1 node  2 least number of permits that are in use while nodes rest
--      3 most nodes to wake, at most 16  4 beginning of the names of the channels of nodes
--      5 '1' when PUBLISH counts all subscribers, so that a node that does not receive is gone
-- Returns the number of nodes that were woken
redis.call('ZREM', KEYS[1], ARGV[1])
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZREM', KEYS[2], ARGV[1])

local function finish(depths)
  local wanted = 0
  for i = 1, #depths do wanted = wanted + depths[i] end -- bounded: 5 lanes
  if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[2]) then wanted = wanted + 1 end
  wanted = math.min(wanted, tonumber(ARGV[3]))
  if wanted == 0 then return 0 end
  -- Those that came last are the least likely to be gone. Each is removed first, so that the next
  -- call wakes another one.
  local names = redis.call('ZRANGE', KEYS[2], -2 * ARGV[3], -1)
  local woken = 0
  for i = #names, 1, -1 do -- bounded: 32 names
    redis.call('ZREM', KEYS[2], names[i])
    local received = redis.pcall('PUBLISH', ARGV[4] .. names[i], 'wake')
    if ARGV[5] ~= '1' or received ~= 0 then woken = woken + 1 end
    if woken >= wanted then break end
  end
  return woken
end
