-- settle.lua: a part of jobs/settle.lua with the operations of a unique job on its key.
--   `unique/holder.lua` describes the records.
-- KEYS as in jobs/settle.lua; the value named holders is the index of another: the hash `unique`
-- Operations, with their values. `since` is the generation of a job whose id is derived from a name,
-- in 6 bytes; "" for a generated id, of which there is one job:
--   "free_key" holders, key, since: the key is free, or goes to the job that waits behind this one;
--     unless another job holds it
--   "hold_key" holders, key, since, ms: the job holds the key for this time more, at its
--     destination; the time of a window stays

if string.find(ARGV[5], 'unique', 1, true) then
  -- Returns the record of the key if it is that of the current job.
  local function own(holders, key, since)
    local record = redis.call('HGET', KEYS[holders], key)
    if not record or #record ~= 40 and #record ~= 80 then return nil end
    if string.sub(record, 1, 16) ~= job then return nil end
    if since ~= '' and string.sub(record, 23, 28) ~= since then return nil end
    return record
  end

  function ops.free_key(holders, key, since)
    local record = own(holders, key, since)
    if not record then return end
    local next = next_of(redis.call, record, KEYS[2])
    freed, freed_key, freed_from, freed_next = record, key, KEYS[holders], next
    pass_key(redis.call, KEYS[holders], key, record, KEYS[2], next)
    first_due_changed = first_due_changed or next ~= nil
  end

  function ops.hold_key(holders, key, since, ms)
    local record = own(holders, key, since)
    if not record then return end
    local place, where = 5, string.rep('\0', 10)
    if added then
      for lane = 0, 4 do if KEYS[7 + lane] == added_to then place = lane end end
      local time, number = string.match(added[1], '^(%d+)-(%d+)$')
      where = struct.pack('>I6I4', tonumber(time), math.min(tonumber(number), 4294967295))
    end
    local ends = string.byte(record, 29) == 3 and string.sub(record, 17, 22)
      or struct.pack('>I6', math.min(now() + ms, behind))
    redis.call('HSET', KEYS[holders], key, string.sub(record, 1, 16) .. ends
      .. string.sub(record, 23, 29) .. string.char(place) .. where .. string.sub(record, 41))
  end
end
