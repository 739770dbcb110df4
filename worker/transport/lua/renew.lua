-- Renew the lease of a consumer, put delayed messages that are due on their queues, and put back
-- what consumers without a lease have held.
--
-- KEYS: consumers, deliveries, delayed.
-- ARGV: consumer, lease in ms, whether to sweep (0 or 1), messages to move at most, prefix of the
--       keys of held messages, seconds that deliveries are counted.
-- Returns: whether the lease was held before, ms until the next delayed message is due or -1,
--          the swept consumers, each followed by the number of its messages that were put back.
local consumers, deliveries, delayed = KEYS[1], KEYS[2], KEYS[3]
local consumer, lease, sweeps = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local most, prefix, counted_for = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function split(entry)
    local first = string.find(entry, '\n', 1, true)
    local second = string.find(entry, '\n', first + 1, true)
    return string.sub(entry, first + 1, second - 1), string.sub(entry, second + 1)
end

local known = redis.call('ZADD', consumers, string.format('%.0f', now + lease), consumer) == 0

for _, entry in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, most)) do
    local list, raw = split(entry)
    redis.call('LPUSH', list, raw)
    redis.call('ZREM', delayed, entry)
end
local due = -1
local next_delayed = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
if #next_delayed > 0 then
    due = math.max(0, math.ceil(tonumber(next_delayed[2]) - now))
end

local swept = {}
if sweeps then
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', consumers, '-inf', now, 'LIMIT', 0, 100)) do
        local held = prefix .. dead
        local tags = redis.call('HKEYS', held)
        table.sort(tags, function(one, other) return tonumber(one) > tonumber(other) end)
        local moved = math.min(#tags, most)
        for place = 1, moved do  -- the newest first, so that the oldest is taken first again
            local list, raw = split(redis.call('HGET', held, tags[place]))
            redis.call('RPUSH', list, raw)
            redis.call('HDEL', held, tags[place])
            redis.call('HINCRBY', deliveries, redis.sha1hex(raw), 1)
            redis.call('EXPIRE', deliveries, counted_for)
        end
        if moved == #tags then
            redis.call('ZREM', consumers, dead)
        end
        most = most - moved
        if moved > 0 then
            swept[#swept + 1] = dead
            swept[#swept + 1] = moved
        end
    end
end
return {known and 1 or 0, due, swept}
