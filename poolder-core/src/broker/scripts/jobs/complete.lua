-- complete.lua: removes jobs that are done, and tells how many wait in each lane when asked.
-- KEYS 1 lane of the entries  2 stats  3-7 all lanes, best first, where depths are asked for
-- ARGV 1 replication id of the history in which they were claimed  2 id of the first and  3 the id
--      after the last, where the entries are all that one claim took, else ''
--      4.. entry ids, at most 500
-- Returns {"OK", "EPOCH" (another history: nothing was touched), or a 1 or 0 per entry id for
--   completed or no longer ours; then the depth of each lane that was given}
-- Within one history an entry id is given to one claim only, so that counts prove ownership.
local lane, verdict = KEYS[1], 'OK'

-- True when no entry of the lane is older than what one claim took: then it can be cut off, which
-- costs a fifth of deleting. Older ones are running, or a moved group has left them behind; asked
-- in this order since the second answer brings a job.
local function oldest(first)
  local before = '(' .. first
  return #redis.call('XPENDING', lane, 'workers', '-', before, 1) == 0
    and #redis.call('XRANGE', lane, '-', before, 'COUNT', 1) == 0
end

local n = #ARGV - 3
if n > 0 then
  -- Found as it stands, which costs less than a pattern. Not 'master_replid2', the history before.
  local history = 'master_replid:' .. ARGV[1] .. '\r\n'
  if not string.find(redis.call('INFO', 'replication'), history, 1, true) then
    verdict = 'EPOCH'
  else
    local done = redis.call('XACK', lane, 'workers', unpack(ARGV, 4)) -- bounded: 500 ids
    if done == n and ARGV[2] ~= '' and oldest(ARGV[2]) then
      redis.call('XTRIM', lane, 'MINID', '=', ARGV[3])
    elseif done == n then
      redis.call('XDEL', lane, unpack(ARGV, 4)) -- bounded: 500 ids
    else
      -- Some were taken back. What is still in the stream is ours: its claim, or the group that
      -- held it, went without anybody else completing the job.
      local each = {}
      done = 0
      for i = 4, #ARGV do
        local gone = redis.call('XDEL', lane, ARGV[i])
        each[i - 3] = gone
        done = done + gone
      end
      verdict = table.concat(each)
    end
    -- A counter that is no number starts again: counting must not fail what is already done.
    if done > 0 and type(redis.pcall('HINCRBY', KEYS[2], 'completed', done)) == 'table' then
      redis.pcall('HSET', KEYS[2], 'completed', done)
    end
  end
end
local reply = {verdict}
for i = 3, #KEYS do -- bounded: 5 lanes
  local depth = redis.call('XLEN', KEYS[i])
  if depth > 0 then
    -- Without a group nothing is claimed.
    local pending = redis.pcall('XPENDING', KEYS[i], 'workers')
    if not pending.err then depth = depth - pending[1] end
  end
  reply[i - 1] = depth
end
return reply
