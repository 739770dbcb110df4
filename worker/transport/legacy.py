"""Messages held by workers with kombu's own transport, while this transport is being deployed.

kombu records them in the hash ``unacked``, for all consumers together, and redelivers them after
the visibility timeout. The server does not record whether their worker is alive.
"""

import logging
from collections.abc import Collection
from typing import Any, Final

import orjson
import redis

logger = logging.getLogger(__name__)

MOST: Final = 100
"""Maximum number of messages in one call."""

# Only the worker that deletes the entry puts the message back, so that it is not put back twice.
_RESTORE: Final = """
local is_held = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
-- It stays held where the queue's key has another type.
if is_held and type(redis.pcall('RPUSH', KEYS[3], ARGV[2])) == 'table' then
    return 0
end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return is_held and 1 or 0
"""


def restore(client: redis.Redis, prefix: str, queues: Collection[str], before: float) -> int:
    """Put back messages that kombu's own transport has held for too long.

    Parameters
    ----------
    client
        Without a key prefix of its own.
    prefix
        Prefix of all keys.
    queues
        Queues to return messages to. A message whose routing key is none of them goes to the
        first, since any worker runs it by the name of its task.
    before
        Messages taken before this time, in seconds since the epoch.

    Returns
    -------
    int
        How many messages were put back.
    """
    held, index = f"{prefix}unacked", f"{prefix}unacked_index"
    tags: Any = client.zrange(index, 0, before, byscore=True, offset=0, num=MOST)
    if not tags:
        return 0
    run = client.register_script(_RESTORE)
    count = 0
    for tag in tags:
        entry: Any = client.hget(held, tag)
        queue, raw = _parts(entry, queues)
        count += run(keys=[held, index, f"{prefix}{queue}"], args=[tag, raw])
    logger.warning("Put back %d messages that an older worker has held", count)
    return count


def _parts(entry: bytes | None, queues: Collection[str]) -> tuple[str, bytes]:
    """Return the queue and the message of an entry; one in another format is left unchanged."""
    first = next(iter(queues))
    if entry is None:
        return first, b""
    try:
        payload, _, routing_key = orjson.loads(entry)
        raw = orjson.dumps(payload)
    except (ValueError, TypeError):
        return first, entry
    return (routing_key if routing_key in queues else first), raw
