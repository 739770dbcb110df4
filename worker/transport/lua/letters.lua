-- Add, remove and replay dead letters, and keep the figures of their list right.
--
-- KEYS: dead letters, their figures, then what the operation needs.
-- ARGV: operation, then what it needs.
--
-- add      KEYS: held. ARGV: letters at most, bytes at most, then tag and letter of each message.
--          Moves held messages, if there are any, to the dead letters, and drops the oldest letters
--          over the limits.
--          Returns: letters that were dropped. A message that is held no longer was given to another
--          consumer, which moves it in turn.
-- remove   ARGV: letters. Returns for each whether it was there.
-- replay   KEYS: list, deliveries. ARGV: letter, message. Puts the message on the list and removes
--          the letter. Returns whether the letter was there; otherwise nothing is changed.
-- trim     ARGV: letters at most, bytes at most. Counts all bytes anew, also where nothing looks
--          wrong, and drops the oldest letters over the limits. Returns: letters, bytes, letters
--          that were dropped.
-- figures  Returns: the oldest letter, or only the first line of one that was moved for its size,
--          letters, bytes, letters that were ever dropped, when one was dropped last.
-- page     ARGV: letters to skip, letters at most, bytes at most. Returns letters, the oldest
--          first: one at least, if there is one.
--
-- The figures are a hash: count and bytes of the letters, how the oldest one ends, how many were
-- ever dropped, and when one was dropped last (ms). Others may push letters, or purge the list,
-- without them: another length or another oldest letter says so. A large oldest letter is not read
-- for that: figures that are wrong then are corrected by the next trim.
local letters, figures, operation = KEYS[1], KEYS[2], ARGV[1]

-- Return the bytes of the letters from one place of the list to another.
local function size(first, last)
    local bytes = 0
    for start = first, last, 100 do
        for _, letter in ipairs(redis.call('LRANGE', letters, start, math.min(start + 99, last))) do
            bytes = bytes + #letter
        end
    end
    return bytes
end

local function oldest()
    local letter = redis.call('LINDEX', letters, -1)
    return letter and identity(letter) or ''
end

local function is_moved(known)
    return string.sub(known or '', 1, 13) == '{"too_large":'
end

local function is_large(known)
    return known == 'large' or is_moved(known)
end

-- Return count and bytes of the letters.
local function measured()
    local count = redis.call('LLEN', letters)
    local known = redis.call('HMGET', figures, 'count', 'bytes', 'oldest')
    local known_count, known_bytes = tonumber(known[1] or ''), tonumber(known[2] or '')
    if known_count and known_bytes and known_count <= count
        and (is_large(known[3]) or known[3] == oldest()) then
        -- New letters are pushed in front.
        return count, known_bytes + size(0, count - known_count - 1)
    end
    redis.call('HDEL', figures, 'oldest')
    return count, size(0, count - 1)
end

local function note(count, bytes, has_new_oldest)
    count, bytes = string.format('%.0f', count), string.format('%.0f', bytes)
    redis.call('HSET', figures, 'count', count, 'bytes', bytes)
    if has_new_oldest or not is_large(redis.call('HGET', figures, 'oldest')) then
        redis.call('HSET', figures, 'oldest', oldest())
    end
end

-- Drop the oldest letters over the limits, but never the last one; return how many.
local function drop(count, bytes, most, most_bytes)
    local dropped = 0
    while count > 1 and (count > most or bytes > most_bytes) do
        bytes = bytes - #redis.call('RPOP', letters)
        count = count - 1
        dropped = dropped + 1
    end
    note(count, bytes, dropped > 0)
    if dropped > 0 then
        redis.call('HINCRBY', figures, 'dropped', dropped)
        redis.call('HSET', figures, 'dropped_at', string.format('%.0f', milliseconds()))
    end
    return count, bytes, dropped
end

if operation == 'add' then
    -- Where a foreign key took their place, refused messages would fill the prefetch count.
    displace(letters, 'list')
    displace(figures, 'hash')
    local held, most, most_bytes = KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3])
    local count, bytes = measured()
    for index = 4, #ARGV, 2 do
        if redis.call('HEXISTS', held, ARGV[index]) == 1 then
            -- The first write: what a full server refuses leaves everything as it was.
            redis.call('LPUSH', letters, ARGV[index + 1])
            redis.call('HDEL', held, ARGV[index])
            bytes = bytes + #ARGV[index + 1]
            count = count + 1
        end
    end
    local _, _, dropped = drop(count, bytes, most, most_bytes)
    return dropped
end

if operation == 'remove' then
    local count, bytes = measured()
    local removed, answers = 0, {}
    for index = 2, #ARGV do
        -- Counted from the end, where the oldest are.
        answers[index - 1] = redis.call('LREM', letters, -1, ARGV[index])
        removed = removed + answers[index - 1]
        bytes = bytes - answers[index - 1] * #ARGV[index]
    end
    if removed > 0 then
        note(count - removed, bytes, true)
    end
    return answers
end

if operation == 'replay' then
    local list, deliveries, letter, message = KEYS[3], KEYS[4], ARGV[2], ARGV[3]
    local count, bytes = measured()
    -- The message first: where this is refused, or the list is none, the letter stays.
    redis.call('LPUSH', list, message)
    if redis.call('LREM', letters, -1, letter) == 0 then
        redis.call('LPOP', list)
        return 0
    end
    note(count - 1, bytes - #letter, true)
    -- An operator replayed it, knowing why it failed: its tries begin anew.
    redis.call('HDEL', deliveries, redis.sha1hex(message))
    return 1
end

if operation == 'figures' then
    local count = redis.call('LLEN', letters)
    local known = redis.call('HMGET', figures, 'count', 'bytes', 'dropped', 'dropped_at', 'oldest')
    local first = known[5]
    if count == 0 or count < tonumber(known[1] or '0') or not is_moved(first) then
        first = redis.call('LINDEX', letters, -1)
    end
    return {first, count, known[2], known[3], known[4]}
end

if operation == 'page' then
    local skip, most, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
    local found, bytes = {}, 0
    for last = -1 - skip, -skip - most, -10 do
        local some = redis.call('LRANGE', letters, last - 9, last)
        for place = #some, 1, -1 do
            bytes = bytes + #some[place]
            if #found == most or (#found > 0 and bytes > most_bytes) then
                return found
            end
            found[#found + 1] = some[place]
        end
        if #some < 10 then
            break
        end
    end
    return found
end

local count = redis.call('LLEN', letters)
redis.call('HDEL', figures, 'oldest')
return {drop(count, size(0, count - 1), tonumber(ARGV[2]), tonumber(ARGV[3]))}
