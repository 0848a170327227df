-- overview.lua: a partition at one moment.
-- KEYS 1-5 all lanes, best first  6 due  7 dead  8 stats  9 meta  10 leader  11 cancelled
--      12 bodies
-- ARGV none
-- Returns {now in ms, lanes: {ready, running, oldest ready entry ("" for none)} each, due,
--   next due time in ms (-1 for none), dead, orders to cancel, paused since in ms (0 if not),
--   {leader, term, until in ms}, names and values of the stats}
local t = redis.call('TIME')
local lanes = {}
for i = 1, 5 do
  local length, pending, last = redis.call('XLEN', KEYS[i]), 0, nil
  -- Without a stream there are no groups, and without the group all are ready.
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
  local ready, oldest = math.max(length - pending, 0), ''
  if ready > 0 then
    local first = redis.call('XRANGE', KEYS[i], last and '(' .. last or '-', '+', 'COUNT', 1)[1]
    if first then oldest = first[1] end
  end
  lanes[i] = {ready, pending, oldest}
end
local head = redis.call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
-- What cannot be read is nobody.
local lease, term, leader, till = redis.pcall('GET', KEYS[10]), nil, nil, 0
if type(lease) == 'string' then term, leader = string.match(lease, '^(%d+) (.+)$') end
if leader then
  till = t[1] * 1000 + math.floor(t[2] / 1000) + math.max(redis.call('PTTL', KEYS[10]), 0)
end
return {
  string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000)),
  lanes,
  -- Not the members of `due`, which holds timers, too.
  redis.call('HLEN', KEYS[12]),
  head[2] or '-1',
  redis.call('ZCARD', KEYS[7]),
  redis.call('ZCARD', KEYS[11]),
  redis.call('HGET', KEYS[9], 'paused') or '0',
  {leader or '', term or '0', string.format('%.0f', till)},
  redis.call('HGETALL', KEYS[8]), -- bounded: a few names
}
