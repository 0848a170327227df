-- settle.lua: a part of jobs/settle.lua with the operations of jobs that run in an addressed slot.
-- KEYS 1, 7 and 15 as in jobs/settle.lua
-- Operations, with their values:
--   "to_slot_front" head: puts the job back to the front of its slot
--   "hold_slot" ms: blocks claims of the slot for this time, while the job that was put back to its
--     front waits for a retry
--   "end_move": forgets that a job of the slot moves to another one

if ARGV[4] ~= '' then
  -- Most names and values of an entry that is moved. An entry that Poolder wrote has four. Another
  -- entry with more of them stays where it is, since Lua cannot pass on arbitrarily many.
  local most_fields = 100

  function ops.to_slot_front(head)
    -- Entries that wait in the front are moved behind the job, in order. All are copied before the
    -- first is deleted.
    local waiting, moved = {}, {}
    if KEYS[1] == KEYS[7] then waiting = redis.call('XRANGE', KEYS[7], '-', '+', 'COUNT', 100) end
    ops.to_lane(head)
    for _, one in ipairs(waiting) do
      local id, fields = one[1], one[2]
      if id ~= entry and #fields <= most_fields then
        added[#added + 1] = redis.call('XADD', KEYS[7], '*', unpack(fields)) -- bounded: see above
        moved[#moved + 1] = id
      end
    end
    if #moved > 0 then redis.call('XDEL', KEYS[7], unpack(moved)) end -- bounded: 100 ids
    -- The copies have become the only ones.
    added = {added[1]}
  end

  function ops.end_move()
    redis.call('HDEL', KEYS[15], 'moving')
  end

  function ops.hold_slot(ms)
    local hold = string.format('%.0f', now() + ms)
    redis.call('HSET', KEYS[15], 'hold', hold, 'held', hold .. ' ' .. added[1])
  end
end
