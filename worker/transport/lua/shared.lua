-- Functions that precede every script.

-- Return the server's time in milliseconds.
local function milliseconds()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Rename a key of another type that has the name of one of these: it would stop the script each time.
local function displace(key, expected)
    local kind = redis.call('TYPE', key).ok
    if kind ~= expected and kind ~= 'none' then
        redis.call('RENAME', key, key .. ':displaced')
    end
end

-- Return what identifies a dead letter: kombu ends each message with a tag of its own. Of one that was
-- moved for its size that is its first line; any other large one is only known to be large, since
-- reading it again and again would take seconds.
local function identity(letter)
    if #letter < 262144 then
        return string.sub(letter, -100)
    end
    return string.match(string.sub(letter, 1, 2000), '^({"too_large":[^\n]*)\n') or 'large'
end

-- Sort tags, the newest first, so that the oldest is taken first again.
local function sort_newest_first(tags)
    table.sort(tags, function(one, other) return (tonumber(one) or 0) > (tonumber(other) or 0) end)
end

-- Put the message in an entry on its list; return it, or nil: there is no entry, or the list's key
-- has another type. One such entry must not keep the others from being moved.
local function put_back(push, entry)
    local list, raw = string.match(entry or '', '^[^\n]*\n([^\n]*)\n(.*)$')
    local kind = list and redis.call('TYPE', list).ok
    if kind ~= 'list' and kind ~= 'none' then
        return nil
    end
    redis.call(push, list, raw)
    return raw
end

