-- move.lua: takes claimed jobs out of a lane and puts each where it goes next, one by one, if the
--   claim is still the owner's: the destination is written before the source is removed.
-- KEYS 1 lane of the entries  2 due  3 bodies  4 dead  5 dead bodies  6 stats  7-11 all lanes
--      12.. what the effects touch, in their order
-- ARGV 1 owner  2 most dead jobs kept  3 control channel; then per job, at most 50 jobs:
--      entry id, job id, text of a plain entry ("" for a packed one), destination ("lane",
--      "due", "dead" or "gone"), delay in ms, head, envelope ("" for the stored one),
--      dead record up to the head, name of the counter, number of effects; then per effect:
--      "set" (one key: value, kept for ms), value, ms
-- Returns a string of 1 or 0 per job: moved, or no longer the owner's
local owner, cap = ARGV[1], tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function held(id, job, plain)
  local p = redis.call('XPENDING', KEYS[1], 'workers', id, id, 1)[1]
  if not p or p[2] ~= owner then return nil end
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not entry then return nil end
  local f = entry[2]
  if plain ~= '' then return table.concat(f, '\0') == plain and '' or nil end
  if f[1] == 'j' and string.sub(f[2], 3, 18) == job then return f[2] end
  return nil
end

local function take_effect(at, key)
  if ARGV[at] == 'set' then
    redis.call('SET', KEYS[key], ARGV[at + 1], 'PX', ARGV[at + 2])
  end
  return key + 1
end

local moved, nudge = {}, false
local i, key = 4, 12
while i <= #ARGV do
  local effects = tonumber(ARGV[i + 9])
  local id, job, to = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  local head, body = ARGV[i + 5], ARGV[i + 6]
  local stored = held(id, job, ARGV[i + 2])
  if stored then
    if body == '' then body = stored end
    if to == 'due' then
      local due = string.format('%.0f', now + tonumber(ARGV[i + 4]))
      redis.call('HSET', KEYS[3], job, head .. body)
      redis.call('ZADD', KEYS[2], due, job)
      nudge = nudge or redis.call('ZRANGE', KEYS[2], 0, 0)[1] == job
    elseif to == 'lane' then
      local lane = KEYS[7 + string.byte(head, 1)]
      redis.call('XADD', lane, '*', 'j', body, 'c', string.sub(head, 4))
    elseif to == 'dead' then
      redis.call('HSET', KEYS[5], job, ARGV[i + 7] .. head .. body)
      redis.call('ZADD', KEYS[4], string.format('%.0f', now), job)
      if redis.call('ZCARD', KEYS[4]) > cap then
        local oldest = redis.call('ZPOPMIN', KEYS[4])[1]
        redis.call('HDEL', KEYS[5], oldest)
        redis.call('HINCRBY', KEYS[6], 'dead_dropped', 1)
      end
    end
    for at = i + 10, i + 7 + 3 * effects, 3 do key = take_effect(at, key) end
    redis.call('XACK', KEYS[1], 'workers', id)
    redis.call('XDEL', KEYS[1], id)
    redis.call('HINCRBY', KEYS[6], ARGV[i + 8], 1)
    moved[#moved + 1] = 1
  else
    for at = i + 10, i + 7 + 3 * effects, 3 do key = key + 1 end
    moved[#moved + 1] = 0
  end
  i = i + 10 + 3 * effects
end
if nudge then redis.call('PUBLISH', ARGV[3], 'due') end
return table.concat(moved)
