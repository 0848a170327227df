-- schedule_holder.lua: notes where the running job of a schedule is, or that there is none, after a
--   search of the lanes.
-- KEYS 1 hash: name to running job
--      2 sorted set: job id by due time in ms (`due`)
--      3-7 streams of all lanes: front, suspect, high, normal, low
-- ARGV 1 name of the schedule
--      2 id of the job
--      3 index of the lane in which the job was found ("" when it was not found)
--      4 entry id of the job; when it was not found, the first entry id that was not searched
-- Returns 1 when it is noted; 0 when the schedule has another running job, or when the job may
--   still be there. A call searches at most 500 entries or 1 MiB
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local name, job = ARGV[1], ARGV[2]
local holder = redis.call('HGET', KEYS[1], name)
if not holder or string.sub(holder, 1, 16) ~= job then return 0 end
if redis.call('ZSCORE', KEYS[2], job) then return 0 end

-- Notes the place of the job if an entry of a lane holds it.
local function note(lane, entry)
  if string.sub(entry[2][2] or '', 3, 18) ~= job then return false end
  redis.call('HSET', KEYS[1], name, job .. string.char(lane) .. entry[1])
  return true
end

if ARGV[3] ~= '' then
  local lane = tonumber(ARGV[3])
  local entry = redis.call('XRANGE', KEYS[3 + lane], ARGV[4], ARGV[4])[1]
  return entry and note(lane, entry) and 1 or 0
end
-- A job that has moved during the search has a new entry, at the end of another lane.
local left, bytes = 500, 0
for lane = 0, 4 do
  local from = ARGV[4]
  while true do -- bounded: 500 entries
    local entry = redis.call('XRANGE', KEYS[3 + lane], from, '+', 'COUNT', 1)[1]
    if not entry then break end
    if note(lane, entry) then return 1 end
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    left, from = left - 1, '(' .. entry[1]
    if left == 0 or bytes > 1048576 then return 0 end
  end
end
redis.call('HDEL', KEYS[1], name)
return 1
