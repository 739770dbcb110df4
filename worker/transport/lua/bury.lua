-- Move held messages to the dead letters, and drop the oldest letters over the limits.
--
-- KEYS: held, dead letters, figures of the dead letters.
-- ARGV: letters at most, bytes at most, then for each message its tag and its letter.
-- Returns: messages that were moved, letters that were dropped.
--
-- A message that is held no longer was given to another consumer, which moves it in turn.
local held, letters, figures = KEYS[1], KEYS[2], KEYS[3]
local most, most_bytes = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = redis.call('LLEN', letters)
-- Whoever has emptied the list from outside has not corrected the figures.
local bytes = count > 0 and tonumber(redis.call('HGET', figures, 'bytes') or 0) or 0
local moved, dropped = 0, 0
for index = 3, #ARGV, 2 do
    if redis.call('HEXISTS', held, ARGV[index]) == 1 then
        redis.call('LPUSH', letters, ARGV[index + 1])
        redis.call('HDEL', held, ARGV[index])
        bytes = bytes + #ARGV[index + 1]
        count = count + 1
        moved = moved + 1
    end
end
while count > 1 and (count > most or bytes > most_bytes) do
    local oldest = redis.call('RPOP', letters)
    bytes = math.max(0, bytes - #oldest)
    count = count - 1
    dropped = dropped + 1
end
redis.call('HSET', figures, 'bytes', string.format('%.0f', bytes))
if dropped > 0 then
    redis.call('HINCRBY', figures, 'dropped', dropped)
end
return {moved, dropped}
