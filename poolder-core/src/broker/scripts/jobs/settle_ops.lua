-- settle_ops.lua: a part of settle.lua with the operations of every job: they store it at its
--   destination, and record how it ended. A job without a destination is gone.
-- KEYS 2-11 as in settle.lua; the value named record is the index of another
-- Operations, with their values:
--   "to_lane" head: adds the job to the lane that the head names
--   "to_due" head, delay in ms: lets the job wait for this time
--   "to_dead" dead record up to the head, head: buries the job
--   "forget_receipt" receipt: removes the receipt of an idempotent enqueue, since the job was
--     cancelled; the value is the index of another key
--   "keep_result" record, result, ms: stores the result for this time
--   "keep_completion" record, completion, ms: does the same, and notifies the waiting callers on
--     the channel that has the record's name

local first_due_changed = false
-- Longer times mean ten years: Redis refuses times that its clock cannot hold.
local longest_kept = 10 * 365 * 24 * 60 * 60 * 1000

local function keep(record, value, ms)
  redis.call('SET', KEYS[record], value, 'PX', math.max(1, math.min(ms, longest_kept)))
end

local ops = {
  to_lane = function(head)
    added_to = KEYS[7 + string.byte(head, 1)]
    added = {redis.call('XADD', added_to, '*', 'j', body, 'c', string.sub(head, 4))}
  end,

  to_due = function(head, delay)
    local due, id = string.format('%.0f', now() + delay), job
    -- A job of the same id may wait already, if it was enqueued again while this one ran. Then both
    -- wait, this one under another id.
    if redis.call('ZADD', KEYS[2], 'NX', due, id) == 0 then
      id = free_id(KEYS[2])
      redis.call('ZADD', KEYS[2], due, id)
    end
    waits = id
    redis.call('HSET', KEYS[3], id, head .. body)
    -- Byte 5 of the head, behind the lane, the length and the array header of the counters, is 0
    -- only if no attempt has failed.
    if string.byte(head, 5) ~= 0 then count(KEYS[6], 'retrying', 1) end
    first_due_changed = first_due_changed or redis.call('ZRANGE', KEYS[2], 0, 0)[1] == id
  end,

  to_dead = function(death, head)
    -- The record of another generation stays.
    died = free_id(KEYS[4])
    bury(died, death .. head .. body)
  end,

  forget_receipt = function(receipt) redis.call('DEL', KEYS[receipt]) end,

  keep_result = keep,

  keep_completion = function(record, completion, ms)
    keep(record, completion, ms)
    -- Hints may be lost.
    redis.pcall('PUBLISH', KEYS[record], 'end')
  end,
}
