-- tick.lua: publishes ticks. A schedule's revision and last tick must be those for which the ticks
--   were planned: so each is published once, however many leaders there are, and none for a
--   schedule that was changed meanwhile.
-- KEYS 1 states  2 next ticks  3 running  4 queued  5 due  6-10 all lanes, best first
-- ARGV per schedule, with at most 500 jobs or 1 MiB in all: name, revision, last tick in ms, the
--      one that is its last from now on, time of its next in ms ("" for none), how many were
--      missed, "allow", "skip" or "queue" when a job of its is still under way, index of the lane,
--      number of jobs; then per job: envelope
-- Returns {now in ms, then per schedule: how many jobs were enqueued, -1 when it has changed}
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local looks = 500

-- Is the job that holds the schedule still there? Whoever settles it says so, but it may also have
-- been removed by hand. Where that would take too long to find out, it counts as there.
local function under_way(name)
  local holder = redis.call('HGET', KEYS[3], name)
  if not holder then return false end
  local job, lane = string.sub(holder, 1, 16), string.byte(holder, 17)
  local id = string.sub(holder, 18)
  local entry = redis.call('XRANGE', KEYS[6 + lane], id, id)[1]
  if entry and string.sub(entry[2][2] or '', 3, 18) == job then return true end
  if redis.call('ZSCORE', KEYS[5], job) then return true end
  for at = 6, 10 do
    local length = redis.call('XLEN', KEYS[at])
    looks = looks - length
    if looks < 0 then return true end
    if length > 0 then
      for _, found in ipairs(redis.call('XRANGE', KEYS[at], '-', '+', 'COUNT', length)) do
        if string.sub(found[2][2] or '', 3, 18) == job then
          redis.call('HSET', KEYS[3], name, job .. string.char(at - 6) .. found[1])
          return true
        end
      end
    end
  end
  redis.call('HDEL', KEYS[3], name)
  return false
end

local function start(name, lane, body, alone)
  local entry = redis.call('XADD', KEYS[6 + lane], '*', 'j', body)
  if alone then
    redis.call('HSET', KEYS[3], name, string.sub(body, 3, 18) .. string.char(lane) .. entry)
  end
end

local function id_of(body)
  return string.format(string.rep('%02x', 16), string.byte(body, 3, 18))
end

local reply = {now}
local i = 1
while i <= #ARGV do
  local name, last, overlap = ARGV[i], ARGV[i + 3], ARGV[i + 6]
  local lane, jobs = tonumber(ARGV[i + 7]), tonumber(ARGV[i + 8])
  local state = redis.call('HGET', KEYS[1], name) or ''
  local revision, before, runs, missed, ran, job =
    string.match(state, '^(%d+) (%-?%d+) (%d+) (%d+) (%d+) (%S+)$')
  if revision ~= ARGV[i + 1] or before ~= ARGV[i + 2] then
    reply[#reply + 1] = -1
  else
    missed = missed + ARGV[i + 5]
    local enqueued = 0
    for at = i + 9, i + 8 + jobs do
      local body = ARGV[at]
      local alone = overlap ~= 'allow'
      if alone and under_way(name) then
        local waits = redis.call('HEXISTS', KEYS[4], name) == 1
        if overlap == 'queue' then
          -- The newest waits; the one it replaces is dropped.
          redis.call('HSET', KEYS[4], name, string.char(lane) .. body)
          if waits then missed = missed + 1 else enqueued = enqueued + 1 end
          job = id_of(body)
        else
          missed = missed + 1
        end
      else
        -- Nobody told us that the earlier job had ended: what waited for it goes first.
        local waiting = alone and redis.call('HGET', KEYS[4], name)
        if waiting then
          start(name, string.byte(waiting, 1), string.sub(waiting, 2), true)
          redis.call('HSET', KEYS[4], name, string.char(lane) .. body)
        else
          start(name, lane, body, alone)
        end
        enqueued = enqueued + 1
        job = id_of(body)
      end
    end
    if enqueued > 0 then ran = now end
    redis.call('HSET', KEYS[1], name, table.concat({revision, last,
      string.format('%.0f', runs + enqueued), string.format('%.0f', missed), ran, job}, ' '))
    if ARGV[i + 4] == '' then
      redis.call('ZREM', KEYS[2], name)
    else
      redis.call('ZADD', KEYS[2], ARGV[i + 4], name)
    end
    reply[#reply + 1] = enqueued
  end
  i = i + 9 + jobs
end
return reply
