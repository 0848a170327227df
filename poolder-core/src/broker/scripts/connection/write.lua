-- write.lua: runs one command that writes a key. It works on a full server, too, which refuses such
--   a command outside of a script.
-- KEYS 1 key that is written
-- ARGV 1 name of the command, which may have a second word behind a space
--      2.. arguments of the command behind the key, at most 10
-- Returns the reply of the command
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local name, second = string.match(ARGV[1], '^(%S+) ?(%S*)$')
if second == '' then return redis.pcall(name, KEYS[1], unpack(ARGV, 2)) end -- bounded: 10 values
return redis.pcall(name, second, KEYS[1], unpack(ARGV, 2)) -- bounded: 10 values
