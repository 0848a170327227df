-- deaths.lua: takes deaths of which the hooks of a node are told. A death that was taken is taken
--   again after a pause, with one more try, unless its member is removed before. The last try
--   removes it. A call that failed can be repeated: a death may then be taken twice.
-- KEYS 1 sorted set: job id and a byte with the number of tries by the time of the next try in ms
--        (`dead:hooks`)
-- ARGV 1 most deaths to take, at most 16
--      2 most tries, at most 250
--      3 pause after the first try in ms, which doubles with each try  4 longest pause in ms
-- Returns the members as they are stored now; the last try of a death is no longer stored
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local taken = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #taken == 0 then return taken end
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
for i, member in ipairs(taken) do
  local tries = (string.byte(member, 17) or 0) + 1
  taken[i] = string.sub(member, 1, 16) .. string.char(tries)
  if tries < tonumber(ARGV[2]) then
    local pause = math.min(ARGV[3] * 2 ^ (tries - 1), tonumber(ARGV[4]))
    redis.call('ZADD', KEYS[1], string.format('%.0f', now + pause), taken[i])
  end
  redis.call('ZREM', KEYS[1], member)
end
return taken
