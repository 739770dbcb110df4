-- Return the next message of each list, and when it was sent, if the message says so.
--
-- KEYS: lists of queues. Messages are pushed to the left and taken from the right.
-- Returns: for each list the digest of its oldest message, empty without any, and its header
--          timestamp_in_ms, empty without one.
local found = {}
for _, key in ipairs(KEYS) do
    local entry = redis.call('LINDEX', key, -1)
    if entry then
        -- The body comes first and the headers after it in what kombu writes; others write them first.
        local part = #entry < 65536 and entry or string.sub(entry, 1, 8192) .. string.sub(entry, -32768)
        found[#found + 1] = redis.sha1hex(#entry .. part)
        found[#found + 1] = string.match(part, '"timestamp_in_ms": ?(%d+)') or ''
    else
        found[#found + 1] = ''
        found[#found + 1] = ''
    end
end
return found
