-- settle.lua: a part of jobs/settle.lua with the operations of jobs that run in an addressed slot.
-- KEYS 1, 7 and 15 as in jobs/settle.lua
-- Operations, with their values:
--   "to_slot_front" head: puts the job back to the front of its slot
--   "hold_slot" ms: blocks claims of the slot for this time, while its front waits for a retry

if ARGV[4] ~= '' then
  -- Most names and values of an entry that is moved. An entry that Poolder wrote has four. Another
  -- entry with more of them stays where it is, since Lua cannot pass on arbitrarily many.
  local most_fields = 100

  function ops.to_slot_front(head)
    local new_entry = ops.to_lane(head)
    if KEYS[1] ~= KEYS[7] then return end
    -- The job comes from the front. Entries that wait there are moved behind it, since a slot runs
    -- its jobs in order.
    for _, waiting in ipairs(redis.call('XRANGE', KEYS[7], '-', '+', 'COUNT', 100)) do
      local id, fields = waiting[1], waiting[2]
      if id ~= entry and id ~= new_entry and #fields <= most_fields then
        redis.call('XADD', KEYS[7], '*', unpack(fields)) -- bounded: `most_fields`
        redis.call('XDEL', KEYS[7], id)
      end
    end
  end

  function ops.hold_slot(ms)
    redis.call('HSET', KEYS[15], 'hold', string.format('%.0f', now() + ms))
  end
end
