-- lane_depths.lua: a part of complete.lua, wait_begin.lua and wait_end.lua, the last one. It reads
--   the number of waiting jobs in each of the lanes.
-- KEYS 3-7 streams of all lanes; complete.lua may leave them out
-- Returns the result of the script's function `finish` for the list of these numbers
local depths = {}
for i = 3, #KEYS do -- bounded: 5 lanes
  local depth = redis.call('XLEN', KEYS[i])
  if depth > 0 then
    -- Without a consumer group no entry is claimed. The summary of XPENDING would walk all
    -- consumers. Each group is a list: "name", its name, "consumers", their number, "pending", the
    -- number of claimed entries, and more.
    for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', KEYS[i])) do
      if group[2] == 'workers' then depth = depth - group[6] end
    end
  end
  depths[i - 2] = depth
end
return finish(depths)
