-- overview.lua: reads the state of a partition at one moment.
-- KEYS 1-5 streams of all lanes: front, suspect, high, normal, low
--      6 sorted set: job id or timer by due time in ms (`due`)
--      7 sorted set: job id by time of death in ms (`dead`)
--      8 hash of the partition's counters (`stats`)
--      9 hash with the time of the pause, and the slots of an addressed pool (`meta`)
--      10 lease of the leader: "<term> <node>" (`leader`)
--      11 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
--      12 hash: job id to head and envelope of the waiting job (`bodies`)
--      13 sorted set: id of a finished job by the time of its end in ms (`finished`)
--      14 hash: number and group to the waiting job (`limits:jobs`), which only a limited queue has
-- ARGV none
-- Returns {now in ms, list of {number of ready jobs, number of running jobs, oldest ready entry or
--   ""} per lane, number of jobs in `due`, due time in ms of the first job or timer (-1 for none),
--   number of dead jobs, number of cancellations, time of the pause in ms (0 if not paused),
--   {leader or "", term, end of its lease in ms}, name and value of each counter,
--   {mode of the pool or "", the most slots that it had}, number of finished jobs, number of jobs that
--   wait in groups}
local t = redis.call('TIME')
local lanes = {}
for i = 1, 5 do
  local length, pending, last = redis.call('XLEN', KEYS[i]), 0, nil
  -- Most lanes are empty: they have nothing ready, and nothing claimed, since claimed entries stay
  -- in the stream.
  if length > 0 then
    -- Without the group every entry is ready.
    local groups = redis.pcall('XINFO', 'GROUPS', KEYS[i])
    if not groups.err then
      for _, g in ipairs(groups) do
        local info = {}
        for k = 1, #g, 2 do info[g[k]] = g[k + 1] end
        if info.name == 'workers' then
          pending, last = info.pending, info['last-delivered-id']
        end
      end
    end
  end
  local ready, oldest = math.max(length - pending, 0), ''
  if ready > 0 then
    -- Not every user may read jobs.
    local first = redis.pcall('XRANGE', KEYS[i], last and '(' .. last or '-', '+', 'COUNT', 1)[1]
    if first then oldest = first[1] end
  end
  lanes[i] = {ready, pending, oldest}
end
-- Slots beyond the size may hold jobs that are left from before a resize.
local m = redis.call('HMGET', KEYS[9], 'mode', 'paused', 'limited')
local mode, slots = m[1] or '', 0
if mode ~= '' then
  for _, name in ipairs({'size', 'tail', 'top'}) do
    slots = math.max(slots, tonumber(redis.call('HGET', KEYS[9], name)) or 0)
  end
end
local head = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
-- A lease that cannot be read counts as no leader.
local lease, term, leader, till = redis.pcall('GET', KEYS[10]), nil, nil, 0
if type(lease) == 'string' then term, leader = string.match(lease, '^(%d+) (.+)$') end
if leader then
  till = t[1] * 1000 + math.floor(t[2] / 1000) + math.max(redis.call('PTTL', KEYS[10]), 0)
end
local grouped = 0
if m[3] then
  -- The field of one zero byte is no job.
  grouped = redis.call('HLEN', KEYS[14]) - redis.call('HEXISTS', KEYS[14], '\0')
end
return {
  string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)),
  lanes,
  -- Counts the bodies and not the members of `due`, which has timers too.
  redis.call('HLEN', KEYS[12]),
  head[2] or '-1',
  redis.call('ZCARD', KEYS[7]),
  redis.call('ZCARD', KEYS[11]),
  m[2] or '0',
  {leader or '', term or '0', string.format('%.0f', till)},
  redis.call('HGETALL', KEYS[8]), -- bounded: a few names
  {mode, slots},
  redis.call('ZCARD', KEYS[13]),
  grouped,
}
