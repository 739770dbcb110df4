-- Release finished messages and take new ones, in one step.
-- A message is recorded as held before it leaves its list, so an error in between loses nothing.
--
-- An entry over the limit, which cannot be a message of this service, is moved to the dead letters: it
-- would take a consumer seconds to fetch it, and would take its memory.
--
-- KEYS: consumers, held, deliveries, dead letters, their figures, then the lists: all queues of the
--       first priority, and so on.
-- ARGV: consumer, lease in ms, messages to take, first free tag, number of queues, bytes of an entry
--       at most, bytes of all messages after which no more are taken, released tags...
-- Returns for each message: tag, list, raw message, earlier deliveries, 0. For an entry that was
-- moved: tag, list, its first and last bytes, 0, its size.
local consumers, held, deliveries, letters, figures = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local consumer, lease = ARGV[1], tonumber(ARGV[2])
local room, tag, queues = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local most_entry, most_bytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local shown = 65536  -- bytes at each end of a moved entry, where its ids are

if #ARGV > 7 then
    redis.call('HDEL', held, unpack(ARGV, 8))
end

local taken = {}
local now = nil
local counted = false

local function begin()
    now = milliseconds()
    -- Held messages without a lease would never be swept.
    if not redis.call('ZSCORE', consumers, consumer) then
        redis.call('ZADD', consumers, now + lease, consumer)
    end
    counted = redis.call('EXISTS', deliveries) == 1
end

local function add(list, raw, earlier, moved)
    taken[#taken + 1] = tag
    taken[#taken + 1] = list
    taken[#taken + 1] = raw
    taken[#taken + 1] = earlier
    taken[#taken + 1] = moved
    tag = tag + 1
    room = room - 1
end

-- Move the oldest entry of a list to the dead letters: a line that describes it, then the entry.
local function move(list, raw)
    displace(letters, 'list')
    displace(figures, 'hash')
    local name = string.sub(list, #letters - #'dead-letters' + 1)  -- without the prefix of all keys
    local letter = string.format(
        '{"too_large":%.0f,"limit":%.0f,"kept_at":%.0f,"list":%s,"unique":%s}\n',
        #raw, most_entry, now, cjson.encode(name), cjson.encode(consumer .. ':' .. tag)
    ) .. raw
    local before = redis.call('LLEN', letters)
    local known = tonumber(redis.call('HGET', figures, 'count') or '0')
    redis.call('LPUSH', letters, letter)
    redis.call('LTRIM', list, 0, -2)
    if known == before then
        -- Otherwise all are counted anew with the next letter.
        redis.call('HINCRBY', figures, 'count', 1)
        redis.call('HINCRBY', figures, 'bytes', string.format('%.0f', #letter))
        if before == 0 then
            redis.call('HSET', figures, 'oldest', identity(letter))
        end
    end
    add(list, string.sub(raw, 1, shown) .. string.sub(raw, -shown), 0, #raw)
    most_bytes = 0  -- moving it has taken long enough
end

local function take(list, most)
    local entries, count = {}, 0
    while count < most and most_bytes > 0 do
        -- One after the other: all together could be larger than the server's memory.
        -- pcall: a key of another type must not end the script after messages were taken.
        local raw = redis.pcall('LINDEX', list, -count - 1)
        if type(raw) ~= 'string' then
            break
        end
        if not now then
            begin()
        end
        if #raw > most_entry then
            if count == 0 then
                move(list, raw)
            end
            break
        end
        local earlier = counted and redis.pcall('HGET', deliveries, redis.sha1hex(raw))
        entries[#entries + 1] = tag
        entries[#entries + 1] = string.format('%.0f', now) .. '\n' .. list .. '\n' .. raw
        add(list, raw, type(earlier) == 'string' and tonumber(earlier) or 0, 0)
        most_bytes = most_bytes - #raw
        count = count + 1
    end
    if count > 0 then
        redis.call('HSET', held, unpack(entries))
        redis.call('LTRIM', list, 0, -count - 1)
    end
end

-- Within a priority every queue has its share first, so that a busy one does not starve others.
for start = 6, #KEYS, queues do
    local stop = math.min(start + queues - 1, #KEYS)
    local share = math.ceil(room / queues)
    for index = start, stop do
        if room > 0 then
            take(KEYS[index], math.min(share, room))
        end
    end
    if share > 0 and queues > 1 then
        for index = start, stop do
            if room > 0 then
                take(KEYS[index], room)
            end
        end
    end
end
return taken
