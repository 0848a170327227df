-- read.lua: reads entries of a lane by their ids, as long as their bytes fit into a reply.
-- KEYS 1 stream of the lane
-- ARGV 1 most bytes of the entries in the reply; 0 to read only their sizes
--      2.. ids of the entries, at most 500
-- Returns for each id the id, the number of strings in the fields of its entry, and these strings;
--   or the id, 0, the bytes of the entry, and its job id ("" for a plain entry), when it does not
--   fit; or the id and -1, when there is no such entry. A call stops after 1 MiB, but not before the
--   first entry
local reply, left, seen = {}, tonumber(ARGV[1]), 0
for i = 2, #ARGV do
  local entry = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  local at = #reply + 1
  reply[at] = ARGV[i]
  if not entry then
    reply[at + 1] = -1
  else
    local fields, bytes = entry[2], 0
    for _, text in ipairs(fields) do bytes = bytes + #text end
    if bytes <= left then
      reply[at + 1] = #fields
      for k, text in ipairs(fields) do reply[at + 1 + k] = text end
      left = left - bytes
    else
      reply[at + 1], reply[at + 2] = 0, bytes
      reply[at + 3] = fields[1] == 'j' and string.sub(fields[2], 3, 18) or ''
    end
    seen = seen + bytes
    if seen > 1048576 then break end
  end
end
return reply
