-- running.lua: lists the groups of the jobs that hold a permit in a lane.
-- KEYS 1 stream of the lane, front or suspect
-- ARGV 1 id of the entry behind which the list begins ("-" for the first one)
-- Returns {id of the last entry that was looked at ("" at the end of the lane), groups of the
--   entries, one for each}
local from = ARGV[1] == '-' and '-' or '(' .. ARGV[1]
local groups, bytes, last, count = {}, 0, '', 0
while count < 500 and bytes < 1048576 do
  local page = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 8)
  for _, entry in ipairs(page) do
    local list = entry[2]
    for i, text in ipairs(list) do
      bytes = bytes + #text
      if i % 2 == 1 and text == 'g' then groups[#groups + 1] = list[i + 1] end
    end
    last, count = entry[1], count + 1
  end
  if #page < 8 then return {'', groups} end
  from = '(' .. last
end
return {last, groups}
