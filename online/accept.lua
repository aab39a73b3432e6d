-- Sets the field ARGV[1] of KEYS[i] to the row ARGV[i+1] where the row stored there is not newer, and returns how many rows are
-- there now, and of how many keys the field was not there before. A stored value that is no row of format 1 is replaced.
--
-- Rows are ordered by the 32 bytes of their header that hold epoch, seq, event time and available at. Lua's < on strings
-- follows the server's locale and its numbers are doubles, so they are compared as whole numbers of four bytes.
local byte, call = string.byte, redis.call

local function newer(stored, row)
    for at = 3, 31, 4 do
        local s1, s2, s3, s4 = byte(stored, at, at + 3)
        local r1, r2, r3, r4 = byte(row, at, at + 3)
        local s = ((s1 * 256 + s2) * 256 + s3) * 256 + s4
        local r = ((r1 * 256 + r2) * 256 + r3) * 256 + r4
        if s ~= r then
            return s > r
        end
    end
    return false
end

-- Where the row before was not there, this one probably is not either: one command then says so and sets it.
local field, written, added, absent = ARGV[1], 0, 0, false
for i = 1, #KEYS do
    local key, row = KEYS[i], ARGV[i + 1]
    if absent and call('HSETNX', key, field, row) == 1 then
        written, added = written + 1, added + 1
    else
        local stored = call('HGET', key, field)
        absent = not stored
        if stored == row then
            written = written + 1
        elseif absent or #stored < 42 or byte(stored, 1) ~= 1 or not newer(stored, row) then
            call('HSET', key, field, row)
            written = written + 1
            if absent then
                added = added + 1
            end
        end
    end
end
return {written, added}
