-- settle.lua: a part of jobs/settle.lua with the operations on the sealed list of a batch job, and
--   on the counters of its batcher. Each reads its keys before it writes, and does no harm when it
--   is repeated: it counts behind the write after which a repetition finds nothing to count.
-- KEYS 13 and 14 as in jobs/settle.lua; the values named list, batcher and part are indices of
--   others
-- Operations, with their values. The stamp of a batch is the text "since sealed" of its payload: a
--   job with another stamp than the record of its id is not the batch, and leaves the list alone.
--   "batch_count" batcher, name: raises this counter of the batcher
--   "batch_done" list, batcher, true or false, stamp: removes the list; counts its entries as
--     completed if the third value is true
--   "batch_dead" list, batcher, stamp: stops counting the entries as waiting
--   "batch_dropped" stamp: leaves the list to the pruner, which removes it
--   "batch_keep_rest" list, batcher, part: replaces the list by the entries that were set aside in
--     the part
--   "batch_bury_part" list, batcher, part, list for the buried entries, id of a job and its dead
--     record up to the envelope: buries the entries of the part as this job, which is dead

if string.find(ARGV[5], 'batch', 1, true) then
  -- Entry id to the number of entries of this batch job that its settlement has buried.
  local buried = {}

  -- Returns the record of the job in the index, and whether it is the record of another batch.
  local function record_of(stamp)
    local record = redis.call('HGET', KEYS[13], job)
    return record, record and not string.find(record, ' ' .. stamp .. ' ', 1, true)
  end

  -- Subtracts `gone` entries of the current batch from the waiting entries of its batcher. `record`
  -- is the record in the index, which tells whether the entries of the list are counted.
  local function subtract_waiting(record, batcher, gone)
    if not record or string.sub(record, 1, 1) ~= '1' then return end
    add(batcher, 'waiting', 0 - gone) -- never -0, which Redis 6.2 refuses
  end

  function ops.batch_count(batcher, name)
    count(KEYS[batcher], name, 1)
  end

  function ops.batch_done(list, batcher, completed, stamp)
    local record, foreign = record_of(stamp)
    if foreign then return end
    local gone = redis.call('LLEN', KEYS[list])
    if redis.call('HDEL', KEYS[13], job) == 1 then
      subtract_waiting(record, KEYS[batcher], gone)
      if completed then add(KEYS[batcher], 'completed_entries', gone - (buried[entry] or 0)) end
    end
    redis.call('UNLINK', KEYS[list])
  end

  function ops.batch_dead(list, batcher, stamp)
    local record, foreign = record_of(stamp)
    if foreign or not record or string.sub(record, 1, 1) ~= '1' then return end
    local gone = redis.call('LLEN', KEYS[list])
    redis.call('HSET', KEYS[13], job, '0' .. string.sub(record, 2))
    subtract_waiting(record, KEYS[batcher], gone)
  end

  function ops.batch_dropped(stamp)
    local record, foreign = record_of(stamp)
    if record and not foreign then redis.call('SADD', KEYS[14], job) end
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

  function ops.batch_bury_part(list, batcher, part, dead_list, dead)
    local dead_job = string.sub(dead, 1, 16)
    local entries = redis.call('LLEN', KEYS[part])
    if entries == 0 and redis.call('EXISTS', KEYS[dead_list]) == 1 then
      -- This settlement has buried them before an error.
      buried[entry] = redis.call('LLEN', KEYS[dead_list])
      return
    end
    local known = redis.call('HGET', KEYS[13], job) or '1'
    redis.call('HSET', KEYS[13], dead_job, '0' .. string.sub(known, 2))
    bury(dead_job, string.sub(dead, 17) .. string.sub(body, 1, 2) .. dead_job
      .. string.sub(body, 19))
    if entries > 0 then
      redis.call('PERSIST', KEYS[part])
      redis.call('RENAME', KEYS[part], KEYS[dead_list])
    else
      -- The part was kept for a limited time, and is lost. All entries are buried: rather twice
      -- than never.
      entries = redis.call('LLEN', KEYS[list])
      redis.call('COPY', KEYS[list], KEYS[dead_list])
    end
    buried[entry] = entries
    add(KEYS[batcher], 'entries_buried', entries)
    add(KEYS[6], 'buried', 1)
  end
end
