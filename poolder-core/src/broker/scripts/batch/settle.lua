-- settle.lua: a part of jobs/settle.lua with the operations on the sealed list of a batch job, and
--   on the counters of its batcher. Each reads its keys before it writes, and does no harm when it
--   is repeated: it counts behind the write after which a repetition finds nothing to count.
-- KEYS 13 and 14 as in jobs/settle.lua; the values named list, batcher and part are indices of
--   others
-- Operations, with their values:
--   "batch_count" batcher, name: raises this counter of the batcher
--   "batch_done" list, batcher, true or false: removes the list; counts its entries as completed if
--     the last value is true
--   "batch_dead" list, batcher: stops counting the entries as waiting
--   "batch_dropped": leaves the list to the pruner, which removes it
--   "batch_keep_rest" list, batcher, part: replaces the list by the entries that were set aside in
--     the part
--   "batch_bury_part" batcher, part, list for the buried entries, id of a job, its dead record up
--     to the envelope: buries the entries of the part as this job, which is dead

if string.find(ARGV[5], 'batch', 1, true) then
  -- Entry id to the number of entries of this batch job that its settlement has buried.
  local buried = {}

  -- Subtracts `gone` entries of the current batch from the waiting entries of its batcher. `record`
  -- is the record in the index, which tells whether the entries of the list are counted.
  local function subtract_waiting(record, batcher, gone)
    if not record or string.sub(record, 1, 1) ~= '1' then return end
    add(batcher, 'waiting', 0 - gone) -- never -0, which Redis 6.2 refuses
  end

  function ops.batch_count(batcher, name)
    count(KEYS[batcher], name, 1)
  end

  function ops.batch_done(list, batcher, completed)
    local gone, record = redis.call('LLEN', KEYS[list]), redis.call('HGET', KEYS[13], job)
    if redis.call('HDEL', KEYS[13], job) == 1 then
      subtract_waiting(record, KEYS[batcher], gone)
      if completed then add(KEYS[batcher], 'completed_entries', gone - (buried[entry] or 0)) end
    end
    redis.call('UNLINK', KEYS[list])
  end

  function ops.batch_dead(list, batcher)
    local gone, record = redis.call('LLEN', KEYS[list]), redis.call('HGET', KEYS[13], job)
    if not record or string.sub(record, 1, 1) ~= '1' then return end
    redis.call('HSET', KEYS[13], job, '0' .. string.sub(record, 2))
    subtract_waiting(record, KEYS[batcher], gone)
  end

  function ops.batch_dropped()
    if redis.call('HEXISTS', KEYS[13], job) == 1 then redis.call('SADD', KEYS[14], job) end
  end

  function ops.batch_keep_rest(list, batcher, part)
    local left = redis.call('LLEN', KEYS[part])
    -- The part is kept for a limited time. Without it the whole batch is tried again.
    if left == 0 then return end
    local gone, record = redis.call('LLEN', KEYS[list]) - left, redis.call('HGET', KEYS[13], job)
    redis.call('PERSIST', KEYS[part])
    redis.call('RENAME', KEYS[part], KEYS[list])
    subtract_waiting(record, KEYS[batcher], gone)
    add(KEYS[batcher], 'completed_entries', gone - (buried[entry] or 0))
    add(KEYS[batcher], 'entries_retried', left)
  end

  function ops.batch_bury_part(batcher, part, list, dead_job, record)
    local entries = redis.call('LLEN', KEYS[part])
    if entries == 0 then
      -- This settlement may have buried them before an error.
      buried[entry] = redis.call('LLEN', KEYS[list])
      return
    end
    local known = redis.call('HGET', KEYS[13], job) or '1'
    redis.call('HSET', KEYS[13], dead_job, '0' .. string.sub(known, 2))
    bury(dead_job, record .. string.sub(body, 1, 2) .. dead_job .. string.sub(body, 19))
    redis.call('PERSIST', KEYS[part])
    redis.call('RENAME', KEYS[part], KEYS[list])
    buried[entry] = entries
    add(KEYS[batcher], 'entries_buried', entries)
    add(KEYS[6], 'buried', 1)
  end
end
