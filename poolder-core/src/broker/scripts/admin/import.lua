-- import.lua: stores jobs of an export where they were: in a lane, in `due`, or among the dead. A job
--   that is there or was imported before is left out, and so is a unique job whose key another one
--   holds, unless it waited behind that one: then it waits behind it again. `unique/next.lua` and
--   `unique/holder.lua` stand in front.
-- KEYS 1-5 streams of all lanes: front, suspect, high, normal, low
--      6 sorted set: job id by due time in ms (`due`)
--      7 hash: job id to head and envelope of the waiting job (`bodies`)
--      8 sorted set: job id by time of death in ms (`dead`)
--      9 hash: job id to record of the dead job (`dead:bodies`)
--      10 hash of the partition's counters (`stats`)
--      11 hash: name of a schedule to its running job
--      12 hash: key to the unique job that holds it (`unique`)
--      13.. mark of each job, which says that it was imported
-- ARGV 1 ms for which a mark is kept  2 control channel
--      3.. for each job, at most 50 jobs: its id, "ready", "due" or "dead", due time or time of death
--        in ms, head and envelope (of a dead job its record), "1" for an id that is generated, entry
--        that the job had in its lane ("" for none), name of the schedule whose jobs must not run
--        beside it ("" for none), key of a unique job ("" for none), ms for which it holds the key,
--        its mode, its generation in ms ("" for a generated id)
-- Returns a string with one digit per job: 1 for stored, 0 for a job that was there, 2 for one whose
--   key another job holds, 3 for one for which there is no free id
-- A call that failed can be repeated: each job is stored as a whole, or not at all.
local keep, each, key = ARGV[1], {}, 13
-- The records of the dead are read before a job is stored, so that a key of a wrong type ends the
-- call.
redis.call('HLEN', KEYS[9])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

-- Returns the error of a reply, or nil.
local function failure(reply) return type(reply) == 'table' and reply.err and reply or nil end

for i = 3, #ARGV, 11 do
  local job, place, at, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local generated, entry, schedule = ARGV[i + 4] == '1', ARGV[i + 5], ARGV[i + 6]
  local unique, mark, id, n = place ~= 'dead' and ARGV[i + 7] or '', KEYS[key], job, 0
  local hold, mode = tonumber(ARGV[i + 8]), tonumber(ARGV[i + 9])
  local times, bodies = KEYS[6], KEYS[7]
  if place == 'dead' then times, bodies = KEYS[8], KEYS[9] end
  local result = redis.call('GET', mark) and 0 or 1
  if result == 1 and entry ~= '' then
    local found = redis.call('XRANGE', KEYS[1 + string.byte(body, 1)], entry, entry)[1]
    if found and string.sub(found[2][2] or '', 3, 18) == job then result = 0 end
  end
  if result == 1 and generated
    and (redis.call('ZSCORE', KEYS[6], job) or redis.call('ZSCORE', KEYS[8], job)) then
    result = 0
  end
  -- Another generation of a name may wait, or be dead, under the id.
  if result == 1 and place ~= 'ready' then
    local last = string.byte(job, 16)
    while n < 16 and redis.call('ZSCORE', times, id) do -- bounded: 16 ids
      if redis.call('HGET', bodies, id) == body then result = 0 break end
      n = n + 1
      id = string.sub(job, 1, 15) .. string.char((last + n) % 256)
    end
    if n == 16 then result = 3 end
  end
  local alone = schedule ~= '' and place ~= 'dead'
    and redis.call('HEXISTS', KEYS[11], schedule) == 0
  local other, record, waited = nil, nil, mode == 5 and place == 'due' and tonumber(at) == behind
  if result == 1 and unique ~= '' then
    local _
    other, _, _, _, _, record = holder_of(KEYS[12], unique, now, KEYS[6], KEYS[7], 1)
    waited = waited and other ~= job
    -- One job can wait behind the holder. Without a holder a job that waited takes the key.
    if other and not (waited and #record == 40) then
      result = generated and other == job and 0 or 2
    end
    if waited and not other then at = string.format('%.0f', now) end
  end
  if result == 1 then
    local lane, where, failed = 5, '', nil
    if place == 'ready' then
      lane = string.byte(body, 1)
      local length = struct.unpack('>I2', string.sub(body, 2, 3)) -- bounded: one number
      where = redis.call('XADD', KEYS[1 + lane], '*', 'j', string.sub(body, 4 + length),
        'c', string.sub(body, 4, 3 + length))
    else
      redis.call('HSET', bodies, id, body)
      failed = failure(redis.pcall('ZADD', times, at, id))
    end
    local taken, since = false, tonumber(ARGV[i + 10]) or now
    if not failed and other then
      failed = failure(redis.pcall('HSET', KEYS[12], unique, record .. job
        .. struct.pack('>I6I6', math.min(hold, behind), since) .. string.char(mode, n)
        .. string.rep('\0', 10)))
      taken = not failed
    elseif not failed and unique ~= '' then
      local ends = math.max(now, place == 'due' and mode ~= 3 and tonumber(at) or 0)
      failed = take_key(KEYS[12], unique, job, ends + hold, since, mode, lane, where)
      taken = not failed
    end
    -- The job is the running one of its schedule, unless another one is.
    local runs = false
    if not failed and alone then
      local held = job .. string.char(place == 'ready' and lane or 0)
        .. (where ~= '' and where or '0-1')
      failed = failure(redis.pcall('HSET', KEYS[11], schedule, held))
      runs = not failed
    end
    if not failed then failed = failure(redis.pcall('SET', mark, '1', 'PX', keep)) end
    if failed then
      -- The job is nowhere.
      if runs then redis.pcall('HDEL', KEYS[11], schedule) end
      if taken and other then
        redis.pcall('HSET', KEYS[12], unique, record)
      elseif taken then
        drop_key(KEYS[12], unique)
      end
      if place == 'ready' then
        redis.pcall('XDEL', KEYS[1 + lane], where)
      else
        redis.pcall('ZREM', times, id)
        redis.pcall('HDEL', bodies, id)
      end
      return failed
    end
    if place == 'due' then
      -- A counter that is not a number starts again: a counting error must not fail the call.
      if string.byte(body, 5) ~= 0
        and type(redis.pcall('HINCRBY', KEYS[10], 'retrying', 1)) == 'table' then
        redis.pcall('HSET', KEYS[10], 'retrying', 1)
      end
      -- Hints may be lost.
      if redis.pcall('ZRANGE', KEYS[6], 0, 0)[1] == id then
        redis.pcall('PUBLISH', ARGV[2], 'due')
      end
    end
  end
  each[#each + 1] = result
  key = key + 1
end
return table.concat(each)
