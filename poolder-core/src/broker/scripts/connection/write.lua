-- write.lua: runs one command that writes a key. It works on a full server, too, which refuses such
--   a command outside of a script. A time to live of the key stays as it is, unless the command
--   changes it.
-- KEYS 1 key that is written
-- ARGV 1 name of the command, which may have a second word behind a space
--      2.. arguments of the command behind the key, at most 10
-- Returns the reply of the command
local name, second = string.match(ARGV[1], '^(%S+) ?(%S*)$')
local function run()
  if second == '' then return redis.pcall(name, KEYS[1], unpack(ARGV, 2)) end -- bounded: 10 values
  return redis.pcall(name, second, KEYS[1], unpack(ARGV, 2)) -- bounded: 10 values
end
local reply = run()
if type(reply) ~= 'table' or not reply.err or not string.find(reply.err, 'OOM', 1, true) then
  return reply
end
-- A full server refuses the command only until another one has written, which changes nothing.
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
  redis.call('PEXPIRE', KEYS[1], math.max(left, 1))
else
  redis.call('PERSIST', KEYS[1])
end
return run()
