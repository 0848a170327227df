-- claim.lua: claims entries of a lane one after another, until their bytes fill a reply.
-- KEYS 1 stream of the lane
-- ARGV 1 consumer
--      2 most entries to claim, at most 500
--      3 most bytes of the entries in the reply, which has one entry in any case
--      4 most bytes of an entry that is read at all
-- Returns for each claimed entry its id, the number of strings in its fields, and these strings; or
--   its id, 0, its bytes, and its job id ("" for a plain entry), when the entry is not read
local reply, left = {}, tonumber(ARGV[3])
for _ = 1, tonumber(ARGV[2]) do
  local read = redis.pcall('XREADGROUP', 'GROUP', 'workers', ARGV[1], 'COUNT', 1,
    'STREAMS', KEYS[1], '>')
  if read and read.err then
    -- The caller must get the entries that are claimed already.
    if #reply == 0 then return read end
    break
  end
  local entry = read and read[1][2][1]
  if not entry then break end
  local fields, bytes = entry[2], 0
  for _, text in ipairs(fields) do bytes = bytes + #text end
  local at = #reply + 1
  reply[at] = entry[1]
  if bytes <= tonumber(ARGV[4]) and (bytes <= left or at == 1) then
    reply[at + 1] = #fields
    for i, text in ipairs(fields) do reply[at + 1 + i] = text end
  else
    reply[at + 1], reply[at + 2] = 0, bytes
    reply[at + 3] = fields[1] == 'j' and string.sub(fields[2], 3, 18) or ''
  end
  left = left - bytes
  if left <= 0 then break end
end
return reply
