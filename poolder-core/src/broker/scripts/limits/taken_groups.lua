-- taken_groups.lua: a part of complete.lua on a limited queue, the one before it. It takes the last
--   value from ARGV, a MessagePack array: "1" when a claim of the caller follows in the same round
--   trip, else ""; then the group of each entry.
-- KEYS none
-- Returns nothing: it defines a list
local of_groups = cmsgpack.unpack(table.remove(ARGV)) -- bounded: 501 values
